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

The cache is a sequence of pages of 64 positions. A page holds, for every layer and kv head (a "head" here),

    keys    [64 / 16][head_dim][16]         one register is one dimension of 16 positions: scores need no sum over lanes
    values  [64][head_dim padded to 16]

in half precision (uint16 arrays) or float32. A table, int64 [pages][3], says where: the address of head 0's keys, the
address of its values, and how many bytes further those of the next head are.

A kernel takes a block of up to 8 queries that share a kv head: the heads of its group, and for prefill the heads of
several tokens. Each load of keys or values serves all of them. While it computes with a page it fetches the next one,
which lies behind it where the two were made together; the processor by itself stops at the end of each 4 KB.

Scores, their softmax and the weighted values are each one sum in the order of the positions. What a query must not see
has score -inf and weight 0, and adding zero changes nothing, so a query's result does not depend on the others.
"""

import numpy as np

from .kernels import exp
from .simd import compiled, f32, fill, fma, i32, inlined, lanes, max_lanes, maximum, sum_lanes, where_before
from .simd_memory import array_at, load, prefetch, spread, store

PAGE = 64  # positions
PAGE_FIELDS = 3  # address of the keys, address of the values, bytes between heads
ROWS = 8  # queries in the largest block
NOTHING = np.float32(-np.inf)


@compiled
def padded(width):
    """The width rounded up to whole registers."""
    return (width + 15) // 16 * 16


@compiled
def head_elements(head_dim):
    """Elements of the keys, and of the values, of one head in a page."""
    return PAGE * head_dim, PAGE * padded(head_dim)


@inlined
def _keys(pages, page, head, head_dim, row):
    """One head's keys in a page, as an array of the dtype of `row`."""
    return array_at(pages[page, 0] + head * pages[page, 2], PAGE * head_dim, row)


@inlined
def _values(pages, page, head, head_dim, row):
    """One head's values in a page, as an array of the dtype of `row`."""
    return array_at(pages[page, 1] + head * pages[page, 2], PAGE * padded(head_dim), row)


@compiled
def store_position(pages, page, head, head_dim, position, x, k_at, v_at, row):
    """Put one position's key and value, x[k_at ...] and x[v_at ...], into its page. `row` is scratch of its dtype."""
    keys, values = _keys(pages, page, head, head_dim, row), _values(pages, page, head, head_dim, row)
    place = position % PAGE
    for d in range(0, head_dim, 16):
        store(row, d, load(x, k_at + d, f32))
    tile = place // 16 * head_dim * 16 + place % 16
    for d in range(head_dim):
        keys[tile + d * 16] = row[d]
    for d in range(0, head_dim, 16):
        store(values, place * padded(head_dim) + d, load(x, v_at + d, f32))


def _attend(rows):
    """Attention of `rows` queries; query r sees the positions firsts[r] .. limits[r] - 1."""
    Q, P = f32[rows], i32[rows]

    @compiled
    def attend(q, firsts, limits, pages, pages_at, head, head_dim, row, scores, stride, out):
        """q, out [rows][head_dim padded], q scaled already; scores [rows][stride] is scratch."""
        width = padded(head_dim)
        begin, end = firsts[0] // PAGE * PAGE, limits[0]
        for r in range(1, rows):
            begin, end = min(begin, firsts[r] // PAGE * PAGE), max(end, limits[r])

        top = fill(NOTHING, Q)
        for start in range(begin, end, PAGE):
            keys = _keys(pages, pages_at + start // PAGE, head, head_dim, row)
            for tile in range(0, min(PAGE, end - start), 16):
                score = fill(0.0, Q)
                for d in range(head_dim):
                    at = tile * head_dim + d * 16
                    prefetch(keys, at + PAGE * head_dim)
                    score = fma(load(keys, at, f32), spread(q, d, Q, width), score)
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
            values = _values(pages, pages_at + start // PAGE, head, head_dim, row)
            for d in range(0, width, 16):
                mixed = load(out, d, Q, width)
                for p in range(min(PAGE, end - start)):
                    at = p * width + d
                    prefetch(values, at + PAGE * width)
                    value = load(values, at, f32)
                    mixed = fma(value, spread(scores, start - begin + p, Q, stride), mixed)
                store(out, d, mixed, width)
        for d in range(0, width, 16):
            store(out, d, load(out, d, Q, width) / total, width)

    return attend


_attend_4, _attend_7, _attend_8 = _attend(4), _attend(7), _attend(8)


@compiled
def kernel_of(block):
    """Queries of the smallest kernel for a block of so many.

    There are few, since each is compiled for both kinds of pages. Fewer than four queries would take as long as four:
    a sum waits four cycles for its last addition. Seven is the group of heads of models with 14 or 28.
    """
    return 4 if block <= 4 else 7 if block <= 7 else 8


@inlined
def _attend_block(block, q, firsts, limits, pages, pages_at, head, head_dim, row, scores, stride, out):
    """The kernel for a block of queries."""
    if block == 8:
        _attend_8(q, firsts, limits, pages, pages_at, head, head_dim, row, scores, stride, out)
    elif block == 7:
        _attend_7(q, firsts, limits, pages, pages_at, head, head_dim, row, scores, stride, out)
    else:
        _attend_4(q, firsts, limits, pages, pages_at, head, head_dim, row, scores, stride, out)


@inlined
def attention(x, x_at, stride, tokens, group, head_dim, positions, at, window, pages, pages_at, kv, row, work):
    """Attention of all the query heads of one kv head for some consecutive tokens of one sequence.

    Token t's queries are x[x_at + t * stride ...], group * head_dim of them; its result replaces them. It sees the
    positions up to positions[at + t], the latest `window` of them. `kv` is the kv head's place in a page, its layer
    included; `work` this thread's scratch.
    """
    width = padded(head_dim)
    scale = np.float32(1 / np.sqrt(np.float64(head_dim)))
    rows = tokens * group
    for done in range(0, rows, ROWS):
        block = min(rows - done, ROWS)
        for r in range(block):
            t, h = divmod(done + r, group)
            query = x_at + t * stride + h * head_dim
            for d in range(head_dim):
                work.q[r * width + d] = x[query + d] * scale
            work.limits[r] = positions[at + t] + 1
            work.firsts[r] = max(0, positions[at + t] + 1 - window)
        kernel = kernel_of(block)
        for r in range(block, kernel):  # whatever is there, at the first query's positions: nobody asks for the result
            work.limits[r], work.firsts[r] = work.limits[0], work.firsts[0]
        q, f, n, s, o = work.q, work.firsts, work.limits, work.scores, work.out
        _attend_block(kernel, q, f, n, pages, pages_at, kv, head_dim, row, s, work.stride, o)
        for r in range(block):
            t, h = divmod(done + r, group)
            result = x_at + t * stride + h * head_dim
            for d in range(head_dim):
                x[result + d] = work.out[r * width + d]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.attention_kernels() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.attention_kernels() IS
'Attention over a paged cache of keys and values, for decoding and prefill alike (1706.03762, GQA 2305.13245).';

COMMIT;
