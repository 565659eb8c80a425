"""Matrix products of packed weights with activations, at the speed of memory for one token and of arithmetic for many.

A product computes groups, 16 rows of the matrix each, for a block of tokens: the sums stay in registers, one row to a
lane, one token to a register, and each register of weights is used for all tokens. The factories make the same product
for blocks of 1, 2 and 4 tokens, and block-quantised ones a tile of two groups and four tokens, in which each register
of activations is used twice: with one group the processor would load more than it multiplies. Every output is the same
additions in the same order whatever the block, so its bits do not depend on it.

The weights of a matrix are read from its beginning to its end, and asked of memory before they are needed: the
processor by itself stops at the end of each 4 KB, and with arithmetic to do it sees only a little way ahead.
"""

from collections import namedtuple
from functools import partial

import numpy as np

from ..simd.memory import in_order, load, load_bf16, load_bytes, prefetch, spread, spread_bytes, store
from ..simd.registers import compiled, dot4, f32, fill, fma, i32, inlined, lane, to_f32
from .packing import BF16, BLOCK, F16, F32, GROUP, Q4, Q4_BYTES, Q8, Q8_BYTES, group_bytes, scales_at, weights_at

# The packed buffer as arrays of each of its element types, all read-only.
Weights = namedtuple("Weights", "u8 u16 f32")
# Activations as int8 (see kernels.quantize), in blocks: those of several tokens follow each other.
Codes = namedtuple("Codes", "codes scales q8_starts q4_starts")
# Float32 rows, one a token: the first begins at x[at], each other `stride` numbers after the one before.
Rows = namedtuple("Rows", "x at stride")
# A row of the engine's table of weights: how and where a tensor is packed.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
AHEAD = 1 << 13  # bytes (of float32 twice as many) behind the weights that are used: memory is asked for those there
WORTH_TILES = 8  # tokens
NEAR = 1 << 15  # weights of floats that stay in a near cache
LOW = 0x0F0F0F0F  # the lower four bits of each byte
TILE, TILE_I32 = f32[4], i32[4]  # the tokens of a tile
RUN = 4  # columns of floats that one chain of additions takes before the other has its turn; 8 read memory slower


def _q8_dots(X):
    """Eight lines of four columns: the products of a block are exact in int32, on top of `sums`."""

    @inlined
    def dots(u8, weights, sums, codes, column, columns):
        for k in range(8):
            prefetch(u8, weights + k * 64 + AHEAD)
            w = load_bytes(u8, weights + k * 64, i32)
            sums = dot4(sums, w, spread_bytes(codes, column + 4 * k, X, columns))
        return sums

    return dots


def _q4_dots(X):
    """Four lines: the low four bits are the columns 0 .. 15 of a block, the high ones 16 .. 31."""

    @inlined
    def dots(u8, weights, sums, codes, column, columns):
        for k in range(4):
            prefetch(u8, weights + k * 64 + AHEAD)
            pair = load_bytes(u8, weights + k * 64, i32)
            sums = dot4(sums, pair & LOW, spread_bytes(codes, column + 4 * k, X, columns))
            sums = dot4(sums, (pair >> 4) & LOW, spread_bytes(codes, column + 16 + 4 * k, X, columns))
        return sums

    return dots


@inlined
def _q8_dots_of_two(u8, weights, more, sums, codes, column, columns):
    """The same of two groups; each register of activations meets both."""
    more_sums = sums
    for k in range(8):
        if k == 4:
            in_order()  # without, sixteen loads would come first
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(u8, weights + k * 64, i32), x)
        more_sums = dot4(more_sums, load_bytes(u8, more + k * 64, i32), x)
    return sums, more_sums


@inlined
def _q4_dots_of_two(u8, weights, more, sums, codes, column, columns):
    more_sums = sums
    for k in range(4):
        pair, more_pair = load_bytes(u8, weights + k * 64, i32), load_bytes(u8, more + k * 64, i32)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, pair & LOW, x), dot4(more_sums, more_pair & LOW, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, (pair >> 4) & LOW, x), dot4(more_sums, (more_pair >> 4) & LOW, x)
    return sums, more_sums


def _int8_group(size, dots_of, tokens):
    """A group of a matrix with `size` bytes of weights a block: scales of the weights times the tokens' weigh sums."""
    X, SCALE = i32[tokens], f32[tokens]
    dots = dots_of(X)

    @inlined
    def product(u8, u16, at, columns, codes, scales, starts, first, out, out_at, stride):
        blocks = columns // BLOCK
        total = fill(0.0, SCALE)
        for b in range(blocks):
            block, scales_from = first + b, scales_at(at, b, size)
            prefetch(u8, scales_from + AHEAD)
            start = spread(starts, block, X, blocks)
            sums = dots(u8, weights_at(at, b, size), start, codes, block * BLOCK, columns)
            scale = load(u16, scales_from >> 1, f32) * spread(scales, block, SCALE, blocks)
            total = fma(to_f32(sums), scale, total)
        store(out, out_at, total, stride)

    return product


