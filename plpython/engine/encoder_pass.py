"""One compiled pass of an encoder, for the tokens of any number of texts, one after the other without padding.

The operators and their order are those of reference/encoder.block. Projections and attention are the decoder's steps
(`steps`), over KV pages that are reused for each layer. Attention is made bidirectional by the batch's positions: a
token's is the last of its text, so it attends to the whole text. `positions` are the tokens' real positions.

Embeddings should be right to three digits, and int8 activations alone cost a short text as much as that. So quantised
matrices read two sets of codes, which together hold 15 bits.
"""

from collections import namedtuple

from ..kernels.elementwise import Affine, add, gelu, layer_norm
from ..kernels.groups import GROUP, OFFSET, Rows
from ..kernels.kv_pages import PAGE, KVAddress, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..model.encodings import BLOCK
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, barrier
from .steps import (
    ATTN_NORM,
    BATCH_STRUCT,
    CLAIM_ATTENTION,
    CLAIM_DOWN,
    CLAIM_GATE,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    FLOAT_ARRAY,
    INT_ARRAY,
    INTERRUPTS_STRUCT,
    LAYER_COUNTERS,
    MODEL_STRUCT,
    OUTPUT,
    OUTPUT_BIAS,
    SCRATCH_STRUCT,
    TOKEN_EMBEDDING,
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
    claim_piece,
    code_sets,
    codes_needed,
    normed,
    parallel,
    project_back,
    projected,
    quantize_rows,
    quantize_token,
    queries_keys_values,
    workspace_of,
)

# The rows of the weight table. A layer has those of `steps`, so that its steps can be used, and then these four. The
# model has TOKEN_EMBEDDING, as in `steps`, and then the norm of the embeddings.
ATTN_NORM_BIAS, FFN_NORM_BIAS, UP_BIAS, DOWN_BIAS = range(15, 19)
ENCODER_LAYER_ROWS = 19
EMBEDDING_NORM, EMBEDDING_NORM_BIAS = range(1, 3)

# The arguments of `encode`. position_embeddings: f32 [context * hidden_stride], added to the token embeddings.
# positions: int64 [n], each token's position in its text.
Encode = namedtuple("Encode", "model position_embeddings batch positions workspaces scratch interrupts")
ENCODE_STRUCT = Structure(
    Encode,
    model=MODEL_STRUCT,
    position_embeddings=FLOAT_ARRAY,
    batch=BATCH_STRUCT,
    positions=INT_ARRAY,
    workspaces=WORKSPACES_STRUCT,
    scratch=SCRATCH_STRUCT,
    interrupts=INTERRUPTS_STRUCT,
)
_arguments = ENCODE_STRUCT.read_at


