"""Q2_K: superblocks of 2-bit integers; each half of a block has a scale and a minimum of 4 bits, in one byte.

A block is u8[2 lines][16 rows][4 bytes], one line for each half. Bits 2k and 2k + 1 of byte b are column 4k + b.
A line of scales is u8[2 blocks][2 halves][16 rows]: the scale in the low bits, the minimum in the high bits.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_u8, load_word, spread_bytes, store_word
from ...simd.registers import dot4, i32, inlined
from ..blocks import byte_of, pack_scale
from ..groups import CACHE_LINE
from ..superblocks import MINIMA_AT, BlockScales, Superblocks, superblocks
from .q6k import LOWEST_TWO

SIZE = 128  # bytes of a block
LINE_BYTES = CACHE_LINE + 2 * SIZE


def dots_of(X):
    """Make the dot products of the halves of a block with tokens of the type X; see superblocks.Superblocks."""

    @inlined
    def half(u8, at, sums, codes, column, columns):
        four = load_bytes(u8, at, i32)
        for k in range(4):
            sums = dot4(sums, four >> 2 * k & LOWEST_TWO, spread_bytes(codes, column + 4 * k, X, columns))
        return sums

    @inlined
    def dots(u8, at, halves, codes, column, columns):
        one, two = halves
        one = half(u8, at, one, codes, column, columns)
        two = half(u8, at + CACHE_LINE, two, codes, column + 16, columns)
        return one, two

    return dots


@inlined
def integers(u8, at, k):
    """The integers of column k."""
    return byte_of(load_bytes(u8, at + k // 16 * CACHE_LINE, i32), k % 4) >> k % 16 // 4 * 2 & 3


@inlined
def scale(u8, line, half):
    """The scales of half a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 16 * half, i32) & 15


@inlined
def minima(u8, line, block):
    """The minima of the halves of a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 32 * block, i32) >> 4 | load_u8(u8, line + 32 * block + 16, i32) >> 4 << 16


@inlined
def pack(raw, at, out, to, r):
    """Q2_K: 16 bytes of scales and minima, 64 of integers, d and dmin; see superblocks.Superblocks."""
    pack_scale(raw, at + 80, out, to + 2 * r)
    pack_scale(raw, at + 82, out, to + MINIMA_AT + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * LINE_BYTES
        for half in range(2):
            out[line + (block % 2 * 2 + half) * 16 + r] = raw[at + 2 * block + half]
            four = 0
            for k in range(4):
                columns = load_word(raw, at + 16 + block // 4 * 32 + 16 * half + 4 * k)
                four |= (columns >> block % 4 * 2 & LOWEST_TWO) << 2 * k
            store_word(out, line + CACHE_LINE + block % 2 * SIZE + half * CACHE_LINE + 4 * r, four)


layout = superblocks(
    Superblocks(
        "q2k", 17, SIZE, 0, BlockScales(2, True, scale, minima), dots_of, None, integers, BLOCKS["Q2_K"][1], pack
    )
)
