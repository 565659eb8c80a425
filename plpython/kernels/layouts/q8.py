"""Q8: 8-bit integers, stored + 128. A block is u8[8 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block.
"""

import numpy as np

from ...simd.memory import in_order, load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_bytes

Q8_BYTES, Q8_OFFSET = 512, 128


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(8):
            prefetch(u8, at + k * 64 + AHEAD)
            w = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, w, spread_bytes(codes, column + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, second, sums, codes, column, columns):
    """The same for two groups: each register of activations is used for both."""
    second_sums = sums
    for k in range(8):
        if k == 4:
            in_order()  # or LLVM would do all sixteen loads first, and run out of registers
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(u8, at + k * 64, i32), x)
        second_sums = dot4(second_sums, load_bytes(u8, second + k * 64, i32), x)
    return sums, second_sums


@inlined
def integer(u8, at, r, k):
    """The integer of row r, column k."""
    return np.float32(np.int32(u8[at + k // 4 * 64 + r * 4 + k % 4]) - Q8_OFFSET)


@inlined
def squares(u8, at):
    """For each row the sum of the squares of a block's integers, exact in float32."""
    total = fill(0.0, f32)
    for k in range(8):
        four = load_bytes(u8, at + k * 64, i32)
        for byte in range(4):
            value = to_f32((four >> np.int32(8 * byte)) & 255) - 128.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Pack rows of Q8_0, whose blocks are an f16 scale and 32 int8; see groups.Layout."""
    pack_bytes(raw, columns, first_row, Q8_BYTES, np.uint8(Q8_OFFSET), out)


layout = blocks(Integers("q8", 5, Q8_BYTES, Q8_OFFSET, dots_of, dots_of_two, integer, squares, pack))
