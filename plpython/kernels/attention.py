"""Attention over paged keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).

A kernel takes a block of up to 8 queries that share a kv head: the heads of its group, and in prefill those of several
tokens. Each register of keys or values serves all of them. The kernel reads each page once, first its keys, then its
values, with an online softmax (1805.02867): weights are relative to the largest score so far, and when a page brings a
larger one, the sums so far are rescaled. While it computes with a page, it prefetches the next one, which follows it in
memory if the two were allocated together; the hardware prefetcher stops at the end of each 4 KB.

With float32 pages everything is float32. With int16 pages (see `kv_pages`) scores and weighted values are sums of up to
64 integer products, exact in 32 bits; the softmax weights of a page become codes relative to its largest weight.

A query's result is one sum in the order of the positions. Masked positions weigh 0, and adding zero changes nothing. So
the result does not depend on the other queries in the block.
"""

import math
from collections import namedtuple

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.kernels import caller, kernel
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
from .groups import FLOAT_ARRAY, INT_ARRAY
from .kv_pages import (
    LARGEST_QUERY_CODE,
    PAGE,
    key_elements,
    padded,
    page_keys,
    page_scales,
    page_values,
    quantize_vector,
    value_elements,
)

# The query heads of one kv head, for consecutive tokens of one sequence. Token t's begin at x[at + t * stride]: `group`
# heads of head_dim numbers, which the results replace. Its position is positions[first + t]; it attends to that and
# earlier positions, `window` in all.
Queries = namedtuple("Queries", "x at stride tokens group head_dim positions first window")
# The keys and values of one kv head: the page table, its row for the sequence's first page, and the number of the head
# in a page (layer * kv_heads + kv head).
Cached = namedtuple("Cached", "pages first_page head")
# The buffers of one thread. For a block of queries: the queries in float32, and as int16 codes with a scale each; the
# first position that each sees, and the one after its last; scores or weights for one page; the weights' codes;
# results. And `row`, the codes of one key or value. In the engine each array has one more axis in front, threads.
Workspace = namedtuple("Workspace", "q query_codes query_scales firsts limits scores weight_codes out row")
# The arguments of a kernel: Queries, the Cached keys and values of their head, and a Workspace.
AttentionPiece = namedtuple("AttentionPiece", "queries cached workspace")
ATTENTION_PIECE_STRUCT = Structure(
    AttentionPiece,
    queries=Structure(Queries, x=FLOAT_ARRAY, positions=INT_ARRAY),
    cached=Structure(Cached, pages=Array(np.int64, 2)),
    workspace=Structure(
        Workspace,
        **dict.fromkeys(("q", "query_scales", "scores", "out"), FLOAT_ARRAY),
        **dict.fromkeys(("query_codes", "weight_codes", "row"), Array(np.int16)),
        **dict.fromkeys(("firsts", "limits"), Array(np.int32)),
    ),
)
attend = caller(ATTENTION_PIECE_STRUCT)

MOST_QUERIES = 8  # queries in the largest block
EXACT = 64  # so many products of codes can be summed in 32 bits
SCORE_FACTOR = math.log2(math.e)  # scores are to the base 2, so that exp2 gives the weights
# The score of a masked position, below any real score. It must be finite: until a query has seen its first position,
# this is its largest score, and masked positions weigh exp2(0) = 1; the first real score rescales those sums to 0.
MASKED_SCORE = np.finfo(np.float32).min
NAN = np.float32(np.nan)


@inlined
def masked(score, first, firsts, limits, P):
    """The scores of 16 positions from `first` on, with MASKED_SCORE where a query does not see the position."""
    position = lanes() + np.int32(first)
    score = where_before(position, spread(limits, 0, P, 1), score, MASKED_SCORE)
    return where_before(position, spread(firsts, 0, P, 1), MASKED_SCORE, score)


@inlined
def sees_all(start, firsts, limits, rows):
    """Whether all the queries see the whole page that begins at position `start`."""
    unmasked = True
    for r in range(rows):
        unmasked = unmasked and firsts[r] <= start and start + PAGE <= limits[r]
    return unmasked


