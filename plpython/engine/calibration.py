"""Measures at which distances this machine's products prefetch best; see kernels/prefetching. Takes some seconds.

Each product reads a matrix that is larger than most caches, at each distance in turn, several times. The distance with
the least median of processor times is chosen. Times of a busy machine choose well for a busy machine only, so a DBA can
measure again.
"""

import os
import statistics
import time

import numpy as np

from ..kernels import packing, prefetching
from ..kernels.elementwise import new_codes
from ..kernels.groups import COLUMNS, GROUP, ROWS, Activations, Rows, group_count
from ..kernels.matrix import linear
from ..simd.registers import entry
from ..weights.packed_model import PackedModel, writable_memory

CANDIDATES = (0, 512, 1024, 2048, 4096, 8192, 16384)
SIZE = 1 << 28  # bytes of the matrix, if a quarter of the free memory is as much
COLUMNS_MEASURED = 1536
WEIGHTS_AT_ONCE = 1 << 16  # of a call, as a thread claims them
MEASUREMENTS = 3
FILLING = 0x11  # every byte of the matrices: all scales and weights are small numbers
TYPE_OF_KIND = {"blocks": "Q4_K", "floats": "F16"}


@entry
def multiply(weights, matrix, x, codes, tokens, out):
    """The products of a matrix with some tokens, in the pieces that a thread claims; the rows of `out` overlap."""
    groups, step = group_count(matrix[ROWS]), max(2, WEIGHTS_AT_ONCE // (matrix[COLUMNS] * GROUP) // 2 * 2)
    for begin in range(0, groups, step):
        given = Activations(Rows(x, 0, matrix[COLUMNS]), codes, 0)
        linear(weights, matrix, begin, min(groups, begin + step), given, tokens, Rows(out, 0, GROUP))


def measure():
    """The best distance of each product: {name in prefetching.PRODUCTS: bytes}. Those in use stay as they were."""
    before = prefetching.DISTANCES.copy()
    try:
        memory = writable_memory(_size())
        memory[:] = FILLING
        return {name: _best(number, name, memory) for number, name in enumerate(prefetching.PRODUCTS)}
    finally:
        prefetching.DISTANCES[:] = before


def _size():
    """Bytes of the matrices."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(SIZE, free // 4 // (1 << 20) * (1 << 20))


def _best(number, name, memory):
    """The best distance of the product with this number and name."""
    kind, tokens = name.split()
    product = _product(TYPE_OF_KIND[kind], int(tokens), memory)
    times = {distance: [] for distance in CANDIDATES}
    for _ in range(MEASUREMENTS):
        for distance in CANDIDATES:
            prefetching.DISTANCES[number] = distance
            times[distance].append(_seconds(product))
    return min(CANDIDATES, key=lambda distance: statistics.median(times[distance]))


def _product(type, tokens, memory):
    """A function that multiplies a matrix as large as the memory with some tokens."""
    layout = packing.layout_of(type, (GROUP, COLUMNS_MEASURED))
    rows = memory.size // packing.packed_bytes(type, (GROUP, COLUMNS_MEASURED)) * GROUP
    packed = PackedModel(memory, {"matrix": [layout, 0, rows, COLUMNS_MEASURED]})
    x, codes = np.zeros(tokens * COLUMNS_MEASURED, np.float32), new_codes(tokens * COLUMNS_MEASURED)
    out, matrix = np.zeros(rows + tokens * GROUP, np.float32), packed.entry("matrix")
    return lambda: multiply(packed.weights, matrix, x, codes, tokens, out)


def _seconds(action):
    """The processor time of this thread that an action takes."""
    began = time.thread_time()
    action()
    return time.thread_time() - began
