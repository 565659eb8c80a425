"""IQ3_XXS: as IQ3_S, with other integers: a weight is half of d, times the scale, times the integer.

In a file a weight takes 3.06 bits; here it takes 4.375 bits.
"""

from ...simd.registers import compiled
from ..grids import SEVEN_SIGNS, Form, first_scale, odd, seven_signs
from ..superblocks import superblocks
from .iq3s import described, packers


@compiled
def rows_of_xxs(raw, at, block, k):
    """IQ3_XXS: d; 64 bytes of rows; for each block a word of signs and the scale."""
    return raw[at + 2 + 8 * block + k], seven_signs(raw, at + 66 + 4 * block, k)


@compiled
def scale_of_xxs(raw, at, block, half):
    """The upper four bits of a block's word."""
    return odd(raw[at + 69 + 4 * block] >> 4)


OF_IQ3_XXS = described("iq3xxs", 21, (2, 6, 10, 14, 18, 22, 26, 31), 1 / 2)
layout = superblocks(OF_IQ3_XXS)
PACKERS = packers(OF_IQ3_XXS, Form("IQ3_XXS", first_scale, rows_of_xxs, scale_of_xxs, SEVEN_SIGNS))
