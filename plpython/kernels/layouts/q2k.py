"""Q2_K: superblocks of 2-bit integers; each half of a block has a scale and a minimum of 4 bits, in one byte.

A block is u8[2 lines][16 rows][4 bytes], one line for each half. Bits 2k and 2k + 1 of byte b are column 4k + b.
A line of scales is u8[2 blocks][2 halves][16 rows]: the scale in the low bits, the minimum in the high bits.
"""

import numpy as np

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_u8, load_word, store_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..packers import packer
from ..superblocks import MINIMA_AT, BlockScales, Superblocks, superblocks
from .q6k import LOWEST_TWO

SIZE = 128  # bytes of a block
LINE_BYTES = CACHE_LINE + 2 * SIZE


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    a, b = load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32)
    low = a & LOWEST_TWO, a >> 2 & LOWEST_TWO, a >> 4 & LOWEST_TWO, a >> 6 & LOWEST_TWO
    return low + (b & LOWEST_TWO, b >> 2 & LOWEST_TWO, b >> 4 & LOWEST_TWO, b >> 6 & LOWEST_TWO)


@inlined
def scale(u8, line, half):
    """The scales of half a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 16 * half, i32) & 15


@inlined
def minima(u8, line, block):
    """The minima of the halves of a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 32 * block, i32) >> 4 | load_u8(u8, line + 32 * block + 16, i32) >> 4 << 16


@inlined
def two_bits(raw, at, block, k):
    """The columns 4k .. 4k + 3 of a block of 64 bytes, as bytes of a word."""
    return load_word(raw, at + block // 4 * 32 + 4 * k) >> block % 4 * 2 & LOWEST_TWO


@inlined
def pack(raw, at, out, to, r):
    """Q2_K: 16 bytes of scales and minima, 64 of integers, d and dmin; see superblocks.Superblocks."""
    pack_scale(raw, at + 80, out, to + 2 * r)
    pack_scale(raw, at + 82, out, to + MINIMA_AT + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * LINE_BYTES
        for half in range(2):
            out[line + (block % 2 * 2 + half) * 16 + r] = raw[at + 2 * block + half]
            four = 0
            for k in range(4):
                four |= two_bits(raw, at + 16, block, 4 * half + k) << 2 * k
            store_word(out, line + CACHE_LINE + block % 2 * SIZE + half * CACHE_LINE + 4 * r, four)


SCALES = BlockScales(2, True, scale, minima)
OF_Q2_K = Superblocks("q2k", 17, SIZE, 0, SCALES, registers, BLOCKS["Q2_K"][1], pack)
layout = superblocks(OF_Q2_K)


# TQ1_0 and TQ2_0 are ternary: -1, 0 or 1 times d. That is d * (q - 1), a scale and a minimum of 1.
ONES = 0x11


@inlined
def pack_ones(raw, at, out, to, r):
    """Pack d as both scales of a superblock, and scales and minima of 1."""
    pack_scale(raw, at, out, to + 2 * r)
    pack_scale(raw, at, out, to + MINIMA_AT + 2 * r)
    for block in range(8):
        for half in range(2):
            out[to + CACHE_LINE + block // 2 * LINE_BYTES + (block % 2 * 2 + half) * 16 + r] = ONES


@inlined
def pack_tq2(raw, at, out, to, r, table):
    """TQ2_0: 64 bytes of integers as in Q2_K, d; see packers.packer."""
    pack_ones(raw, at + 64, out, to, r)
    for block in range(8):
        for half in range(2):
            four = 0
            for k in range(4):
                four |= two_bits(raw, at, block, 4 * half + k) << 2 * k
            store_word(out, place(to, block, half, r), four)


@compiled
def place(to, block, half, r):
    """Where the integers of half a block of row r begin."""
    return to + CACHE_LINE + block // 2 * LINE_BYTES + CACHE_LINE + block % 2 * SIZE + half * CACHE_LINE + 4 * r


EACH_16 = np.uint64(0x00FF00FF00FF00FF)  # the low byte of each 16 bits
THREE, EIGHT, SIXTEEN = np.uint64(3), np.uint64(8), np.uint64(16)


@compiled
def in_16_bits(word):
    """The bytes of a word, each in 16 bits."""
    wide = np.uint64(word)
    wide = (wide | wide << SIXTEEN) & np.uint64(0x0000FFFF0000FFFF)
    return (wide | wide << EIGHT) & EACH_16


@compiled
def in_8_bits(wide):
    """Four bytes, each in 16 bits, as a word."""
    wide = (wide | wide >> EIGHT) & np.uint64(0x0000FFFF0000FFFF)
    return np.uint32((wide | wide >> SIXTEEN) & np.uint64(0xFFFFFFFF))


@compiled
def next_digit(wide):
    """(the next digit of base three of four fractions of 256, the fractions behind it), each in 16 bits."""
    thrice = wide * THREE
    return thrice >> EIGHT & EACH_16, thrice & EACH_16


@compiled
def pack_digits(raw, at, out, halves, distance):
    """Pack five digits of each of 16 bytes: those of one power fill half a block, `distance` halves after the last."""
    to, first, r = halves
    a, b = in_16_bits(load_word(raw, at)), in_16_bits(load_word(raw, at + 4))
    c, d = in_16_bits(load_word(raw, at + 8)), in_16_bits(load_word(raw, at + 12))
    for n in range(5):
        (one, a), (two, b), (three, c), (four, d) = next_digit(a), next_digit(b), next_digit(c), next_digit(d)
        together = one | two << np.uint64(2) | three << np.uint64(4) | four << np.uint64(6)
        half = first + distance * n
        store_word(out, place(to, half // 2, half % 2, r), in_8_bits(together))


@inlined
def pack_tq1(raw, at, out, to, r, table):
    """TQ1_0: 32 bytes of five digits of base three, of columns 32 apart; 16 of 16 apart; four of four digits; d."""
    pack_ones(raw, at + 52, out, to, r)
    pack_digits(raw, at, out, (to, 0, r), 2)
    pack_digits(raw, at + 16, out, (to, 1, r), 2)
    pack_digits(raw, at + 32, out, (to, 10, r), 1)
    last, together = in_16_bits(load_word(raw, at + 48)), np.uint64(0)
    for k in range(4):
        digit, last = next_digit(last)
        together |= digit << np.uint64(2 * k)
    store_word(out, place(to, 7, 1, r), in_8_bits(together))


PACKERS = {"TQ1_0": packer("TQ1_0", OF_Q2_K, pack_tq1), "TQ2_0": packer("TQ2_0", OF_Q2_K, pack_tq2)}
