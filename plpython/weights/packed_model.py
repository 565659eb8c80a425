"""A packed model: one flat buffer of packed tensors, and a directory of where each tensor is.

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
