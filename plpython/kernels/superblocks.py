"""Layouts of superblocks: 256 columns with one scale in half precision, and integer scales of their blocks.

    [R / 16][C / 256] { head line, { line of scales, { the integers of a block }[n] }[8 / n] }

The head line holds f16[16] scales and f16[16] scales of minima, zeros where there are none. A line of scales belongs
to the n blocks behind it, and has a scale for each block of 32 columns, or for each half of a block.
"""

from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import in_order, load, spread, spread_pairs, store
from ..simd.registers import compiled, dot2, f32, fill, fma, halved, i32, inlined, lane, to_f32
from .groups import (
    CACHE_LINE,
    COLUMNS,
    GROUP,
    HALF_OFFSET,
    OFFSET,
    OFFSETS,
    PACK_STRUCT,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Layout,
)
from .products import TILE_F32, TILE_I32, Parts, prefetch_lines, product_of, starts

SUPERBLOCK = 256  # columns
BLOCKS = SUPERBLOCK // BLOCK
MINIMA_AT = 32  # bytes from a superblock's scales to its scales of minima
HALF_STARTS, HALF_SUMS = len(OFFSETS), 1  # the arrays of halves in Codes.starts and Codes.fine

# What a layout of superblocks says of itself: its name and number, the bytes of a block's integers in a group, the
# offset that makes them unsigned, its BlockScales, and these functions. `u8` is the packed buffer, `at` where a block's
# integers begin in it.
#   dots_of        for scales of blocks: as in blocks.Integers. For scales of halves: (register block type X) ->
#                  (u8, at, (one, two), codes, column, columns) -> one and two, i32, plus the dot products of the
#                  columns 0 .. 15 and 16 .. 31
#   dots_of_two    as in blocks.Integers; None for scales of halves
#   integers       (u8, at, k) -> i32, the integers of column k of the block, stored with the offset, a row to a lane
#   pack           (raw, at, out, to, r) -> None: packs the superblock of `file_bytes` bytes at raw[at], of row r of a
#                  group; its head line begins at out[to]
Superblocks = namedtuple("Superblocks", "name number size offset scales dots_of dots_of_two integers file_bytes pack")
# The scales of blocks, in lines: how many blocks share a line, whether each half of a block has a scale, and two
# functions of (u8, line, block), where `line` is where the line begins and `block` counts the blocks of this line:
#   scale      -> i32, the integer scales of the block; of halves (u8, line, 2 * block + half)
#   minima     -> i32, two int16 in a lane: the minima of this and the next block, or of the halves of this block. None:
#                 there are no minima
BlockScales = namedtuple("BlockScales", "blocks halves scale minima")