@compiled
def norm(crew, model, affine, needs_codes, tokens, s):
    """s.x = s.normed = the rows of s.x, normalised, and quantised if a quantised matrix follows."""
    hidden, stride = model.sizes.hidden, model.sizes.hidden_stride
    for t in range(crew.thread, tokens, crew.threads):
        at = t * stride
        layer_norm(s.x, at, hidden, affine, model.sizes.epsilon, s.normed, at)
        for i in range(at, at + hidden):
            s.x[i] = s.normed[i]
        if needs_codes:
            quantize_token(s.normed, at, hidden, code_sets(s, t * (hidden // BLOCK), TWO_SETS))


@inlined
def norm_and_barrier(p, weight, bias, needs_codes):
    """Normalise all rows; a barrier follows. weight, bias: rows of the weight table. True to stop."""
    affine = Affine(p.model.weights.f32, weight[OFFSET] // 4, bias[OFFSET] // 4)
    norm(p.crew, p.model, affine, needs_codes, len(p.batch.tokens), p.scratch)
    return barrier(p.crew)


@inlined
def store_keys_values(p, positions):
    """Store the keys and values of this thread's tokens in the pages."""
    sizes, x = p.model.sizes, p.scratch.qkv
    for t in range(p.crew.thread, len(p.batch.tokens), p.crew.threads):
        page, row = p.batch.first_page[t] + positions[t] // PAGE, t * sizes.qkv_stride
        for head in range(sizes.heads):
            key, value = row + sizes.k_column + head * sizes.head_dim, row + sizes.v_column + head * sizes.head_dim
            store_floats(KVAddress(p.batch.pages, page, head, sizes.head_dim, positions[t]), x, key, value)


@inlined
def _attended(begin, end, p):
    """Attention of a query tile and a head; the pages hold one layer."""
    attend(p, 0, begin)


@inlined
def _activated(begin, end, p):
    """gelu of the groups begin .. end - 1 of a Projection."""
    projected(begin, end, p)
    for t in range(p.tokens):
        gelu(p.to.x, t * p.to.stride + begin * GROUP, (end - begin) * GROUP)


attend_all, project_activated = parallel(_attended, claim_piece), parallel(_activated)


@inlined
def up(p, counter, matrix, bias):
    """up = gelu(matrix @ normed + bias). True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    inputs, to = normed(p, tokens, TWO_SETS), Rows(s.up, 0, p.model.sizes.ffn_stride)
    projection = Projection(p.model.weights, matrix, bias, inputs, tokens, to, s.spare)
    return project_activated(p.crew, counter, all_groups(matrix, tokens), projection)


@inlined
def codes_and_barrier(p, matrix, rows, width):
    """If the matrix is quantised, quantise the rows that it reads; a barrier follows. True to stop."""
    if not is_quantized(matrix):
        return False
    quantize_rows(p.crew, rows, width, TWO_SETS, len(p.batch.tokens), p.scratch)
    return barrier(p.crew)


@inlined
def attention_block(p, counter, w, positions):
    """x += the attention of a layer. counter: the layer's first counter. True to stop."""
    sizes = p.model.sizes
    if queries_keys_values(p, counter + CLAIM_QKV, w, TWO_SETS):
        return True
    store_keys_values(p, positions)
    if barrier(p.crew):
        return True
    if attend_all(p.crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.heads), p):
        return True
    rows = Rows(p.scratch.qkv, 0, sizes.qkv_stride)
    if codes_and_barrier(p, w[OUTPUT], rows, sizes.hidden):
        return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def feed_forward_block(p, counter, w):
    """x += the feed-forward network of a layer. counter: the layer's first counter. True to stop."""
    if up(p, counter + CLAIM_GATE, w[UP], w[UP_BIAS]):
        return True
    rows = Rows(p.scratch.up, 0, p.model.sizes.ffn_stride)
    if codes_and_barrier(p, w[DOWN], rows, p.model.sizes.ffn):
        return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], w[DOWN_BIAS], rows, TWO_SETS)


@entry
def encode(thread, threads, state, frame):
    """Compute a batch of at least two tokens: the last layer's vectors into scratch.x.

    frame: an Encode. All threads of a team call it with the same frame and a zeroed state. If the pass was stopped,
    state[threads.STOP] is set, and the results are not valid.
    """
    given = _arguments(frame, 0)
    model, batch, s, crew = given.model, given.batch, given.scratch, Crew(thread, threads, state, given.interrupts)
    p = Pass(crew, model, batch, workspace_of(given.workspaces, thread), s)
    layers, stride = model.sizes.layers, model.sizes.hidden_stride
    own = model.table[layers * ENCODER_LAYER_ROWS :]
    for t in range(thread, len(batch.tokens), threads):
        embedding(model.weights, own[TOKEN_EMBEDDING], batch.tokens[t], s.x, t * stride)
        add(s.x, t * stride, given.position_embeddings, given.positions[t] * stride, stride)
    if norm_and_barrier(p, own[EMBEDDING_NORM], own[EMBEDDING_NORM_BIAS], codes_needed(model.table, Q, V)):
        return
    for layer in range(layers):
        w, counter = model.table[layer * ENCODER_LAYER_ROWS : (layer + 1) * ENCODER_LAYER_ROWS], layer * LAYER_COUNTERS
        if attention_block(p, counter, w, given.positions):
            return
        if norm_and_barrier(p, w[ATTN_NORM], w[ATTN_NORM_BIAS], is_quantized(w[UP])):
            return
        if feed_forward_block(p, counter, w):
            return
        following = model.table[min(layer + 1, layers - 1) * ENCODER_LAYER_ROWS :]
        if norm_and_barrier(p, w[FFN_NORM], w[FFN_NORM_BIAS], codes_needed(following, Q, V)):
            return
