"""One compiled pass of an encoder for the tokens of any number of texts, one after the other without padding.

The operators and their order are those of reference/encoder.block. Projections and attention are the steps of
the decoder (`steps`), over pages of keys and values that last for one layer: a token's "position" in the batch is the
last of its text, so it sees the whole of it. `places` are the tokens' own positions.

An encoder's embedding is asked to be right to three digits, and int8 activations alone cost a short text as much: so
quantised matrices see them twice, as codes and as the codes of what those leave, which together hold 15 bits.
"""

from ..kernels.attention import attention_over_floats
from ..kernels.elementwise import add, gelu, layer_norm
from ..kernels.groups import BLOCK, GROUP, OFFSET, Rows
from ..kernels.kv_pages import PAGE, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, claim, finish, meet, stopped, wait
from .steps import (
    ATTN_NORM,
    CLAIM_ATTENTION,
    CLAIM_DOWN,
    CLAIM_GATE,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    LAYER_COUNTERS,
    OUTPUT,
    OUTPUT_BIAS,
    Q_BIAS,
    TWO_SETS,
    UP,
    K,
    Q,
    V,
    add_bias,
    claim_groups,
    coded,
    groups_of,
    product,
    quantize_rows,
    quantize_token,
    work_of,
)

# The rows of a layer begin with those of steps, so that its steps can be shared; these follow. Then the model's own.
ATTN_NORM_BIAS, FFN_NORM_BIAS, UP_BIAS, DOWN_BIAS = range(15, 19)
PER_LAYER = 19
EMBEDDING, NORM, NORM_BIAS = range(3)


@inlined
def project(model, matrix, bias, begin, end, given, tokens, to, s):
    """Groups begin .. end of matrix @ given + bias; given, to: Rows."""
    product(model.weights, matrix, begin, end, given, coded(s, 0, TWO_SETS), tokens, to, s.spare)
    add_bias(model.weights, bias, begin, end, tokens, to)


@inlined
def queries_keys_values(crew, counter, model, w, tokens, s):
    """s.qkv = the three projections of s.normed. True to stop."""
    given, groups = Rows(s.normed, 0, model.sizes.hidden_stride), groups_of(w[Q])
    while True:
        begin, end = claim_groups(crew, counter, w[Q], 3 * groups, tokens)
        if begin == 3 * groups or stopped(crew):
            return wait(crew, counter, 3 * groups)
        for part in range(3):  # a piece may lie across two of the matrices
            first, last = max(begin - part * groups, 0), min(end - part * groups, groups)
            if first < last:
                to = Rows(s.qkv, part * groups * GROUP, model.sizes.qkv_stride)
                project(model, w[Q + part], w[Q_BIAS + part], first, last, given, tokens, to, s)
        finish(crew, counter, end - begin)


