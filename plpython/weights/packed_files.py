"""Packed tensors as files that all sessions of a server share: built once, checked, evicted.

    <root>/<edition>/<SHA-256 of the tensor>.<layout>    content, zeros up to whole pages, trailer; mode 0400
    trailer    "HARTPACK", u64 bytes of the content, checksum of the content, zeros to 64 bytes

The edition is a hash of the code that packs, so no code reads files of another layout. A file appears as a whole or not
at all: its builder locks a .partial file beside it, a lock that ends with the builder, and renames it at the end.
Nothing is fsynced. Instead the content's checksum is computed at the first use after each start of the server, and
damaged files are built again. Modification time is when a file was built, access time when it was last used.
"""

import errno
import fcntl
import hashlib
import mmap
import os
import stat
import struct
import time
from collections import namedtuple
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from ..server import errors
from .address_space import HUGE_PAGE, in_huge_pages, in_whole_pages

MAGIC = b"HARTPACK"
TRAILER = struct.Struct("<8sQ32s16x")
PARTIAL = ".partial"
MARKS = "verified."
STEP = 1 << 22  # bytes summed between checkpoints: about a millisecond
PAGE_WORDS = 512  # of 8 bytes
FACTORS = np.arange(1, 2 * PAGE_WORDS, 2, dtype=np.uint64)  # odd: no change of a single word leaves its page's sum
SECONDS_BETWEEN_TRIES = 0.005  # seconds between tries for a lock
RECOUNT = 1  # seconds until the bytes of all files are counted again; until then files of other builders are missed

PackedFile = namedtuple("PackedFile", "name size")  # "<hash>.<layout>", bytes of the content
Limits = namedtuple("Limits", "size free")  # the most bytes of all files, bytes of the disk that stay free
Entry = namedtuple("Entry", "path name size built last_used")  # a complete file: bytes, seconds of the epoch


class DamagedError(Exception):
    """A file differs from what was built; the message says how."""


class Checksum:
    """A checksum of content at the speed of memory: the SHA-256 over a sum of each page, its words times odd factors.

    It finds what disks and lost writes do. It is no protection against forgery: only the server's account can write
    these files, and it could write the trailer too.
    """

    def __init__(self):
        self._digest = hashlib.sha256()

    def update(self, content):
        """Add content, which must be whole pages until the last time."""
        end = len(content) - len(content) % (8 * PAGE_WORDS)
        words = np.frombuffer(content[:end], "<u8").reshape(-1, PAGE_WORDS)
        self._digest.update((words @ FACTORS).tobytes())
        self._digest.update(content[end:])

    def value(self):
        """The 32 bytes of the checksum."""
        return self._digest.digest()


class Writer:
    """Writes the content of a file, one huge page at a time.

    That is faster than storing through a mapping, where the system stops at each small page to mark it as changed.
    """

    def __init__(self, descriptor, checkpoint):
        self._descriptor, self._checkpoint = descriptor, checkpoint
        self._page, self._filled = memoryview(bytearray(HUGE_PAGE)), 0  # what is not written yet
        self._offset = 0  # where it belongs
        self._checksum = Checksum()

    def write(self, content):
        """Append content, an object with a buffer of bytes."""
        content = memoryview(content)
        while content:
            piece = content[: HUGE_PAGE - self._filled]
            self._page[self._filled : self._filled + len(piece)] = piece
            self._filled += len(piece)
            content = content[len(piece) :]
            if self._filled == HUGE_PAGE:
                self._next_page()

    def finish(self, file):
        """Write what is left, zeros, and the trailer."""
        given = self._offset + self._filled
        if given != file.size:
            raise ValueError(f"{given} bytes of content were given, expected {file.size}")
        self._checksum.update(self._page[: self._filled])
        end = bytearray(file_size(file) - self._offset)
        end[: self._filled] = self._page[: self._filled]
        end[-TRAILER.size :] = TRAILER.pack(MAGIC, file.size, self._checksum.value())
        self._write_here(memoryview(end))

    def _next_page(self):
        self._checkpoint()
        self._checksum.update(self._page)
        self._write_here(self._page)
        self._offset, self._filled = self._offset + HUGE_PAGE, 0

    def _write_here(self, content):
        written = 0
        while written < len(content):
            written += os.pwrite(self._descriptor, content[written:], self._offset + written)


