"""Q3_K: superblocks of 3-bit integers, stored + 4; each half of a block has a scale of 6 bits, a signed byte here.

A block is u8[3 lines][16 rows][4 bytes]. Register k of a block holds its columns 4k .. 4k + 3, a byte each:
line 0 holds registers 0 and 1, three bits each, and bits 0-1 of register 6; line 1 holds registers 2 and 3 and bits 0-1
of register 7; line 2 holds registers 4 and 5, bit 2 of register 6 and bit 2 of register 7.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_word, store_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import BlockScales, Superblocks, superblocks
from .q5k import LOWEST_BITS
from .q6k import LOWEST_TWO, scale

SIZE = 192  # bytes of a block
LINE_BYTES = CACHE_LINE + 2 * SIZE
LOWEST_THREE, THIRD_BITS = 0x07070707, 0x04040404  # of each byte


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    a, b, c = load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32), load_bytes(u8, at + 2 * CACHE_LINE, i32)
    sixth = a >> 6 & LOWEST_TWO | c >> 4 & THIRD_BITS
    seventh = b >> 6 & LOWEST_TWO | c >> 5 & THIRD_BITS
    low = a & LOWEST_THREE, a >> 3 & LOWEST_THREE, b & LOWEST_THREE, b >> 3 & LOWEST_THREE
    return low + (c & LOWEST_THREE, c >> 3 & LOWEST_THREE, sixth, seventh)


@compiled
def six_bits(raw, at, half):
    """The scale of a half block, of twelve bytes: the lower four bits of 16 scales, then their upper two bits."""
    low, upper = raw[at + half % 8] >> half // 8 * 4 & 15, raw[at + 8 + half % 4] >> half // 4 * 2 & 3
    return (low | upper << 4) - 32


@compiled
def four_columns(raw, at, block, k):
    """The columns 4k .. 4k + 3 of a block, as bytes of a word."""
    half, quarter = block // 4, block % 4
    low = load_word(raw, at + 32 + 32 * half + 4 * k) >> 2 * quarter & LOWEST_TWO
    return low | (load_word(raw, at + 4 * k) >> block & LOWEST_BITS) << 2


@inlined
def store_registers(out, to, low, high):
    """Store a row's part of a block: four words each for the columns 0 .. 15 and 16 .. 31."""
    sixth, seventh = high[2], high[3]
    store_word(out, to, low[0] | low[1] << 3 | (sixth & LOWEST_TWO) << 6)
    store_word(out, to + CACHE_LINE, low[2] | low[3] << 3 | (seventh & LOWEST_TWO) << 6)
    upper = (sixth & THIRD_BITS) << 4 | (seventh & THIRD_BITS) << 5
    store_word(out, to + 2 * CACHE_LINE, high[0] | high[1] << 3 | upper)


@compiled
def columns_of_half(raw, at, block, k):
    """The registers k .. k + 3 of a row's block."""
    first, second = four_columns(raw, at, block, k), four_columns(raw, at, block, k + 1)
    return first, second, four_columns(raw, at, block, k + 2), four_columns(raw, at, block, k + 3)


@inlined
def pack(raw, at, out, to, r):
    """Q3_K: 32 bytes of third bits, 64 of low bits, twelve of scales, d; see superblocks.Superblocks."""
    pack_scale(raw, at + 108, out, to + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * LINE_BYTES
        for half in range(2):
            out[line + (block % 2 * 2 + half) * 16 + r] = six_bits(raw, at + 96, 2 * block + half)
        low, high = columns_of_half(raw, at, block, 0), columns_of_half(raw, at, block, 4)
        store_registers(out, line + CACHE_LINE + block % 2 * SIZE + 4 * r, low, high)


SCALES = BlockScales(2, True, scale, None)
layout = superblocks(Superblocks("q3k", 16, SIZE, 4, SCALES, registers, BLOCKS["Q3_K"][1], pack))
