"""Q8: integers of 8 bits, u8[8][16][4]: a line holds four columns of 16 rows, a byte is the integer + 128."""

import numpy as np

from ...simd.memory import in_order, load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_bytes

BYTES, OFFSET = 512, 128


def dots_of(X):
    """Eight lines of four columns: the products of a block are exact in int32, on top of `sums`."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(8):
            prefetch(u8, at + k * 64 + AHEAD)
            w = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, w, spread_bytes(codes, column + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, more, sums, codes, column, columns):
    """The same of two groups; each register of activations meets both."""
    more_sums = sums
    for k in range(8):
        if k == 4:
            in_order()  # without, sixteen loads would come first
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(u8, at + k * 64, i32), x)
        more_sums = dot4(more_sums, load_bytes(u8, more + k * 64, i32), x)
    return sums, more_sums


@inlined
def integer(u8, at, r, k):
    """Column k of row r."""
    return np.float32(np.int32(u8[at + k // 4 * 64 + r * 4 + k % 4]) - OFFSET)


@inlined
def squares(u8, at):
    """The sums of the squares of a block, exact in float32."""
    total = fill(0.0, f32)
    for k in range(8):
        four = load_bytes(u8, at + k * 64, i32)
        for byte in range(4):
            value = to_f32((four >> np.int32(8 * byte)) & 255) - 128.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Q8_0: a scale, then int8."""
    pack_bytes(raw, columns, first_row, BYTES, np.uint8(OFFSET), out)


LAYOUT = blocks(Integers("q8", 5, BYTES, OFFSET, dots_of, dots_of_two, integer, squares, pack))
