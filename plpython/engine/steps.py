"""The steps of a compiled forward: each is one operator for all tokens, of which every thread of a crew does its share.

Matrices are shared out by claiming groups of 16 rows, so a thread that was held up does less; a step that is shared out
ends when all its groups are done, and says whether to stop. Rows of several tokens are dealt round, and then the
threads meet. A single token's normalisation and quantisation are done by every thread for itself, in the slot with its
number, which is cheaper than waiting. A thread that comes late finds nothing left to claim, step after step, until it
is where the others are. What it computed for itself on the way may come from numbers that changed meanwhile; nobody
reads it, for of what the threads share only claimed pieces are written. The threads look for a stop before every piece
of work, and leave if there is one.
"""

from collections import namedtuple

from ..kernels.attention import attention_over_codes, attention_over_floats
from ..kernels.elementwise import NO_TOKEN, add, likeliest, quantize, quantize_twice, rms_norm, rope, swiglu
from ..kernels.groups import ABSENT, BLOCK, COLUMNS, GROUP, LAYOUT, OFFSET, ROWS, Activations, Rows
from ..kernels.kv_pages import PAGE, store_codes, store_floats
from ..kernels.matrix import embedding, group_bytes, is_quantized, linear
from ..simd.registers import compiled, inlined
from ..simd.threads import claim, finish, stopped, wait

# The rows of the table of weights: these for each layer, then those of the model.
(ATTN_NORM, Q, K, V, Q_BIAS, K_BIAS, V_BIAS, Q_NORM, K_NORM, OUTPUT, OUTPUT_BIAS, FFN_NORM, GATE, UP, DOWN) = range(15)
PER_LAYER = 15
EMBEDDING, FINAL_NORM, HEAD, NO_BIAS = range(4)
PER_MODEL = 4
# Counters of claimed work: the first for each layer, the others for each pass.
CLAIM_QKV, CLAIM_ATTENTION, CLAIM_OUTPUT, CLAIM_GATE, CLAIM_DOWN = range(5)
LAYER_COUNTERS = 5
CLAIM_EMBEDDING, CLAIM_HEAD, CLAIM_CHOICE = range(3)
PASS_COUNTERS = 3
# How activations enter quantised matrices: int8 codes, or those and the codes of what they leave. An error of the codes
# weighs most in the values and in what attention gives back: two sets there, a twentieth of a layer's products, take a
# quarter off the error of the logits.
NO_CODES, ONE_SET, TWO_SETS = range(3)
# A thread claims its share of one PARTth of what is left of a step, though not less than so many bytes: long runs at
# first, in which memory is read fastest, and then short ones, so that all end together. Nor more than so many bytes
# for one token, and for more so many times less: well under a millisecond, after which it looks for a stop.
PART, LEAST_BYTES, MOST_BYTES = 2, 1 << 14, 1 << 24

# Strides are widths padded to whole registers; the columns of q, k and v in a row of qkv begin at multiples of 16.
Sizes = namedtuple(
    "Sizes",
    "layers hidden heads kv_heads head_dim ffn epsilon interleaved codes_kv "
    "hidden_stride k_column v_column qkv_stride ffn_stride logits_stride",
)
# weights: kernels/matrix.Weights. table: int64[layers * PER_LAYER + PER_MODEL][4]. windows: int64[layers].
# cosines, sines: f32[positions * head_dim / 2].
Model = namedtuple("Model", "sizes weights table windows cosines sines")
# Each token's id, row (0, 1, ...), position, and where its sequence's KVCache.pages begin in `pages`. Tiles are runs of
# tokens of one sequence, [first, count]. `wanted` are the rows of the tokens whose logits are asked for.
Batch = namedtuple("Batch", "tokens rows positions pages_at pages tiles wanted")
# Activations between the steps, flat. `quantized` has `room` blocks for the codes of each token and, from block `low`
# on, as many for those of what they leave. added: what a step adds to x. spare: as large as the largest output of a
# product.
Scratch = namedtuple("Scratch", "x normed added qkv gate up quantized room low spare")
# How quantised matrices see rows of activations: as so many `sets` of codes, in blocks from `first` on those of the
# numbers, from `low` on those of what they leave.
Coded = namedtuple("Coded", "codes first low sets")
# A thread's own, for attention: a block of queries (float32, and as int16 codes with a scale each), what each may see,
# their scores in a page and the weights' codes, their results, and one vector of codes. The engine's have an axis more,
# threads.
Work = namedtuple("Work", "q query_codes query_scales firsts limits scores weight_codes out row")


