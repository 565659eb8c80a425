"""Matrix products of packed weights with activations, at the speed of memory for one token and of arithmetic for many.

A product computes one group, 16 rows of the matrix, for a block of tokens: the sums stay in registers, one row to a
lane, one token to a register, and each register of weights is used for all tokens. The factories make the same product
for blocks of 1, 2, 4 and 8 tokens. Every output is the same additions in the same order whatever the block, so its bits
do not depend on it. The weights of a matrix are read from its beginning to its end: several streams at once are slower.
"""

from collections import namedtuple

import numpy as np

from .packing import (
    BF16,
    BLOCK,
    F16,
    F32,
    GROUP,
    Q4,
    Q4_BYTES,
    Q8,
    Q8_BYTES,
    group_bytes,
    scales_at,
    weights_at,
)
from .simd import compiled, dot4, f32, fill, fma, i32, inlined, lane, to_f32
from .simd_memory import load, load_bf16, load_bytes, spread, spread_bytes, store

# The packed buffer as arrays of each of its element types, all read-only.
Weights = namedtuple("Weights", "u8 u16 f32")
# Activations as int8 (see kernels.quantize), in blocks: those of several tokens follow each other.
Codes = namedtuple("Codes", "codes scales q8_starts q4_starts")
# A row of the engine's table of weights: how and where a tensor is packed.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
RUN = 4  # columns of floats that one chain of additions takes before the other has its turn; 8 read memory slower


def _q8(tokens):
    """The dot product of a block is exact in int32; the weights' scale times the token's weighs it in the sum."""
    X, SCALE = i32[tokens], f32[tokens]

    @inlined
    def product(u8, u16, at, columns, codes, scales, starts, first, out, out_at, stride):
        blocks = columns // BLOCK
        total = fill(0.0, SCALE)
        for b in range(blocks):
            block = first + b
            dots = spread(starts, block, X, blocks)
            for k in range(8):
                w = load_bytes(u8, weights_at(at, b, Q8_BYTES) + k * 64, i32)
                dots = dot4(dots, w, spread_bytes(codes, block * BLOCK + 4 * k, X, columns))
            scale = load(u16, scales_at(at, b, Q8_BYTES) >> 1, f32) * spread(scales, block, SCALE, blocks)
            total = fma(to_f32(dots), scale, total)
        store(out, out_at, total, stride)

    return product


def _q4(tokens):
    """As Q8; the low four bits are the columns 0 .. 15 of a block, the high ones 16 .. 31."""
    X, SCALE = i32[tokens], f32[tokens]

    @inlined
    def product(u8, u16, at, columns, codes, scales, starts, first, out, out_at, stride):
        blocks = columns // BLOCK
        total = fill(0.0, SCALE)
        for b in range(blocks):
            block = first + b
            dots = spread(starts, block, X, blocks)
            for k in range(4):
                pair = load_bytes(u8, weights_at(at, b, Q4_BYTES) + k * 64, i32)
                dots = dot4(dots, pair & 0x0F0F0F0F, spread_bytes(codes, block * BLOCK + 4 * k, X, columns))
                high = (pair >> 4) & 0x0F0F0F0F
                dots = dot4(dots, high, spread_bytes(codes, block * BLOCK + 16 + 4 * k, X, columns))
            scale = load(u16, scales_at(at, b, Q4_BYTES) >> 1, f32) * spread(scales, block, SCALE, blocks)
            total = fma(to_f32(dots), scale, total)
        store(out, out_at, total, stride)

    return product


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
                one = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), one)
            for k in range(begin + RUN, begin + 2 * RUN):
                other = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), other)
        for k in range(whole, columns):
            one = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), one)
        store(out, out_at, one + other, stride)

    return product


@compiled
def block_of(tokens):
    """How many of the tokens left make the next block."""
    return 8 if tokens >= 8 else 4 if tokens >= 4 else 2 if tokens >= 2 else 1


def _int8_matrix(layout, make):
    """Groups begin .. end of a block-quantised matrix, for any number of tokens in blocks of 8, then 4, 2, 1.

    The codes of a block of tokens stay in the nearest cache while the weights stream past.
    """
    one, two, four, eight = make(1), make(2), make(4), make(8)

    @compiled
    def product(u8, u16, at, columns, begin, end, codes, scales, starts, first, tokens, out, out_at, stride):
        t = 0
        while t < tokens:
            block, now = block_of(tokens - t), first + t * (columns // BLOCK)
            for g in range(begin, end):
                w = at + g * group_bytes(layout, columns)
                to = out_at + g * GROUP + t * stride
                if block == 8:
                    eight(u8, u16, w, columns, codes, scales, starts, now, out, to, stride)
                elif block == 4:
                    four(u8, u16, w, columns, codes, scales, starts, now, out, to, stride)
                elif block == 2:
                    two(u8, u16, w, columns, codes, scales, starts, now, out, to, stride)
                else:
                    one(u8, u16, w, columns, codes, scales, starts, now, out, to, stride)
            t += block

    return product


def _float_matrix(make):
    """The same of a matrix of floats."""
    one, two, four, eight = make(1), make(2), make(4), make(8)

    @compiled
    def product(weights, at, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride):
        t = 0
        while t < tokens:
            block = block_of(tokens - t)
            x_from = x_at + t * x_stride
            for g in range(begin, end):
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


_q8_matrix, _q4_matrix = _int8_matrix(Q8, _q8), _int8_matrix(Q4, _q4)
_f_matrix, _bf16_matrix = _float_matrix(_float), _float_matrix(_bf16)


@compiled
def linear(weights, matrix, begin, end, x, x_at, x_stride, quantized, first, tokens, out, out_at, stride):
    """out[t] = matrix @ x[t] for t < tokens, in the rows of the groups begin .. end; row 0 goes to out[out_at].

    Matrices of floats read x, from x_at on; block-quantised ones the same in `quantized`, from the block `first` on.
    """
    layout, at, columns = matrix[LAYOUT], matrix[OFFSET], matrix[COLUMNS]
    u8, u16 = weights.u8, weights.u16
    codes, scales = quantized.codes, quantized.scales
    if layout == Q8:
        starts = quantized.q8_starts
        _q8_matrix(u8, u16, at, columns, begin, end, codes, scales, starts, first, tokens, out, out_at, stride)
    elif layout == Q4:
        starts = quantized.q4_starts
        _q4_matrix(u8, u16, at, columns, begin, end, codes, scales, starts, first, tokens, out, out_at, stride)
    elif layout == F32:
        _f_matrix(weights.f32, at // 4, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride)
    elif layout == F16:
        _f_matrix(u16, at // 2, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride)
    elif layout == BF16:
        _bf16_matrix(u16, at // 2, columns, begin, end, x, x_at, x_stride, tokens, out, out_at, stride)


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
