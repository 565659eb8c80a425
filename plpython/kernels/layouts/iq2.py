"""IQ2: superblocks of 3-bit codes, each the number of an integer in a table; IQ2_XXS, IQ2_XS and IQ2_S are packed so.

A weight is an eighth of d, times the scale of half a block, which is odd, up to 31, times 8, 25 or 43 with a sign. All
three factors are kept, so it is exact. In a file the numbers of rows of a grid take the place of codes, in 2.06 to 2.56
bits a weight; here a weight takes 3.625 bits. A product would have to look up rows of the grid, one after the other,
for each row of the matrix: 16 rows in a register look up their codes by one instruction.

Blocks and lines of scales are as in Q3_K; the third bit is the sign.
"""

from ...simd.registers import compiled, inlined
from ..grids import EIGHT_SIGNS, SEVEN_SIGNS, Form, first_scale, grid_packer, half_word, odd, seven_signs
from ..groups import CACHE_LINE
from ..superblocks import Superblocks, superblocks
from .iq4 import TABLE_OFFSET, looked_up, table_of
from .q3k import LINE_BYTES, SCALES, SIZE, store_registers
from .q3k import registers as three_bits

EIGHTH = 1 / 8  # of d
MAGNITUDE_BITS = 2


@inlined
def store_block(out, place, scales, low, high):
    """Store a block and its scales; see grids.grid_packer."""
    to, block, r = place
    line = to + CACHE_LINE + block // 2 * LINE_BYTES
    out[line + block % 2 * 32 + r], out[line + block % 2 * 32 + 16 + r] = scales
    store_registers(out, line + CACHE_LINE + block % 2 * SIZE + 4 * r, low, high)


def described(name, number, integers):
    """The Superblocks of eight integers, those of the codes 0 .. 7: their grids have four magnitudes at most."""
    registers = looked_up(table_of([*integers] * 2), three_bits)
    return Superblocks(name, number, SIZE, TABLE_OFFSET, SCALES, registers, None, None, EIGHTH)


def packers(described, *forms):
    """{type: Packer} of Forms whose grids have eight columns."""
    return {form.type: grid_packer(form, described, store_block, 8, MAGNITUDE_BITS) for form in forms}


@compiled
def rows_of_xxs(raw, at, block, k):
    """IQ2_XXS: d; for each block four bytes of rows, and a word of their signs and the scale."""
    return raw[at + 2 + 8 * block + k // 2], seven_signs(raw, at + 6 + 8 * block, k)


@compiled
def scale_of_xxs(raw, at, block, half):
    """The upper four bits of a block's word."""
    return odd(raw[at + 9 + 8 * block] >> 4)


@compiled
def rows_of_xs(raw, at, block, k):
    """IQ2_XS: d; 32 halves of a word with a row and its signs; a byte of two scales for each block."""
    both = half_word(raw, at + 2 + 8 * block + k // 2 * 2)
    return both & 511, both >> 9


@compiled
def scale_of_xs(raw, at, block, half):
    """Four bits."""
    return odd(raw[at + 66 + block] >> 4 * half & 15)


@compiled
def rows_of_s(raw, at, block, k):
    """IQ2_S: d; 32 bytes of rows, 32 of signs, eight of upper bits of rows, eight of two scales each."""
    upper = raw[at + 66 + block] >> k // 2 * 2 & 3
    return raw[at + 2 + 4 * block + k // 2] | upper << 8, raw[at + 34 + 4 * block + k // 2]


@compiled
def scale_of_s(raw, at, block, half):
    """Four bits."""
    return odd(raw[at + 74 + block] >> 4 * half & 15)


OF_IQ2 = described("iq2", 18, (8, 25, 43, 0, -8, -25, -43, 0))
layout = superblocks(OF_IQ2)
PACKERS = packers(
    OF_IQ2,
    Form("IQ2_XXS", first_scale, rows_of_xxs, scale_of_xxs, SEVEN_SIGNS),
    Form("IQ2_XS", first_scale, rows_of_xs, scale_of_xs, SEVEN_SIGNS),
    Form("IQ2_S", first_scale, rows_of_s, scale_of_s, EIGHT_SIGNS),
)