def _int8_tile(size, dots_of_two):
    """Two groups of such a matrix, for four tokens.

    Memory is asked for what lies `ahead` bytes behind them: by each of `turns` tiles, of which this is number `turn`,
    for its share of the blocks.
    """

    @inlined
    def product(
        u8, u16, at, more, ahead, turn, turns, columns, codes, scales, starts, first, out, out_at, out_more, stride
    ):
        blocks = columns // BLOCK
        total, more_total = fill(0.0, TILE), fill(0.0, TILE)
        for b in range(blocks):
            block, scales_from, weights_from = first + b, scales_at(0, b, size), weights_at(0, b, size)
            if b == turn:
                ask(u8, at + ahead, scales_from, weights_from, size)
                ask(u8, more + ahead, scales_from, weights_from, size)
                turn += turns
            start = spread(starts, block, TILE_I32, blocks)
            weights, more_weights = at + weights_from, more + weights_from
            sums, more_sums = dots_of_two(u8, weights, more_weights, start, codes, block * BLOCK, columns)
            scale = spread(scales, block, TILE, blocks)
            total = fma(to_f32(sums), load(u16, (at + scales_from) >> 1, f32) * scale, total)
            more_total = fma(to_f32(more_sums), load(u16, (more + scales_from) >> 1, f32) * scale, more_total)
        store(out, out_at, total, stride)
        store(out, out_more, more_total, stride)

    return product


@inlined
def ask(u8, group, scales_from, weights_from, size):
    """Have memory bring a block of a group."""
    prefetch(u8, group + scales_from)
    for line in range(0, size, 64):
        prefetch(u8, group + weights_from + line)


_q8, _q4 = partial(_int8_group, Q8_BYTES, _q8_dots), partial(_int8_group, Q4_BYTES, _q4_dots)
_q8_tile, _q4_tile = _int8_tile(Q8_BYTES, _q8_dots_of_two), _int8_tile(Q4_BYTES, _q4_dots_of_two)


def _float(tokens):
    """F32 weights (float32 array) and F16 (uint16 array, widened in the register)."""
    return _of_two_chains(tokens, load)


def _bf16(tokens):
    """BF16 weights (uint16 array)."""
    return _of_two_chains(tokens, load_bf16)


def _of_two_chains(tokens, load_weights):
    """One chain of dependent additions would run slower than memory delivers: runs of columns take turns."""
    X = f32[tokens]

    @inlined
    def product(weights, at, columns, x, x_at, x_stride, out, out_at, stride):
        one, other = fill(0.0, X), fill(0.0, X)
        whole = columns // (2 * RUN) * (2 * RUN)
        for begin in range(0, whole, 2 * RUN):
            for k in range(begin, begin + RUN):
                prefetch(weights, at + k * GROUP + AHEAD // 2)
                one = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), one)
            for k in range(begin + RUN, begin + 2 * RUN):
                prefetch(weights, at + k * GROUP + AHEAD // 2)
                other = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), other)
        for k in range(whole, columns):
            one = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), one)
        store(out, out_at, one + other, stride)

    return product


@compiled
def block_of(tokens):
    """How many of the tokens left make the next block."""
    return 4 if tokens >= 4 else 2 if tokens >= 2 else 1


def _int8_matrix(layout, make, tile):
    """Groups begin .. end of a block-quantised matrix, for any number of tokens.

    Two groups at a time meet all the tokens: where there are enough, in tiles, while memory brings the next two groups;
    what is left, one group after the other.
    """
    one, two, four = make(1), make(2), make(4)

    @compiled
    def product(weights, at, columns, begin, end, quantized, first, tokens, to):
        u8, u16, codes, scales = weights.u8, weights.u16, quantized.codes, quantized.scales
        starts = quantized.q8_starts if layout == Q8 else quantized.q4_starts
        out, stride, blocks, width = to.x, to.stride, columns // BLOCK, group_bytes(layout, columns)
        turns, ahead = tokens // 4 if tokens >= WORTH_TILES else 0, 2 * width
        tiled = 4 * turns
        for pair in range(begin, end, 2):
            after = min(pair + 2, end)
            w, more = at + pair * width, at + (after - 1) * width  # the same where a group is left: computed twice
            for t in range(0, tiled, 4):
                now, row, turn = first + t * blocks, to.at + pair * GROUP + t * stride, t // 4
                other = row if more == w else row + GROUP
                tile(u8, u16, w, more, ahead, turn, turns, columns, codes, scales, starts, now, out, row, other, stride)
            for g in range(pair, after):
                w, t = at + g * width, tiled
                while t < tokens:
                    block, now, row = block_of(tokens - t), first + t * blocks, to.at + g * GROUP + t * stride
                    if block == 4:
                        four(u8, u16, w, columns, codes, scales, starts, now, out, row, stride)
                    elif block == 2:
                        two(u8, u16, w, columns, codes, scales, starts, now, out, row, stride)
                    else:
                        one(u8, u16, w, columns, codes, scales, starts, now, out, row, stride)
                    t += block

    return product


