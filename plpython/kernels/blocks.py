"""Layouts of quantised blocks, 32 integers with a scale: everything except the arithmetic of a block's integers.

    [R / 16][C / 64] { f16[2][16], { the integers of a block }[2] }      for R rows and C columns

A product keeps its sums in registers: a lane is a row of the group, a register is a token. Each register of weights is
used for all tokens. There are loops for 1, 2 and 4 tokens. With many tokens, a register tile of two groups and four
tokens uses each register of activations twice as well: with one group, loads would be the bottleneck.
"""

from collections import namedtuple

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import load, prefetch, spread, store
from ..simd.registers import compiled, entry, f32, fill, fma, i32, inlined, lane, to_f32
from .groups import (
    AHEAD,
    COLUMNS,
    FIRST_BLOCK_LAYOUT,
    GROUP,
    OFFSET,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Activations,
    Layout,
    Rows,
    blocks_bytes,
    scales_offset,
    token_block,
    weights_offset,
)

LEAST_TILED_TOKENS = 8  # with fewer tokens register tiles gain nothing
TILE_F32, TILE_I32 = f32[4], i32[4]  # the sums of one group in a register tile: four tokens
LOW_NIBBLES = 0x0F0F0F0F  # masks the lower four bits of each byte

# What a layout of blocks says of itself: its name and number, the bytes of a block's integers in a group, the offset
# that makes them unsigned, and these functions. `u8` is the packed buffer, `at` where a block's integers begin in it.
#   dots_of        (register block type X) -> (u8, at, sums, codes, column, columns) -> sums, i32, plus the dot products
#                  of the block with each token's codes: token t's are codes[column + t * columns ...]; prefetches
#   dots_of_two    (u8, at, second, sums, codes, column, columns) -> the same for two groups at once, of type TILE_I32;
#                  both begin with `sums`
#   integer        (u8, at, r, k) -> the integer of row r, column k, as float32
#   squares        (u8, at) -> f32, for each row the sum of the squares of the block's integers
#   pack           see groups.Layout
Integers = namedtuple("Integers", "name number size offset dots_of dots_of_two integer squares pack")
# The two groups of a register tile, where they begin in bytes.
Pair = namedtuple("Pair", "at second")
# What a register tile prefetches: `distance` bytes past its own groups, the blocks `first`, `first + every`, and so on.
# The tiles of the same groups share the work: each prefetches other blocks.
Ahead = namedtuple("Ahead", "distance first every")


