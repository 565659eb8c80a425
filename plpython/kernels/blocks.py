"""Layouts of blocks: 32 integers with a scale, and for some a minimum; everything except the block's integers.

    [R / 16][C / 32 n] { scales[n][16], { the integers of a block }[n] }      for R rows and C columns

A line of 64 bytes holds the scales of n blocks, see Scales. If the last blocks of a row are fewer than n, the rest of
their line of scales is empty.
"""

from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import array_on_stack, load, load_bytes, spread, store
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
from .panels import BLOCK_BYTES, GROUP_BYTES, GROUP_FLOATS, MINIMA, SCALES, tile_of_blocks
from .products import Parts, dots_of, prefetch_lines, product_of, unpacked
from .starts import starts

# What a layout of blocks says of itself: its name and number, the bytes of a block's integers in a group, the offset
# that makes them unsigned, its Scales, and
#   registers    (u8, at) -> the integers of the block at u8[at], see products.dots_of
#   file_bytes   bytes of a block in the file
#   pack         (raw, at, out, scales, weights, r) -> None: packs the block at raw[at], as in the file, of row r of a
#                group; in the group its scales and its integers begin at out[scales] and out[weights]
Blocks = namedtuple("Blocks", "name number size offset scales registers file_bytes pack")
# The scales of blocks: how many blocks share a line, whether a block has a minimum as well, MINIMUM_AT bytes behind its
# scale, and (weights, at) -> the scales or minima that begin at this byte, f32.
Scales = namedtuple("Scales", "blocks minimum load")


@inlined
def _half_precision(weights, at):
    return load(weights.u16, at >> 1, f32)


SCALE = Scales(2, False, _half_precision)
SCALE_AND_MINIMUM = Scales(1, True, _half_precision)
MINIMUM_AT = 32


