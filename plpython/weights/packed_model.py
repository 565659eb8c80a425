"""A packed model in one flat buffer: in memory, or a file that every process maps read-only.

    "HARTPACK", u32 version, u32 length of the directory, the directory, zeros to a multiple of 64, packed tensors

The directory is JSON: {name: [layout, offset, rows, columns]}, offsets in bytes from the buffer's begin, multiples of
64. Tensors with equal content share their bytes. To build a file: `plan` says its size, its first bytes and where each
tensor goes; `packing.pack_tensor` or `pack_rows` fill the places, in any order.
"""

import hashlib
import json
import mmap
import struct
from collections import namedtuple

import numpy as np

from ..kernels import dispatch
from ..kernels.dispatch import NAMES
from ..kernels.groups import ABSENT, ALIGNMENT, Weights
from ..kernels.packing import layout_bytes, layout_of, pack_rows, packed_bytes
from ..server import errors

MAGIC, VERSION = b"HARTPACK", 2
PREFIX = struct.Struct("<8sII")

Plan = namedtuple("Plan", "header size places")  # bytes; bytes of the whole; {name: (offset, bytes)}, shared ones once


def plan(tensors):
    """Lay out {name: (type, shape, content)}: tensors with the same content (a hash, any key) lie in one place."""
    places, offset, by_content = {}, 0, {}
    for name, (type, shape, content) in tensors.items():
        key = content, type, tuple(shape)
        if key not in by_content:
            by_content[key] = offset, name
            offset += _aligned(packed_bytes(type, shape))
        places[name] = by_content[key]

    def header(start):
        directory = {
            name: [layout_of(type, shape), start + places[name][0], shape[0] if len(shape) > 1 else 1, shape[-1]]
            for name, (type, shape, _) in tensors.items()
        }
        text = json.dumps(directory, separators=(",", ":")).encode()
        return (PREFIX.pack(MAGIC, VERSION, len(text)) + text).ljust(start, b"\0")

    start = _aligned(len(header(0)) + 16 * len(tensors))  # offsets grow by `start`: room for their digits
    first = {name: (start + at, packed_bytes(*tensors[name][:2])) for at, name in by_content.values()}
    return Plan(header(start), start + offset, first)


def pack_model(tensors):
    """Pack {name: (type, shape, raw bytes)} into a PackedModel in this process's memory."""
    arrays = {name: np.frombuffer(raw, np.uint8) for name, (_, _, raw) in tensors.items()}
    layout = plan({n: (type, shape, hashlib.sha256(arrays[n]).digest()) for n, (type, shape, _) in tensors.items()})
    memory = mmap.mmap(-1, layout.size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)  # with pages of 4 KB reading runs at two thirds of the memory's speed
    buffer = np.frombuffer(memory, np.uint8)
    buffer[: len(layout.header)] = np.frombuffer(layout.header, np.uint8)
    for name, (offset, size) in layout.places.items():
        type, shape, _ = tensors[name]
        pack_rows(arrays[name], type, shape, 0, buffer[offset : offset + size])
    return PackedModel(buffer)


class PackedModel:
    """The directory and the weights of a buffer, uint8, that begins at a multiple of 64 in memory.

    Raises ModelError XX001 when the buffer is not a packed model of this version, or is cut short.
    """

    def __init__(self, buffer, directory=None):
        """directory: what the buffer's own would say, for a buffer that has none in front."""
        self.buffer = np.frombuffer(buffer, np.uint8)
        if self.buffer.ctypes.data % ALIGNMENT:
            raise errors.invalid_parameter("a packed model must be aligned to 64 bytes")
        self.directory = self._read_directory() if directory is None else directory
        whole = self.buffer[: self.buffer.size // 4 * 4]
        arrays = (_read_only(whole.view(dtype)) for dtype in (np.uint8, np.uint16, np.float32))
        self.weights = Weights(*arrays, dispatch.ADDRESSES)

    def entry(self, name):
        """A tensor's row of the engine's table of weights, int64 [4].

        Raises KeyError for an unknown name, ModelError 0A000 for a layout that the engine cannot compute with.
        """
        layout, *place = self.directory[name]
        if layout not in NAMES:
            raise errors.not_supported(
                f'tensor "{name}" is packed in the unknown layout {layout}', f"known are {', '.join(NAMES.values())}"
            )
        dispatch.load(layout)
        return np.array([layout, *place], np.int64)

    def entry_or_absent(self, name):
        """The same; a row of zeros for a name that the model lacks."""
        return self.entry(name) if name in self.directory else np.array([ABSENT, 0, 0, 0], np.int64)

    def vector(self, name):
        """A norm, bias or other vector as f32[columns]; None when the model has none of the name."""
        if name not in self.directory:
            return None
        _, offset, _, columns = self.directory[name]
        return self.weights.f32[offset // 4 : offset // 4 + columns]

    def _read_directory(self):
        if self.buffer.size < PREFIX.size:
            raise errors.corrupt_data("the packed model is cut short", f"it has {self.buffer.size} bytes")
        magic, version, length = PREFIX.unpack(self.buffer[: PREFIX.size].tobytes())
        if magic != MAGIC or version != VERSION:
            raise errors.corrupt_data("this is not a packed model", f"it begins with {magic!r}, version {version}")
        try:
            directory = json.loads(self.buffer[PREFIX.size : PREFIX.size + length].tobytes())
        except ValueError as error:
            raise errors.corrupt_data("the packed model's directory is damaged", str(error)) from None
        for name, (layout, offset, rows, columns) in directory.items():
            if layout not in NAMES or offset % ALIGNMENT or offset < PREFIX.size + length or min(rows, columns) < 0:
                raise errors.corrupt_data(f'the packed model\'s entry for "{name}" is damaged')
            end = offset + layout_bytes(layout, rows, columns)
            if end > self.buffer.size:
                raise errors.corrupt_data(
                    "the packed model is cut short", f'"{name}" ends at byte {end}, there are {self.buffer.size}'
                )
        return directory


def _aligned(size):
    return -(-size // ALIGNMENT) * ALIGNMENT


def _read_only(array):
    array.flags.writeable = False  # a read-only array has its own numba type, so all weights are read-only
    return array
