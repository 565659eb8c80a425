"""Q4_1: 4-bit integers as in Q4, without an offset, and a minimum for each block."""

from ...model.encodings import BLOCKS
from ...simd.registers import inlined
from ..blocks import MINIMUM_AT, SCALE_AND_MINIMUM, Blocks, blocks, pack_scale
from .q4 import SIZE, pack_nibbles, registers


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q4_1: an f16 scale, an f16 minimum and 16 bytes of integers; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_scale(raw, at + 2, out, scales + MINIMUM_AT + 2 * r)
    pack_nibbles(raw, at + 4, out, weights, r)


layout = blocks(Blocks("q4_1", 8, SIZE, 0, SCALE_AND_MINIMUM, registers, BLOCKS["Q4_1"][1], pack))
