"""Packing of the IQ encodings of one to three bits: a file holds the numbers of rows in a grid, and signs.

A row of the grid is the magnitudes of four or eight columns. Packing makes codes of them: the number of the magnitude,
and one bit above it the sign. The grids are those of the gguf package, which is imported at the first tensor of such a
type.
"""

import functools
from collections import namedtuple

import numpy as np

from ..model import encodings
from ..simd.memory import load_word
from ..simd.registers import compiled, inlined
from .blocks import pack_scale
from .packers import packer

# Rows of signs, which are bytes: of eight columns, the lowest bit first. Of seven columns: the eighth makes the number
# of minus signs even. Of one bit for all eight.
EIGHT_SIGNS = np.arange(256, dtype=np.uint8)
SEVEN_SIGNS = EIGHT_SIGNS[:128] | (np.unpackbits(EIGHT_SIGNS[:128, None], axis=1).sum(axis=1, dtype=np.uint8) & 1) << 7
ONE_SIGN = np.array([0, 255], np.uint8)
GRID_AT = 8 * 256  # bytes of the table before the grid: 256 rows of signs of eight columns, of which few may be used

# How a type lies in a file. Each function has (raw, at, block, ...), where the superblock begins at raw[at].
#   copy_scale   (raw, at, out, to) -> None: copies the scale of the superblock, half precision
#   look_up      (raw, at, block, k) -> (row of the grid, row of the signs) of the columns 4k .. 4k + 3 of a block
#   scale        (raw, at, block, half) -> the scale of half a block
#   signs        the rows of signs
Form = namedtuple("Form", "type copy_scale look_up scale signs")


def grid_packer(form, described, store_block, width, code_bits):
    """Make the Packer of a Form.

    store_block: (out, (to, block, r), scales of both halves, low, high) -> None: stores a block of row r of a group,
    whose superblock begins at out[to]; `low` and `high` are four words each, of the codes of four columns, a byte each.
    width: columns of a row of the grid. code_bits: of the number of a magnitude.
    """
    word, scale, copy_scale = _word(form.look_up, width), form.scale, form.copy_scale

    @compiled
    def words(raw, at, table, block, k):
        first, second = word(raw, at, table, block, k), word(raw, at, table, block, k + 1)
        return first, second, word(raw, at, table, block, k + 2), word(raw, at, table, block, k + 3)

    @inlined
    def pack(raw, at, out, to, r, table):
        copy_scale(raw, at, out, to + 2 * r)
        for block in range(8):
            scales = scale(raw, at, block, 0), scale(raw, at, block, 1)
            low, high = words(raw, at, table, block, 0), words(raw, at, table, block, 4)
            store_block(out, (to, block, r), scales, low, high)

    return packer(form.type, described, pack, functools.cache(lambda: _table(form, code_bits)))


def _table(form, code_bits):
    """Rows of signs, eight bytes each, with the sign above the bits of a magnitude; then the grid: uint8."""
    table = np.zeros((GRID_AT // 8, 8), np.uint8)
    table[: len(form.signs)] = np.unpackbits(form.signs[:, None], axis=1, bitorder="little") << code_bits
    return np.concatenate([table.reshape(-1), encodings.grid(form.type).reshape(-1)])


def _word(look_up, width):
    """Make (raw, at, table, block, k) -> the codes of the columns 4k .. 4k + 3 of a block, as bytes of a word."""

    @compiled
    def word(raw, at, table, block, k):
        row, signs = look_up(raw, at, block, k)
        within = 4 * (k % 2)
        row_at = GRID_AT + (8 * row + within if width == 8 else 4 * row)
        return load_word(table, row_at) | load_word(table, 8 * signs + within)

    return word


@inlined
def first_scale(raw, at, out, to):
    """Copy the scale of a superblock that begins with it."""
    pack_scale(raw, at, out, to)


@compiled
def half_word(raw, at):
    """The 16 bits at raw[at]."""
    return raw[at] | raw[at + 1] << 8


@compiled
def seven_signs(raw, at, k):
    """The row of the signs of the columns 4k .. 4k + 3: seven bits for every eight columns of the word at raw[at]."""
    return load_word(raw, at) >> 7 * (k // 2) & 127


@compiled
def odd(number):
    """The odd scale of a number."""
    return 2 * number + 1
