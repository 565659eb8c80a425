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

import numpy as np

from ..kernels.attention import Attention, Cached, Queries, Work
from ..kernels.attention import attend as attention
from ..kernels.dispatch import group_bytes
from ..kernels.elementwise import NO_TOKEN, add, likeliest, quantize, quantize_twice, rms_norm, rope, swiglu
from ..kernels.groups import (
    ABSENT,
    BLOCK,
    CODES,
    COLUMNS,
    FLOATS,
    GROUP,
    LAYOUT,
    NUMBERS,
    OFFSET,
    ROWS,
    WEIGHTS,
    Activations,
    Rows,
)
from ..kernels.kv_pages import PAGE, Place, store_codes, store_floats
from ..kernels.matrix import embedding, is_quantized, linear
from ..simd.frames import Array, Real, Structure
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
# table: int64 [layers * PER_LAYER + PER_MODEL][4], rows of groups.LAYOUT and so on. windows: int64 [layers].
# cosines, sines: f32[positions * head_dim / 2]. attention: the address of the kernel for its pages.
Model = namedtuple("Model", "sizes weights table windows cosines sines attention")
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
# What a product reads: Rows, and the same Coded.
Given = namedtuple("Given", "rows coded")
# Products of one matrix, plus a bias if there is one, for so many tokens; to: Rows; spare: as large as those.
Projection = namedtuple("Projection", "weights matrix bias given tokens to spare")
# What a step shares out: so many groups as wide as the matrix's, for so many tokens; or pieces, each claimed by itself.
Groups = namedtuple("Groups", "total matrix tokens")
Pieces = namedtuple("Pieces", "total")
# The addresses of two int32, 0 for none: when one of them is not zero, the pass is to stop.
Interrupts = namedtuple("Interrupts", "first second")
# What a thread computes a pass with: `work` is its own.
Pass = namedtuple("Pass", "crew model batch work scratch")

