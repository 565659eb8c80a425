"""Q4_K: superblocks of 4-bit integers; blocks have scales and minima of 6 bits, stored as bytes.

A block is as in Q4. A line of scales is u8[2 blocks][16 rows] scales, then u8[16 rows][2 blocks] minima.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_u8, load_u8_pairs, load_word, store_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import MINIMA_AT, BlockScales, Superblocks, superblocks
from .q4 import LOW_NIBBLES, SIZE, registers

SIX_BITS = 63


@inlined
def scale(u8, line, block):
    """The scales of a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 16 * block, i32)


@inlined
def minima(u8, line, block):
    """The minima of both blocks of a line; see superblocks.BlockScales."""
    return load_u8_pairs(u8, line + MINIMA_AT, i32)


SCALES = BlockScales(2, False, scale, minima)


@compiled
def six_bits(raw, at, block):
    """(scale, minimum) of a block, of the twelve bytes at raw[at] that hold those of eight blocks."""
    if block < 4:
        return raw[at + block] & SIX_BITS, raw[at + 4 + block] & SIX_BITS
    low, scale_bits, minimum_bits = raw[at + 4 + block], raw[at + block - 4] >> 6, raw[at + block] >> 6
    return low & 15 | scale_bits << 4, low >> 4 | minimum_bits << 4


@inlined
def pack_scales(raw, at, out, to, r, line_bytes):
    """Pack d, dmin and the 6-bit fields, which are the first 16 bytes of a superblock."""
    pack_scale(raw, at, out, to + 2 * r)
    pack_scale(raw, at + 2, out, to + MINIMA_AT + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * line_bytes
        scale, minimum = six_bits(raw, at + 4, block)
        out[line + block % 2 * 16 + r] = scale
        out[line + MINIMA_AT + 2 * r + block % 2] = minimum


@inlined
def pack_low_bits(raw, at, out, weights, r, upper):
    """Pack the lower four bits of a block: the low or the high (`upper`) halves of 32 bytes."""
    for k in range(4):
        low = load_word(raw, at + 4 * k) >> 4 * upper & LOW_NIBBLES
        high = load_word(raw, at + 16 + 4 * k) >> 4 * upper & LOW_NIBBLES
        store_word(out, weights + k * CACHE_LINE + 4 * r, low | high << 4)


LINE_BYTES = CACHE_LINE + 2 * SIZE


@inlined
def pack(raw, at, out, to, r):
    """Q4_K: d, dmin, twelve bytes of scales and minima, 128 bytes of integers; see superblocks.Superblocks."""
    pack_scales(raw, at, out, to, r, LINE_BYTES)
    for block in range(8):
        weights = to + CACHE_LINE + block // 2 * LINE_BYTES + CACHE_LINE + block % 2 * SIZE
        pack_low_bits(raw, at + 16 + block // 2 * 32, out, weights, r, block % 2)


layout = superblocks(Superblocks("q4k", 12, SIZE, 0, SCALES, registers, BLOCKS["Q4_K"][1], pack))
