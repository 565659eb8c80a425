"""Weights as the kernels read them: groups of 16 rows, in which one register holds a column, or four, of all 16.

A file keeps a matrix row by row; a product then needs a sum across each register. Here lane r of every register
belongs to row r of the group, nothing is summed across lanes, and a group is one contiguous run. Layouts, for
R rows and C columns, in the order of memory; rows are padded to a multiple of 16 with zeros, columns are not:

    VECTOR  f32[C padded to 16]                                  norms and biases, whatever their type
    F32     [R / 16] { f32[C][16] }
    F16     [R / 16] { f16[C][16] }
    BF16    [R / 16] { bf16[C][16] }
    Q8      [R / 16][C / 64] { f16[2][16], u8[2][8][16][4] }     scales and weights of two blocks of 32 columns;
                                                                 a byte is the weight's int8 + 128
    Q4      [R / 16][C / 64] { f16[2][16], u8[2][4][16][4] }     columns k (low bits) and k + 16 of a block in a byte

Of an odd number of blocks the last lies alone behind its scales. Scales are one cache line before the weights that they
scale, so that memory is read line by line in its order: behind the weights, or in a stream of their own, they cost up
to a sixth of its speed.

What each type of a file becomes, and the error of a weight against what the type's decoder gives:

    F32, F16, BF16        itself   exact
    Q8_0, Q5_0, IQ4_NL    Q8       exact: their values are integers of at most 8 bits times an f16 scale
    Q4_0                  Q4       exact
    Q4_1, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_XS
                          F16      rounded to half precision: 2^-11 of its size, at least 2^-25; clipped at 65,504

Packing is a pure function of type, shape and bytes: equal tensors pack to equal bytes.
"""

import numpy as np

from ..model import encodings
from ..server import errors
from ..simd.registers import compiled, entry

GROUP = 16  # rows that lie together, one to a lane
BLOCK = 32  # columns with one scale
Q8_BYTES, Q4_BYTES = 512, 256  # of the weights of a block
SCALES_BYTES = 32  # of its scales
ALIGNMENT = 64  # bytes: a cache line, a 512-bit register

ABSENT, VECTOR, F32, F16, BF16, Q8, Q4 = range(7)
LAYOUTS = ("absent", "vector", "f32", "f16", "bf16", "q8", "q4")  # their names, in the order of their numbers
LAYOUT_OF = {e.name: LAYOUTS.index(e.layout) for e in encodings.ENCODINGS if e.layout}

# IQ4_NL: the sixteen values that its 4 bits stand for
IQ4_NL_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8)
LARGEST_HALF = np.float32(65504)


@compiled
def group_bytes(layout, columns):
    """Bytes of one group of 16 rows."""
    if layout == F32:
        return columns * GROUP * 4
    if layout == Q8:
        return _blocks_bytes(columns // BLOCK, Q8_BYTES)
    if layout == Q4:
        return _blocks_bytes(columns // BLOCK, Q4_BYTES)
    return columns * GROUP * 2


@compiled
def _blocks_bytes(blocks, size):
    """Bytes of some blocks of so many bytes of weights, with the scales of each two before them."""
    return (blocks + 1) // 2 * 2 * SCALES_BYTES + blocks * size


@compiled
def scales_at(group, block, size):
    """Where the scales of a block lie in the group that begins at the byte `group`."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + (block & 1) * SCALES_BYTES


@compiled
def weights_at(group, block, size):
    """Where the weights of a block lie."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + 2 * SCALES_BYTES + (block & 1) * size


@compiled
def group_count(rows):
    """How many groups the rows make."""
    return (rows + GROUP - 1) // GROUP


def layout_of(type, shape):
    """The layout of a tensor. ModelError 0A000 for a type that is not known or a shape that is no vector or matrix."""
    encodings.row_bytes(type, shape[-1] if shape else 1)
    if len(shape) not in (1, 2):
        raise errors.not_supported(f"a tensor of {len(shape)} dimensions cannot be packed", f"its shape is {shape}")
    return VECTOR if len(shape) == 1 else LAYOUT_OF.get(type, F16)


def packed_bytes(type, shape):
    """How many bytes `pack_tensor` makes of a tensor."""
    layout = layout_of(type, shape)
    if layout == VECTOR:
        return group_count(shape[0]) * GROUP * 4
    return group_count(shape[0]) * group_bytes(layout, shape[1])


def pack_tensor(raw, type, shape):
    """The packed bytes of a tensor: its bytes in the file (uint8 array or buffer) -> uint8[packed_bytes].

    Raises ModelError XX001 when the bytes are not as many as type and shape need.
    """
    out = np.zeros(packed_bytes(type, shape), np.uint8)
    pack_rows(raw, type, shape, 0, out)
    return out


def pack_rows(raw, type, shape, first_row, out):
    """Pack some rows of a tensor, from `first_row` on, into their places in `out`, the zeroed uint8[packed_bytes].

    So a tensor can be packed tile by tile, and the caller can look for an interrupt between tiles. Multiples of 16
    rows are fastest. A vector is one row.
    """
    raw = np.frombuffer(raw, np.uint8)
    layout, columns = layout_of(type, shape), shape[-1]
    row_bytes = encodings.row_bytes(type, columns)
    rows = raw.size // row_bytes
    if raw.size != rows * row_bytes or first_row + rows > (1 if layout == VECTOR else shape[0]):
        raise errors.corrupt_data(
            f"{raw.size} bytes are not rows of a {type} tensor",
            f"a row takes {row_bytes} bytes, the shape is {list(shape)}, the first row {first_row}",
        )
    if rows == 0:
        return
    if layout == VECTOR:
        out.view(np.float32)[:columns] = encodings.decode(type, raw, (columns,))
    elif layout in (Q8, Q4):
        raw = {"Q5_0": _q5_0_as_q8_0, "IQ4_NL": _iq4_nl_as_q8_0}.get(type, lambda blocks: blocks)(raw)
        _pack_blocks(raw, columns, first_row, layout, np.uint8(128 if layout == Q8 else 0), out)
    else:
        element = np.uint32 if layout == F32 else np.uint16
        if type not in LAYOUT_OF:
            values = encodings.decode(type, raw, (rows, columns))
            near = np.clip(values, -LARGEST_HALF, LARGEST_HALF)
            halves = np.where(np.isinf(values), values, near).astype(np.float16)  # infinity must not pass for a number
            raw = halves.reshape(-1).view(np.uint8)
        _pack_elements(np.require(raw.view(element), requirements="A"), columns, first_row, out.view(element))


@entry
def _pack_elements(raw, columns, first_row, out):
    """Rows of plain elements; a group's columns in steps that keep what is written within the cache."""
    rows = raw.size // columns
    for begin in range(0, columns, 64):
        end = min(begin + 64, columns)
        for row in range(rows):
            group, lane = divmod(first_row + row, GROUP)
            for column in range(begin, end):
                out[(group * columns + column) * GROUP + lane] = raw[row * columns + column]


@entry
def _pack_blocks(raw, columns, first_row, layout, flip, out):
    """Rows of file blocks, each an f16 scale and then the weights' bytes, four of which go to a lane."""
    size = Q8_BYTES if layout == Q8 else Q4_BYTES
    blocks, row_bytes = columns // BLOCK, size // GROUP + 2  # of a block
    rows = raw.size // (blocks * row_bytes)
    for row in range(rows):
        group, lane = divmod(first_row + row, GROUP)
        start = group * group_bytes(layout, columns)
        for block in range(blocks):
            at = (row * blocks + block) * row_bytes
            scale = scales_at(start, block, size) + 2 * lane
            out[scale], out[scale + 1] = raw[at], raw[at + 1]
            to = weights_at(start, block, size) + 4 * lane
            for quad in range(size // 64):
                for byte in range(4):
                    out[to + quad * 64 + byte] = raw[at + 2 + quad * 4 + byte] ^ flip


def _q5_0_as_q8_0(raw):
    """f16 scale, 32 fifth bits, 32 x 4 bits -> f16 scale, int8: the values are -16 .. 15."""
    blocks = raw.reshape(-1, 22)
    fifth = np.unpackbits(blocks[:, 2:6], axis=1, bitorder="little") << 4
    low = np.concatenate([blocks[:, 6:] & 15, blocks[:, 6:] >> 4], axis=1)
    return _q8_0(blocks[:, :2], (low | fifth).astype(np.int8) - np.int8(16))


def _iq4_nl_as_q8_0(raw):
    blocks = raw.reshape(-1, 18)
    return _q8_0(blocks[:, :2], IQ4_NL_VALUES[np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)])


def _q8_0(scales, values):
    return np.concatenate([scales, values.view(np.uint8)], axis=1).reshape(-1)
