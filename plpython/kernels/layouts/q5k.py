"""Q5_K: superblocks of 5-bit integers; a block is as in Q5, without an offset, scales and minima as in Q4_K."""

from ...model.encodings import BLOCKS
from ...simd.memory import load_word, store_word
from ...simd.registers import inlined
from ..groups import CACHE_LINE
from ..superblocks import Superblocks, superblocks
from .q4k import SCALES, pack_low_bits, pack_scales
from .q5 import SIZE, registers

LINE_BYTES = CACHE_LINE + 2 * SIZE
LOWEST_BITS = 0x01010101  # masks the lowest bit of each byte


@inlined
def pack_fifths(raw, at, out, weights, r, block):
    """Pack the fifth bits of a block: bit number `block` of each of 32 bytes."""
    fifths = 0
    for k in range(4):
        fifths |= (load_word(raw, at + 4 * k) >> block & LOWEST_BITS) << 4 + k
        fifths |= (load_word(raw, at + 16 + 4 * k) >> block & LOWEST_BITS) << k
    store_word(out, weights + 4 * r, fifths)


@inlined
def pack(raw, at, out, to, r):
    """Q5_K: d, dmin, twelve bytes of scales and minima, 32 of fifth bits, 128 of the others."""
    pack_scales(raw, at, out, to, r, LINE_BYTES)
    for block in range(8):
        weights = to + CACHE_LINE + block // 2 * LINE_BYTES + CACHE_LINE + block % 2 * SIZE
        pack_fifths(raw, at + 16, out, weights, r, block)
        pack_low_bits(raw, at + 48 + block // 2 * 32, out, weights + CACHE_LINE, r, block % 2)


layout = superblocks(Superblocks("q5k", 13, SIZE, 0, SCALES, registers, BLOCKS["Q5_K"][1], pack))
