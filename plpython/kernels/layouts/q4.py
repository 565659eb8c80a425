"""Q4: 4-bit integers, stored + 8. A block is u8[4 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block in its low bits, column 4k + b + 16 in its high bits.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_word, store_word
from ...simd.registers import inlined
from ..blocks import SCALE, Blocks, blocks, lines, pack_scale

SIZE = 256  # bytes of a block
LOW_NIBBLES = 0x0F0F0F0F  # masks the lower four bits of each byte


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    a, b, c, d = lines(u8, at)
    low = a & LOW_NIBBLES, b & LOW_NIBBLES, c & LOW_NIBBLES, d & LOW_NIBBLES
    return low + (a >> 4 & LOW_NIBBLES, b >> 4 & LOW_NIBBLES, c >> 4 & LOW_NIBBLES, d >> 4 & LOW_NIBBLES)


@inlined
def pack_nibbles(raw, at, out, weights, r):
    """Pack 16 bytes, whose low bits are columns 0 .. 15 and whose high bits are columns 16 .. 31."""
    for k in range(4):
        store_word(out, weights + k * 64 + 4 * r, load_word(raw, at + 4 * k))


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q4_0: an f16 scale and 16 bytes of integers; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_nibbles(raw, at + 2, out, weights, r)


layout = blocks(Blocks("q4", 6, SIZE, 8, SCALE, registers, BLOCKS["Q4_0"][1], pack))