@inlined
def work_of(works, thread):
    """A thread's own part of the arrays of all."""
    w, t = works, thread
    queries, sight = (w.q[t], w.query_codes[t], w.query_scales[t]), (w.firsts[t], w.limits[t])
    return Work(*queries, *sight, w.scores[t], w.weight_codes[t], w.out[t], w.row[t])


@compiled
def share(crew, tokens):
    """(first token, step, slot of token 0) of what this thread prepares. A slot is a row and has room for its codes."""
    if tokens == 1:
        return 0, 1, crew.thread
    return crew.thread, crew.threads, 0


@compiled
def claim_groups(crew, counter, matrix, groups, tokens):
    """Claim the next of a step's `groups`, as wide as the matrix's: (begin, end). When none is left, begin = groups.

    Several threads count their claims, and each finds the place of its own in the one sequence of shrinking runs, so
    that a claim is one addition. Runs are even numbers of groups, of which products take two at a time.
    """
    width = group_bytes(matrix[LAYOUT], matrix[COLUMNS])
    most = max(2, MOST_BYTES // (width * tokens) // 2 * 2)
    if crew.threads == 1:
        begin = min(groups, claim(crew, counter, most))
        return begin, min(groups, begin + most)
    number, begin = claim(crew, counter, 1), 0
    while begin < groups:
        wanted = max(1, LEAST_BYTES // width, (groups - begin) // (PART * crew.threads))
        piece = min(most, (wanted + 1) // 2 * 2)
        if number < crew.threads:
            begin = min(groups, begin + number * piece)
            return begin, min(groups, begin + piece)
        number, begin = number - crew.threads, begin + crew.threads * piece
    return groups, groups


@compiled
def groups_of(matrix):
    return (matrix[ROWS] + GROUP - 1) // GROUP


@inlined
def coded(s, first, sets):
    """The sets of codes in a Scratch whose first block is `first`."""
    return Coded(s.quantized, first, s.low + first, sets)


@compiled
def quantize_token(x, at, width, to):
    """The codes of one vector; to: Coded."""
    if to.sets == TWO_SETS:
        quantize_twice(x, at, width, to.codes, to.first, to.low)
    else:
        quantize(x, at, width, to.codes, to.first)


@compiled
def product(weights, matrix, begin, end, given, codes, tokens, to, spare):
    """`linear`, with a quantised matrix once for each set of codes, a Coded; given, to: Rows; spare: as large as to."""
    passes = codes.sets if is_quantized(matrix) else 1
    for number in range(passes):
        first, out = (codes.first, to.x) if number == 0 else (codes.low, spare)
        seen = Activations(given, codes.codes, first)
        linear(weights, matrix, begin, end, seen, tokens, Rows(out, to.at, to.stride))
    if passes == TWO_SETS:
        for t in range(tokens):
            place = to.at + t * to.stride + begin * GROUP
            add(to.x, place, spare, place, (end - begin) * GROUP)


@compiled
def norm(crew, model, weight, sets, rows, s):
    """s.normed = the listed rows of s.x normalised, with so many sets of codes."""
    hidden, stride = model.sizes.hidden, model.sizes.hidden_stride
    first, step, slot = share(crew, len(rows))
    for t in range(first, len(rows), step):
        x, to, norm_at = rows[t] * stride, (t + slot) * stride, weight[OFFSET] // 4
        rms_norm(s.x, x, hidden, model.weights.f32, norm_at, model.sizes.epsilon, s.normed, to)
        if sets != NO_CODES:
            quantize_token(s.normed, to, hidden, coded(s, slot * s.room + t * (hidden // BLOCK), sets))


@compiled
def quantize_rows(crew, x, stride, width, sets, tokens, s):
    """So many sets of codes of the first `width` columns of every token."""
    first, step, slot = share(crew, tokens)
    for t in range(first, tokens, step):
        quantize_token(x, t * stride, width, coded(s, slot * s.room + t * (width // BLOCK), sets))


@compiled
def add_bias(weights, bias, begin, end, tokens, to):
    """Add the groups begin .. end of a bias, if there is one, to every token's of the Rows."""
    if bias[LAYOUT] != ABSENT:
        first, size = begin * GROUP, (end - begin) * GROUP
        for t in range(tokens):
            add(to.x, to.at + t * to.stride + first, weights.f32, bias[OFFSET] // 4 + first, size)


@inlined
def embed(crew, counter, model, matrix, batch, s):
    """s.x = the embeddings of the tokens. True to stop."""
    tokens = len(batch.tokens)
    while True:
        token = claim(crew, counter, 1)
        if token >= tokens:
            return wait(crew, counter, tokens)
        embedding(model.weights, matrix, batch.tokens[token], s.x, token * model.sizes.hidden_stride)
        finish(crew, counter, 1)


@inlined
def normed_rows(crew, model, tokens, s):
    """What a product reads of s.normed: (its Rows, the slot of the first of them)."""
    slot, stride = share(crew, tokens)[2], model.sizes.hidden_stride
    return Rows(s.normed, slot * stride, stride), slot


@inlined
def queries_keys_values(crew, counter, model, w, tokens, s):
    """s.qkv = the three projections of s.normed; the values see it as two sets of codes. True to stop."""
    given, slot = normed_rows(crew, model, tokens, s)
    total = groups_of(w[Q]) + groups_of(w[K]) + groups_of(w[V])
    while True:
        begin, end = claim_groups(crew, counter, w[Q], total, tokens)
        if begin == total or stopped(crew):
            return wait(crew, counter, total)
        before = 0
        for part in range(3):  # a piece may lie across two of the matrices
            matrix = w[Q + part]
            groups = groups_of(matrix)
            first, last = max(begin - before, 0), min(end - before, groups)
            if first < last:
                codes = coded(s, slot * s.room, TWO_SETS if part == V - Q else ONE_SET)
                to = Rows(s.qkv, before * GROUP, model.sizes.qkv_stride)
                product(model.weights, matrix, first, last, given, codes, tokens, to, s.spare)
                add_bias(model.weights, w[Q_BIAS + part], first, last, tokens, to)
            before += groups
        finish(crew, counter, end - begin)


@inlined
def place_heads(model, w, batch, layer, token, head, work, s):
    """Normalise (if the model does) and rotate one kv head's key and queries; store the key and the value."""
    sizes = model.sizes
    dim, group = sizes.head_dim, sizes.heads // sizes.kv_heads
    row, position = token * sizes.qkv_stride, batch.positions[token]
    key, value = row + sizes.k_column + head * dim, row + sizes.v_column + head * dim
    for h in range(group + 1):
        vector = key if h == group else row + (head * group + h) * dim
        weight = w[K_NORM] if h == group else w[Q_NORM]
        if weight[LAYOUT] != ABSENT:
            f32, at = model.weights.f32, weight[OFFSET] // 4
            rms_norm(s.qkv, vector, dim, f32, at, sizes.epsilon, s.qkv, vector)
        rope(s.qkv, vector, dim, model.cosines, model.sines, position * (dim // 2), sizes.interleaved)
    page = batch.pages_at[token] + position // PAGE
    place = layer * sizes.kv_heads + head
    if sizes.codes_kv:
        store_codes(batch.pages, page, place, dim, position, s.qkv, key, value, work.row, s.qkv)
    else:
        store_floats(batch.pages, page, place, dim, position, s.qkv, key, value, s.qkv)


@inlined
def attend(model, batch, layer, tile, head, work, s):
    """Attention of one kv head for one tile of tokens; the results replace the queries in s.qkv."""
    sizes = model.sizes
    dim, group, stride = sizes.head_dim, sizes.heads // sizes.kv_heads, sizes.qkv_stride
    first, tokens = batch.tiles[tile, 0], batch.tiles[tile, 1]
    x, place, window = first * stride + head * group * dim, layer * sizes.kv_heads + head, model.windows[layer]
    positions, pages, at = batch.positions, batch.pages, batch.pages_at[first]
    if sizes.codes_kv:
        attention_over_codes(s.qkv, x, stride, tokens, group, dim, positions, first, window, pages, at, place, work)
    else:
        attention_over_floats(s.qkv, x, stride, tokens, group, dim, positions, first, window, pages, at, place, work)


@inlined
def attend_all(crew, counter, model, w, batch, layer, work, s):
    """Attention of every tile and kv head; the claimer places a single token's. True to stop."""
    pieces = len(batch.tiles) * model.sizes.kv_heads
    while True:
        piece = claim(crew, counter, 1)
        if piece >= pieces or stopped(crew):
            return wait(crew, counter, pieces)
        tile, head = divmod(piece, model.sizes.kv_heads)
        if len(batch.tokens) == 1:
            place_heads(model, w, batch, layer, 0, head, work, s)
        attend(model, batch, layer, tile, head, work, s)
        finish(crew, counter, 1)


@inlined
def project_back(crew, counter, model, matrix, bias, given, sets, tokens, s):
    """s.x += matrix @ given + bias: what attention or the feed-forward network adds to it. True to stop."""
    stride, groups = model.sizes.hidden_stride, groups_of(matrix)
    codes, to = coded(s, share(crew, tokens)[2] * s.room, sets), Rows(s.added, 0, stride)
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        product(model.weights, matrix, begin, end, given, codes, tokens, to, s.spare)
        add_bias(model.weights, bias, begin, end, tokens, to)
        for t in range(tokens):
            at = t * stride + begin * GROUP
            add(s.x, at, s.added, at, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@inlined
def gate_and_up(crew, counter, model, w, tokens, s):
    """s.up = silu(gate @ s.normed) * (up @ s.normed), the same rows of both at a time. True to stop."""
    given, slot = normed_rows(crew, model, tokens, s)
    groups, codes, stride = groups_of(w[GATE]), coded(s, slot * s.room, ONE_SET), model.sizes.ffn_stride
    while True:
        begin, end = claim_groups(crew, counter, w[GATE], groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        for matrix, out in ((w[GATE], s.gate), (w[UP], s.up)):
            product(model.weights, matrix, begin, end, given, codes, tokens, Rows(out, 0, stride), s.spare)
        for t in range(tokens):
            swiglu(s.gate, s.up, t * stride + begin * GROUP, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@inlined
def project_logits(crew, counter, model, matrix, tokens, logits, s):
    """logits = matrix @ s.normed. True to stop."""
    given, slot = normed_rows(crew, model, tokens, s)
    groups, codes, to = groups_of(matrix), coded(s, slot * s.room, ONE_SET), Rows(logits, 0, model.sizes.logits_stride)
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        product(model.weights, matrix, begin, end, given, codes, tokens, to, s.spare)
        finish(crew, counter, end - begin)


@compiled
def choose(crew, counter, batch, logits, vocabulary, ends, chosen, number):
    """The batch's only token becomes the likeliest one, chosen[number], at the next position. True to stop.

    So it is when that token is one of `ends`, or the logits are not all finite: then nothing is chosen.
    """
    if claim(crew, counter, 1) == 0:
        token = likeliest(logits, vocabulary)
        for end in ends:
            if token == end:
                token = NO_TOKEN
        if token != NO_TOKEN:
            batch.tokens[0] = token
            batch.positions[0] += 1
        chosen[number] = token
        finish(crew, counter, 1)
    return wait(crew, counter, 1) or chosen[number] == NO_TOKEN
