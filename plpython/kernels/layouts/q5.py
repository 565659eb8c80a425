"""Q5: 5-bit integers, stored + 16. A block is u8[16 rows][4 bytes] of fifth bits, then u8[4 lines][16 rows][4 bytes].

Byte b of line k holds the lower four bits of column 4k + b in its low bits, of column 4k + b + 16 in its high bits.
Their fifth bits are bits 4 + k and k of byte b of the first line.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_word, spread_bytes
from ...simd.registers import compiled, dot4, i32, inlined
from ..blocks import SCALE, Integers, blocks, byte_of, pack_scale
from ..groups import CACHE_LINE
from ..products import LOW_NIBBLES, TILE_I32
from .q4 import pack_nibbles

SIZE = 320  # bytes of a block
FIFTH_BITS = 0x10101010  # masks the fifth bit of each byte


@inlined
def columns_of(u8, at, k, fifths):
    """The columns 4k .. 4k + 3 of a block, and 4k + 16 .. 4k + 19: i32, four bytes to a lane."""
    pair = load_bytes(u8, at + CACHE_LINE + k * CACHE_LINE, i32)
    return pair & LOW_NIBBLES | fifths >> k & FIFTH_BITS, pair >> 4 & LOW_NIBBLES | fifths << 4 >> k & FIFTH_BITS


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        fifths = load_bytes(u8, at, i32)
        for k in range(4):
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
def integers(u8, at, k):
    """The integers of column k."""
    upper, line = k // 16, k % 16 // 4
    low = byte_of(load_bytes(u8, at + CACHE_LINE + line * CACHE_LINE, i32), k % 4) >> 4 * upper & 15
    return low | (byte_of(load_bytes(u8, at, i32), k % 4) >> 4 - 4 * upper + line & 1) << 4


@compiled
def every_fourth(bits):
    """Bits 0, 4, 8 and 12 as bits 0 .. 3."""
    pairs = (bits & 0x1111) | (bits & 0x1111) >> 3
    return (pairs & 0x0303 | (pairs & 0x0303) >> 6) & 15


@inlined
def pack_fifths(raw, at, out, weights, r):
    """Pack the fifth bits of 32 columns, which are four bytes in their order."""
    bits = load_word(raw, at)
    for byte in range(4):
        out[weights + 4 * r + byte] = every_fourth(bits >> byte) << 4 | every_fourth(bits >> 16 + byte)


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q5_0: an f16 scale, 32 fifth bits and 16 bytes; see blocks.Integers."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_fifths(raw, at + 2, out, weights, r)
    pack_nibbles(raw, at + 6, out, weights + CACHE_LINE, r)


layout = blocks(Integers("q5", 7, SIZE, 16, SCALE, dots_of, dots_of_two, integers, BLOCKS["Q5_0"][1], pack))