def blocks(described):
    """Make the Layout of a Blocks."""
    name, scales, group_bytes = described.name, described.scales, _group_bytes(described)
    scales_at, weights_at, unpack = scales_offset(described), weights_offset(described), unpacked(described.registers)
    parts = Parts(lambda tokens: _group(described, tokens), _unpack(described), _panel_bytes(described))
    multiply, pack_block, file_bytes = product_of(group_bytes, parts), described.pack, described.file_bytes
    offset, minimum, scale_of = np.float32(described.offset), scales.minimum, scales.load

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p)

    @compiled
    def column(weights, at, integers, k):
        """Column k of a block, f32. at: where its scales begin. integers: the block unpacked."""
        value = (to_f32(byte_of(load_bytes(integers, k // 4 * CACHE_LINE, i32), k % 4)) - offset) * scale_of(
            weights, at
        )
        return value + scale_of(weights, at + MINIMUM_AT) if minimum else value

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        group, integers = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns), array_on_stack(BLOCK_BYTES, u8)
        for block in range(columns // BLOCK):
            unpack(u8, weights_at(group, block), integers, 0)
            for k in range(BLOCK):
                value = column(p.weights, scales_at(group, block), integers, k)
                p.out[p.out_at + block * BLOCK + k] = lane(value, p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        integers = array_on_stack(BLOCK_BYTES, u8)
        for number in range(p.begin, p.end):
            total, group = fill(0.0, f32), p.matrix[OFFSET] + number * group_bytes(columns)
            for block in range(columns // BLOCK):
                unpack(u8, weights_at(group, block), integers, 0)
                for k in range(BLOCK):
                    value = column(p.weights, scales_at(group, block), integers, k)
                    total = fma(value, value, total)
            store(p.out, number * GROUP, total)

    @kernel(f"pack_{name}", PACK_STRUCT)
    def pack(p):
        count = p.columns // BLOCK
        for row in range(p.raw.size // (count * file_bytes)):
            number, r = divmod(p.first_row + row, GROUP)
            group = number * group_bytes(p.columns)
            for block in range(count):
                at = (row * count + block) * file_bytes
                pack_block(p.raw, at, p.out, scales_at(group, block), weights_at(group, block), r)

    tile = tile_of_blocks(described.offset, minimum=minimum)
    kernels = {"product": product, "row": row, "squares": squares, "tile": tile, "pack": pack}
    return Layout(name, described.number, True, minimum, group_bytes, kernels)


def _group_bytes(described):
    """Make (columns) -> bytes of a group."""
    shared, size = described.scales.blocks, described.size

    @compiled
    def group_bytes(columns):
        count = columns // BLOCK
        return (count + shared - 1) // shared * CACHE_LINE + count * size

    return group_bytes


def _panel_bytes(described):
    """Make (blocks) -> packed bytes of so many blocks, see products.Parts."""
    shared, size = described.scales.blocks, described.size

    @inlined
    def panel_bytes(count):
        return count // shared * CACHE_LINE + count * size

    return panel_bytes


def scales_offset(described):
    """Make (group, block) -> where the scales of a block begin, in bytes; `group` is where its group begins."""
    shared, size, each = described.scales.blocks, described.size, CACHE_LINE // described.scales.blocks

    @compiled
    def scales_at(group, block):
        return group + block // shared * (CACHE_LINE + shared * size) + block % shared * each

    return scales_at


def weights_offset(described):
    """Make (group, block) -> where the integers of a block begin, in bytes."""
    shared, size = described.scales.blocks, described.size

    @compiled
    def weights_at(group, block):
        return group + block // shared * (CACHE_LINE + shared * size) + CACHE_LINE + block % shared * size

    return weights_at


def _group(described, tokens):
    """Make the product of one group with a fixed number of tokens; see products.Parts.

    The integer dot product of a block, times the scales of the weights and of the activations, is added in float32; the
    minimum is multiplied with the sum of the activations.
    """
    X, F, scales = i32[tokens], f32[tokens], described.scales
    dots, start_of = dots_of(described.registers, X), starts(described.offset, X)
    scales_at, weights_at = scales_offset(described), weights_offset(described)
    scale_of, minimum, shared, size = scales.load, scales.minimum, scales.blocks, described.size

    @inlined
    def product(weights, at, columns, ahead, given, to):
        blocks, codes, total = columns // BLOCK, given.codes, fill(0.0, F)
        for b in range(blocks):
            block, scales_from, weights_from = given.first + b, scales_at(at, b), weights_at(at, b)
            if b % shared == 0:
                prefetch_lines(weights.u8, scales_from + ahead, CACHE_LINE)
            prefetch_lines(weights.u8, weights_from + ahead, size)
            sums = dots(weights.u8, weights_from, start_of(codes, block, blocks), codes.codes, block * BLOCK, columns)
            scale = scale_of(weights, scales_from) * spread(codes.scales, block, F, blocks)
            total = fma(to_f32(sums), scale, total)
            if minimum:
                total = fma(scale_of(weights, scales_from + MINIMUM_AT), spread(codes.sums, block, F, blocks), total)
        store(to.x, to.at, total, to.stride)

    return product


def _unpack(described):
    """Make the unpacking of a panel; see products.Parts."""
    unpack, scale_of, minimum = unpacked(described.registers), described.scales.load, described.scales.minimum
    scales_at, weights_at = scales_offset(described), weights_offset(described)

    @compiled
    def unpack_panel(weights, at, count, panel, number):
        bytes, floats = number * GROUP_BYTES, number * GROUP_FLOATS
        for b in range(count):
            scales_from = scales_at(at, b)
            unpack(weights.u8, weights_at(at, b), panel.bytes, bytes + b * BLOCK_BYTES)
            store(panel.floats, floats + SCALES + b * GROUP, scale_of(weights, scales_from))
            if minimum:
                store(panel.floats, floats + MINIMA + b * GROUP, scale_of(weights, scales_from + MINIMUM_AT))

    return unpack_panel


@inlined
def lines(u8, at):
    """Four lines of 64 bytes."""
    upper = load_bytes(u8, at + 2 * CACHE_LINE, i32), load_bytes(u8, at + 3 * CACHE_LINE, i32)
    return (load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32)) + upper


@inlined
def byte_of(lanes, byte):
    """One byte of each lane, as an integer."""
    return lanes >> 8 * byte & 255


@inlined
def pack_scale(raw, at, out, to):
    """Copy the two bytes of a scale."""
    out[to], out[to + 1] = raw[at], raw[at + 1]
