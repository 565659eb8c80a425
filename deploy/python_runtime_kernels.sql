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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__attention() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__attention() IS
'Attention over paged keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__blocks()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Layouts of quantised blocks, 32 integers with a scale: everything except the arithmetic of a block's integers.

    [R / 16][C / 64] { f16[2][16], { the integers of a block }[2] }      for R rows and C columns

A product keeps its sums in registers: a lane is a row of the group, a register is a token. Each register of weights is
used for all tokens. There are loops for 1, 2 and 4 tokens. With many tokens, a register tile of two groups and four
tokens uses each register of activations twice as well: with one group, loads would be the bottleneck.
"""

from collections import namedtuple

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import load, prefetch, spread, store
from ..simd.registers import compiled, entry, f32, fill, fma, i32, inlined, lane, to_f32
from .groups import (
    AHEAD,
    COLUMNS,
    FIRST_BLOCK_LAYOUT,
    GROUP,
    OFFSET,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Activations,
    Layout,
    Rows,
    blocks_bytes,
    scales_offset,
    token_block,
    weights_offset,
)

LEAST_TILED_TOKENS = 8  # with fewer tokens register tiles gain nothing
TILE_F32, TILE_I32 = f32[4], i32[4]  # the sums of one group in a register tile: four tokens
LOW_NIBBLES = 0x0F0F0F0F  # masks the lower four bits of each byte

# What a layout of blocks says of itself: its name and number, the bytes of a block's integers in a group, the offset
# that makes them unsigned, and these functions. `u8` is the packed buffer, `at` where a block's integers begin in it.
#   dots_of        (register block type X) -> (u8, at, sums, codes, column, columns) -> sums, i32, plus the dot products
#                  of the block with each token's codes: token t's are codes[column + t * columns ...]; prefetches
#   dots_of_two    (u8, at, second, sums, codes, column, columns) -> the same for two groups at once, of type TILE_I32;
#                  both begin with `sums`
#   integer        (u8, at, r, k) -> the integer of row r, column k, as float32
#   squares        (u8, at) -> f32, for each row the sum of the squares of the block's integers
#   pack           see groups.Layout
Integers = namedtuple("Integers", "name number size offset dots_of dots_of_two integer squares pack")
# The two groups of a register tile, where they begin in bytes.
Pair = namedtuple("Pair", "at second")
# What a register tile prefetches: `distance` bytes past its own groups, the blocks `first`, `first + every`, and so on.
# The tiles of the same groups share the work: each prefetches other blocks.
Ahead = namedtuple("Ahead", "distance first every")


def blocks(integers):
    """Make the Layout of an Integers."""
    name, size, multiply = integers.name, integers.size, _product_of(integers)
    integer, squares_of = integers.integer, integers.squares

    @compiled
    def group_bytes(columns):
        return blocks_bytes(columns // BLOCK, size)

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p.weights, p.matrix, (p.begin, p.end), p.given, p.tokens, p.to)

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns, r = p.matrix[COLUMNS], p.row % GROUP
        start = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns)
        for block in range(columns // BLOCK):
            scale = lane(load(p.weights.u16, scales_offset(start, block, size) >> 1, f32), r)
            for k in range(BLOCK):
                value = integer(p.weights.u8, weights_offset(start, block, size), r, k)
                p.out[p.out_at + block * BLOCK + k] = scale * value

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns = p.matrix[COLUMNS]
        for group in range(p.begin, p.end):
            total, start = fill(0.0, f32), p.matrix[OFFSET] + group * group_bytes(columns)
            for block in range(columns // BLOCK):
                scale = load(p.weights.u16, scales_offset(start, block, size) >> 1, f32)
                total = fma(squares_of(p.weights.u8, weights_offset(start, block, size)) * scale, scale, total)
            store(p.out, group * GROUP, total)

    kernels = {"product": product, "row": row, "squares": squares}
    return Layout(name, integers.number, integers.offset, group_bytes, integers.pack, kernels)


def _starts(integers):
    """Make (Codes) -> where this layout's part of Codes.starts begins."""
    before = integers.number - FIRST_BLOCK_LAYOUT

    @inlined
    def starts(codes):
        return before * len(codes.scales)

    return starts


def _group(integers, tokens):
    """Make the product of one group with a fixed number of tokens.

    The integer dot product of a block, times the scales of the weights and of the activations, is added in float32.
    """
    X, SCALE = i32[tokens], f32[tokens]
    size, dots, starts = integers.size, integers.dots_of(X), _starts(integers)

    @inlined
    def product(weights, at, columns, given, to):
        blocks, codes, starts_at, total = columns // BLOCK, given.codes, starts(given.codes), fill(0.0, SCALE)
        for b in range(blocks):
            block, scales_from = given.first + b, scales_offset(at, b, size)
            prefetch(weights.u8, scales_from + AHEAD)
            start = spread(codes.starts, starts_at + block, X, blocks)
            sums = dots(weights.u8, weights_offset(at, b, size), start, codes.codes, block * BLOCK, columns)
            scale = load(weights.u16, scales_from >> 1, f32) * spread(codes.scales, block, SCALE, blocks)
            total = fma(to_f32(sums), scale, total)
        store(to.x, to.at, total, to.stride)

    return product


def _tile(integers):
    """Make the product of two groups with four tokens; the results of the second group go to to.x[second_at ...]."""
    size, dots_of_two, starts = integers.size, integers.dots_of_two, _starts(integers)

    @inlined
    def product(weights, pair, columns, ahead, given, to, second_at):
        blocks, codes, starts_at, next_block = columns // BLOCK, given.codes, starts(given.codes), ahead.first
        total, second_total = fill(0.0, TILE_F32), fill(0.0, TILE_F32)
        for b in range(blocks):
            block, scales_from, weights_from = given.first + b, scales_offset(0, b, size), weights_offset(0, b, size)
            if b == next_block:
                prefetch_block(weights.u8, pair.at + ahead.distance, scales_from, weights_from, size)
                prefetch_block(weights.u8, pair.second + ahead.distance, scales_from, weights_from, size)
                next_block += ahead.every
            start = spread(codes.starts, starts_at + block, TILE_I32, blocks)
            at, second = pair.at + weights_from, pair.second + weights_from
            sums, second_sums = dots_of_two(weights.u8, at, second, start, codes.codes, block * BLOCK, columns)
            scale = spread(codes.scales, block, TILE_F32, blocks)
            total = fma(to_f32(sums), load(weights.u16, (pair.at + scales_from) >> 1, f32) * scale, total)
            second_scale = load(weights.u16, (pair.second + scales_from) >> 1, f32) * scale
            second_total = fma(to_f32(second_sums), second_scale, second_total)
        store(to.x, to.at, total, to.stride)
        store(to.x, second_at, second_total, to.stride)

    return product


@inlined
def prefetch_block(u8, group, scales_from, weights_from, size):
    """Prefetch the scales and the weights of a block; `group` is where its group begins."""
    prefetch(u8, group + scales_from)
    for line in range(0, size, 64):
        prefetch(u8, group + weights_from + line)