@inlined
def visible_pages(firsts, limits, rows):
    """(first position of the first page, end) of the positions that any of the queries sees."""
    begin, end = firsts[0] // PAGE * PAGE, limits[0]
    for r in range(1, rows):
        begin, end = min(begin, firsts[r] // PAGE * PAGE), max(end, limits[r])
    return begin, end


def _over_floats(rows):
    """Make attention of `rows` queries over float32 pages; query r sees the positions firsts[r] .. limits[r] - 1."""
    Q, P = f32[rows], i32[rows]

    @inlined
    def attend(pages, first_page, head, head_dim, w):
        """w.q -> w.out, both [rows][head_dim padded]."""
        q, scores, out, width = w.q, w.scores, w.out, padded(head_dim)
        begin, end = visible_pages(w.firsts, w.limits, rows)
        top, total = fill(MASKED_SCORE, Q), fill(0.0, Q)
        for d in range(0, width, 16):
            store(out, d, fill(0.0, Q), width)
        for start in range(begin, end, PAGE):
            keys = page_keys(pages, first_page + start // PAGE, head, head_dim, q)
            before, unmasked = top, sees_all(start, w.firsts, w.limits, rows)
            for offset in range(0, PAGE, 16):
                score = fill(0.0, Q)
                for d in range(head_dim):
                    at = offset * head_dim + d * 16
                    prefetch(keys, at + PAGE * head_dim)
                    score = fma(load(keys, at, f32), spread(q, d, Q, width), score)
                if not unmasked:
                    score = masked(score, start + offset, w.firsts, w.limits, P)
                store(scores, offset, score, PAGE)
                top = maximum(top, score)
            top = max_lanes(top)
            rescale = exp2(before - top)
            total = total * rescale
            for offset in range(0, PAGE, 16):
                weight = exp2(load(scores, offset, Q, PAGE) - top)
                store(scores, offset, weight, PAGE)
                total = total + weight
            values = page_values(pages, first_page + start // PAGE, head, head_dim, q)
            for d in range(0, width, 16):
                weighted = load(out, d, Q, width) * rescale
                for p in range(min(PAGE, end - start)):
                    at = d * PAGE + p * 16
                    prefetch(values, at + PAGE * width)
                    weighted = fma(load(values, at, f32), spread(scores, p, Q, PAGE), weighted)
                store(out, d, weighted, width)
        total = where_less(MASKED_SCORE, top, sum_lanes(total), NAN)  # NaN where all scores are NaN or -infinity
        for d in range(0, width, 16):
            store(out, d, load(out, d, Q, width) / total, width)

    return attend


def _over_codes(rows):
    """Make the same over int16 pages."""
    Q, P = f32[rows], i32[rows]

    @inlined
    def attend(pages, first_page, head, head_dim, w):
        """w.query_codes, w.query_scales -> w.out."""
        q, scores, codes, out, width = w.query_codes, w.scores, w.weight_codes, w.out, padded(head_dim)
        pairs = (head_dim + 1) // 2
        # From a page to the next one, in int16: its elements, and 64 float32 scales.
        next_keys, next_values = key_elements(head_dim) + 2 * PAGE, value_elements(head_dim) + 2 * PAGE
        begin, end = visible_pages(w.firsts, w.limits, rows)
        top, total = fill(MASKED_SCORE, Q), fill(0.0, Q)
        for d in range(0, width, 16):
            store(out, d, fill(0.0, Q), width)
        for start in range(begin, end, PAGE):
            page = first_page + start // PAGE
            keys = page_keys(pages, page, head, head_dim, q)
            key_scales = page_scales(key_elements(head_dim), pages, page, 0, head, out)
            before, unmasked = top, sees_all(start, w.firsts, w.limits, rows)
            for offset in range(0, PAGE, 16):
                score = fill(0.0, Q)
                for first in range(0, pairs, EXACT // 2):
                    dots = fill(0, P)
                    for pair in range(first, min(pairs, first + EXACT // 2)):
                        at = (offset * pairs + pair * 16) * 2
                        prefetch(keys, at + next_keys)
                        dots = dot2(dots, load_pairs(keys, at, i32), spread_pairs(q, pair * 2, P, width))
                    score = score + to_f32(dots)
                prefetch(key_scales, offset + next_keys // 2)
                score = score * (load(key_scales, offset, f32) * spread(w.query_scales, 0, Q, 1))
                if not unmasked:
                    score = masked(score, start + offset, w.firsts, w.limits, P)
                store(scores, offset, score, PAGE)
                top = maximum(top, score)
            top = max_lanes(top)
            rescale = exp2(before - top)
            total = total * rescale
            values = page_values(pages, page, head, head_dim, q)
            value_scales = page_scales(value_elements(head_dim), pages, page, 1, head, out)
            largest = fill(0.0, Q)
            for offset in range(0, PAGE, 16):
                prefetch(value_scales, offset + next_values // 2)
                weight = exp2(load(scores, offset, Q, PAGE) - top)
                total = total + weight
                # Past the end, scales are uninitialised memory.
                position, scale = lanes() + np.int32(start + offset), load(value_scales, offset, f32)
                weight = weight * where_before(position, np.int32(end), scale, 0.0)
                store(scores, offset, weight, PAGE)
                largest = larger_or_nan(largest, weight)
            largest = maximum(1e-30, max_lanes_or_nan(largest))  # NaN if a weight is: codes cannot be
            inverse = fill(np.float32(LARGEST_QUERY_CODE), Q) / largest
            for offset in range(0, PAGE, 16):
                store(codes, offset, bits(load(scores, offset, Q, PAGE) * inverse + ROUNDER), PAGE)
            step = largest * np.float32(1 / LARGEST_QUERY_CODE)
            for d in range(0, width, 16):
                dots = fill(0, P)
                for p in range(0, PAGE, 2):
                    at = d * PAGE + p * 16
                    prefetch(values, at + next_values)
                    dots = dot2(dots, load_pairs(values, at, i32), spread_pairs(codes, p, P, PAGE))
                store(out, d, fma(to_f32(dots), step, load(out, d, Q, width) * rescale), width)
        total = where_less(MASKED_SCORE, top, sum_lanes(total), NAN)  # NaN where all scores are NaN or -infinity
        for d in range(0, width, 16):
            store(out, d, load(out, d, Q, width) / total, width)

    return attend


_floats_4, _floats_7, _floats_8 = _over_floats(4), _over_floats(7), _over_floats(8)
_codes_4, _codes_7, _codes_8 = _over_codes(4), _over_codes(7), _over_codes(8)


@compiled
def kernel_size(block):
    """The number of queries of the smallest kernel that takes a block of so many.

    There are three sizes: each takes time to compile, twice, for both kinds of pages. One to three queries would take
    as long as four, since an addition has a latency of four cycles. Models with 14 or 28 heads have groups of seven.
    """
    return 4 if block <= 4 else 7 if block <= 7 else 8


@compiled
def load_queries(queries, done, block, w):
    """Load a block of queries, times log2(e) / sqrt(head_dim), into w.q, and the positions that each sees.

    done: how many queries came before. A block smaller than its kernel is filled up with padding queries.
    """
    group, head_dim = queries.group, queries.head_dim
    width = padded(head_dim)
    scale = np.float32(SCORE_FACTOR / np.sqrt(np.float64(head_dim)))
    for r in range(block):
        t, h = divmod(done + r, group)
        query, end = queries.at + t * queries.stride + h * head_dim, queries.positions[queries.first + t] + 1
        for d in range(head_dim):
            w.q[r * width + d] = queries.x[query + d] * scale
        w.limits[r] = end
        w.firsts[r] = max(0, end - queries.window)
    for r in range(block, kernel_size(block)):  # padding queries: their results are discarded
        w.limits[r], w.firsts[r] = w.limits[0], w.firsts[0]


@compiled
def store_results(queries, done, block, w):
    """Store the results of a block over its queries."""
    head_dim = queries.head_dim
    width = padded(head_dim)
    for r in range(block):
        t, h = divmod(done + r, queries.group)
        result = queries.at + t * queries.stride + h * head_dim
        for d in range(head_dim):
            queries.x[result + d] = w.out[r * width + d]


@kernel("attention_over_floats", ATTENTION_PIECE_STRUCT)
def over_floats(piece):
    """Attention of an AttentionPiece over float32 pages."""
    queries, w = piece.queries, piece.workspace
    pages, first_page, head = piece.cached
    head_dim, total = queries.head_dim, queries.tokens * queries.group
    for done in range(0, total, MOST_QUERIES):
        block = min(total - done, MOST_QUERIES)
        load_queries(queries, done, block, w)
        rows = kernel_size(block)
        if rows == 8:
            _floats_8(pages, first_page, head, head_dim, w)
        elif rows == 7:
            _floats_7(pages, first_page, head, head_dim, w)
        else:
            _floats_4(pages, first_page, head, head_dim, w)
        store_results(queries, done, block, w)


@kernel("attention_over_codes", ATTENTION_PIECE_STRUCT)
def over_codes(piece):
    """Attention of an AttentionPiece over int16 pages."""
    queries, w = piece.queries, piece.workspace
    pages, first_page, head = piece.cached
    head_dim, total = queries.head_dim, queries.tokens * queries.group
    width = padded(head_dim)
    for done in range(0, total, MOST_QUERIES):
        block = min(total - done, MOST_QUERIES)
        load_queries(queries, done, block, w)
        rows = kernel_size(block)
        for r in range(rows):
            at_row, codes = r * width, w.query_codes
            w.query_scales[r] = quantize_vector(w.q, at_row, head_dim, LARGEST_QUERY_CODE, codes, at_row)
        if rows == 8:
            _codes_8(pages, first_page, head, head_dim, w)
        elif rows == 7:
            _codes_7(pages, first_page, head, head_dim, w)
        else:
            _codes_4(pages, first_page, head, head_dim, w)
        store_results(queries, done, block, w)


OVER = {np.dtype(np.float32): over_floats, np.dtype(np.int16): over_codes}  # {dtype of the pages: kernel}
