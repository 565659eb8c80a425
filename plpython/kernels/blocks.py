"""Layouts of blocks, 32 integers with a scale: all that they do but the arithmetic of a block's integers.

    [R / 16][C / 64] { f16[2][16], { the integers of a block }[2] }      for R rows and C columns

A product keeps its sums in registers, one row of the group to a lane and one token to a register, and uses each
register of weights for all its tokens. There are loops for 1, 2 and 4 tokens, and where tokens are many a tile of two
groups and four tokens, in which each register of activations is used twice: with one group the processor would load
more than it multiplies.
"""

from collections import namedtuple

from ..simd.kernels import kernel
from ..simd.memory import load, prefetch, spread, store
from ..simd.registers import compiled, entry, f32, fill, fma, i32, inlined, lane, to_f32
from .groups import (
    AHEAD,
    BLOCK,
    COLUMNS,
    FIRST_OF_BLOCKS,
    GROUP,
    OFFSET,
    PRODUCT,
    ROW,
    SQUARES,
    Activations,
    Layout,
    Rows,
    block_of,
    blocks_bytes,
    scales_at,
    weights_at,
)

WORTH_TILES = 8  # tokens
TILE, TILE_I32 = f32[4], i32[4]  # the tokens of a tile

# What is a layout's own: its name and number, the bytes of a block's integers, and what they are stored larger by. Of
# the integers that begin at the byte `at` of the array `u8`:
#   dots_of        (a register block type) -> (u8, at, sums, codes, column, columns) -> sums + a block's products with
#                  the codes of the tokens from `column` on; it asks memory for what is AHEAD
#   dots_of_two    (u8, at, more, sums, codes, column, columns) -> the same of the blocks of two groups, for TILE_I32
#   integer        (u8, at, r, k) -> the integer of row r, column k
#   squares        (u8, at) -> f32, the sums of the squares of the block's integers
#   pack           as Layout has it
Integers = namedtuple("Integers", "name number size offset dots_of dots_of_two integer squares pack")
# Two groups, which begin at the bytes `at` and `more`.
Pair = namedtuple("Pair", "at more")
# What a tile asks memory for: blocks `ahead` bytes behind its own, the one with the number `turn` and each `turns`-th
# after it.
Turn = namedtuple("Turn", "ahead turn turns")


