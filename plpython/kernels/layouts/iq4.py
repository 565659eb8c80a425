"""IQ4: codes of four bits, each the number of an 8-bit integer in a table. A block is as in Q4; see there."""

import numpy as np

from ...model.encodings import BLOCKS
from ...model.quantizers import IQ4_VALUES
from ...simd.memory import load_bytes
from ...simd.registers import i32, inlined, look_up
from ..blocks import SCALE, Blocks, blocks
from .q4 import SIZE, pack
from .q4 import registers as four_bits

TABLE_OFFSET = 128  # of the table's values, to be unsigned


def table_of(values):
    """A table for look_up: int8[16] + TABLE_OFFSET, in each quarter of a register."""
    return np.tile((np.asarray(values, np.int32) + TABLE_OFFSET).astype(np.uint8), 4)


def looked_up(table, codes_of=four_bits):
    """Make the registers of a block from those of its codes, which are looked up in the table; see products.dots_of."""

    @inlined
    def registers(u8, at):
        values, (a, b, c, d, e, f, g, h) = load_bytes(table, 0, i32), codes_of(u8, at)
        low = look_up(values, a), look_up(values, b), look_up(values, c), look_up(values, d)
        return low + (look_up(values, e), look_up(values, f), look_up(values, g), look_up(values, h))

    return registers


TABLE = table_of(IQ4_VALUES)
layout = blocks(Blocks("iq4", 10, SIZE, TABLE_OFFSET, SCALE, looked_up(TABLE), BLOCKS["IQ4_NL"][1], pack))
