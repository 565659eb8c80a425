"""One compiled pass over the weights for any tokens: a decode step, a chunk of a prompt, many sequences at once.

The operators and their order are those of reference/decoder.block; between them the threads wait where one needs all of
another's result, five times a layer for a single token, at most ten times for several.

A single token may be followed by the likeliest next ones in the same call, a pass each: between two calls Python takes
0.3 milliseconds, its code and its numbers gone from the caches while the weights went through, and the workers must be
woken.
"""

from collections import namedtuple

from ..kernels.groups import ROWS, Rows
from ..kernels.matrix import is_quantized
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, meet
from .steps import (
    ATTN_NORM,
    BATCH,
    CLAIM_ATTENTION,
    CLAIM_CHOICE,
    CLAIM_DOWN,
    CLAIM_EMBEDDING,
    CLAIM_GATE,
    CLAIM_HEAD,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    FINAL_NORM,
    FLOATS,
    GATE,
    HEAD,
    INTERRUPTS,
    LAYER_COUNTERS,
    MODEL,
    NO_BIAS,
    NO_CODES,
    NUMBERS,
    ONE_SET,
    OUTPUT,
    OUTPUT_BIAS,
    PASS_COUNTERS,
    PER_LAYER,
    SCRATCH,
    TWO_SETS,
    UP,
    WORKS,
    Pass,
    Pieces,
    Projection,
    Q,
    V,
    all_groups,
    attend,
    choose,
    claim_piece,
    codes_needed,
    embed,
    norm,
    normed,
    place_of,
    project,
    project_back,
    project_gated,
    quantize_rows,
    queries_keys_values,
    shared_out,
    store_head,
    turn_heads,
    work_of,
)

# What `forward` is given.
Forward = namedtuple("Forward", "model batch works scratch logits ends chosen interrupts")
FORWARD = Structure(
    Forward,
    model=MODEL,
    batch=BATCH,
    works=WORKS,
    scratch=SCRATCH,
    logits=FLOATS,
    ends=NUMBERS,
    chosen=NUMBERS,
    interrupts=INTERRUPTS,
)
_given = FORWARD.read_at


@inlined
def meet_if_many(crew, tokens):
    """Meet between steps whose result a single token's threads each have for themselves. True to stop."""
    return tokens > 1 and meet(crew)


@inlined
def place_head(p, w, layer, token, head):
    """Normalise (if the model does) and rotate one kv head's key and its queries; store the key and the value."""
    rows = Rows(p.scratch.qkv, token * p.model.sizes.qkv_stride, 0)
    turn_heads(p.model, w, rows, p.batch.positions[token], head)
    store_head(p.model.sizes, place_of(p, layer, token, head), rows, head, p.work)


@inlined
def _attended(begin, end, given):
    """Attention of a tile and a kv head; a single token's is placed first."""
    p, w, layer = given
    if len(p.batch.tokens) == 1:
        place_head(p, w, layer, 0, begin % p.model.sizes.kv_heads)
    attend(p, layer, begin)


attend_all = shared_out(_attended, claim_piece)


