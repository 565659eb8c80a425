"""One compiled pass over the weights, for any tokens: a decode step, a chunk of a prompt, or many sequences at once.

The operators and their order are those of reference/decoder.block. Between them the threads wait where a step needs the
whole result of the one before: five times a layer for a single token, at most ten times for several.

After a single token the same call can go on with greedy decoding, one pass for each token. Between two calls Python
would take 0.3 milliseconds: its code and data have left the caches while the weights went through, and the workers must
be woken.
"""

from collections import namedtuple

from ..kernels.groups import ROWS, Rows
from ..kernels.matrix import is_quantized
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, barrier
from .steps import (
    ATTN_NORM,
    BATCH_STRUCT,
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
    FLOAT_ARRAY,
    GATE,
    INT_ARRAY,
    INTERRUPTS_STRUCT,
    LAYER_COUNTERS,
    LAYER_ROWS,
    MODEL_STRUCT,
    NO_BIAS,
    NO_CODES,
    ONE_SET,
    OUTPUT,
    OUTPUT_BIAS,
    OUTPUT_HEAD,
    PASS_COUNTERS,
    SCRATCH_STRUCT,
    TWO_SETS,
    UP,
    WORKSPACES_STRUCT,
    Pass,
    Pieces,
    Projection,
    Q,
    V,
    all_groups,
    attend,
    choose_next,
    claim_piece,
    codes_needed,
    embed,
    kv_address,
    norm,
    normed,
    parallel,
    project,
    project_back,
    project_gated,
    quantize_rows,
    queries_keys_values,
    rotate_heads,
    store_head,
    workspace_of,
)

# The arguments of `forward`; see there.
Forward = namedtuple("Forward", "model batch workspaces scratch logits ends chosen interrupts")
FORWARD_STRUCT = Structure(
    Forward,
    model=MODEL_STRUCT,
    batch=BATCH_STRUCT,
    workspaces=WORKSPACES_STRUCT,
    scratch=SCRATCH_STRUCT,
    logits=FLOAT_ARRAY,
    ends=INT_ARRAY,
    chosen=INT_ARRAY,
    interrupts=INTERRUPTS_STRUCT,
)
_arguments = FORWARD_STRUCT.read_at


@inlined
def barrier_if_many(crew, tokens):
    """Barrier after a step that, for a single token, every thread does for itself. True to stop."""
    return tokens > 1 and barrier(crew)


@inlined
def rotate_and_store_head(p, w, layer, token, head):
    """Normalise (if the model does so) and rotate one kv head's key and queries; store its key and value."""
    rows = Rows(p.scratch.qkv, token * p.model.sizes.qkv_stride, 0)
    rotate_heads(p.model, w, rows, p.batch.positions[token], head)
    store_head(p.model.sizes, kv_address(p, layer, token, head), rows, head, p.workspace)


@inlined
def _attended(begin, end, given):
    """Attention of a query tile and a kv head; for a single token, first rotates and stores its key and value."""
    p, w, layer = given
    if len(p.batch.tokens) == 1:
        rotate_and_store_head(p, w, layer, 0, begin % p.model.sizes.kv_heads)
    attend(p, layer, begin)


attend_all = parallel(_attended, claim_piece)