class PackedFiles:
    """The files below `root`. server_start: a text that differs for each start. checkpoint() may end long work."""

    def __init__(self, root, edition, server_start, checkpoint):
        self._root = private_folder(root)
        self._folder = private_folder(self._root / edition)
        self._marks = self._folder / f"{MARKS}{server_start}"
        self._marks_size, self._verified = -1, frozenset()
        self._checkpoint = checkpoint
        self._used, self._counted = 0, -RECOUNT  # bytes of all files, when they were counted

    def open(self, file):
        """A descriptor of a complete, verified file, which begins with its content; None without one. DamagedError."""
        try:
            descriptor = os.open(self._folder / file.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as problem:
            raise DamagedError(problem.strerror) from None
        try:
            self._check(descriptor, file)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def build(self, file, fill, limits, keep=()):
        """Build a file by fill(write), which calls write(bytes) until all content is written. True if it exists then.

        False if another session is building it. Evicts the longest unused files, but none named in `keep`. Raises
        ModelError 53100 for a full disk, 53400 at the size limit, and errors of `fill`; then no partial file is left.
        """
        private_folder(self._folder)
        path = self._folder / file.name
        partial = self._folder / (file.name + PARTIAL)
        descriptor = self._locked_partial(partial)
        if descriptor is None:
            return False
        try:
            if not path.exists():
                self._write(descriptor, file, fill, limits, keep)
                partial.rename(path)
                self._mark(os.fstat(descriptor), file)
        finally:
            if is_at(descriptor, partial):
                partial.unlink()
            os.close(descriptor)
        return True

    def check_room(self, size, limits, keep=()):
        """Raise the errors of `build` for files of so many bytes together, before anything is evicted for them."""
        entries = self.entries()
        kept = sum(entry.size for entry in entries if entry.name in keep)
        evictable = sum(entry.size for entry in entries) - kept
        self._refuse(size, kept, self._free() + evictable, limits)

    def touch(self, names):
        """Record that files are in use now."""
        now = time.time_ns()
        for name in names:
            path = self._folder / name
            with suppress(FileNotFoundError):  # evicted since
                os.utime(path, ns=(now, path.stat().st_mtime_ns))

    def entries(self):
        """An Entry of each complete file, of every edition."""
        private_folder(self._folder)
        return [
            Entry(path, path.name, state.st_size, state.st_mtime, state.st_atime)
            for path, state in self._files()
            if path.suffix != PARTIAL
        ]

    def remove(self, names=None):
        """Unlink files, by default all, and partial files of killed builders. Sessions can still use them. -> bytes."""
        freed = 0
        for entry in self.entries():
            if names is None or entry.name in names:
                freed += entry.size if _unlink(entry.path) else 0
        self._remove_abandoned()
        self._count()
        return freed

    def discard(self, file):
        """Unlink a file that is damaged."""
        _unlink(self._folder / file.name)

    # Checking

    def _check(self, descriptor, file):
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) != 0o400:
            raise DamagedError("it is not a file that the server alone can read and nobody can write")
        if state.st_size != file_size(file):
            raise DamagedError(f"it has {state.st_size} bytes, expected {file_size(file)}")
        if self._is_verified(state, file):
            return
        self._bring_in(descriptor)
        magic, size, expected = TRAILER.unpack(os.pread(descriptor, TRAILER.size, state.st_size - TRAILER.size))
        if magic != MAGIC or size != file.size:
            raise DamagedError("its trailer is not that of a packed tensor")
        if self._checksum_of(descriptor, size) != expected:
            raise DamagedError("its content has changed since it was built")
        self._mark(state, file)

    def _bring_in(self, descriptor):
        """Must come before any reading, because the first access determines the size of the pages."""
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as memory:
            in_huge_pages(memory, self._checkpoint)

    def _checksum_of(self, descriptor, size):
        checksum, buffer = Checksum(), memoryview(bytearray(min(STEP, size)))
        for offset in range(0, size, STEP):
            count = os.preadv(descriptor, [buffer[: min(STEP, size - offset)]], offset)
            checksum.update(buffer[:count])
            self._checkpoint()
        return checksum.value()

    def _is_verified(self, state, file):
        mark = _mark(state, file)
        return mark in self._verified or mark in self._read_marks()

    def _read_marks(self):
        """The files that any session has verified since the server started."""
        try:
            if self._marks.stat().st_size != self._marks_size:
                text = self._marks.read_text("ascii")
                self._marks_size, self._verified = len(text), frozenset(text.splitlines())
        except FileNotFoundError:
            self._remove_old_marks()
        return self._verified

    def _mark(self, state, file):
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._marks, flags, 0o600)
        try:
            os.write(descriptor, f"{_mark(state, file)}\n".encode())
        finally:
            os.close(descriptor)

    def _remove_old_marks(self):
        for path in self._folder.glob(f"{MARKS}*"):
            _unlink(path)

    # Building

    def _locked_partial(self, path):
        """A new empty file, locked by this process; None if a living session is building it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        while True:
            try:
                descriptor = os.open(path, flags, 0o400)
            except FileExistsError:
                if not _remove_if_abandoned(path):
                    return None
                continue
            if _lock(descriptor) and is_at(descriptor, path):
                return descriptor
            os.close(descriptor)  # another session removed it as abandoned before it was locked

    def _write(self, descriptor, file, fill, limits, keep):
        with self._admission():
            self._make_room(file_size(file), limits, keep)
            with self._full_disk(file, limits):
                os.posix_fallocate(descriptor, 0, file_size(file))
        self._bring_in(descriptor)
        writer = Writer(descriptor, self._checkpoint)
        with self._full_disk(file, limits):
            fill(writer.write)
            writer.finish(file)
        os.utime(descriptor)

    @contextmanager
    def _full_disk(self, file, limits):
        """Turn the system's errors of a full disk into ours."""
        try:
            yield
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _full(file_size(file), self._free(), limits) from None

    # Space. Making space holds the lock of the root until it is allocated, so no other session counts it as free.

    @contextmanager
    def _admission(self):
        descriptor = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            while not _lock(descriptor):
                self._checkpoint()
                time.sleep(SECONDS_BETWEEN_TRIES)
            yield
        finally:
            os.close(descriptor)

    def _make_room(self, size, limits, keep):
        if time.monotonic() - self._counted > RECOUNT:
            self._remove_abandoned()
            self._count()
        if not self._fits(size, limits):
            for entry in sorted(self.entries(), key=lambda entry: entry.last_used):
                if entry.name not in keep and not self._fits(size, limits):
                    _unlink(entry.path)
                    self._used -= entry.size
            self._refuse(size, self._used, self._free(), limits)
        self._used += size

    def _fits(self, size, limits):
        return self._used + size <= limits.size and self._free() - size >= limits.free

    def _count(self):
        self._used = sum(state.st_size for _, state in self._files())
        self._counted = time.monotonic()

    def _refuse(self, size, used, free, limits):
        if used + size > limits.size:
            raise errors.limit_exceeded(
                "the packed weights are larger than their limit",
                f"{_megabytes(used + size)} are needed together, llm_runtime.pack_limits() allows "
                f"{_megabytes(limits.size)}",
                "A superuser can replace that function; SET llm.engine = 'numpy' computes without packed weights.",
            )
        if free - size < limits.free:
            raise _full(size, free, limits)

    def _free(self):
        state = os.statvfs(self._root)
        return state.f_bavail * state.f_frsize

    def _files(self):
        """(path, state) of every file of packed weights, partial ones too."""
        for folder in os.scandir(self._root):
            for file in os.scandir(folder):
                if not file.name.startswith(MARKS):
                    with suppress(FileNotFoundError):  # evicted since
                        yield Path(file.path), file.stat(follow_symlinks=False)

    def _remove_abandoned(self):
        for path, _ in self._files():
            if path.suffix == PARTIAL:
                _remove_if_abandoned(path)