def blocks(integers):
    """Make the Layout of an Integers."""
    name, size, multiply = integers.name, integers.size, _product_of(integers)
    integer, squares_of = integers.integer, integers.squares

    @compiled
    def group_bytes(columns):
        return blocks_bytes(columns // BLOCK, size)

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p.weights, p.matrix, (p.begin, p.end), p.given, p.tokens, p.to)

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns, r = p.matrix[COLUMNS], p.row % GROUP
        start = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns)
        for block in range(columns // BLOCK):
            scale = lane(load(p.weights.u16, scales_offset(start, block, size) >> 1, f32), r)
            for k in range(BLOCK):
                value = integer(p.weights.u8, weights_offset(start, block, size), r, k)
                p.out[p.out_at + block * BLOCK + k] = scale * value

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns = p.matrix[COLUMNS]
        for group in range(p.begin, p.end):
            total, start = fill(0.0, f32), p.matrix[OFFSET] + group * group_bytes(columns)
            for block in range(columns // BLOCK):
                scale = load(p.weights.u16, scales_offset(start, block, size) >> 1, f32)
                total = fma(squares_of(p.weights.u8, weights_offset(start, block, size)) * scale, scale, total)
            store(p.out, group * GROUP, total)

    kernels = {"product": product, "row": row, "squares": squares}
    return Layout(name, integers.number, integers.offset, group_bytes, integers.pack, kernels)


def _starts(integers):
    """Make (Codes) -> where this layout's part of Codes.starts begins."""
    before = integers.number - FIRST_BLOCK_LAYOUT

    @inlined
    def starts(codes):
        return before * len(codes.scales)

    return starts


def _group(integers, tokens):
    """Make the product of one group with a fixed number of tokens.

    The integer dot product of a block, times the scales of the weights and of the activations, is added in float32.
    """
    X, SCALE = i32[tokens], f32[tokens]
    size, dots, starts = integers.size, integers.dots_of(X), _starts(integers)

    @inlined
    def product(weights, at, columns, given, to):
        blocks, codes, starts_at, total = columns // BLOCK, given.codes, starts(given.codes), fill(0.0, SCALE)
        for b in range(blocks):
            block, scales_from = given.first + b, scales_offset(at, b, size)
            prefetch(weights.u8, scales_from + AHEAD)
            start = spread(codes.starts, starts_at + block, X, blocks)
            sums = dots(weights.u8, weights_offset(at, b, size), start, codes.codes, block * BLOCK, columns)
            scale = load(weights.u16, scales_from >> 1, f32) * spread(codes.scales, block, SCALE, blocks)
            total = fma(to_f32(sums), scale, total)
        store(to.x, to.at, total, to.stride)

    return product


def _tile(integers):
    """Make the product of two groups with four tokens; the results of the second group go to to.x[second_at ...]."""
    size, dots_of_two, starts = integers.size, integers.dots_of_two, _starts(integers)

    @inlined
    def product(weights, pair, columns, ahead, given, to, second_at):
        blocks, codes, starts_at, next_block = columns // BLOCK, given.codes, starts(given.codes), ahead.first
        total, second_total = fill(0.0, TILE_F32), fill(0.0, TILE_F32)
        for b in range(blocks):
            block, scales_from, weights_from = given.first + b, scales_offset(0, b, size), weights_offset(0, b, size)
            if b == next_block:
                prefetch_block(weights.u8, pair.at + ahead.distance, scales_from, weights_from, size)
                prefetch_block(weights.u8, pair.second + ahead.distance, scales_from, weights_from, size)
                next_block += ahead.every
            start = spread(codes.starts, starts_at + block, TILE_I32, blocks)
            at, second = pair.at + weights_from, pair.second + weights_from
            sums, second_sums = dots_of_two(weights.u8, at, second, start, codes.codes, block * BLOCK, columns)
            scale = spread(codes.scales, block, TILE_F32, blocks)
            total = fma(to_f32(sums), load(weights.u16, (pair.at + scales_from) >> 1, f32) * scale, total)
            second_scale = load(weights.u16, (pair.second + scales_from) >> 1, f32) * scale
            second_total = fma(to_f32(second_sums), second_scale, second_total)
        store(to.x, to.at, total, to.stride)
        store(to.x, second_at, second_total, to.stride)

    return product


@inlined
def prefetch_block(u8, group, scales_from, weights_from, size):
    """Prefetch the scales and the weights of a block; `group` is where its group begins."""
    prefetch(u8, group + scales_from)
    for line in range(0, size, 64):
        prefetch(u8, group + weights_from + line)


def _product_of(integers):
    """Make the product of any groups of a matrix with any number of tokens.

    It multiplies two groups at a time with all tokens. With enough tokens it does so in register tiles, which prefetch
    the next two groups; the tokens that are left over are multiplied with one group after the other.
    """
    size, tile = integers.size, _tile(integers)
    one, two, four = (_group(integers, tokens) for tokens in (1, 2, 4))

    @inlined
    def product(weights, matrix, groups, given, tokens, to):
        columns = matrix[COLUMNS]
        blocks, width = columns // BLOCK, blocks_bytes(columns // BLOCK, size)
        begin, end = groups
        tiles = tokens // 4 if tokens >= LEAST_TILED_TOKENS else 0
        tiled = 4 * tiles
        for pair in range(begin, end, 2):
            after = min(pair + 2, end)
            w, second = (
                matrix[OFFSET] + pair * width,
                matrix[OFFSET] + (after - 1) * width,
            )  # the same for a last, single group
            for t in range(0, tiled, 4):
                now = Activations(given.rows, given.codes, given.first + t * blocks)
                out = Rows(to.x, to.at + pair * GROUP + t * to.stride, to.stride)
                other = out.at if second == w else out.at + GROUP
                tile(weights, Pair(w, second), columns, Ahead(2 * width, t // 4, tiles), now, out, other)
            for g in range(pair, after):
                w, t = matrix[OFFSET] + g * width, tiled
                while t < tokens:
                    block = token_block(tokens - t)
                    now = Activations(given.rows, given.codes, given.first + t * blocks)
                    out = Rows(to.x, to.at + g * GROUP + t * to.stride, to.stride)
                    if block == 4:
                        four(weights, w, columns, now, out)
                    elif block == 2:
                        two(weights, w, columns, now, out)
                    else:
                        one(weights, w, columns, now, out)
                    t += block

    return product


@entry
def pack_bytes(raw, columns, first_row, size, flip, out):
    """Pack rows whose blocks are an f16 scale and `size` / 16 bytes of integers; four of these bytes share a lane.

    Each byte is stored ^ `flip`, which turns int8 into unsigned + 128.
    """
    blocks, block_bytes = columns // BLOCK, size // GROUP + 2  # in the file
    for row in range(raw.size // (blocks * block_bytes)):
        group, r = divmod(first_row + row, GROUP)
        start = group * blocks_bytes(blocks, size)
        for block in range(blocks):
            at = (row * blocks + block) * block_bytes
            pack_scale(raw, at, out, scales_offset(start, block, size) + 2 * r)
            to = weights_offset(start, block, size) + 4 * r
            for quad in range(size // 64):
                for byte in range(4):
                    out[to + quad * 64 + byte] = raw[at + 2 + quad * 4 + byte] ^ flip


@inlined
def pack_scale(raw, at, out, to):
    """Copy the two bytes of a scale."""
    out[to], out[to + 1] = raw[at], raw[at + 1]