@inlined
def project_back(crew, counter, model, matrix, bias, given, tokens, s):
    """s.x += matrix @ given + bias. True to stop."""
    stride, groups = model.sizes.hidden_stride, groups_of(matrix)
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        project(model, matrix, bias, begin, end, given, tokens, Rows(s.added, 0, stride), s)
        for t in range(tokens):
            at = t * stride + begin * GROUP
            add(s.x, at, s.added, at, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@compiled
def norm(crew, model, weight, bias, needs_codes, tokens, s):
    """s.x = s.normed = s.x normalised, with its codes if a quantised matrix follows."""
    hidden, stride, f32 = model.sizes.hidden, model.sizes.hidden_stride, model.weights.f32
    for t in range(crew.thread, tokens, crew.threads):
        at, scale_at, bias_at = t * stride, weight[OFFSET] // 4, bias[OFFSET] // 4
        layer_norm(s.x, at, hidden, f32, scale_at, bias_at, model.sizes.epsilon, s.normed, at)
        for i in range(at, at + hidden):
            s.x[i] = s.normed[i]
        if needs_codes:
            quantize_token(s.normed, at, hidden, coded(s, t * (hidden // BLOCK), TWO_SETS))


@inlined
def store_keys_values(crew, model, batch, places, work, s):
    """The key and the value of every token and head into their pages."""
    sizes = model.sizes
    for t in range(crew.thread, len(batch.tokens), crew.threads):
        page, row = batch.pages_at[t] + places[t] // PAGE, t * sizes.qkv_stride
        for head in range(sizes.heads):
            key, value = row + sizes.k_column + head * sizes.head_dim, row + sizes.v_column + head * sizes.head_dim
            store_floats(batch.pages, page, head, sizes.head_dim, places[t], s.qkv, key, value, s.qkv)


@inlined
def attend_all(crew, counter, model, batch, work, s):
    """Attention of every tile and head, over float32 keys and values, in the queries' place. True to stop."""
    dim, stride, window, positions = model.sizes.head_dim, model.sizes.qkv_stride, model.windows[0], batch.positions
    pieces = len(batch.tiles) * model.sizes.heads
    while True:
        piece = claim(crew, counter, 1)
        if piece >= pieces or stopped(crew):
            return wait(crew, counter, pieces)
        tile, head = divmod(piece, model.sizes.heads)
        first, tokens = batch.tiles[tile, 0], batch.tiles[tile, 1]
        x, pages, at = first * stride + head * dim, batch.pages, batch.pages_at[first]
        attention_over_floats(s.qkv, x, stride, tokens, 1, dim, positions, first, window, pages, at, head, work)
        finish(crew, counter, 1)


@inlined
def up(crew, counter, model, matrix, bias, tokens, s):
    """s.up = gelu(matrix @ s.normed + bias). True to stop."""
    given, groups, stride = Rows(s.normed, 0, model.sizes.hidden_stride), groups_of(matrix), model.sizes.ffn_stride
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        project(model, matrix, bias, begin, end, given, tokens, Rows(s.up, 0, stride), s)
        for t in range(tokens):
            gelu(s.up, t * stride + begin * GROUP, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@inlined
def attention_block(crew, model, w, batch, places, layer, work, s):
    """s.x += the attention of the layer. True when the pass is to stop."""
    sizes, tokens, counter = model.sizes, len(batch.tokens), layer * LAYER_COUNTERS
    if queries_keys_values(crew, counter + CLAIM_QKV, model, w, tokens, s):
        return True
    store_keys_values(crew, model, batch, places, work, s)
    if meet(crew):
        return True
    if attend_all(crew, counter + CLAIM_ATTENTION, model, batch, work, s):
        return True
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, s.qkv, sizes.qkv_stride, sizes.hidden, TWO_SETS, tokens, s)
        if meet(crew):
            return True
    given = Rows(s.qkv, 0, sizes.qkv_stride)
    return project_back(crew, counter + CLAIM_OUTPUT, model, w[OUTPUT], w[OUTPUT_BIAS], given, tokens, s)


@inlined
def feed_forward_block(crew, model, w, tokens, layer, s):
    """s.x += the feed-forward network of the layer. True when the pass is to stop."""
    sizes, counter = model.sizes, layer * LAYER_COUNTERS
    if up(crew, counter + CLAIM_GATE, model, w[UP], w[UP_BIAS], tokens, s):
        return True
    if is_quantized(w[DOWN]):
        quantize_rows(crew, s.up, sizes.ffn_stride, sizes.ffn, TWO_SETS, tokens, s)
        if meet(crew):
            return True
    given = Rows(s.up, 0, sizes.ffn_stride)
    return project_back(crew, counter + CLAIM_DOWN, model, w[DOWN], w[DOWN_BIAS], given, tokens, s)


@entry
def encode(thread, threads, state, interrupts, model, positions, batch, places, works, s):
    """Compute a batch of at least two tokens: the last layer's vectors into s.x.

    positions: f32, what is added to the embedding of a token at each position. Every thread of a team runs it with the
    same arguments and a zeroed state; threads.STOP of the state is set afterwards when the pass was stopped.
    """
    crew = Crew(thread, threads, state, interrupts)
    sizes, layers, tokens, work = model.sizes, model.sizes.layers, len(batch.tokens), work_of(works, thread)
    own = model.table[layers * PER_LAYER :]
    for t in range(thread, tokens, threads):
        embedding(model.weights, own[EMBEDDING], batch.tokens[t], s.x, t * sizes.hidden_stride)
        add(s.x, t * sizes.hidden_stride, positions, places[t] * sizes.hidden_stride, sizes.hidden_stride)
    w = model.table[:PER_LAYER]
    needs_codes = is_quantized(w[Q]) or is_quantized(w[K]) or is_quantized(w[V])
    norm(crew, model, own[NORM], own[NORM_BIAS], needs_codes, tokens, s)
    if meet(crew):
        return
    for layer in range(layers):
        w = model.table[layer * PER_LAYER : (layer + 1) * PER_LAYER]
        if attention_block(crew, model, w, batch, places, layer, work, s):
            return
        norm(crew, model, w[ATTN_NORM], w[ATTN_NORM_BIAS], is_quantized(w[UP]), tokens, s)
        if meet(crew):
            return
        if feed_forward_block(crew, model, w, tokens, layer, s):
            return
        following = model.table[min(layer + 1, layers - 1) * PER_LAYER :]
        needs_codes = is_quantized(following[Q]) or is_quantized(following[K]) or is_quantized(following[V])
        norm(crew, model, w[FFN_NORM], w[FFN_NORM_BIAS], needs_codes, tokens, s)
        if meet(crew):
            return