TABLE = Array(np.int64, 2)
MODEL = Structure(
    Model,
    sizes=Structure(Sizes, epsilon=Real()),
    weights=WEIGHTS,
    table=TABLE,
    windows=NUMBERS,
    cosines=FLOATS,
    sines=FLOATS,
)
BATCH = Structure(
    Batch, tokens=NUMBERS, rows=NUMBERS, positions=NUMBERS, pages_at=NUMBERS, pages=TABLE, tiles=TABLE, wanted=NUMBERS
)
INTERRUPTS = Structure(Interrupts)
SCRATCH = Structure(
    Scratch, **dict.fromkeys(("x", "normed", "added", "qkv", "gate", "up", "spare"), FLOATS), quantized=CODES
)
WORKS = Structure(
    Work,
    **dict.fromkeys(("q", "query_scales", "scores", "out"), Array(np.float32, 2)),
    **dict.fromkeys(("query_codes", "weight_codes", "row"), Array(np.int16, 2)),
    **dict.fromkeys(("firsts", "limits"), Array(np.int32, 2)),
)


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
def claim_groups(crew, counter, work):
    """Claim the next of a step's Groups: (begin, end). When none is left, begin is their total.

    Several threads count their claims, and each finds the place of its own in the one sequence of shrinking runs, so
    that a claim is one addition. Runs are even numbers of groups, of which products take two at a time.
    """
    groups, width = work.total, group_bytes(work.matrix[LAYOUT], work.matrix[COLUMNS])
    most = max(2, MOST_BYTES // (width * work.tokens) // 2 * 2)
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
def claim_piece(crew, counter, work):
    """The same of Pieces."""
    begin = min(work.total, claim(crew, counter, 1))
    return begin, begin + 1


def shared_out(piece, claimed=claim_groups):
    """A step of a pass: the threads claim runs of its work until none is left, and compute them with `piece`.

    piece: (begin, end, given); given: whatever it takes. The step is (crew, counter, work, given) -> True to stop.
    """

    @inlined
    def step(crew, counter, work, given):
        while True:
            begin, end = claimed(crew, counter, work)
            if begin >= work.total or stopped(crew):
                return wait(crew, counter, work.total)
            piece(begin, end, given)
            finish(crew, counter, end - begin)

    return step


@compiled
def groups_of(matrix):
    return (matrix[ROWS] + GROUP - 1) // GROUP


@inlined
def all_groups(matrix, tokens):
    """The Groups of a matrix."""
    return Groups(groups_of(matrix), matrix, tokens)


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
def product(p, begin, end):
    """The groups begin .. end of a Projection without its bias: `linear`, of a quantised matrix once for each set."""
    coded, to = p.given.coded, p.to
    passes = coded.sets if is_quantized(p.matrix) else 1
    for number in range(passes):
        first, out = (coded.first, to.x) if number == 0 else (coded.low, p.spare)
        given = Activations(p.given.rows, coded.codes, first)
        linear(p.weights, p.matrix, begin, end, given, p.tokens, Rows(out, to.at, to.stride))
    if passes == TWO_SETS:
        for t in range(p.tokens):
            place = to.at + t * to.stride + begin * GROUP
            add(to.x, place, p.spare, place, (end - begin) * GROUP)


@compiled
def add_bias(p, begin, end):
    """Add the groups begin .. end of a Projection's bias, if there is one, to every token's."""
    if p.bias[LAYOUT] != ABSENT:
        first, size = begin * GROUP, (end - begin) * GROUP
        for t in range(p.tokens):
            add(p.to.x, p.to.at + t * p.to.stride + first, p.weights.f32, p.bias[OFFSET] // 4 + first, size)


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
def quantize_rows(crew, rows, width, sets, tokens, s):
    """So many sets of codes of the first `width` columns of every token of the Rows, which begin at 0."""
    first, step, slot = share(crew, tokens)
    for t in range(first, tokens, step):
        quantize_token(rows.x, t * rows.stride, width, coded(s, slot * s.room + t * (width // BLOCK), sets))


@inlined
def codes_needed(w, first, last):
    """Whether one of the matrices `first` .. `last` of a layer is quantised."""
    needed = False
    for number in range(first, last + 1):
        needed = needed or is_quantized(w[number])
    return needed


# The pieces of steps, and the steps


@inlined
def _embedded(begin, end, p):
    """The embedding of a token."""
    own = p.model.table[p.model.sizes.layers * PER_LAYER + EMBEDDING]
    embedding(p.model.weights, own, p.batch.tokens[begin], p.scratch.x, begin * p.model.sizes.hidden_stride)


@inlined
def projected(begin, end, p):
    """A Projection."""
    product(p, begin, end)
    add_bias(p, begin, end)


@inlined
def _all_projected(begin, end, given):
    """The queries', keys' and values' Projections; a piece may lie across two of them. Values see two sets of codes."""
    p, w = given
    before = 0
    for part in range(3):
        groups = groups_of(w[Q + part])
        first, last = max(begin - before, 0), min(end - before, groups)
        if first < last:
            c = p.given.coded
            seen = Given(p.given.rows, Coded(c.codes, c.first, c.low, TWO_SETS if part == V - Q else c.sets))
            to = Rows(p.to.x, p.to.at + before * GROUP, p.to.stride)
            projected(first, last, Projection(p.weights, w[Q + part], w[Q_BIAS + part], seen, p.tokens, to, p.spare))
        before += groups


@inlined
def _added(begin, end, given):
    """A Projection that is added to x."""
    p, x = given
    projected(begin, end, p)
    for t in range(p.tokens):
        at = t * p.to.stride + begin * GROUP
        add(x, at, p.to.x, at, (end - begin) * GROUP)


@inlined
def _gated(begin, end, given):
    """silu(gate) * up, of two Projections without a bias, in the place of the second."""
    gate, up = given
    product(gate, begin, end)
    product(up, begin, end)
    for t in range(gate.tokens):
        swiglu(gate.to.x, up.to.x, t * gate.to.stride + begin * GROUP, (end - begin) * GROUP)


embed = shared_out(_embedded, claim_piece)
project, project_all = shared_out(projected), shared_out(_all_projected)
project_and_add, project_gated = shared_out(_added), shared_out(_gated)


@inlined
def normed(p, tokens, sets):
    """Given: what a product reads of the normalised rows."""
    slot, stride = share(p.crew, tokens)[2], p.model.sizes.hidden_stride
    return Given(Rows(p.scratch.normed, slot * stride, stride), coded(p.scratch, slot * p.scratch.room, sets))


@inlined
def queries_keys_values(p, counter, w, sets):
    """qkv = the three projections of the normalised rows, which queries and keys see as so many sets. True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    to = Rows(s.qkv, 0, p.model.sizes.qkv_stride)
    projections = Projection(p.model.weights, w[Q], w[Q_BIAS], normed(p, tokens, sets), tokens, to, s.spare)
    work = Groups(groups_of(w[Q]) + groups_of(w[K]) + groups_of(w[V]), w[Q], tokens)
    return project_all(p.crew, counter, work, (projections, w))


@inlined
def project_back(p, counter, matrix, bias, rows, sets):
    """x += matrix @ rows + bias: what attention or the feed-forward network adds to it. True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    given = Given(rows, coded(s, share(p.crew, tokens)[2] * s.room, sets))
    to = Rows(s.added, 0, p.model.sizes.hidden_stride)
    projection = Projection(p.model.weights, matrix, bias, given, tokens, to, s.spare)
    return project_and_add(p.crew, counter, all_groups(matrix, tokens), (projection, s.x))


@inlined
def turn_heads(model, w, rows, position, head):
    """Normalise (if the model does) and rotate one kv head's key and its queries, in a row of qkv: Rows."""
    sizes = model.sizes
    dim, group = sizes.head_dim, sizes.heads // sizes.kv_heads
    key = rows.at + sizes.k_column + head * dim
    for h in range(group + 1):
        vector = key if h == group else rows.at + (head * group + h) * dim
        weight = w[K_NORM] if h == group else w[Q_NORM]
        if weight[LAYOUT] != ABSENT:
            f32, at = model.weights.f32, weight[OFFSET] // 4
            rms_norm(rows.x, vector, dim, f32, at, sizes.epsilon, rows.x, vector)
        rope(rows.x, vector, dim, model.cosines, model.sines, position * (dim // 2), sizes.interleaved)


@inlined
def store_head(sizes, place, rows, head, work):
    """Store the key and the value of one kv head, in a row of qkv, in their Place."""
    key = rows.at + sizes.k_column + head * sizes.head_dim
    value = rows.at + sizes.v_column + head * sizes.head_dim
    if sizes.codes_kv:
        store_codes(place, rows.x, key, value, work.row)
    else:
        store_floats(place, rows.x, key, value)


@inlined
def place_of(p, layer, token, head):
    """The Place of a token's key and value of one kv head."""
    position, sizes = p.batch.positions[token], p.model.sizes
    page = p.batch.pages_at[token] + position // PAGE
    return Place(p.batch.pages, page, layer * sizes.kv_heads + head, sizes.head_dim, position)


@inlined
def tile_of(p, layer, piece):
    """(Queries, Cached) of a piece of attention: one kv head for one tile of tokens, whose queries results replace."""
    sizes, batch = p.model.sizes, p.batch
    tile, head = divmod(piece, sizes.kv_heads)
    dim, group = sizes.head_dim, sizes.heads // sizes.kv_heads
    first, tokens = batch.tiles[tile, 0], batch.tiles[tile, 1]
    x, stride, window = first * sizes.qkv_stride + head * group * dim, sizes.qkv_stride, p.model.windows[layer]
    queries = Queries(p.scratch.qkv, x, stride, tokens, group, dim, batch.positions, first, window)
    return queries, Cached(batch.pages, batch.pages_at[first], layer * sizes.kv_heads + head)


@inlined
def attend(p, layer, piece):
    """Attention of a piece, over keys and values of either kind."""
    queries, cached = tile_of(p, layer, piece)
    attention(p.model.attention, Attention(queries, cached, p.work))


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
