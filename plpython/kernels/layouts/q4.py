"""Q4: 4-bit integers, stored + 8. A block is u8[4 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block in its low bits, column 4k + b + 16 in its high bits.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_word, spread_bytes, store_word
from ...simd.registers import dot4, i32, inlined
from ..blocks import SCALE, Integers, blocks, byte_of, pack_scale
from ..products import LOW_NIBBLES, TILE_I32

SIZE = 256  # bytes of a block


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(4):
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
        sums = dot4(sums, (pair >> 4) & LOW_NIBBLES, x)
        second_sums = dot4(second_sums, (second_pair >> 4) & LOW_NIBBLES, x)
    return sums, second_sums


@inlined
def integers(u8, at, k):
    """The integers of column k."""
    return byte_of(load_bytes(u8, at + k % 16 // 4 * 64, i32), k % 4) >> k // 16 * 4 & 15


@inlined
def pack_nibbles(raw, at, out, weights, r):
    """Pack 16 bytes, whose low bits are columns 0 .. 15 and whose high bits are columns 16 .. 31."""
    for k in range(4):
        store_word(out, weights + k * 64 + 4 * r, load_word(raw, at + 4 * k))


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q4_0: an f16 scale and 16 bytes of integers; see blocks.Integers."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_nibbles(raw, at + 2, out, weights, r)


layout = blocks(Integers("q4", 6, SIZE, 8, SCALE, dots_of, dots_of_two, integers, BLOCKS["Q4_0"][1], pack))
