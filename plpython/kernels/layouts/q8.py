"""Q8: 8-bit integers, stored + 128. A block is u8[8 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_word, store_word
from ...simd.registers import inlined
from ..blocks import SCALE, Blocks, blocks, lines, pack_scale

SIGN_BITS = 0x80808080  # int8 ^ this is the integer + 128


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    return lines(u8, at) + lines(u8, at + 256)


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q8_0: an f16 scale and 32 int8; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    for k in range(8):
        store_word(out, weights + k * 64 + 4 * r, load_word(raw, at + 2 + 4 * k) ^ SIGN_BITS)


layout = blocks(Blocks("q8", 5, 512, 128, SCALE, registers, BLOCKS["Q8_0"][1], pack))
