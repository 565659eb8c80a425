-- Deploy hartonomous:python_runtime_compiled_forward to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/compiled_forward.py by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.compiled_forward()
RETURNS void
LANGUAGE plpython3u
AS $python$"""One compiled pass over the weights for any tokens: a decode step, a chunk of a prompt, many sequences at once.

The operators and their order are those of numpy_engine.block; between them the threads meet where one needs all of
another's result, five times a layer for a single token, at most ten times for several.
"""

from .forward_steps import (
    ATTN_NORM,
    CLAIM_ATTENTION,
    CLAIM_DOWN,
    CLAIM_GATE,
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
    PER_LAYER,
    TWO_SETS,
    UP,
    K,
    Q,
    V,
    attend_all,
    gate_and_up,
    is_quantized,
    norm,
    place_heads,
    project_back,
    project_logits,
    quantize_rows,
    queries_keys_values,
    work_of,
)
from .matrix_kernels import embedding
from .simd import entry, inlined
from .threads import Crew, meet


@inlined
def meet_if_many(crew, tokens):
    """Meet between steps whose result a single token's threads each have for themselves. True to stop."""
    return tokens > 1 and meet(crew)


@inlined
def attention_block(crew, model, w, batch, layer, work, s):
    """s.x += the attention of the layer. True when the pass is to stop."""
    sizes, tokens, counter = model.sizes, len(batch.tokens), layer * LAYER_COUNTERS
    needs_codes = is_quantized(w[Q]) or is_quantized(w[K]) or is_quantized(w[V])
    norm(crew, model, w[ATTN_NORM], TWO_SETS if needs_codes else NO_CODES, batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    queries_keys_values(crew, counter + CLAIM_QKV, model, w, tokens, s)
    if meet(crew):
        return True
    if tokens > 1:
        for token in range(crew.thread, tokens, crew.threads):
            for head in range(sizes.kv_heads):
                place_heads(model, w, batch, layer, token, head, work, s)
        if meet(crew):
            return True
    attend_all(crew, counter + CLAIM_ATTENTION, model, w, batch, layer, work, s)
    if meet(crew):
        return True
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, s.qkv, sizes.qkv_stride, sizes.heads * sizes.head_dim, TWO_SETS, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    stride = sizes.qkv_stride
    project_back(crew, counter + CLAIM_OUTPUT, model, w[OUTPUT], w[OUTPUT_BIAS], s.qkv, stride, TWO_SETS, tokens, s)
    return meet(crew)


@inlined
def feed_forward_block(crew, model, w, no_bias, batch, layer, s):
    """s.x += the gated feed-forward network of the layer. True when the pass is to stop."""
    sizes, tokens, counter = model.sizes, len(batch.tokens), layer * LAYER_COUNTERS
    needs_codes = is_quantized(w[GATE]) or is_quantized(w[UP])
    norm(crew, model, w[FFN_NORM], ONE_SET if needs_codes else NO_CODES, batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    gate_and_up(crew, counter + CLAIM_GATE, model, w, tokens, s)
    if meet(crew):
        return True
    if is_quantized(w[DOWN]):
        quantize_rows(crew, s.up, sizes.ffn_stride, sizes.ffn, ONE_SET, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    project_back(crew, counter + CLAIM_DOWN, model, w[DOWN], no_bias, s.up, sizes.ffn_stride, ONE_SET, tokens, s)
    return meet(crew)


@entry
def forward(thread, threads, state, interrupts, model, batch, works, s, logits):
    """Compute a batch: keys and values into their pages, the logits of the wanted tokens into `logits`.

    Every thread of a team runs it with the same arguments and a zeroed state. Afterwards threads.STOP of the state is
    set when the pass was stopped; then nothing that it wrote holds.
    """
    crew = Crew(thread, threads, state, interrupts)
    layers, weights, work = model.sizes.layers, model.weights, work_of(works, thread)
    own = model.table[layers * PER_LAYER :]
    for token in range(thread, len(batch.tokens), threads):
        embedding(weights, own[EMBEDDING], batch.tokens[token], s.x, token * model.sizes.hidden_stride)
    if meet(crew):
        return
    for layer in range(layers):
        w = model.table[layer * PER_LAYER : (layer + 1) * PER_LAYER]
        if attention_block(crew, model, w, batch, layer, work, s):
            return
        if feed_forward_block(crew, model, w, own[NO_BIAS], batch, layer, s):
            return
    wanted = len(batch.wanted)
    if wanted > 0:
        norm(crew, model, own[FINAL_NORM], ONE_SET if is_quantized(own[HEAD]) else NO_CODES, batch.wanted, s)
        if meet_if_many(crew, wanted):
            return
        project_logits(crew, layers * LAYER_COUNTERS, model, own[HEAD], wanted, logits, s)
    meet(crew)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.compiled_forward() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.compiled_forward() IS
'One compiled pass over the weights for any tokens: a decode step, a chunk of a prompt, many sequences at once.';

COMMIT;
