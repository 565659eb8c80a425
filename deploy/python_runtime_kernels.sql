-- Deploy hartonomous:python_runtime_kernels to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/kernels/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__attention()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Attention over paged keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).

A kernel takes a block of up to 8 queries that share a kv head: the heads of its group, and for prefill the heads of
several tokens. Each register of keys or values serves all of them. It reads each page once, its keys, then its values:
a query's weights are relative to the largest score up to this page, and what the pages before gave is scaled down when
a larger one comes (1805.02867). While it computes with a page it fetches the next one, which lies behind it where the
two were made together; the processor by itself stops at the end of each 4 KB.

Of float32 pages everything is float32. Of int16 pages (`kv_pages`) scores and weighted values are sums of 64 whole
products, exact in 32 bits; a page's weights become codes relative to the largest of them.

A query's result is one sum in the order of the positions. What it must not see weighs 0, and adding zero changes
nothing, so the result does not depend on the queries that it is computed with.
"""

import math
from collections import namedtuple

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.kernels import calling, kernel
from ..simd.memory import load, load_pairs, prefetch, spread, spread_pairs, store
from ..simd.registers import (
    bits,
    compiled,
    dot2,
    f32,
    fill,
    fma,
    i32,
    inlined,
    lanes,
    larger_or_nan,
    max_lanes,
    max_lanes_or_nan,
    maximum,
    sum_lanes,
    to_f32,
    where_before,
    where_less,
)
from .elementwise import ROUNDER, exp2
from .groups import FLOATS, NUMBERS
from .kv_pages import (
    PAGE,
    SEEN_LARGEST,
    key_numbers,
    padded,
    page_keys,
    page_scales,
    page_values,
    quantize_vector,
    value_numbers,
)

# All the query heads of one kv head for some consecutive tokens of one sequence. Token t's are x[at + t * stride ...],
# `group` of them with head_dim numbers each; results replace them. Its position is positions[first + t]; it sees the
# positions up to that, the latest `window` of them.
Queries = namedtuple("Queries", "x at stride tokens group head_dim positions first window")
# The keys and values of one kv head: the table of pages, the row where the sequence's begin, and the head's number in a
# page, its layer included.
Cached = namedtuple("Cached", "pages pages_at head")
# A thread's own: a block of queries (float32, and as int16 codes with a scale each), what each may see, their scores in
# a page and the weights' codes, their results, and one vector of codes. The engine's have an axis more, threads.
Work = namedtuple("Work", "q query_codes query_scales firsts limits scores weight_codes out row")
# What a kernel takes: attention of the Queries over what is Cached of their head.
Attention = namedtuple("Attention", "queries cached work")
ATTENTION = Structure(
    Attention,
    queries=Structure(Queries, x=FLOATS, positions=NUMBERS),
    cached=Structure(Cached, pages=Array(np.int64, 2)),
    work=Structure(
        Work,
        **dict.fromkeys(("q", "query_scales", "scores", "out"), FLOATS),
        **dict.fromkeys(("query_codes", "weight_codes", "row"), Array(np.int16)),
        **dict.fromkeys(("firsts", "limits"), Array(np.int32)),
    ),
)
attend = calling(ATTENTION)

ROWS = 8  # queries in the largest block
EXACT = 64  # products of codes whose sum fits into 32 bits
LOG2_E = math.log2(math.e)
# The score of what a query must not see, below any other. It is finite: before the first position that a query sees,
# this is its largest score, and weights relative to it are 1; the first real score scales all that to exactly 0.
NOTHING = np.finfo(np.float32).min
NAN = np.float32(np.nan)


@inlined
def masked(score, first, firsts, limits, P):
    """NOTHING in the lanes of the positions, from `first` on, that a query does not see."""
    position = lanes() + np.int32(first)
    score = where_before(position, spread(limits, 0, P, 1), score, NOTHING)
    return where_before(position, spread(firsts, 0, P, 1), NOTHING, score)


@inlined
def sees_all(start, firsts, limits, rows):
    """Whether each of the queries sees all of a page."""
    clear = True
    for r in range(rows):
        clear = clear and firsts[r] <= start and start + PAGE <= limits[r]
    return clear


@inlined
def span(firsts, limits, rows):
    """(first position of the first page, end) of what any of the queries sees."""
    begin, end = firsts[0] // PAGE * PAGE, limits[0]
    for r in range(1, rows):
        begin, end = min(begin, firsts[r] // PAGE * PAGE), max(end, limits[r])
    return begin, end


def _over_floats(rows):
    """Attention of `rows` queries over float32 pages; query r sees the positions firsts[r] .. limits[r] - 1."""
    Q, P = f32[rows], i32[rows]

    @inlined
    def attend(pages, pages_at, head, head_dim, work):
        """work.q -> work.out, both [rows][head_dim padded]."""
        q, scores, out, width = work.q, work.scores, work.out, padded(head_dim)
        begin, end = span(work.firsts, work.limits, rows)
        top, total = fill(NOTHING, Q), fill(0.0, Q)
        for d in range(0, width, 16):
            store(out, d, fill(0.0, Q), width)
        for start in range(begin, end, PAGE):
            keys = page_keys(pages, pages_at + start // PAGE, head, head_dim, q)
            before, clear = top, sees_all(start, work.firsts, work.limits, rows)
            for tile in range(0, PAGE, 16):
                score = fill(0.0, Q)
                for d in range(head_dim):
                    at = tile * head_dim + d * 16
                    prefetch(keys, at + PAGE * head_dim)
                    score = fma(load(keys, at, f32), spread(q, d, Q, width), score)
                if not clear:
                    score = masked(score, start + tile, work.firsts, work.limits, P)
                store(scores, tile, score, PAGE)
                top = maximum(top, score)
            top = max_lanes(top)
            kept = exp2(before - top)
            total = total * kept
            for tile in range(0, PAGE, 16):
                weight = exp2(load(scores, tile, Q, PAGE) - top)
                store(scores, tile, weight, PAGE)
                total = total + weight
            values = page_values(pages, pages_at + start // PAGE, head, head_dim, q)
            for d in range(0, width, 16):
                mixed = load(out, d, Q, width) * kept
                for p in range(min(PAGE, end - start)):
                    at = d * PAGE + p * 16
                    prefetch(values, at + PAGE * width)
                    mixed = fma(load(values, at, f32), spread(scores, p, Q, PAGE), mixed)
                store(out, d, mixed, width)
        total = where_less(NOTHING, top, sum_lanes(total), NAN)  # NaN where no score was a number, all -infinity too
        for d in range(0, width, 16):
            store(out, d, load(out, d, Q, width) / total, width)

    return attend


def _over_codes(rows):
    """The same over int16 pages, of queries that are codes."""
    Q, P = f32[rows], i32[rows]

    @inlined
    def attend(pages, pages_at, head, head_dim, work):
        """work.query_codes, work.query_scales -> work.out; work.q gives its type."""
        q, scores, codes, out, width = work.query_codes, work.scores, work.weight_codes, work.out, padded(head_dim)
        pairs = (head_dim + 1) // 2
        next_keys, next_values = key_numbers(head_dim) + 2 * PAGE, value_numbers(head_dim) + 2 * PAGE  # scales between
        begin, end = span(work.firsts, work.limits, rows)
        top, total = fill(NOTHING, Q), fill(0.0, Q)
        for d in range(0, width, 16):
            store(out, d, fill(0.0, Q), width)
        for start in range(begin, end, PAGE):
            page = pages_at + start // PAGE
            keys = page_keys(pages, page, head, head_dim, q)
            key_scales = page_scales(key_numbers(head_dim), pages, page, 0, head, out)
            before, clear = top, sees_all(start, work.firsts, work.limits, rows)
            for tile in range(0, PAGE, 16):
                score = fill(0.0, Q)
                for first in range(0, pairs, EXACT // 2):
                    dots = fill(0, P)
                    for pair in range(first, min(pairs, first + EXACT // 2)):
                        at = (tile * pairs + pair * 16) * 2
                        prefetch(keys, at + next_keys)
                        dots = dot2(dots, load_pairs(keys, at, i32), spread_pairs(q, pair * 2, P, width))
                    score = score + to_f32(dots)
                prefetch(key_scales, tile + next_keys // 2)
                score = score * (load(key_scales, tile, f32) * spread(work.query_scales, 0, Q, 1))
                if not clear:
                    score = masked(score, start + tile, work.firsts, work.limits, P)
                store(scores, tile, score, PAGE)
                top = maximum(top, score)
            top = max_lanes(top)
            kept = exp2(before - top)
            total = total * kept
            values = page_values(pages, page, head, head_dim, q)
            value_scales = page_scales(value_numbers(head_dim), pages, page, 1, head, out)
            largest = fill(0.0, Q)
            for tile in range(0, PAGE, 16):
                prefetch(value_scales, tile + next_values // 2)
                weight = exp2(load(scores, tile, Q, PAGE) - top)
                total = total + weight
                position, scale = lanes() + np.int32(start + tile), load(value_scales, tile, f32)
                weight = weight * where_before(position, np.int32(end), scale, 0.0)  # behind the end lies anything
                store(scores, tile, weight, PAGE)
                largest = larger_or_nan(largest, weight)
            largest = maximum(1e-30, max_lanes_or_nan(largest))  # NaN where a weight is: codes cannot be
            inverse = fill(np.float32(SEEN_LARGEST), Q) / largest
            for tile in range(0, PAGE, 16):
                store(codes, tile, bits(load(scores, tile, Q, PAGE) * inverse + ROUNDER), PAGE)
            step = largest * np.float32(1 / SEEN_LARGEST)
            for d in range(0, width, 16):
                dots = fill(0, P)
                for p in range(0, PAGE, 2):
                    at = d * PAGE + p * 16
                    prefetch(values, at + next_values)
                    dots = dot2(dots, load_pairs(values, at, i32), spread_pairs(codes, p, P, PAGE))
                store(out, d, fma(to_f32(dots), step, load(out, d, Q, width) * kept), width)
        total = where_less(NOTHING, top, sum_lanes(total), NAN)  # NaN where no score was a number, all -infinity too
        for d in range(0, width, 16):
            store(out, d, load(out, d, Q, width) / total, width)

    return attend


_floats_4, _floats_7, _floats_8 = _over_floats(4), _over_floats(7), _over_floats(8)
_codes_4, _codes_7, _codes_8 = _over_codes(4), _over_codes(7), _over_codes(8)


@compiled
def kernel_of(block):
    """Queries of the smallest kernel for a block of so many.

    There are few, since each is compiled for both kinds of pages. Fewer than four queries would take as long as four:
    a sum waits four cycles for its last addition. Seven is the group of heads of models with 14 or 28.
    """
    return 4 if block <= 4 else 7 if block <= 7 else 8


@compiled
def take_queries(queries, done, block, work):
    """A block of queries, scaled, into work.q, with what each may see; then those that only fill the kernel.

    Scores are to the base 2: the scale is log2(e) / sqrt(head_dim).
    """
    group, head_dim = queries.group, queries.head_dim
    width = padded(head_dim)
    scale = np.float32(LOG2_E / np.sqrt(np.float64(head_dim)))
    for r in range(block):
        t, h = divmod(done + r, group)
        query, end = queries.at + t * queries.stride + h * head_dim, queries.positions[queries.first + t] + 1
        for d in range(head_dim):
            work.q[r * width + d] = queries.x[query + d] * scale
        work.limits[r] = end
        work.firsts[r] = max(0, end - queries.window)
    for r in range(block, kernel_of(block)):  # whatever is there, at the first query's positions: nobody asks for it
        work.limits[r], work.firsts[r] = work.limits[0], work.firsts[0]


@compiled
def give_results(queries, done, block, work):
    """The results of a block in the place of its queries."""
    head_dim = queries.head_dim
    width = padded(head_dim)
    for r in range(block):
        t, h = divmod(done + r, queries.group)
        result = queries.at + t * queries.stride + h * head_dim
        for d in range(head_dim):
            queries.x[result + d] = work.out[r * width + d]


@kernel("attention_over_floats", ATTENTION)
def over_floats(given):
    """Attention over float32 pages."""
    queries, work = given.queries, given.work
    pages, pages_at, head = given.cached
    head_dim, total = queries.head_dim, queries.tokens * queries.group
    for done in range(0, total, ROWS):
        block = min(total - done, ROWS)
        take_queries(queries, done, block, work)
        rows = kernel_of(block)
        if rows == 8:
            _floats_8(pages, pages_at, head, head_dim, work)
        elif rows == 7:
            _floats_7(pages, pages_at, head, head_dim, work)
        else:
            _floats_4(pages, pages_at, head, head_dim, work)
        give_results(queries, done, block, work)


@kernel("attention_over_codes", ATTENTION)
def over_codes(given):
    """The same over int16 pages."""
    queries, work = given.queries, given.work
    pages, pages_at, head = given.cached
    head_dim, total = queries.head_dim, queries.tokens * queries.group
    width = padded(head_dim)
    for done in range(0, total, ROWS):
        block = min(total - done, ROWS)
        take_queries(queries, done, block, work)
        rows = kernel_of(block)
        for r in range(rows):
            at_row, codes = r * width, work.query_codes
            work.query_scales[r] = quantize_vector(work.q, at_row, head_dim, SEEN_LARGEST, codes, at_row)
        if rows == 8:
            _codes_8(pages, pages_at, head, head_dim, work)
        elif rows == 7:
            _codes_7(pages, pages_at, head, head_dim, work)
        else:
            _codes_4(pages, pages_at, head, head_dim, work)
        give_results(queries, done, block, work)


OVER = {np.dtype(np.float32): over_floats, np.dtype(np.int16): over_codes}  # by the dtype of pages
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__attention() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__attention() IS
'Attention over paged keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__blocks()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Layouts of blocks, 32 integers with a scale: all that they do but the arithmetic of a block's integers.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__blocks() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__blocks() IS
'Layouts of blocks, 32 integers with a scale: all that they do but the arithmetic of a block''s integers.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__candidates()
RETURNS void
LANGUAGE plpython3u
AS $python$"""`generate/candidates` in compiled code: the same numbers, a tenth of the time."""

from functools import cached_property

import numpy as np

from ..generate import candidates
from ..generate.candidates import BUCKETS, BUCKETS_A_UNIT, LN2_HIGH, LN2_LOW, LOG2_E, LOWEST, POLYNOMIAL, WEIGHT_BITS
from ..simd.memory import load_first, store
from ..simd.registers import compiled, entry, f32, fill, ldexp, maximum, minimum, rint, to_i32, where_less

C0, C1, C2, C3, C4, C5 = POLYNOMIAL
# Tokens that weigh nothing have buckets of their own, by their scores too, so that they do not all wait for one.
WEIGHTLESS = 4096
ALL_BUCKETS = 2 * WEIGHTLESS
BLOCK = 1024  # tokens whose weights are summed before their sum is looked at


@compiled
def weight(score):
    """candidates.weights, in every lane: each multiplication and addition rounded by itself."""
    y = maximum(score, LOWEST)
    n = rint(y * LOG2_E)
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    p = fill(C0, f32)
    p = p * r + C1
    p = p * r + C2
    p = p * r + C3
    p = p * r + C4
    p = p * r + C5
    return rint(ldexp(((p * (r * r)) + r) + np.float32(1), to_i32(n + np.float32(WEIGHT_BITS))))


@entry
def weigh(logits, largest, temperature, scores, weights, buckets):
    """Fill scores, weights and the numbers of their buckets, which have room for whole registers."""
    size = len(logits)
    for i in range(0, size, 16):
        score = (load_first(size - i, logits, i) - largest) / temperature
        heavy = weight(score)
        bucket = minimum(score * np.float32(-BUCKETS_A_UNIT), np.float32(WEIGHTLESS - 1))
        store(scores, i, score)
        store(weights, i, heavy)
        store(buckets, i, to_i32(where_less(0.0, heavy, bucket, bucket + np.float32(WEIGHTLESS))))


@entry
def tally(weights, buckets, size, tallies):
    """For each bucket how many tokens it has, and how much they weigh: side by side, since both are wanted at once."""
    tallies[:] = 0
    for i in range(size):
        place = 2 * np.int64(buckets[i])
        tallies[place] += 1
        tallies[place + 1] += weights[i]


@entry
def members(buckets, size, bucket, ids):
    """The ids of a bucket, ascending, into `ids`."""
    count = 0
    for i in range(size):
        if buckets[i] == bucket:
            ids[count] = i
            count += 1


@entry
def mass(scores, weights, size, score):
    """The sum of the weights of all tokens with at least this score."""
    total = 0
    for i in range(size):
        total += np.int64(weights[i]) * np.int64(scores[i] >= score)
    return total


@compiled
def kept_weight(score, weight, i, cut, last):
    """The weight of token i, 0 if it is cut off; without a branch, that nobody could foretell."""
    return np.int64(weight) * np.int64((score > cut) | ((score == cut) & (i <= last)))


@compiled
def first_beyond(scores, weights, cut, last, number):
    """The first place at which the kept weights, summed, are more than `number`; the size if none is."""
    for i in range(len(scores)):
        number -= kept_weight(scores[i], weights[i], i, cut, last)
        if number < 0:
            return i
    return len(scores)


@compiled
def kept_mass(scores, weights, cut, last):
    """The sum of the kept weights."""
    total = 0
    for i in range(len(scores)):  # from 0, so that the compiler knows that no index is negative, and takes many at once
        total += kept_weight(scores[i], weights[i], i, cut, last)
    return total


@entry
def draw(scores, weights, size, cut, last, number):
    """The first id at which the kept weights, summed, are more than `number`."""
    for begin in range(0, size, BLOCK):
        block = slice(begin, min(size, begin + BLOCK))
        mass = kept_mass(scores[block], weights[block], cut, last - begin)
        if mass > number:
            return begin + first_beyond(scores[block], weights[block], cut, last - begin, number)
        number -= mass
    return size


class Candidates(candidates.Candidates):
    """candidates.Candidates, for one draw: the next one takes its memory."""

    _room = None  # scores, weights, buckets, tallies: the session's

    def __init__(self, logits, largest, temperature):
        size = self._size = len(logits)
        self._scores, self._weights, self._buckets, self._tallies = self._memory()
        self.scores, self.weights = self._scores[:size], self._weights[:size]
        logits = logits.view()
        logits.flags.writeable = False  # compiled code is made for each kind of array
        arguments = np.float32(largest), np.float32(temperature), self._scores, self._weights, self._buckets
        weigh(logits, *arguments)

    @property
    def counts(self):
        """How many tokens that weigh anything each bucket has."""
        return self._tallied[: 2 * BUCKETS : 2]

    @property
    def masses(self):
        """How much the tokens of each bucket weigh together."""
        return self._tallied[1 : 2 * BUCKETS : 2]

    @cached_property
    def _tallied(self):
        tally(self._weights, self._buckets, self._size, self._tallies)
        return self._tallies

    def members(self, bucket):
        """Ids of a bucket, ascending."""
        ids = np.empty(int(self.counts[bucket]), np.int64)
        members(self._buckets, self._size, bucket, ids)
        return ids

    def mass(self, score):
        """The sum of the weights of all tokens with at least this score."""
        return float(mass(self._scores, self._weights, self._size, np.float32(score)))

    def draw(self, cut, number):
        """The first id at which the weights of what is kept, summed by ascending id, are more than `number`."""
        return draw(self._scores, self._weights, self._size, np.float32(cut.score), cut.last, number)

    def compile(self):
        """Call everything once."""
        self.members(0)
        self.draw(self.all(), 0)

    def _memory(self):
        room, wanted = Candidates._room, self._size + 16
        if room is None or len(room[0]) < wanted:
            each = np.empty(wanted, np.float32), np.empty(wanted, np.float32), np.empty(wanted, np.int32)
            room = Candidates._room = (*each, np.empty(2 * ALL_BUCKETS))
        return room
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__candidates() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__candidates() IS
'`generate/candidates` in compiled code: the same numbers, a tenth of the time.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__cosine()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The rows of a matrix that are nearest to a vector by cosine, exactly.

A pass over the matrix in float32, or with the vector in int8, is fast and nearly right. How far it can be off is known:
with x the vector of length 1, x' what the pass took for it, and r the rounding of float32 sums,

    |cosine - found| <= |x - x'| + 3 r

by Cauchy and Schwarz for the first term; the second is for the product, the row's length and their quotient. So every
row that may be among the k nearest lies within twice that of the k-th found. Those rows, a few more than k, are
computed again in float64, which decides. Equal cosines rank by id: equal rows give equal bits, as each is summed alike.
"""

