"""Layouts of blocks: 32 integers with a scale, and for some a minimum; everything except the block's integers.

    [R / 16][C / 32 n] { scales[n][16], { the integers of a block }[n] }      for R rows and C columns

A line of 64 bytes holds the scales of n blocks, see Scales. If the last blocks of a row are fewer than n, the rest of
their line of scales is empty.
"""

from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import load, spread, store
from ..simd.registers import compiled, f32, fill, fma, i32, inlined, lane, to_f32
from .groups import (
    CACHE_LINE,
    COLUMNS,
    GROUP,
    OFFSET,
    PACK_STRUCT,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Layout,
)
from .products import TILE_F32, TILE_I32, Parts, prefetch_lines, product_of, starts

# What a layout of blocks says of itself: its name and number, the bytes of a block's integers in a group, the offset
# that makes them unsigned, its Scales, and these functions. `u8` is the packed buffer, `at` where a block's integers
# begin in it.
#   dots_of        (register block type X) -> (u8, at, sums, codes, column, columns) -> sums, i32, plus the dot products
#                  of the block with each token's codes: token t's are codes[column + t * columns ...]
#   dots_of_two    (u8, at, second, sums, codes, column, columns) -> the same for two groups at once, of type TILE_I32;
#                  both begin with `sums`
#   integers       (u8, at, k) -> i32, the integers of column k of the block, stored with the offset, a row to a lane
#   pack           (raw, at, out, scales, weights, r) -> None: packs the block of `file_bytes` bytes at raw[at], of row
#                  r of a group; in the group its scales and its integers begin at out[scales] and out[weights]
Integers = namedtuple("Integers", "name number size offset scales dots_of dots_of_two integers file_bytes pack")
# The scales of blocks: how many blocks share a line, whether a block has a minimum as well, 32 bytes behind its scale,
# and (weights, at) -> the scales or minima that begin at this byte, f32.
Scales = namedtuple("Scales", "blocks minimum load")


@inlined
def _half_precision(weights, at):
    return load(weights.u16, at >> 1, f32)


SCALE = Scales(2, False, _half_precision)
SCALE_AND_MINIMUM = Scales(1, True, _half_precision)
MINIMUM_AT = 32  # bytes from a block's scales to its minima