@inlined
def attention_block(p, counter, w, layer):
    """x += the attention of a layer. counter: the layer's first counter. True to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[ATTN_NORM], TWO_SETS if codes_needed(w, Q, V) else NO_CODES, p.batch.rows, s)
    if barrier_if_many(crew, tokens):
        return True
    if queries_keys_values(p, counter + CLAIM_QKV, w, ONE_SET):
        return True
    if tokens > 1:
        for token in range(crew.thread, tokens, crew.threads):
            for head in range(sizes.kv_heads):
                rotate_and_store_head(p, w, layer, token, head)
        if barrier(crew):
            return True
    if attend_all(crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.kv_heads), (p, w, layer)):
        return True
    rows = Rows(s.qkv, 0, sizes.qkv_stride)
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, rows, sizes.heads * sizes.head_dim, TWO_SETS, tokens, s)
        if barrier_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def gate_and_up(p, counter, w, no_bias):
    """up = silu(gate @ normed) * (up @ normed); a thread computes the same rows of both. True to stop."""
    tokens, s, stride = len(p.batch.tokens), p.scratch, p.model.sizes.ffn_stride
    weights, inputs = p.model.weights, normed(p, tokens, ONE_SET)
    gate = Projection(weights, w[GATE], no_bias, inputs, tokens, Rows(s.gate, 0, stride), s.spare)
    up = Projection(weights, w[UP], no_bias, inputs, tokens, Rows(s.up, 0, stride), s.spare)
    return project_gated(p.crew, counter, all_groups(w[GATE], tokens), (gate, up))


@inlined
def feed_forward_block(p, counter, w, no_bias):
    """x += the gated feed-forward network of a layer. counter: the layer's first counter. True to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[FFN_NORM], ONE_SET if codes_needed(w, GATE, UP) else NO_CODES, p.batch.rows, s)
    if barrier_if_many(crew, tokens):
        return True
    if gate_and_up(p, counter + CLAIM_GATE, w, no_bias):
        return True
    rows = Rows(s.up, 0, sizes.ffn_stride)
    if is_quantized(w[DOWN]):
        quantize_rows(crew, rows, sizes.ffn, ONE_SET, tokens, s)
        if barrier_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], no_bias, rows, ONE_SET)


@inlined
def head_block(p, counter, own, logits):
    """The logits of the wanted tokens. True to stop."""
    wanted, matrix, s = len(p.batch.wanted), own[OUTPUT_HEAD], p.scratch
    if wanted == 0:
        return False
    norm(p.crew, p.model, own[FINAL_NORM], ONE_SET if is_quantized(matrix) else NO_CODES, p.batch.wanted, s)
    if barrier_if_many(p.crew, wanted):
        return True
    inputs, to = normed(p, wanted, ONE_SET), Rows(logits, 0, p.model.sizes.logits_stride)
    projection = Projection(p.model.weights, matrix, own[NO_BIAS], inputs, wanted, to, s.spare)
    return project(p.crew, counter, all_groups(matrix, wanted), projection)


@inlined
def compute(p, counter, logits):
    """One pass. counter: its first counter. True to stop."""
    layers, table = p.model.sizes.layers, p.model.table
    own = table[layers * LAYER_ROWS :]
    if embed(p.crew, counter + CLAIM_EMBEDDING, Pieces(len(p.batch.tokens)), p):
        return True
    for layer in range(layers):
        w, layer_counter = table[layer * LAYER_ROWS :], counter + PASS_COUNTERS + layer * LAYER_COUNTERS
        if attention_block(p, layer_counter, w, layer):
            return True
        if feed_forward_block(p, layer_counter, w, own[NO_BIAS]):
            return True
    return head_block(p, counter + CLAIM_HEAD, own, logits)


@compiled
def counters(layers, passes):
    """The number of counters of so many passes."""
    return passes * (PASS_COUNTERS + layers * LAYER_COUNTERS)


@entry
def forward(thread, threads, state, frame):
    """Compute a batch: keys and values into their pages, the logits of the wanted tokens into `logits`.

    frame: a Forward. logits: f32 [wanted * logits_stride]. All threads of a team call it with the same frame and a
    zeroed state with the counters of len(chosen) + 1 passes. If a pass was stopped, state[threads.STOP] is set, and of
    all results only `chosen` is valid.

    If `chosen`, int64 filled with NO_TOKEN, is not empty, the batch must be one token. Then the argmax of the logits
    replaces that token and is appended to `chosen`, pass after pass, until `chosen` is full, the next token would be
    one of `ends` (int64), or a logit is not finite. `logits` are those after the last token.
    """
    given = _arguments(frame, 0)
    crew, model, batch = Crew(thread, threads, state, given.interrupts), given.model, given.batch
    p = Pass(crew, model, batch, workspace_of(given.workspaces, thread), given.scratch)
    logits, ends, chosen, layers = given.logits, given.ends, given.chosen, model.sizes.layers
    vocabulary = model.table[layers * LAYER_ROWS + OUTPUT_HEAD, ROWS]
    for number in range(len(chosen) + 1):
        counter = counters(layers, number)
        if compute(p, counter, logits):
            return
        choice = counter + CLAIM_CHOICE
        if number < len(chosen) and choose_next(crew, choice, batch, logits, vocabulary, ends, chosen, number):
            return
