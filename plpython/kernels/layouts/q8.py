"""Q8: 8-bit integers, stored + 128. A block is u8[8 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import in_order, load_bytes, load_word, spread_bytes, store_word
from ...simd.registers import dot4, i32, inlined
from ..blocks import SCALE, Integers, blocks, byte_of, pack_scale
from ..products import TILE_I32

SIGN_BITS = 0x80808080  # int8 ^ this is the integer + 128


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(8):
            sums = dot4(sums, load_bytes(u8, at + k * 64, i32), spread_bytes(codes, column + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, second, sums, codes, column, columns):
    """The same for two groups: each register of activations is used for both."""
    second_sums = sums
    for k in range(8):
        if k == 4:
            in_order()  # or LLVM would do all sixteen loads first, and run out of registers
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(u8, at + k * 64, i32), x)
        second_sums = dot4(second_sums, load_bytes(u8, second + k * 64, i32), x)
    return sums, second_sums


@inlined
def integers(u8, at, k):
    """The integers of column k."""
    return byte_of(load_bytes(u8, at + k // 4 * 64, i32), k % 4)


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q8_0: an f16 scale and 32 int8; see blocks.Integers."""
    pack_scale(raw, at, out, scales + 2 * r)
    for k in range(8):
        store_word(out, weights + k * 64 + 4 * r, load_word(raw, at + 2 + 4 * k) ^ SIGN_BITS)


layout = blocks(Integers("q8", 5, 512, 128, SCALE, dots_of, dots_of_two, integers, BLOCKS["Q8_0"][1], pack))
