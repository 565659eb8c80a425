"""Q5_1: 5-bit integers as in Q5, without an offset, and a minimum for each block."""

from ...model.encodings import BLOCKS
from ...simd.registers import inlined
from ..blocks import MINIMUM_AT, SCALE_AND_MINIMUM, Blocks, blocks, pack_scale
from ..groups import CACHE_LINE
from .q4 import pack_nibbles
from .q5 import SIZE, pack_fifths, registers


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q5_1: an f16 scale, an f16 minimum, 32 fifth bits and 16 bytes; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_scale(raw, at + 2, out, scales + MINIMUM_AT + 2 * r)
    pack_fifths(raw, at + 4, out, weights, r)
    pack_nibbles(raw, at + 8, out, weights + CACHE_LINE, r)


layout = blocks(Blocks("q5_1", 9, SIZE, 0, SCALE_AND_MINIMUM, registers, BLOCKS["Q5_1"][1], pack))
