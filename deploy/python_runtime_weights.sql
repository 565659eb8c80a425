-- Deploy hartonomous:python_runtime_weights to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/weights/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.weights__address_space()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Maps many files into one range of addresses, so that they form one flat read-only array.

The kernels see a model as one buffer with offsets, but its tensors are separate files, which other models share. So a
range of addresses is reserved first, which costs no memory, and each file is mapped at its offset. All sessions of the
server share the pages of a file. Addresses of the range that no file covers must not be read.

Memory is read a third faster in pages of 2 MiB than in pages of 4 KiB. Linux uses huge pages for a file if it fills
them, was read into memory in them, and is mapped at a multiple of 2 MiB. This module provides all three.
"""

import ctypes
import errno
import mmap
import os
from contextlib import suppress

from ..server import errors

MEMORY_PAGE = mmap.PAGESIZE
HUGE_PAGE = 1 << 21
ALIGNMENT = 64  # of files smaller than a huge page
PROT_NONE = 0
MAP_FIXED, MAP_NORESERVE, MADV_POPULATE_READ = 0x10, 0x4000, 22  # Linux; the mmap module has no names for them
FAILED = ctypes.c_void_p(-1).value

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def side_by_side(sizes):
    """(offsets of files of these sizes in a range, the size of the range)."""
    offsets, end = [], 0
    for size in sizes:
        start = rounded_up(end, HUGE_PAGE if size >= HUGE_PAGE else MEMORY_PAGE)
        offsets.append(start)
        end = start + size
    return offsets, rounded_up(max(end, 1), MEMORY_PAGE)


def rounded_up(size, unit):
    """The next multiple of `unit`."""
    return -(-size // unit) * unit


def in_whole_pages(size):
    """The padded size of a file of so many bytes: up to the end of its last huge page, if it fills one."""
    return rounded_up(size, HUGE_PAGE if size >= HUGE_PAGE else ALIGNMENT)


def in_huge_pages(memory, checkpoint):
    """Read an mmap.mmap of a file into memory in huge pages, if the system has them.

    The first access to a huge page creates it, unless read-ahead has filled the range with small pages. So read-ahead
    is turned off. The access is a system call, so that a failing disk is an error and not a signal. checkpoint() may
    end it.
    """
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with suppress(OSError):
            memory.madvise(mmap.MADV_HUGEPAGE)
            memory.madvise(mmap.MADV_RANDOM)
            for start in range(0, len(memory), HUGE_PAGE):
                memory.madvise(MADV_POPULATE_READ, start, MEMORY_PAGE)
                checkpoint()


class Mapping:
    """`size` bytes of addresses. numpy.asarray(mapping) is a read-only uint8[size] that keeps it alive."""

    def __init__(self, size):
        self.size = rounded_up(size, MEMORY_PAGE)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE
        self._reserved = _map(None, self.size + HUGE_PAGE, PROT_NONE, flags, -1)
        self.address = rounded_up(self._reserved, HUGE_PAGE)
        self.__array_interface__ = {"version": 3, "shape": (self.size,), "typestr": "|u1", "data": (self.address, True)}

    def place(self, offset, file, size):
        """Map the first `size` bytes of a file descriptor at `offset`, a multiple of the page size.

        The file must be that long, and stay so: touching what a file has lost is a signal that ends the server.
        """
        if offset % MEMORY_PAGE or offset < 0 or offset + size > self.size:
            raise ValueError(f"{size} bytes at {offset} are no place in a range of {self.size}")
        address = _map(self.address + offset, size, mmap.PROT_READ, mmap.MAP_SHARED | MAP_FIXED, file)
        _libc.madvise(address, size, getattr(mmap, "MADV_HUGEPAGE", 0))  # 0 is no advice; a refusal does no harm

    def __del__(self):
        if getattr(self, "_reserved", None) is not None:
            _libc.munmap(self._reserved, self.size + HUGE_PAGE)


def _map(address, size, protection, flags, file):
    mapped = _libc.mmap(address, size, protection, flags, file, 0)
    if mapped == FAILED:
        number = ctypes.get_errno()
        if number == errno.ENOMEM:
            raise errors.out_of_memory(f"{size} bytes of addresses cannot be mapped", os.strerror(number))
        raise OSError(number, os.strerror(number))
    return mapped
$python$;

REVOKE ALL ON FUNCTION llm_runtime.weights__address_space() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.weights__address_space() IS
'Maps many files into one range of addresses, so that they form one flat read-only array.';

CREATE OR REPLACE FUNCTION llm_runtime.weights__packed_files()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packed tensors as files that all sessions of a server share: built once, checked, evicted.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.weights__packed_files() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.weights__packed_files() IS
'Packed tensors as files that all sessions of a server share: built once, checked, evicted.';

CREATE OR REPLACE FUNCTION llm_runtime.weights__packed_model()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A packed model: one flat buffer of packed tensors, and a directory of where each tensor is.

A directory is {tensor name: [layout number, offset, rows, columns]}: offsets in bytes, multiples of 64; a vector is one
row. `weights/shared` maps a buffer from files; `pack_model` packs one in memory, for tests, warm-up and benchmarks.
"""

