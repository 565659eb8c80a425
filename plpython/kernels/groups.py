"""Packed matrices: what all layouts have in common. A packed matrix is a sequence of groups of 16 rows.

A file stores a matrix row by row, so a product would have to sum across the lanes of a register. In a group, lane r of
every register belongs to row r: one register holds one column (floats) or four columns (bytes) of all 16 rows, and
nothing is summed across lanes. A group is contiguous in memory. Rows are padded with zeros to a multiple of 16; columns
are not padded. The files in `layouts` say what a group looks like inside.

In a group of quantised blocks, the scales of some blocks fill one cache line, which precedes the weights of these
blocks. So memory is read in order. Scales behind the weights, or in an array of their own, cost up to a sixth of the
speed.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.registers import compiled

GROUP = 16  # rows in a group, one to a lane
CACHE_LINE = 64  # bytes, also of a 512-bit register: packed tensors begin at multiples

# What layouts of blocks add to their integers to make them unsigned. A block's dot product is then too large by the
# offset times the sum of the codes; Codes.starts holds the negatives of these, for each of OFFSETS, and then for the
# halves of blocks for HALF_OFFSET.
OFFSETS = (8, 16, 128)
HALF_OFFSET = 32
HALF_STARTS, HALF_SUMS = len(OFFSETS), 1  # the arrays of halves in Codes.starts and Codes.fine
START_ARRAYS = len(OFFSETS) + 2  # arrays in Codes.starts, each with one number a block

# The columns of a row of the weight table: layout number, offset in the packed buffer in bytes, rows, columns.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
# Two layout numbers that belong to no matrix. ABSENT: the model lacks the tensor. VECTOR: a norm or a bias, always
# float32, padded with zeros to a multiple of 16.
ABSENT, VECTOR = range(2)
FIRST_BLOCK_LAYOUT = 5  # layouts with this number or a larger one are of quantised blocks

# The packed buffer, viewed as an array of each element type, read-only; the addresses of the layouts' kernels
# (dispatch.ADDRESSES), int64 [(largest layout number + 1) * len(KERNELS)]; and how many bytes past the current weights
# to prefetch (prefetching.DISTANCES), int64.
Weights = namedtuple("Weights", "u8 u16 f32 kernels distances")
# Quantised activations (see elementwise.quantize), token after token. With n blocks:
#   codes    int8 [32 n]
#   scales   float32 [n]
#   starts   int32 [START_ARRAYS][n]: what a block's dot product begins with, see OFFSETS; the last two arrays are one,
#            with a number for each half of a block
#   sums     float32 [2][n]: the sums of the blocks' numbers as decoded from the codes; and in the second array, at the
#            first of eight blocks, the scale of their fine codes
#   fine     int16 [3][n]: the fine codes, which are the sums in 16 bits, eight blocks with one scale; then the sums of
#            the codes of each half of a block
Codes = namedtuple("Codes", "codes scales starts sums fine")
# Float32 rows, one a token: row t begins at x[at + t * stride].
Rows = namedtuple("Rows", "x at stride")
# The input of a product: Rows, and the same rows as Codes, whose first block is number `first`. Layouts of floats read
# the Rows, layouts of blocks the Codes.
Activations = namedtuple("Activations", "rows codes first")

# The arguments of the kernels of a layout. matrix: a row of the weight table, int64[4].
# Product: to[t] = matrix @ given[t] for t < tokens, for the matrix rows in the groups begin .. end - 1.
# given: Activations. to: Rows.
Product = namedtuple("Product", "weights matrix begin end given tokens to")
# Row: out[out_at ...] = one decoded row of the matrix.
Row = namedtuple("Row", "weights matrix row out out_at")
# Squares: out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1.
Squares = namedtuple("Squares", "weights matrix begin end out")
# Pack: out = the packed matrix, of which raw has rows as in the file, uint8; the first is row `first_row`.
Pack = namedtuple("Pack", "raw columns first_row out")

FLOAT_ARRAY, INT_ARRAY = Array(np.float32), Array(np.int64)
WEIGHTS_STRUCT = Structure(
    Weights, u8=Array(np.uint8), u16=Array(np.uint16), f32=FLOAT_ARRAY, kernels=INT_ARRAY, distances=INT_ARRAY
)
CODES_STRUCT = Structure(
    Codes, codes=Array(np.int8), scales=FLOAT_ARRAY, starts=Array(np.int32), sums=FLOAT_ARRAY, fine=Array(np.int16)
)
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
PACK_STRUCT = Structure(Pack, raw=Array(np.uint8), out=Array(np.uint8))
# The kernels that compiled code calls, in the order of their addresses; only layouts of blocks have a panels.Tile.
KERNELS = ("product", "row", "squares", "tile")
PRODUCT_OF, ROW_OF, SQUARES_OF, TILE_OF = range(len(KERNELS))
PER_LAYOUT = len(KERNELS)


@dataclass(frozen=True)
class Layout:
    """All that the engine knows about one layout."""

    name: str  # the word in model/encodings.py, and the suffix of packed files
    number: int  # in the weight table and in packed files
    of_blocks: bool  # whether it reads activations as codes; if not, the weights are floats
    minima: bool  # whether blocks have minima
    group_bytes: Callable  # compiled: (columns) -> bytes of a group
    kernels: dict  # {name in KERNELS, or "pack": Kernel}


@compiled
def group_count(rows):
    """The number of groups of so many rows."""
    return (rows + GROUP - 1) // GROUP


@compiled
def token_block(tokens):
    """How many of the remaining tokens the next product takes: 4, 2 or 1."""
    return 4 if tokens >= 4 else 2 if tokens >= 2 else 1
