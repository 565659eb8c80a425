"""F16: half precision, widened when loaded. NVFP4 is packed so too: half precision holds each of its values."""

import functools

import numpy as np

from ...model import encodings
from ...simd.kernels import kernel
from ...simd.memory import load
from ...simd.registers import inlined
from ..floats import floats
from ..groups import GROUP
from ..packers import PACK_BY_TABLE, Packer

layout = floats("f16", 3, "u16", load)
# A block of NVFP4: four scales of a byte, for 16 columns each, and codes of four bits.
BLOCK_COLUMNS, CODES_AT, BLOCK_SIZE = 64, 4, 36


@functools.cache
def nvfp4_values():
    """The weight of each scale and each code, as the bytes of half precision: uint8 [256 * 16 * 2]."""
    blocks = np.zeros((256, BLOCK_SIZE), np.uint8)
    blocks[:, 0] = np.arange(256)
    blocks[:, CODES_AT : CODES_AT + 8] = [code | code + 8 << 4 for code in range(8)]
    return encodings.encode("F16", encodings.decode("NVFP4", blocks, (256, BLOCK_COLUMNS))[:, :16])


@kernel("pack_NVFP4", PACK_BY_TABLE)
def pack_nvfp4(p):
    """Pack a block of 16 rows at a time, so that the written lines stay in the cache."""
    blocks = p.columns // BLOCK_COLUMNS
    rows = p.raw.size // (blocks * BLOCK_SIZE)
    for begin in range(0, rows, GROUP):
        for block in range(blocks):
            for row in range(begin, min(begin + GROUP, rows)):
                group, r = divmod(p.first_row + row, GROUP)
                to = 2 * ((group * p.columns + block * BLOCK_COLUMNS) * GROUP + r)
                pack_block(p, (row * blocks + block) * BLOCK_SIZE, to)


@inlined
def pack_block(p, at, to):
    """Pack the block at raw[at]: its first column begins at out[to]."""
    for k in range(BLOCK_COLUMNS):
        code = p.raw[at + CODES_AT + k // 16 * 8 + k % 8] >> k % 16 // 8 * 4 & 15
        value = 2 * (16 * p.raw[at + k // 16] + code)
        p.out[to + 2 * k * GROUP], p.out[to + 2 * k * GROUP + 1] = p.table[value], p.table[value + 1]


PACKERS = {"NVFP4": Packer(pack_nvfp4, nvfp4_values)}
