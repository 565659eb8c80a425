"""Maps many files into one range of addresses, so that they form one flat read-only array.

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