import numpy as np

SMALLEST, LARGEST = 1e-30, 1e30  # of a sum of squares: beyond them float32 fails, and the row is left to float64
STEP = 4096  # rows computed again at a time


def rounding(columns):
    """How far a float32 sum of `columns` products can be off, relative to the lengths of the vectors, in any order."""
    return (columns + 16) * 2.0**-24


class Lengths:
    """What a search needs of the lengths of rows: 1 / length, and the ids of those that float32 cannot tell."""

    def __init__(self, squares):
        ordinary = (squares > SMALLEST) & (squares < LARGEST)
        self.inverse = np.where(ordinary, 1 / np.sqrt(np.where(ordinary, squares, 1)), 0).astype(np.float32)
        self.untold = np.flatnonzero(~ordinary)


class ArrayTable:
    """A matrix f32[rows, columns] in memory, for the search below."""

    def __init__(self, values, checkpoint=lambda: None):
        self.shape = values.shape
        self._values, self._checkpoint = values, checkpoint
        self.lengths = Lengths(self._by_steps(lambda part: np.einsum("ij,ij->i", part, part)))

    def products(self, x):
        """(f32[rows], error): each row times x, f32[columns]; off by at most error * |row| and float32's rounding."""
        return self._by_steps(lambda part: part @ x), 0.0

    def rows(self, ids):
        """The rows of some ids: int[n] -> f32[n, columns], as they are stored."""
        return self._values[ids]

    def _by_steps(self, function):
        out = np.empty(self.shape[0], np.float32)
        for start in range(0, self.shape[0], STEP):
            with np.errstate(all="ignore"):  # rows that are not finite, or too long for float32
                out[start : start + STEP] = function(self._values[start : start + STEP])
            self._checkpoint()
        return out


