"""Packed matrices: groups of 16 rows, in which one register holds a column, or four, of all 16.

A file keeps a matrix row by row; a product then needs a sum across each register. Here lane r of every register
belongs to row r of the group, nothing is summed across lanes, and a group is one contiguous run. Rows are padded to a
multiple of 16 with zeros, columns are not. What a group looks like is said in `layouts`, a file for each layout; what
they have in common is here.

In a group of blocks the scales of two blocks are one cache line, and lie before the weights that they scale, so that
memory is read line by line in its order: behind the weights, or in a stream of their own, they cost up to a sixth of
its speed. Of an odd number of blocks the last lies alone behind its line of scales.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.registers import compiled

GROUP = 16  # rows that lie together, one to a lane
BLOCK = 32  # columns with one scale
SCALES_BYTES = 32  # of the scales of a block
ALIGNMENT = 64  # bytes: a cache line, a 512-bit register

AHEAD = 1 << 13  # bytes (of float32 twice as many) behind the weights that are used: memory is asked for those there

# A row of the engine's table of weights: how and where a tensor is packed.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
# Layouts that are no matrix's: of a tensor that the model lacks, and of norms and biases, which are f32 whatever their
# type, padded with zeros to a multiple of 16.
ABSENT, VECTOR = range(2)
FIRST_OF_BLOCKS = 5  # the numbers of layouts of blocks are this and those that follow

# The packed buffer as arrays of each of its element types, all read-only; and the addresses of the layouts' kernels
# (see `dispatch`), int64 [(number of the last layout + 1) * KERNELS].
Weights = namedtuple("Weights", "u8 u16 f32 kernels")
# Activations as int8 (see elementwise.quantize), in blocks: those of several tokens follow each other. `starts` are the
# starts of the first layout of blocks, then those of the next, each as many as there are scales.
Codes = namedtuple("Codes", "codes scales starts")
# Float32 rows, one a token: the first begins at x[at], each other `stride` numbers after the one before.
Rows = namedtuple("Rows", "x at stride")
# The same rows, and for matrices of blocks what they are as codes, from the block `first` on.
Activations = namedtuple("Activations", "rows codes first")

# What a layout's kernels take. matrix: a row of the table of weights, int64[4].
# Product: to[t] = matrix @ given[t] for t < tokens, in the rows of the groups begin .. end.
# given: Activations. to: Rows.
Product = namedtuple("Product", "weights matrix begin end given tokens to")
# Row: out[out_at ...] = one row of the matrix, decoded.
Row = namedtuple("Row", "weights matrix row out out_at")
# Squares: out[row] = the sum of the squares of a row, in the rows of the groups begin .. end.
Squares = namedtuple("Squares", "weights matrix begin end out")

FLOATS, NUMBERS = Array(np.float32), Array(np.int64)
WEIGHTS = Structure(Weights, u8=Array(np.uint8), u16=Array(np.uint16), f32=FLOATS, kernels=NUMBERS)
CODES = Structure(Codes, codes=Array(np.int8), scales=FLOATS, starts=Array(np.int32))
ROWS_OF_FLOATS = Structure(Rows, x=FLOATS)
PRODUCT = Structure(
    Product,
    weights=WEIGHTS,
    matrix=NUMBERS,
    given=Structure(Activations, rows=ROWS_OF_FLOATS, codes=CODES),
    to=ROWS_OF_FLOATS,
)
ROW = Structure(Row, weights=WEIGHTS, matrix=NUMBERS, out=FLOATS)
SQUARES = Structure(Squares, weights=WEIGHTS, matrix=NUMBERS, out=FLOATS)
KERNELS = {"product": PRODUCT, "row": ROW, "squares": SQUARES}


@dataclass(frozen=True)
class Layout:
    """What is to be known of one layout."""

    name: str  # as encodings have it; the end of the names of packed files
    number: int  # in the table of weights and in packed files
    offset: int | None  # what the bytes of blocks are larger by than the integers; None: the weights are floats
    group_bytes: Callable  # compiled: (columns) -> bytes of a group
    pack: Callable  # (bytes of rows as a file has them, columns, the first of the rows, uint8 of the packed matrix)
    kernels: dict  # a Kernel for each of KERNELS


@compiled
def group_count(rows):
    """How many groups the rows make."""
    return (rows + GROUP - 1) // GROUP


@compiled
def block_of(tokens):
    """How many of the tokens left make the next block."""
    return 4 if tokens >= 4 else 2 if tokens >= 2 else 1


@compiled
def blocks_bytes(blocks, size):
    """Bytes of a group of some blocks of so many bytes of weights, with the scales of each two before them."""
    return (blocks + 1) // 2 * 2 * SCALES_BYTES + blocks * size


@compiled
def scales_at(group, block, size):
    """Where the scales of a block lie in the group that begins at the byte `group`."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + (block & 1) * SCALES_BYTES


@compiled
def weights_at(group, block, size):
    """Where the weights of a block lie."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + 2 * SCALES_BYTES + (block & 1) * size
