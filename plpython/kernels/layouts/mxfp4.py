"""MXFP4: floats of four bits, which are codes of twice their values, and scales that are powers of two, a byte each."""

from ...model.encodings import BLOCKS, MXFP4_VALUES
from ...simd.memory import load_u8
from ...simd.registers import as_f32, i32, inlined, maximum_i32
from ..blocks import Blocks, Scales, blocks
from .iq4 import TABLE_OFFSET, looked_up, table_of
from .q4 import SIZE, pack_nibbles

# 2^-128 is the float of the bits 2^21, 2^-127 that of 2^22; from there on an exponent is the number minus 1.
SMALLEST = 1 << 21


@inlined
def half_powers(weights, at):
    """2^(e - 128), half of the scale of each row: the codes are of twice the values."""
    exponents = load_u8(weights.u8, at, i32)
    subnormal = SMALLEST + (exponents & 1) * SMALLEST
    return as_f32(maximum_i32((exponents - 1) << 23, subnormal))


@inlined
def pack(raw, at, out, scales, weights, r):
    """MXFP4: the exponent of the scale, and 16 bytes of codes; see blocks.Blocks."""
    out[scales + r] = raw[at]
    pack_nibbles(raw, at + 1, out, weights, r)


POWERS = Scales(4, False, half_powers)
REGISTERS = looked_up(table_of(MXFP4_VALUES))
layout = blocks(Blocks("mxfp4", 11, SIZE, TABLE_OFFSET, POWERS, REGISTERS, BLOCKS["MXFP4"][1], pack))