def nearest(table, x, k, excluded=(), checkpoint=lambda: None):
    """(ids, cosines) of the k rows nearest to x, f64[columns] of any length but 0, nearest first.

    Rows without a direction, all zero or not finite, are never among them; nor are `excluded` ids.
    """
    x = unit(x)
    narrow = x.astype(np.float32)
    found, error = table.products(narrow)
    with np.errstate(invalid="ignore"):
        found = found * table.lengths.inverse
    found[table.lengths.untold] = np.inf
    found[list(excluded)] = -np.inf
    bound = error + float(np.linalg.norm(x - narrow)) + 3 * rounding(table.shape[1])
    ids = np.flatnonzero(found >= _largest(found, k + len(table.lengths.untold)) - 2 * bound)
    ids = ids[found[ids] > -np.inf]
    cosines = np.concatenate([_cosines(table, ids[i : i + STEP], x, checkpoint) for i in range(0, len(ids), STEP)])
    directed = ~np.isnan(cosines)
    ids, cosines = ids[directed], cosines[directed]
    order = np.lexsort((ids, -cosines))[:k]
    return ids[order], cosines[order]


def unit(x):
    """The vector of length 1 in the direction of x, in float64; NaN without a direction."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        scaled = x / np.abs(x).max()  # so that no square is too small or too large
        return scaled / np.sqrt((scaled * scaled).sum())


def _largest(values, k):
    """The k-th largest of f32[n]; the smallest where there are fewer."""
    k = min(k, len(values))
    return np.partition(values, len(values) - k)[len(values) - k]


def _cosines(table, ids, x, checkpoint):
    """In float64; NaN for rows without a direction."""
    rows = table.rows(ids).astype(np.float64)
    checkpoint()
    with np.errstate(all="ignore"):
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        return np.minimum((rows * x).sum(axis=1) / np.sqrt((rows * rows).sum(axis=1)), 1.0)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__cosine() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__cosine() IS
'The rows of a matrix that are nearest to a vector by cosine, exactly.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__dispatch()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Which layouts there are, and the table of their kernels, from which compiled code takes the one that it calls.

A new layout is a file of `layouts` and its word here and in model/encodings.py.
"""

import numpy as np

from ..simd.registers import compiled
from .groups import ABSENT, KERNELS, VECTOR
from .layouts import bf16, f16, f32, q4, q5, q8

MODULES = (f32, f16, bf16, q8, q4, q5)
LAYOUTS = tuple(module.LAYOUT for module in MODULES)
BY_NAME = {layout.name: layout for layout in LAYOUTS}
BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
NAMES = {ABSENT: "absent", VECTOR: "vector", **{layout.number: layout.name for layout in LAYOUTS}}
# What the layouts of blocks are larger by, in the order of their numbers from FIRST_OF_BLOCKS on.
OFFSETS = tuple(layout.offset for layout in sorted(LAYOUTS, key=lambda layout: layout.number) if layout.offset)


