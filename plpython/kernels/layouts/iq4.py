"""IQ4: codes of four bits, each the number of an 8-bit integer in a table. A block is as in Q4; see there."""

import numpy as np

from ...model.encodings import BLOCKS, IQ4_VALUES
from ...simd.memory import load_bytes, spread_bytes
from ...simd.registers import dot4, i32, inlined, look_up
from ..blocks import SCALE, Integers, blocks, byte_of
from ..products import LOW_NIBBLES, TILE_I32
from .q4 import SIZE, pack

TABLE_OFFSET = 128  # of the table's values, to be unsigned


def table_of(values):
    """A table for look_up: int8[16] + TABLE_OFFSET, in each quarter of a register."""
    return np.tile((np.asarray(values, np.int32) + TABLE_OFFSET).astype(np.uint8), 4)


def looked_up(table):
    """Make (dots_of, dots_of_two, integers) of codes of the table; see blocks.Integers."""

    def dots_of(X):
        @inlined
        def dots(u8, at, sums, codes, column, columns):
            values = load_bytes(table, 0, i32)
            for k in range(4):
                pair = load_bytes(u8, at + k * 64, i32)
                low, high = look_up(values, pair & LOW_NIBBLES), look_up(values, (pair >> 4) & LOW_NIBBLES)
                sums = dot4(sums, low, spread_bytes(codes, column + 4 * k, X, columns))
                sums = dot4(sums, high, spread_bytes(codes, column + 16 + 4 * k, X, columns))
            return sums

        return dots

    @inlined
    def dots_of_two(u8, at, second, sums, codes, column, columns):
        second_sums, values = sums, load_bytes(table, 0, i32)
        for k in range(4):
            pair, second_pair = load_bytes(u8, at + k * 64, i32), load_bytes(u8, second + k * 64, i32)
            x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
            sums = dot4(sums, look_up(values, pair & LOW_NIBBLES), x)
            second_sums = dot4(second_sums, look_up(values, second_pair & LOW_NIBBLES), x)
            x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
            sums = dot4(sums, look_up(values, (pair >> 4) & LOW_NIBBLES), x)
            second_sums = dot4(second_sums, look_up(values, (second_pair >> 4) & LOW_NIBBLES), x)
        return sums, second_sums

    @inlined
    def integers(u8, at, k):
        pair = load_bytes(u8, at + k % 16 // 4 * 64, i32) >> k // 16 * 4 & LOW_NIBBLES
        return byte_of(look_up(load_bytes(table, 0, i32), pair), k % 4)

    return dots_of, dots_of_two, integers


layout = blocks(
    Integers("iq4", 10, SIZE, TABLE_OFFSET, SCALE, *looked_up(table_of(IQ4_VALUES)), BLOCKS["IQ4_NL"][1], pack)
)