def private_folder(path):
    """Make the folder and its parents, unless they exist. ModelError 55000 if others can enter it.

    llm_runtime.boot() has the same function with the same messages, for the folder of the modules.
    """
    path = Path(path)
    if not path.parent.exists():
        private_folder(path.parent)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    state = path.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or stat.S_IMODE(state.st_mode) != 0o700:
        raise errors.ModelError(
            "55000",
            f'"{path}" is not a folder that only the server can enter',
            "Its owner must be the account of the server, its mode 0700.",
            "Remove it; it is made again when it is needed.",
        )
    return path


def file_size(file):
    """Bytes of a PackedFile on the disk."""
    return in_whole_pages(file.size + TRAILER.size)


def _mark(state, file):
    return f"{file.name} {state.st_ino} {state.st_mtime_ns}"


def _lock(descriptor):
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_at(descriptor, path):
    """Whether the path still leads to the open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _remove_if_abandoned(path):
    """Unlink a partial file without a lock, whose builder was killed. False if it is locked."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        if not _lock(descriptor):
            return False
        if is_at(descriptor, path):
            path.unlink()
        return True
    finally:
        os.close(descriptor)


def _unlink(path):
    """Unlink a file. Returns whether there was one."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _full(size, free, limits):
    return errors.disk_full(
        "the disk is too full for packed weights",
        f"{_megabytes(size)} are needed, {_megabytes(max(0, free))} are free and {_megabytes(limits.free)} stay free",
        "Free space on the disk of the data directory; SET llm.engine = 'numpy' computes without packed weights.",
    )


def _megabytes(size):
    return f"{size / 1e6:.0f} MB"