def superblocks(described):
    """Make the Layout of a Superblocks."""
    name, size, group_bytes = described.name, superblock_bytes(described), _group_bytes(described)
    group = _group_of_halves if described.scales.halves else _group
    tile = None if described.dots_of_two is None else _tile(described)
    multiply = product_of(group_bytes, Parts(lambda tokens: group(described, tokens), tile))
    column, pack_superblock, file_bytes = _column(described), described.pack, described.file_bytes

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p)

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns = p.matrix[COLUMNS]
        start = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns)
        for s in range(columns // SUPERBLOCK):
            for k in range(SUPERBLOCK):
                p.out[p.out_at + s * SUPERBLOCK + k] = lane(column(p.weights, start + s * size, k), p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns = p.matrix[COLUMNS]
        for number in range(p.begin, p.end):
            total, start = fill(0.0, f32), p.matrix[OFFSET] + number * group_bytes(columns)
            for s in range(columns // SUPERBLOCK):
                for k in range(SUPERBLOCK):
                    value = column(p.weights, start + s * size, k)
                    total = fma(value, value, total)
            store(p.out, number * GROUP, total)

    @kernel(f"pack_{name}", PACK_STRUCT)
    def pack(p):
        count = p.columns // SUPERBLOCK
        for row in range(p.raw.size // (count * file_bytes)):
            number, r = divmod(p.first_row + row, GROUP)
            for s in range(count):
                to = number * group_bytes(p.columns) + s * size
                pack_superblock(p.raw, (row * count + s) * file_bytes, p.out, to, r)

    kernels = {"product": product, "row": row, "squares": squares, "pack": pack}
    return Layout(name, described.number, True, group_bytes, kernels)


def superblock_bytes(described):
    """Bytes of a superblock of 16 rows."""
    return CACHE_LINE + BLOCKS // described.scales.blocks * CACHE_LINE + BLOCKS * described.size


def _group_bytes(described):
    """Make (columns) -> bytes of a group."""
    size = superblock_bytes(described)

    @compiled
    def group_bytes(columns):
        return columns // SUPERBLOCK * size

    return group_bytes


def line_bytes(described):
    """Bytes of a line of scales with the blocks that share it."""
    return CACHE_LINE + described.scales.blocks * described.size


def _column(described):
    """Make (weights, start of a superblock, column) -> the weights of that column, f32."""
    halves, shared, size = described.scales.halves, described.scales.blocks, described.size
    scale_of, minima_of, integers_of = described.scales.scale, described.scales.minima, described.integers
    bytes, offset = line_bytes(described), np.float32(described.offset)
    minimum_of = _minimum(minima_of, halves)

    @compiled
    def column(weights, at, k):
        block, h = k // BLOCK, k % BLOCK // 16
        line, b = at + CACHE_LINE + block // shared * bytes, block % shared
        integers = integers_of(weights.u8, line + CACHE_LINE + b * size, k % BLOCK)
        scale = scale_of(weights.u8, line, 2 * b + h if halves else b)
        value = load(weights.u16, at >> 1, f32) * to_f32(scale) * (to_f32(integers) - offset)
        return minimum_of(weights, at, line, (b, h), value)

    return column


def _minimum(minima_of, halves):
    """Make (weights, start of a superblock, start of a line, (block of this line, half), value) -> value - minimum."""
    if minima_of is None:

        @inlined
        def minimum(weights, at, line, place, value):
            return value

    else:

        @inlined
        def minimum(weights, at, line, place, value):
            b, h = place
            pair, which = (b, h) if halves else (b & ~1, b & 1)
            integer = minima_of(weights.u8, line, pair) >> 16 * which & 0xFFFF
            return value - load(weights.u16, (at + MINIMA_AT) >> 1, f32) * to_f32(integer)

    return minimum


def _group(described, tokens):
    """Make the product of one group with a fixed number of tokens, for scales of blocks; see products.Parts.

    The integer dot product of a block, times the scales of the weights and of the activations, is added in float32. The
    minima of eight blocks are multiplied with the fine codes of the sums of the activations, in integers.
    """
    X, F, dots, size = i32[tokens], f32[tokens], described.dots_of(i32[tokens]), described.size
    shared, scale_of, bytes = described.scales.blocks, described.scales.scale, line_bytes(described)
    start_of, minima = starts(described.offset, X), _minima(described, X)
    supers, lines = superblock_bytes(described), BLOCKS // shared

    @inlined
    def product(weights, at, columns, ahead, given, to):
        u8, blocks, codes, total = weights.u8, columns // BLOCK, given.codes, fill(0.0, F)
        for s in range(columns // SUPERBLOCK):
            here, first = at + s * supers, given.first + s * BLOCKS
            prefetch_lines(u8, here + ahead, CACHE_LINE)
            scales = load(weights.u16, here >> 1, f32)
            for number in range(lines):
                line = here + CACHE_LINE + number * bytes
                prefetch_lines(u8, line + ahead, CACHE_LINE)
                for b in range(shared):
                    block, integers = first + number * shared + b, line + CACHE_LINE + b * size
                    prefetch_lines(u8, integers + ahead, size)
                    start = start_of(codes, block, blocks)
                    sums = dots(u8, integers, start, codes.codes, block * BLOCK, columns)
                    scale = scales * to_f32(scale_of(u8, line, b)) * spread(codes.scales, block, F, blocks)
                    total = fma(to_f32(sums), scale, total)
            total = minima(weights, here, codes, first, blocks, total)
        store(to.x, to.at, total, to.stride)

    return product


def _minima(described, X):
    """Make (weights, start of a superblock, codes, its first block, blocks, total) -> total - its minima, see `_group`.

    The minima of two blocks are multiplied by one instruction.
    """
    minima_of, F = described.scales.minima, f32[X.rows]
    if minima_of is None:

        @inlined
        def minima(weights, at, codes, first, blocks, total):
            return total

        return minima
    shared, bytes = described.scales.blocks, line_bytes(described)

    @inlined
    def minima(weights, at, codes, first, blocks, total):
        sums = fill(0, X)
        for b in range(0, BLOCKS, 2):
            pairs = minima_of(weights.u8, at + CACHE_LINE + b // shared * bytes, b % shared)
            sums = dot2(sums, pairs, spread_pairs(codes.fine, first + b, X, blocks))
        fine_scale = spread(codes.sums, len(codes.scales) + first, F, blocks)
        scale = 0.0 - load(weights.u16, (at + MINIMA_AT) >> 1, f32)
        return fma(to_f32(sums), scale * fine_scale, total)

    return minima


def _tile(described):
    """Make the product of two groups with four tokens, for scales of blocks; see products.Parts."""
    dots_of_two, size, supers = described.dots_of_two, described.size, superblock_bytes(described)
    shared, scale_of, bytes = described.scales.blocks, described.scales.scale, line_bytes(described)
    start_of, minima = starts(described.offset, TILE_I32), _minima(described, TILE_I32)
    lines = BLOCKS // shared

    @inlined
    def product(weights, pair, columns, ahead, given, to, second_at):
        u8, blocks, codes, turn = weights.u8, columns // BLOCK, given.codes, ahead.first
        total, second_total = fill(0.0, TILE_F32), fill(0.0, TILE_F32)
        for s in range(columns // SUPERBLOCK):
            at, second, first = pair.at + s * supers, pair.second + s * supers, given.first + s * BLOCKS
            if s == turn:
                prefetch_lines(u8, at + ahead.distance, supers)
                prefetch_lines(u8, second + ahead.distance, supers)
                turn += ahead.every
            scales, second_scales = load(weights.u16, at >> 1, f32), load(weights.u16, second >> 1, f32)
            for number in range(lines):
                for b in range(shared):
                    block, line = first + number * shared + b, CACHE_LINE + number * bytes
                    start, integers = start_of(codes, block, blocks), line + CACHE_LINE + b * size
                    sums, second_sums = dots_of_two(
                        u8, at + integers, second + integers, start, codes.codes, block * BLOCK, columns
                    )
                    x = spread(codes.scales, block, TILE_F32, blocks)
                    total = fma(to_f32(sums), scales * to_f32(scale_of(u8, at + line, b)) * x, total)
                    scale = second_scales * to_f32(scale_of(u8, second + line, b))
                    second_total = fma(to_f32(second_sums), scale * x, second_total)
            in_order()
            total = minima(weights, at, codes, first, blocks, total)
            second_total = minima(weights, second, codes, first, blocks, second_total)
            in_order()
        store(to.x, to.at, total, to.stride)
        store(to.x, second_at, second_total, to.stride)

    return product


def _group_of_halves(described, tokens):
    """Make the product of one group with a fixed number of tokens, for scales of halves; see products.Parts.

    Both dot products of a block are multiplied with their scales in integers, below 2^24; so are minima. Then they are
    multiplied with the scale of the block's activations, and the sums of a superblock with its scales.
    """
    X, F, dots, size = i32[tokens], f32[tokens], described.dots_of(i32[tokens]), described.size
    shared, scale_of, bytes = described.scales.blocks, described.scales.scale, line_bytes(described)
    half_starts, minima = _half_starts(described.offset, X), _half_minima(described, X)
    supers, lines = superblock_bytes(described), BLOCKS // shared

    @inlined
    def product(weights, at, columns, ahead, given, to):
        u8, blocks, codes, total = weights.u8, columns // BLOCK, given.codes, fill(0.0, F)
        for s in range(columns // SUPERBLOCK):
            here, part, low = at + s * supers, fill(0.0, F), fill(0.0, F)
            prefetch_lines(u8, here + ahead, CACHE_LINE)
            for number in range(lines):
                line = here + CACHE_LINE + number * bytes
                prefetch_lines(u8, line + ahead, CACHE_LINE)
                for b in range(shared):
                    block, integers = given.first + s * BLOCKS + number * shared + b, line + CACHE_LINE + b * size
                    prefetch_lines(u8, integers + ahead, size)
                    halves = half_starts(codes, block, blocks)
                    one, two = dots(u8, integers, halves, codes.codes, block * BLOCK, columns)
                    sums = one * scale_of(u8, line, 2 * b) + two * scale_of(u8, line, 2 * b + 1)
                    x = spread(codes.scales, block, F, blocks)
                    part = fma(to_f32(sums), x, part)
                    low = minima(u8, line, b, codes, block, (blocks, x, low))
            total = fma(part, load(weights.u16, here >> 1, f32), total)
            total = fma(low, load(weights.u16, (here + MINIMA_AT) >> 1, f32), total)
        store(to.x, to.at, total, to.stride)

    return product


def _half_starts(offset, X):
    """Make (codes, block, blocks) -> what the dot products of a block's halves begin with, as products.starts."""
    if offset == 0:

        @inlined
        def half_starts(codes, block, blocks):
            return fill(0, X), fill(0, X)

        return half_starts
    shift = _shift(offset)

    @inlined
    def half_starts(codes, block, blocks):
        at = HALF_STARTS * len(codes.scales) + 2 * block
        one, two = spread(codes.starts, at, X, 2 * blocks), spread(codes.starts, at + 1, X, 2 * blocks)
        return shift(one), shift(two)

    return half_starts


def _shift(offset):
    """Make (starts of HALF_OFFSET) -> those of another power of two."""
    if offset == HALF_OFFSET:

        @inlined
        def shift(x):
            return x

        return shift
    bits = (HALF_OFFSET // offset).bit_length() - 1
    assert offset << bits == HALF_OFFSET

    @inlined
    def shift(x):
        return halved(x, bits)

    return shift


def _half_minima(described, X):
    """Make (u8, line, block of this line, codes, block, (blocks, scales of activations, low)) -> low - the minima."""
    minima_of = described.scales.minima
    if minima_of is None:

        @inlined
        def minima(u8, line, b, codes, block, sums):
            return sums[2]

    else:

        @inlined
        def minima(u8, line, b, codes, block, sums):
            blocks, x, low = sums
            at = HALF_SUMS * len(codes.scales) + 2 * block
            product = dot2(fill(0, X), minima_of(u8, line, b), spread_pairs(codes.fine, at, X, 2 * blocks))
            return fma(0.0 - to_f32(product), x, low)

    return minima
