"""Q6_K: superblocks of 6-bit integers, stored + 32; each half of a block has an 8-bit scale.

A block is u8[2 halves][3 lines][16 rows][4 bytes]. The low six bits of byte b of line k are column 4k + b of the half;
the upper two bits of the lines 0, 1, 2 are those of columns 12 + b: bits 0-1, 2-3 and 4-5.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_i8, load_word, store_word
from ...simd.registers import i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import BlockScales, Superblocks, superblocks
from .q4 import LOW_NIBBLES

SIZE = 384  # bytes of a block
HALF_SIZE = 3 * CACHE_LINE  # bytes of half a block
LINE_BYTES = CACHE_LINE + 2 * SIZE
LOWEST_SIX, LOWEST_TWO, NEXT_TWO, UPPER_TWO = 0x3F3F3F3F, 0x03030303, 0x0C0C0C0C, 0x30303030  # of each byte


@inlined
def half_of(u8, at):
    """Half a block, as four registers of four columns."""
    a, b, c = load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32), load_bytes(u8, at + 2 * CACHE_LINE, i32)
    fourth = (a >> 6) & LOWEST_TWO | (b >> 4) & NEXT_TWO | (c >> 2) & UPPER_TWO
    return a & LOWEST_SIX, b & LOWEST_SIX, c & LOWEST_SIX, fourth


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    return half_of(u8, at) + half_of(u8, at + HALF_SIZE)


@inlined
def scale(u8, line, half):
    """The scales of half a block; see superblocks.BlockScales."""
    return load_i8(u8, line + 16 * half, i32)


@inlined
def four_columns(raw, at, block, k):
    """The columns 4k .. 4k + 3 of a block, as bytes of a word."""
    half, quarter = block // 4, block % 4
    low = load_word(raw, at + 64 * half + 32 * (quarter % 2) + 4 * k) >> quarter // 2 * 4 & LOW_NIBBLES
    return low | (load_word(raw, at + 128 + 32 * half + 4 * k) >> 2 * quarter & LOWEST_TWO) << 4


@inlined
def pack(raw, at, out, to, r):
    """Q6_K: 128 bytes of low bits, 64 of upper bits, 16 of scales, d; see superblocks.Superblocks."""
    pack_scale(raw, at + 208, out, to + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * LINE_BYTES
        for half in range(2):
            out[line + (block % 2 * 2 + half) * 16 + r] = raw[at + 192 + 2 * block + half]
            weights = line + CACHE_LINE + block % 2 * SIZE + half * HALF_SIZE
            fourth = four_columns(raw, at, block, 4 * half + 3)
            for k in range(3):
                upper = (fourth >> 2 * k & LOWEST_TWO) << 6
                store_word(out, weights + k * CACHE_LINE + 4 * r, four_columns(raw, at, block, 4 * half + k) | upper)


SCALES = BlockScales(2, True, scale, None)
layout = superblocks(Superblocks("q6k", 14, SIZE, 32, SCALES, registers, BLOCKS["Q6_K"][1], pack))