def blocks(integers):
    """Make the Layout of an Integers."""
    name, scales, group_bytes = integers.name, integers.scales, _group_bytes(integers)
    scales_at, weights_at, integers_of = scales_offset(integers), weights_offset(integers), integers.integers
    multiply = product_of(group_bytes, Parts(lambda tokens: _group(integers, tokens), _tile(integers)))
    offset, minimum, scale_of = np.float32(integers.offset), scales.minimum, scales.load

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p)

    @compiled
    def column(weights, group, block, k):
        """A column of a block, f32."""
        at = scales_at(group, block)
        value = to_f32(integers_of(weights.u8, weights_at(group, block), k)) - offset
        value = value * scale_of(weights, at)
        return value + scale_of(weights, at + MINIMUM_AT) if minimum else value

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns = p.matrix[COLUMNS]
        group = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns)
        for block in range(columns // BLOCK):
            for k in range(BLOCK):
                p.out[p.out_at + block * BLOCK + k] = lane(column(p.weights, group, block, k), p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns = p.matrix[COLUMNS]
        for number in range(p.begin, p.end):
            total, group = fill(0.0, f32), p.matrix[OFFSET] + number * group_bytes(columns)
            for block in range(columns // BLOCK):
                for k in range(BLOCK):
                    value = column(p.weights, group, block, k)
                    total = fma(value, value, total)
            store(p.out, number * GROUP, total)

    pack_block, file_bytes = integers.pack, integers.file_bytes

    @kernel(f"pack_{name}", PACK_STRUCT)
    def pack(p):
        blocks = p.columns // BLOCK
        for row in range(p.raw.size // (blocks * file_bytes)):
            number, r = divmod(p.first_row + row, GROUP)
            group = number * group_bytes(p.columns)
            for block in range(blocks):
                at = (row * blocks + block) * file_bytes
                pack_block(p.raw, at, p.out, scales_at(group, block), weights_at(group, block), r)

    kernels = {"product": product, "row": row, "squares": squares, "pack": pack}
    return Layout(name, integers.number, True, group_bytes, kernels)


def _group_bytes(integers):
    """Make (columns) -> bytes of a group."""
    shared, size = integers.scales.blocks, integers.size

    @compiled
    def group_bytes(columns):
        count = columns // BLOCK
        return (count + shared - 1) // shared * CACHE_LINE + count * size

    return group_bytes


def scales_offset(integers):
    """Make (group, block) -> where the scales of a block begin, in bytes; `group` is where its group begins."""
    shared, size, each = integers.scales.blocks, integers.size, CACHE_LINE // integers.scales.blocks

    @compiled
    def scales_at(group, block):
        return group + block // shared * (CACHE_LINE + shared * size) + block % shared * each

    return scales_at


def weights_offset(integers):
    """Make (group, block) -> where the integers of a block begin, in bytes."""
    shared, size = integers.scales.blocks, integers.size

    @compiled
    def weights_at(group, block):
        return group + block // shared * (CACHE_LINE + shared * size) + CACHE_LINE + block % shared * size

    return weights_at


def _group(integers, tokens):
    """Make the product of one group with a fixed number of tokens; see products.Parts.

    The integer dot product of a block, times the scales of the weights and of the activations, is added in float32; the
    minimum is multiplied with the sum of the activations.
    """
    X, F, dots, scales = i32[tokens], f32[tokens], integers.dots_of(i32[tokens]), integers.scales
    scales_at, weights_at, start_of = scales_offset(integers), weights_offset(integers), starts(integers.offset, X)
    scale_of, minimum, shared, size = scales.load, scales.minimum, scales.blocks, integers.size

    @inlined
    def product(weights, at, columns, ahead, given, to):
        blocks, codes, total = columns // BLOCK, given.codes, fill(0.0, F)
        for b in range(blocks):
            block, scales_from, weights_from = given.first + b, scales_at(at, b), weights_at(at, b)
            if b % shared == 0:
                prefetch_lines(weights.u8, scales_from + ahead, CACHE_LINE)
            prefetch_lines(weights.u8, weights_from + ahead, size)
            start = start_of(codes, block, blocks)
            sums = dots(weights.u8, weights_from, start, codes.codes, block * BLOCK, columns)
            scale = scale_of(weights, scales_from) * spread(codes.scales, block, F, blocks)
            total = fma(to_f32(sums), scale, total)
            if minimum:
                total = fma(scale_of(weights, scales_from + MINIMUM_AT), spread(codes.sums, block, F, blocks), total)
        store(to.x, to.at, total, to.stride)

    return product


def _tile(integers):
    """Make the product of two groups with four tokens; see products.Parts."""
    dots_of_two, scales, size = integers.dots_of_two, integers.scales, integers.size
    scales_at, weights_at = scales_offset(integers), weights_offset(integers)
    start_of, scale_of, minimum = starts(integers.offset, TILE_I32), scales.load, scales.minimum

    @inlined
    def product(weights, pair, columns, ahead, given, to, second_at):
        blocks, codes, next_block = columns // BLOCK, given.codes, ahead.first
        total, second_total = fill(0.0, TILE_F32), fill(0.0, TILE_F32)
        for b in range(blocks):
            block, scales_from, weights_from = given.first + b, scales_at(0, b), weights_at(0, b)
            if b == next_block:
                for group in (pair.at + ahead.distance, pair.second + ahead.distance):
                    prefetch_lines(weights.u8, group + scales_from, 1)
                    prefetch_lines(weights.u8, group + weights_from, size)
                next_block += ahead.every
            start = start_of(codes, block, blocks)
            at, second = pair.at + weights_from, pair.second + weights_from
            sums, second_sums = dots_of_two(weights.u8, at, second, start, codes.codes, block * BLOCK, columns)
            scale = spread(codes.scales, block, TILE_F32, blocks)
            at, second = pair.at + scales_from, pair.second + scales_from
            total = fma(to_f32(sums), scale_of(weights, at) * scale, total)
            second_total = fma(to_f32(second_sums), scale_of(weights, second) * scale, second_total)
            if minimum:
                x = spread(codes.sums, block, TILE_F32, blocks)
                total = fma(scale_of(weights, at + MINIMUM_AT), x, total)
                second_total = fma(scale_of(weights, second + MINIMUM_AT), x, second_total)
        store(to.x, to.at, total, to.stride)
        store(to.x, second_at, second_total, to.stride)

    return product


@inlined
def byte_of(lanes, byte):
    """One byte of each lane, as an integer."""
    return lanes >> 8 * byte & 255


@inlined
def pack_scale(raw, at, out, to):
    """Copy the two bytes of a scale."""
    out[to], out[to + 1] = raw[at], raw[at + 1]
