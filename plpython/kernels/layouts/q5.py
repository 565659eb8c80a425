"""Q5: integers of 5 bits, + 16: a line of fifth bits, u8[16][4], then four lines as Q4 has them, u8[4][16][4].

Byte b of line k holds the columns 4k + b (low bits) and 4k + b + 16. Their fifth bits are the bits 4 + k and k of byte
b of the first line.
"""

import numpy as np

from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import compiled, dot4, entry, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_scale
from ..groups import BLOCK, GROUP, blocks_bytes, scales_at, weights_at

LINE, BYTES, OFFSET = 64, 320, 16
FILE_BYTES = 22  # of a block of Q5_0: a scale, 32 fifth bits, 16 bytes
LOW, FIFTH = 0x0F0F0F0F, 0x10101010  # the lower four bits of each byte, and the fifth


@inlined
def columns_of(u8, at, k, fifths):
    """The columns 4k .. 4k + 3 of a block, and those 16 further, four to a lane."""
    pair = load_bytes(u8, at + LINE + k * LINE, i32)
    return pair & LOW | fifths >> k & FIFTH, pair >> 4 & LOW | fifths << 4 >> k & FIFTH


def dots_of(X):
    """The products of a block are exact in int32, on top of `sums`."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        prefetch(u8, at + AHEAD)
        fifths = load_bytes(u8, at, i32)
        for k in range(4):
            prefetch(u8, at + LINE + k * LINE + AHEAD)
            low, high = columns_of(u8, at, k, fifths)
            sums = dot4(sums, low, spread_bytes(codes, column + 4 * k, X, columns))
            sums = dot4(sums, high, spread_bytes(codes, column + 16 + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, more, sums, codes, column, columns):
    """The same of two groups; each register of activations meets both."""
    more_sums, fifths, more_fifths = sums, load_bytes(u8, at, i32), load_bytes(u8, more, i32)
    for k in range(4):
        low, high = columns_of(u8, at, k, fifths)
        more_low, more_high = columns_of(u8, more, k, more_fifths)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, low, x), dot4(more_sums, more_low, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, high, x), dot4(more_sums, more_high, x)
    return sums, more_sums


@inlined
def integer(u8, at, r, k):
    """Column k of row r."""
    upper, line, byte = k // 16, k % 16 // 4, r * 4 + k % 4
    low = np.int32(u8[at + LINE + line * LINE + byte]) >> 4 * upper & 15
    fifth = np.int32(u8[at + byte]) >> 4 - 4 * upper + line & 1
    return np.float32(low + 16 * fifth - OFFSET)


@inlined
def squares(u8, at):
    """The sums of the squares of a block, exact in float32."""
    total, fifths = fill(0.0, f32), load_bytes(u8, at, i32)
    for k in range(4):
        for four in columns_of(u8, at, k, fifths):
            for byte in range(4):
                value = to_f32((four >> np.int32(8 * byte)) & 31) - 16.0
                total = fma(value, value, total)
    return total


@compiled
def fifth(raw, at, k):
    """Bit k of the 32 from raw[at] on."""
    return raw[at + k // 8] >> k % 8 & 1


@entry
def pack(raw, columns, first_row, out):
    """Rows of Q5_0's blocks into their places."""
    count = columns // BLOCK
    for row in range(raw.size // (count * FILE_BYTES)):
        group, r = divmod(first_row + row, GROUP)
        start = group * blocks_bytes(count, BYTES)
        for block in range(count):
            at = (row * count + block) * FILE_BYTES
            pack_scale(raw, at, out, scales_at(start, block, BYTES) + 2 * r)
            to = weights_at(start, block, BYTES) + 4 * r
            for byte in range(4):
                fifths = 0
                for line in range(4):
                    k = 4 * line + byte
                    out[to + LINE + line * LINE + byte] = raw[at + 6 + k]
                    fifths |= fifth(raw, at + 2, k) << 4 + line | fifth(raw, at + 2, 16 + k) << line
                out[to + byte] = fifths


LAYOUT = blocks(Integers("q5", 7, BYTES, OFFSET, dots_of, dots_of_two, integer, squares, pack))
