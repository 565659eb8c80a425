"""One compiled pass of an encoder for the tokens of any number of texts, one after the other without padding.

The operators and their order are those of reference/encoder.block. Projections and attention are the steps of
the decoder (`steps`), over pages of keys and values that last for one layer: a token's "position" in the batch is the
last of its text, so it sees the whole of it. `places` are the tokens' own positions.

An encoder's embedding is asked to be right to three digits, and int8 activations alone cost a short text as much: so
quantised matrices see them twice, as codes and as the codes of what those leave, which together hold 15 bits.
"""

from collections import namedtuple

from ..kernels.elementwise import Affine, add, gelu, layer_norm
from ..kernels.groups import BLOCK, GROUP, OFFSET, Rows
from ..kernels.kv_pages import PAGE, Place, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, meet
from .steps import (
    ATTN_NORM,
    BATCH,
    CLAIM_ATTENTION,
    CLAIM_DOWN,
    CLAIM_GATE,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    FLOATS,
    INTERRUPTS,
    LAYER_COUNTERS,
    MODEL,
    NUMBERS,
    OUTPUT,
    OUTPUT_BIAS,
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
    claim_piece,
    coded,
    codes_needed,
    normed,
    project_back,
    projected,
    quantize_rows,
    quantize_token,
    queries_keys_values,
    shared_out,
    work_of,
)

# The rows of a layer begin with those of `steps`, so that its steps can be shared; these follow. Then the model's own.
ATTN_NORM_BIAS, FFN_NORM_BIAS, UP_BIAS, DOWN_BIAS = range(15, 19)
PER_LAYER = 19
EMBEDDING, NORM, NORM_BIAS = range(3)

# What `encode` is given. embeddings: f32, what is added to the embedding of a token at each position. places: the
# tokens' own positions.
Encode = namedtuple("Encode", "model embeddings batch places works scratch interrupts")
ENCODE = Structure(
    Encode,
    model=MODEL,
    embeddings=FLOATS,
    batch=BATCH,
    places=NUMBERS,
    works=WORKS,
    scratch=SCRATCH,
    interrupts=INTERRUPTS,
)
_given = ENCODE.read_at


@compiled
def norm(crew, model, affine, needs_codes, tokens, s):
    """s.x = s.normed = s.x normalised, with its codes if a quantised matrix follows."""
    hidden, stride = model.sizes.hidden, model.sizes.hidden_stride
    for t in range(crew.thread, tokens, crew.threads):
        at = t * stride
        layer_norm(s.x, at, hidden, affine, model.sizes.epsilon, s.normed, at)
        for i in range(at, at + hidden):
            s.x[i] = s.normed[i]
        if needs_codes:
            quantize_token(s.normed, at, hidden, coded(s, t * (hidden // BLOCK), TWO_SETS))


@inlined
def norm_and_meet(p, weight, bias, needs_codes):
    """All rows normalised, by all threads. True to stop."""
    affine = Affine(p.model.weights.f32, weight[OFFSET] // 4, bias[OFFSET] // 4)
    norm(p.crew, p.model, affine, needs_codes, len(p.batch.tokens), p.scratch)
    return meet(p.crew)


@inlined
def store_keys_values(p, places):
    """The key and the value of every token and head into their pages."""
    sizes, x = p.model.sizes, p.scratch.qkv
    for t in range(p.crew.thread, len(p.batch.tokens), p.crew.threads):
        page, row = p.batch.pages_at[t] + places[t] // PAGE, t * sizes.qkv_stride
        for head in range(sizes.heads):
            key, value = row + sizes.k_column + head * sizes.head_dim, row + sizes.v_column + head * sizes.head_dim
            store_floats(Place(p.batch.pages, page, head, sizes.head_dim, places[t]), x, key, value)


@inlined
def _attended(begin, end, p):
    """Attention of a tile and a head, over the float32 keys and values of one layer."""
    attend(p, 0, begin)


@inlined
def _activated(begin, end, p):
    """gelu of a Projection."""
    projected(begin, end, p)
    for t in range(p.tokens):
        gelu(p.to.x, t * p.to.stride + begin * GROUP, (end - begin) * GROUP)


attend_all, project_activated = shared_out(_attended, claim_piece), shared_out(_activated)


@inlined
def up(p, counter, matrix, bias):
    """up = gelu(matrix @ normed + bias). True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    given, to = normed(p, tokens, TWO_SETS), Rows(s.up, 0, p.model.sizes.ffn_stride)
    projection = Projection(p.model.weights, matrix, bias, given, tokens, to, s.spare)
    return project_activated(p.crew, counter, all_groups(matrix, tokens), projection)


@inlined
def codes_and_meet(p, matrix, rows, width):
    """The codes of the rows that a matrix reads, if it is quantised, by all threads. True to stop."""
    if not is_quantized(matrix):
        return False
    quantize_rows(p.crew, rows, width, TWO_SETS, len(p.batch.tokens), p.scratch)
    return meet(p.crew)


@inlined
def attention_block(p, counter, w, places):
    """x += the attention of the layer. True when the pass is to stop."""
    sizes = p.model.sizes
    if queries_keys_values(p, counter + CLAIM_QKV, w, TWO_SETS):
        return True
    store_keys_values(p, places)
    if meet(p.crew):
        return True
    if attend_all(p.crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.heads), p):
        return True
    rows = Rows(p.scratch.qkv, 0, sizes.qkv_stride)
    if codes_and_meet(p, w[OUTPUT], rows, sizes.hidden):
        return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def feed_forward_block(p, counter, w):
    """x += the feed-forward network of the layer. True when the pass is to stop."""
    if up(p, counter + CLAIM_GATE, w[UP], w[UP_BIAS]):
        return True
    rows = Rows(p.scratch.up, 0, p.model.sizes.ffn_stride)
    if codes_and_meet(p, w[DOWN], rows, p.model.sizes.ffn):
        return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], w[DOWN_BIAS], rows, TWO_SETS)


@entry
def encode(thread, threads, state, frame):
    """Compute a batch of at least two tokens: the last layer's vectors into scratch.x.

    Every thread of a team runs it with the same frame, of ENCODE, and a zeroed state; threads.STOP of the state is set
    afterwards when the pass was stopped.
    """
    given = _given(frame, 0)
    model, batch, s, crew = given.model, given.batch, given.scratch, Crew(thread, threads, state, given.interrupts)
    p = Pass(crew, model, batch, work_of(given.works, thread), s)
    layers, stride = model.sizes.layers, model.sizes.hidden_stride
    own = model.table[layers * PER_LAYER :]
    for t in range(thread, len(batch.tokens), threads):
        embedding(model.weights, own[EMBEDDING], batch.tokens[t], s.x, t * stride)
        add(s.x, t * stride, given.embeddings, given.places[t] * stride, stride)
    if norm_and_meet(p, own[NORM], own[NORM_BIAS], codes_needed(model.table, Q, V)):
        return
    for layer in range(layers):
        w, counter = model.table[layer * PER_LAYER : (layer + 1) * PER_LAYER], layer * LAYER_COUNTERS
        if attention_block(p, counter, w, given.places):
            return
        if norm_and_meet(p, w[ATTN_NORM], w[ATTN_NORM_BIAS], is_quantized(w[UP])):
            return
        if feed_forward_block(p, counter, w):
            return
        following = model.table[min(layer + 1, layers - 1) * PER_LAYER :]
        if norm_and_meet(p, w[FFN_NORM], w[FFN_NORM_BIAS], codes_needed(following, Q, V)):
            return
