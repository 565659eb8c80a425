"""Where commands write: a file or folder is made beside its place, complete and on the disk, and then takes it.

What was there stays until then, and stays if anything fails. Only regular files and folders are ever replaced: a
device, a pipe, a socket or a link is refused by name, and a folder that holds anything that is not written anew.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import LoaderError

SPECIAL_FILES = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
)
ANOTHER_PATH = "Choose another path."


def check_file(path: Path, replace: bool) -> None:
    """Raise LoaderError unless a regular file may be written at `path`; over another one only with `replace`."""
    _check_place(path)
    if path.is_dir():
        raise LoaderError(f"{path} is a folder, and the model is written to one file", ANOTHER_PATH)
    if path.exists() and not replace:
        raise _exists(path)


def check_folder(path: Path, replace: bool, names: Collection[str]) -> None:
    """Raise LoaderError unless a folder with files of these names may be written at `path`.

    An empty folder may be there, and with `replace` one that holds nothing but files of these names.
    """
    _check_place(path)
    if not path.exists():
        return
    if not path.is_dir():
        raise LoaderError(f"{path} is not a folder, and the model becomes one", ANOTHER_PATH)
    if path.is_mount():
        raise LoaderError(f"{path} is a mount point, which cannot be replaced", ANOTHER_PATH)
    if path.resolve() in (Path.cwd(), *Path.cwd().parents):
        raise LoaderError(f"{path} is the current folder or around it, and would be replaced", ANOTHER_PATH)
    if any(path.iterdir()) and not replace:
        raise _exists(path)
    _check_nothing_is_lost(path, names)


@contextmanager
def written_beside(target: Path, is_folder: bool) -> Iterator[Path]:
    """A place to write to that takes the target's when all went well, and goes when it did not.

    The target has been checked. It keeps the permissions of what it replaces, else it has those of the umask.
    """
    final = target.parent.resolve() / target.name
    work = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=final.parent))
    place = work / final.name
    try:
        if is_folder:
            place.mkdir()
        yield place
        _sync(*place.rglob("*"), place)
        _take_place(place, final)
    except OSError as problem:
        problem.filename = problem.filename or str(target)  # a disk that is full does not say whose
        raise
    finally:
        _remove(place)
        with suppress(OSError):
            work.rmdir()


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise LoaderError(f"{path.parent} is not a folder")
    if not os.path.lexists(path):
        return
    for is_kind, kind in SPECIAL_FILES:
        if is_kind(path.lstat().st_mode):
            hint = f"Name what it points to, {path.resolve()}." if kind == "a link" else ANOTHER_PATH
            raise LoaderError(f"{path} is {kind}, which is not written over", hint)


def _exists(path: Path) -> LoaderError:
    return LoaderError(f"{path} exists", "Choose another path, or write over it with --replace.")


def _check_nothing_is_lost(folder: Path, names: Collection[str]) -> None:
    """Raise LoaderError for what is in the folder and would not be written anew."""
    parents = {parent.as_posix() for name in names for parent in Path(name).parents}
    for path in sorted(folder.rglob("*")):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if name in names and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise LoaderError(f"{path} is no regular file, and would be lost", "Move it away first.")
        if not (name in parents if stat.S_ISDIR(mode) else name in names):
            raise LoaderError(f"{path} is none of the files that are written, and would be lost", "Move it away first.")


def _sync(*paths: Path) -> None:
    """Wait until files, and the names that folders have for them, are on the disk."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _take_place(place: Path, final: Path) -> None:
    """Rename; what is there is looked at again, for it may have changed since it was checked."""
    _check_place(final)
    if final.exists():
        place.chmod(stat.S_IMODE(final.stat().st_mode))
    if place.is_dir() and final.exists():
        _check_nothing_is_lost(final, {path.relative_to(place).as_posix() for path in place.rglob("*")})
        _exchange(place, final)
    else:
        place.replace(final)
    _sync(final.parent)


def _exchange(place: Path, final: Path) -> None:
    """A folder takes another's place; no call does both renames at once."""
    old = place.with_name(f"{final.name}.old")
    final.rename(old)
    try:
        place.rename(final)
    except OSError:
        old.rename(final)
        raise
    shutil.rmtree(old)


def _remove(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)
