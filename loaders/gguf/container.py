"""GGUF, the container: header, metadata, tensor directory (github.com/ggml-org/ggml, docs/gguf.md), versions 2 and 3.

Types, block sizes and names come from the `gguf` package. Its GGUFReader is not used here, because it trusts the file:
a length of 2^64 ends in a MemoryError, a wrong offset in an assertion, and it makes a numpy array of each string, which
takes seconds and half a gigabyte for a vocabulary of 150,000. Here every length is compared with what is left of the
file before anything is read, and strings stay bytes until someone asks. The tests hold the two against each other.

The rules are those of llama.cpp's gguf.cpp, so that what it loads is accepted: keys and names are unique, tensors lie
in order without gaps beyond the alignment. A file that ends where its tensor data would begin is a container without
data, as vocabulary files are.
"""

import math
import struct
from dataclasses import dataclass

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGUF_DEFAULT_ALIGNMENT, GGMLQuantizationType, GGUFValueType

from ..errors import SourceError

GGUF_MAGIC = b"GGUF"
VERSIONS = (2, 3)
UNKNOWN_TYPE = "number"
LONGEST_KEY = 65_535
LONGEST_TENSOR_NAME = 63  # GGML_MAX_NAME less its final NUL
MOST_DIMENSIONS = 4
LARGEST_INT64 = (1 << 63) - 1
SMALLEST_PAIR = 8 + 4 + 1  # key length, type, one byte of value
SMALLEST_TENSOR = 8 + 4 + 4 + 8  # name length, dimensions, type, offset

NUMBERS = {
    GGUFValueType.UINT8: np.dtype("<u1"),
    GGUFValueType.INT8: np.dtype("<i1"),
    GGUFValueType.UINT16: np.dtype("<u2"),
    GGUFValueType.INT16: np.dtype("<i2"),
    GGUFValueType.UINT32: np.dtype("<u4"),
    GGUFValueType.INT32: np.dtype("<i4"),
    GGUFValueType.FLOAT32: np.dtype("<f4"),
    GGUFValueType.UINT64: np.dtype("<u8"),
    GGUFValueType.INT64: np.dtype("<i8"),
    GGUFValueType.FLOAT64: np.dtype("<f8"),
    GGUFValueType.BOOL: np.dtype("?"),
}


@dataclass(frozen=True)
class TensorEntry:
    """A row of the tensor directory; `offset` is from the beginning of the file, `shape` in numpy's order."""

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    bytes: int


@dataclass(frozen=True)
class Container:
    """A GGUF file, checked. `metadata` values: int, float, bool, bytes (a string), ndarray, or list of bytes."""

    data: memoryview
    version: int
    metadata: dict
    tensors: tuple[TensorEntry, ...]
    has_data: bool

    def content(self, tensor: TensorEntry) -> memoryview:
        """The tensor's bytes in the file."""
        return self.data[tensor.offset : tensor.offset + tensor.bytes]


def read_container(data: memoryview) -> Container:
    """The container in `data`. Raises SourceError that names what is wrong and where."""
    cursor = _Cursor(data)
    version = _version(cursor)
    tensor_count = cursor.count("tensors", SMALLEST_TENSOR)
    pair_count = cursor.count("metadata keys", SMALLEST_PAIR)
    metadata = {}
    for _ in range(pair_count):
        key = _name(cursor, "metadata key", LONGEST_KEY)
        if key in metadata:
            raise SourceError(f'metadata key "{key}" appears twice')
        metadata[key] = _value(cursor, key)
    alignment = _alignment(metadata)
    directory = [_directory_row(cursor) for _ in range(tensor_count)]
    start = _padded(cursor.position, alignment)
    has_data = len(data) > start
    if directory and len(data) < start:
        raise SourceError(f"the file ends at byte {len(data)}, its tensor data would begin at {start}")
    tensors = _placed(directory, start, alignment, len(data) if has_data else None)
    return Container(data, version, metadata, tensors, has_data)


class _Cursor:
    """A reading position that cannot leave the file."""

    def __init__(self, data: memoryview):
        self.data = data
        self.position = 0

    def bytes(self, length: int, what: str) -> memoryview:
        start = self.position
        if length > len(self.data) - start:
            raise SourceError(f"{what} needs {length} bytes at byte {start}, the file ends at {len(self.data)}")
        self.position += length
        return self.data[start : self.position]

    def unsigned32(self, what: str) -> int:
        return struct.unpack("<I", self.bytes(4, what))[0]

    def unsigned64(self, what: str) -> int:
        return struct.unpack("<Q", self.bytes(8, what))[0]

    def count(self, what: str, smallest: int) -> int:
        """A count of items that follow, each of at least `smallest` bytes."""
        number = self.unsigned64(f"the number of {what}")
        if number > (len(self.data) - self.position) // smallest:
            raise SourceError(f"the file says it has {number} {what}, more than its {len(self.data)} bytes can hold")
        return number

    def string(self, what: str) -> bytes:
        return bytes(self.bytes(self.unsigned64(what), what))

    def strings(self, number: int, what: str) -> list[bytes]:
        """An array of strings; a loop of its own, because vocabularies have hundreds of thousands."""
        data, position, end, length_at = self.data, self.position, len(self.data), struct.Struct("<Q").unpack_from
        strings = []
        for _ in range(number):
            if position + 8 > end:
                break
            start = position + 8
            position = start + length_at(data, position)[0]
            if position > end:
                break
            strings.append(bytes(data[start:position]))
        if len(strings) < number:
            raise SourceError(f"{what} runs beyond the end of the file, at string {len(strings)} of {number}")
        self.position = position
        return strings


