"""Layouts of floats, [R / 16] { element[C][16] } for R rows and C columns: all that they do but load a register."""

import numpy as np

from ..simd.kernels import kernel
from ..simd.memory import prefetch, spread, store
from ..simd.registers import compiled, entry, f32, fill, fma, inlined, lane
from .groups import AHEAD, COLUMNS, GROUP, OFFSET, PRODUCT, ROW, SQUARES, Layout, Rows, Weights, block_of

ELEMENTS = {"f32": np.float32, "u16": np.uint16}
NEAR = 1 << 15  # weights that stay in a near cache
RUN = 4  # columns that one chain of additions takes before the other has its turn; 8 read memory slower
COLUMNS_AT_ONCE = 64  # packed at a time, so that what is written stays in the cache


def floats(name, number, field, load_weights):
    """The Layout of a kind of floats.

    field: of Weights, the array that they are in; load_weights: (array, index, like) -> 16 weights as f32.
    """
    element, array = ELEMENTS[field], Weights._fields.index(field)
    size, multiply = np.dtype(element).itemsize, _matrix(load_weights)

    @compiled
    def group_bytes(columns):
        return columns * GROUP * size

    def pack(raw, columns, first_row, out):
        pack_elements(np.require(raw.view(element), requirements="A"), columns, first_row, out.view(element))

    @kernel(f"product_{name}", PRODUCT)
    def product(p):
        groups = p.begin, p.end
        multiply(p.weights[array], p.matrix[OFFSET] // size, p.matrix[COLUMNS], groups, p.given.rows, p.tokens, p.to)

    @kernel(f"row_{name}", ROW)
    def row(p):
        columns = p.matrix[COLUMNS]
        start = p.matrix[OFFSET] // size + p.row // GROUP * columns * GROUP
        for column in range(columns):
            value = load_weights(p.weights[array], start + column * GROUP, f32)
            p.out[p.out_at + column] = lane(value, p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES)
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
    """A group times a block of tokens.

    One chain of dependent additions would run slower than memory delivers: runs of columns take turns.
    """
    X = f32[tokens]

    @inlined
    def product(weights, at, columns, given, to):
        x, x_at, x_stride = given.x, given.at, given.stride
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
        store(to.x, to.at, one + other, to.stride)

    return product


def _matrix(load_weights):
    """Groups of a matrix times any number of tokens: as many groups at a time as stay in a near cache meanwhile."""
    one, two, four, eight = (_group(load_weights, tokens) for tokens in (1, 2, 4, 8))

    @inlined
    def product(weights, at, columns, groups, given, tokens, to):
        begin, end = groups
        near = max(1, NEAR // (columns * GROUP))
        for here in range(begin, end, near):
            t, after = 0, min(here + near, end)
            while t < tokens:
                block = 8 if tokens - t >= 8 else block_of(tokens - t)
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
    """Rows of plain elements into their places."""
    rows = raw.size // columns
    for begin in range(0, columns, COLUMNS_AT_ONCE):
        end = min(begin + COLUMNS_AT_ONCE, columns)
        for row in range(rows):
            group, r = divmod(first_row + row, GROUP)
            for column in range(begin, end):
                out[(group * columns + column) * GROUP + r] = raw[row * columns + column]
