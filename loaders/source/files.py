"""Maps files read-only, so that a model is never copied into the loader."""

import mmap
from pathlib import Path

from ..errors import SourceError

LONGEST_FILE_NAME = 255  # bytes, Linux's limit


def can_be_a_file(name: object) -> bool:
    """Whether a name from a file can be a file name in its folder, without leading outside."""
    if not isinstance(name, str) or not name or "\0" in name or "\\" in name:
        return False
    return Path(name).name == name and len(name.encode(errors="replace")) <= LONGEST_FILE_NAME


def mapped(path: Path) -> memoryview:
    """The bytes of a file. Raises SourceError if it is no file or is empty."""
    if not path.is_file():
        raise SourceError(f"{path} is not a file")
    if path.stat().st_size == 0:
        raise SourceError(f"{path.name} is empty")
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def let_go(view: memoryview) -> None:
    """Release the memory of a mapped file; reading it again loads it again."""
    if isinstance(view.obj, mmap.mmap):
        view.obj.madvise(mmap.MADV_DONTNEED)
