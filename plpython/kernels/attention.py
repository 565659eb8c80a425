"""Attention over paged keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).

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