def _float_matrix(make):
    """The same of floats: as many groups at a time as stay in a near cache while all the tokens meet them."""
    one, two, four, eight = make(1), make(2), make(4), make(8)

    @compiled
    def product(weights, at, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride):
        near = max(1, NEAR // (columns * GROUP))
        for here in range(begin, end, near):
            t, after = 0, min(here + near, end)
            while t < tokens:
                block = 8 if tokens - t >= 8 else block_of(tokens - t)
                x_from = x_at + t * x_stride
                for g in range(here, after):
                    w, to = at + g * GROUP * columns, out_at + g * GROUP + t * stride
                    if block == 8:
                        eight(weights, w, columns, x, x_from, x_stride, out, to, stride)
                    elif block == 4:
                        four(weights, w, columns, x, x_from, x_stride, out, to, stride)
                    elif block == 2:
                        two(weights, w, columns, x, x_from, x_stride, out, to, stride)
                    else:
                        one(weights, w, columns, x, x_from, x_stride, out, to, stride)
                t += block

    return product


_q8_matrix, _q4_matrix = _int8_matrix(Q8, _q8, _q8_tile), _int8_matrix(Q4, _q4, _q4_tile)
_f_matrix, _bf16_matrix = _float_matrix(_float), _float_matrix(_bf16)


@compiled
def linear(weights, matrix, begin, end, given, quantized, first, tokens, to):
    """to[t] = matrix @ given[t] for t < tokens, in the matrix's rows of the groups begin .. end.

    given, to: Rows. Block-quantised matrices read the same as `given` in `quantized`, from the block `first` on.
    """
    layout, at, columns = matrix[LAYOUT], matrix[OFFSET], matrix[COLUMNS]
    x, x_at, x_stride = given.x, given.at, given.stride
    out, out_at, stride = to.x, to.at, to.stride
    if layout == Q8:
        _q8_matrix(weights, at, columns, begin, end, quantized, first, tokens, to)
    elif layout == Q4:
        _q4_matrix(weights, at, columns, begin, end, quantized, first, tokens, to)
    elif layout == F32:
        _f_matrix(weights.f32, at // 4, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride)
    elif layout == F16:
        _f_matrix(weights.u16, at // 2, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride)
    elif layout == BF16:
        _bf16_matrix(weights.u16, at // 2, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride)


@compiled
def embedding(weights, matrix, row, out, out_at):
    """out = one row of the matrix, decoded."""
    layout, at, columns = matrix[LAYOUT], matrix[OFFSET], matrix[COLUMNS]
    group, r = row // GROUP, row % GROUP
    start = at + group * group_bytes(layout, columns)
    for column in range(columns):
        block, k = column // BLOCK, column % BLOCK
        if layout == Q8:
            scale = lane(load(weights.u16, scales_at(start, block, Q8_BYTES) >> 1, f32), r)
            byte = weights.u8[weights_at(start, block, Q8_BYTES) + k // 4 * 64 + r * 4 + k % 4]
            out[out_at + column] = scale * np.float32(np.int32(byte) - 128)
        elif layout == Q4:
            scale = lane(load(weights.u16, scales_at(start, block, Q4_BYTES) >> 1, f32), r)
            pair = weights.u8[weights_at(start, block, Q4_BYTES) + k % 16 // 4 * 64 + r * 4 + k % 4]
            out[out_at + column] = scale * np.float32((np.int32(pair) >> (k // 16 * 4) & 15) - 8)
        elif layout == F32:
            out[out_at + column] = lane(load(weights.f32, start // 4 + column * GROUP, f32), r)
        elif layout == F16:
            out[out_at + column] = lane(load(weights.u16, start // 2 + column * GROUP, f32), r)
        elif layout == BF16:
            out[out_at + column] = lane(load_bf16(weights.u16, start // 2 + column * GROUP, f32), r)
