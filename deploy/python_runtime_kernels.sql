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
AS $python$"""Layouts of blocks: 32 integers with a scale, and for some a minimum; everything except the block's integers.

    [R / 16][C / 32 n] { scales[n][16], { the integers of a block }[n] }      for R rows and C columns

A line of 64 bytes holds the scales of n blocks, see Scales. If the last blocks of a row are fewer than n, the rest of
their line of scales is empty.
"""

from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import array_on_stack, load, load_bytes, spread, store
from ..simd.registers import compiled, f32, fill, fma, i32, inlined, lane, to_f32
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
)
from .panels import BLOCK_BYTES, GROUP_BYTES, GROUP_FLOATS, MINIMA, SCALES, tile_of_blocks
from .products import Parts, dots_of, prefetch_lines, product_of, unpacked
from .starts import starts

# What a layout of blocks says of itself: its name and number, the bytes of a block's integers in a group, the offset
# that makes them unsigned, its Scales, and
#   registers    (u8, at) -> the integers of the block at u8[at], see products.dots_of
#   file_bytes   bytes of a block in the file
#   pack         (raw, at, out, scales, weights, r) -> None: packs the block at raw[at], as in the file, of row r of a
#                group; in the group its scales and its integers begin at out[scales] and out[weights]
Blocks = namedtuple("Blocks", "name number size offset scales registers file_bytes pack")
# The scales of blocks: how many blocks share a line, whether a block has a minimum as well, MINIMUM_AT bytes behind its
# scale, and (weights, at) -> the scales or minima that begin at this byte, f32.
Scales = namedtuple("Scales", "blocks minimum load")


@inlined
def _half_precision(weights, at):
    return load(weights.u16, at >> 1, f32)


SCALE = Scales(2, False, _half_precision)
SCALE_AND_MINIMUM = Scales(1, True, _half_precision)
MINIMUM_AT = 32