# The addresses of the layouts' kernels, int64: those of layout number n begin at n * len(KERNELS), in the order of
# KERNELS. They are 0 until `load`.
ADDRESSES = np.zeros((max(BY_NUMBER) + 1) * len(KERNELS), np.int64)
PRODUCT_OF, ROW_OF, SQUARES_OF = range(len(KERNELS))


def load(number):
    """Have the kernels of a layout in ADDRESSES; they are compiled where they are not yet."""
    first = number * len(KERNELS)
    if number in BY_NUMBER and not ADDRESSES[first]:
        kernels = BY_NUMBER[number].kernels
        ADDRESSES[first : first + len(KERNELS)] = [kernels[part].address() for part in KERNELS]


def _group_bytes():
    """For compiled code: (the number of a layout, columns) -> bytes of a group. It is a choice among LAYOUTS."""
    *others, last = LAYOUTS
    lines = [f"    if layout == {layout.number}: return {layout.name}(columns)" for layout in others]
    source = "\n".join(["def group_bytes(layout, columns):", *lines, f"    return {last.name}(columns)"])
    names = {"__name__": __name__} | {layout.name: layout.group_bytes for layout in LAYOUTS}
    exec(source, names)
    return compiled(names["group_bytes"])


group_bytes = _group_bytes()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__dispatch() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__dispatch() IS
'Which layouts there are, and the table of their kernels, from which compiled code takes the one that it calls.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__elementwise()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The transformer's operators as loops over register blocks, for activations and packed weights in flat arrays.

Everything is a flat array and an index into it; `stride` is the distance between tokens. Widths are padded to
multiples of 16 with zeros, which every kernel keeps zero. The matrix products are in `matrix`, attention in
`attention`.
"""

import math
from collections import namedtuple

import numpy as np

from ..simd.memory import load, load_first, store, store_first
from ..simd.registers import (
    bits,
    compiled,
    f32,
    fill,
    fma,
    lane,
    lanes,
    larger_or_nan,
    ldexp,
    magnitude,
    max_lanes,
    max_lanes_or_nan,
    maximum,
    minimum,
    rint,
    sum_lanes,
    sum_lanes_i32,
    to_f32,
    to_i32,
    where_before,
    where_less,
)
from .dispatch import OFFSETS
from .groups import BLOCK, Codes

# Added to a small number it leaves the nearest whole number, ties to even, in the low bits: one addition for two steps.
ROUNDER = np.float32(1.5 * 2**23)
# exp2: x = n + r, a polynomial of least relative error, 2e-9, for 2^r
EXP2_LOWEST = np.float32(-126.0)
# exp: x = n ln 2 + r, the polynomial of Cephes' expf for e^r; largest relative error 2 units in the last place
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
SQRT_HALF = np.float32(math.sqrt(0.5))
EXP_LOWEST, EXP_HIGHEST = np.float32(-87.0), np.float32(88.0)
# What a layer norm ends with: an array, and where in it the weights begin and the bias.
Affine = namedtuple("Affine", "weights weights_at bias_at")
# likeliest: it looks for the largest number run by run
RUN = 1024
NO_TOKEN = -1
NOTHING = np.float32(-np.inf)


@compiled
def exp(x):
    """e^x in every lane; 0 below -87, where it is 1.6e-38, so that a masked score weighs nothing; above 88 e^88."""
    y = minimum(maximum(x, EXP_LOWEST), EXP_HIGHEST)
    n = rint(y * LOG2_E)
    r = fma(n, 0.0 - LN2_LOW, fma(n, 0.0 - LN2_HIGH, y))
    p = fma(fill(1.9875691500e-4, f32), r, 1.3981999507e-3)
    p = fma(p, r, 8.3334519073e-3)
    p = fma(p, r, 4.1665795894e-2)
    p = fma(p, r, 1.6666665459e-1)
    p = fma(p, r, 5.0000001201e-1)
    return where_less(x, EXP_LOWEST, 0.0, ldexp(fma(r * r, p, r) + 1.0, to_i32(n)))


@compiled
def exp2(x):
    """2^x in every lane, for x up to 127; 0 below -126, where it is 1.2e-38; NaN for infinity and NaN."""
    n = x + ROUNDER
    r = x - (n - ROUNDER)
    p = fma(fill(1.5345802e-4, f32), r, 1.3399932e-3)
    p = fma(p, r, 9.6184891e-3)
    p = fma(p, r, 5.5503286e-2)
    p = fma(p, r, 2.4022643e-1)
    p = fma(p, r, 6.9314718e-1)
    p = fma(p, r, 1.0)
    power = fma(x, 0.0, ldexp(p, bits(n)))  # ldexp makes a number of some NaNs; of a number, 0 changes nothing
    return where_less(x, EXP2_LOWEST, 0.0, power)


@compiled
def rms_norm(x, at, width, weights, weights_at, epsilon, out, out_at):
    """x / sqrt(mean(x^2) + epsilon) * weight for one vector of any width; `out` may be `x`."""
    squares = fill(0.0, f32)
    for i in range(0, width, 16):
        v = load_first(width - i, x, at + i)
        squares = fma(v, v, squares)
    mean = lane(sum_lanes(squares), 0) / np.float32(width)
    scale = np.float32(1.0) / np.float32(math.sqrt(mean + np.float32(epsilon)))
    for i in range(0, width, 16):
        v = load_first(width - i, x, at + i) * scale * load_first(width - i, weights, weights_at + i)
        store_first(width - i, out, out_at + i, v)


@compiled
def layer_norm(x, at, width, affine, epsilon, out, out_at):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias for one vector of any width; `out` may be `x`."""
    weights, weights_at, bias_at = affine
    total = fill(0.0, f32)
    for i in range(0, width, 16):
        total = total + load_first(width - i, x, at + i)
    mean = lane(sum_lanes(total), 0) / np.float32(width)
    squares = fill(0.0, f32)
    for i in range(0, width, 16):
        centered = where_before(lanes(), np.int32(width - i), load_first(width - i, x, at + i) - mean, 0.0)
        squares = fma(centered, centered, squares)
    variance = lane(sum_lanes(squares), 0) / np.float32(width)
    scale = np.float32(1.0) / np.float32(math.sqrt(variance + np.float32(epsilon)))
    for i in range(0, width, 16):
        centered = (load_first(width - i, x, at + i) - mean) * scale
        y = fma(centered, load_first(width - i, weights, weights_at + i), load_first(width - i, weights, bias_at + i))
        store_first(width - i, out, out_at + i, y)


@compiled
def largest_magnitude(x, at, width):
    """The largest |x| of a vector of any width, in every lane; NaN where one of its numbers is NaN."""
    largest = fill(0.0, f32)
    for i in range(0, width, 16):
        largest = larger_or_nan(largest, magnitude(load_first(width - i, x, at + i)))
    return max_lanes_or_nan(largest)