def _version(cursor: _Cursor) -> int:
    magic = bytes(cursor.bytes(4, "the magic"))
    if magic != GGUF_MAGIC:
        shown = magic.decode("ascii", "backslashreplace")
        raise SourceError(f'not a GGUF file: it begins with "{shown}"')
    version = cursor.unsigned32("the version")
    if version & 0xFFFF == 0 and version:
        raise SourceError("big-endian GGUF is not supported")
    if version not in VERSIONS:
        raise SourceError(f"GGUF version {version} is not supported", "Versions 2 and 3 are.")
    return version


def _name(cursor: _Cursor, what: str, longest: int) -> str:
    """A key or a tensor's name. Bytes that are not UTF-8 are escaped; such a name matches nothing."""
    name = cursor.string(f"a {what}")
    if len(name) > longest:
        begin = name[:40].decode(errors="replace")
        raise SourceError(f'{what} "{begin}…" is {len(name)} bytes long, at most {longest}')
    return name.decode(errors="backslashreplace")


def _value_type(cursor: _Cursor, key: str) -> GGUFValueType:
    number = cursor.unsigned32(f'the type of "{key}"')
    try:
        return GGUFValueType(number)
    except ValueError:
        raise SourceError(f'metadata key "{key}" has an unknown type, {number}') from None


def _value(cursor: _Cursor, key: str):
    kind, what = _value_type(cursor, key), f'metadata key "{key}"'
    if kind == GGUFValueType.STRING:
        return cursor.string(what)
    if kind != GGUFValueType.ARRAY:
        number = np.frombuffer(cursor.bytes(NUMBERS[kind].itemsize, what), NUMBERS[kind])[0]
        if key == "general.alignment" and kind != GGUFValueType.UINT32:
            raise SourceError(f"general.alignment has type {kind.name}, expected UINT32")
        return number.item()
    element = _value_type(cursor, key)
    if element == GGUFValueType.ARRAY:
        raise SourceError(f"{what} is an array of arrays, which is not supported")
    if element == GGUFValueType.STRING:
        return cursor.strings(cursor.count(f'strings in "{key}"', 8), what)
    length = cursor.count(f'elements in "{key}"', NUMBERS[element].itemsize)
    return np.frombuffer(cursor.bytes(length * NUMBERS[element].itemsize, what), NUMBERS[element])


def _alignment(metadata: dict) -> int:
    alignment = metadata.get("general.alignment", GGUF_DEFAULT_ALIGNMENT)
    if not isinstance(alignment, int) or alignment <= 0 or alignment & (alignment - 1):
        raise SourceError(f"general.alignment is {alignment!r}, expected a power of two")
    return alignment


def _directory_row(cursor: _Cursor) -> tuple[str, str, tuple[int, ...], int]:
    """(name, type, numpy shape, offset from the beginning of the data)."""
    name = _name(cursor, "tensor name", LONGEST_TENSOR_NAME)
    what = f'tensor "{name}"'
    dimensions = cursor.unsigned32(what)
    if dimensions > MOST_DIMENSIONS:
        raise SourceError(f"{what} has {dimensions} dimensions, at most {MOST_DIMENSIONS}")
    extents = struct.unpack(f"<{dimensions}Q", cursor.bytes(8 * dimensions, what))
    type_name = _type_name(cursor.unsigned32(what))
    if math.prod(extents) > LARGEST_INT64:
        raise SourceError(f"{what} has dimensions {list(extents)}, more elements than there can be")
    return name, type_name, tuple(reversed(extents)), cursor.unsigned64(what)


def _type_name(number: int) -> str:
    """The name of an encoding. The reader refuses one that the gguf package does not know."""
    try:
        return GGMLQuantizationType(number).name
    except ValueError:
        return f"{UNKNOWN_TYPE} {number}"


def _placed(directory: list, start: int, alignment: int, end: int | None) -> tuple[TensorEntry, ...]:
    """The tensors with their offsets in the file; `end` is the end of the file, None if it has no data."""
    tensors, names, expected = [], set(), 0
    for name, type_name, shape, offset in directory:
        what = f'tensor "{name}"'
        if name in names:
            raise SourceError(f"{what} appears twice")
        names.add(name)
        size = _bytes(what, type_name, shape)
        gap_is_known = not (tensors and tensors[-1].type.startswith(UNKNOWN_TYPE))
        if offset < expected or offset % alignment or (gap_is_known and offset != expected):
            raise SourceError(f"{what} has offset {offset}, expected {expected}")
        tensors.append(TensorEntry(name, type_name, shape, start + offset, size))
        expected = _padded(offset + size, alignment)
        if end is not None and start + expected > end:  # the padding after the last tensor is part of the format
            raise SourceError(f"{what} ends with its padding at byte {start + expected}, the file ends at {end}")
    return tuple(tensors)


def _bytes(what: str, type_name: str, shape: tuple[int, ...]) -> int:
    if type_name.startswith(UNKNOWN_TYPE):
        return 0
    block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType[type_name]]
    columns = shape[-1] if shape else 1
    if columns % block:
        raise SourceError(f"{what} has rows of {columns} elements, not a multiple of {type_name}'s block of {block}")
    return math.prod(shape) // block * block_bytes


def _padded(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment
