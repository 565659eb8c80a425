"""Packed matrices: what all layouts have in common. A packed matrix is a sequence of groups of 16 rows.

A file stores a matrix row by row, so a product would have to sum across the lanes of a register. In a group, lane r of
every register belongs to row r: one register holds one column (floats) or four columns (bytes) of all 16 rows, and
nothing is summed across lanes. A group is contiguous in memory. Rows are padded with zeros to a multiple of 16; columns
are not padded. The files in `layouts` say what a group looks like inside.

In a group of quantised blocks, the scales of two blocks fill one cache line, which precedes the weights of these two
blocks. So memory is read in order. Scales behind the weights, or in an array of their own, cost up to a sixth of the
speed. If the number of blocks is odd, the last block has a line of scales of its own, half empty.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.registers import compiled

GROUP = 16  # rows in a group, one to a lane
SCALES_BYTES = 32  # bytes of the 16 scales of a block, one a row
CACHE_LINE = 64  # bytes, also of a 512-bit register: packed tensors begin at multiples

AHEAD = 1 << 13  # how far past the current weights to prefetch, in bytes (twice as many for float32)

# The columns of a row of the weight table: layout number, offset in the packed buffer in bytes, rows, columns.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
# Two layout numbers that belong to no matrix. ABSENT: the model lacks the tensor. VECTOR: a norm or a bias, always
# float32, padded with zeros to a multiple of 16.
ABSENT, VECTOR = range(2)
FIRST_BLOCK_LAYOUT = 5  # layouts with this number or a larger one are of quantised blocks

# The packed buffer, viewed as an array of each element type, read-only; and the addresses of the layouts' kernels
# (dispatch.ADDRESSES), int64 [(largest layout number + 1) * len(KERNELS)].
Weights = namedtuple("Weights", "u8 u16 f32 kernels")
# Quantised activations (see elementwise.quantize), token after token: int8 codes, float32 scales, one a block, and
# int32 `starts`, the initial values of a block's dot product. `starts` holds one array for each layout of blocks, in
# the order of their numbers, each as long as `scales`.
Codes = namedtuple("Codes", "codes scales starts")
# Float32 rows, one a token: row t begins at x[at + t * stride].
Rows = namedtuple("Rows", "x at stride")
# The input of a product: Rows, and the same rows as Codes, whose first block is number `first`. Layouts of floats read
# the Rows, layouts of blocks the Codes.
Activations = namedtuple("Activations", "rows codes first")

# The arguments of the three kernels of a layout. matrix: a row of the weight table, int64[4].
# Product: to[t] = matrix @ given[t] for t < tokens, for the matrix rows in the groups begin .. end - 1.
# given: Activations. to: Rows.
Product = namedtuple("Product", "weights matrix begin end given tokens to")
# Row: out[out_at ...] = one decoded row of the matrix.
Row = namedtuple("Row", "weights matrix row out out_at")
# Squares: out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1.
Squares = namedtuple("Squares", "weights matrix begin end out")

FLOAT_ARRAY, INT_ARRAY = Array(np.float32), Array(np.int64)
WEIGHTS_STRUCT = Structure(Weights, u8=Array(np.uint8), u16=Array(np.uint16), f32=FLOAT_ARRAY, kernels=INT_ARRAY)
CODES_STRUCT = Structure(Codes, codes=Array(np.int8), scales=FLOAT_ARRAY, starts=Array(np.int32))
ROWS_STRUCT = Structure(Rows, x=FLOAT_ARRAY)
PRODUCT_STRUCT = Structure(
    Product,
    weights=WEIGHTS_STRUCT,
    matrix=INT_ARRAY,
    given=Structure(Activations, rows=ROWS_STRUCT, codes=CODES_STRUCT),
    to=ROWS_STRUCT,
)
ROW_STRUCT = Structure(Row, weights=WEIGHTS_STRUCT, matrix=INT_ARRAY, out=FLOAT_ARRAY)
SQUARES_STRUCT = Structure(Squares, weights=WEIGHTS_STRUCT, matrix=INT_ARRAY, out=FLOAT_ARRAY)
KERNELS = {"product": PRODUCT_STRUCT, "row": ROW_STRUCT, "squares": SQUARES_STRUCT}


@dataclass(frozen=True)
class Layout:
    """All that the engine knows about one layout."""

    name: str  # the word in model/encodings.py, and the suffix of packed files
    number: int  # in the weight table and in packed files
    offset: int | None  # added to the integers to make them unsigned; None: the weights are floats
    group_bytes: Callable  # compiled: (columns) -> bytes of a group
    pack: Callable  # (uint8 rows as in the file, columns, number of the first row, uint8 of the whole packed matrix)
    kernels: dict  # {name in KERNELS: Kernel}

    @property
    def of_blocks(self):
        return self.offset is not None


@compiled
def group_count(rows):
    """The number of groups of so many rows."""
    return (rows + GROUP - 1) // GROUP


@compiled
def token_block(tokens):
    """How many of the remaining tokens the next product takes: 4, 2 or 1."""
    return 4 if tokens >= 4 else 2 if tokens >= 2 else 1


@compiled
def blocks_bytes(blocks, size):
    """Bytes of a group of so many blocks, of `size` bytes of weights each, scales included."""
    return (blocks + 1) // 2 * 2 * SCALES_BYTES + blocks * size


@compiled
def scales_offset(group, block, size):
    """Where the scales of a block begin, in bytes.

    group: where its group begins. size: the bytes of the weights of one block.
    """
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + (block & 1) * SCALES_BYTES


@compiled
def weights_offset(group, block, size):
    """Where the weights of a block begin, as `scales_offset`."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + 2 * SCALES_BYTES + (block & 1) * size