def _product_of(integers):
    """Make the product of any groups of a matrix with any number of tokens.

    It multiplies two groups at a time with all tokens. With enough tokens it does so in register tiles, which prefetch
    the next two groups; the tokens that are left over are multiplied with one group after the other.
    """
    size, tile = integers.size, _tile(integers)
    one, two, four = (_group(integers, tokens) for tokens in (1, 2, 4))

    @inlined
    def product(weights, matrix, groups, given, tokens, to):
        columns = matrix[COLUMNS]
        blocks, width = columns // BLOCK, blocks_bytes(columns // BLOCK, size)
        begin, end = groups
        tiles = tokens // 4 if tokens >= LEAST_TILED_TOKENS else 0
        tiled = 4 * tiles
        for pair in range(begin, end, 2):
            after = min(pair + 2, end)
            w, second = (
                matrix[OFFSET] + pair * width,
                matrix[OFFSET] + (after - 1) * width,
            )  # the same for a last, single group
            for t in range(0, tiled, 4):
                now = Activations(given.rows, given.codes, given.first + t * blocks)
                out = Rows(to.x, to.at + pair * GROUP + t * to.stride, to.stride)
                other = out.at if second == w else out.at + GROUP
                tile(weights, Pair(w, second), columns, Ahead(2 * width, t // 4, tiles), now, out, other)
            for g in range(pair, after):
                w, t = matrix[OFFSET] + g * width, tiled
                while t < tokens:
                    block = token_block(tokens - t)
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
    """Pack rows whose blocks are an f16 scale and `size` / 16 bytes of integers; four of these bytes share a lane.

    Each byte is stored ^ `flip`, which turns int8 into unsigned + 128.
    """
    blocks, block_bytes = columns // BLOCK, size // GROUP + 2  # in the file
    for row in range(raw.size // (blocks * block_bytes)):
        group, r = divmod(first_row + row, GROUP)
        start = group * blocks_bytes(blocks, size)
        for block in range(blocks):
            at = (row * blocks + block) * block_bytes
            pack_scale(raw, at, out, scales_offset(start, block, size) + 2 * r)
            to = weights_offset(start, block, size) + 4 * r
            for quad in range(size // 64):
                for byte in range(4):
                    out[to + quad * 64 + byte] = raw[at + 2 + quad * 4 + byte] ^ flip


@inlined
def pack_scale(raw, at, out, to):
    """Copy the two bytes of a scale."""
    out[to], out[to + 1] = raw[at], raw[at + 1]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__blocks() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__blocks() IS
'Layouts of quantised blocks, 32 integers with a scale: everything except the arithmetic of a block''s '
'integers.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__candidates()
RETURNS void
LANGUAGE plpython3u
AS $python$"""`generate/candidates` in compiled code: the same numbers in a tenth of the time."""

from functools import cached_property

import numpy as np

from ..generate import candidates
from ..generate.candidates import BUCKETS, BUCKETS_A_UNIT, LN2_HIGH, LN2_LOW, LOG2_E, LOWEST, POLYNOMIAL, WEIGHT_BITS
from ..simd.memory import load_first, store
from ..simd.registers import compiled, entry, f32, fill, ldexp, maximum, minimum, rint, to_i32, where_less

C0, C1, C2, C3, C4, C5 = POLYNOMIAL
# Tokens of weight 0 have buckets of their own, also by score: if all shared one bucket, its counter would be a chain of
# dependent additions.
WEIGHTLESS = 4096
ALL_BUCKETS = 2 * WEIGHTLESS
DRAW_BLOCK = 1024  # tokens summed at a time by `draw`, until the sum passes the number drawn


@compiled
def weight(score):
    """candidates.weights in every lane. Bits must agree with numpy, so there is no fma: each operation rounds."""
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
    """Fill scores, weights and bucket numbers: arrays of at least len(logits) + 15 elements."""
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
    """tallies[2 b], tallies[2 b + 1] = how many tokens bucket b has, and the sum of their weights."""
    tallies[:] = 0
    for i in range(size):
        index = 2 * np.int64(buckets[i])
        tallies[index] += 1
        tallies[index + 1] += weights[i]


@entry
def members(buckets, size, bucket, ids):
    """ids = the tokens of a bucket, ascending."""
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
    """The weight of token i, 0 if it is cut off; branch-free: the branch would be unpredictable."""
    return np.int64(weight) * np.int64((score > cut) | ((score == cut) & (i <= last)))


@compiled
def first_beyond(scores, weights, cut, last, number):
    """The first index at which the running sum of the kept weights exceeds `number`; len(scores) if none does."""
    for i in range(len(scores)):
        number -= kept_weight(scores[i], weights[i], i, cut, last)
        if number < 0:
            return i
    return len(scores)


@compiled
def kept_mass(scores, weights, cut, last):
    """The sum of the kept weights."""
    total = 0
    for i in range(len(scores)):  # from 0: indices are then known not to be negative, and LLVM vectorises the loop
        total += kept_weight(scores[i], weights[i], i, cut, last)
    return total


@entry
def draw(scores, weights, size, cut, last, number):
    """The first token at which the running sum of the kept weights exceeds `number`; `size` if none does."""
    for begin in range(0, size, DRAW_BLOCK):
        block = slice(begin, min(size, begin + DRAW_BLOCK))
        mass = kept_mass(scores[block], weights[block], cut, last - begin)
        if mass > number:
            return begin + first_beyond(scores[block], weights[block], cut, last - begin, number)
        number -= mass
    return size


class Candidates(candidates.Candidates):
    """candidates.Candidates for one draw: the next instance overwrites the arrays of this one."""

    _buffers = None  # scores, weights, buckets, tallies: one set in each process

    def __init__(self, logits, largest, temperature):
        size = self._size = len(logits)
        self._scores, self._weights, self._buckets, self._tallies = self._memory()
        self.scores, self.weights = self._scores[:size], self._weights[:size]
        logits = logits.view()
        logits.flags.writeable = False  # numba has another type for read-only arrays: compile for one of them
        arguments = np.float32(largest), np.float32(temperature), self._scores, self._weights, self._buckets
        weigh(logits, *arguments)

    @property
    def counts(self):
        """How many tokens of a weight above 0 each bucket has."""
        return self._tallied[: 2 * BUCKETS : 2]

    @property
    def masses(self):
        """The sum of the weights in each bucket."""
        return self._tallied[1 : 2 * BUCKETS : 2]

    @cached_property
    def _tallied(self):
        tally(self._weights, self._buckets, self._size, self._tallies)
        return self._tallies

    def members(self, bucket):
        """The tokens of a bucket, ascending."""
        ids = np.empty(int(self.counts[bucket]), np.int64)
        members(self._buckets, self._size, bucket, ids)
        return ids

    def mass(self, score):
        """The sum of the weights of all tokens with at least this score."""
        return float(mass(self._scores, self._weights, self._size, np.float32(score)))

    def draw(self, cut, number):
        """The first token at which the running sum of the weights that `cut` keeps, by id, exceeds `number`."""
        return draw(self._scores, self._weights, self._size, np.float32(cut.score), cut.last, number)

    def compile(self):
        """Call everything once, so that it is compiled."""
        self.members(0)
        self.draw(self.all(), 0)

    def _memory(self):
        buffers, wanted = Candidates._buffers, self._size + 16
        if buffers is None or len(buffers[0]) < wanted:
            each = np.empty(wanted, np.float32), np.empty(wanted, np.float32), np.empty(wanted, np.int32)
            buffers = Candidates._buffers = (*each, np.empty(2 * ALL_BUCKETS))
        return buffers
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__candidates() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__candidates() IS
'`generate/candidates` in compiled code: the same numbers in a tenth of the time.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__cosine()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The rows of a matrix that are nearest to a vector by cosine, exactly.

A first pass over the matrix, in float32 or with the vector in int8, is fast and approximate. Its error has a bound.
With x the vector of length 1, x' what the pass used for it, and r the rounding of float32 sums,

    |cosine - found| <= |x - x'| + 3 r

The first term follows from the Cauchy-Schwarz inequality; the second covers the product, the row's length and their
quotient. So every row that may be among the k nearest is within twice that bound of the k-th found. These few rows are
computed again in float64, which decides. Rows of equal cosine are ordered by id; equal rows have equal bits, since all
are summed in the same order.
"""

import numpy as np

SMALLEST_SQUARES, LARGEST_SQUARES = 1e-30, 1e30  # outside these float32 is inaccurate: float64 decides about the row
RECHECKED_AT_ONCE = 4096  # rows computed in float64 between checkpoints, and in float32 by ArrayTable


def rounding(columns):
    """A bound for the error of a float32 sum of `columns` products, in any order, relative to the vectors' lengths."""
    return (columns + 16) * 2.0**-24


class Lengths:
    """`inverse`, 1 / length of each row, and the ids whose length is `unknown` in float32. squares: f32[rows]."""

    def __init__(self, squares):
        ordinary = (squares > SMALLEST_SQUARES) & (squares < LARGEST_SQUARES)
        self.inverse = np.where(ordinary, 1 / np.sqrt(np.where(ordinary, squares, 1)), 0).astype(np.float32)
        self.unknown = np.flatnonzero(~ordinary)


class ArrayTable:
    """A matrix f32[rows, columns] in memory, as `nearest` reads it."""

    def __init__(self, values, checkpoint=lambda: None):
        self.shape = values.shape
        self._values, self._checkpoint = values, checkpoint
        self.lengths = Lengths(self._by_steps(lambda part: np.einsum("ij,ij->i", part, part)))

    def products(self, x):
        """x: f32[columns] -> (each row times x, f32[rows]; error): off by at most error * |row|, and `rounding`."""
        return self._by_steps(lambda part: part @ x), 0.0

    def rows(self, ids):
        """The rows of these ids: int[n] -> f32[n, columns]."""
        return self._values[ids]

    def _by_steps(self, function):
        out = np.empty(self.shape[0], np.float32)
        for start in range(0, self.shape[0], RECHECKED_AT_ONCE):
            with np.errstate(all="ignore"):  # for rows that are not finite, or whose length overflows
                out[start : start + RECHECKED_AT_ONCE] = function(self._values[start : start + RECHECKED_AT_ONCE])
            self._checkpoint()
        return out


def nearest(table, x, k, excluded=(), checkpoint=lambda: None):
    """(ids, cosines) of the k rows nearest to x, nearest first. x: f64[columns], not zero.

    Rows that are zero or not finite have no cosine and are left out, as are the `excluded` ids.
    """
    x = unit(x)
    narrow = x.astype(np.float32)
    found, error = table.products(narrow)
    with np.errstate(invalid="ignore"):
        found = found * table.lengths.inverse
    found[table.lengths.unknown] = np.inf
    found[list(excluded)] = -np.inf
    bound = error + float(np.linalg.norm(x - narrow)) + 3 * rounding(table.shape[1])
    ids = np.flatnonzero(found >= _largest(found, k + len(table.lengths.unknown)) - 2 * bound)
    ids = ids[found[ids] > -np.inf]
    cosines = np.concatenate(
        [_cosines(table, ids[i : i + RECHECKED_AT_ONCE], x, checkpoint) for i in range(0, len(ids), RECHECKED_AT_ONCE)]
    )
    valid = ~np.isnan(cosines)
    ids, cosines = ids[valid], cosines[valid]
    order = np.lexsort((ids, -cosines))[:k]
    return ids[order], cosines[order]


def unit(x):
    """x / |x| in float64; NaN if x is zero or not finite."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        scaled = x / np.abs(x).max()  # so that squares neither underflow nor overflow
        return scaled / np.sqrt((scaled * scaled).sum())


def _largest(values, k):
    """The k-th largest of f32[n]; the smallest where there are fewer."""
    k = min(k, len(values))
    return np.partition(values, len(values) - k)[len(values) - k]


def _cosines(table, ids, x, checkpoint):
    """The cosines of these rows in float64; NaN for rows that are zero or not finite."""
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
AS $python$"""The list of layouts, and the table of their kernels' addresses, through which compiled code calls them.

To add a layout, write its file in `layouts`, and add its name here and in model/encodings.py.
"""

import numpy as np

from ..simd.registers import compiled
from .groups import ABSENT, KERNELS, VECTOR
from .layouts import bf16, f16, f32, q4, q5, q8

LAYOUT_MODULES = (f32, f16, bf16, q8, q4, q5)
LAYOUTS = tuple(module.layout for module in LAYOUT_MODULES)
LAYOUT_BY_NAME = {layout.name: layout for layout in LAYOUTS}
LAYOUT_BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
LAYOUT_NAMES = {ABSENT: "absent", VECTOR: "vector", **{layout.number: layout.name for layout in LAYOUTS}}
# The offset of each layout of blocks, in the order of their numbers, which begin with FIRST_BLOCK_LAYOUT.
OFFSETS = tuple(layout.offset for layout in sorted(LAYOUTS, key=lambda layout: layout.number) if layout.of_blocks)


# The kernels' addresses, int64. Those of layout number n are at n * len(KERNELS), in the order of KERNELS; 0 until
# `load` is called with n.
ADDRESSES = np.zeros((max(LAYOUT_BY_NUMBER) + 1) * len(KERNELS), np.int64)
PRODUCT_OF, ROW_OF, SQUARES_OF = range(len(KERNELS))


def load(number):
    """Put the addresses of a layout's kernels into ADDRESSES. Compiles them if that has not been done."""
    first = number * len(KERNELS)
    if number in LAYOUT_BY_NUMBER and not ADDRESSES[first]:
        kernels = LAYOUT_BY_NUMBER[number].kernels
        ADDRESSES[first : first + len(KERNELS)] = [kernels[part].address() for part in KERNELS]


def _group_bytes():
    """Write and compile group_bytes(layout number, columns) -> bytes of a group: a chain of ifs over LAYOUTS."""
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
'The list of layouts, and the table of their kernels'' addresses, through which compiled code calls them.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__elementwise()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The transformer's operators except matrix products (`matrix`) and attention (`attention`).

A vector is a flat float32 array and an index into it (`at`). Widths are padded to multiples of 16 with zeros; every
function here keeps the padding zero.
"""

import math
from collections import namedtuple

import numpy as np

from ..generate.candidates import LN2_HIGH, LN2_LOW, LOG2_E
from ..model.encodings import BLOCK
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
from .groups import Codes

# x + ROUNDER has the integer nearest to x, ties to even, in its low bits: rounding and conversion in one addition.
ROUNDER = np.float32(1.5 * 2**23)
EXP2_LOWEST = np.float32(-126.0)  # exp2 gives 0 below this
EXP_LOWEST, EXP_HIGHEST = np.float32(-87.0), np.float32(88.0)  # exp gives 0 below, e^88 above
SQRT_HALF = np.float32(math.sqrt(0.5))
# The weights and the bias of a layer norm: an array, and where each begins in it.
Affine = namedtuple("Affine", "weights weights_at bias_at")
ARGMAX_RUN = 1024  # argmax takes the maximum of so many numbers at a time
NO_TOKEN = -1  # argmax of numbers that are not all finite
MINUS_INFINITY = np.float32(-np.inf)


@compiled
def exp(x):
    """e^x in every lane, within 2 units in the last place; 0 below -87, where e^x is 1.6e-38; above 88 it is e^88.

    x = n ln 2 + r, and e^r is the polynomial of Cephes' expf.
    """
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
    """2^x in every lane, for x up to 127; 0 below -126, where 2^x is 1.2e-38; NaN for infinity and NaN.

    x = n + r, and 2^r is a minimax polynomial with a relative error of 2e-9.
    """
    n = x + ROUNDER
    r = x - (n - ROUNDER)
    p = fma(fill(1.5345802e-4, f32), r, 1.3399932e-3)
    p = fma(p, r, 9.6184891e-3)
    p = fma(p, r, 5.5503286e-2)
    p = fma(p, r, 2.4022643e-1)
    p = fma(p, r, 6.9314718e-1)
    p = fma(p, r, 1.0)
    power = fma(x, 0.0, ldexp(p, bits(n)))  # ldexp turns some NaNs into numbers; adding x * 0 makes them NaN again
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
    """Zeroed Codes for `size` numbers."""
    blocks = -(-size // BLOCK)
    starts = np.zeros(len(OFFSETS) * blocks, np.int32)
    return Codes(np.zeros(blocks * BLOCK, np.int8), np.zeros(blocks, np.float32), starts)


@compiled
def quantize_block(low, high, codes, block):
    """Quantise the two registers of a block into block number `block`; returns x - code * scale of both.

    If a number is infinite or NaN, so is the scale: codes cannot be.
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
    """Quantise a vector in blocks of 32, from block number `first` on: x = code * scale, with an error below scale / 2.

    Packed weights are stored plus their layout's offset, so a block's dot product is too large by the offset times the
    sum of the codes. That is the same for all rows of a matrix; `starts` holds its negative, where the sums begin.
    """
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        quantize_block(low, high, codes, first + i)


@compiled
def quantize_twice(x, at, width, codes, first, low_first):
    """Quantise a vector, and from block `low_first` on quantise the errors of the first codes: 15 bits together."""
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        low, high = quantize_block(low, high, codes, first + i)
        quantize_block(low, high, codes, low_first + i)


@compiled
def swiglu(gate, up, at, width):
    """up *= silu(gate), silu(g) = g / (1 + exp(-g)); width: a multiple of 16."""
    for i in range(at, at + width, 16):
        g = load(gate, i, f32)
        store(up, i, g / (exp(fill(0.0, f32) - g) + 1.0) * load(up, i, f32))


@compiled
def erf(x):
    """The error function in every lane: Eigen's rational approximation, within 3 units in the last place of 1."""
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
    """x *= (1 + erf(x / sqrt(2))) / 2; width: a multiple of 16."""
    for i in range(at, at + width, 16):
        v = load(x, i, f32)
        store(x, i, v * 0.5 * (erf(v * SQRT_HALF) + 1.0))


@compiled
def argmax(x, width):
    """The first index of the largest of x[0 .. width - 1]; NO_TOKEN if one of them is infinite or NaN."""
    whole, largest, index, not_finite = width // ARGMAX_RUN * ARGMAX_RUN, MINUS_INFINITY, 0, fill(0.0, f32)
    for begin in range(0, whole, ARGMAX_RUN):
        top = fill(MINUS_INFINITY, f32)
        for i in range(begin, begin + ARGMAX_RUN, 16):
            v = load(x, i, f32)
            top, not_finite = maximum(top, v), fma(v, 0.0, not_finite)
        top = lane(max_lanes(top), 0)
        if top > largest:
            largest, index = top, begin
    finite_check = lane(sum_lanes(not_finite), 0)
    for i in range(whole, width):
        finite_check += x[i] * np.float32(0.0)
        if x[i] > largest:
            largest, index = x[i], i
    if finite_check != 0.0:  # NaN, since infinity * 0 and NaN * 0 are NaN
        return NO_TOKEN
    while x[index] != largest:
        index += 1
    return index


@compiled
def add(x, at, y, y_at, width):
    """x += y; width: a multiple of 16."""
    for i in range(0, width, 16):
        store(x, at + i, load(x, at + i, f32) + load(y, y_at + i, f32))


@compiled
def rope(x, at, head_dim, cosines, sines, angles_at, interleaved):
    """Rotate one head in place by its angles: the pairs (2i, 2i + 1) if interleaved, else (i, i + head_dim / 2)."""
    half = head_dim // 2
    step, distance = (2, 1) if interleaved else (1, half)
    for i in range(half):
        first, second = at + i * step, at + i * step + distance
        a, b, c, s = x[first], x[second], cosines[angles_at + i], sines[angles_at + i]
        x[first], x[second] = a * c - b * s, b * c + a * s
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__elementwise() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__elementwise() IS
'The transformer''s operators except matrix products (`matrix`) and attention (`attention`).';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__floats()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Layouts of floats: everything except how 16 weights are loaded, which is a layout's own.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__floats() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__floats() IS
'Layouts of floats: everything except how 16 weights are loaded, which is a layout''s own.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__groups()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packed matrices: what all layouts have in common. A packed matrix is a sequence of groups of 16 rows.

A file stores a matrix row by row, so a product would have to sum across the lanes of a register. In a group, lane r of
every register belongs to row r: one register holds one column (floats) or four columns (bytes) of all 16 rows, and
nothing is summed across lanes. A group is contiguous in memory. Rows are padded with zeros to a multiple of 16; columns
are not padded. The files in `layouts` say what a group looks like inside.

In a group of quantised blocks, the scales of two blocks fill one cache line, which precedes the weights of these two
blocks. So memory is read in order. Scales behind the weights, or in an array of their own, cost up to a sixth of the
speed. If the number of blocks is odd, the last block has a line of scales of its own, half empty.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.registers import compiled

GROUP = 16  # rows in a group, one to a lane
SCALES_BYTES = 32  # bytes of the 16 scales of a block, one a row
CACHE_LINE = 64  # bytes, also of a 512-bit register: packed tensors begin at multiples

AHEAD = 1 << 13  # how far past the current weights to prefetch, in bytes (twice as many for float32)

# The columns of a row of the weight table: layout number, offset in the packed buffer in bytes, rows, columns.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
# Two layout numbers that belong to no matrix. ABSENT: the model lacks the tensor. VECTOR: a norm or a bias, always
# float32, padded with zeros to a multiple of 16.
ABSENT, VECTOR = range(2)
FIRST_BLOCK_LAYOUT = 5  # layouts with this number or a larger one are of quantised blocks

# The packed buffer, viewed as an array of each element type, read-only; and the addresses of the layouts' kernels
# (dispatch.ADDRESSES), int64 [(largest layout number + 1) * len(KERNELS)].
Weights = namedtuple("Weights", "u8 u16 f32 kernels")
# Quantised activations (see elementwise.quantize), token after token: int8 codes, float32 scales, one a block, and
# int32 `starts`, the initial values of a block's dot product. `starts` holds one array for each layout of blocks, in
# the order of their numbers, each as long as `scales`.
Codes = namedtuple("Codes", "codes scales starts")
# Float32 rows, one a token: row t begins at x[at + t * stride].
Rows = namedtuple("Rows", "x at stride")
# The input of a product: Rows, and the same rows as Codes, whose first block is number `first`. Layouts of floats read
# the Rows, layouts of blocks the Codes.
Activations = namedtuple("Activations", "rows codes first")

# The arguments of the three kernels of a layout. matrix: a row of the weight table, int64[4].
# Product: to[t] = matrix @ given[t] for t < tokens, for the matrix rows in the groups begin .. end - 1.
# given: Activations. to: Rows.
Product = namedtuple("Product", "weights matrix begin end given tokens to")
# Row: out[out_at ...] = one decoded row of the matrix.
Row = namedtuple("Row", "weights matrix row out out_at")
# Squares: out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1.
Squares = namedtuple("Squares", "weights matrix begin end out")

FLOAT_ARRAY, INT_ARRAY = Array(np.float32), Array(np.int64)
WEIGHTS_STRUCT = Structure(Weights, u8=Array(np.uint8), u16=Array(np.uint16), f32=FLOAT_ARRAY, kernels=INT_ARRAY)
CODES_STRUCT = Structure(Codes, codes=Array(np.int8), scales=FLOAT_ARRAY, starts=Array(np.int32))
ROWS_STRUCT = Structure(Rows, x=FLOAT_ARRAY)
PRODUCT_STRUCT = Structure(
    Product,
    weights=WEIGHTS_STRUCT,
    matrix=INT_ARRAY,
    given=Structure(Activations, rows=ROWS_STRUCT, codes=CODES_STRUCT),
    to=ROWS_STRUCT,
)
ROW_STRUCT = Structure(Row, weights=WEIGHTS_STRUCT, matrix=INT_ARRAY, out=FLOAT_ARRAY)
SQUARES_STRUCT = Structure(Squares, weights=WEIGHTS_STRUCT, matrix=INT_ARRAY, out=FLOAT_ARRAY)
KERNELS = {"product": PRODUCT_STRUCT, "row": ROW_STRUCT, "squares": SQUARES_STRUCT}


@dataclass(frozen=True)
class Layout:
    """All that the engine knows about one layout."""

    name: str  # the word in model/encodings.py, and the suffix of packed files
    number: int  # in the weight table and in packed files
    offset: int | None  # added to the integers to make them unsigned; None: the weights are floats
    group_bytes: Callable  # compiled: (columns) -> bytes of a group
    pack: Callable  # (uint8 rows as in the file, columns, number of the first row, uint8 of the whole packed matrix)
    kernels: dict  # {name in KERNELS: Kernel}

    @property
    def of_blocks(self):
        return self.offset is not None


@compiled
def group_count(rows):
    """The number of groups of so many rows."""
    return (rows + GROUP - 1) // GROUP


@compiled
def token_block(tokens):
    """How many of the remaining tokens the next product takes: 4, 2 or 1."""
    return 4 if tokens >= 4 else 2 if tokens >= 2 else 1


@compiled
def blocks_bytes(blocks, size):
    """Bytes of a group of so many blocks, of `size` bytes of weights each, scales included."""
    return (blocks + 1) // 2 * 2 * SCALES_BYTES + blocks * size


@compiled
def scales_offset(group, block, size):
    """Where the scales of a block begin, in bytes.

    group: where its group begins. size: the bytes of the weights of one block.
    """
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + (block & 1) * SCALES_BYTES


@compiled
def weights_offset(group, block, size):
    """Where the weights of a block begin, as `scales_offset`."""
    return group + (block >> 1) * 2 * (SCALES_BYTES + size) + 2 * SCALES_BYTES + (block & 1) * size
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__groups() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__groups() IS
'Packed matrices: what all layouts have in common. A packed matrix is a sequence of groups of 16 rows.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__kv_pages()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Pages of a KV cache, 64 positions each: their layout, and how a key and a value are stored.

For every layer and kv head (a "head" here) a page holds, with head_dim padded to whole registers of 16 for values,

    float32    keys    [64 / 16][head_dim][16]             one register is one dimension of 16 positions
               values  [head_dim / 16][64][16]             one register is 16 dimensions of one position
    int16      keys    [64 / 16][head_dim / 2][16][2]      one register is two dimensions of 16 positions
               values  [head_dim / 16][64 / 2][16][2]      one register is 16 dimensions of two positions
               and after the keys, and after the values, float32 [64]: a scale for each position

With this order no sum runs across lanes, and a register serves all the queries of its head. An int16 page holds 14
bits a number, in steps of 1 / 8,191 of the largest number of its vector, which is as precise as half precision is for
the largest. Queries and softmax weights have 13 bits, so that a sum of 64 products just fits into 32 bits: attention
over int16 pages is exact except for these roundings, with half the multiplications of float32.

A page table, int64 [pages][3], has for each page the address of head 0's keys, the address of its values, and the
distance in bytes from one head to the next.
"""

from collections import namedtuple

import numpy as np

from ..generate.interfaces import PAGE
from ..simd.memory import array_at, load_first, store
from ..simd.registers import compiled, f32, fill, inlined, lane, maximum, rint, to_i32
from .elementwise import largest_magnitude

# Where the key and the value of one position and head are stored: a row of the page table, a head of that page, and the
# position in the sequence.
KVAddress = namedtuple("KVAddress", "pages page head head_dim position")

PAGE_FIELDS = 3  # columns of a page table
LARGEST_KV_CODE = 8191  # the largest code of a key or a value
LARGEST_QUERY_CODE = 4095  # the largest code of a query or a weight: 64 products with a LARGEST_KV_CODE stay below 2^31


@compiled
def padded(width):
    """The width rounded up to whole registers."""
    return (width + 15) // 16 * 16


@compiled
def key_elements(head_dim):
    """Elements of one head's keys in a page, without the scales."""
    return PAGE * (head_dim + head_dim % 2)


@compiled
def value_elements(head_dim):
    """Elements of one head's values in a page, without the scales."""
    return PAGE * padded(head_dim)


def head_bytes(head_dim, dtype):
    """(bytes of the keys, bytes of the values) of one head in a page of float32 or int16, scales included."""
    itemsize, scales = np.dtype(dtype).itemsize, 0 if dtype == np.float32 else PAGE * 4
    return key_elements(head_dim) * itemsize + scales, value_elements(head_dim) * itemsize + scales


@inlined
def page_keys(pages, page, head, head_dim, like):
    """One head's keys in a page, a flat array of the dtype of `like`."""
    return array_at(pages[page, 0] + head * pages[page, 2], key_elements(head_dim), like)


@inlined
def page_values(pages, page, head, head_dim, like):
    """One head's values in a page, a flat array of the dtype of `like`."""
    return array_at(pages[page, 1] + head * pages[page, 2], value_elements(head_dim), like)


@inlined
def page_scales(codes, pages, page, field, head, like):
    """The 64 scales of a head's int16 keys (field 0) or values (field 1); `like` is a float32 array.

    codes: key_elements or value_elements.
    """
    return array_at(pages[page, field] + head * pages[page, 2] + 2 * codes, PAGE, like)


@compiled
def store_floats(address, x, k_at, v_at):
    """Store a key, x[k_at ...], and a value, x[v_at ...], at a KVAddress in a float32 page."""
    pages, page, head, head_dim, position = address
    keys, values = page_keys(pages, page, head, head_dim, x), page_values(pages, page, head, head_dim, x)
    row = position % PAGE
    tile = row // 16 * head_dim * 16 + row % 16
    for d in range(head_dim):
        keys[tile + d * 16] = x[k_at + d]
    for d in range(0, head_dim, 16):
        store(values, (d * PAGE) + row * 16, load_first(head_dim - d, x, v_at + d))


@compiled
def quantize_vector(x, at, width, largest_code, codes, codes_at):
    """Quantise a vector to int16 codes of at most `largest_code`, padded with zeros to whole registers. -> the scale.

    If a number is infinite or NaN, so is the scale: codes cannot be.
    """
    largest = largest_magnitude(x, at, width)
    inverse = fill(np.float32(largest_code), f32) / maximum(1e-30, largest)
    for d in range(0, width, 16):
        store(codes, codes_at + d, to_i32(rint(load_first(width - d, x, at + d) * inverse)))
    return lane(largest, 0) / np.float32(largest_code)


@compiled
def store_codes(address, x, k_at, v_at, codes):
    """The same in an int16 page. `codes` is scratch, int16[head_dim padded]."""
    pages, page, head, head_dim, position = address
    keys, values = page_keys(pages, page, head, head_dim, codes), page_values(pages, page, head, head_dim, codes)
    key_scales = page_scales(key_elements(head_dim), pages, page, 0, head, x)
    value_scales = page_scales(value_elements(head_dim), pages, page, 1, head, x)
    row = position % PAGE
    key_scales[row] = quantize_vector(x, k_at, head_dim, LARGEST_KV_CODE, codes, 0)
    pairs = (head_dim + 1) // 2
    tile = (row // 16 * pairs * 16 + row % 16) * 2
    for d in range(2 * pairs):
        keys[tile + d // 2 * 32 + d % 2] = codes[d]
    value_scales[row] = quantize_vector(x, v_at, head_dim, LARGEST_KV_CODE, codes, 0)
    pair = row // 2 * 32 + row % 2
    for d in range(padded(head_dim)):
        values[d // 16 * 16 * PAGE + pair + d % 16 * 2] = codes[d]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__kv_pages() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__kv_pages() IS
'Pages of a KV cache, 64 positions each: their layout, and how a key and a value are stored.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__bf16()
RETURNS void
LANGUAGE plpython3u
AS $python$"""BF16: the upper 16 bits of a float32, widened when loaded."""

from ...simd.memory import load_bf16
from ..floats import floats

layout = floats("bf16", 4, "u16", load_bf16)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__bf16() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__bf16() IS
'BF16: the upper 16 bits of a float32, widened when loaded.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__f16()
RETURNS void
LANGUAGE plpython3u
AS $python$"""F16: half precision, widened when loaded."""

from ...simd.memory import load
from ..floats import floats

layout = floats("f16", 3, "u16", load)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__f16() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__f16() IS
'F16: half precision, widened when loaded.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__f32()
RETURNS void
LANGUAGE plpython3u
AS $python$"""F32: plain float32."""

from ...simd.memory import load
from ..floats import floats

layout = floats("f32", 2, "f32", load)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__f32() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__f32() IS
'F32: plain float32.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q4()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q4: 4-bit integers, stored + 8. A block is u8[4 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block in its low bits, column 4k + b + 16 in its high bits.
"""

import numpy as np

from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, LOW_NIBBLES, TILE_I32, Integers, blocks, pack_bytes

Q4_BYTES, Q4_OFFSET = 256, 8


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(4):
            prefetch(u8, at + k * 64 + AHEAD)
            pair = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, pair & LOW_NIBBLES, spread_bytes(codes, column + 4 * k, X, columns))
            sums = dot4(sums, (pair >> 4) & LOW_NIBBLES, spread_bytes(codes, column + 16 + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, second, sums, codes, column, columns):
    """The same for two groups: each register of activations is used for both."""
    second_sums = sums
    for k in range(4):
        pair, second_pair = load_bytes(u8, at + k * 64, i32), load_bytes(u8, second + k * 64, i32)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, second_sums = dot4(sums, pair & LOW_NIBBLES, x), dot4(second_sums, second_pair & LOW_NIBBLES, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, second_sums = (
            dot4(sums, (pair >> 4) & LOW_NIBBLES, x),
            dot4(second_sums, (second_pair >> 4) & LOW_NIBBLES, x),
        )
    return sums, second_sums


@inlined
def integer(u8, at, r, k):
    """The integer of row r, column k."""
    pair = np.int32(u8[at + k % 16 // 4 * 64 + r * 4 + k % 4])
    return np.float32((pair >> (k // 16 * 4) & 15) - Q4_OFFSET)


@inlined
def squares(u8, at):
    """For each row the sum of the squares of a block's integers, exact in float32."""
    total = fill(0.0, f32)
    for k in range(4):
        eight = load_bytes(u8, at + k * 64, i32)
        for half in range(8):
            value = to_f32((eight >> np.int32(4 * half)) & 15) - 8.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Pack rows of Q4_0, whose blocks are an f16 scale and 16 bytes; see groups.Layout."""
    pack_bytes(raw, columns, first_row, Q4_BYTES, np.uint8(0), out)


layout = blocks(Integers("q4", 6, Q4_BYTES, Q4_OFFSET, dots_of, dots_of_two, integer, squares, pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q4() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q4() IS
'Q4: 4-bit integers, stored + 8. A block is u8[4 lines][16 rows][4 bytes].';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q5()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q5: 5-bit integers, stored + 16. A block is u8[16 rows][4 bytes] of fifth bits, then u8[4 lines][16 rows][4 bytes].

Byte b of line k holds the lower four bits of column 4k + b in its low bits, of column 4k + b + 16 in its high bits.
Their fifth bits are bits 4 + k and k of byte b of the first line.
"""

import numpy as np

from ...model.encodings import BLOCK, BLOCKS
from ...simd.memory import load_bytes, prefetch, spread_bytes
from ...simd.registers import compiled, dot4, entry, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, LOW_NIBBLES, TILE_I32, Integers, blocks, pack_scale
from ..groups import GROUP, blocks_bytes, scales_offset, weights_offset

LINE, Q5_BYTES, Q5_OFFSET = 64, 320, 16
Q5_0_BYTES = BLOCKS["Q5_0"][1]  # a block in the file: an f16 scale, 32 fifth bits, 16 bytes
FIFTH_BITS = 0x10101010  # masks the fifth bit of each byte


@inlined
def columns_of(u8, at, k, fifths):
    """The columns 4k .. 4k + 3 of a block, and 4k + 16 .. 4k + 19: i32, four bytes to a lane."""
    pair = load_bytes(u8, at + LINE + k * LINE, i32)
    return pair & LOW_NIBBLES | fifths >> k & FIFTH_BITS, pair >> 4 & LOW_NIBBLES | fifths << 4 >> k & FIFTH_BITS


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

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
def dots_of_two(u8, at, second, sums, codes, column, columns):
    """The same for two groups: each register of activations is used for both."""
    second_sums, fifths, second_fifths = sums, load_bytes(u8, at, i32), load_bytes(u8, second, i32)
    for k in range(4):
        low, high = columns_of(u8, at, k, fifths)
        second_low, second_high = columns_of(u8, second, k, second_fifths)
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums, second_sums = dot4(sums, low, x), dot4(second_sums, second_low, x)
        x = spread_bytes(codes, column + 16 + 4 * k, TILE_I32, columns)
        sums, second_sums = dot4(sums, high, x), dot4(second_sums, second_high, x)
    return sums, second_sums


@inlined
def integer(u8, at, r, k):
    """The integer of row r, column k."""
    upper, line, byte = k // 16, k % 16 // 4, r * 4 + k % 4
    low = np.int32(u8[at + LINE + line * LINE + byte]) >> 4 * upper & 15
    fifth = np.int32(u8[at + byte]) >> 4 - 4 * upper + line & 1
    return np.float32(low + 16 * fifth - Q5_OFFSET)


@inlined
def squares(u8, at):
    """For each row the sum of the squares of a block's integers, exact in float32."""
    total, fifths = fill(0.0, f32), load_bytes(u8, at, i32)
    for k in range(4):
        for four in columns_of(u8, at, k, fifths):
            for byte in range(4):
                value = to_f32((four >> np.int32(8 * byte)) & 31) - 16.0
                total = fma(value, value, total)
    return total


@compiled
def fifth(raw, at, k):
    """Bit k of the 32 bits that begin at raw[at]."""
    return raw[at + k // 8] >> k % 8 & 1


@entry
def pack(raw, columns, first_row, out):
    """Pack rows of Q5_0; see groups.Layout."""
    count = columns // BLOCK
    for row in range(raw.size // (count * Q5_0_BYTES)):
        group, r = divmod(first_row + row, GROUP)
        start = group * blocks_bytes(count, Q5_BYTES)
        for block in range(count):
            at = (row * count + block) * Q5_0_BYTES
            pack_scale(raw, at, out, scales_offset(start, block, Q5_BYTES) + 2 * r)
            to = weights_offset(start, block, Q5_BYTES) + 4 * r
            for byte in range(4):
                fifths = 0
                for line in range(4):
                    k = 4 * line + byte
                    out[to + LINE + line * LINE + byte] = raw[at + 6 + k]
                    fifths |= fifth(raw, at + 2, k) << 4 + line | fifth(raw, at + 2, 16 + k) << line
                out[to + byte] = fifths


layout = blocks(Integers("q5", 7, Q5_BYTES, Q5_OFFSET, dots_of, dots_of_two, integer, squares, pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q5() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q5() IS
'Q5: 5-bit integers, stored + 16. A block is u8[16 rows][4 bytes] of fifth bits, then u8[4 lines][16 rows][4 '
'bytes].';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q8()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q8: 8-bit integers, stored + 128. A block is u8[8 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block.
"""

import numpy as np

from ...simd.memory import in_order, load_bytes, prefetch, spread_bytes
from ...simd.registers import dot4, f32, fill, fma, i32, inlined, to_f32
from ..blocks import AHEAD, TILE_I32, Integers, blocks, pack_bytes

Q8_BYTES, Q8_OFFSET = 512, 128


def dots_of(X):
    """Make the dot products of a block with tokens of the register block type X; see blocks.Integers."""

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        for k in range(8):
            prefetch(u8, at + k * 64 + AHEAD)
            w = load_bytes(u8, at + k * 64, i32)
            sums = dot4(sums, w, spread_bytes(codes, column + 4 * k, X, columns))
        return sums

    return dots


@inlined
def dots_of_two(u8, at, second, sums, codes, column, columns):
    """The same for two groups: each register of activations is used for both."""
    second_sums = sums
    for k in range(8):
        if k == 4:
            in_order()  # or LLVM would do all sixteen loads first, and run out of registers
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(u8, at + k * 64, i32), x)
        second_sums = dot4(second_sums, load_bytes(u8, second + k * 64, i32), x)
    return sums, second_sums


@inlined
def integer(u8, at, r, k):
    """The integer of row r, column k."""
    return np.float32(np.int32(u8[at + k // 4 * 64 + r * 4 + k % 4]) - Q8_OFFSET)


@inlined
def squares(u8, at):
    """For each row the sum of the squares of a block's integers, exact in float32."""
    total = fill(0.0, f32)
    for k in range(8):
        four = load_bytes(u8, at + k * 64, i32)
        for byte in range(4):
            value = to_f32((four >> np.int32(8 * byte)) & 255) - 128.0
            total = fma(value, value, total)
    return total


def pack(raw, columns, first_row, out):
    """Pack rows of Q8_0, whose blocks are an f16 scale and 32 int8; see groups.Layout."""
    pack_bytes(raw, columns, first_row, Q8_BYTES, np.uint8(Q8_OFFSET), out)


layout = blocks(Integers("q8", 5, Q8_BYTES, Q8_OFFSET, dots_of, dots_of_two, integer, squares, pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q8() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q8() IS
'Q8: 8-bit integers, stored + 128. A block is u8[8 lines][16 rows][4 bytes].';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__matrix()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Products of packed matrices with activations: at the speed of memory for one token, of arithmetic for many.

Every output is the same additions in the same order, however many tokens and groups are computed together, so its bits
do not depend on them. Weights are read in the order of memory and prefetched: the hardware prefetcher stops at the end
of each 4 KB, and with so much arithmetic between loads the processor looks only a little way ahead.
"""

from ..simd.kernels import caller
from ..simd.registers import compiled
from .dispatch import PRODUCT_OF, ROW_OF, SQUARES_OF
from .groups import (
    FIRST_BLOCK_LAYOUT,
    KERNELS,
    LAYOUT,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Product,
    Row,
    Squares,
)

_multiply, _decode, _square, PER_LAYOUT = (
    caller(PRODUCT_STRUCT),
    caller(ROW_STRUCT),
    caller(SQUARES_STRUCT),
    len(KERNELS),
)


@compiled
def is_quantized(matrix):
    """Whether a matrix has a layout of blocks, and so reads activations as codes."""
    return matrix[LAYOUT] >= FIRST_BLOCK_LAYOUT


@compiled
def linear(weights, matrix, begin, end, given, tokens, to):
    """to[t] = matrix @ given[t] for t < tokens, for the matrix rows in the groups begin .. end - 1.

    matrix: a row of the weight table, int64[4]. given: Activations. to: Rows.
    """
    kernel = weights.kernels[matrix[LAYOUT] * PER_LAYOUT + PRODUCT_OF]
    _multiply(kernel, Product(weights, matrix, begin, end, given, tokens, to))


@compiled
def embedding(weights, matrix, row, out, out_at):
    """out[out_at ...] = one decoded row of the matrix."""
    _decode(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + ROW_OF], Row(weights, matrix, row, out, out_at))


@compiled
def squares(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1."""
    _square(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + SQUARES_OF], Squares(weights, matrix, begin, end, out))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__matrix() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__matrix() IS
'Products of packed matrices with activations: at the speed of memory for one token, of arithmetic for many.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__packing()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packs tensors for the kernels: vectors as float32, matrices in the layout of their type.

    types with a layout (model/encodings.py)    exact; IQ4_NL has that of Q8, since its values are 8-bit integers
    all other types                             F16: weights are rounded to half precision, with an error of at most
                                                2^-11 of their size or 2^-25, and clipped at 65,504

Packing is a pure function of type, shape and bytes: equal tensors pack to equal bytes.
"""

import numpy as np

from ..model import encodings
from ..server import errors
from .dispatch import LAYOUT_BY_NAME, LAYOUT_BY_NUMBER
from .groups import GROUP, VECTOR, group_count

ROUNDED = LAYOUT_BY_NAME["f16"]
LAYOUT_OF = {
    e.name: LAYOUT_BY_NAME[e.layout].number for e in encodings.ENCODINGS if e.layout
}  # {type: layout number}, exact

# The values of IQ4_NL's sixteen codes
IQ4_NL_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8)
LARGEST_HALF = np.float32(65504)


def layout_of(type, shape):
    """The layout number of a tensor.

    Raises ModelError 0A000 for an unknown type, or a shape of other than one or two dimensions.
    """
    encodings.row_bytes(type, shape[-1] if shape else 1)
    if len(shape) not in (1, 2):
        raise errors.not_supported(f"a tensor of {len(shape)} dimensions cannot be packed", f"its shape is {shape}")
    return VECTOR if len(shape) == 1 else LAYOUT_OF.get(type, ROUNDED.number)


def packed_bytes(type, shape):
    """The bytes of a packed tensor."""
    return layout_bytes(layout_of(type, shape), 1 if len(shape) == 1 else shape[0], shape[-1])


def layout_bytes(layout, rows, columns):
    """The bytes of a packed matrix in the layout of that number; a vector is one row."""
    if layout == VECTOR:
        return group_count(columns) * GROUP * 4
    return group_count(rows) * LAYOUT_BY_NUMBER[layout].group_bytes(columns)


def pack_tensor(raw, type, shape):
    """Pack a tensor: its bytes in the file (uint8 array or buffer) -> uint8[packed_bytes].

    Raises ModelError XX001 if the number of bytes is not that of type and shape.
    """
    out = np.zeros(packed_bytes(type, shape), np.uint8)
    pack_rows(raw, type, shape, 0, out)
    return out


def pack_rows(raw, type, shape, first_row, out):
    """Pack consecutive rows of a tensor, the first of which is row `first_row`.

    raw: their bytes in the file. out: the whole packed tensor, uint8[packed_bytes], zeroed before the first call. So a
    tensor can be packed tile by tile, with checkpoints in between; multiples of 16 rows are fastest. A vector is one
    row. Raises ModelError XX001 for bytes that are not whole rows, or rows beyond the tensor's last.
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
        LAYOUT_BY_NUMBER[layout].pack(_as_its_layout(raw, type, (rows, columns)), columns, first_row, out)


def _as_its_layout(raw, type, shape):
    """Convert rows of a type to the type that its layout packs."""
    if type == "IQ4_NL":
        return _iq4_nl_as_q8_0(raw)
    return raw if type in LAYOUT_OF else _rounded(encodings.decode(type, raw, shape))


def _rounded(values):
    """Values as half precision, as uint8. Finite values are clipped to the largest half; infinity stays infinity."""
    near = np.clip(values, -LARGEST_HALF, LARGEST_HALF)
    return np.where(np.isinf(values), values, near).astype(np.float16).reshape(-1).view(np.uint8)


def _iq4_nl_as_q8_0(raw):
    """Blocks of an f16 scale and 32 codes of 4 bits -> of an f16 scale and 32 int8."""
    blocks = raw.reshape(-1, 18)
    values = IQ4_NL_VALUES[np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)]
    return np.concatenate([blocks[:, :2], values.view(np.uint8)], axis=1).reshape(-1)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__packing() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__packing() IS
'Packs tensors for the kernels: vectors as float32, matrices in the layout of their type.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__similarity()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Search by cosine in a packed matrix: its products with a vector, and the lengths of its rows.

The error of a product, relative to |row| |x|, and of a sum of squares, relative to itself, is at most
cosine.rounding(columns). Block-quantised matrices are multiplied with the int8 codes of x instead of x;
`PackedTable.products` returns how far these are from x.
"""

import numpy as np

from ..model.encodings import BLOCK
from ..simd.registers import entry
from .cosine import Lengths
from .elementwise import new_codes, quantize
from .groups import COLUMNS, GROUP, ROWS, Activations, Rows, group_count
from .matrix import embedding, is_quantized, linear, squares

WEIGHTS_PER_CHECKPOINT = 1 << 26  # weights read between checkpoints: some milliseconds


@entry
def encode(x, codes):
    """codes = the Codes of x, see elementwise.quantize."""
    quantize(x, 0, x.size, codes, 0)


@entry
def products(weights, matrix, begin, end, x, codes, out):
    """out = matrix @ x, for the rows in the groups begin .. end - 1; quantised matrices read the codes instead of x."""
    linear(weights, matrix, begin, end, Activations(Rows(x, 0, 0), codes, 0), 1, Rows(out, 0, 0))


@entry
def squared_lengths(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1."""
    squares(weights, matrix, begin, end, out)


@entry
def rows(weights, matrix, ids, out):
    """out = the decoded rows of these ids, one after the other."""
    for i in range(ids.size):
        embedding(weights, matrix, ids[i], out, i * matrix[COLUMNS])


class PackedTable:
    """A packed matrix with the interface of cosine.ArrayTable.

    packed: a PackedModel. name: one of its matrices, of a type that is packed exactly. checkpoint: called every few
    milliseconds; what it raises ends the search.
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
        """x: f32[columns] -> (each row times x, f32[rows]; error): off by at most error * |row|, and `rounding`."""
        x = np.ascontiguousarray(x, np.float32)
        error = 0.0
        if is_quantized(self._matrix):
            encode(x, self._codes)
            scales = self._codes.scales.astype(np.float64)
            decoded = self._codes.codes.reshape(-1, BLOCK) * scales[:, None]
            error = float(np.linalg.norm(x - decoded.reshape(-1)))
        self._in_steps(products, x, self._codes)
        return self._sums[: self.shape[0]], error

    def rows(self, ids):
        """The decoded rows of these ids: int[n] -> f32[n, columns]."""
        out = np.empty(len(ids) * self.shape[1], np.float32)
        rows(self._weights, self._matrix, np.asarray(ids, np.int64), out)
        return out.reshape(len(ids), self.shape[1])

    def _in_steps(self, kernel, *arguments):
        groups = group_count(self.shape[0])
        step = max(4, WEIGHTS_PER_CHECKPOINT // (self.shape[1] * GROUP) // 4 * 4)
        for begin in range(0, groups, step):
            kernel(self._weights, self._matrix, begin, min(groups, begin + step), *arguments, self._sums)
            self._checkpoint()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__similarity() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__similarity() IS
'Search by cosine in a packed matrix: its products with a vector, and the lengths of its rows.';

COMMIT;