def blocks(described):
    """Make the Layout of a Blocks."""
    name, scales, group_bytes = described.name, described.scales, _group_bytes(described)
    scales_at, weights_at, unpack = scales_offset(described), weights_offset(described), unpacked(described.registers)
    parts = Parts(lambda tokens: _group(described, tokens), _unpack(described), _panel_bytes(described))
    multiply, pack_block, file_bytes = product_of(group_bytes, parts), described.pack, described.file_bytes
    offset, minimum, scale_of = np.float32(described.offset), scales.minimum, scales.load

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p)

    @compiled
    def column(weights, at, integers, k):
        """Column k of a block, f32. at: where its scales begin. integers: the block unpacked."""
        value = (to_f32(byte_of(load_bytes(integers, k // 4 * CACHE_LINE, i32), k % 4)) - offset) * scale_of(
            weights, at
        )
        return value + scale_of(weights, at + MINIMUM_AT) if minimum else value

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        group, integers = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns), array_on_stack(BLOCK_BYTES, u8)
        for block in range(columns // BLOCK):
            unpack(u8, weights_at(group, block), integers, 0)
            for k in range(BLOCK):
                value = column(p.weights, scales_at(group, block), integers, k)
                p.out[p.out_at + block * BLOCK + k] = lane(value, p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        integers = array_on_stack(BLOCK_BYTES, u8)
        for number in range(p.begin, p.end):
            total, group = fill(0.0, f32), p.matrix[OFFSET] + number * group_bytes(columns)
            for block in range(columns // BLOCK):
                unpack(u8, weights_at(group, block), integers, 0)
                for k in range(BLOCK):
                    value = column(p.weights, scales_at(group, block), integers, k)
                    total = fma(value, value, total)
            store(p.out, number * GROUP, total)

    @kernel(f"pack_{name}", PACK_STRUCT)
    def pack(p):
        count = p.columns // BLOCK
        for row in range(p.raw.size // (count * file_bytes)):
            number, r = divmod(p.first_row + row, GROUP)
            group = number * group_bytes(p.columns)
            for block in range(count):
                at = (row * count + block) * file_bytes
                pack_block(p.raw, at, p.out, scales_at(group, block), weights_at(group, block), r)

    tile = tile_of_blocks(described.offset, minimum=minimum)
    kernels = {"product": product, "row": row, "squares": squares, "tile": tile, "pack": pack}
    return Layout(name, described.number, True, minimum, group_bytes, kernels)


def _group_bytes(described):
    """Make (columns) -> bytes of a group."""
    shared, size = described.scales.blocks, described.size

    @compiled
    def group_bytes(columns):
        count = columns // BLOCK
        return (count + shared - 1) // shared * CACHE_LINE + count * size

    return group_bytes


def _panel_bytes(described):
    """Make (blocks) -> packed bytes of so many blocks, see products.Parts."""
    shared, size = described.scales.blocks, described.size

    @inlined
    def panel_bytes(count):
        return count // shared * CACHE_LINE + count * size

    return panel_bytes


def scales_offset(described):
    """Make (group, block) -> where the scales of a block begin, in bytes; `group` is where its group begins."""
    shared, size, each = described.scales.blocks, described.size, CACHE_LINE // described.scales.blocks

    @compiled
    def scales_at(group, block):
        return group + block // shared * (CACHE_LINE + shared * size) + block % shared * each

    return scales_at


def weights_offset(described):
    """Make (group, block) -> where the integers of a block begin, in bytes."""
    shared, size = described.scales.blocks, described.size

    @compiled
    def weights_at(group, block):
        return group + block // shared * (CACHE_LINE + shared * size) + CACHE_LINE + block % shared * size

    return weights_at


def _group(described, tokens):
    """Make the product of one group with a fixed number of tokens; see products.Parts.

    The integer dot product of a block, times the scales of the weights and of the activations, is added in float32; the
    minimum is multiplied with the sum of the activations.
    """
    X, F, scales = i32[tokens], f32[tokens], described.scales
    dots, start_of = dots_of(described.registers, X), starts(described.offset, X)
    scales_at, weights_at = scales_offset(described), weights_offset(described)
    scale_of, minimum, shared, size = scales.load, scales.minimum, scales.blocks, described.size

    @inlined
    def product(weights, at, columns, ahead, given, to):
        blocks, codes, total = columns // BLOCK, given.codes, fill(0.0, F)
        for b in range(blocks):
            block, scales_from, weights_from = given.first + b, scales_at(at, b), weights_at(at, b)
            if b % shared == 0:
                prefetch_lines(weights.u8, scales_from + ahead, CACHE_LINE)
            prefetch_lines(weights.u8, weights_from + ahead, size)
            sums = dots(weights.u8, weights_from, start_of(codes, block, blocks), codes.codes, block * BLOCK, columns)
            scale = scale_of(weights, scales_from) * spread(codes.scales, block, F, blocks)
            total = fma(to_f32(sums), scale, total)
            if minimum:
                total = fma(scale_of(weights, scales_from + MINIMUM_AT), spread(codes.sums, block, F, blocks), total)
        store(to.x, to.at, total, to.stride)

    return product


def _unpack(described):
    """Make the unpacking of a panel; see products.Parts."""
    unpack, scale_of, minimum = unpacked(described.registers), described.scales.load, described.scales.minimum
    scales_at, weights_at = scales_offset(described), weights_offset(described)

    @compiled
    def unpack_panel(weights, at, count, panel, number):
        bytes, floats = number * GROUP_BYTES, number * GROUP_FLOATS
        for b in range(count):
            scales_from = scales_at(at, b)
            unpack(weights.u8, weights_at(at, b), panel.bytes, bytes + b * BLOCK_BYTES)
            store(panel.floats, floats + SCALES + b * GROUP, scale_of(weights, scales_from))
            if minimum:
                store(panel.floats, floats + MINIMA + b * GROUP, scale_of(weights, scales_from + MINIMUM_AT))

    return unpack_panel


@inlined
def lines(u8, at):
    """Four lines of 64 bytes."""
    upper = load_bytes(u8, at + 2 * CACHE_LINE, i32), load_bytes(u8, at + 3 * CACHE_LINE, i32)
    return (load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32)) + upper


@inlined
def byte_of(lanes, byte):
    """One byte of each lane, as an integer."""
    return lanes >> 8 * byte & 255


@inlined
def pack_scale(raw, at, out, to):
    """Copy the two bytes of a scale."""
    out[to], out[to + 1] = raw[at], raw[at + 1]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__blocks() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__blocks() IS
'Layouts of blocks: 32 integers with a scale, and for some a minimum; everything except the block''s integers.';

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
from .layouts import (
    bf16,
    f16,
    f32,
    iq1,
    iq2,
    iq3s,
    iq3xxs,
    iq4,
    iq4xs,
    mxfp4,
    q2k,
    q3k,
    q4,
    q4_1,
    q4k,
    q5,
    q5_1,
    q5k,
    q6k,
    q8,
)

LAYOUT_MODULES = (
    *(f32, f16, bf16),
    *(q8, q4, q5, q4_1, q5_1, iq4, mxfp4),
    *(q4k, q5k, q6k, iq4xs, q3k, q2k, iq2, iq1, iq3s, iq3xxs),
)
LAYOUTS = tuple(module.layout for module in LAYOUT_MODULES)
PACKER_OF = {
    type: packer for module in LAYOUT_MODULES for type, packer in getattr(module, "PACKERS", {}).items()
}  # see kernels/packers
LAYOUT_BY_NAME = {layout.name: layout for layout in LAYOUTS}
LAYOUT_BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
LAYOUT_NAMES = {ABSENT: "absent", VECTOR: "vector", **{layout.number: layout.name for layout in LAYOUTS}}

# The kernels' addresses, int64. Those of layout number n are at n * len(KERNELS), in the order of KERNELS; 0 until
# `load` is called with n.
ADDRESSES = np.zeros((max(LAYOUT_BY_NUMBER) + 1) * len(KERNELS), np.int64)


def load(number):
    """Put the addresses of a layout's kernels into ADDRESSES. Compiles them if that has not been done."""
    first = number * len(KERNELS)
    if number in LAYOUT_BY_NUMBER and not ADDRESSES[first]:
        kernels = LAYOUT_BY_NUMBER[number].kernels
        ADDRESSES[first : first + len(KERNELS)] = [
            kernels[part].address() if part in kernels else 0 for part in KERNELS
        ]


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
from .groups import HALF_OFFSET, OFFSETS, START_ARRAYS, Codes

# x + ROUNDER has the integer nearest to x, ties to even, in its low bits: rounding and conversion in one addition.
ROUNDER = np.float32(1.5 * 2**23)
EXP2_LOWEST = np.float32(-126.0)  # exp2 gives 0 below this
EXP_LOWEST, EXP_HIGHEST = np.float32(-87.0), np.float32(88.0)  # exp gives 0 below, e^88 above
SQRT_HALF = np.float32(math.sqrt(0.5))
# The weights and the bias of a layer norm: an array, and where each begins in it.
Affine = namedtuple("Affine", "weights weights_at bias_at")
FINE_BLOCKS = 8  # blocks that share the scale of their fine codes: those of a superblock
LARGEST_FINE = np.float32(32767)
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
    codes, scales = np.zeros(blocks * BLOCK, np.int8), np.zeros(blocks, np.float32)
    starts = np.zeros(START_ARRAYS * blocks, np.int32)
    return Codes(codes, scales, starts, np.zeros(2 * blocks, np.float32), np.zeros(3 * blocks, np.int16))


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
    scale = largest * np.float32(1 / 127)
    _store_sums(codes, block, lane(sum_lanes_i32(low_codes), 0), lane(sum_lanes_i32(high_codes), 0), lane(scale, 0))
    return low - to_f32(low_codes) * scale, high - to_f32(high_codes) * scale


@compiled
def _store_sums(codes, block, low, high, scale):
    """Store all of a block's Codes that follow from its scale and the sums of the codes of its halves."""
    blocks, total = len(codes.scales), low + high
    codes.scales[block] = scale
    codes.sums[block] = scale * np.float32(total)
    for number in range(len(OFFSETS)):
        codes.starts[number * blocks + block] = -OFFSETS[number] * total
    halves = len(OFFSETS) * blocks + 2 * block
    codes.starts[halves], codes.starts[halves + 1] = -HALF_OFFSET * low, -HALF_OFFSET * high
    codes.fine[blocks + 2 * block], codes.fine[blocks + 2 * block + 1] = low, high


@compiled
def _store_fine(codes, block):
    """Store the fine codes of eight blocks, whose Codes are stored otherwise."""
    sums = where_before(lanes(), FINE_BLOCKS, load(codes.sums, block, f32), 0.0)
    largest = max_lanes_or_nan(magnitude(sums))
    fine = to_i32(rint(sums * (fill(LARGEST_FINE, f32) / maximum(1e-30, largest))))
    for b in range(FINE_BLOCKS):
        codes.fine[block + b] = lane(fine, b)
    codes.sums[len(codes.scales) + block] = lane(largest, 0) / LARGEST_FINE


@compiled
def _store_all_fine(codes, first, width):
    """Store the fine codes of a vector's whole superblocks, for layouts of superblocks."""
    for block in range(first, first + width // BLOCK // FINE_BLOCKS * FINE_BLOCKS, FINE_BLOCKS):
        _store_fine(codes, block)


@compiled
def quantize(x, at, width, codes, first):
    """Quantise a vector in blocks of 32, from block number `first` on: x = code * scale, with an error below scale / 2.

    See groups.Codes for what is stored beside the codes.
    """
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        quantize_block(low, high, codes, first + i)
    _store_all_fine(codes, first, width)


@compiled
def quantize_twice(x, at, width, codes, first, low_first):
    """Quantise a vector, and from block `low_first` on quantise the errors of the first codes: 15 bits together."""
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        low, high = quantize_block(low, high, codes, first + i)
        quantize_block(low, high, codes, low_first + i)
    _store_all_fine(codes, first, width)
    _store_all_fine(codes, low_first, width)


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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__floats() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__floats() IS
'Layouts of floats: everything except how 16 weights are loaded, which is a layout''s own.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__grids()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packing of the IQ encodings of one to three bits: a file holds the numbers of rows in a grid, and signs.

A row of the grid is the magnitudes of four or eight columns. Packing makes codes of them: the number of the magnitude,
and one bit above it the sign. The grids are those of the gguf package, which is imported at the first tensor of such a
type.
"""

import functools
from collections import namedtuple

import numpy as np

from ..model import encodings
from ..simd.memory import load_word
from ..simd.registers import compiled, inlined
from .blocks import pack_scale
from .packers import packer

# Rows of signs, which are bytes: of eight columns, the lowest bit first. Of seven columns: the eighth makes the number
# of minus signs even. Of one bit for all eight.
EIGHT_SIGNS = np.arange(256, dtype=np.uint8)
SEVEN_SIGNS = EIGHT_SIGNS[:128] | (np.unpackbits(EIGHT_SIGNS[:128, None], axis=1).sum(axis=1, dtype=np.uint8) & 1) << 7
ONE_SIGN = np.array([0, 255], np.uint8)
GRID_AT = 8 * 256  # bytes of the table before the grid: 256 rows of signs of eight columns, of which few may be used

# How a type lies in a file. Each function has (raw, at, block, ...), where the superblock begins at raw[at].
#   copy_scale   (raw, at, out, to) -> None: copies the scale of the superblock, half precision
#   look_up      (raw, at, block, k) -> (row of the grid, row of the signs) of the columns 4k .. 4k + 3 of a block
#   scale        (raw, at, block, half) -> the scale of half a block
#   signs        the rows of signs
Form = namedtuple("Form", "type copy_scale look_up scale signs")


def grid_packer(form, described, store_block, width, code_bits):
    """Make the Packer of a Form.

    store_block: (out, (to, block, r), scales of both halves, low, high) -> None: stores a block of row r of a group,
    whose superblock begins at out[to]; `low` and `high` are four words each, of the codes of four columns, a byte each.
    width: columns of a row of the grid. code_bits: of the number of a magnitude.
    """
    word, scale, copy_scale = _word(form.look_up, width), form.scale, form.copy_scale

    @compiled
    def words(raw, at, table, block, k):
        first, second = word(raw, at, table, block, k), word(raw, at, table, block, k + 1)
        return first, second, word(raw, at, table, block, k + 2), word(raw, at, table, block, k + 3)

    @inlined
    def pack(raw, at, out, to, r, table):
        copy_scale(raw, at, out, to + 2 * r)
        for block in range(8):
            scales = scale(raw, at, block, 0), scale(raw, at, block, 1)
            low, high = words(raw, at, table, block, 0), words(raw, at, table, block, 4)
            store_block(out, (to, block, r), scales, low, high)

    return packer(form.type, described, pack, functools.cache(lambda: _table(form, code_bits)))


def _table(form, code_bits):
    """Rows of signs, eight bytes each, with the sign above the bits of a magnitude; then the grid: uint8."""
    table = np.zeros((GRID_AT // 8, 8), np.uint8)
    table[: len(form.signs)] = np.unpackbits(form.signs[:, None], axis=1, bitorder="little") << code_bits
    return np.concatenate([table.reshape(-1), encodings.grid(form.type).reshape(-1)])


def _word(look_up, width):
    """Make (raw, at, table, block, k) -> the codes of the columns 4k .. 4k + 3 of a block, as bytes of a word."""

    @compiled
    def word(raw, at, table, block, k):
        row, signs = look_up(raw, at, block, k)
        within = 4 * (k % 2)
        row_at = GRID_AT + (8 * row + within if width == 8 else 4 * row)
        return load_word(table, row_at) | load_word(table, 8 * signs + within)

    return word


@inlined
def first_scale(raw, at, out, to):
    """Copy the scale of a superblock that begins with it."""
    pack_scale(raw, at, out, to)


@compiled
def half_word(raw, at):
    """The 16 bits at raw[at]."""
    return raw[at] | raw[at + 1] << 8


@compiled
def seven_signs(raw, at, k):
    """The row of the signs of the columns 4k .. 4k + 3: seven bits for every eight columns of the word at raw[at]."""
    return load_word(raw, at) >> 7 * (k // 2) & 127


@compiled
def odd(number):
    """The odd scale of a number."""
    return 2 * number + 1
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__grids() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__grids() IS
'Packing of the IQ encodings of one to three bits: a file holds the numbers of rows in a grid, and signs.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__groups()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packed matrices: what all layouts have in common. A packed matrix is a sequence of groups of 16 rows.

A file stores a matrix row by row, so a product would have to sum across the lanes of a register. In a group, lane r of
every register belongs to row r: one register holds one column (floats) or four columns (bytes) of all 16 rows, and
nothing is summed across lanes. A group is contiguous in memory. Rows are padded with zeros to a multiple of 16; columns
are not padded. The files in `layouts` say what a group looks like inside.

In a group of quantised blocks, the scales of some blocks fill one cache line, which precedes the weights of these
blocks. So memory is read in order. Scales behind the weights, or in an array of their own, cost up to a sixth of the
speed.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..simd.frames import Array, Structure
from ..simd.registers import compiled

GROUP = 16  # rows in a group, one to a lane
CACHE_LINE = 64  # bytes, also of a 512-bit register: packed tensors begin at multiples

# What layouts of blocks add to their integers to make them unsigned. A block's dot product is then too large by the
# offset times the sum of the codes; Codes.starts holds the negatives of these, for each of OFFSETS, and then for the
# halves of blocks for HALF_OFFSET.
OFFSETS = (8, 16, 128)
HALF_OFFSET = 32
HALF_STARTS, HALF_SUMS = len(OFFSETS), 1  # the arrays of halves in Codes.starts and Codes.fine
START_ARRAYS = len(OFFSETS) + 2  # arrays in Codes.starts, each with one number a block

# The columns of a row of the weight table: layout number, offset in the packed buffer in bytes, rows, columns.
LAYOUT, OFFSET, ROWS, COLUMNS = range(4)
# Two layout numbers that belong to no matrix. ABSENT: the model lacks the tensor. VECTOR: a norm or a bias, always
# float32, padded with zeros to a multiple of 16.
ABSENT, VECTOR = range(2)
FIRST_BLOCK_LAYOUT = 5  # layouts with this number or a larger one are of quantised blocks

# The packed buffer, viewed as an array of each element type, read-only; the addresses of the layouts' kernels
# (dispatch.ADDRESSES), int64 [(largest layout number + 1) * len(KERNELS)]; and how many bytes past the current weights
# to prefetch (prefetching.DISTANCES), int64.
Weights = namedtuple("Weights", "u8 u16 f32 kernels distances")
# Quantised activations (see elementwise.quantize), token after token. With n blocks:
#   codes    int8 [32 n]
#   scales   float32 [n]
#   starts   int32 [START_ARRAYS][n]: what a block's dot product begins with, see OFFSETS; the last two arrays are one,
#            with a number for each half of a block
#   sums     float32 [2][n]: the sums of the blocks' numbers as decoded from the codes; and in the second array, at the
#            first of eight blocks, the scale of their fine codes
#   fine     int16 [3][n]: the fine codes, which are the sums in 16 bits, eight blocks with one scale; then the sums of
#            the codes of each half of a block
Codes = namedtuple("Codes", "codes scales starts sums fine")
# Float32 rows, one a token: row t begins at x[at + t * stride].
Rows = namedtuple("Rows", "x at stride")
# The input of a product: Rows, and the same rows as Codes, whose first block is number `first`. Layouts of floats read
# the Rows, layouts of blocks the Codes.
Activations = namedtuple("Activations", "rows codes first")

# The arguments of the kernels of a layout. matrix: a row of the weight table, int64[4].
# Product: to[t] = matrix @ given[t] for t < tokens, for the matrix rows in the groups begin .. end - 1.
# given: Activations. to: Rows.
Product = namedtuple("Product", "weights matrix begin end given tokens to")
# Row: out[out_at ...] = one decoded row of the matrix.
Row = namedtuple("Row", "weights matrix row out out_at")
# Squares: out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1.
Squares = namedtuple("Squares", "weights matrix begin end out")
# Pack: out = the packed matrix, of which raw has rows as in the file, uint8; the first is row `first_row`.
Pack = namedtuple("Pack", "raw columns first_row out")

FLOAT_ARRAY, INT_ARRAY = Array(np.float32), Array(np.int64)
WEIGHTS_STRUCT = Structure(
    Weights, u8=Array(np.uint8), u16=Array(np.uint16), f32=FLOAT_ARRAY, kernels=INT_ARRAY, distances=INT_ARRAY
)
CODES_STRUCT = Structure(
    Codes, codes=Array(np.int8), scales=FLOAT_ARRAY, starts=Array(np.int32), sums=FLOAT_ARRAY, fine=Array(np.int16)
)
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
PACK_STRUCT = Structure(Pack, raw=Array(np.uint8), out=Array(np.uint8))
# The kernels that compiled code calls, in the order of their addresses; only layouts of blocks have a panels.Tile.
KERNELS = ("product", "row", "squares", "tile")
PRODUCT_OF, ROW_OF, SQUARES_OF, TILE_OF = range(len(KERNELS))
PER_LAYOUT = len(KERNELS)


@dataclass(frozen=True)
class Layout:
    """All that the engine knows about one layout."""

    name: str  # the word in model/encodings.py, and the suffix of packed files
    number: int  # in the weight table and in packed files
    of_blocks: bool  # whether it reads activations as codes; if not, the weights are floats
    minima: bool  # whether blocks have minima
    group_bytes: Callable  # compiled: (columns) -> bytes of a group
    kernels: dict  # {name in KERNELS, or "pack": Kernel}


@compiled
def group_count(rows):
    """The number of groups of so many rows."""
    return (rows + GROUP - 1) // GROUP


@compiled
def token_block(tokens):
    """How many of the remaining tokens the next product takes: 4, 2 or 1."""
    return 4 if tokens >= 4 else 2 if tokens >= 2 else 1
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
AS $python$"""F16: half precision, widened when loaded. NVFP4 is packed so too: half precision holds each of its values."""

import functools

import numpy as np

from ...model import encodings
from ...simd.kernels import kernel
from ...simd.memory import load
from ...simd.registers import inlined
from ..floats import floats
from ..groups import GROUP
from ..packers import PACK_BY_TABLE, Packer

layout = floats("f16", 3, "u16", load)
# A block of NVFP4: four scales of a byte, for 16 columns each, and codes of four bits.
BLOCK_COLUMNS, CODES_AT, BLOCK_SIZE = 64, 4, 36


@functools.cache
def nvfp4_values():
    """The weight of each scale and each code, as the bytes of half precision: uint8 [256 * 16 * 2]."""
    blocks = np.zeros((256, BLOCK_SIZE), np.uint8)
    blocks[:, 0] = np.arange(256)
    blocks[:, CODES_AT : CODES_AT + 8] = [code | code + 8 << 4 for code in range(8)]
    return encodings.encode("F16", encodings.decode("NVFP4", blocks, (256, BLOCK_COLUMNS))[:, :16])


@kernel("pack_NVFP4", PACK_BY_TABLE)
def pack_nvfp4(p):
    """Pack a block of 16 rows at a time, so that the written lines stay in the cache."""
    blocks = p.columns // BLOCK_COLUMNS
    rows = p.raw.size // (blocks * BLOCK_SIZE)
    for begin in range(0, rows, GROUP):
        for block in range(blocks):
            for row in range(begin, min(begin + GROUP, rows)):
                group, r = divmod(p.first_row + row, GROUP)
                to = 2 * ((group * p.columns + block * BLOCK_COLUMNS) * GROUP + r)
                pack_block(p, (row * blocks + block) * BLOCK_SIZE, to)


@inlined
def pack_block(p, at, to):
    """Pack the block at raw[at]: its first column begins at out[to]."""
    for k in range(BLOCK_COLUMNS):
        code = p.raw[at + CODES_AT + k // 16 * 8 + k % 8] >> k % 16 // 8 * 4 & 15
        value = 2 * (16 * p.raw[at + k // 16] + code)
        p.out[to + 2 * k * GROUP], p.out[to + 2 * k * GROUP + 1] = p.table[value], p.table[value + 1]


PACKERS = {"NVFP4": Packer(pack_nvfp4, nvfp4_values)}
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__f16() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__f16() IS
'F16: half precision, widened when loaded. NVFP4 is packed so too: half precision holds each of its values.';

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

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__iq1()
RETURNS void
LANGUAGE plpython3u
AS $python$"""IQ1: as IQ2, with other integers; IQ1_S and IQ1_M are packed so, in 3.625 bits a weight.

A weight is d times an odd scale up to 15, times -1, 0 or 1 plus or minus an eighth: an eighth of -9, -7, -1, 1, 7 or 9.
"""

from ...simd.registers import compiled, inlined
from ..grids import ONE_SIGN, Form, first_scale, half_word, odd
from ..superblocks import superblocks
from .iq2 import described, packers


@compiled
def rows_of_s(raw, at, block, k):
    """IQ1_S: d; 32 bytes of rows; for each block the upper three bits of four rows, a scale, and the eighth's sign."""
    upper = half_word(raw, at + 34 + 2 * block)
    return raw[at + 2 + 4 * block + k // 2] | (upper >> k // 2 * 3 & 7) << 8, upper >> 15


@compiled
def scale_of_s(raw, at, block, half):
    """Three bits."""
    return odd(raw[at + 35 + 2 * block] >> 4 & 7)


@compiled
def rows_of_m(raw, at, block, k):
    """IQ1_M: 32 bytes of rows; four bits for each row, three of which are its upper ones, one the eighth's sign."""
    upper = raw[at + 32 + 2 * block + k // 4] >> k // 2 % 2 * 4
    return raw[at + 4 * block + k // 2] | (upper & 7) << 8, upper >> 3 & 1


@compiled
def scale_of_m(raw, at, block, half):
    """Three bits, of which a half of a word has four times three."""
    return odd(half_word(raw, at + 48 + block // 2 * 2) >> block % 2 * 6 + 3 * half & 7)


@inlined
def copy_scale_of_m(raw, at, out, to):
    """Join the scale, of which each half of a word of scales has four bits."""
    out[to] = raw[at + 49] >> 4 | raw[at + 51] & 0xF0
    out[to + 1] = raw[at + 53] >> 4 | raw[at + 55] & 0xF0


OF_IQ1 = described("iq1", 19, (-7, 1, 9, 0, -9, -1, 7, 0))
layout = superblocks(OF_IQ1)
PACKERS = packers(
    OF_IQ1,
    Form("IQ1_S", first_scale, rows_of_s, scale_of_s, ONE_SIGN),
    Form("IQ1_M", copy_scale_of_m, rows_of_m, scale_of_m, ONE_SIGN),
)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__iq1() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__iq1() IS
'IQ1: as IQ2, with other integers; IQ1_S and IQ1_M are packed so, in 3.625 bits a weight.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__iq2()
RETURNS void
LANGUAGE plpython3u
AS $python$"""IQ2: superblocks of 3-bit codes, each the number of an integer in a table; IQ2_XXS, IQ2_XS and IQ2_S are packed so.

A weight is an eighth of d, times the scale of half a block, which is odd, up to 31, times 8, 25 or 43 with a sign. All
three factors are kept, so it is exact. In a file the numbers of rows of a grid take the place of codes, in 2.06 to 2.56
bits a weight; here a weight takes 3.625 bits. A product would have to look up rows of the grid, one after the other,
for each row of the matrix: 16 rows in a register look up their codes by one instruction.

Blocks and lines of scales are as in Q3_K; the third bit is the sign.
"""

from ...simd.registers import compiled, inlined
from ..grids import EIGHT_SIGNS, SEVEN_SIGNS, Form, first_scale, grid_packer, half_word, odd, seven_signs
from ..groups import CACHE_LINE
from ..superblocks import Superblocks, superblocks
from .iq4 import TABLE_OFFSET, looked_up, table_of
from .q3k import LINE_BYTES, SCALES, SIZE, store_registers
from .q3k import registers as three_bits

EIGHTH = 1 / 8  # of d
MAGNITUDE_BITS = 2


@inlined
def store_block(out, place, scales, low, high):
    """Store a block and its scales; see grids.grid_packer."""
    to, block, r = place
    line = to + CACHE_LINE + block // 2 * LINE_BYTES
    out[line + block % 2 * 32 + r], out[line + block % 2 * 32 + 16 + r] = scales
    store_registers(out, line + CACHE_LINE + block % 2 * SIZE + 4 * r, low, high)


def described(name, number, integers):
    """The Superblocks of eight integers, those of the codes 0 .. 7: their grids have four magnitudes at most."""
    registers = looked_up(table_of([*integers] * 2), three_bits)
    return Superblocks(name, number, SIZE, TABLE_OFFSET, SCALES, registers, None, None, EIGHTH)


def packers(described, *forms):
    """{type: Packer} of Forms whose grids have eight columns."""
    return {form.type: grid_packer(form, described, store_block, 8, MAGNITUDE_BITS) for form in forms}


@compiled
def rows_of_xxs(raw, at, block, k):
    """IQ2_XXS: d; for each block four bytes of rows, and a word of their signs and the scale."""
    return raw[at + 2 + 8 * block + k // 2], seven_signs(raw, at + 6 + 8 * block, k)


@compiled
def scale_of_xxs(raw, at, block, half):
    """The upper four bits of a block's word."""
    return odd(raw[at + 9 + 8 * block] >> 4)


@compiled
def rows_of_xs(raw, at, block, k):
    """IQ2_XS: d; 32 halves of a word with a row and its signs; a byte of two scales for each block."""
    both = half_word(raw, at + 2 + 8 * block + k // 2 * 2)
    return both & 511, both >> 9


@compiled
def scale_of_xs(raw, at, block, half):
    """Four bits."""
    return odd(raw[at + 66 + block] >> 4 * half & 15)


@compiled
def rows_of_s(raw, at, block, k):
    """IQ2_S: d; 32 bytes of rows, 32 of signs, eight of upper bits of rows, eight of two scales each."""
    upper = raw[at + 66 + block] >> k // 2 * 2 & 3
    return raw[at + 2 + 4 * block + k // 2] | upper << 8, raw[at + 34 + 4 * block + k // 2]


@compiled
def scale_of_s(raw, at, block, half):
    """Four bits."""
    return odd(raw[at + 74 + block] >> 4 * half & 15)


OF_IQ2 = described("iq2", 18, (8, 25, 43, 0, -8, -25, -43, 0))
layout = superblocks(OF_IQ2)
PACKERS = packers(
    OF_IQ2,
    Form("IQ2_XXS", first_scale, rows_of_xxs, scale_of_xxs, SEVEN_SIGNS),
    Form("IQ2_XS", first_scale, rows_of_xs, scale_of_xs, SEVEN_SIGNS),
    Form("IQ2_S", first_scale, rows_of_s, scale_of_s, EIGHT_SIGNS),
)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__iq2() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__iq2() IS
'IQ2: superblocks of 3-bit codes, each the number of an integer in a table; IQ2_XXS, IQ2_XS and IQ2_S are '
'packed so.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__iq3s()
RETURNS void
LANGUAGE plpython3u
AS $python$"""IQ3_S: superblocks of 4-bit codes as in IQ4_XS; the integers are the odd ones up to 15 with a sign.

A weight is d times the scale of a block, which is odd, up to 31, times the integer, so it is exact. In a file the
numbers of rows of a grid take the place of codes, in 3.44 bits a weight; here a weight takes 4.375 bits. See IQ2.
"""

from ...simd.memory import store_word
from ...simd.registers import compiled, inlined
from ..grids import EIGHT_SIGNS, Form, first_scale, grid_packer, odd
from ..groups import CACHE_LINE
from ..superblocks import Superblocks, superblocks
from .iq4 import TABLE_OFFSET, looked_up, table_of
from .iq4xs import LINE_BYTES, PER_LINE, SCALES
from .q4 import SIZE

NUMBER_BITS, COLUMNS_OF_ROW = 3, 4  # of the number of a magnitude, in the grid


@inlined
def store_block(out, place, scales, low, high):
    """Store a block and its scale; see grids.grid_packer."""
    to, block, r = place
    line = to + CACHE_LINE + block // PER_LINE * LINE_BYTES
    out[line + block % PER_LINE * 16 + r] = scales[0]
    weights = line + CACHE_LINE + block % PER_LINE * SIZE + 4 * r
    for k in range(4):
        store_word(out, weights + k * CACHE_LINE, low[k] | high[k] << 4)


def described(name, number, magnitudes, factor=1):
    """The Superblocks of eight magnitudes with a sign; see superblocks.Superblocks."""
    table = table_of([*magnitudes, *(-m for m in magnitudes)])
    return Superblocks(name, number, SIZE, TABLE_OFFSET, SCALES, looked_up(table), None, None, factor)


def packers(described, form):
    """{type: Packer} of a Form whose grid has four columns."""
    return {form.type: grid_packer(form, described, store_block, COLUMNS_OF_ROW, NUMBER_BITS)}


@compiled
def rows_of_s(raw, at, block, k):
    """IQ3_S: d; 64 bytes of rows, eight of their ninth bits, 32 of signs, four of two scales each."""
    return raw[at + 2 + 8 * block + k] | (raw[at + 66 + block] >> k & 1) << 8, raw[at + 74 + 4 * block + k // 2]


@compiled
def scale_of_s(raw, at, block, half):
    """Four bits."""
    return odd(raw[at + 106 + block // 2] >> block % 2 * 4 & 15)


OF_IQ3_S = described("iq3s", 20, range(1, 16, 2))
layout = superblocks(OF_IQ3_S)
PACKERS = packers(OF_IQ3_S, Form("IQ3_S", first_scale, rows_of_s, scale_of_s, EIGHT_SIGNS))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__iq3s() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__iq3s() IS
'IQ3_S: superblocks of 4-bit codes as in IQ4_XS; the integers are the odd ones up to 15 with a sign.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__iq3xxs()
RETURNS void
LANGUAGE plpython3u
AS $python$"""IQ3_XXS: as IQ3_S, with other integers: a weight is half of d, times the scale, times the integer.

In a file a weight takes 3.06 bits; here it takes 4.375 bits.
"""

from ...simd.registers import compiled
from ..grids import SEVEN_SIGNS, Form, first_scale, odd, seven_signs
from ..superblocks import superblocks
from .iq3s import described, packers


@compiled
def rows_of_xxs(raw, at, block, k):
    """IQ3_XXS: d; 64 bytes of rows; for each block a word of signs and the scale."""
    return raw[at + 2 + 8 * block + k], seven_signs(raw, at + 66 + 4 * block, k)


@compiled
def scale_of_xxs(raw, at, block, half):
    """The upper four bits of a block's word."""
    return odd(raw[at + 69 + 4 * block] >> 4)


OF_IQ3_XXS = described("iq3xxs", 21, (2, 6, 10, 14, 18, 22, 26, 31), 1 / 2)
layout = superblocks(OF_IQ3_XXS)
PACKERS = packers(OF_IQ3_XXS, Form("IQ3_XXS", first_scale, rows_of_xxs, scale_of_xxs, SEVEN_SIGNS))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__iq3xxs() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__iq3xxs() IS
'IQ3_XXS: as IQ3_S, with other integers: a weight is half of d, times the scale, times the integer.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__iq4()
RETURNS void
LANGUAGE plpython3u
AS $python$"""IQ4: codes of four bits, each the number of an 8-bit integer in a table. A block is as in Q4; see there."""

import numpy as np

from ...model.encodings import BLOCKS
from ...model.quantizers import IQ4_VALUES
from ...simd.memory import load_bytes
from ...simd.registers import i32, inlined, look_up
from ..blocks import SCALE, Blocks, blocks
from .q4 import SIZE, pack
from .q4 import registers as four_bits

TABLE_OFFSET = 128  # of the table's values, to be unsigned


def table_of(values):
    """A table for look_up: int8[16] + TABLE_OFFSET, in each quarter of a register."""
    return np.tile((np.asarray(values, np.int32) + TABLE_OFFSET).astype(np.uint8), 4)


def looked_up(table, codes_of=four_bits):
    """Make the registers of a block from those of its codes, which are looked up in the table; see products.dots_of."""

    @inlined
    def registers(u8, at):
        values, (a, b, c, d, e, f, g, h) = load_bytes(table, 0, i32), codes_of(u8, at)
        low = look_up(values, a), look_up(values, b), look_up(values, c), look_up(values, d)
        return low + (look_up(values, e), look_up(values, f), look_up(values, g), look_up(values, h))

    return registers


TABLE = table_of(IQ4_VALUES)
layout = blocks(Blocks("iq4", 10, SIZE, TABLE_OFFSET, SCALE, looked_up(TABLE), BLOCKS["IQ4_NL"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__iq4() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__iq4() IS
'IQ4: codes of four bits, each the number of an 8-bit integer in a table. A block is as in Q4; see there.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__iq4xs()
RETURNS void
LANGUAGE plpython3u
AS $python$"""IQ4_XS: superblocks of codes as in IQ4; each block has a scale of 6 bits, stored as a signed byte.

A line of scales is int8[4 blocks][16 rows].
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_i8
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import BlockScales, Superblocks, superblocks
from .iq4 import TABLE, TABLE_OFFSET, looked_up
from .q4 import SIZE, pack_nibbles

PER_LINE = 4  # blocks that share a line of scales
LINE_BYTES = CACHE_LINE + PER_LINE * SIZE


@inlined
def scale(u8, line, block):
    """The scales of a block; see superblocks.BlockScales."""
    return load_i8(u8, line + 16 * block, i32)


@compiled
def six_bits(raw, at, block):
    """The scale of a block, of the upper two bits of eight scales, two bytes, and their lower four bits, four bytes."""
    low, upper = raw[at + 2 + block // 2] >> 4 * (block % 2) & 15, raw[at + block // 4] >> 2 * (block % 4) & 3
    return (low | upper << 4) - 32


@inlined
def pack(raw, at, out, to, r):
    """IQ4_XS: d, six bytes of scales, 128 of codes; see superblocks.Superblocks."""
    pack_scale(raw, at, out, to + 2 * r)
    for block in range(8):
        line, b = to + CACHE_LINE + block // PER_LINE * LINE_BYTES, block % PER_LINE
        out[line + 16 * b + r] = six_bits(raw, at + 2, block)
        pack_nibbles(raw, at + 8 + 16 * block, out, line + CACHE_LINE + b * SIZE, r)


SCALES = BlockScales(PER_LINE, False, scale, None)
layout = superblocks(Superblocks("iq4xs", 15, SIZE, TABLE_OFFSET, SCALES, looked_up(TABLE), BLOCKS["IQ4_XS"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__iq4xs() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__iq4xs() IS
'IQ4_XS: superblocks of codes as in IQ4; each block has a scale of 6 bits, stored as a signed byte.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__mxfp4()
RETURNS void
LANGUAGE plpython3u
AS $python$"""MXFP4: floats of four bits, which are codes of twice their values, and scales that are powers of two, a byte each."""

from ...model.encodings import BLOCKS, MXFP4_VALUES
from ...simd.memory import load_u8
from ...simd.registers import as_f32, i32, inlined, maximum_i32
from ..blocks import Blocks, Scales, blocks
from .iq4 import TABLE_OFFSET, looked_up, table_of
from .q4 import SIZE, pack_nibbles

# 2^-128 is the float of the bits 2^21, 2^-127 that of 2^22; from there on an exponent is the number minus 1.
SMALLEST = 1 << 21


@inlined
def half_powers(weights, at):
    """2^(e - 128), half of the scale of each row: the codes are of twice the values."""
    exponents = load_u8(weights.u8, at, i32)
    subnormal = SMALLEST + (exponents & 1) * SMALLEST
    return as_f32(maximum_i32((exponents - 1) << 23, subnormal))


@inlined
def pack(raw, at, out, scales, weights, r):
    """MXFP4: the exponent of the scale, and 16 bytes of codes; see blocks.Blocks."""
    out[scales + r] = raw[at]
    pack_nibbles(raw, at + 1, out, weights, r)


POWERS = Scales(4, False, half_powers)
REGISTERS = looked_up(table_of(MXFP4_VALUES))
layout = blocks(Blocks("mxfp4", 11, SIZE, TABLE_OFFSET, POWERS, REGISTERS, BLOCKS["MXFP4"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__mxfp4() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__mxfp4() IS
'MXFP4: floats of four bits, which are codes of twice their values, and scales that are powers of two, a byte '
'each.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q2k()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q2_K: superblocks of 2-bit integers; each half of a block has a scale and a minimum of 4 bits, in one byte.

A block is u8[2 lines][16 rows][4 bytes], one line for each half. Bits 2k and 2k + 1 of byte b are column 4k + b.
A line of scales is u8[2 blocks][2 halves][16 rows]: the scale in the low bits, the minimum in the high bits.
"""

import numpy as np

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_u8, load_word, store_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..packers import packer
from ..superblocks import MINIMA_AT, BlockScales, Superblocks, superblocks
from .q6k import LOWEST_TWO

SIZE = 128  # bytes of a block
LINE_BYTES = CACHE_LINE + 2 * SIZE


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    a, b = load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32)
    low = a & LOWEST_TWO, a >> 2 & LOWEST_TWO, a >> 4 & LOWEST_TWO, a >> 6 & LOWEST_TWO
    return low + (b & LOWEST_TWO, b >> 2 & LOWEST_TWO, b >> 4 & LOWEST_TWO, b >> 6 & LOWEST_TWO)


@inlined
def scale(u8, line, half):
    """The scales of half a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 16 * half, i32) & 15


@inlined
def minima(u8, line, block):
    """The minima of the halves of a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 32 * block, i32) >> 4 | load_u8(u8, line + 32 * block + 16, i32) >> 4 << 16


@inlined
def two_bits(raw, at, block, k):
    """The columns 4k .. 4k + 3 of a block of 64 bytes, as bytes of a word."""
    return load_word(raw, at + block // 4 * 32 + 4 * k) >> block % 4 * 2 & LOWEST_TWO


@inlined
def pack(raw, at, out, to, r):
    """Q2_K: 16 bytes of scales and minima, 64 of integers, d and dmin; see superblocks.Superblocks."""
    pack_scale(raw, at + 80, out, to + 2 * r)
    pack_scale(raw, at + 82, out, to + MINIMA_AT + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * LINE_BYTES
        for half in range(2):
            out[line + (block % 2 * 2 + half) * 16 + r] = raw[at + 2 * block + half]
            four = 0
            for k in range(4):
                four |= two_bits(raw, at + 16, block, 4 * half + k) << 2 * k
            store_word(out, line + CACHE_LINE + block % 2 * SIZE + half * CACHE_LINE + 4 * r, four)


SCALES = BlockScales(2, True, scale, minima)
OF_Q2_K = Superblocks("q2k", 17, SIZE, 0, SCALES, registers, BLOCKS["Q2_K"][1], pack)
layout = superblocks(OF_Q2_K)


# TQ1_0 and TQ2_0 are ternary: -1, 0 or 1 times d. That is d * (q - 1), a scale and a minimum of 1.
ONES = 0x11


@inlined
def pack_ones(raw, at, out, to, r):
    """Pack d as both scales of a superblock, and scales and minima of 1."""
    pack_scale(raw, at, out, to + 2 * r)
    pack_scale(raw, at, out, to + MINIMA_AT + 2 * r)
    for block in range(8):
        for half in range(2):
            out[to + CACHE_LINE + block // 2 * LINE_BYTES + (block % 2 * 2 + half) * 16 + r] = ONES


@inlined
def pack_tq2(raw, at, out, to, r, table):
    """TQ2_0: 64 bytes of integers as in Q2_K, d; see packers.packer."""
    pack_ones(raw, at + 64, out, to, r)
    for block in range(8):
        for half in range(2):
            four = 0
            for k in range(4):
                four |= two_bits(raw, at, block, 4 * half + k) << 2 * k
            store_word(out, place(to, block, half, r), four)


@compiled
def place(to, block, half, r):
    """Where the integers of half a block of row r begin."""
    return to + CACHE_LINE + block // 2 * LINE_BYTES + CACHE_LINE + block % 2 * SIZE + half * CACHE_LINE + 4 * r


EACH_16 = np.uint64(0x00FF00FF00FF00FF)  # the low byte of each 16 bits
THREE, EIGHT, SIXTEEN = np.uint64(3), np.uint64(8), np.uint64(16)


@compiled
def in_16_bits(word):
    """The bytes of a word, each in 16 bits."""
    wide = np.uint64(word)
    wide = (wide | wide << SIXTEEN) & np.uint64(0x0000FFFF0000FFFF)
    return (wide | wide << EIGHT) & EACH_16


@compiled
def in_8_bits(wide):
    """Four bytes, each in 16 bits, as a word."""
    wide = (wide | wide >> EIGHT) & np.uint64(0x0000FFFF0000FFFF)
    return np.uint32((wide | wide >> SIXTEEN) & np.uint64(0xFFFFFFFF))


@compiled
def next_digit(wide):
    """(the next digit of base three of four fractions of 256, the fractions behind it), each in 16 bits."""
    thrice = wide * THREE
    return thrice >> EIGHT & EACH_16, thrice & EACH_16


@compiled
def pack_digits(raw, at, out, halves, distance):
    """Pack five digits of each of 16 bytes: those of one power fill half a block, `distance` halves after the last."""
    to, first, r = halves
    a, b = in_16_bits(load_word(raw, at)), in_16_bits(load_word(raw, at + 4))
    c, d = in_16_bits(load_word(raw, at + 8)), in_16_bits(load_word(raw, at + 12))
    for n in range(5):
        (one, a), (two, b), (three, c), (four, d) = next_digit(a), next_digit(b), next_digit(c), next_digit(d)
        together = one | two << np.uint64(2) | three << np.uint64(4) | four << np.uint64(6)
        half = first + distance * n
        store_word(out, place(to, half // 2, half % 2, r), in_8_bits(together))


@inlined
def pack_tq1(raw, at, out, to, r, table):
    """TQ1_0: 32 bytes of five digits of base three, of columns 32 apart; 16 of 16 apart; four of four digits; d."""
    pack_ones(raw, at + 52, out, to, r)
    pack_digits(raw, at, out, (to, 0, r), 2)
    pack_digits(raw, at + 16, out, (to, 1, r), 2)
    pack_digits(raw, at + 32, out, (to, 10, r), 1)
    last, together = in_16_bits(load_word(raw, at + 48)), np.uint64(0)
    for k in range(4):
        digit, last = next_digit(last)
        together |= digit << np.uint64(2 * k)
    store_word(out, place(to, 7, 1, r), in_8_bits(together))


PACKERS = {"TQ1_0": packer("TQ1_0", OF_Q2_K, pack_tq1), "TQ2_0": packer("TQ2_0", OF_Q2_K, pack_tq2)}
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q2k() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q2k() IS
'Q2_K: superblocks of 2-bit integers; each half of a block has a scale and a minimum of 4 bits, in one byte.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q3k()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q3_K: superblocks of 3-bit integers, stored + 4; each half of a block has a scale of 6 bits, a signed byte here.

A block is u8[3 lines][16 rows][4 bytes]. Register k of a block holds its columns 4k .. 4k + 3, a byte each:
line 0 holds registers 0 and 1, three bits each, and bits 0-1 of register 6; line 1 holds registers 2 and 3 and bits 0-1
of register 7; line 2 holds registers 4 and 5, bit 2 of register 6 and bit 2 of register 7.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_word, store_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import BlockScales, Superblocks, superblocks
from .q5k import LOWEST_BITS
from .q6k import LOWEST_TWO, scale

SIZE = 192  # bytes of a block
LINE_BYTES = CACHE_LINE + 2 * SIZE
LOWEST_THREE, THIRD_BITS = 0x07070707, 0x04040404  # of each byte


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    a, b, c = load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32), load_bytes(u8, at + 2 * CACHE_LINE, i32)
    sixth = a >> 6 & LOWEST_TWO | c >> 4 & THIRD_BITS
    seventh = b >> 6 & LOWEST_TWO | c >> 5 & THIRD_BITS
    low = a & LOWEST_THREE, a >> 3 & LOWEST_THREE, b & LOWEST_THREE, b >> 3 & LOWEST_THREE
    return low + (c & LOWEST_THREE, c >> 3 & LOWEST_THREE, sixth, seventh)


@compiled
def six_bits(raw, at, half):
    """The scale of a half block, of twelve bytes: the lower four bits of 16 scales, then their upper two bits."""
    low, upper = raw[at + half % 8] >> half // 8 * 4 & 15, raw[at + 8 + half % 4] >> half // 4 * 2 & 3
    return (low | upper << 4) - 32


@compiled
def four_columns(raw, at, block, k):
    """The columns 4k .. 4k + 3 of a block, as bytes of a word."""
    half, quarter = block // 4, block % 4
    low = load_word(raw, at + 32 + 32 * half + 4 * k) >> 2 * quarter & LOWEST_TWO
    return low | (load_word(raw, at + 4 * k) >> block & LOWEST_BITS) << 2


@inlined
def store_registers(out, to, low, high):
    """Store a row's part of a block: four words each for the columns 0 .. 15 and 16 .. 31."""
    sixth, seventh = high[2], high[3]
    store_word(out, to, low[0] | low[1] << 3 | (sixth & LOWEST_TWO) << 6)
    store_word(out, to + CACHE_LINE, low[2] | low[3] << 3 | (seventh & LOWEST_TWO) << 6)
    upper = (sixth & THIRD_BITS) << 4 | (seventh & THIRD_BITS) << 5
    store_word(out, to + 2 * CACHE_LINE, high[0] | high[1] << 3 | upper)


@compiled
def columns_of_half(raw, at, block, k):
    """The registers k .. k + 3 of a row's block."""
    first, second = four_columns(raw, at, block, k), four_columns(raw, at, block, k + 1)
    return first, second, four_columns(raw, at, block, k + 2), four_columns(raw, at, block, k + 3)


@inlined
def pack(raw, at, out, to, r):
    """Q3_K: 32 bytes of third bits, 64 of low bits, twelve of scales, d; see superblocks.Superblocks."""
    pack_scale(raw, at + 108, out, to + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * LINE_BYTES
        for half in range(2):
            out[line + (block % 2 * 2 + half) * 16 + r] = six_bits(raw, at + 96, 2 * block + half)
        low, high = columns_of_half(raw, at, block, 0), columns_of_half(raw, at, block, 4)
        store_registers(out, line + CACHE_LINE + block % 2 * SIZE + 4 * r, low, high)


SCALES = BlockScales(2, True, scale, None)
layout = superblocks(Superblocks("q3k", 16, SIZE, 4, SCALES, registers, BLOCKS["Q3_K"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q3k() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q3k() IS
'Q3_K: superblocks of 3-bit integers, stored + 4; each half of a block has a scale of 6 bits, a signed byte '
'here.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q4()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q4: 4-bit integers, stored + 8. A block is u8[4 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block in its low bits, column 4k + b + 16 in its high bits.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_word, store_word
from ...simd.registers import inlined
from ..blocks import SCALE, Blocks, blocks, lines, pack_scale

SIZE = 256  # bytes of a block
LOW_NIBBLES = 0x0F0F0F0F  # masks the lower four bits of each byte


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    a, b, c, d = lines(u8, at)
    low = a & LOW_NIBBLES, b & LOW_NIBBLES, c & LOW_NIBBLES, d & LOW_NIBBLES
    return low + (a >> 4 & LOW_NIBBLES, b >> 4 & LOW_NIBBLES, c >> 4 & LOW_NIBBLES, d >> 4 & LOW_NIBBLES)


@inlined
def pack_nibbles(raw, at, out, weights, r):
    """Pack 16 bytes, whose low bits are columns 0 .. 15 and whose high bits are columns 16 .. 31."""
    for k in range(4):
        store_word(out, weights + k * 64 + 4 * r, load_word(raw, at + 4 * k))


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q4_0: an f16 scale and 16 bytes of integers; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_nibbles(raw, at + 2, out, weights, r)


layout = blocks(Blocks("q4", 6, SIZE, 8, SCALE, registers, BLOCKS["Q4_0"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q4() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q4() IS
'Q4: 4-bit integers, stored + 8. A block is u8[4 lines][16 rows][4 bytes].';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q4_1()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q4_1: 4-bit integers as in Q4, without an offset, and a minimum for each block."""

from ...model.encodings import BLOCKS
from ...simd.registers import inlined
from ..blocks import MINIMUM_AT, SCALE_AND_MINIMUM, Blocks, blocks, pack_scale
from .q4 import SIZE, pack_nibbles, registers


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q4_1: an f16 scale, an f16 minimum and 16 bytes of integers; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_scale(raw, at + 2, out, scales + MINIMUM_AT + 2 * r)
    pack_nibbles(raw, at + 4, out, weights, r)


layout = blocks(Blocks("q4_1", 8, SIZE, 0, SCALE_AND_MINIMUM, registers, BLOCKS["Q4_1"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q4_1() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q4_1() IS
'Q4_1: 4-bit integers as in Q4, without an offset, and a minimum for each block.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q4k()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q4_K: superblocks of 4-bit integers; blocks have scales and minima of 6 bits, stored as bytes.

A block is as in Q4. A line of scales is u8[2 blocks][16 rows] scales, then u8[16 rows][2 blocks] minima.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_u8, load_u8_pairs, load_word, store_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import MINIMA_AT, BlockScales, Superblocks, superblocks
from .q4 import LOW_NIBBLES, SIZE, registers

SIX_BITS = 63


@inlined
def scale(u8, line, block):
    """The scales of a block; see superblocks.BlockScales."""
    return load_u8(u8, line + 16 * block, i32)


@inlined
def minima(u8, line, block):
    """The minima of both blocks of a line; see superblocks.BlockScales."""
    return load_u8_pairs(u8, line + MINIMA_AT, i32)


SCALES = BlockScales(2, False, scale, minima)


@compiled
def six_bits(raw, at, block):
    """(scale, minimum) of a block, of the twelve bytes at raw[at] that hold those of eight blocks."""
    if block < 4:
        return raw[at + block] & SIX_BITS, raw[at + 4 + block] & SIX_BITS
    low, scale_bits, minimum_bits = raw[at + 4 + block], raw[at + block - 4] >> 6, raw[at + block] >> 6
    return low & 15 | scale_bits << 4, low >> 4 | minimum_bits << 4


@inlined
def pack_scales(raw, at, out, to, r, line_bytes):
    """Pack d, dmin and the 6-bit fields, which are the first 16 bytes of a superblock."""
    pack_scale(raw, at, out, to + 2 * r)
    pack_scale(raw, at + 2, out, to + MINIMA_AT + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * line_bytes
        scale, minimum = six_bits(raw, at + 4, block)
        out[line + block % 2 * 16 + r] = scale
        out[line + MINIMA_AT + 2 * r + block % 2] = minimum


@inlined
def pack_low_bits(raw, at, out, weights, r, upper):
    """Pack the lower four bits of a block: the low or the high (`upper`) halves of 32 bytes."""
    for k in range(4):
        low = load_word(raw, at + 4 * k) >> 4 * upper & LOW_NIBBLES
        high = load_word(raw, at + 16 + 4 * k) >> 4 * upper & LOW_NIBBLES
        store_word(out, weights + k * CACHE_LINE + 4 * r, low | high << 4)


LINE_BYTES = CACHE_LINE + 2 * SIZE


@inlined
def pack(raw, at, out, to, r):
    """Q4_K: d, dmin, twelve bytes of scales and minima, 128 bytes of integers; see superblocks.Superblocks."""
    pack_scales(raw, at, out, to, r, LINE_BYTES)
    for block in range(8):
        weights = to + CACHE_LINE + block // 2 * LINE_BYTES + CACHE_LINE + block % 2 * SIZE
        pack_low_bits(raw, at + 16 + block // 2 * 32, out, weights, r, block % 2)


layout = superblocks(Superblocks("q4k", 12, SIZE, 0, SCALES, registers, BLOCKS["Q4_K"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q4k() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q4k() IS
'Q4_K: superblocks of 4-bit integers; blocks have scales and minima of 6 bits, stored as bytes.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q5()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q5: 5-bit integers, stored + 16. A block is u8[16 rows][4 bytes] of fifth bits, then u8[4 lines][16 rows][4 bytes].

Byte b of line k holds the lower four bits of column 4k + b in its low bits, of column 4k + b + 16 in its high bits.
Their fifth bits are bits 4 + k and k of byte b of the first line.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_word
from ...simd.registers import compiled, i32, inlined
from ..blocks import SCALE, Blocks, blocks, lines, pack_scale
from ..groups import CACHE_LINE
from .q4 import LOW_NIBBLES, pack_nibbles

SIZE = 320  # bytes of a block
FIFTH_BITS = 0x10101010  # masks the fifth bit of each byte


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    fifths = load_bytes(u8, at, i32)
    a, b, c, d = lines(u8, at + CACHE_LINE)
    first, second = a & LOW_NIBBLES | fifths & FIFTH_BITS, b & LOW_NIBBLES | fifths >> 1 & FIFTH_BITS
    third, fourth = c & LOW_NIBBLES | fifths >> 2 & FIFTH_BITS, d & LOW_NIBBLES | fifths >> 3 & FIFTH_BITS
    fifth, sixth = a >> 4 & LOW_NIBBLES | fifths << 4 & FIFTH_BITS, b >> 4 & LOW_NIBBLES | fifths << 3 & FIFTH_BITS
    seventh, eighth = c >> 4 & LOW_NIBBLES | fifths << 2 & FIFTH_BITS, d >> 4 & LOW_NIBBLES | fifths << 1 & FIFTH_BITS
    return first, second, third, fourth, fifth, sixth, seventh, eighth


@compiled
def every_fourth(bits):
    """Bits 0, 4, 8 and 12 as bits 0 .. 3."""
    pairs = (bits & 0x1111) | (bits & 0x1111) >> 3
    return (pairs & 0x0303 | (pairs & 0x0303) >> 6) & 15


@inlined
def pack_fifths(raw, at, out, weights, r):
    """Pack the fifth bits of 32 columns, which are four bytes in their order."""
    bits = load_word(raw, at)
    for byte in range(4):
        out[weights + 4 * r + byte] = every_fourth(bits >> byte) << 4 | every_fourth(bits >> 16 + byte)


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q5_0: an f16 scale, 32 fifth bits and 16 bytes; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_fifths(raw, at + 2, out, weights, r)
    pack_nibbles(raw, at + 6, out, weights + CACHE_LINE, r)


layout = blocks(Blocks("q5", 7, SIZE, 16, SCALE, registers, BLOCKS["Q5_0"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q5() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q5() IS
'Q5: 5-bit integers, stored + 16. A block is u8[16 rows][4 bytes] of fifth bits, then u8[4 lines][16 rows][4 '
'bytes].';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q5_1()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q5_1: 5-bit integers as in Q5, without an offset, and a minimum for each block."""

from ...model.encodings import BLOCKS
from ...simd.registers import inlined
from ..blocks import MINIMUM_AT, SCALE_AND_MINIMUM, Blocks, blocks, pack_scale
from ..groups import CACHE_LINE
from .q4 import pack_nibbles
from .q5 import SIZE, pack_fifths, registers


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q5_1: an f16 scale, an f16 minimum, 32 fifth bits and 16 bytes; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    pack_scale(raw, at + 2, out, scales + MINIMUM_AT + 2 * r)
    pack_fifths(raw, at + 4, out, weights, r)
    pack_nibbles(raw, at + 8, out, weights + CACHE_LINE, r)


layout = blocks(Blocks("q5_1", 9, SIZE, 0, SCALE_AND_MINIMUM, registers, BLOCKS["Q5_1"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q5_1() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q5_1() IS
'Q5_1: 5-bit integers as in Q5, without an offset, and a minimum for each block.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q5k()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q5_K: superblocks of 5-bit integers; a block is as in Q5, without an offset, scales and minima as in Q4_K."""

from ...model.encodings import BLOCKS
from ...simd.memory import load_word, store_word
from ...simd.registers import inlined
from ..groups import CACHE_LINE
from ..superblocks import Superblocks, superblocks
from .q4k import SCALES, pack_low_bits, pack_scales
from .q5 import SIZE, registers

LINE_BYTES = CACHE_LINE + 2 * SIZE
LOWEST_BITS = 0x01010101  # masks the lowest bit of each byte


@inlined
def pack_fifths(raw, at, out, weights, r, block):
    """Pack the fifth bits of a block: bit number `block` of each of 32 bytes."""
    fifths = 0
    for k in range(4):
        fifths |= (load_word(raw, at + 4 * k) >> block & LOWEST_BITS) << 4 + k
        fifths |= (load_word(raw, at + 16 + 4 * k) >> block & LOWEST_BITS) << k
    store_word(out, weights + 4 * r, fifths)


@inlined
def pack(raw, at, out, to, r):
    """Q5_K: d, dmin, twelve bytes of scales and minima, 32 of fifth bits, 128 of the others."""
    pack_scales(raw, at, out, to, r, LINE_BYTES)
    for block in range(8):
        weights = to + CACHE_LINE + block // 2 * LINE_BYTES + CACHE_LINE + block % 2 * SIZE
        pack_fifths(raw, at + 16, out, weights, r, block)
        pack_low_bits(raw, at + 48 + block // 2 * 32, out, weights + CACHE_LINE, r, block % 2)


layout = superblocks(Superblocks("q5k", 13, SIZE, 0, SCALES, registers, BLOCKS["Q5_K"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q5k() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q5k() IS
'Q5_K: superblocks of 5-bit integers; a block is as in Q5, without an offset, scales and minima as in Q4_K.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q6k()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q6_K: superblocks of 6-bit integers, stored + 32; each half of a block has an 8-bit scale.

A block is u8[2 halves][3 lines][16 rows][4 bytes]. The low six bits of byte b of line k are column 4k + b of the half;
the upper two bits of the lines 0, 1, 2 are those of columns 12 + b: bits 0-1, 2-3 and 4-5.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_bytes, load_i8, load_word, store_word
from ...simd.registers import i32, inlined
from ..blocks import pack_scale
from ..groups import CACHE_LINE
from ..superblocks import BlockScales, Superblocks, superblocks
from .q4 import LOW_NIBBLES

SIZE = 384  # bytes of a block
HALF_SIZE = 3 * CACHE_LINE  # bytes of half a block
LINE_BYTES = CACHE_LINE + 2 * SIZE
LOWEST_SIX, LOWEST_TWO, NEXT_TWO, UPPER_TWO = 0x3F3F3F3F, 0x03030303, 0x0C0C0C0C, 0x30303030  # of each byte


@inlined
def half_of(u8, at):
    """Half a block, as four registers of four columns."""
    a, b, c = load_bytes(u8, at, i32), load_bytes(u8, at + CACHE_LINE, i32), load_bytes(u8, at + 2 * CACHE_LINE, i32)
    fourth = (a >> 6) & LOWEST_TWO | (b >> 4) & NEXT_TWO | (c >> 2) & UPPER_TWO
    return a & LOWEST_SIX, b & LOWEST_SIX, c & LOWEST_SIX, fourth


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    return half_of(u8, at) + half_of(u8, at + HALF_SIZE)


@inlined
def scale(u8, line, half):
    """The scales of half a block; see superblocks.BlockScales."""
    return load_i8(u8, line + 16 * half, i32)


@inlined
def four_columns(raw, at, block, k):
    """The columns 4k .. 4k + 3 of a block, as bytes of a word."""
    half, quarter = block // 4, block % 4
    low = load_word(raw, at + 64 * half + 32 * (quarter % 2) + 4 * k) >> quarter // 2 * 4 & LOW_NIBBLES
    return low | (load_word(raw, at + 128 + 32 * half + 4 * k) >> 2 * quarter & LOWEST_TWO) << 4


@inlined
def pack(raw, at, out, to, r):
    """Q6_K: 128 bytes of low bits, 64 of upper bits, 16 of scales, d; see superblocks.Superblocks."""
    pack_scale(raw, at + 208, out, to + 2 * r)
    for block in range(8):
        line = to + CACHE_LINE + block // 2 * LINE_BYTES
        for half in range(2):
            out[line + (block % 2 * 2 + half) * 16 + r] = raw[at + 192 + 2 * block + half]
            weights = line + CACHE_LINE + block % 2 * SIZE + half * HALF_SIZE
            fourth = four_columns(raw, at, block, 4 * half + 3)
            for k in range(3):
                upper = (fourth >> 2 * k & LOWEST_TWO) << 6
                store_word(out, weights + k * CACHE_LINE + 4 * r, four_columns(raw, at, block, 4 * half + k) | upper)


SCALES = BlockScales(2, True, scale, None)
layout = superblocks(Superblocks("q6k", 14, SIZE, 32, SCALES, registers, BLOCKS["Q6_K"][1], pack))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__layouts__q6k() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__layouts__q6k() IS
'Q6_K: superblocks of 6-bit integers, stored + 32; each half of a block has an 8-bit scale.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__layouts__q8()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Q8: 8-bit integers, stored + 128. A block is u8[8 lines][16 rows][4 bytes].

Byte b of line k holds column 4k + b of the block.
"""

from ...model.encodings import BLOCKS
from ...simd.memory import load_word, store_word
from ...simd.registers import inlined
from ..blocks import SCALE, Blocks, blocks, lines, pack_scale

SIGN_BITS = 0x80808080  # int8 ^ this is the integer + 128


@inlined
def registers(u8, at):
    """The integers of a block; see products.dots_of."""
    return lines(u8, at) + lines(u8, at + 256)


@inlined
def pack(raw, at, out, scales, weights, r):
    """Q8_0: an f16 scale and 32 int8; see blocks.Blocks."""
    pack_scale(raw, at, out, scales + 2 * r)
    for k in range(8):
        store_word(out, weights + k * 64 + 4 * r, load_word(raw, at + 2 + 4 * k) ^ SIGN_BITS)


layout = blocks(Blocks("q8", 5, 512, 128, SCALE, registers, BLOCKS["Q8_0"][1], pack))
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
from .groups import (
    FIRST_BLOCK_LAYOUT,
    LAYOUT,
    PER_LAYOUT,
    PRODUCT_OF,
    PRODUCT_STRUCT,
    ROW_OF,
    ROW_STRUCT,
    SQUARES_OF,
    SQUARES_STRUCT,
    Product,
    Row,
    Squares,
)

_multiply, _decode, _square = caller(PRODUCT_STRUCT), caller(ROW_STRUCT), caller(SQUARES_STRUCT)


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

CREATE OR REPLACE FUNCTION llm_runtime.kernels__packers()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Kernels that pack a type into a layout that other types have too, or with a table.

A layout's own kernel packs one type. A module of `layouts` that packs others has PACKERS, {type: Packer}. Each is
compiled at the first tensor of its type.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..model.encodings import BLOCKS
from ..simd.frames import Array, Structure
from ..simd.kernels import Kernel, caller, kernel
from ..simd.registers import entry
from .groups import GROUP
from .superblocks import SUPERBLOCK, superblock_bytes

# As groups.Pack, with the table of the Packer.
PackByTable = namedtuple("PackByTable", "raw columns first_row out table")
PACK_BY_TABLE = Structure(PackByTable, raw=Array(np.uint8), out=Array(np.uint8), table=Array(np.uint8))
NO_TABLE = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class Packer:
    """How a type is packed."""

    kernel: Kernel  # of PackByTable
    table: Callable = lambda: NO_TABLE  # () -> what the kernel reads beside the bytes of the file, uint8

    def pack(self, raw, columns, first_row, out):
        """Pack rows as they are in a file; see groups.Pack."""
        call(self.kernel.address(), raw, columns, first_row, out, self.table())


_pack = caller(PACK_BY_TABLE)


@entry
def call(address, raw, columns, first_row, out, table):
    """Call the kernel at the address."""
    _pack(address, PackByTable(raw, columns, first_row, out, table))


def packer(type, described, pack, table=lambda: NO_TABLE):
    """Make the Packer of a type into the layout of a Superblocks.

    pack: (raw, at, out, to, r, table) -> None: packs the superblock at raw[at], of row r of a group, to out[to ...].
    """
    size, file_bytes = superblock_bytes(described), BLOCKS[type][1]

    @kernel(f"pack_{type}", PACK_BY_TABLE)
    def rows(p):
        count = p.columns // SUPERBLOCK
        for row in range(p.raw.size // (count * file_bytes)):
            group, r = divmod(p.first_row + row, GROUP)
            for s in range(count):
                pack(p.raw, (row * count + s) * file_bytes, p.out, (group * count + s) * size, r, p.table)

    return Packer(rows, table)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__packers() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__packers() IS
'Kernels that pack a type into a layout that other types have too, or with a table.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__packing()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packs tensors for the kernels: vectors as float32, matrices in the layout of their type.

    types with a layout (model/encodings.py)    exact
    all other types                             F16: weights are rounded to half precision, with an error of at most
                                                2^-11 of their size or 2^-25, and clipped at 65,504

Packing is a pure function of type, shape and bytes: equal tensors pack to equal bytes.
"""

import numpy as np

from ..model import encodings
from ..server import errors
from ..simd.kernels import caller
from ..simd.registers import entry
from .dispatch import LAYOUT_BY_NAME, LAYOUT_BY_NUMBER, PACKER_OF, load
from .groups import GROUP, PACK_STRUCT, VECTOR, Pack, group_count

ROUNDED = LAYOUT_BY_NAME["f16"]
LAYOUT_OF = {
    e.name: LAYOUT_BY_NAME[e.layout].number for e in encodings.ENCODINGS if e.layout
}  # {type: layout number}, exact

LARGEST_HALF = np.float32(65504)
TRIAL_COLUMNS = 256  # columns of a matrix of any encoding: a multiple of all block sizes
_prepared = set()  # types

_pack = caller(PACK_STRUCT)


@entry
def call(address, raw, columns, first_row, out):
    """Call the kernel at the address; see groups.Pack."""
    _pack(address, Pack(raw, columns, first_row, out))


def is_prepared(type):
    """Whether `prepare` has been called with the type in this process."""
    return type in _prepared


def prepare(type):
    """Compile what packs the matrices of a type and what computes with them; load it, if that has been done before."""
    shape = 1, TRIAL_COLUMNS
    load(layout_of(type, shape))
    pack_tensor(bytes(encodings.row_bytes(type, TRIAL_COLUMNS)), type, shape)
    _prepared.add(type)


def layout_of(type, shape):
    """The layout number of a tensor.

    Raises ModelError 0A000 for an unknown type, or a shape of other than one or two dimensions.
    """
    encodings.row_bytes(type, shape[-1] if shape else 1)
    if len(shape) not in (1, 2):
        raise errors.not_supported(f"a tensor of {len(shape)} dimensions cannot be packed", f"its shape is {shape}")
    return VECTOR if len(shape) == 1 else LAYOUT_OF.get(type, ROUNDED.number)


def is_searchable(type):
    """Whether similarity.PackedTable can search matrices of a type: they are exact, and their blocks have no minima.

    With minima a row can be the small difference of large parts, so its length does not bound the error of a product.
    """
    return type in LAYOUT_OF and not LAYOUT_BY_NUMBER[LAYOUT_OF[type]].minima


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
    elif type in PACKER_OF:
        PACKER_OF[type].pack(raw, columns, first_row, out)
    else:
        exact = raw if type in LAYOUT_OF else _rounded(encodings.decode(type, raw, (rows, columns)))
        call(LAYOUT_BY_NUMBER[layout].kernels["pack"].address(), exact, columns, first_row, out)


def _rounded(values):
    """Values as half precision, as uint8. Finite values are clipped to the largest half; infinity stays infinity."""
    near = np.clip(values, -LARGEST_HALF, LARGEST_HALF)
    return np.where(np.isinf(values), values, near).astype(np.float16).reshape(-1).view(np.uint8)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__packing() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__packing() IS
'Packs tensors for the kernels: vectors as float32, matrices in the layout of their type.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__panels()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Products with many tokens: two groups are unpacked, 256 columns at a time, and multiplied with all tokens.

A panel is what 256 columns of two groups become: their integers as bytes, as in the layout Q8, and their scales as
float32. It stays in the nearest cache while all tokens are multiplied with it, four at a time: a register tile of two
groups and four tokens uses each register of weights four times and each register of activations twice. The sums of a
tile begin with those of the columns before it.

All layouts of blocks share these kernels: those with the same kind of scales, offset and minima have the same tile.
Weights are unpacked once for all tokens, so that costs little however they are packed.
"""

import functools
from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.frames import Array, Structure
from ..simd.kernels import kernel
from ..simd.memory import in_order, load, load_bytes, load_pairs, prefetch, spread, spread_bytes, spread_pairs, store
from ..simd.registers import dot2, dot4, f32, fill, fma, i32, inlined, to_f32
from .groups import CACHE_LINE, CODES_STRUCT, GROUP, HALF_SUMS, ROWS_STRUCT
from .starts import half_starts, starts

TILE_TOKENS = 4
TILE_F32, TILE_I32 = f32[TILE_TOKENS], i32[TILE_TOKENS]  # the sums of one group
PANEL_BLOCKS = 8  # blocks of a panel: those of a superblock
BLOCK_BYTES = BLOCK * GROUP
GROUP_BYTES = PANEL_BLOCKS * BLOCK_BYTES  # of `bytes` below
# Where in `floats` and `pairs` below the parts of a group begin
SCALES, MINIMA, SUPER_SCALES, SUPER_MINIMA, GROUP_FLOATS = (
    GROUP * n for n in (0, 2 * PANEL_BLOCKS, 3 * PANEL_BLOCKS, 3 * PANEL_BLOCKS + 1, 3 * PANEL_BLOCKS + 2)
)
GROUP_PAIRS = 2 * GROUP * PANEL_BLOCKS
PANEL_BYTES, PANEL_FLOATS, PANEL_PAIRS = 2 * GROUP_BYTES, 2 * GROUP_FLOATS, 2 * GROUP_PAIRS

# A panel of two groups:
#   bytes    uint8 [2][8 blocks][8 lines][16 rows][4]: the integers with their offset
#   floats   float32 [2]: scales [8][16] of blocks or [8][2][16] of halves, minima [8][16] of blocks, scales [16] of the
#            superblock, scales [16] of its minima
#   pairs    int16 [2]: the minima of the blocks of a superblock [4][16][2], or of halves [8][16][2]
Panel = namedtuple("Panel", "bytes floats pairs")
# Tile: to[t] += panel @ the codes of token t, for t < tokens, a multiple of four.
#   first         number of the first block of token 0; there are `blocks` blocks here, and `row_blocks` in a token
#   second_at     the sums of the second group go to to.x[second_at ...]
#   begins        whether the sums begin with zero
#   next, second_next    from where in u8 `lines` lines of cache are prefetched meanwhile
Tile = namedtuple("Tile", "panel codes first blocks row_blocks tokens to second_at begins u8 next second_next lines")

PANEL_STRUCT = Structure(Panel, bytes=Array(np.uint8), floats=Array(np.float32), pairs=Array(np.int16))
TILE_STRUCT = Structure(Tile, panel=PANEL_STRUCT, codes=CODES_STRUCT, to=ROWS_STRUCT, u8=Array(np.uint8))


@inlined
def _dots_of_two(bytes, at, lines, sums, codes, column, columns):
    """`sums` plus the dot products of so many lines at bytes[at] with four tokens; both groups, which begin alike."""
    second, second_sums = at + GROUP_BYTES, sums
    for k in range(lines):
        if k == 4:
            in_order()  # or LLVM would do all sixteen loads first, and run out of registers
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(bytes, at + k * CACHE_LINE, i32), x)
        second_sums = dot4(second_sums, load_bytes(bytes, second + k * CACHE_LINE, i32), x)
    return sums, second_sums


@inlined
def _add_block(p, b, block, start, totals):
    """Add a block with one scale: the integer dot product times the scales of the weights and of the activations."""
    total, second_total = totals
    floats, codes, columns = p.panel.floats, p.codes, p.row_blocks * BLOCK
    sums, second_sums = _dots_of_two(p.panel.bytes, b * BLOCK_BYTES, 8, start, codes.codes, block * BLOCK, columns)
    x = spread(codes.scales, block, TILE_F32, p.row_blocks)
    total = fma(to_f32(sums), load(floats, SCALES + b * GROUP, f32) * x, total)
    second_total = fma(to_f32(second_sums), load(floats, GROUP_FLOATS + SCALES + b * GROUP, f32) * x, second_total)
    return total, second_total


@inlined
def _add_minimum(p, b, block, totals):
    """Add a block's minimum times the sum of its activations."""
    total, second_total = totals
    floats, x = p.panel.floats, spread(p.codes.sums, block, TILE_F32, p.row_blocks)
    total = fma(load(floats, MINIMA + b * GROUP, f32), x, total)
    return total, fma(load(floats, GROUP_FLOATS + MINIMA + b * GROUP, f32), x, second_total)


@inlined
def _subtract_fine_minima(p, first, totals):
    """Subtract the minima of a superblock, which are multiplied with the fine codes of the activations' sums."""
    total, second_total = totals
    pairs, floats, sums, second_sums = p.panel.pairs, p.panel.floats, fill(0, TILE_I32), fill(0, TILE_I32)
    for b in range(0, PANEL_BLOCKS, 2):
        x = spread_pairs(p.codes.fine, first + b, TILE_I32, p.row_blocks)
        sums = dot2(sums, load_pairs(pairs, b * GROUP, i32), x)
        second_sums = dot2(second_sums, load_pairs(pairs, GROUP_PAIRS + b * GROUP, i32), x)
    scale = spread(p.codes.sums, len(p.codes.scales) + first, TILE_F32, p.row_blocks)
    minima, second_minima = load(floats, SUPER_MINIMA, f32), load(floats, GROUP_FLOATS + SUPER_MINIMA, f32)
    total = fma(to_f32(sums), (0.0 - minima) * scale, total)
    return total, fma(to_f32(second_sums), (0.0 - second_minima) * scale, second_total)


def _blocks_tile(offset, minimum, fine):
    """Make the tile for scales of blocks: (Tile, first block of the tokens, sums of both groups) -> sums."""
    start_of = starts(offset, TILE_I32)

    @inlined
    def tile(p, first, totals):
        for b in range(p.blocks):
            totals = _add_block(p, b, first + b, start_of(p.codes, first + b, p.row_blocks), totals)
            if minimum:
                totals = _add_minimum(p, b, first + b, totals)
            in_order()
        if fine:
            totals = _subtract_fine_minima(p, first, totals)
        return totals

    return tile


@inlined
def _add_halves(p, b, block, start, parts):
    """Add both halves of a block, whose integer scales are float32 here: all sums are whole numbers below 2^24."""
    one, two = start
    part, second_part = parts
    bytes, floats, columns, column = p.panel.bytes, p.panel.floats, p.row_blocks * BLOCK, block * BLOCK
    at, to, second = b * BLOCK_BYTES, SCALES + 2 * b * GROUP, GROUP_FLOATS + SCALES + 2 * b * GROUP
    one, second_one = _dots_of_two(bytes, at, 4, one, p.codes.codes, column, columns)
    sums, second_sums = to_f32(one) * load(floats, to, f32), to_f32(second_one) * load(floats, second, f32)
    in_order()
    two, second_two = _dots_of_two(bytes, at + BLOCK_BYTES // 2, 4, two, p.codes.codes, column + 16, columns)
    sums = fma(to_f32(two), load(floats, to + GROUP, f32), sums)
    second_sums = fma(to_f32(second_two), load(floats, second + GROUP, f32), second_sums)
    x = spread(p.codes.scales, block, TILE_F32, p.row_blocks)
    return fma(sums, x, part), fma(second_sums, x, second_part)


@inlined
def _subtract_half_minima(p, b, block, lows):
    """Subtract the minima of a block's halves times the sums of their codes."""
    low, second_low = lows
    pairs, at = p.panel.pairs, 2 * b * GROUP
    sums = spread_pairs(p.codes.fine, HALF_SUMS * len(p.codes.scales) + 2 * block, TILE_I32, 2 * p.row_blocks)
    x = spread(p.codes.scales, block, TILE_F32, p.row_blocks)
    product = dot2(fill(0, TILE_I32), load_pairs(pairs, at, i32), sums)
    second_product = dot2(fill(0, TILE_I32), load_pairs(pairs, GROUP_PAIRS + at, i32), sums)
    return fma(0.0 - to_f32(product), x, low), fma(0.0 - to_f32(second_product), x, second_low)


def _halves_tile(offset, minima):
    """Make the tile for scales of halves, as `_blocks_tile`."""
    start_of = half_starts(offset, TILE_I32)

    @inlined
    def tile(p, first, totals):
        total, second_total = totals
        zero, floats = fill(0.0, TILE_F32), p.panel.floats
        parts, lows = (zero, zero), (zero, zero)
        for b in range(PANEL_BLOCKS):
            parts = _add_halves(p, b, first + b, start_of(p.codes, first + b, p.row_blocks), parts)
            if minima:
                lows = _subtract_half_minima(p, b, first + b, lows)
            in_order()
        total = fma(parts[0], load(floats, SUPER_SCALES, f32), total)
        second_total = fma(parts[1], load(floats, GROUP_FLOATS + SUPER_SCALES, f32), second_total)
        if minima:
            total = fma(lows[0], load(floats, SUPER_MINIMA, f32), total)
            second_total = fma(lows[1], load(floats, GROUP_FLOATS + SUPER_MINIMA, f32), second_total)
        return total, second_total

    return tile


def _of_all_tokens(name, tile):
    """Make the Kernel of a Tile from that of four tokens."""

    @kernel(name, TILE_STRUCT)
    def all_tokens(p):
        to, stride, line, second_line = p.to, p.to.stride, p.next, p.second_next
        each = (p.lines * TILE_TOKENS + p.tokens - 1) // p.tokens * CACHE_LINE  # bytes that a tile prefetches
        end = p.next + p.lines * CACHE_LINE
        for t in range(0, p.tokens, TILE_TOKENS):
            at, second_at = to.at + t * stride, p.second_at + t * stride
            for byte in range(0, min(each, end - line), CACHE_LINE):
                prefetch(p.u8, line + byte)
                prefetch(p.u8, second_line + byte)
            line, second_line = line + each, second_line + each
            totals = fill(0.0, TILE_F32), fill(0.0, TILE_F32)
            if not p.begins:
                totals = load(to.x, at, TILE_F32, stride), load(to.x, second_at, TILE_F32, stride)
            total, second_total = tile(p, p.first + t * p.row_blocks, totals)
            store(to.x, at, total, stride)
            store(to.x, second_at, second_total, stride)

    return all_tokens


@functools.cache
def tile_of_blocks(offset, minimum=False, fine=False):
    """The Kernel of a Tile for scales of blocks.

    offset: of the integers. minimum: whether a block has a minimum, float32. fine: whether a superblock has minima.
    """
    kind = "minimum" if minimum else "fine" if fine else "plain"
    return _of_all_tokens(f"tile_{kind}_{offset}", _blocks_tile(offset, minimum, fine))


@functools.cache
def tile_of_halves(offset, minima=False):
    """The Kernel of a Tile for scales of halves. minima: whether halves have minima."""
    return _of_all_tokens(f"tile_{'minima' if minima else 'halves'}_{offset}", _halves_tile(offset, minima))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__panels() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__panels() IS
'Products with many tokens: two groups are unpacked, 256 columns at a time, and multiplied with all tokens.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__prefetching()
RETURNS void
LANGUAGE plpython3u
AS $python$"""How far past the current weights products prefetch, in bytes: by the number of tokens, chosen by measuring.

A product of one token reads memory as a plain sum does: asking far ahead costs it a quarter of its speed on some
processors. With more tokens there is more arithmetic between two lines, and only a request far ahead comes in time.
Processors differ, so `engine/calibration` measures and `session/engines` keeps the choice beside the compiled code.
"""

import numpy as np

# The products that have a distance of their own: of blocks with 1, 2, 4 tokens, and of floats with 1, 2, 4, 8 tokens.
ONE_TOKEN, TWO_TOKENS, FOUR_TOKENS, FLOATS_ONE, FLOATS_TWO, FLOATS_FOUR, FLOATS_EIGHT = range(7)
PRODUCTS = ("blocks 1", "blocks 2", "blocks 4", "floats 1", "floats 2", "floats 4", "floats 8")
BEFORE_MEASURING = (1024, 1024, 8192, 1024, 1024, 8192, 8192)

# In use; compiled code reads it at each product.
DISTANCES = np.array(BEFORE_MEASURING, np.int64)


def use(distances):
    """Prefetch at these distances from now on: {name: bytes}. Raises ValueError unless it names all of PRODUCTS."""
    if set(distances) != set(PRODUCTS):
        raise ValueError(f"prefetch distances are of {PRODUCTS}, not of {tuple(distances)}")
    DISTANCES[:] = [distances[name] for name in PRODUCTS]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__prefetching() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__prefetching() IS
'How far past the current weights products prefetch, in bytes: by the number of tokens, chosen by measuring.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__products()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Products of layouts of blocks: the loops over groups and tokens, around a layout's own products of a few tokens.

A product keeps its sums in registers: a lane is a row of the group, a register is a token. Each register of weights is
used for all tokens. There are products of one group with 1, 2 and 4 tokens; many tokens are multiplied in panels.
"""

from collections import namedtuple

from ..model.encodings import BLOCK
from ..simd.kernels import caller
from ..simd.memory import array_on_stack, prefetch, spread_bytes, store
from ..simd.registers import dot4, inlined
from .groups import (
    CACHE_LINE,
    COLUMNS,
    GROUP,
    LAYOUT,
    OFFSET,
    PER_LAYOUT,
    TILE_OF,
    Activations,
    Rows,
    token_block,
)
from .panels import (
    PANEL_BLOCKS,
    PANEL_BYTES,
    PANEL_FLOATS,
    PANEL_PAIRS,
    TILE_STRUCT,
    TILE_TOKENS,
    Panel,
    Tile,
)
from .prefetching import FOUR_TOKENS, ONE_TOKEN, TWO_TOKENS

LEAST_TILED_TOKENS = 8  # with fewer tokens panels gain nothing
_call_tile = caller(TILE_STRUCT)

# A layout's parts of a product.
#   group      (tokens) -> the product of one group with so many tokens: (weights, at, columns, ahead, given, to);
#              `at` is where the group begins, in bytes; it prefetches `ahead` bytes past what it reads
#   unpack     (weights, at, blocks, panel, number) -> None: unpacks so many blocks at weights.u8[at] into a Panel, as
#              its group `number`
#   panel_bytes  (blocks) -> the packed bytes of so many blocks, from a multiple of PANEL_BLOCKS on
Parts = namedtuple("Parts", "group unpack panel_bytes")


@inlined
def prefetch_lines(u8, at, size):
    """Prefetch `size` bytes."""
    for line in range(0, size, CACHE_LINE):
        prefetch(u8, at + line)


def dots_of(registers, X):
    """Make the dot products of a block with tokens of the register block type X.

    registers: (u8, at) -> the block at u8[at] as eight registers; number k holds columns 4k .. 4k + 3, a byte each.
    The dot products: (u8, at, sums, codes, column, columns) -> sums, i32, plus those of the block with each token's
    codes; token t's are codes[column + t * columns ...].
    """

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        a, b, c, d, e, f, g, h = registers(u8, at)
        sums = dot4(sums, a, spread_bytes(codes, column, X, columns))
        sums = dot4(sums, b, spread_bytes(codes, column + 4, X, columns))
        sums = dot4(sums, c, spread_bytes(codes, column + 8, X, columns))
        sums = dot4(sums, d, spread_bytes(codes, column + 12, X, columns))
        sums = dot4(sums, e, spread_bytes(codes, column + 16, X, columns))
        sums = dot4(sums, f, spread_bytes(codes, column + 20, X, columns))
        sums = dot4(sums, g, spread_bytes(codes, column + 24, X, columns))
        return dot4(sums, h, spread_bytes(codes, column + 28, X, columns))

    return dots


def half_dots_of(registers, X):
    """Make the dot products of both halves of a block: as dots_of, with a pair of sums."""

    @inlined
    def dots(u8, at, halves, codes, column, columns):
        one, two = halves
        a, b, c, d, e, f, g, h = registers(u8, at)
        one = dot4(one, a, spread_bytes(codes, column, X, columns))
        one = dot4(one, b, spread_bytes(codes, column + 4, X, columns))
        one = dot4(one, c, spread_bytes(codes, column + 8, X, columns))
        one = dot4(one, d, spread_bytes(codes, column + 12, X, columns))
        two = dot4(two, e, spread_bytes(codes, column + 16, X, columns))
        two = dot4(two, f, spread_bytes(codes, column + 20, X, columns))
        two = dot4(two, g, spread_bytes(codes, column + 24, X, columns))
        return one, dot4(two, h, spread_bytes(codes, column + 28, X, columns))

    return dots


def unpacked(registers):
    """Make (u8, at, bytes, to) -> None: unpack the block at u8[at] to bytes[to ...], eight lines."""

    @inlined
    def unpack(u8, at, bytes, to):
        a, b, c, d, e, f, g, h = registers(u8, at)
        store(bytes, to, a)
        store(bytes, to + CACHE_LINE, b)
        store(bytes, to + 2 * CACHE_LINE, c)
        store(bytes, to + 3 * CACHE_LINE, d)
        store(bytes, to + 4 * CACHE_LINE, e)
        store(bytes, to + 5 * CACHE_LINE, f)
        store(bytes, to + 6 * CACHE_LINE, g)
        store(bytes, to + 7 * CACHE_LINE, h)

    return unpack


def product_of(group_bytes, parts):
    """Make the product of any groups of a matrix with any number of tokens: (Product) -> None.

    It multiplies two groups at a time with all tokens. With enough tokens it does so in panels; the tokens that are
    left over are multiplied with one group after the other.
    """
    one, two, four = (parts.group(tokens) for tokens in (1, 2, 4))
    in_panels = _in_panels(group_bytes, parts)

    @inlined
    def product(p):
        weights, given, tokens, to, distances = p.weights, p.given, p.tokens, p.to, p.weights.distances
        columns, width = p.matrix[COLUMNS], group_bytes(p.matrix[COLUMNS])
        blocks = columns // BLOCK
        near, middle, far = distances[ONE_TOKEN], distances[TWO_TOKENS], distances[FOUR_TOKENS]
        tiled = tokens // TILE_TOKENS * TILE_TOKENS if tokens >= LEAST_TILED_TOKENS else 0
        for pair in range(p.begin, p.end, 2):
            after = min(pair + 2, p.end)
            if tiled:
                in_panels(p, pair, after, tiled)
            for g in range(pair, after):
                w, t = p.matrix[OFFSET] + g * width, tiled
                while t < tokens:
                    block = token_block(tokens - t)
                    now = Activations(given.rows, given.codes, given.first + t * blocks)
                    out = Rows(to.x, to.at + g * GROUP + t * to.stride, to.stride)
                    if block == 4:
                        four(weights, w, columns, far, now, out)
                    elif block == 2:
                        two(weights, w, columns, middle, now, out)
                    else:
                        one(weights, w, columns, near, now, out)
                    t += block

    return product


def _in_panels(group_bytes, parts):
    """Make the product of one or two groups with so many tokens: (Product, first group, end of the groups, tokens).

    Of a last, single group both groups of a panel are the same. A panel prefetches the next one.
    """
    unpack, panel_bytes = parts.unpack, parts.panel_bytes

    @inlined
    def product(p, pair, after, tokens):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        blocks, width = columns // BLOCK, group_bytes(columns)
        panel = Panel(
            array_on_stack(PANEL_BYTES, u8),
            array_on_stack(PANEL_FLOATS, p.to.x),
            array_on_stack(PANEL_PAIRS, p.given.codes.fine),
        )
        w, second = p.matrix[OFFSET] + pair * width, p.matrix[OFFSET] + (after - 1) * width
        to = Rows(p.to.x, p.to.at + pair * GROUP, p.to.stride)
        second_to = to.at + (after - 1 - pair) * GROUP
        for begin in range(0, blocks, PANEL_BLOCKS):
            count, at = min(PANEL_BLOCKS, blocks - begin), panel_bytes(begin)
            unpack(p.weights, w + at, count, panel, 0)
            unpack(p.weights, second + at, count, panel, 1)
            next = panel_bytes(begin + count) if begin + count < blocks else 2 * width
            tile = Tile(
                panel,
                p.given.codes,
                p.given.first + begin,
                count,
                blocks,
                tokens,
                to,
                second_to,
                int(begin == 0),
                u8,
                w + next,
                second + next,
                panel_bytes(PANEL_BLOCKS) // CACHE_LINE,
            )
            _call_tile(p.weights.kernels[p.matrix[LAYOUT] * PER_LAYOUT + TILE_OF], tile)

    return product
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__products() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__products() IS
'Products of layouts of blocks: the loops over groups and tokens, around a layout''s own products of a few '
'tokens.';

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

    packed: a PackedModel. name: one of its matrices, of a type that packing.is_searchable. checkpoint: called every few
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

CREATE OR REPLACE FUNCTION llm_runtime.kernels__starts()
RETURNS void
LANGUAGE plpython3u
AS $python$"""What the dot products of a block begin with: integers are stored plus an offset, so that they are unsigned.

A dot product is then too large by the offset times the sum of the codes, which is the same for all rows. Its negative
is computed once, when activations are quantised, see groups.Codes.
"""

from ..simd.memory import spread
from ..simd.registers import fill, halved, inlined
from .groups import HALF_OFFSET, HALF_STARTS, OFFSETS


def starts(offset, X):
    """Make (codes, block, blocks) -> what the dot products of a block begin with.

    X: the register block type of the tokens, of `blocks` blocks each.
    """
    if offset == 0:

        @inlined
        def start(codes, block, blocks):
            return fill(0, X)

    else:
        array = OFFSETS.index(offset)

        @inlined
        def start(codes, block, blocks):
            return spread(codes.starts, array * len(codes.scales) + block, X, blocks)

    return start


def half_starts(offset, X):
    """Make (codes, block, blocks) -> what the dot products of both halves of a block begin with, as `starts`."""
    if offset == 0:

        @inlined
        def start(codes, block, blocks):
            return fill(0, X), fill(0, X)

    else:
        scaled = _scaled(offset)

        @inlined
        def start(codes, block, blocks):
            at = HALF_STARTS * len(codes.scales) + 2 * block
            one, two = spread(codes.starts, at, X, 2 * blocks), spread(codes.starts, at + 1, X, 2 * blocks)
            return scaled(one), scaled(two)

    return start


def _scaled(offset):
    """Make (starts of HALF_OFFSET) -> those of another power of two."""
    up, down = offset // HALF_OFFSET, HALF_OFFSET // offset
    assert max(up, down).bit_count() == 1
    times = max(up, down).bit_length() - 1
    if times == 0:

        @inlined
        def scaled(x):
            return x

    elif up:

        @inlined
        def scaled(x):
            return x << times

    else:

        @inlined
        def scaled(x):
            return halved(x, times)

    return scaled
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__starts() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__starts() IS
'What the dot products of a block begin with: integers are stored plus an offset, so that they are unsigned.';

CREATE OR REPLACE FUNCTION llm_runtime.kernels__superblocks()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Layouts of superblocks: 256 columns with one scale in half precision, and integer scales of their blocks.

    [R / 16][C / 256] { head line, { line of scales, { the integers of a block }[n] }[8 / n] }

The head line holds f16[16] scales and f16[16] scales of minima, zeros where there are none. A line of scales belongs
to the n blocks behind it, and has a scale for each block of 32 columns, or for each half of a block.
"""

from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.kernels import kernel
from ..simd.memory import array_on_stack, load, load_bytes, spread, spread_pairs, store, store_pairs
from ..simd.registers import compiled, dot2, f32, fill, fma, i32, inlined, lane, to_f32
from .blocks import byte_of
from .groups import (
    CACHE_LINE,
    COLUMNS,
    GROUP,
    HALF_SUMS,
    OFFSET,
    PACK_STRUCT,
    PRODUCT_STRUCT,
    ROW_STRUCT,
    SQUARES_STRUCT,
    Layout,
)
from .panels import (
    BLOCK_BYTES,
    GROUP_BYTES,
    GROUP_FLOATS,
    GROUP_PAIRS,
    PANEL_BLOCKS,
    SCALES,
    SUPER_MINIMA,
    SUPER_SCALES,
    tile_of_blocks,
    tile_of_halves,
)
from .products import Parts, dots_of, half_dots_of, prefetch_lines, product_of, unpacked
from .starts import half_starts, starts

SUPERBLOCK = PANEL_BLOCKS * BLOCK  # columns
MINIMA_AT = 32  # bytes from a superblock's scales to its scales of minima

# What a layout of superblocks says of itself: its name and number, the bytes of a block's integers in a group, the
# offset that makes them unsigned, its BlockScales, and
#   registers    (u8, at) -> the integers of the block at u8[at], see products.dots_of
#   file_bytes   bytes of a superblock in the file
#   pack         (raw, at, out, to, r) -> None: packs the superblock at raw[at], as in the file, of row r of a group,
#                where its head line begins at out[to]. None, as file_bytes: its types have Packers
#   factor       a power of two, by which the scales of superblocks are multiplied
Superblocks = namedtuple(
    "Superblocks", "name number size offset scales registers file_bytes pack factor", defaults=(1,)
)
# The scales of blocks, in lines: how many blocks share a line, whether each half of a block has a scale, and two
# functions of (u8, line, block), where `line` is where the line begins and `block` counts the blocks of this line:
#   scale      -> i32, the integer scales of the block; of halves (u8, line, 2 * block + half)
#   minima     -> i32, two int16 in a lane: the minima of this and the next block, or of the halves of this block. None:
#                 there are no minima
BlockScales = namedtuple("BlockScales", "blocks halves scale minima")


def superblocks(described):
    """Make the Layout of a Superblocks."""
    name, size, group_bytes = described.name, superblock_bytes(described), _group_bytes(described)
    group = _group_of_halves if described.scales.halves else _group
    parts = Parts(lambda tokens: group(described, tokens), _unpack(described), _panel_bytes(described))
    multiply, pack_superblock, file_bytes = product_of(group_bytes, parts), described.pack, described.file_bytes
    column, unpack_at = _column(described), _unpack_at(described)

    @kernel(f"product_{name}", PRODUCT_STRUCT)
    def product(p):
        multiply(p)

    @kernel(f"row_{name}", ROW_STRUCT)
    def row(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        start, integers = p.matrix[OFFSET] + p.row // GROUP * group_bytes(columns), array_on_stack(BLOCK_BYTES, u8)
        for block in range(columns // BLOCK):
            at = start + block // PANEL_BLOCKS * size
            unpack_at(u8, at, block % PANEL_BLOCKS, integers)
            for k in range(BLOCK):
                value = column(p.weights, at, block % PANEL_BLOCKS, integers, k)
                p.out[p.out_at + block * BLOCK + k] = lane(value, p.row % GROUP)

    @kernel(f"squares_{name}", SQUARES_STRUCT)
    def squares(p):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        integers = array_on_stack(BLOCK_BYTES, u8)
        for number in range(p.begin, p.end):
            total, start = fill(0.0, f32), p.matrix[OFFSET] + number * group_bytes(columns)
            for block in range(columns // BLOCK):
                at = start + block // PANEL_BLOCKS * size
                unpack_at(u8, at, block % PANEL_BLOCKS, integers)
                for k in range(BLOCK):
                    value = column(p.weights, at, block % PANEL_BLOCKS, integers, k)
                    total = fma(value, value, total)
            store(p.out, number * GROUP, total)

    @kernel(f"pack_{name}", PACK_STRUCT)
    def pack(p):
        count = p.columns // SUPERBLOCK
        for row in range(p.raw.size // (count * file_bytes)):
            number, r = divmod(p.first_row + row, GROUP)
            for s in range(count):
                to = number * group_bytes(p.columns) + s * size
                pack_superblock(p.raw, (row * count + s) * file_bytes, p.out, to, r)

    kernels = {"product": product, "row": row, "squares": squares, "tile": _tile(described), "pack": pack}
    return Layout(name, described.number, True, described.scales.minima is not None, group_bytes, kernels)


def _tile(described):
    """The Kernel of a panels.Tile."""
    minima = described.scales.minima is not None
    if described.scales.halves:
        return tile_of_halves(described.offset, minima)
    return tile_of_blocks(described.offset, fine=minima)


def super_scales(described):
    """Make (weights, at) -> the scales of the superblock that begins at this byte, f32."""
    factor = np.float32(described.factor)

    @inlined
    def scales(weights, at):
        return load(weights.u16, at >> 1, f32) * factor if factor != 1 else load(weights.u16, at >> 1, f32)

    return scales


def superblock_bytes(described):
    """Bytes of a superblock of 16 rows."""
    return CACHE_LINE + PANEL_BLOCKS // described.scales.blocks * CACHE_LINE + PANEL_BLOCKS * described.size


def line_bytes(described):
    """Bytes of a line of scales with the blocks that share it."""
    return CACHE_LINE + described.scales.blocks * described.size


def _group_bytes(described):
    """Make (columns) -> bytes of a group."""
    size = superblock_bytes(described)

    @compiled
    def group_bytes(columns):
        return columns // SUPERBLOCK * size

    return group_bytes


def _panel_bytes(described):
    """Make (blocks) -> packed bytes of so many blocks, see products.Parts."""
    size = superblock_bytes(described)

    @inlined
    def panel_bytes(count):
        return count // PANEL_BLOCKS * size

    return panel_bytes


def _line_of(described):
    """Make (start of a superblock, block) -> where the block's line of scales begins."""
    shared, bytes = described.scales.blocks, line_bytes(described)

    @inlined
    def line_of(at, block):
        return at + CACHE_LINE + block // shared * bytes

    return line_of


def _unpack_at(described):
    """Make (u8, start of a superblock, block, out) -> None: unpack the integers of a block."""
    unpack, line_of, shared, size = unpacked(described.registers), _line_of(described), *_shared_size(described)

    @inlined
    def unpack_at(u8, at, block, out):
        unpack(u8, line_of(at, block) + CACHE_LINE + block % shared * size, out, 0)

    return unpack_at


def _shared_size(described):
    return described.scales.blocks, described.size


def _column(described):
    """Make (weights, start of a superblock, block, the block unpacked, column of the block) -> its weights, f32."""
    halves, shared, scale_of = described.scales.halves, described.scales.blocks, described.scales.scale
    line_of, minimum_of, offset = _line_of(described), _minimum(described), np.float32(described.offset)
    scales_of = super_scales(described)

    @compiled
    def column(weights, at, block, integers, k):
        line, b, h = line_of(at, block), block % shared, k // 16
        scale = scales_of(weights, at) * to_f32(scale_of(weights.u8, line, 2 * b + h if halves else b))
        value = scale * (to_f32(byte_of(load_bytes(integers, k // 4 * CACHE_LINE, i32), k % 4)) - offset)
        return minimum_of(weights, at, line, (b, h), value)

    return column


def _minimum(described):
    """Make (weights, start of a superblock, start of a line, (block of this line, half), value) -> value - minimum."""
    minima_of, halves = described.scales.minima, described.scales.halves
    if minima_of is None:

        @inlined
        def minimum(weights, at, line, place, value):
            return value

    else:

        @inlined
        def minimum(weights, at, line, place, value):
            b, h = place
            pair, which = (b, h) if halves else (b & ~1, b & 1)
            integer = minima_of(weights.u8, line, pair) >> 16 * which & 0xFFFF
            return value - load(weights.u16, (at + MINIMA_AT) >> 1, f32) * to_f32(integer)

    return minimum


def _group(described, tokens):
    """Make the product of one group with a fixed number of tokens, for scales of blocks; see products.Parts.

    The integer dot product of a block, times the scales of the weights and of the activations, is added in float32. The
    minima of eight blocks are multiplied with the fine codes of the sums of the activations, in integers.
    """
    X, F, shared, size = i32[tokens], f32[tokens], *_shared_size(described)
    dots, start_of, minima = dots_of(described.registers, X), starts(described.offset, X), _minima(described, X)
    scale_of, bytes = described.scales.scale, line_bytes(described)
    supers, lines, scales_of = superblock_bytes(described), PANEL_BLOCKS // shared, super_scales(described)

    @inlined
    def product(weights, at, columns, ahead, given, to):
        u8, blocks, codes, total = weights.u8, columns // BLOCK, given.codes, fill(0.0, F)
        for s in range(columns // SUPERBLOCK):
            here, first = at + s * supers, given.first + s * PANEL_BLOCKS
            prefetch_lines(u8, here + ahead, CACHE_LINE)
            scales = scales_of(weights, here)
            for number in range(lines):
                line = here + CACHE_LINE + number * bytes
                prefetch_lines(u8, line + ahead, CACHE_LINE)
                for b in range(shared):
                    block, integers = first + number * shared + b, line + CACHE_LINE + b * size
                    prefetch_lines(u8, integers + ahead, size)
                    start = start_of(codes, block, blocks)
                    sums = dots(u8, integers, start, codes.codes, block * BLOCK, columns)
                    scale = scales * to_f32(scale_of(u8, line, b)) * spread(codes.scales, block, F, blocks)
                    total = fma(to_f32(sums), scale, total)
            total = minima(weights, here, codes, first, blocks, total)
        store(to.x, to.at, total, to.stride)

    return product


def _minima(described, X):
    """Make (weights, start of a superblock, codes, its first block, blocks, total) -> total - its minima, see `_group`.

    The minima of two blocks are multiplied by one instruction.
    """
    minima_of, F = described.scales.minima, f32[X.rows]
    if minima_of is None:

        @inlined
        def minima(weights, at, codes, first, blocks, total):
            return total

        return minima
    shared, bytes = described.scales.blocks, line_bytes(described)

    @inlined
    def minima(weights, at, codes, first, blocks, total):
        sums = fill(0, X)
        for b in range(0, PANEL_BLOCKS, 2):
            pairs = minima_of(weights.u8, at + CACHE_LINE + b // shared * bytes, b % shared)
            sums = dot2(sums, pairs, spread_pairs(codes.fine, first + b, X, blocks))
        fine_scale = spread(codes.sums, len(codes.scales) + first, F, blocks)
        scale = 0.0 - load(weights.u16, (at + MINIMA_AT) >> 1, f32)
        return fma(to_f32(sums), scale * fine_scale, total)

    return minima


def _group_of_halves(described, tokens):
    """Make the product of one group with a fixed number of tokens, for scales of halves; see products.Parts.

    Both dot products of a block are multiplied with their scales in integers, below 2^24; so are minima. Then they are
    multiplied with the scale of the block's activations, and the sums of a superblock with its scales.
    """
    X, F, shared, size = i32[tokens], f32[tokens], *_shared_size(described)
    dots, start_of = half_dots_of(described.registers, X), half_starts(described.offset, X)
    minima, scale_of, bytes = _half_minima(described, X), described.scales.scale, line_bytes(described)
    supers, lines, scales_of = superblock_bytes(described), PANEL_BLOCKS // shared, super_scales(described)

    @inlined
    def product(weights, at, columns, ahead, given, to):
        u8, blocks, codes, total = weights.u8, columns // BLOCK, given.codes, fill(0.0, F)
        for s in range(columns // SUPERBLOCK):
            here, part, low = at + s * supers, fill(0.0, F), fill(0.0, F)
            prefetch_lines(u8, here + ahead, CACHE_LINE)
            for number in range(lines):
                line = here + CACHE_LINE + number * bytes
                prefetch_lines(u8, line + ahead, CACHE_LINE)
                for b in range(shared):
                    block, integers = given.first + s * PANEL_BLOCKS + number * shared + b, line + CACHE_LINE + b * size
                    prefetch_lines(u8, integers + ahead, size)
                    halves = start_of(codes, block, blocks)
                    one, two = dots(u8, integers, halves, codes.codes, block * BLOCK, columns)
                    sums = one * scale_of(u8, line, 2 * b) + two * scale_of(u8, line, 2 * b + 1)
                    x = spread(codes.scales, block, F, blocks)
                    part = fma(to_f32(sums), x, part)
                    low = minima(u8, line, b, codes, block, (blocks, x, low))
            total = fma(part, scales_of(weights, here), total)
            total = fma(low, load(weights.u16, (here + MINIMA_AT) >> 1, f32), total)
        store(to.x, to.at, total, to.stride)

    return product


def _half_minima(described, X):
    """Make (u8, line, block of this line, codes, block, (blocks, scales of activations, low)) -> low - the minima."""
    minima_of = described.scales.minima
    if minima_of is None:

        @inlined
        def minima(u8, line, b, codes, block, sums):
            return sums[2]

    else:

        @inlined
        def minima(u8, line, b, codes, block, sums):
            blocks, x, low = sums
            at = HALF_SUMS * len(codes.scales) + 2 * block
            product = dot2(fill(0, X), minima_of(u8, line, b), spread_pairs(codes.fine, at, X, 2 * blocks))
            return fma(0.0 - to_f32(product), x, low)

    return minima


def _unpack(described):
    """Make the unpacking of a panel, which is a superblock; see products.Parts."""
    shared, halves, scale_of = described.scales.blocks, described.scales.halves, described.scales.scale
    line_of, size, unpack = _line_of(described), described.size, unpacked(described.registers)
    unpack_minima, per_block = _unpack_minima(described), 2 if halves else 1
    scales_of = super_scales(described)

    @compiled
    def unpack_panel(weights, at, count, panel, number):
        u8, floats = weights.u8, number * GROUP_FLOATS
        scales = scales_of(weights, at)
        for block in range(PANEL_BLOCKS):
            line, b = line_of(at, block), block % shared
            unpack(u8, line + CACHE_LINE + b * size, panel.bytes, number * GROUP_BYTES + block * BLOCK_BYTES)
            for h in range(per_block):
                scale = to_f32(scale_of(u8, line, per_block * b + h))
                to = floats + SCALES + (per_block * block + h) * GROUP
                store(panel.floats, to, scale if halves else scales * scale)
        store(panel.floats, floats + SUPER_SCALES, scales)
        store(panel.floats, floats + SUPER_MINIMA, load(weights.u16, (at + MINIMA_AT) >> 1, f32))
        unpack_minima(u8, at, panel.pairs, number * GROUP_PAIRS)

    return unpack_panel


def _unpack_minima(described):
    """Make (u8, start of a superblock, pairs, to) -> None: unpack its minima to pairs[to ...]."""
    minima_of, shared, line_of = described.scales.minima, described.scales.blocks, _line_of(described)
    step = 1 if described.scales.halves else 2
    if minima_of is None:

        @inlined
        def unpack_minima(u8, at, pairs, to):
            pass

    else:

        @inlined
        def unpack_minima(u8, at, pairs, to):
            for block in range(0, PANEL_BLOCKS, step):
                both = minima_of(u8, line_of(at, block), block % shared)
                store_pairs(pairs, to + block // step * 2 * GROUP, both)

    return unpack_minima
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kernels__superblocks() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kernels__superblocks() IS
'Layouts of superblocks: 256 columns with one scale in half precision, and integer scales of their blocks.';

COMMIT;
