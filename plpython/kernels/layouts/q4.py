"""Q4: 4-bit integers, stored + 8. A block is u8[4 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block in its low bits, column 4k + b + 16 in its high bits.
"""

import numpy as np

from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, LOW_NIBBLES, TILE_I32, Integers, blocks, pack_bytes

Q4_BYTES, Q4_OFFSET = 256, 8


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(4):
            prefetch(u8, at + k * 64 + AHEAD)
            pair = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, pair & LOW_NIBBLES, spread_bytes(codes, column + 4 * k, X, columns))
            sums = dot4(sums, (pair >> 4) & LOW_NIBBLES, spread_bytes(codes, column + 16 + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, second, sums, codes, column, columns):
    """The same for two groups: each register of activations is used for both."""
    second_sums = sums
    for k in range(4):
        pair, second_pair = load_bytes(u8, at + k * 64, i32), load_bytes(u8, second + k * 64, i32)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, second_sums = dot4(sums, pair & LOW_NIBBLES, x), dot4(second_sums, second_pair & LOW_NIBBLES, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, second_sums = (
            dot4(sums, (pair >> 4) & LOW_NIBBLES, x),
            dot4(second_sums, (second_pair >> 4) & LOW_NIBBLES, x),
        )
    return sums, second_sums


@inlined
def integer(u8, at, r, k):
    """The integer of row r, column k."""
    pair = np.int32(u8[at + k % 16 // 4 * 64 + r * 4 + k % 4])
    return np.float32((pair >> (k // 16 * 4) & 15) - Q4_OFFSET)


@inlined
def squares(u8, at):
    """For each row the sum of the squares of a block's integers, exact in float32."""
    total = fill(0.0, f32)
    for k in range(4):
        eight = load_bytes(u8, at + k * 64, i32)
        for half in range(8):
            value = to_f32((eight >> np.int32(4 * half)) & 15) - 8.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Pack rows of Q4_0, whose blocks are an f16 scale and 16 bytes; see groups.Layout."""
    pack_bytes(raw, columns, first_row, Q4_BYTES, np.uint8(0), out)


layout = blocks(Integers("q4", 6, Q4_BYTES, Q4_OFFSET, dots_of, dots_of_two, integer, squares, pack))
