"""Files as memory: mapped read-only, so that a model is never copied into the loader."""

import mmap
from pathlib import Path

from ..errors import SourceError

LONGEST_FILE_NAME = 255  # bytes, as Linux has it


def can_be_a_file(name: object) -> bool:
    """Whether a name that a file brings can be that of a file in its folder, and leads nowhere else."""
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        return False
    return Path(name).name == name and len(name.encode(errors="replace")) <= LONGEST_FILE_NAME


def mapped(path: Path) -> memoryview:
    """The bytes of a file. Raises SourceError if it is not a file with something in it."""
    if not path.is_file():
        raise SourceError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty")
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def let_go(view: memoryview) -> None:
    """Take the file that a view is of out of this process's memory; whoever reads it again gets it from the system."""
    if isinstance(view.obj, mmap.mmap):
        view.obj.madvise(mmap.MADV_DONTNEED)