@inlined
def attention_block(p, counter, w, layer):
    """x += the attention of the layer, with its counters. True when the pass is to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[ATTN_NORM], TWO_SETS if codes_needed(w, Q, V) else NO_CODES, p.batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if queries_keys_values(p, counter + CLAIM_QKV, w, ONE_SET):
        return True
    if tokens > 1:
        for token in range(crew.thread, tokens, crew.threads):
            for head in range(sizes.kv_heads):
                place_head(p, w, layer, token, head)
        if meet(crew):
            return True
    if attend_all(crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.kv_heads), (p, w, layer)):
        return True
    rows = Rows(s.qkv, 0, sizes.qkv_stride)
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, rows, sizes.heads * sizes.head_dim, TWO_SETS, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def gate_and_up(p, counter, w, no_bias):
    """up = silu(gate @ normed) * (up @ normed), the same rows of both at a time. True to stop."""
    tokens, s, stride = len(p.batch.tokens), p.scratch, p.model.sizes.ffn_stride
    weights, given = p.model.weights, normed(p, tokens, ONE_SET)
    gate = Projection(weights, w[GATE], no_bias, given, tokens, Rows(s.gate, 0, stride), s.spare)
    up = Projection(weights, w[UP], no_bias, given, tokens, Rows(s.up, 0, stride), s.spare)
    return project_gated(p.crew, counter, all_groups(w[GATE], tokens), (gate, up))


@inlined
def feed_forward_block(p, counter, w, no_bias):
    """x += the gated feed-forward network of the layer, with its counters. True when the pass is to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[FFN_NORM], ONE_SET if codes_needed(w, GATE, UP) else NO_CODES, p.batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if gate_and_up(p, counter + CLAIM_GATE, w, no_bias):
        return True
    rows = Rows(s.up, 0, sizes.ffn_stride)
    if is_quantized(w[DOWN]):
        quantize_rows(crew, rows, sizes.ffn, ONE_SET, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], no_bias, rows, ONE_SET)


@inlined
def head_block(p, counter, own, logits):
    """The logits of the wanted tokens. True to stop."""
    wanted, matrix, s = len(p.batch.wanted), own[HEAD], p.scratch
    if wanted == 0:
        return False
    norm(p.crew, p.model, own[FINAL_NORM], ONE_SET if is_quantized(matrix) else NO_CODES, p.batch.wanted, s)
    if meet_if_many(p.crew, wanted):
        return True
    given, to = normed(p, wanted, ONE_SET), Rows(logits, 0, p.model.sizes.logits_stride)
    projection = Projection(p.model.weights, matrix, own[NO_BIAS], given, wanted, to, s.spare)
    return project(p.crew, counter, all_groups(matrix, wanted), projection)


@inlined
def compute(p, counter, logits):
    """One pass, with its counters. True when it was stopped."""
    layers, table = p.model.sizes.layers, p.model.table
    own = table[layers * PER_LAYER :]
    if embed(p.crew, counter + CLAIM_EMBEDDING, Pieces(len(p.batch.tokens)), p):
        return True
    for layer in range(layers):
        w, layer_counter = table[layer * PER_LAYER :], counter + PASS_COUNTERS + layer * LAYER_COUNTERS
        if attention_block(p, layer_counter, w, layer):
            return True
        if feed_forward_block(p, layer_counter, w, own[NO_BIAS]):
            return True
    return head_block(p, counter + CLAIM_HEAD, own, logits)


@compiled
def counters(layers, passes):
    """How many counters of claimed work so many passes take."""
    return passes * (PASS_COUNTERS + layers * LAYER_COUNTERS)


@entry
def forward(thread, threads, state, frame):
    """Compute a batch: keys and values into their pages, the logits of the wanted tokens into `logits`.

    Every thread of a team runs it with the same frame, of FORWARD, and a zeroed state, that has room for len(chosen) +
    1 passes. Afterwards threads.STOP of the state is set when a pass was stopped; then of what it wrote only `chosen`
    holds.

    With room in `chosen` (int64[], filled with NO_TOKEN) the batch is one token, whose place the likeliest next one
    takes, into `chosen` too, pass after pass until there is no room, the next would be one of `ends` (int64[]), or the
    logits are not finite. Then `logits` are those after the last one chosen.
    """
    given = _given(frame, 0)
    crew, model, batch = Crew(thread, threads, state, given.interrupts), given.model, given.batch
    p = Pass(crew, model, batch, work_of(given.works, thread), given.scratch)
    logits, ends, chosen, layers = given.logits, given.ends, given.chosen, model.sizes.layers
    vocabulary = model.table[layers * PER_LAYER + HEAD, ROWS]
    for number in range(len(chosen) + 1):
        counter = counters(layers, number)
        if compute(p, counter, logits):
            return
        choice = counter + CLAIM_CHOICE
        if number < len(chosen) and choose(crew, choice, batch, logits, vocabulary, ends, chosen, number):
            return
