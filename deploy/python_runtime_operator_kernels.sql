-- Deploy hartonomous:python_runtime_operator_kernels to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/operator_kernels.py by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.operator_kernels()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Each operator of the transformer as a compiled call of its own, from the parts of the compiled forward.

`compiled_forward` runs them all in one pass; a query that composes operators makes a call for each. The parts and their
order are the same, and no part's result depends on what it is computed with, so both give the same bits.

Activations are flat and tight, row after row, as SQL passes them; a product's rows are padded to whole registers.
Arguments are arrays and numbers: numba takes 10 microseconds to recognise the tuples that the parts want, so those are
made inside.
"""

from .attention_kernels import attention_over_codes, attention_over_floats
from .forward_steps import Work, add_bias, groups_of, is_quantized, piece_of, product, quantize_token, work_of
from .kernels import exp, rms_norm, rope
from .kv_pages import PAGE, store_codes, store_floats
from .matrix_kernels import COLUMNS, Codes, Weights, embedding
from .simd import entry, f32, fill
from .simd_memory import as_writable, load_first, store_first
from .threads import Crew, claim, meet

STORED, ATTENDED = range(2)  # counters of claimed work
STRIDE, K_COLUMN, V_COLUMN, HEAD_DIM, GROUP_SIZE, KV_HEADS, CODES_KV = range(7)  # what `attend` knows of heads
TILE = 8  # tokens whose attention, in one kv head, is one piece of work


@entry
def embed(u8, u16, floats, matrix, tokens, out):
    """The rows of the tokens, decoded."""
    weights = Weights(u8, u16, floats)
    for t in range(len(tokens)):
        embedding(weights, matrix, tokens[t], out, t * matrix[COLUMNS])


@entry
def project(
    thread,
    threads,
    state,
    u8,
    u16,
    floats,
    matrix,
    bias,
    x,
    tokens,
    sets,
    codes,
    scales,
    q8_starts,
    q4_starts,
    out,
    spare,
    stride,
):
    """out[t] = matrix @ x[t] + bias, every `stride` numbers; a quantised matrix sees x as so many sets of codes."""
    weights, quantized = Weights(u8, u16, floats), Codes(codes, scales, q8_starts, q4_starts)
    crew, columns, given = Crew(thread, threads, state, (0, 0)), matrix[COLUMNS], as_writable(x)
    if is_quantized(matrix):
        for t in range(thread, tokens, threads):
            quantize_token(given, t * columns, columns, quantized, t, tokens + t, sets)
        meet(crew)
    piece, groups = piece_of(crew, matrix, tokens), groups_of(matrix)
    while True:
        begin = claim(crew, 0, piece)
        if begin >= groups:
            return
        end = min(groups, begin + piece)
        product(
            weights, matrix, begin, end, given, 0, columns, sets, quantized, 0, tokens, tokens, out, 0, stride, spare
        )
        add_bias(weights, bias, begin, end - begin, out, 0, stride, tokens)


@entry
def normalise(floats, at, width, epsilon, x, out):
    """Every row of `width` numbers normalised, with the weights that begin at `at`."""
    given = as_writable(x)
    for row in range(0, len(x), width):
        rms_norm(given, row, width, floats, at, epsilon, out, row)


@entry
def rotate(x, tokens, head_dim, positions, cosines, sines, interleaved):
    """Every head of every token turned in place by the angles of its token's position."""
    per_token = len(x) // tokens
    for t in range(tokens):
        for head in range(t * per_token, (t + 1) * per_token, head_dim):
            rope(x, head, head_dim, cosines, sines, positions[t] * (head_dim // 2), interleaved)


@entry
def attend(
    thread,
    threads,
    state,
    x,
    heads,
    layer,
    window,
    positions,
    pages,
    q,
    query_codes,
    query_scales,
    firsts,
    limits,
    scores,
    weight_codes,
    out,
    row,
):
    """Store the keys and values of consecutive tokens of one sequence, then let every query see what it may.

    x: rows of queries, keys and values; the results replace the queries. heads: int64, the fields below. From q on:
    each thread's own scratch, as forward_steps.Work has it.
    """
    stride, k_column, v_column = heads[STRIDE], heads[K_COLUMN], heads[V_COLUMN]
    dim, group, kv_heads, codes_kv = heads[HEAD_DIM], heads[GROUP_SIZE], heads[KV_HEADS], heads[CODES_KV] != 0
    crew, tokens = Crew(thread, threads, state, (0, 0)), len(positions)
    works = Work(q, query_codes, query_scales, firsts, limits, scores, weight_codes, out, row)
    work = work_of(works, thread)
    while True:
        piece = claim(crew, STORED, 1)
        if piece >= tokens * kv_heads:
            break
        t, head = divmod(piece, kv_heads)
        key, value = t * stride + k_column + head * dim, t * stride + v_column + head * dim
        page, place = positions[t] // PAGE, layer * kv_heads + head
        if codes_kv:
            store_codes(pages, page, place, dim, positions[t], x, key, value, work.row, x)
        else:
            store_floats(pages, page, place, dim, positions[t], x, key, value, x)
    meet(crew)
    while True:
        piece = claim(crew, ATTENDED, 1)
        if piece >= (tokens + TILE - 1) // TILE * kv_heads:
            return
        first, head = piece // kv_heads * TILE, piece % kv_heads
        count, at, place = min(TILE, tokens - first), first * stride + head * group * dim, layer * kv_heads + head
        if codes_kv:
            attention_over_codes(x, at, stride, count, group, dim, positions, first, window, pages, 0, place, work)
        else:
            attention_over_floats(x, at, stride, count, group, dim, positions, first, window, pages, 0, place, work)


@entry
def gated(gate, up, out):
    """silu(gate) * up, with the arithmetic of kernels.swiglu."""
    size = len(gate)
    for i in range(0, size, 16):
        g = load_first(size - i, gate, i)
        store_first(size - i, out, i, g / (exp(fill(0.0, f32) - g) + 1.0) * load_first(size - i, up, i))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.operator_kernels() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.operator_kernels() IS
'Each operator of the transformer as a compiled call of its own, from the parts of the compiled forward.';

COMMIT;
