"""Q4: integers of 4 bits, u8[4][16][4], + 8: a byte holds the columns k (low bits) and k + 16 of a block."""

import numpy as np

from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_bytes

BYTES, OFFSET = 256, 8
LOW = 0x0F0F0F0F  # the lower four bits of each byte


def dots_of(X):
    """Four lines: the low four bits are the columns 0 .. 15 of a block, the high ones 16 .. 31."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(4):
            prefetch(u8, at + k * 64 + AHEAD)
            pair = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, pair & LOW, spread_bytes(codes, column + 4 * k, X, columns))
            sums = dot4(sums, (pair >> 4) & LOW, spread_bytes(codes, column + 16 + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, more, sums, codes, column, columns):
    """The same of two groups; each register of activations meets both."""
    more_sums = sums
    for k in range(4):
        pair, more_pair = load_bytes(u8, at + k * 64, i32), load_bytes(u8, more + k * 64, i32)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, pair & LOW, x), dot4(more_sums, more_pair & LOW, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, (pair >> 4) & LOW, x), dot4(more_sums, (more_pair >> 4) & LOW, x)
    return sums, more_sums


@inlined
def integer(u8, at, r, k):
    """Column k of row r."""
    pair = np.int32(u8[at + k % 16 // 4 * 64 + r * 4 + k % 4])
    return np.float32((pair >> (k // 16 * 4) & 15) - OFFSET)


@inlined
def squares(u8, at):
    """The sums of the squares of a block, exact in float32."""
    total = fill(0.0, f32)
    for k in range(4):
        eight = load_bytes(u8, at + k * 64, i32)
        for half in range(8):
            value = to_f32((eight >> np.int32(4 * half)) & 15) - 8.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Q4_0: a scale, then 16 bytes."""
    pack_bytes(raw, columns, first_row, BYTES, np.uint8(0), out)


LAYOUT = blocks(Integers("q4", 6, BYTES, OFFSET, dots_of, dots_of_two, integer, squares, pack))
