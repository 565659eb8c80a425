"""IQ4_XS: superblocks of codes as in IQ4; each block has a scale of 6 bits, stored as a signed byte.

A line of scales is int8[4 blocks][16 rows].
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_i8
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import BlockScales, Superblocks, superblocks
from .iq4 import TABLE, TABLE_OFFSET, looked_up
from .q4 import SIZE, pack_nibbles

PER_LINE = 4  # blocks that share a line of scales
LINE_BYTES = CACHE_LINE + PER_LINE * SIZE


@inlined
def scale(u8, line, block):
    """The scales of a block; see superblocks.BlockScales."""
    return load_i8(u8, line + 16 * block, i32)


@compiled
def six_bits(raw, at, block):
    """The scale of a block, of the upper two bits of eight scales, two bytes, and their lower four bits, four bytes."""
    low, upper = raw[at + 2 + block // 2] >> 4 * (block % 2) & 15, raw[at + block // 4] >> 2 * (block % 4) & 3
    return (low | upper << 4) - 32


@inlined
def pack(raw, at, out, to, r):
    """IQ4_XS: d, six bytes of scales, 128 of codes; see superblocks.Superblocks."""
    pack_scale(raw, at, out, to + 2 * r)
    for block in range(8):
        line, b = to + CACHE_LINE + block // PER_LINE * LINE_BYTES, block % PER_LINE
        out[line + 16 * b + r] = six_bits(raw, at + 2, block)
        pack_nibbles(raw, at + 8 + 16 * block, out, line + CACHE_LINE + b * SIZE, r)


SCALES = BlockScales(PER_LINE, False, scale, None)
layout = superblocks(Superblocks("iq4xs", 15, SIZE, TABLE_OFFSET, SCALES, looked_up(TABLE), BLOCKS["IQ4_XS"][1], pack))
