-- Deploy hartonomous:python_runtime_attention_kernels to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/attention_kernels.py by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.attention_kernels()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Attention over a paged cache of keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).

The cache is a sequence of pages of 64 positions, each anywhere in memory. A page holds, for every layer and kv head,

    keys    [64 / 16][head_dim][16]         one register is one dimension of 16 positions: scores need no sum over lanes
    values  [64][head_dim padded to 16]

in half precision (uint16 arrays) or float32. A kernel takes a block of 1, 2, 4 or 8 queries that share a kv head: the
heads of its group, and for prefill the heads of several tokens. Each load of keys or values serves all of them.

Scores, their softmax and the weighted values are each one sum in the order of the positions. What a query must not see
has score -inf and weight 0, and adding zero changes nothing, so a query's result does not depend on the others.
"""

import numpy as np

from .kernels import exp
from .simd import compiled, f32, fill, fma, i32, inlined, lanes, max_lanes, maximum, sum_lanes, where_before
from .simd_memory import array_at, load, spread, store

PAGE = 64  # positions
ROWS = 8  # queries in the largest block
NOTHING = np.float32(-np.inf)


@compiled
def padded(width):
    """The width rounded up to whole registers."""
    return (width + 15) // 16 * 16


@compiled
def head_elements(head_dim):
    """Elements of one layer's and one kv head's part of a page."""
    return PAGE * (head_dim + padded(head_dim))


@inlined
def _page(address, like, elements):
    """The page at an address, as an array of the dtype of `like`."""
    return array_at(address, elements, like)


@compiled
def store_position(page_address, head, head_dim, position, x, k_at, v_at, row):
    """Put one position's key and value, x[k_at ...] and x[v_at ...], into its page. `row` is scratch of its dtype."""
    elements = head_elements(head_dim)
    page = _page(page_address + head * elements * row.itemsize, row, elements)
    place = position % PAGE
    for d in range(0, head_dim, 16):
        store(row, d, load(x, k_at + d, f32))
    keys = place // 16 * head_dim * 16 + place % 16
    for d in range(head_dim):
        page[keys + d * 16] = row[d]
    values = PAGE * head_dim + place * padded(head_dim)
    for d in range(0, head_dim, 16):
        store(page, values + d, load(x, v_at + d, f32))


def _attend(rows):
    """Attention of `rows` queries; query r sees the positions firsts[r] .. limits[r] - 1."""
    Q, P = f32[rows], i32[rows]

    @compiled
    def attend(q, firsts, limits, pages, pages_at, head, head_dim, row, scores, stride, out):
        """q, out [rows][head_dim padded], q scaled already; scores [rows][stride] is scratch."""
        elements, width = head_elements(head_dim), padded(head_dim)
        begin, end = firsts[0] // PAGE * PAGE, limits[0]
        for r in range(1, rows):
            begin, end = min(begin, firsts[r] // PAGE * PAGE), max(end, limits[r])

        top = fill(NOTHING, Q)
        for start in range(begin, end, PAGE):
            page = _page(pages[pages_at + start // PAGE] + head * elements * row.itemsize, row, elements)
            for tile in range(0, min(PAGE, end - start), 16):
                score = fill(0.0, Q)
                for d in range(head_dim):
                    score = fma(load(page, tile * head_dim + d * 16, f32), spread(q, d, Q, width), score)
                position = lanes() + np.int32(start + tile)
                score = where_before(position, spread(limits, 0, P, 1), score, NOTHING)
                score = where_before(position, spread(firsts, 0, P, 1), NOTHING, score)
                store(scores, start - begin + tile, score, stride)
                top = maximum(top, score)

        top = max_lanes(top)
        total = fill(0.0, Q)
        for i in range(0, end - begin, 16):
            weight = exp(load(scores, i, Q, stride) - top)
            store(scores, i, weight, stride)
            total = total + weight
        total = sum_lanes(total)

        for d in range(0, width, 16):
            store(out, d, fill(0.0, Q), width)
        for start in range(begin, end, PAGE):
            page = _page(pages[pages_at + start // PAGE] + head * elements * row.itemsize, row, elements)
            for d in range(0, width, 16):
                mixed = load(out, d, Q, width)
                for p in range(min(PAGE, end - start)):
                    value = load(page, PAGE * head_dim + p * width + d, f32)
                    mixed = fma(value, spread(scores, start - begin + p, Q, stride), mixed)
                store(out, d, mixed, width)
        for d in range(0, width, 16):
            store(out, d, load(out, d, Q, width) / total, width)

    return attend


_attend_1, _attend_2, _attend_4, _attend_8 = _attend(1), _attend(2), _attend(4), _attend(8)


@compiled
def attention(x, x_at, stride, tokens, group, head_dim, positions, at, window, pages, pages_at, kv, row, work):
    """Attention of all the query heads of one kv head for some consecutive tokens of one sequence.

    Token t's queries are x[x_at + t * stride ...], group * head_dim of them; its result replaces them. It sees the
    positions up to positions[at + t], the latest `window` of them. `kv` is the kv head's place in a page (its layer
    included), `work` this thread's scratch.
    """
    width = padded(head_dim)
    scale = np.float32(1 / np.sqrt(np.float64(head_dim)))
    rows = tokens * group
    done = 0
    while done < rows:
        left = rows - done
        block = 8 if left >= 7 else 4 if left >= 3 else left
        for r in range(block):
            t, h = divmod(min(done + r, rows - 1), group)  # a block with a row too many computes the last one twice
            query = x_at + t * stride + h * head_dim
            for d in range(head_dim):
                work.q[r * width + d] = x[query + d] * scale
            work.limits[r] = positions[at + t] + 1
            work.firsts[r] = max(0, positions[at + t] + 1 - window)
        f, n = work.firsts, work.limits
        if block == 8:
            _attend_8(work.q, f, n, pages, pages_at, kv, head_dim, row, work.scores, work.stride, work.out)
        elif block == 4:
            _attend_4(work.q, f, n, pages, pages_at, kv, head_dim, row, work.scores, work.stride, work.out)
        elif block == 2:
            _attend_2(work.q, f, n, pages, pages_at, kv, head_dim, row, work.scores, work.stride, work.out)
        else:
            _attend_1(work.q, f, n, pages, pages_at, kv, head_dim, row, work.scores, work.stride, work.out)
        for r in range(min(block, left)):
            t, h = divmod(done + r, group)
            result = x_at + t * stride + h * head_dim
            for d in range(head_dim):
                x[result + d] = work.out[r * width + d]
        done += block
$python$;

REVOKE ALL ON FUNCTION llm_runtime.attention_kernels() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.attention_kernels() IS
'Attention over a paged cache of keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).';

COMMIT;
