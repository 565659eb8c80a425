"""IQ1: as IQ2, with other integers; IQ1_S and IQ1_M are packed so, in 3.625 bits a weight.

A weight is d times an odd scale up to 15, times -1, 0 or 1 plus or minus an eighth: an eighth of -9, -7, -1, 1, 7 or 9.
"""

from ...simd.registers import compiled, inlined
from ..grids import ONE_SIGN, Form, first_scale, half_word, odd
from ..superblocks import superblocks
from .iq2 import described, packers


@compiled
def rows_of_s(raw, at, block, k):
    """IQ1_S: d; 32 bytes of rows; for each block the upper three bits of four rows, a scale, and the eighth's sign."""
    upper = half_word(raw, at + 34 + 2 * block)
    return raw[at + 2 + 4 * block + k // 2] | (upper >> k // 2 * 3 & 7) << 8, upper >> 15


@compiled
def scale_of_s(raw, at, block, half):
    """Three bits."""
    return odd(raw[at + 35 + 2 * block] >> 4 & 7)


@compiled
def rows_of_m(raw, at, block, k):
    """IQ1_M: 32 bytes of rows; four bits for each row, three of which are its upper ones, one the eighth's sign."""
    upper = raw[at + 32 + 2 * block + k // 4] >> k // 2 % 2 * 4
    return raw[at + 4 * block + k // 2] | (upper & 7) << 8, upper >> 3 & 1


@compiled
def scale_of_m(raw, at, block, half):
    """Three bits, of which a half of a word has four times three."""
    return odd(half_word(raw, at + 48 + block // 2 * 2) >> block % 2 * 6 + 3 * half & 7)


@inlined
def copy_scale_of_m(raw, at, out, to):
    """Join the scale, of which each half of a word of scales has four bits."""
    out[to] = raw[at + 49] >> 4 | raw[at + 51] & 0xF0
    out[to + 1] = raw[at + 53] >> 4 | raw[at + 55] & 0xF0


OF_IQ1 = described("iq1", 19, (-7, 1, 9, 0, -9, -1, 7, 0))
layout = superblocks(OF_IQ1)
PACKERS = packers(
    OF_IQ1,
    Form("IQ1_S", first_scale, rows_of_s, scale_of_s, ONE_SIGN),
    Form("IQ1_M", copy_scale_of_m, rows_of_m, scale_of_m, ONE_SIGN),
)
