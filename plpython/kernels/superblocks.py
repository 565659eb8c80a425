"""Layouts of superblocks: 256 columns with one scale in half precision, and integer scales of their blocks.

    [R / 16][C / 256] { head line, { line of scales, { the integers of a block }[n] }[8 / n] }

The head line holds f16[16] scales and f16[16] scales of minima, zeros where there are none. A line of scales belongs
to the n blocks behind it, and has a scale for each block of 32 columns, or for each half of a block.
"""

from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import array_on_stack, load, load_bytes, spread, spread_pairs, store, store_pairs
from ..simd.registers import compiled, dot2, f32, fill, fma, i32, inlined, lane, to_f32
from .blocks import byte_of
from .groups import (
    CACHE_LINE,
    COLUMNS,
    GROUP,
    HALF_SUMS,
    OFFSET,
    PACK_STRUCT,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Layout,
)
from .panels import (
    BLOCK_BYTES,
    GROUP_BYTES,
    GROUP_FLOATS,
    GROUP_PAIRS,
    PANEL_BLOCKS,
    SCALES,
    SUPER_MINIMA,
    SUPER_SCALES,
    tile_of_blocks,
    tile_of_halves,
)
from .products import Parts, dots_of, half_dots_of, prefetch_lines, product_of, unpacked
from .starts import half_starts, starts

SUPERBLOCK = PANEL_BLOCKS * BLOCK  # columns
MINIMA_AT = 32  # bytes from a superblock's scales to its scales of minima

