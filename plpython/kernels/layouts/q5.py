"""Q5: 5-bit integers, stored + 16. A block is u8[16 rows][4 bytes] of fifth bits, then u8[4 lines][16 rows][4 bytes].

Byte b of line k holds the lower four bits of column 4k + b in its low bits, of column 4k + b + 16 in its high bits.
Their fifth bits are bits 4 + k and k of byte b of the first line.
"""

import numpy as np

from ...model.encodings import BLOCK, BLOCKS
from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import compiled, dot4, entry, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, LOW_NIBBLES, TILE_I32, Integers, blocks, pack_scale
from ..groups import GROUP, blocks_bytes, scales_offset, weights_offset

LINE, Q5_BYTES, Q5_OFFSET = 64, 320, 16
Q5_0_BYTES = BLOCKS["Q5_0"][1]  # a block in the file: an f16 scale, 32 fifth bits, 16 bytes
FIFTH_BITS = 0x10101010  # masks the fifth bit of each byte


@inlined
def columns_of(u8, at, k, fifths):
    """The columns 4k .. 4k + 3 of a block, and 4k + 16 .. 4k + 19: i32, four bytes to a lane."""
    pair = load_bytes(u8, at + LINE + k * LINE, i32)
    return pair & LOW_NIBBLES | fifths >> k & FIFTH_BITS, pair >> 4 & LOW_NIBBLES | fifths << 4 >> k & FIFTH_BITS


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

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
def dots_of_two(u8, at, second, sums, codes, column, columns):
    """The same for two groups: each register of activations is used for both."""
    second_sums, fifths, second_fifths = sums, load_bytes(u8, at, i32), load_bytes(u8, second, i32)
    for k in range(4):
        low, high = columns_of(u8, at, k, fifths)
        second_low, second_high = columns_of(u8, second, k, second_fifths)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, second_sums = dot4(sums, low, x), dot4(second_sums, second_low, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, second_sums = dot4(sums, high, x), dot4(second_sums, second_high, x)
    return sums, second_sums


@inlined
def integer(u8, at, r, k):
    """The integer of row r, column k."""
    upper, line, byte = k // 16, k % 16 // 4, r * 4 + k % 4
    low = np.int32(u8[at + LINE + line * LINE + byte]) >> 4 * upper & 15
    fifth = np.int32(u8[at + byte]) >> 4 - 4 * upper + line & 1
    return np.float32(low + 16 * fifth - Q5_OFFSET)


@inlined
def squares(u8, at):
    """For each row the sum of the squares of a block's integers, exact in float32."""
    total, fifths = fill(0.0, f32), load_bytes(u8, at, i32)
    for k in range(4):
        for four in columns_of(u8, at, k, fifths):
            for byte in range(4):
                value = to_f32((four >> np.int32(8 * byte)) & 31) - 16.0
                total = fma(value, value, total)
    return total


@compiled
def fifth(raw, at, k):
    """Bit k of the 32 bits that begin at raw[at]."""
    return raw[at + k // 8] >> k % 8 & 1


@entry
def pack(raw, columns, first_row, out):
    """Pack rows of Q5_0; see groups.Layout."""
    count = columns // BLOCK
    for row in range(raw.size // (count * Q5_0_BYTES)):
        group, r = divmod(first_row + row, GROUP)
        start = group * blocks_bytes(count, Q5_BYTES)
        for block in range(count):
            at = (row * count + block) * Q5_0_BYTES
            pack_scale(raw, at, out, scales_offset(start, block, Q5_BYTES) + 2 * r)
            to = weights_offset(start, block, Q5_BYTES) + 4 * r
            for byte in range(4):
                fifths = 0
                for line in range(4):
                    k = 4 * line + byte
                    out[to + LINE + line * LINE + byte] = raw[at + 6 + k]
                    fifths |= fifth(raw, at + 2, k) << 4 + line | fifth(raw, at + 2, 16 + k) << line
                out[to + byte] = fifths


layout = blocks(Integers("q5", 7, Q5_BYTES, Q5_OFFSET, dots_of, dots_of_two, integer, squares, pack))
