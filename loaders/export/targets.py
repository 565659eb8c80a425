"""Writes a file or folder under a temporary name beside its target, syncs it, and then renames it to the target.

The old target stays until then, and stays if anything fails. Only regular files and folders are replaced. Devices,
pipes, sockets and links are refused by name, and so is a folder with anything that would not be written again.
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
    """Raise LoaderError unless a regular file may be written at `path`. replace: an existing file may be replaced."""
    _check_target(path)
    if path.is_dir():
        raise LoaderError(f"{path} is a folder, and the model is written to one file", ANOTHER_PATH)
    if path.exists() and not replace:
        raise _exists(path)


def check_folder(path: Path, replace: bool, names: Collection[str]) -> None:
    """Raise LoaderError unless a folder with files of these names may be written at `path`.

    An empty folder may exist. replace: so may a folder that contains only files of these names.
    """
    _check_target(path)
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
    """A path to write to. It is renamed to the target at the end, or removed after an exception.

    The target must have been checked. It keeps the permissions of what it replaces, else the umask applies.
    """
    final = target.parent.resolve() / target.name
    folder = Path(tempfile.mkdtemp(prefix=".", suffix=".partial", dir=final.parent))
    work = folder / final.name
    try:
        if is_folder:
            work.mkdir()
        yield work
        _sync(*work.rglob("*"), work)
        _move_into_place(work, final)
    except OSError as problem:
        problem.filename = problem.filename or str(target)  # the error of a full disk has no name
        raise
    finally:
        _remove(work)
        with suppress(OSError):
            folder.rmdir()


def _check_target(path: Path) -> None:
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
    """Raise LoaderError if the folder contains anything that would not be written again."""
    parents = {parent.as_posix() for name in names for parent in Path(name).parents}
    for path in sorted(folder.rglob("*")):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if name in names and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise LoaderError(f"{path} is no regular file, and would be lost", "Move it away first.")
        if not (name in parents if stat.S_ISDIR(mode) else name in names):
            raise LoaderError(f"{path} is none of the files that are written, and would be lost", "Move it away first.")


def _sync(*paths: Path) -> None:
    """Wait until files and the entries of folders are on the disk."""
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _move_into_place(work: Path, final: Path) -> None:
    """Rename to the target, which is checked again, because it may have changed."""
    _check_target(final)
    if final.exists():
        work.chmod(stat.S_IMODE(final.stat().st_mode))
    if work.is_dir() and final.exists():
        _check_nothing_is_lost(final, {path.relative_to(work).as_posix() for path in work.rglob("*")})
        _exchange(work, final)
    else:
        work.replace(final)
    _sync(final.parent)


def _exchange(work: Path, final: Path) -> None:
    """Replace a folder by another one, with two renames, because no system call does both."""
    old = work.with_name(f"{final.name}.old")
    final.rename(old)
    try:
        work.rename(final)
    except OSError:
        old.rename(final)
        raise
    shutil.rmtree(old)


def _remove(work: Path) -> None:
    if work.is_dir():
        shutil.rmtree(work, ignore_errors=True)
    else:
        work.unlink(missing_ok=True)