def new_codes(size):
    """Codes for so many numbers."""
    blocks = -(-size // BLOCK)
    starts = np.zeros(len(OFFSETS) * blocks, np.int32)
    return Codes(np.zeros(blocks * BLOCK, np.int8), np.zeros(blocks, np.float32), starts)


@compiled
def quantize_block(low, high, codes, block):
    """Quantise the two registers of a block as `quantize` says; what the codes leave of them.

    Codes cannot be infinite or NaN: the scale is, where a number of the block is.
    """
    largest = max_lanes_or_nan(larger_or_nan(magnitude(low), magnitude(high)))
    inverse = fill(127.0, f32) / maximum(1e-30, largest)
    low_codes, high_codes = to_i32(rint(low * inverse)), to_i32(rint(high * inverse))
    store(codes.codes, block * BLOCK, low_codes)
    store(codes.codes, block * BLOCK + 16, high_codes)
    total, scale = lane(sum_lanes_i32(low_codes + high_codes), 0), largest * np.float32(1 / 127)
    codes.scales[block] = lane(scale, 0)
    for number in range(len(OFFSETS)):
        codes.starts[number * len(codes.scales) + block] = -OFFSETS[number] * total
    return low - to_f32(low_codes) * scale, high - to_f32(high_codes) * scale


@compiled
def quantize(x, at, width, codes, first):
    """One vector in blocks of 32: int8 codes and a scale each, x = code * scale with an error below scale / 2.

    Its blocks are those from `first` on. The packed weights are unsigned, larger by their layout's offset. Where a
    block's dot product must start to make up for it, minus the offset times the sum of the codes, is the same for every
    row of the matrix, so it is here.
    """
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        quantize_block(low, high, codes, first + i)


@compiled
def quantize_twice(x, at, width, codes, first, low_first):
    """The same, and from another block on the codes of what those leave: together they hold 15 bits."""
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        low, high = quantize_block(low, high, codes, first + i)
        quantize_block(low, high, codes, low_first + i)


@compiled
def swiglu(gate, up, at, width):
    """up = silu(gate) * up in place, silu(g) = g / (1 + exp(-g)); the width a multiple of 16."""
    for i in range(at, at + width, 16):
        g = load(gate, i, f32)
        store(up, i, g / (exp(fill(0.0, f32) - g) + 1.0) * load(up, i, f32))


@compiled
def erf(x):
    """The error function in every lane: the rational approximation of Eigen, within 3 units in the last place of 1."""
    y = minimum(maximum(x, -4.0), 4.0)
    s = y * y
    p = fma(fill(-2.72614225801306e-10, f32), s, 2.77068142495902e-08)
    p = fma(p, s, -2.10102402082508e-06)
    p = fma(p, s, -5.69250639462346e-05)
    p = fma(p, s, -7.34990630326855e-04)
    p = fma(p, s, -2.95459980854025e-03)
    p = fma(p, s, -1.60960333262415e-02)
    q = fma(fill(-1.45660718464996e-05, f32), s, -2.13374055278905e-04)
    q = fma(q, s, -1.68282697438203e-03)
    q = fma(q, s, -7.37332916720468e-03)
    q = fma(q, s, -1.42647390514189e-02)
    return y * p / q


@compiled
def gelu(x, at, width):
    """x * (1 + erf(x / sqrt(2))) / 2 in place; the width a multiple of 16."""
    for i in range(at, at + width, 16):
        v = load(x, i, f32)
        store(x, i, v * 0.5 * (erf(v * SQRT_HALF) + 1.0))


@compiled
def likeliest(x, width):
    """The first place of the largest of x[0 .. width - 1]; NO_TOKEN when one of them is not a finite number."""
    whole, largest, place, odd = width // RUN * RUN, NOTHING, 0, fill(0.0, f32)
    for begin in range(0, whole, RUN):
        top = fill(NOTHING, f32)
        for i in range(begin, begin + RUN, 16):
            v = load(x, i, f32)
            top, odd = maximum(top, v), fma(v, 0.0, odd)
        top = lane(max_lanes(top), 0)
        if top > largest:
            largest, place = top, begin
    remainder = lane(sum_lanes(odd), 0)
    for i in range(whole, width):
        remainder += x[i] * np.float32(0.0)
        if x[i] > largest:
            largest, place = x[i], i
    if remainder != 0.0:  # NaN, which infinity times 0 is too
        return NO_TOKEN
    while x[place] != largest:
        place += 1
    return place


@compiled
def add(x, at, y, y_at, width):
    """x += y; the width a multiple of 16."""
    for i in range(0, width, 16):
        store(x, at + i, load(x, at + i, f32) + load(y, y_at + i, f32))


@compiled
def rope(x, at, head_dim, cosines, sines, angles_at, interleaved):
    """Rotate the pairs of one head in place, (2i, 2i + 1) or (i, i + head_dim / 2), by the angles of its position."""
    half = head_dim // 2
    step, distance = (2, 1) if interleaved else (1, half)
    for i in range(half):
        first, second = at + i * step, at + i * step + distance
        a, b, c, s = x[first], x[second], cosines[angles_at + i], sines[angles_at + i]
        x[first], x[second] = a * c - b * s, b * c + a * s
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__elementwise() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__elementwise() IS
'The transformer''s operators as loops over register blocks, for activations and packed weights in flat arrays.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__floats()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Layouts of floats, [R / 16] { element[C][16] } for R rows and C columns: all that they do but load a register."""

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__floats() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__floats() IS
'Layouts of floats, [R / 16] { element[C][16] } for R rows and C columns: all that they do but load a register.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__groups()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packed matrices: groups of 16 rows, in which one register holds a column, or four, of all 16.

A file keeps a matrix row by row; a product then needs a sum across each register. Here lane r of every register
belongs to row r of the group, nothing is summed across lanes, and a group is one contiguous run. Rows are padded to a
multiple of 16 with zeros, columns are not. What a group looks like is said in `layouts`, a file for each layout; what
they have in common is here.

In a group of blocks the scales of two blocks are one cache line, and lie before the weights that they scale, so that
memory is read line by line in its order: behind the weights, or in a stream of their own, they cost up to a sixth of
its speed. Of an odd number of blocks the last lies alone behind its line of scales.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.registers import compiled

GROUP = 16  # rows that lie together, one to a lane
BLOCK = 32  # columns with one scale
SCALES_BYTES = 32  # of the scales of a block
ALIGNMENT = 64  # bytes: a cache line, a 512-bit register

AHEAD = 1 << 13  # bytes (of float32 twice as many) behind the weights that are used: memory is asked for those there

# A row of the engine's table of weights: how and where a tensor is packed.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
# Layouts that are no matrix's: of a tensor that the model lacks, and of norms and biases, which are f32 whatever their
# type, padded with zeros to a multiple of 16.
ABSENT, VECTOR = range(2)
FIRST_OF_BLOCKS = 5  # the numbers of layouts of blocks are this and those that follow

# The packed buffer as arrays of each of its element types, all read-only; and the addresses of the layouts' kernels
# (see `dispatch`), int64 [(number of the last layout + 1) * KERNELS].
Weights = namedtuple("Weights", "u8 u16 f32 kernels")
# Activations as int8 (see elementwise.quantize), in blocks: those of several tokens follow each other. `starts` are the
# starts of the first layout of blocks, then those of the next, each as many as there are scales.
Codes = namedtuple("Codes", "codes scales starts")
# Float32 rows, one a token: the first begins at x[at], each other `stride` numbers after the one before.
Rows = namedtuple("Rows", "x at stride")
# The same rows, and for matrices of blocks what they are as codes, from the block `first` on.
Activations = namedtuple("Activations", "rows codes first")

# What a layout's kernels take. matrix: a row of the table of weights, int64[4].
# Product: to[t] = matrix @ given[t] for t < tokens, in the rows of the groups begin .. end.
# given: Activations. to: Rows.
Product = namedtuple("Product", "weights matrix begin end given tokens to")
# Row: out[out_at ...] = one row of the matrix, decoded.
Row = namedtuple("Row", "weights matrix row out out_at")
# Squares: out[row] = the sum of the squares of a row, in the rows of the groups begin .. end.
Squares = namedtuple("Squares", "weights matrix begin end out")

FLOATS, NUMBERS = Array(np.float32), Array(np.int64)
WEIGHTS = Structure(Weights, u8=Array(np.uint8), u16=Array(np.uint16), f32=FLOATS, kernels=NUMBERS)
CODES = Structure(Codes, codes=Array(np.int8), scales=FLOATS, starts=Array(np.int32))
ROWS_OF_FLOATS = Structure(Rows, x=FLOATS)
PRODUCT = Structure(
    Product,
    weights=WEIGHTS,
    matrix=NUMBERS,
    given=Structure(Activations, rows=ROWS_OF_FLOATS, codes=CODES),
    to=ROWS_OF_FLOATS,
)
ROW = Structure(Row, weights=WEIGHTS, matrix=NUMBERS, out=FLOATS)
SQUARES = Structure(Squares, weights=WEIGHTS, matrix=NUMBERS, out=FLOATS)
KERNELS = {"product": PRODUCT, "row": ROW, "squares": SQUARES}


@dataclass(frozen=True)
class Layout:
    """What is to be known of one layout."""

    name: str  # as encodings have it; the end of the names of packed files
    number: int  # in the table of weights and in packed files
    offset: int | None  # what the bytes of blocks are larger by than the integers; None: the weights are floats
    group_bytes: Callable  # compiled: (columns) -> bytes of a group
    pack: Callable  # (bytes of rows as a file has them, columns, the first of the rows, uint8 of the packed matrix)
    kernels: dict  # a Kernel for each of KERNELS


@compiled
def group_count(rows):
    """How many groups the rows make."""
    return (rows + GROUP - 1) // GROUP


@compiled
def block_of(tokens):
    """How many of the tokens left make the next block."""
    return 4 if tokens >= 4 else 2 if tokens >= 2 else 1


@compiled
def blocks_bytes(blocks, size):
    """Bytes of a group of some blocks of so many bytes of weights, with the scales of each two before them."""
    return (blocks + 1) // 2 * 2 * SCALES_BYTES + blocks * size


@compiled
def scales_at(group, block, size):
    """Where the scales of a block lie in the group that begins at the byte `group`."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + (block & 1) * SCALES_BYTES


@compiled
def weights_at(group, block, size):
    """Where the weights of a block lie."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + 2 * SCALES_BYTES + (block & 1) * size
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__groups() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__groups() IS
'Packed matrices: groups of 16 rows, in which one register holds a column, or four, of all 16.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__kv_pages()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Pages of keys and values, 64 positions each, as attention reads them and as a token's are stored.

A page holds, for every layer and kv head (a "head" here), with head_dim padded to whole registers of 16 for values,

    float32    keys    [64 / 16][head_dim][16]             one register is one dimension of 16 positions
               values  [head_dim / 16][64][16]             one register is 16 dimensions of one position
    int16      keys    [64 / 16][head_dim / 2][16][2]      one register is two dimensions of 16 positions
               values  [head_dim / 16][64 / 2][16][2]      one register is 16 dimensions of two positions
               and after each the scales of the positions, float32 [64]

so that no sum runs across lanes, and a register serves all the queries of its head. An int16 page holds 14 bits a
number, in steps of a 8,191th of the largest of its vector: as much as half precision gives the largest of them. With
queries and weights of 13 bits a sum of 64 products just fits into 32 bits, so int16 attention is exact but for these
roundings, and takes half the multiplications of float32.

A table, int64 [pages][3], says where: the address of head 0's keys, the address of its values, and how many bytes
further those of the next head are.
"""

from collections import namedtuple

import numpy as np

from ..simd.memory import array_at, load_first, store
from ..simd.registers import compiled, f32, fill, inlined, lane, maximum, rint, to_i32
from .elementwise import largest_magnitude

# Where the key and the value of a position and a head go: a row of the table of pages, and the head's number in a page.
Place = namedtuple("Place", "pages page head head_dim position")

PAGE = 64  # positions
PAGE_FIELDS = 3
KEPT_LARGEST = 8191  # the largest code of a key or a value
SEEN_LARGEST = 4095  # the largest code of a query or a weight: 64 products with the above stay below 2^31


@compiled
def padded(width):
    """The width rounded up to whole registers."""
    return (width + 15) // 16 * 16


@compiled
def key_numbers(head_dim):
    """Numbers of one head's keys in a page, without the scales."""
    return PAGE * (head_dim + head_dim % 2)


@compiled
def value_numbers(head_dim):
    """Numbers of one head's values in a page, without the scales."""
    return PAGE * padded(head_dim)


def head_bytes(head_dim, dtype):
    """Bytes of the keys, and of the values, of one head in a page of float32 or int16."""
    itemsize, scales = np.dtype(dtype).itemsize, 0 if dtype == np.float32 else PAGE * 4
    return key_numbers(head_dim) * itemsize + scales, value_numbers(head_dim) * itemsize + scales


@inlined
def page_keys(pages, page, head, head_dim, like):
    """One head's keys in a page, as an array of the dtype of `like`."""
    return array_at(pages[page, 0] + head * pages[page, 2], key_numbers(head_dim), like)


@inlined
def page_values(pages, page, head, head_dim, like):
    """One head's values in a page, as an array of the dtype of `like`."""
    return array_at(pages[page, 1] + head * pages[page, 2], value_numbers(head_dim), like)


@inlined
def page_scales(codes, pages, page, field, head, like):
    """The scales behind the int16 keys (field 0) or values (1) of a head, float32 as `like`."""
    return array_at(pages[page, field] + head * pages[page, 2] + 2 * codes, PAGE, like)


@compiled
def store_floats(place, x, k_at, v_at):
    """Put one position's key and value, x[k_at ...] and x[v_at ...], into its Place in a page of float32."""
    pages, page, head, head_dim, position = place
    keys, values = page_keys(pages, page, head, head_dim, x), page_values(pages, page, head, head_dim, x)
    row = position % PAGE
    tile = row // 16 * head_dim * 16 + row % 16
    for d in range(head_dim):
        keys[tile + d * 16] = x[k_at + d]
    for d in range(0, head_dim, 16):
        store(values, (d * PAGE) + row * 16, load_first(head_dim - d, x, v_at + d))


@compiled
def quantize_vector(x, at, width, largest_code, codes, codes_at):
    """One vector as int16: codes of at most `largest_code`, then zeros up to whole registers. -> the scale.

    Codes cannot be infinite or NaN: the scale is, where a number of the vector is.
    """
    largest = largest_magnitude(x, at, width)
    inverse = fill(np.float32(largest_code), f32) / maximum(1e-30, largest)
    for d in range(0, width, 16):
        store(codes, codes_at + d, to_i32(rint(load_first(width - d, x, at + d) * inverse)))
    return lane(largest, 0) / np.float32(largest_code)


@compiled
def store_codes(place, x, k_at, v_at, codes):
    """The same into a page of int16. `codes` is int16 scratch for a head."""
    pages, page, head, head_dim, position = place
    keys, values = page_keys(pages, page, head, head_dim, codes), page_values(pages, page, head, head_dim, codes)
    key_scales = page_scales(key_numbers(head_dim), pages, page, 0, head, x)
    value_scales = page_scales(value_numbers(head_dim), pages, page, 1, head, x)
    row = position % PAGE
    key_scales[row] = quantize_vector(x, k_at, head_dim, KEPT_LARGEST, codes, 0)
    pairs = (head_dim + 1) // 2
    tile = (row // 16 * pairs * 16 + row % 16) * 2
    for d in range(2 * pairs):
        keys[tile + d // 2 * 32 + d % 2] = codes[d]
    value_scales[row] = quantize_vector(x, v_at, head_dim, KEPT_LARGEST, codes, 0)
    pair = row // 2 * 32 + row % 2
    for d in range(padded(head_dim)):
        values[d // 16 * 16 * PAGE + pair + d % 16 * 2] = codes[d]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__kv_pages() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__kv_pages() IS
'Pages of keys and values, 64 positions each, as attention reads them and as a token''s are stored.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__bf16()
RETURNS void
LANGUAGE plpython3u
AS $python$"""BF16: the upper halves of float32, widened in the register."""

from ...simd.memory import load_bf16
from ..floats import floats

LAYOUT = floats("bf16", 4, "u16", load_bf16)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__bf16() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__bf16() IS
'BF16: the upper halves of float32, widened in the register.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__f16()
RETURNS void
LANGUAGE plpython3u
AS $python$"""F16: half precision, widened in the register."""

from ...simd.memory import load
from ..floats import floats

LAYOUT = floats("f16", 3, "u16", load)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__f16() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__f16() IS
'F16: half precision, widened in the register.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__f32()
RETURNS void
LANGUAGE plpython3u
AS $python$"""F32: float32 as they are."""

from ...simd.memory import load
from ..floats import floats

LAYOUT = floats("f32", 2, "f32", load)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__f32() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__f32() IS
'F32: float32 as they are.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q4()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q4: integers of 4 bits, u8[4][16][4], + 8: a byte holds the columns k (low bits) and k + 16 of a block."""

import numpy as np

from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_bytes

BYTES, OFFSET = 256, 8
LOW = 0x0F0F0F0F  # the lower four bits of each byte


def dots_of(X):
    """Four lines: the low four bits are the columns 0 .. 15 of a block, the high ones 16 .. 31."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(4):
            prefetch(u8, at + k * 64 + AHEAD)
            pair = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, pair & LOW, spread_bytes(codes, column + 4 * k, X, columns))
            sums = dot4(sums, (pair >> 4) & LOW, spread_bytes(codes, column + 16 + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, more, sums, codes, column, columns):
    """The same of two groups; each register of activations meets both."""
    more_sums = sums
    for k in range(4):
        pair, more_pair = load_bytes(u8, at + k * 64, i32), load_bytes(u8, more + k * 64, i32)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, pair & LOW, x), dot4(more_sums, more_pair & LOW, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, (pair >> 4) & LOW, x), dot4(more_sums, (more_pair >> 4) & LOW, x)
    return sums, more_sums


@inlined
def integer(u8, at, r, k):
    """Column k of row r."""
    pair = np.int32(u8[at + k % 16 // 4 * 64 + r * 4 + k % 4])
    return np.float32((pair >> (k // 16 * 4) & 15) - OFFSET)


@inlined
def squares(u8, at):
    """The sums of the squares of a block, exact in float32."""
    total = fill(0.0, f32)
    for k in range(4):
        eight = load_bytes(u8, at + k * 64, i32)
        for half in range(8):
            value = to_f32((eight >> np.int32(4 * half)) & 15) - 8.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Q4_0: a scale, then 16 bytes."""
    pack_bytes(raw, columns, first_row, BYTES, np.uint8(0), out)


LAYOUT = blocks(Integers("q4", 6, BYTES, OFFSET, dots_of, dots_of_two, integer, squares, pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q4() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q4() IS
'Q4: integers of 4 bits, u8[4][16][4], + 8: a byte holds the columns k (low bits) and k + 16 of a block.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q5()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q5: integers of 5 bits, + 16: a line of fifth bits, u8[16][4], then four lines as Q4 has them, u8[4][16][4].

Byte b of line k holds the columns 4k + b (low bits) and 4k + b + 16. Their fifth bits are the bits 4 + k and k of byte
b of the first line.
"""

import numpy as np

from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import compiled, dot4, entry, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_scale
from ..groups import BLOCK, GROUP, blocks_bytes, scales_at, weights_at

LINE, BYTES, OFFSET = 64, 320, 16
FILE_BYTES = 22  # of a block of Q5_0: a scale, 32 fifth bits, 16 bytes
LOW, FIFTH = 0x0F0F0F0F, 0x10101010  # the lower four bits of each byte, and the fifth


@inlined
def columns_of(u8, at, k, fifths):
    """The columns 4k .. 4k + 3 of a block, and those 16 further, four to a lane."""
    pair = load_bytes(u8, at + LINE + k * LINE, i32)
    return pair & LOW | fifths >> k & FIFTH, pair >> 4 & LOW | fifths << 4 >> k & FIFTH


def dots_of(X):
    """The products of a block are exact in int32, on top of `sums`."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        prefetch(u8, at + AHEAD)
        fifths = load_bytes(u8, at, i32)
        for k in range(4):
            prefetch(u8, at + LINE + k * LINE + AHEAD)
            low, high = columns_of(u8, at, k, fifths)
            sums = dot4(sums, low, spread_bytes(codes, column + 4 * k, X, columns))
            sums = dot4(sums, high, spread_bytes(codes, column + 16 + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, more, sums, codes, column, columns):
    """The same of two groups; each register of activations meets both."""
    more_sums, fifths, more_fifths = sums, load_bytes(u8, at, i32), load_bytes(u8, more, i32)
    for k in range(4):
        low, high = columns_of(u8, at, k, fifths)
        more_low, more_high = columns_of(u8, more, k, more_fifths)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, low, x), dot4(more_sums, more_low, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, more_sums = dot4(sums, high, x), dot4(more_sums, more_high, x)
    return sums, more_sums


@inlined
def integer(u8, at, r, k):
    """Column k of row r."""
    upper, line, byte = k // 16, k % 16 // 4, r * 4 + k % 4
    low = np.int32(u8[at + LINE + line * LINE + byte]) >> 4 * upper & 15
    fifth = np.int32(u8[at + byte]) >> 4 - 4 * upper + line & 1
    return np.float32(low + 16 * fifth - OFFSET)


@inlined
def squares(u8, at):
    """The sums of the squares of a block, exact in float32."""
    total, fifths = fill(0.0, f32), load_bytes(u8, at, i32)
    for k in range(4):
        for four in columns_of(u8, at, k, fifths):
            for byte in range(4):
                value = to_f32((four >> np.int32(8 * byte)) & 31) - 16.0
                total = fma(value, value, total)
    return total


@compiled
def fifth(raw, at, k):
    """Bit k of the 32 from raw[at] on."""
    return raw[at + k // 8] >> k % 8 & 1


@entry
def pack(raw, columns, first_row, out):
    """Rows of Q5_0's blocks into their places."""
    count = columns // BLOCK
    for row in range(raw.size // (count * FILE_BYTES)):
        group, r = divmod(first_row + row, GROUP)
        start = group * blocks_bytes(count, BYTES)
        for block in range(count):
            at = (row * count + block) * FILE_BYTES
            pack_scale(raw, at, out, scales_at(start, block, BYTES) + 2 * r)
            to = weights_at(start, block, BYTES) + 4 * r
            for byte in range(4):
                fifths = 0
                for line in range(4):
                    k = 4 * line + byte
                    out[to + LINE + line * LINE + byte] = raw[at + 6 + k]
                    fifths |= fifth(raw, at + 2, k) << 4 + line | fifth(raw, at + 2, 16 + k) << line
                out[to + byte] = fifths


LAYOUT = blocks(Integers("q5", 7, BYTES, OFFSET, dots_of, dots_of_two, integer, squares, pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q5() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q5() IS
'Q5: integers of 5 bits, + 16: a line of fifth bits, u8[16][4], then four lines as Q4 has them, u8[4][16][4].';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q8()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q8: integers of 8 bits, u8[8][16][4]: a line holds four columns of 16 rows, a byte is the integer + 128."""

import numpy as np

from ...simd.memory import in_order, load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_bytes

BYTES, OFFSET = 512, 128


def dots_of(X):
    """Eight lines of four columns: the products of a block are exact in int32, on top of `sums`."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(8):
            prefetch(u8, at + k * 64 + AHEAD)
            w = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, w, spread_bytes(codes, column + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, more, sums, codes, column, columns):
    """The same of two groups; each register of activations meets both."""
    more_sums = sums
    for k in range(8):
        if k == 4:
            in_order()  # without, sixteen loads would come first
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(u8, at + k * 64, i32), x)
        more_sums = dot4(more_sums, load_bytes(u8, more + k * 64, i32), x)
    return sums, more_sums


@inlined
def integer(u8, at, r, k):
    """Column k of row r."""
    return np.float32(np.int32(u8[at + k // 4 * 64 + r * 4 + k % 4]) - OFFSET)


@inlined
def squares(u8, at):
    """The sums of the squares of a block, exact in float32."""
    total = fill(0.0, f32)
    for k in range(8):
        four = load_bytes(u8, at + k * 64, i32)
        for byte in range(4):
            value = to_f32((four >> np.int32(8 * byte)) & 255) - 128.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Q8_0: a scale, then int8."""
    pack_bytes(raw, columns, first_row, BYTES, np.uint8(OFFSET), out)


LAYOUT = blocks(Integers("q8", 5, BYTES, OFFSET, dots_of, dots_of_two, integer, squares, pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q8() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q8() IS
'Q8: integers of 8 bits, u8[8][16][4]: a line holds four columns of 16 rows, a byte is the integer + 128.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__matrix()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Matrix products of packed weights with activations, at the speed of memory for one token and of arithmetic for many.

Every output is the same additions in the same order whatever tokens and groups are computed together, so its bits do
not depend on them. The weights of a matrix are read from its beginning to its end, and asked of memory before they are
needed: the processor by itself stops at the end of each 4 KB, and with arithmetic to do it sees only a little way
ahead.
"""

from ..simd.kernels import calling
from ..simd.registers import compiled
from .dispatch import PRODUCT_OF, ROW_OF, SQUARES_OF
from .groups import FIRST_OF_BLOCKS, KERNELS, LAYOUT, PRODUCT, ROW, SQUARES, Product, Row, Squares

_multiply, _decode, _square, PER_LAYOUT = calling(PRODUCT), calling(ROW), calling(SQUARES), len(KERNELS)


@compiled
def is_quantized(matrix):
    """Whether a matrix is of blocks: whether it sees activations as codes."""
    return matrix[LAYOUT] >= FIRST_OF_BLOCKS


@compiled
def linear(weights, matrix, begin, end, given, tokens, to):
    """to[t] = matrix @ given[t] for t < tokens, in the matrix's rows of the groups begin .. end.

    matrix: a row of the table of weights. given: Activations. to: Rows.
    """
    kernel = weights.kernels[matrix[LAYOUT] * PER_LAYOUT + PRODUCT_OF]
    _multiply(kernel, Product(weights, matrix, begin, end, given, tokens, to))


@compiled
def embedding(weights, matrix, row, out, out_at):
    """out[out_at ...] = one row of the matrix, decoded."""
    _decode(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + ROW_OF], Row(weights, matrix, row, out, out_at))


@compiled
def squares(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of a row, in the rows of the groups begin .. end."""
    _square(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + SQUARES_OF], Squares(weights, matrix, begin, end, out))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__matrix() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__matrix() IS
'Matrix products of packed weights with activations, at the speed of memory for one token and of arithmetic for'
' many.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__packing()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Tensors as the kernels read them: vectors as f32, matrices in the layout that their type has.

What each type of a file becomes, and the error of a weight against what the type's decoder gives:

    a layout of its own (model/encodings.py)    exact; IQ4_NL in Q8's: its values are integers of 8 bits
    every other type                            F16, rounded to half precision: 2^-11 of its size, at least 2^-25;
                                                clipped at 65,504

Packing is a pure function of type, shape and bytes: equal tensors pack to equal bytes.
"""

import numpy as np

from ..model import encodings
from ..server import errors
from .dispatch import BY_NAME, BY_NUMBER
from .groups import GROUP, VECTOR, group_count

ROUNDED = BY_NAME["f16"]
LAYOUT_OF = {e.name: BY_NAME[e.layout].number for e in encodings.ENCODINGS if e.layout}  # of types that stay exact

# IQ4_NL: the sixteen values that its 4 bits stand for
IQ4_NL_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8)
LARGEST_HALF = np.float32(65504)


def layout_of(type, shape):
    """The number of a tensor's layout.

    ModelError 0A000 for a type that is not known or a shape that is no vector or matrix.
    """
    encodings.row_bytes(type, shape[-1] if shape else 1)
    if len(shape) not in (1, 2):
        raise errors.not_supported(f"a tensor of {len(shape)} dimensions cannot be packed", f"its shape is {shape}")
    return VECTOR if len(shape) == 1 else LAYOUT_OF.get(type, ROUNDED.number)


def packed_bytes(type, shape):
    """How many bytes `pack_tensor` makes of a tensor."""
    return layout_bytes(layout_of(type, shape), 1 if len(shape) == 1 else shape[0], shape[-1])


def layout_bytes(layout, rows, columns):
    """How many bytes a matrix takes in the layout of that number; a vector is one row."""
    if layout == VECTOR:
        return group_count(columns) * GROUP * 4
    return group_count(rows) * BY_NUMBER[layout].group_bytes(columns)


def pack_tensor(raw, type, shape):
    """The packed bytes of a tensor: its bytes in the file (uint8 array or buffer) -> uint8[packed_bytes].

    Raises ModelError XX001 when the bytes are not as many as type and shape need.
    """
    out = np.zeros(packed_bytes(type, shape), np.uint8)
    pack_rows(raw, type, shape, 0, out)
    return out


def pack_rows(raw, type, shape, first_row, out):
    """Pack some rows of a tensor, from `first_row` on, into their places in `out`, the zeroed uint8[packed_bytes].

    So a tensor can be packed tile by tile, and the caller can look for an interrupt between tiles. Multiples of 16
    rows are fastest. A vector is one row.
    """
    raw = np.frombuffer(raw, np.uint8)
    layout, columns = layout_of(type, shape), shape[-1]
    row_bytes = encodings.row_bytes(type, columns)
    rows = raw.size // row_bytes
    if raw.size != rows * row_bytes or first_row + rows > (1 if layout == VECTOR else shape[0]):
        raise errors.corrupt_data(
            f"{raw.size} bytes are not rows of a {type} tensor",
            f"a row takes {row_bytes} bytes, the shape is {list(shape)}, the first row {first_row}",
        )
    if rows == 0:
        return
    if layout == VECTOR:
        out.view(np.float32)[:columns] = encodings.decode(type, raw, (columns,))
    else:
        BY_NUMBER[layout].pack(_as_its_layout(raw, type, (rows, columns)), columns, first_row, out)


def _as_its_layout(raw, type, shape):
    """Rows of a type as rows of the type that its layout packs."""
    if type == "IQ4_NL":
        return _iq4_nl_as_q8_0(raw)
    return raw if type in LAYOUT_OF else _rounded(encodings.decode(type, raw, shape))


def _rounded(values):
    """Half precision, as uint8. What is too large is the largest number of it, but infinity must not pass for one."""
    near = np.clip(values, -LARGEST_HALF, LARGEST_HALF)
    return np.where(np.isinf(values), values, near).astype(np.float16).reshape(-1).view(np.uint8)


def _iq4_nl_as_q8_0(raw):
    """f16 scale, 32 x 4 bits -> f16 scale, int8."""
    blocks = raw.reshape(-1, 18)
    values = IQ4_NL_VALUES[np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)]
    return np.concatenate([blocks[:, :2], values.view(np.uint8)], axis=1).reshape(-1)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__packing() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__packing() IS
'Tensors as the kernels read them: vectors as f32, matrices in the layout that their type has.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__similarity()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Products of a packed matrix with one vector, and the lengths of its rows: what a search by cosine reads.

Both go through the groups of 16 rows in the order of memory, one row to a lane, as `kernels/matrix` does. Errors of a
product against exact arithmetic, relative to |row| |x|, and of a sum of squares, relative to itself, are at most
cosine's `rounding(columns)`.
Block-quantised matrices meet x as int8 codes, whose difference from x is the caller's to know.
"""

import numpy as np

from ..simd.registers import entry
from .cosine import Lengths
from .elementwise import new_codes, quantize
from .groups import BLOCK, COLUMNS, GROUP, ROWS, Activations, Rows, group_count
from .matrix import embedding, is_quantized, linear, squares

STEP = 1 << 26  # weights between looks for an interrupt: some milliseconds


@entry
def encode(x, codes):
    """x as codes (see elementwise.quantize)."""
    quantize(x, 0, x.size, codes, 0)


@entry
def products(weights, matrix, begin, end, x, codes, out):
    """out[row] = matrix @ x in the rows of the groups begin .. end; blocks read the codes, floats x."""
    linear(weights, matrix, begin, end, Activations(Rows(x, 0, 0), codes, 0), 1, Rows(out, 0, 0))


@entry
def squared_lengths(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of a row, in the rows of the groups begin .. end."""
    squares(weights, matrix, begin, end, out)


@entry
def rows(weights, matrix, ids, out):
    """out = the rows of the matrix that `ids` names, one after the other, decoded."""
    for i in range(ids.size):
        embedding(weights, matrix, ids[i], out, i * matrix[COLUMNS])


class PackedTable:
    """A packed matrix as cosine reads it: `cosine.ArrayTable` says what that is.

    packed: a PackedModel; name: one of its matrices, of a type that packing keeps exactly. The caller's checkpoint is
    called every few milliseconds.
    """

    def __init__(self, packed, name, checkpoint=lambda: None):
        self._weights = packed.weights
        self._matrix = packed.entry(name)
        self._checkpoint = checkpoint
        count, columns = int(self._matrix[ROWS]), int(self._matrix[COLUMNS])
        self.shape = count, columns
        self._sums = np.empty(group_count(count) * GROUP, np.float32)
        self._codes = new_codes(columns)
        self._in_steps(squared_lengths)
        self.lengths = Lengths(self._sums[:count])

    def products(self, x):
        """(f32[rows], error): each row times x, f32[columns]; off by at most error * |row| and float32's rounding."""
        x = np.ascontiguousarray(x, np.float32)
        error = 0.0
        if is_quantized(self._matrix):
            encode(x, self._codes)
            scales = self._codes.scales.astype(np.float64)
            met = self._codes.codes.reshape(-1, BLOCK) * scales[:, None]
            error = float(np.linalg.norm(x - met.reshape(-1)))
        self._in_steps(products, x, self._codes)
        return self._sums[: self.shape[0]], error

    def rows(self, ids):
        """The rows of some ids: int[n] -> f32[n, columns], as they are stored."""
        out = np.empty(len(ids) * self.shape[1], np.float32)
        rows(self._weights, self._matrix, np.asarray(ids, np.int64), out)
        return out.reshape(len(ids), self.shape[1])

    def _in_steps(self, kernel, *arguments):
        groups = group_count(self.shape[0])
        step = max(4, STEP // (self.shape[1] * GROUP) // 4 * 4)
        for begin in range(0, groups, step):
            kernel(self._weights, self._matrix, begin, min(groups, begin + step), *arguments, self._sums)
            self._checkpoint()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__similarity() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__similarity() IS
'Products of a packed matrix with one vector, and the lengths of its rows: what a search by cosine reads.';

COMMIT;
