"""IQ3_S: superblocks of 4-bit codes as in IQ4_XS; the integers are the odd ones up to 15 with a sign.

A weight is d times the scale of a block, which is odd, up to 31, times the integer, so it is exact. In a file the
numbers of rows of a grid take the place of codes, in 3.44 bits a weight; here a weight takes 4.375 bits. See IQ2.
"""

from ...simd.memory import store_word
from ...simd.registers import compiled, inlined
from ..grids import EIGHT_SIGNS, Form, first_scale, grid_packer, odd
from ..groups import CACHE_LINE
from ..superblocks import Superblocks, superblocks
from .iq4 import TABLE_OFFSET, looked_up, table_of
from .iq4xs import LINE_BYTES, PER_LINE, SCALES
from .q4 import SIZE

NUMBER_BITS, COLUMNS_OF_ROW = 3, 4  # of the number of a magnitude, in the grid


@inlined
def store_block(out, place, scales, low, high):
    """Store a block and its scale; see grids.grid_packer."""
    to, block, r = place
    line = to + CACHE_LINE + block // PER_LINE * LINE_BYTES
    out[line + block % PER_LINE * 16 + r] = scales[0]
    weights = line + CACHE_LINE + block % PER_LINE * SIZE + 4 * r
    for k in range(4):
        store_word(out, weights + k * CACHE_LINE, low[k] | high[k] << 4)


def described(name, number, magnitudes, factor=1):
    """The Superblocks of eight magnitudes with a sign; see superblocks.Superblocks."""
    table = table_of([*magnitudes, *(-m for m in magnitudes)])
    return Superblocks(name, number, SIZE, TABLE_OFFSET, SCALES, looked_up(table), None, None, factor)


def packers(described, form):
    """{type: Packer} of a Form whose grid has four columns."""
    return {form.type: grid_packer(form, described, store_block, COLUMNS_OF_ROW, NUMBER_BITS)}


@compiled
def rows_of_s(raw, at, block, k):
    """IQ3_S: d; 64 bytes of rows, eight of their ninth bits, 32 of signs, four of two scales each."""
    return raw[at + 2 + 8 * block + k] | (raw[at + 66 + block] >> k & 1) << 8, raw[at + 74 + 4 * block + k // 2]


@compiled
def scale_of_s(raw, at, block, half):
    """Four bits."""
    return odd(raw[at + 106 + block // 2] >> block % 2 * 4 & 15)


OF_IQ3_S = described("iq3s", 20, range(1, 16, 2))
layout = superblocks(OF_IQ3_S)
PACKERS = packers(OF_IQ3_S, Form("IQ3_S", first_scale, rows_of_s, scale_of_s, EIGHT_SIGNS))