# What a layout of superblocks says of itself: its name and number, the bytes of a block's integers in a group, the
# offset that makes them unsigned, its BlockScales, and
#   registers    (u8, at) -> the integers of the block at u8[at], see products.dots_of
#   file_bytes   bytes of a superblock in the file
#   pack         (raw, at, out, to, r) -> None: packs the superblock at raw[at], as in the file, of row r of a group,
#                where its head line begins at out[to]. None, as file_bytes: its types have Packers
#   factor       a power of two, by which the scales of superblocks are multiplied
Superblocks = namedtuple(
    "Superblocks", "name number size offset scales registers file_bytes pack factor", defaults=(1,)
)
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
    parts = Parts(lambda tokens: group(described, tokens), _unpack(described), _panel_bytes(described))
    multiply, pack_superblock, file_bytes = product_of(group_bytes, parts), described.pack, described.file_bytes
    column, unpack_at = _column(described), _unpack_at(described)

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p)

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        start, integers = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns), array_on_stack(BLOCK_BYTES, u8)
        for block in range(columns // BLOCK):
            at = start + block // PANEL_BLOCKS * size
            unpack_at(u8, at, block % PANEL_BLOCKS, integers)
            for k in range(BLOCK):
                value = column(p.weights, at, block % PANEL_BLOCKS, integers, k)
                p.out[p.out_at + block * BLOCK + k] = lane(value, p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        integers = array_on_stack(BLOCK_BYTES, u8)
        for number in range(p.begin, p.end):
            total, start = fill(0.0, f32), p.matrix[OFFSET] + number * group_bytes(columns)
            for block in range(columns // BLOCK):
                at = start + block // PANEL_BLOCKS * size
                unpack_at(u8, at, block % PANEL_BLOCKS, integers)
                for k in range(BLOCK):
                    value = column(p.weights, at, block % PANEL_BLOCKS, integers, k)
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

    kernels = {"product": product, "row": row, "squares": squares, "tile": _tile(described), "pack": pack}
    return Layout(name, described.number, True, described.scales.minima is not None, group_bytes, kernels)


def _tile(described):
    """The Kernel of a panels.Tile."""
    minima = described.scales.minima is not None
    if described.scales.halves:
        return tile_of_halves(described.offset, minima)
    return tile_of_blocks(described.offset, fine=minima)


def super_scales(described):
    """Make (weights, at) -> the scales of the superblock that begins at this byte, f32."""
    factor = np.float32(described.factor)

    @inlined
    def scales(weights, at):
        return load(weights.u16, at >> 1, f32) * factor if factor != 1 else load(weights.u16, at >> 1, f32)

    return scales


def superblock_bytes(described):
    """Bytes of a superblock of 16 rows."""
    return CACHE_LINE + PANEL_BLOCKS // described.scales.blocks * CACHE_LINE + PANEL_BLOCKS * described.size


def line_bytes(described):
    """Bytes of a line of scales with the blocks that share it."""
    return CACHE_LINE + described.scales.blocks * described.size


def _group_bytes(described):
    """Make (columns) -> bytes of a group."""
    size = superblock_bytes(described)

    @compiled
    def group_bytes(columns):
        return columns // SUPERBLOCK * size

    return group_bytes


def _panel_bytes(described):
    """Make (blocks) -> packed bytes of so many blocks, see products.Parts."""
    size = superblock_bytes(described)

    @inlined
    def panel_bytes(count):
        return count // PANEL_BLOCKS * size

    return panel_bytes


def _line_of(described):
    """Make (start of a superblock, block) -> where the block's line of scales begins."""
    shared, bytes = described.scales.blocks, line_bytes(described)

    @inlined
    def line_of(at, block):
        return at + CACHE_LINE + block // shared * bytes

    return line_of


def _unpack_at(described):
    """Make (u8, start of a superblock, block, out) -> None: unpack the integers of a block."""
    unpack, line_of, shared, size = unpacked(described.registers), _line_of(described), *_shared_size(described)

    @inlined
    def unpack_at(u8, at, block, out):
        unpack(u8, line_of(at, block) + CACHE_LINE + block % shared * size, out, 0)

    return unpack_at


def _shared_size(described):
    return described.scales.blocks, described.size


def _column(described):
    """Make (weights, start of a superblock, block, the block unpacked, column of the block) -> its weights, f32."""
    halves, shared, scale_of = described.scales.halves, described.scales.blocks, described.scales.scale
    line_of, minimum_of, offset = _line_of(described), _minimum(described), np.float32(described.offset)
    scales_of = super_scales(described)

    @compiled
    def column(weights, at, block, integers, k):
        line, b, h = line_of(at, block), block % shared, k // 16
        scale = scales_of(weights, at) * to_f32(scale_of(weights.u8, line, 2 * b + h if halves else b))
        value = scale * (to_f32(byte_of(load_bytes(integers, k // 4 * CACHE_LINE, i32), k % 4)) - offset)
        return minimum_of(weights, at, line, (b, h), value)

    return column


def _minimum(described):
    """Make (weights, start of a superblock, start of a line, (block of this line, half), value) -> value - minimum."""
    minima_of, halves = described.scales.minima, described.scales.halves
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
    X, F, shared, size = i32[tokens], f32[tokens], *_shared_size(described)
    dots, start_of, minima = dots_of(described.registers, X), starts(described.offset, X), _minima(described, X)
    scale_of, bytes = described.scales.scale, line_bytes(described)
    supers, lines, scales_of = superblock_bytes(described), PANEL_BLOCKS // shared, super_scales(described)

    @inlined
    def product(weights, at, columns, ahead, given, to):
        u8, blocks, codes, total = weights.u8, columns // BLOCK, given.codes, fill(0.0, F)
        for s in range(columns // SUPERBLOCK):
            here, first = at + s * supers, given.first + s * PANEL_BLOCKS
            prefetch_lines(u8, here + ahead, CACHE_LINE)
            scales = scales_of(weights, here)
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
        for b in range(0, PANEL_BLOCKS, 2):
            pairs = minima_of(weights.u8, at + CACHE_LINE + b // shared * bytes, b % shared)
            sums = dot2(sums, pairs, spread_pairs(codes.fine, first + b, X, blocks))
        fine_scale = spread(codes.sums, len(codes.scales) + first, F, blocks)
        scale = 0.0 - load(weights.u16, (at + MINIMA_AT) >> 1, f32)
        return fma(to_f32(sums), scale * fine_scale, total)

    return minima


def _group_of_halves(described, tokens):
    """Make the product of one group with a fixed number of tokens, for scales of halves; see products.Parts.

    Both dot products of a block are multiplied with their scales in integers, below 2^24; so are minima. Then they are
    multiplied with the scale of the block's activations, and the sums of a superblock with its scales.
    """
    X, F, shared, size = i32[tokens], f32[tokens], *_shared_size(described)
    dots, start_of = half_dots_of(described.registers, X), half_starts(described.offset, X)
    minima, scale_of, bytes = _half_minima(described, X), described.scales.scale, line_bytes(described)
    supers, lines, scales_of = superblock_bytes(described), PANEL_BLOCKS // shared, super_scales(described)

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
                    block, integers = given.first + s * PANEL_BLOCKS + number * shared + b, line + CACHE_LINE + b * size
                    prefetch_lines(u8, integers + ahead, size)
                    halves = start_of(codes, block, blocks)
                    one, two = dots(u8, integers, halves, codes.codes, block * BLOCK, columns)
                    sums = one * scale_of(u8, line, 2 * b) + two * scale_of(u8, line, 2 * b + 1)
                    x = spread(codes.scales, block, F, blocks)
                    part = fma(to_f32(sums), x, part)
                    low = minima(u8, line, b, codes, block, (blocks, x, low))
            total = fma(part, scales_of(weights, here), total)
            total = fma(low, load(weights.u16, (here + MINIMA_AT) >> 1, f32), total)
        store(to.x, to.at, total, to.stride)

    return product


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


def _unpack(described):
    """Make the unpacking of a panel, which is a superblock; see products.Parts."""
    shared, halves, scale_of = described.scales.blocks, described.scales.halves, described.scales.scale
    line_of, size, unpack = _line_of(described), described.size, unpacked(described.registers)
    unpack_minima, per_block = _unpack_minima(described), 2 if halves else 1
    scales_of = super_scales(described)

    @compiled
    def unpack_panel(weights, at, count, panel, number):
        u8, floats = weights.u8, number * GROUP_FLOATS
        scales = scales_of(weights, at)
        for block in range(PANEL_BLOCKS):
            line, b = line_of(at, block), block % shared
            unpack(u8, line + CACHE_LINE + b * size, panel.bytes, number * GROUP_BYTES + block * BLOCK_BYTES)
            for h in range(per_block):
                scale = to_f32(scale_of(u8, line, per_block * b + h))
                to = floats + SCALES + (per_block * block + h) * GROUP
                store(panel.floats, to, scale if halves else scales * scale)
        store(panel.floats, floats + SUPER_SCALES, scales)
        store(panel.floats, floats + SUPER_MINIMA, load(weights.u16, (at + MINIMA_AT) >> 1, f32))
        unpack_minima(u8, at, panel.pairs, number * GROUP_PAIRS)

    return unpack_panel


def _unpack_minima(described):
    """Make (u8, start of a superblock, pairs, to) -> None: unpack its minima to pairs[to ...]."""
    minima_of, shared, line_of = described.scales.minima, described.scales.blocks, _line_of(described)
    step = 1 if described.scales.halves else 2
    if minima_of is None:

        @inlined
        def unpack_minima(u8, at, pairs, to):
            pass

    else:

        @inlined
        def unpack_minima(u8, at, pairs, to):
            for block in range(0, PANEL_BLOCKS, step):
                both = minima_of(u8, line_of(at, block), block % shared)
                store_pairs(pairs, to + block // step * 2 * GROUP, both)

    return unpack_minima
