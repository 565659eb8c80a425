"""How fast this machine reads memory: the limit of a token at a time, which takes every weight once."""

import mmap
import time

import numpy as np
from numba import njit

from plpython.simd.memory import array_at, load_bytes, store
from plpython.simd.registers import NJIT_OPTIONS, fill, i32
from plpython.simd.threads import new_state, team

SIZE = 1 << 29  # bytes, far more than any cache
LONG_ENOUGH = 0.2  # seconds


@njit(**NJIT_OPTIONS)
def read_bytes(thread, threads, _state, address, like, size, out):
    """Read every byte of this thread's part once, four registers at a time; the threads share nothing."""
    part = size // threads // 256 * 256
    memory = array_at(address + thread * part, part, like)
    a, b, c, d = load_bytes(memory, 0, i32), load_bytes(memory, 0, i32), load_bytes(memory, 0, i32), fill(0, i32)
    for at in range(0, part, 256):
        a = a + load_bytes(memory, at, i32)
        b = b + load_bytes(memory, at + 64, i32)
        c = c + load_bytes(memory, at + 128, i32)
        d = d + load_bytes(memory, at + 192, i32)
    store(out, thread * 16, (a + b) + (c + d))


def memory(size: int = SIZE) -> np.ndarray:
    """uint8[size] of memory that is there, in huge pages where the system has them."""
    pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    pages.madvise(mmap.MADV_HUGEPAGE)
    buffer = np.frombuffer(pages, np.uint8)
    buffer[:] = 1
    return buffer


def bandwidth(buffer: np.ndarray, threads: int) -> float:
    """GB/s at which threads read the buffer; of processor time for one thread, so that a neighbour matters little."""
    out, size, state = np.zeros(16 * threads, np.int32), buffer.size // 256 * 256, new_state(0)
    clock = time.thread_time if threads == 1 else time.perf_counter
    began, read = clock(), 0
    while clock() - began < LONG_ENOUGH:
        team(threads).run(read_bytes, state, buffer.ctypes.data, buffer[:0], size, out)
        read += size
    return read / (clock() - began) / 1e9
