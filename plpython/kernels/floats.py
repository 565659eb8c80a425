"""Layouts of floats: everything except how 16 weights are loaded, which is a layout's own.

[R / 16] { element[C][16] }      for R rows and C columns
"""

import numpy as np

from ..simd.kernels import kernel
from ..simd.memory import prefetch, spread, store
from ..simd.registers import compiled, entry, f32, fill, fma, inlined, lane
from .groups import (
    AHEAD,
    COLUMNS,
    GROUP,
    OFFSET,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Layout,
    Rows,
    Weights,
    token_block,
)

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

    def pack(raw, columns, first_row, out):
        pack_elements(np.require(raw.view(element), requirements="A"), columns, first_row, out.view(element))

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        groups = p.begin, p.end
        multiply(p.weights[array], p.matrix[OFFSET] // size, p.matrix[COLUMNS], groups, p.given.rows, p.tokens, p.to)

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

    kernels = {"product": product, "row": row, "squares": squares}
    return Layout(name, number, None, group_bytes, pack, kernels)


def _group(load_weights, tokens):
    """Make the product of one group with a fixed number of tokens.

    It has two accumulators, which take turns: the latency of one chain of additions would be slower than memory.
    """
    X = f32[tokens]

    @inlined
    def product(weights, at, columns, given, to):
        x, x_at, x_stride = given.x, given.at, given.stride
        one, other = fill(0.0, X), fill(0.0, X)
        whole = columns // (2 * CHAIN_COLUMNS) * (2 * CHAIN_COLUMNS)
        for begin in range(0, whole, 2 * CHAIN_COLUMNS):
            for k in range(begin, begin + CHAIN_COLUMNS):
                prefetch(weights, at + k * GROUP + AHEAD // 2)
                one = fma(load_weights(weights, at + k * GROUP, f32), spread(x, x_at + k, X, x_stride), one)
            for k in range(begin + CHAIN_COLUMNS, begin + 2 * CHAIN_COLUMNS):
                prefetch(weights, at + k * GROUP + AHEAD // 2)
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
    def product(weights, at, columns, groups, given, tokens, to):
        begin, end = groups
        near = max(1, NEAR_WEIGHTS // (columns * GROUP))
        for here in range(begin, end, near):
            t, after = 0, min(here + near, end)
            while t < tokens:
                block = 8 if tokens - t >= 8 else token_block(tokens - t)
                x = Rows(given.x, given.at + t * given.stride, given.stride)
                for g in range(here, after):
                    w, out = at + g * GROUP * columns, Rows(to.x, to.at + g * GROUP + t * to.stride, to.stride)
                    if block == 8:
                        eight(weights, w, columns, x, out)
                    elif block == 4:
                        four(weights, w, columns, x, out)
                    elif block == 2:
                        two(weights, w, columns, x, out)
                    else:
                        one(weights, w, columns, x, out)
                t += block

    return product


@entry
def pack_elements(raw, columns, first_row, out):
    """Pack rows of plain elements, the first of which is row `first_row` of the matrix."""
    rows = raw.size // columns
    for begin in range(0, columns, COLUMNS_AT_ONCE):
        end = min(begin + COLUMNS_AT_ONCE, columns)
        for row in range(rows):
            group, r = divmod(first_row + row, GROUP)
            for column in range(begin, end):
                out[(group * columns + column) * GROUP + r] = raw[row * columns + column]
