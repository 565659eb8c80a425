"""Q2_K: superblocks of 2-bit integers; each half of a block has a scale and a minimum of 4 bits, in one byte.

A block is u8[2 lines][16 rows][4 bytes], one line for each half. Bits 2k and 2k + 1 of byte b are column 4k + b.
A line of scales is u8[2 blocks][2 halves][16 rows]: the scale in the low bits, the minimum in the high bits.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_u8, load_word, store_word
from ...simd.registers import i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import MINIMA_AT, BlockScales, Superblocks, superblocks
from .q6k import LOWEST_TWO

SIZE = 128  # bytes of a block
LINE_BYTES = CACHE_LINE + 2 * SIZE


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    a, b = load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32)
    low = a & LOWEST_TWO, a >> 2 & LOWEST_TWO, a >> 4 & LOWEST_TWO, a >> 6 & LOWEST_TWO
    return low + (b & LOWEST_TWO, b >> 2 & LOWEST_TWO, b >> 4 & LOWEST_TWO, b >> 6 & LOWEST_TWO)


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


SCALES = BlockScales(2, True, scale, minima)
layout = superblocks(Superblocks("q2k", 17, SIZE, 0, SCALES, registers, BLOCKS["Q2_K"][1], pack))