import hashlib
import mmap

import numpy as np

from ..kernels import dispatch, prefetching
from ..kernels.dispatch import LAYOUT_NAMES
from ..kernels.groups import ABSENT, CACHE_LINE, Weights
from ..kernels.packing import layout_of, pack_rows, packed_bytes
from ..server import errors


def directory_entry(type, shape, offset):
    """What a directory says of a tensor whose packed bytes begin at `offset`. Raises what packing.layout_of does."""
    return [layout_of(type, shape), offset, shape[0] if len(shape) > 1 else 1, shape[-1]]


def pack_model(tensors):
    """Pack {name: (type, shape, raw bytes)} into a PackedModel in this process's memory; equal tensors are packed once.

    Raises what packing.pack_rows does.
    """
    directory, distinct, size = {}, {}, 0
    for name, (type, shape, content) in tensors.items():
        raw = np.frombuffer(content, np.uint8)
        offset, *_ = distinct.setdefault((hashlib.sha256(raw).digest(), type, tuple(shape)), (size, type, shape, raw))
        directory[name] = directory_entry(type, shape, offset)
        if offset == size:
            size += -(-packed_bytes(type, shape) // CACHE_LINE) * CACHE_LINE
    buffer = writable_memory(size)
    for offset, type, shape, raw in distinct.values():
        pack_rows(raw, type, shape, 0, buffer[offset : offset + packed_bytes(type, shape)])
    return PackedModel(buffer, directory)


class PackedModel:
    """The weights in a buffer, uint8, as the engine and the kernels read them.

    Raises ModelError 22023 if the buffer does not begin at a multiple of 64 in memory.
    """

    def __init__(self, buffer, directory):
        self.buffer, self.directory = np.frombuffer(buffer, np.uint8), directory
        if self.buffer.ctypes.data % CACHE_LINE:
            raise errors.invalid_parameter("a packed model must be aligned to 64 bytes")
        whole = self.buffer[: self.buffer.size // 4 * 4]
        arrays = (_read_only(whole.view(dtype)) for dtype in (np.uint8, np.uint16, np.float32))
        self.weights = Weights(*arrays, dispatch.ADDRESSES, prefetching.DISTANCES)

    def entry(self, name):
        """A tensor's row of the weight table, int64 [4]; loads the kernels of its layout.

        Raises KeyError for an unknown name, ModelError 0A000 for an unknown layout.
        """
        layout, *others = self.directory[name]
        if layout not in LAYOUT_NAMES:
            raise errors.not_supported(
                f'tensor "{name}" is packed in the unknown layout {layout}',
                f"known are {', '.join(LAYOUT_NAMES.values())}",
            )
        dispatch.load(layout)
        return np.array([layout, *others], np.int64)

    def entry_or_absent(self, name):
        """The same; a row of zeros, whose layout is ABSENT, for an unknown name."""
        return self.entry(name) if name in self.directory else np.array([ABSENT, 0, 0, 0], np.int64)

    def vector(self, name):
        """A vector such as a norm or a bias, f32[columns]; None for an unknown name."""
        if name not in self.directory:
            return None
        _, offset, _, columns = self.directory[name]
        return self.weights.f32[offset // 4 : offset // 4 + columns]


def writable_memory(size):
    """Zeroed memory, uint8[size], in huge pages: with pages of 4 KB reading reaches two thirds of the speed."""
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, np.uint8)


def _read_only(array):
    array.flags.writeable = False  # numba has another type for read-only arrays: all weights must have the same
    return array
$python$;

REVOKE ALL ON FUNCTION llm_runtime.weights__packed_model() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.weights__packed_model() IS
'A packed model: one flat buffer of packed tensors, and a directory of where each tensor is.';

CREATE OR REPLACE FUNCTION llm_runtime.weights__shared()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A model's packed weights in memory that all sessions share: packed once a machine, mapped by each session.

A tensor is a file named by the hash of its content. So an edited tensor is packed alone, models share equal tensors,
and after ROLLBACK the old files are found again. The smaller tensors of a layer share a file (`weights/tensor_groups`).
Files are built from tiles, whose hashes are checked.
"""

import functools
import hashlib
import os
import time
from collections import namedtuple

import numpy as np

from ..kernels import blocks, dispatch, floats, grids, groups, packers, packing, superblocks
from ..server import background, database, errors, interrupts, messages, module_files
from . import packed_files, tensor_groups
from . import tensors as weights
from .address_space import Mapping, side_by_side
from .packed_model import PackedModel, directory_entry

TRIES = 5  # to open files that may be evicted between packing and opening
BLOCK_ROWS = 64  # rows from a multiple of it on, packed alone, are what they are in the packed tensor
SECONDS_BEFORE_NOTICE = 1
SECONDS_BETWEEN_REPORTS = 0.1  # seconds between messages that say how far packing is
SECONDS_BETWEEN_CHECKS = 0.01  # seconds between checks of files that another session builds

SERVER_START = database.Query(
    "SELECT (1000000 * extract(epoch FROM pg_catalog.pg_postmaster_start_time()))::bigint::text AS start"
)
LIMITS = database.Query("SELECT l.bytes, l.free_bytes FROM llm_runtime.pack_limits() AS l")
PACK = database.Query("SELECT llm_store.pack_model($1, $2) AS bytes", "bytea", "text")

# A packed_files.PackedFile, its weights.Tensors and their offsets: 0, or after the table of a group.
Part = namedtuple("Part", "file members")


@functools.cache
def files():
    """The files of this server: beside the folder of the modules, below the data directory."""
    root = module_files.home().parent / "packed"
    kernels = groups, floats, blocks, superblocks, packers, grids, *dispatch.LAYOUT_MODULES
    modules = (packing, *kernels, tensor_groups, packed_files)
    edition = hashlib.sha256(b"".join(module_files.file_of(module).read_bytes() for module in modules)).hexdigest()[:16]
    return packed_files.PackedFiles(root, edition, SERVER_START.one()["start"], interrupts.checkpoint)


def parts(tensors):
    """The Parts of some tensors of a model, each file once. Raises ModelError 0A000 for one that cannot be packed.

    All tensors of a layer must be given, or none, because they may share a file.
    """
    return [Part(*part) for part in tensor_groups.files_of(tensors)]


def attach(tensors, name, hash):
    """The PackedModel of tensors of the model `name` of that hash. llm_store.pack_model packs those that are missing.

    It runs with the caller's rights, and needs no right to read weights. Mapped files stay usable after an eviction.
    """
    missing = wanted = parts(tensors)
    offsets, size = side_by_side(packed_files.file_size(part.file) for part in wanted)
    offsets = dict(zip((part.file for part in wanted), offsets, strict=True))
    mapping = Mapping(size)
    for _ in range(TRIES):
        missing = [part for part in missing if not _placed(mapping, part, offsets[part.file])]
        if not missing:
            directory = {
                tensor.name: directory_entry(tensor.type, tensor.shape, offsets[part.file] + at)
                for part in wanted
                for tensor, at in part.members
            }
            return PackedModel(np.asarray(mapping), directory)
        pack_model(hash, name)
    raise errors.limit_exceeded(
        f'the packed weights of model "{name}" are evicted as fast as they are packed',
        f"{len(missing)} of {len(wanted)} files are missing",
        "llm_runtime.pack_limits() must leave room for all models that are used at once.",
    )


def pack_model(hash, name):
    """Pack missing tensors of the model of that hash, with the owner's rights. -> bytes of its packed weights."""
    return PACK.one(hash, name)["bytes"]


def touch(tensors):
    """Record that a model's files are in use, so that others are evicted first."""
    files().touch(part.file.name for part in parts(tensors))


def pack(tensors, name):
    """Build the missing files of the model `name`, together with other sessions. -> bytes of all its files."""
    wanted = parts(tensors)
    _prepare(tensors)
    keep = {part.file.name for part in wanted}
    limits = LIMITS.one()
    limits = packed_files.Limits(limits["bytes"], limits["free_bytes"])
    missing = [part for part in wanted if not _is_there(part)]
    files().check_room(sum(packed_files.file_size(part.file) for part in missing), limits, keep)
    progress, built = Progress(name, missing), []
    try:
        while missing:
            busy = []
            for part in missing:
                if files().build(part.file, functools.partial(_fill, part, progress), limits, keep):
                    progress.finish(part)
                    built.append(part)
                else:
                    busy.append(part)
            if len(busy) == len(missing):
                interrupts.checkpoint()
                time.sleep(SECONDS_BETWEEN_CHECKS)
            missing = busy
    except errors.ModelError as error:
        if error.sqlstate == errors.DISK_FULL:
            files().remove({part.file.name for part in built})
        raise
    return sum(part.file.size for part in wanted)


def _prepare(tensors):
    """Compile the kernels of encodings that llm.warm_up() leaves out, so that no question has to wait for that."""
    types = {tensor.type for tensor in tensors if len(tensor.shape) > 1}
    for type in sorted(types):
        if not packing.is_prepared(type):
            background.Background(packing.prepare, type).result()


class Progress:
    """Tells the client how far packing is, in bytes of the tensors as they are stored.

    A notice says once that packing takes a while. Clients that receive DEBUG2 also get "packed N of TOTAL bytes", at
    the beginning, at the end, and ten times a second between. `hartonomous load` reads them.
    """

    def __init__(self, name, missing):
        self._name = name
        self._total = sum(map(_stored_bytes, missing))
        self._finished = self._unfinished = 0  # bytes of finished files, and of the one that is being built
        self._begin = time.monotonic()
        self._noticed, self._reported = False, -SECONDS_BETWEEN_REPORTS
        if missing:
            self._report(self._begin)

    def tick(self, size):
        """Called after each tile, with its bytes."""
        interrupts.checkpoint()
        self._unfinished += size
        now = time.monotonic()
        if not self._noticed and now - self._begin > SECONDS_BEFORE_NOTICE:
            self._noticed = True
            self._notice()
        if now - self._reported > SECONDS_BETWEEN_REPORTS:
            self._report(now)

    def finish(self, part):
        """Called when a file is complete, whichever session has built it."""
        self._finished, self._unfinished = self._finished + _stored_bytes(part), 0
        if self._finished == self._total:
            self._report(time.monotonic())

    def _report(self, now):
        self._reported = now
        messages.debug(f"packed {self._finished + self._unfinished} of {self._total} bytes")

    def _notice(self):
        messages.notice(
            f'packing model "{self._name}", {self._total / 1e6:.0f} MB',
            hint="This happens once; all sessions share what is packed. SELECT llm.pack(model) does it ahead.",
        )


def _stored_bytes(part):
    """The bytes of a file's tensors as they are stored in the database; tensors with equal content count once."""
    return sum({at: tensor.bytes for tensor, at in part.members}.values())


def _fill(part, progress, write):
    """Write the content of a file: its table, and its tensors, packed, at their places."""
    table = tensor_groups.table_of(part.members)
    write(table)
    end = len(table)
    for at, tensor in {at: tensor for tensor, at in part.members}.items():  # equal tensors have one place
        write(bytes(at - end))
        _write_tensor(tensor, progress, write)
        end = at + packing.packed_bytes(tensor.type, tensor.shape)
    write(bytes(part.file.size - end))


def _write_tensor(tensor, progress, write):
    """Write a packed tensor, tile by tile, so that it is never in the session's memory as a whole."""
    if tensor.rows_per_tile == 0 or len(tensor.shape) == 1:
        raw = weights.raw(tensor)
        raw.flags.writeable = False  # as tiles are, because numba compiles for read-only and writable arrays separately
        write(packing.pack_tensor(raw, tensor.type, tensor.shape))
        progress.tick(tensor.bytes)
        return
    rows, row, block = tensor.shape[0], 0, _Block(tensor)
    for tile in weights.tiles(tensor):
        row += min(tensor.rows_per_tile, rows - row)
        write(block.packed(tile, row))
        progress.tick(len(tile))
    if row != rows:
        raise errors.corrupt_data(f'tensor "{tensor.name}" is corrupt', f"its tiles hold {row} rows, expected {rows}")


class _Block:
    """Packs the rows of a tile into one small buffer, after rows of the tile before that did not fill BLOCK_ROWS."""

    def __init__(self, tensor):
        self._type, (self._rows, self._columns) = tensor.type, tensor.shape
        self._buffer = np.empty(self._bytes(tensor.rows_per_tile + BLOCK_ROWS), np.uint8)
        self._first = self._next = 0  # the first row in the buffer, and the first row of the next tile
        self._rest = self._buffer[:0]  # what is packed and not returned

    def packed(self, tile, end):
        """The packed bytes of all rows up to row `end`, or, before the last row, up to a multiple of BLOCK_ROWS."""
        rows = end - self._first
        block = self._buffer[: self._bytes(rows)]
        kept = len(self._rest)
        block[:kept] = self._rest
        block[kept:] = 0
        packing.pack_rows(tile, self._type, (rows, self._columns), self._next - self._first, block)
        whole = end if end == self._rows else end - end % BLOCK_ROWS
        size = self._bytes(whole - self._first)
        self._first, self._next, self._rest = whole, end, block[size:]
        return block[:size]

    def _bytes(self, rows):
        return packing.packed_bytes(self._type, (rows, self._columns))


def _placed(mapping, part, offset):
    """Map a file at its offset. False if there is no valid file."""
    descriptor = _opened(part)
    if descriptor is None:
        return False
    try:
        mapping.place(offset, descriptor, packed_files.file_size(part.file))
    finally:
        os.close(descriptor)
    return True


def _is_there(part):
    descriptor = _opened(part)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _opened(part):
    """A descriptor of the file, or None. A damaged file is removed, so that it is built again."""
    try:
        return files().open(part.file)
    except packed_files.DamagedError as damage:
        messages.warning(
            f"the packed file of {_what_is_in(part)} is damaged and is built again",
            str(damage),
            "If this comes again, the disk of the data directory may be failing.",
        )
        files().discard(part.file)
        return None


def _what_is_in(part):
    (first, _), *others = part.members
    more = f" and {len(others)} more of its layer" if others else ""
    return f'tensor "{first.name}"{more}'
$python$;

REVOKE ALL ON FUNCTION llm_runtime.weights__shared() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.weights__shared() IS
'A model''s packed weights in memory that all sessions share: packed once a machine, mapped by each session.';

CREATE OR REPLACE FUNCTION llm_runtime.weights__tensor_groups()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Which tensors of a model lie together in one packed file, and the table in front of them that says so.

Memory is read a third faster in huge pages, of which a file has as many as fit into it. What is left over at the end of
each file, and files smaller than a huge page, cost a model of small tensors a sixth of its speed. So the tensors of a
layer that are smaller than LARGE share a file, one after the other, if together they fill a huge page. A group is as
small as that allows, since an edit of any of its tensors packs all of them anew.

    <SHA-256 of the tensor>.<layout>     the packed tensor
    <SHA-256 of the table>.layer         a table: u64 count, zeros to 64 bytes; for each tensor its SHA-256, u64 layout,
                                         u64 bytes, zeros to 64 bytes; then the packed tensors at multiples of 64
"""

import hashlib
import re
import struct

from ..kernels.dispatch import LAYOUT_NAMES
from ..kernels.groups import CACHE_LINE
from ..kernels.packing import layout_of, packed_bytes
from .address_space import HUGE_PAGE
from .packed_files import PackedFile

GROUP_KIND = "layer"  # the end of a group's name
LARGE = 8 * HUGE_PAGE  # what fills up its last huge page is then an eighth at most
LAYER = re.compile(r"blk\.\d+\.")
HEAD, ROW = struct.Struct("<Q56x"), struct.Struct("<32sQQ16x")


def files_of(tensors):
    """(PackedFile, [(tensor, offset), ...]) of each file that the tensors make, in the order of their first tensors.

    Tensors with equal content have one place. ModelError 0A000 for a tensor that cannot be packed.
    """
    groups = {}
    for tensor in tensors:
        layer = _layer_of_small(tensor)
        groups.setdefault((layer, None if layer else tensor.name), []).append(tensor)
    files = {}
    for (layer, _), members in groups.items():
        different = {tensor.hash: tensor for tensor in members}.values()
        together = layer is not None and sum(map(_size, different)) >= HUGE_PAGE
        for some in [members] if together else [[tensor] for tensor in members]:
            file, places = _side_by_side(some) if together else (_file_of(some[0]), [(some[0], 0)])
            files.setdefault(file, []).extend(places)
    return list(files.items())


def table_of(members):
    """The table in front of a group; nothing for a file of one tensor."""
    return _table(members) if members[0][1] > 0 else b""


def tensors_in(path):
    """[(SHA-256, layout, bytes), ...] of what is in a packed file, by its name, and of a group by its table.

    None of a group whose table is damaged, which is found out when it is opened. Raises FileNotFoundError.
    """
    hash, _, kind = path.name.partition(".")
    if kind != GROUP_KIND:
        return [(bytes.fromhex(hash), kind, path.stat().st_size)]
    try:
        with path.open("rb") as file:
            (count,) = HEAD.unpack(file.read(HEAD.size))
            table = file.read(min(count, path.stat().st_size // ROW.size) * ROW.size)
        return [(hash, LAYOUT_NAMES[layout], size) for hash, layout, size in ROW.iter_unpack(table)]
    except (struct.error, KeyError):
        return []


def _layer_of_small(tensor):
    """The layer of a tensor that may lie with others; None for one that is large or in no layer."""
    layer = LAYER.match(tensor.name)
    return layer.group() if layer and _size(tensor) < LARGE else None


def _file_of(tensor):
    return PackedFile(f"{tensor.hash.hex()}.{LAYOUT_NAMES[layout_of(tensor.type, tensor.shape)]}", _size(tensor))


def _side_by_side(tensors):
    """(PackedFile, [(tensor, offset), ...]) of a group: equal tensors once, in the order of their hashes."""
    first = {tensor.hash: tensor for tensor in tensors}
    offset, offsets = HEAD.size + len(first) * ROW.size, {}
    for hash in sorted(first):
        offsets[hash] = offset
        offset += -(-_size(first[hash]) // CACHE_LINE) * CACHE_LINE
    places = sorted(((tensor, offsets[tensor.hash]) for tensor in tensors), key=lambda place: place[1])
    return PackedFile(f"{hashlib.sha256(_table(places)).hexdigest()}.{GROUP_KIND}", offset), places


def _table(places):
    rows = {at: ROW.pack(t.hash, layout_of(t.type, t.shape), _size(t)) for t, at in places}
    return HEAD.pack(len(rows)) + b"".join(rows[at] for at in sorted(rows))


def _size(tensor):
    return packed_bytes(tensor.type, tensor.shape)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.weights__tensor_groups() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.weights__tensor_groups() IS
'Which tensors of a model lie together in one packed file, and the table in front of them that says so.';

CREATE OR REPLACE FUNCTION llm_runtime.weights__tensors()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A model's tensors as arrays, read from their tiles on demand and kept for the session.

Every tile's SHA-256 is checked as it is read, so a wrong byte is an error with the tensor's name and never an answer.
What is kept is keyed by the hash of the tensor: models that share a tensor share its array, and an edited model shares
what the edit left alone. Which models a role may use is decided by its rights when a `Weights` is made.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..model import encodings
from ..server import database, errors, interrupts

TENSORS = database.Query(
    """
    SELECT mt.name, mt.tensor_hash, t.type, t.shape, t.rows_per_tile, t.bytes
    FROM llm_store.model_tensor AS mt
    INNER JOIN llm_store.tensor AS t ON t.hash = mt.tensor_hash
    WHERE mt.model_id = $1
    ORDER BY mt.ordinal
    """,
    "integer",
)
TILES = database.Query(
    """
    SELECT tt.tile_hash, t.content
    FROM llm_store.tensor_tile AS tt
    LEFT JOIN llm_store.tile AS t ON t.hash = tt.tile_hash
    WHERE tt.tensor_hash = $1
    ORDER BY tt.ordinal
    """,
    "bytea",
)


@dataclass(frozen=True)
class Tensor:
    """A stored tensor: what it is, and how its rows lie in tiles (rows_per_tile 0: a row spans tiles)."""

    name: str
    hash: bytes
    type: str
    shape: tuple
    rows_per_tile: int
    bytes: int


class ArrayCache:
    """f32 arrays by tensor hash, up to a limit of bytes; the longest unused leave first.

    An array is not kept if that would cost one that the same model needs: a model larger than the limit is read in the
    same order again and again, and would never find anything in a cache that always drops the oldest.
    """

    def __init__(self, limit):
        self.limit = limit
        self.bytes = 0
        self._arrays = OrderedDict()

    def get(self, key):
        array = self._arrays.get(key)
        if array is not None:
            self._arrays.move_to_end(key)
        return array

    def put(self, key, array, needed=()):
        """Keep the array, unless it takes the place of an array whose key is in `needed`."""
        for oldest in list(self._arrays):
            if self.bytes + array.nbytes <= self.limit or oldest in needed:
                break
            self.bytes -= self._arrays.pop(oldest).nbytes
        if self.bytes + array.nbytes <= self.limit:
            self._arrays[key] = array
            self.bytes += array.nbytes

    def clear(self):
        self._arrays.clear()
        self.bytes = 0


def _default_limit():
    """Half of the machine's memory, at most 4 GiB."""
    return min(4 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


cache = ArrayCache(_default_limit())


class Weights(Mapping):
    """{tensor name: f32 array, read-only, in numpy's shape} of one model, each read when it is first asked for."""

    def __init__(self, model_id):
        self._tensors = {
            row["name"]: Tensor(
                row["name"], row["tensor_hash"], row["type"], tuple(row["shape"]), row["rows_per_tile"], row["bytes"]
            )
            for row in TENSORS.all(model_id)
        }
        self._hashes = {tensor.hash for tensor in self._tensors.values()}

    def __getitem__(self, name):
        """The tensor's values. Raises KeyError for an unknown name, ModelError XX001 for wrong bytes."""
        tensor = self._tensors[name]
        array = cache.get(tensor.hash)
        if array is None:
            array = decoded(tensor)
            array.flags.writeable = False
            cache.put(tensor.hash, array, needed=self._hashes)
        return array

    def __iter__(self):
        return iter(self._tensors)

    def __len__(self):
        return len(self._tensors)

    def __contains__(self, name):
        return name in self._tensors

    def tensors(self):
        """What is stored about all tensors, in the model's order."""
        return list(self._tensors.values())

    def tensor(self, name):
        """What is stored about a tensor. Raises KeyError for an unknown name."""
        return self._tensors[name]


def tiles(tensor):
    """The tensor's bytes, tile by tile, each checked. Raises ModelError XX001 for a missing or changed tile."""
    for ordinal, row in enumerate(TILES.stream(tensor.hash)):
        if row["content"] is None:
            raise corrupt(tensor, f"tile {ordinal} is missing: {row['tile_hash'].hex()}")
        actual = hashlib.sha256(row["content"]).digest()
        if actual != row["tile_hash"]:
            raise corrupt(tensor, f"tile {ordinal} hashes to {actual.hex()}, expected {row['tile_hash'].hex()}")
        yield row["content"]


def raw(tensor):
    """The tensor's bytes as they stood in the file -> uint8[bytes]."""
    content = np.empty(tensor.bytes, np.uint8)
    filled = 0
    for tile in tiles(tensor):
        if filled + len(tile) > tensor.bytes:
            raise corrupt(tensor, f"its tiles hold more than {tensor.bytes} bytes")
        content[filled : filled + len(tile)] = np.frombuffer(tile, np.uint8)
        filled += len(tile)
    if filled != tensor.bytes:
        raise corrupt(tensor, f"its tiles hold {filled} bytes, expected {tensor.bytes}")
    return content


def decoded(tensor):
    """The tensor's values -> f32 of its shape; tile by tile, so that its bytes are never all in memory beside them."""
    if tensor.rows_per_tile == 0 or len(tensor.shape) == 1:
        return encodings.decode(tensor.type, raw(tensor), tensor.shape, checkpoint=interrupts.checkpoint)
    columns = tensor.shape[-1]
    values = np.empty(tensor.shape, np.float32)
    rows = values.reshape(-1, columns)
    filled = 0
    for tile in tiles(tensor):
        count = min(tensor.rows_per_tile, len(rows) - filled)
        if count == 0:
            raise corrupt(tensor, f"its tiles hold more than {len(rows)} rows")
        rows[filled : filled + count] = encodings.decode(tensor.type, tile, (count, columns))
        filled += count
        interrupts.checkpoint()
    if filled != len(rows):
        raise corrupt(tensor, f"its tiles hold {filled} rows, expected {len(rows)}")
    return values


def corrupt(tensor, detail):
    """ModelError XX001 that names the tensor."""
    return errors.corrupt_data(
        f'tensor "{tensor.name}" is corrupt',
        detail,
        "llm.verify(model) lists every tensor that is; load the model again, or restore the database from a backup.",
    )
$python$;

REVOKE ALL ON FUNCTION llm_runtime.weights__tensors() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.weights__tensors() IS
'A model''s tensors as arrays, read from their tiles on demand and kept for the session.';

COMMIT;
