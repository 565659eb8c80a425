"""Layouts of floats: everything except how 16 weights are loaded, which is a layout's own.

[R / 16] { element[C][16] }      for R rows and C columns
"""

import numpy as np

from ..simd.kernels import kernel
from ..simd.memory import array_on_stack, load, prefetch, spread, store
from ..simd.registers import compiled, f32, fill, fma, inlined, lane
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
    Rows,
    Weights,
    token_block,
)
from .panels import TILE_F32, TILE_TOKENS
from .prefetching import FLOATS_EIGHT, FLOATS_FOUR, FLOATS_ONE, FLOATS_TWO

ELEMENTS = {"f32": np.float32, "u16": np.uint16}
NEAR_WEIGHTS = 1 << 15  # so many weights stay in the cache while all tokens are multiplied with them
CHAIN_COLUMNS = 4  # columns added to one of two accumulators before the other is used; with 8, memory is read slower
LEAST_PANEL_TOKENS = 16  # with fewer tokens the weights are read faster where they lie
# Panels: so many columns of two groups, and so many tokens, so that they and their sums fit into the nearest cache.
PANEL_COLUMNS, PANEL_TOKENS = 128, 64  # a multiple of 2 * CHAIN_COLUMNS, and one of TILE_TOKENS
SECOND_GROUP = PANEL_COLUMNS * GROUP  # where the second group begins in a panel
FLOAT_PANEL = 2 * SECOND_GROUP
ACCUMULATOR = TILE_TOKENS * GROUP  # numbers of an accumulator of a tile
TILE_SUMS = 4 * ACCUMULATOR
PANEL_SUMS = PANEL_TOKENS // TILE_TOKENS * TILE_SUMS
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
    """Make the product of any groups of a matrix with any number of tokens: (Product, weights, bytes of one) -> None.

    With enough tokens they are multiplied in panels. Of the others it takes as many groups at a time as fit into a near
    cache, and multiplies them with all tokens.
    """
    one, two, four, eight = (_group(load_weights, tokens) for tokens in (1, 2, 4, 8))
    in_panels = _in_panels(load_weights)

    @inlined
    def product(p, weights, size):
        at, columns, given, to = p.matrix[OFFSET] // size, p.matrix[COLUMNS], p.given.rows, p.to
        near, distances = max(1, NEAR_WEIGHTS // (columns * GROUP)), p.weights.distances
        tiled = p.tokens // TILE_TOKENS * TILE_TOKENS if p.tokens >= LEAST_PANEL_TOKENS else 0
        for t in range(0, tiled, PANEL_TOKENS):
            in_panels(p, weights, size, (t, min(t + PANEL_TOKENS, tiled)))
        for here in range(p.begin, p.end, near):
            t, after = tiled, min(here + near, p.end)
            while t < p.tokens:
                block = 8 if p.tokens - t >= 8 else token_block(p.tokens - t)
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


def _in_panels(load_weights):
    """Make the product of all groups with some tokens: (Product, weights, bytes of one, (first token, end)) -> None.

    Two groups are widened to float32, PANEL_COLUMNS at a time, and multiplied with all tokens while they are in the
    nearest cache. Sums wait in `sums`, [tile][group][accumulator][token][16].
    """

    @inlined
    def product(p, weights, size, tokens):
        first, end = tokens
        columns, given, to = p.matrix[COLUMNS], p.given.rows, p.to
        panel, sums = array_on_stack(FLOAT_PANEL, to.x), array_on_stack(PANEL_SUMS, to.x)
        width, tiles = columns * GROUP, (end - first) // TILE_TOKENS
        for pair in range(p.begin, p.end, 2):
            w = p.matrix[OFFSET] // size + pair * width
            second = w + (min(pair + 2, p.end) - 1 - pair) * width
            for begin in range(0, columns, PANEL_COLUMNS):
                count = min(PANEL_COLUMNS, columns - begin)
                for k in range(count):
                    store(panel, k * GROUP, load_weights(weights, w + (begin + k) * GROUP, f32))
                    store(panel, SECOND_GROUP + k * GROUP, load_weights(weights, second + (begin + k) * GROUP, f32))
                following = (begin + count) * GROUP if begin + count < columns else 2 * width
                each = (count * GROUP * size // CACHE_LINE + tiles - 1) // tiles  # lines that a tile prefetches
                for tile in range(tiles):
                    for line in range(tile * each, tile * each + each):
                        prefetch(weights, w + following + line * CACHE_LINE // size)
                        prefetch(weights, second + following + line * CACHE_LINE // size)
                    x = Rows(given.x, given.at + (first + tile * TILE_TOKENS) * given.stride + begin, given.stride)
                    _add_to_sums(panel, count, x, begin == 0, sums, tile * TILE_SUMS)
            for tile in range(tiles):
                out = to.at + pair * GROUP + (first + tile * TILE_TOKENS) * to.stride
                _store_sums(sums, tile * TILE_SUMS, Rows(to.x, out, to.stride), out if second == w else out + GROUP)

    return product


@inlined
def _add_to_sums(panel, count, given, begins, sums, at):
    """sums[at ...] += so many columns of both groups of a panel times four tokens, in the accumulators of `_group`."""
    x, x_at, stride, zero = given.x, given.at, given.stride, fill(0.0, TILE_F32)
    one, other, second_one, second_other = zero, zero, zero, zero
    if not begins:
        one, other = load(sums, at, TILE_F32, GROUP), load(sums, at + ACCUMULATOR, TILE_F32, GROUP)
        second_one = load(sums, at + 2 * ACCUMULATOR, TILE_F32, GROUP)
        second_other = load(sums, at + 3 * ACCUMULATOR, TILE_F32, GROUP)
    whole = count // (2 * CHAIN_COLUMNS) * (2 * CHAIN_COLUMNS)
    for begin in range(0, whole, 2 * CHAIN_COLUMNS):
        for k in range(begin, begin + CHAIN_COLUMNS):
            v = spread(x, x_at + k, TILE_F32, stride)
            one = fma(load(panel, k * GROUP, f32), v, one)
            second_one = fma(load(panel, SECOND_GROUP + k * GROUP, f32), v, second_one)
        for k in range(begin + CHAIN_COLUMNS, begin + 2 * CHAIN_COLUMNS):
            v = spread(x, x_at + k, TILE_F32, stride)
            other = fma(load(panel, k * GROUP, f32), v, other)
            second_other = fma(load(panel, SECOND_GROUP + k * GROUP, f32), v, second_other)
    for k in range(whole, count):
        v = spread(x, x_at + k, TILE_F32, stride)
        one = fma(load(panel, k * GROUP, f32), v, one)
        second_one = fma(load(panel, SECOND_GROUP + k * GROUP, f32), v, second_one)
    store(sums, at, one, GROUP)
    store(sums, at + ACCUMULATOR, other, GROUP)
    store(sums, at + 2 * ACCUMULATOR, second_one, GROUP)
    store(sums, at + 3 * ACCUMULATOR, second_other, GROUP)


@inlined
def _store_sums(sums, at, to, second_at):
    """Store the results of a tile: of each group the sum of its two accumulators."""
    total = load(sums, at, TILE_F32, GROUP) + load(sums, at + ACCUMULATOR, TILE_F32, GROUP)
    second = load(sums, at + 2 * ACCUMULATOR, TILE_F32, GROUP) + load(sums, at + 3 * ACCUMULATOR, TILE_F32, GROUP)
    store(to.x, to.at, total, to.stride)
    store(to.x, second_at, second, to.stride)


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
