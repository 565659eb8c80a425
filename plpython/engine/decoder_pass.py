"""One compiled pass over the weights for any tokens: a decode step, a chunk of a prompt, many sequences at once.

The operators and their order are those of reference/decoder.block; between them the threads wait where one needs all of
another's result, five times a layer for a single token, at most ten times for several.

A single token may be followed by the likeliest next ones in the same call, a pass each: between two calls Python takes
0.3 milliseconds, its code and its numbers gone from the caches while the weights went through, and the workers must be
woken.
"""

from ..kernels.groups import ROWS, Rows
from ..kernels.matrix import is_quantized
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, meet
from .steps import (
    ATTN_NORM,
    CLAIM_ATTENTION,
    CLAIM_CHOICE,
    CLAIM_DOWN,
    CLAIM_EMBEDDING,
    CLAIM_GATE,
    CLAIM_HEAD,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    EMBEDDING,
    FFN_NORM,
    FINAL_NORM,
    GATE,
    HEAD,
    LAYER_COUNTERS,
    NO_BIAS,
    NO_CODES,
    ONE_SET,
    OUTPUT,
    OUTPUT_BIAS,
    PASS_COUNTERS,
    PER_LAYER,
    TWO_SETS,
    UP,
    K,
    Q,
    V,
    attend_all,
    choose,
    embed,
    gate_and_up,
    norm,
    place_heads,
    project_back,
    project_logits,
    quantize_rows,
    queries_keys_values,
    work_of,
)


@inlined
def meet_if_many(crew, tokens):
    """Meet between steps whose result a single token's threads each have for themselves. True to stop."""
    return tokens > 1 and meet(crew)


@inlined
def attention_block(crew, counter, model, w, batch, layer, work, s):
    """s.x += the attention of the layer, with its counters. True when the pass is to stop."""
    sizes, tokens = model.sizes, len(batch.tokens)
    needs_codes = is_quantized(w[Q]) or is_quantized(w[K]) or is_quantized(w[V])
    norm(crew, model, w[ATTN_NORM], TWO_SETS if needs_codes else NO_CODES, batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if queries_keys_values(crew, counter + CLAIM_QKV, model, w, tokens, s):
        return True
    if tokens > 1:
        for token in range(crew.thread, tokens, crew.threads):
            for head in range(sizes.kv_heads):
                place_heads(model, w, batch, layer, token, head, work, s)
        if meet(crew):
            return True
    if attend_all(crew, counter + CLAIM_ATTENTION, model, w, batch, layer, work, s):
        return True
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, s.qkv, sizes.qkv_stride, sizes.heads * sizes.head_dim, TWO_SETS, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    matrix, bias, given = w[OUTPUT], w[OUTPUT_BIAS], Rows(s.qkv, 0, sizes.qkv_stride)
    return project_back(crew, counter + CLAIM_OUTPUT, model, matrix, bias, given, TWO_SETS, tokens, s)


@inlined
def feed_forward_block(crew, counter, model, w, no_bias, batch, s):
    """s.x += the gated feed-forward network of the layer, with its counters. True when the pass is to stop."""
    sizes, tokens = model.sizes, len(batch.tokens)
    needs_codes = is_quantized(w[GATE]) or is_quantized(w[UP])
    norm(crew, model, w[FFN_NORM], ONE_SET if needs_codes else NO_CODES, batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if gate_and_up(crew, counter + CLAIM_GATE, model, w, tokens, s):
        return True
    if is_quantized(w[DOWN]):
        quantize_rows(crew, s.up, sizes.ffn_stride, sizes.ffn, ONE_SET, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    given = Rows(s.up, 0, sizes.ffn_stride)
    return project_back(crew, counter + CLAIM_DOWN, model, w[DOWN], no_bias, given, ONE_SET, tokens, s)


@inlined
def head_block(crew, counter, model, own, batch, logits, s):
    """The logits of the wanted tokens. True to stop."""
    wanted = len(batch.wanted)
    if wanted == 0:
        return False
    norm(crew, model, own[FINAL_NORM], ONE_SET if is_quantized(own[HEAD]) else NO_CODES, batch.wanted, s)
    if meet_if_many(crew, wanted):
        return True
    return project_logits(crew, counter, model, own[HEAD], wanted, logits, s)


@inlined
def compute(crew, counter, model, batch, work, s, logits):
    """One pass, with its counters. True when it was stopped."""
    layers = model.sizes.layers
    own = model.table[layers * PER_LAYER :]
    if embed(crew, counter + CLAIM_EMBEDDING, model, own[EMBEDDING], batch, s):
        return True
    for layer in range(layers):
        w, layer_counter = model.table[layer * PER_LAYER :], counter + PASS_COUNTERS + layer * LAYER_COUNTERS
        if attention_block(crew, layer_counter, model, w, batch, layer, work, s):
            return True
        if feed_forward_block(crew, layer_counter, model, w, own[NO_BIAS], batch, s):
            return True
    return head_block(crew, counter + CLAIM_HEAD, model, own, batch, logits, s)


@compiled
def counters(layers, passes):
    """How many counters of claimed work so many passes take."""
    return passes * (PASS_COUNTERS + layers * LAYER_COUNTERS)


@entry
def forward(thread, threads, state, interrupts, model, batch, works, s, logits, ends, chosen):
    """Compute a batch: keys and values into their pages, the logits of the wanted tokens into `logits`.

    Every thread of a team runs it with the same arguments and a zeroed state, that has room for len(chosen) + 1 passes.
    Afterwards threads.STOP of the state is set when a pass was stopped; then of what it wrote only `chosen` holds.

    With room in `chosen` (int64[], filled with NO_TOKEN) the batch is one token, whose place the likeliest next one
    takes, into `chosen` too, pass after pass until there is no room, the next would be one of `ends` (int64[]), or the
    logits are not finite. Then `logits` are those after the last one chosen.
    """
    crew, work = Crew(thread, threads, state, interrupts), work_of(works, thread)
    layers = model.sizes.layers
    vocabulary = model.table[layers * PER_LAYER + HEAD, ROWS]
    for number in range(len(chosen) + 1):
        counter = counters(layers, number)
        if compute(crew, counter, model, batch, work, s, logits):
            return
        choice = counter + CLAIM_CHOICE
        if number < len(chosen) and choose(crew, choice, batch, logits, vocabulary, ends, chosen, number):
            return
