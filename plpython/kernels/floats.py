"""Layouts of floats: everything except how 16 weights are loaded, which is a layout's own.

[R / 16] { element[C][16] }      for R rows and C columns
"""

import numpy as np

from ..simd.kernels import kernel
from ..simd.memory import prefetch, spread, store
from ..simd.registers import compiled, f32, fill, fma, inlined, lane
from .groups import (
    COLUMNS,
    GROUP,
    OFFSET,
    PACK_STRUCT,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Layout,
    Rows,
    Weights,
    token_block,
)
from .prefetching import FLOATS_EIGHT, FLOATS_FOUR, FLOATS_ONE, FLOATS_TWO

ELEMENTS = {"f32": np.float32, "u16": np.uint16}
NEAR_WEIGHTS = 1 << 15  # so many weights stay in the cache while all tokens are multiplied with them
CHAIN_COLUMNS = 4  # columns added to one of two accumulators before the other is used; with 8, memory is read slower
COLUMNS_AT_ONCE = 64  # columns packed at a time, so that the written lines stay in the cache


def floats(name, number, field, load_weights):
    """Make the Layout of one float type.

    field: the field of Weights that holds them. load_weights: an instruction (array, index, like) -> 16 weights as f32.
    """
    element, array = ELEMENTS[field], Weights._fields.index(field)
    size, multiply = np.dtype(element).itemsize, _product_of(load_weights)

    @compiled
    def group_bytes(columns):
        return columns * GROUP * size

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p, p.weights[array], size)

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns = p.matrix[COLUMNS]
        start = p.matrix[OFFSET] // size + p.row // GROUP * columns * GROUP
        for column in range(columns):
            value = load_weights(p.weights[array], start + column * GROUP, f32)
            p.out[p.out_at + column] = lane(value, p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns = p.matrix[COLUMNS]
        for group in range(p.begin, p.end):
            total, start = fill(0.0, f32), p.matrix[OFFSET] // size + group * columns * GROUP
            for column in range(columns):
                value = load_weights(p.weights[array], start + column * GROUP, f32)
                total = fma(value, value, total)
            store(p.out, group * GROUP, total)

    @kernel(f"pack_{name}", PACK_STRUCT)
    def pack(p):
        pack_elements(p, size)

    kernels = {"product": product, "row": row, "squares": squares, "pack": pack}
    return Layout(name, number, False, False, group_bytes, kernels)


def _group(load_weights, tokens):
    """Make the product of one group with a fixed number of tokens.

    It has two accumulators, which take turns: the latency of one chain of additions would be slower than memory.
    """
    X = f32[tokens]

    @inlined
    def product(weights, at, columns, ahead, given, to):
        x, x_at, x_stride = given.x, given.at, given.stride
        one, other = fill(0.0, X), fill(0.0, X)
        whole = columns // (2 * CHAIN_COLUMNS) * (2 * CHAIN_COLUMNS)
        for begin in range(0, whole, 2 * CHAIN_COLUMNS):
            for k in range(begin, begin + CHAIN_COLUMNS):
                prefetch(weights, at + k * GROUP + ahead)
                one = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), one)
            for k in range(begin + CHAIN_COLUMNS, begin + 2 * CHAIN_COLUMNS):
                prefetch(weights, at + k * GROUP + ahead)
                other = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), other)
        for k in range(whole, columns):
            one = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), one)
        store(to.x, to.at, one + other, to.stride)

    return product


def _product_of(load_weights):
    """Make the product of any groups of a matrix with any number of tokens.

    It takes as many groups at a time as fit into a near cache, and multiplies them with all tokens.
    """
    one, two, four, eight = (_group(load_weights, tokens) for tokens in (1, 2, 4, 8))

    @inlined
    def product(p, weights, size):
        at, columns, given, tokens, to = p.matrix[OFFSET] // size, p.matrix[COLUMNS], p.given.rows, p.tokens, p.to
        near, distances = max(1, NEAR_WEIGHTS // (columns * GROUP)), p.weights.distances
        for here in range(p.begin, p.end, near):
            t, after = 0, min(here + near, p.end)
            while t < tokens:
                block = 8 if tokens - t >= 8 else token_block(tokens - t)
                x = Rows(given.x, given.at + t * given.stride, given.stride)
                for g in range(here, after):
                    w, out = at + g * GROUP * columns, Rows(to.x, to.at + g * GROUP + t * to.stride, to.stride)
                    if block == 8:
                        eight(weights, w, columns, distances[FLOATS_EIGHT] // size, x, out)
                    elif block == 4:
                        four(weights, w, columns, distances[FLOATS_FOUR] // size, x, out)
                    elif block == 2:
                        two(weights, w, columns, distances[FLOATS_TWO] // size, x, out)
                    else:
                        one(weights, w, columns, distances[FLOATS_ONE] // size, x, out)
                t += block

    return product


@inlined
def pack_elements(p, size):
    """Pack rows of plain elements of `size` bytes; see groups.Pack."""
    for begin in range(0, p.columns, COLUMNS_AT_ONCE):
        end = min(begin + COLUMNS_AT_ONCE, p.columns)
        for row in range(p.raw.size // (p.columns * size)):
            group, r = divmod(p.first_row + row, GROUP)
            for column in range(begin, end):
                at, to = (row * p.columns + column) * size, ((group * p.columns + column) * GROUP + r) * size
                for byte in range(size):
                    p.out[to + byte] = p.raw[at + byte]
