"""Each operator of the transformer as a compiled call of its own, from the parts of the compiled forward.

`decoder_pass` runs them all in one pass; a query that composes operators makes a call for each. The parts and their
order are the same, and no part's result depends on what it is computed with, so both give the same bits.

Activations are flat and tight, row after row, as SQL passes them; a product's rows are padded to whole registers.
Arguments are arrays and numbers: numba takes 10 microseconds to recognise the tuples that the parts want, so those are
made inside.
"""

from ..kernels.attention import attention_over_codes, attention_over_floats
from ..kernels.elementwise import exp, rms_norm, rope, swiglu
from ..kernels.groups import ABSENT, BLOCK, COLUMNS, GROUP, LAYOUT, OFFSET, ROWS, Codes, Rows, Weights
from ..kernels.kv_pages import PAGE, store_codes, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..simd.memory import as_writable, load, load_first, store, store_first
from ..simd.registers import compiled, entry, f32, fill, inlined
from ..simd.threads import Crew, claim, meet
from .steps import (
    K_NORM,
    ONE_SET,
    Q_BIAS,
    Q_NORM,
    TWO_SETS,
    Coded,
    K,
    Q,
    V,
    Work,
    add_bias,
    claim_groups,
    groups_of,
    product,
    quantize_token,
    work_of,
)

STORED, ATTENDED = range(2)  # counters of claimed work
CLAIMS = 3  # as many as there are of queries, keys and values
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
    starts,
    residual,
    out,
    spare,
    stride,
):
    """out[t] = matrix @ x[t] + bias + residual[t], every `stride` numbers; without a residual it is empty.

    A quantised matrix sees x as so many sets of codes.
    """
    weights, quantized = Weights(u8, u16, floats), Codes(codes, scales, starts)
    crew, columns, given = Crew(thread, threads, state, (0, 0)), matrix[COLUMNS], as_writable(x)
    if is_quantized(matrix):
        quantize_each(crew, given, columns, quantized, sets, tokens)
    groups, codes, to = groups_of(matrix), codes_of_rows(quantized, 0, columns, sets, tokens), Rows(out, 0, stride)
    while True:
        begin, end = claim_groups(crew, 0, matrix, groups, tokens)
        if begin == groups:
            return
        product(weights, matrix, begin, end, Rows(given, 0, columns), codes, tokens, to, spare)
        add_bias(weights, bias, begin, end, tokens, to)
        if len(residual) > 0:
            add_residual(as_writable(residual), matrix[ROWS], begin * GROUP, end * GROUP, out, stride, tokens)


@inlined
def codes_of_rows(quantized, t, columns, sets, tokens):
    """The sets of codes of rows that follow each other, from row t on."""
    blocks = columns // BLOCK
    return Coded(quantized, t * blocks, (tokens + t) * blocks, sets)


@inlined
def quantize_each(crew, x, columns, quantized, sets, tokens):
    """So many sets of codes of every row of x, each done by one of the threads; all of them meet then."""
    for t in range(crew.thread, tokens, crew.threads):
        quantize_token(x, t * columns, columns, codes_of_rows(quantized, t, columns, sets, tokens))
    meet(crew)


@compiled
def add_residual(residual, width, begin, end, out, stride, tokens):
    """Add columns begin .. end of rows that are `width` numbers apart."""
    for t in range(tokens):
        for i in range(begin, end, 16):
            given = load_first(width - i, residual, t * width + i)
            store(out, t * stride + i, load(out, t * stride + i, f32) + given)


@entry
def project_heads(
    thread,
    threads,
    state,
    u8,
    u16,
    floats,
    layer,
    heads,
    epsilon,
    interleaved,
    x,
    positions,
    cosines,
    sines,
    codes,
    scales,
    starts,
    out,
    spare,
):
    """The rows of queries, keys and values that `attend` takes, from x; layer: its rows of the table of weights."""
    weights, quantized = Weights(u8, u16, floats), Codes(codes, scales, starts)
    crew, tokens = Crew(thread, threads, state, (0, 0)), len(positions)
    columns, dim = layer[Q, COLUMNS], heads[HEAD_DIM]
    given, stride, k_column, v_column = as_writable(x), heads[STRIDE], heads[K_COLUMN], heads[V_COLUMN]
    if is_quantized(layer[Q]) or is_quantized(layer[K]) or is_quantized(layer[V]):
        quantize_each(crew, given, columns, quantized, TWO_SETS, tokens)
    for part, column in ((0, 0), (1, k_column), (2, v_column)):
        matrix, bias, to = layer[Q + part], layer[Q_BIAS + part], Rows(out, column, stride)
        groups = groups_of(matrix)
        codes = codes_of_rows(quantized, 0, columns, TWO_SETS if part == V - Q else ONE_SET, tokens)
        while True:
            begin, end = claim_groups(crew, part, matrix, groups, tokens)
            if begin == groups:
                break
            product(weights, matrix, begin, end, Rows(given, 0, columns), codes, tokens, to, spare)
            add_bias(weights, bias, begin, end, tokens, to)
    meet(crew)
    for t in range(thread, tokens, threads):
        row, angles = t * stride, positions[t] * (dim // 2)
        for h in range(heads[GROUP_SIZE] * heads[KV_HEADS]):
            place_head(out, row + h * dim, dim, floats, layer[Q_NORM], epsilon, cosines, sines, angles, interleaved)
        for h in range(row + k_column, row + k_column + heads[KV_HEADS] * dim, dim):
            place_head(out, h, dim, floats, layer[K_NORM], epsilon, cosines, sines, angles, interleaved)


@compiled
def place_head(x, at, dim, floats, norm, epsilon, cosines, sines, angles, interleaved):
    """Normalise (if the model does) and rotate one head of queries or keys."""
    if norm[LAYOUT] != ABSENT:
        rms_norm(x, at, dim, floats, norm[OFFSET] // 4, epsilon, x, at)
    rope(x, at, dim, cosines, sines, angles, interleaved)


@entry
def project_gated(
    thread,
    threads,
    state,
    u8,
    u16,
    floats,
    gate,
    up,
    x,
    tokens,
    codes,
    scales,
    starts,
    gates,
    out,
    stride,
):
    """out[t] = silu(gate @ x[t]) * (up @ x[t]), every `stride` numbers, the same rows of both at a time."""
    weights, quantized = Weights(u8, u16, floats), Codes(codes, scales, starts)
    crew, columns, given = Crew(thread, threads, state, (0, 0)), gate[COLUMNS], as_writable(x)
    if is_quantized(gate) or is_quantized(up):
        quantize_each(crew, given, columns, quantized, ONE_SET, tokens)
    groups, codes = groups_of(gate), codes_of_rows(quantized, 0, columns, ONE_SET, tokens)
    while True:
        begin, end = claim_groups(crew, 0, gate, groups, tokens)
        if begin == groups:
            return
        for matrix, to in ((gate, gates), (up, out)):
            # With one set of codes no product needs its spare.
            product(weights, matrix, begin, end, Rows(given, 0, columns), codes, tokens, Rows(to, 0, stride), gates)
        for t in range(tokens):
            swiglu(gates, out, t * stride + begin * GROUP, (end - begin) * GROUP)


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
    each thread's own scratch, as steps.Work has it.
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