def blocks(integers):
    """The Layout of some Integers."""
    name, size, multiply = integers.name, integers.size, _matrix(integers)
    integer, squares_of = integers.integer, integers.squares

    @compiled
    def group_bytes(columns):
        return blocks_bytes(columns // BLOCK, size)

    @kernel(f"product_{name}", PRODUCT)
    def product(p):
        multiply(p.weights, p.matrix, (p.begin, p.end), p.given, p.tokens, p.to)

    @kernel(f"row_{name}", ROW)
    def row(p):
        columns, r = p.matrix[COLUMNS], p.row % GROUP
        start = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns)
        for block in range(columns // BLOCK):
            scale = lane(load(p.weights.u16, scales_at(start, block, size) >> 1, f32), r)
            for k in range(BLOCK):
                value = integer(p.weights.u8, weights_at(start, block, size), r, k)
                p.out[p.out_at + block * BLOCK + k] = scale * value

    @kernel(f"squares_{name}", SQUARES)
    def squares(p):
        columns = p.matrix[COLUMNS]
        for group in range(p.begin, p.end):
            total, start = fill(0.0, f32), p.matrix[OFFSET] + group * group_bytes(columns)
            for block in range(columns // BLOCK):
                scale = load(p.weights.u16, scales_at(start, block, size) >> 1, f32)
                total = fma(squares_of(p.weights.u8, weights_at(start, block, size)) * scale, scale, total)
            store(p.out, group * GROUP, total)

    kernels = {"product": product, "row": row, "squares": squares}
    return Layout(name, integers.number, integers.offset, group_bytes, integers.pack, kernels)


def _starts(integers):
    """A function of Codes: where the starts of the layout begin among those of all."""
    before = integers.number - FIRST_OF_BLOCKS

    @inlined
    def starts(codes):
        return before * len(codes.scales)

    return starts


def _group(integers, tokens):
    """A group times a block of tokens: scales of the weights times the tokens' weigh sums."""
    X, SCALE = i32[tokens], f32[tokens]
    size, dots, starts = integers.size, integers.dots_of(X), _starts(integers)

    @inlined
    def product(weights, at, columns, given, to):
        blocks, codes, starts_at, total = columns // BLOCK, given.codes, starts(given.codes), fill(0.0, SCALE)
        for b in range(blocks):
            block, scales_from = given.first + b, scales_at(at, b, size)
            prefetch(weights.u8, scales_from + AHEAD)
            start = spread(codes.starts, starts_at + block, X, blocks)
            sums = dots(weights.u8, weights_at(at, b, size), start, codes.codes, block * BLOCK, columns)
            scale = load(weights.u16, scales_from >> 1, f32) * spread(codes.scales, block, SCALE, blocks)
            total = fma(to_f32(sums), scale, total)
        store(to.x, to.at, total, to.stride)

    return product


def _tile(integers):
    """Two groups times four tokens; the results of the second group go to the place `more_at`."""
    size, dots_of_two, starts = integers.size, integers.dots_of_two, _starts(integers)

    @inlined
    def product(weights, pair, columns, turn, given, to, more_at):
        blocks, codes, starts_at, next_turn = columns // BLOCK, given.codes, starts(given.codes), turn.turn
        total, more_total = fill(0.0, TILE), fill(0.0, TILE)
        for b in range(blocks):
            block, scales_from, weights_from = given.first + b, scales_at(0, b, size), weights_at(0, b, size)
            if b == next_turn:
                ask(weights.u8, pair.at + turn.ahead, scales_from, weights_from, size)
                ask(weights.u8, pair.more + turn.ahead, scales_from, weights_from, size)
                next_turn += turn.turns
            start = spread(codes.starts, starts_at + block, TILE_I32, blocks)
            at, more = pair.at + weights_from, pair.more + weights_from
            sums, more_sums = dots_of_two(weights.u8, at, more, start, codes.codes, block * BLOCK, columns)
            scale = spread(codes.scales, block, TILE, blocks)
            total = fma(to_f32(sums), load(weights.u16, (pair.at + scales_from) >> 1, f32) * scale, total)
            more_scale = load(weights.u16, (pair.more + scales_from) >> 1, f32) * scale
            more_total = fma(to_f32(more_sums), more_scale, more_total)
        store(to.x, to.at, total, to.stride)
        store(to.x, more_at, more_total, to.stride)

    return product


@inlined
def ask(u8, group, scales_from, weights_from, size):
    """Have memory bring a block of a group."""
    prefetch(u8, group + scales_from)
    for line in range(0, size, 64):
        prefetch(u8, group + weights_from + line)


def _matrix(integers):
    """Groups of a matrix times any number of tokens.

    Two groups at a time meet all the tokens: where there are enough, in tiles, while memory brings the next two groups;
    what is left, one group after the other.
    """
    size, tile = integers.size, _tile(integers)
    one, two, four = (_group(integers, tokens) for tokens in (1, 2, 4))

    @inlined
    def product(weights, matrix, groups, given, tokens, to):
        columns = matrix[COLUMNS]
        blocks, width = columns // BLOCK, blocks_bytes(columns // BLOCK, size)
        begin, end = groups
        turns = tokens // 4 if tokens >= WORTH_TILES else 0
        tiled = 4 * turns
        for pair in range(begin, end, 2):
            after = min(pair + 2, end)
            w, more = matrix[OFFSET] + pair * width, matrix[OFFSET] + (after - 1) * width  # of one group, twice it
            for t in range(0, tiled, 4):
                now = Activations(given.rows, given.codes, given.first + t * blocks)
                out = Rows(to.x, to.at + pair * GROUP + t * to.stride, to.stride)
                other = out.at if more == w else out.at + GROUP
                tile(weights, Pair(w, more), columns, Turn(2 * width, t // 4, turns), now, out, other)
            for g in range(pair, after):
                w, t = matrix[OFFSET] + g * width, tiled
                while t < tokens:
                    block = block_of(tokens - t)
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
    """Rows of a file's blocks into their places: an f16 scale, then bytes of integers, four of which go to a lane."""
    blocks, row_bytes = columns // BLOCK, size // GROUP + 2  # of a block
    for row in range(raw.size // (blocks * row_bytes)):
        group, r = divmod(first_row + row, GROUP)
        start = group * blocks_bytes(blocks, size)
        for block in range(blocks):
            at = (row * blocks + block) * row_bytes
            pack_scale(raw, at, out, scales_at(start, block, size) + 2 * r)
            to = weights_at(start, block, size) + 4 * r
            for quad in range(size // 64):
                for byte in range(4):
                    out[to + quad * 64 + byte] = raw[at + 2 + quad * 4 + byte] ^ flip


@inlined
def pack_scale(raw, at, out, to):
    out[to], out[to + 1] = raw[at], raw[at + 1]
