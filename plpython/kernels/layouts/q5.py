"""Q5: 5-bit integers, stored + 16. A block is u8[16 rows][4 bytes] of fifth bits, then u8[4 lines][16 rows][4 bytes].

Byte b of line k holds the lower four bits of column 4k + b in its low bits, of column 4k + b + 16 in its high bits.
Their fifth bits are bits 4 + k and k of byte b of the first line.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import SCALE, Blocks, blocks, lines, pack_scale
from ..groups import CACHE_LINE
from .q4 import LOW_NIBBLES, pack_nibbles

SIZE = 320  # bytes of a block
FIFTH_BITS = 0x10101010  # masks the fifth bit of each byte


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    fifths = load_bytes(u8, at, i32)
    a, b, c, d = lines(u8, at + CACHE_LINE)
    first, second = a & LOW_NIBBLES | fifths & FIFTH_BITS, b & LOW_NIBBLES | fifths >> 1 & FIFTH_BITS
    third, fourth = c & LOW_NIBBLES | fifths >> 2 & FIFTH_BITS, d & LOW_NIBBLES | fifths >> 3 & FIFTH_BITS
    fifth, sixth = a >> 4 & LOW_NIBBLES | fifths << 4 & FIFTH_BITS, b >> 4 & LOW_NIBBLES | fifths << 3 & FIFTH_BITS
    seventh, eighth = c >> 4 & LOW_NIBBLES | fifths << 2 & FIFTH_BITS, d >> 4 & LOW_NIBBLES | fifths << 1 & FIFTH_BITS
    return first, second, third, fourth, fifth, sixth, seventh, eighth


@compiled
def every_fourth(bits):
    """Bits 0, 4, 8 and 12 as bits 0 .. 3."""
    pairs = (bits & 0x1111) | (bits & 0x1111) >> 3
    return (pairs & 0x0303 | (pairs & 0x0303) >> 6) & 15


@inlined
def pack_fifths(raw, at, out, weights, r):
    """Pack the fifth bits of 32 columns, which are four bytes in their order."""
    bits = load_word(raw, at)
    for byte in range(4):
        out[weights + 4 * r + byte] = every_fourth(bits >> byte) << 4 | every_fourth(bits >> 16 + byte)


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q5_0: an f16 scale, 32 fifth bits and 16 bytes; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_fifths(raw, at + 2, out, weights, r)
    pack_nibbles(raw, at + 6, out, weights + CACHE_LINE, r)


layout = blocks(Blocks("q5", 7, SIZE, 16, SCALE, registers, BLOCKS["Q5_0"][1], pack))
