"""The steps of a compiled forward pass. A step is one operator for all tokens; the threads of a crew share its work.

The work of a matrix is groups of 16 rows, which threads claim, so a thread that is delayed does less of it. A step that
is shared this way ends when all its groups are done, and returns whether to stop. Work on the rows of several tokens
(norms, quantisation) is dealt out round-robin, and a barrier follows. For a single token every thread normalises and
quantises the row for itself, into the scratch slot of its number, which is cheaper than a barrier.

A late thread finds nothing left to claim, step after step, until it has caught up with the others. On the way it may
compute private scratch from stale inputs. That is harmless: only claimed work is published. The threads look for a stop
before every piece of work.
"""

from collections import namedtuple

import numpy as np

from ..kernels.attention import AttentionPiece, Cached, Queries, Workspace
from ..kernels.attention import attend as attention
from ..kernels.dispatch import group_bytes
from ..kernels.elementwise import NO_TOKEN, add, argmax, quantize, quantize_twice, rms_norm, rope, swiglu
from ..kernels.groups import (
    ABSENT,
    CODES_STRUCT,
    COLUMNS,
    FLOAT_ARRAY,
    GROUP,
    INT_ARRAY,
    LAYOUT,
    OFFSET,
    ROWS,
    WEIGHTS_STRUCT,
    Activations,
    Rows,
)
from ..kernels.kv_pages import PAGE, KVAddress, store_codes, store_floats
from ..kernels.matrix import embedding, is_quantized, linear
from ..model.encodings import BLOCK
from ..simd.frames import Array, Real, Structure
from ..simd.registers import compiled, inlined
from ..simd.threads import claim, finish, stopped, wait

# The rows of the weight table: these for each layer, then the four of the model. The row NO_BIAS is ABSENT.
(ATTN_NORM, Q, K, V, Q_BIAS, K_BIAS, V_BIAS, Q_NORM, K_NORM, OUTPUT, OUTPUT_BIAS, FFN_NORM, GATE, UP, DOWN) = range(15)
LAYER_ROWS = 15
TOKEN_EMBEDDING, FINAL_NORM, OUTPUT_HEAD, NO_BIAS = range(4)
MODEL_ROWS = 4
# Counters of claimed work: the first five for each layer, the other three for each pass.
CLAIM_QKV, CLAIM_ATTENTION, CLAIM_OUTPUT, CLAIM_GATE, CLAIM_DOWN = range(5)
LAYER_COUNTERS = 5
CLAIM_EMBEDDING, CLAIM_HEAD, CLAIM_CHOICE = range(3)
PASS_COUNTERS = 3
# How many sets of int8 codes the activations become for a quantised matrix. The second set quantises the errors of the
# first. Errors matter most in the values and in the output of attention: two sets there, a twentieth of a layer's
# multiplications, reduce the error of the logits by a quarter.
NO_CODES, ONE_SET, TWO_SETS = range(3)
# Guided self-scheduling: a thread claims a run, 1 / (RUN_DIVISOR * threads) of the groups that are left. Runs are long
# at first, which reads memory fastest, and short in the end, so that all threads finish together. A run has at least
# SHORTEST_RUN_BYTES of weights and at most LONGEST_RUN_BYTES / tokens, well under a millisecond until the next look for
# a stop.
RUN_DIVISOR, SHORTEST_RUN_BYTES, LONGEST_RUN_BYTES = 2, 1 << 14, 1 << 24

# The sizes of a model. Strides are widths padded to whole registers. A row of qkv has the queries from column 0, the
# keys from k_column, the values from v_column, all multiples of 16. codes_kv: whether KV pages are int16.
Sizes = namedtuple(
    "Sizes",
    "layers hidden heads kv_heads head_dim ffn epsilon interleaved codes_kv "
    "hidden_stride k_column v_column qkv_stride ffn_stride logits_stride",
)
# table: the weight table, int64 [layers * LAYER_ROWS + MODEL_ROWS][4]; its columns are groups.LAYOUT, OFFSET, ROWS and
# COLUMNS. windows: int64 [layers]. cosines, sines: rope, f32[positions * head_dim / 2]. attention: the address of the
# attention kernel for the KV pages.
Model = namedtuple("Model", "sizes weights table windows cosines sines attention")
# The tokens of a pass, int64 [n]: ids, rows (0, 1, ...), positions, and the row of `pages` where the page table of a
# token's sequence begins. tiles: int64 [tiles][2], the query tiles: first token and number of tokens, of one sequence.
# wanted: the rows of the tokens whose logits are computed.
Batch = namedtuple("Batch", "tokens rows positions first_page pages tiles wanted")
# Activations between the steps, flat, one row a token. codes: Codes, with room for `token_blocks` blocks a token and,
# from block number `low` on, for as many of the second set. added: what a step adds to x. spare: the product with the
# second set, as large as the largest output.
Scratch = namedtuple("Scratch", "x normed added qkv gate up codes token_blocks low spare")
# Quantised rows of activations. `sets`: ONE_SET or TWO_SETS. The first set begins at block number `first`; the second,
# of the errors of the first, at block number `low`.
CodeSets = namedtuple("CodeSets", "codes first low sets")
# What a product reads: Rows, and the same rows as CodeSets.
Inputs = namedtuple("Inputs", "rows code_sets")
# to[t] = matrix @ inputs[t] + bias for t < tokens. matrix, bias: rows of the weight table; the bias may be ABSENT.
# inputs: Inputs. to: Rows. spare: f32, of the size of the output.
Projection = namedtuple("Projection", "weights matrix bias inputs tokens to spare")
# The work of a step: `total` groups as wide as those of `matrix`, for so many tokens, claimed in runs; or `total`
# pieces, claimed one by one.
Groups = namedtuple("Groups", "total matrix tokens")
Pieces = namedtuple("Pieces", "total")
# The addresses of two int32 (0: none). The pass stops when one of them is not zero.
Interrupts = namedtuple("Interrupts", "first second")
# All that a thread needs in a pass. workspace: its own Workspace; everything else is shared.
Pass = namedtuple("Pass", "crew model batch workspace scratch")

INT_MATRIX = Array(np.int64, 2)
MODEL_STRUCT = Structure(
    Model,
    sizes=Structure(Sizes, epsilon=Real()),
    weights=WEIGHTS_STRUCT,
    table=INT_MATRIX,
    windows=INT_ARRAY,
    cosines=FLOAT_ARRAY,
    sines=FLOAT_ARRAY,
)
BATCH_STRUCT = Structure(
    Batch,
    tokens=INT_ARRAY,
    rows=INT_ARRAY,
    positions=INT_ARRAY,
    first_page=INT_ARRAY,
    pages=INT_MATRIX,
    tiles=INT_MATRIX,
    wanted=INT_ARRAY,
)
INTERRUPTS_STRUCT = Structure(Interrupts)
SCRATCH_STRUCT = Structure(
    Scratch,
    **dict.fromkeys(("x", "normed", "added", "qkv", "gate", "up", "spare"), FLOAT_ARRAY),
    codes=CODES_STRUCT,
)
WORKSPACES_STRUCT = Structure(
    Workspace,
    **dict.fromkeys(("q", "query_scales", "scores", "out"), Array(np.float32, 2)),
    **dict.fromkeys(("query_codes", "weight_codes", "row"), Array(np.int16, 2)),
    **dict.fromkeys(("firsts", "limits"), Array(np.int32, 2)),
)


@inlined
def workspace_of(workspaces, thread):
    """A thread's own Workspace, out of that of all threads."""
    w, t = workspaces, thread
    queries, sight = (w.q[t], w.query_codes[t], w.query_scales[t]), (w.firsts[t], w.limits[t])
    return Workspace(*queries, *sight, w.scores[t], w.weight_codes[t], w.out[t], w.row[t])


@compiled
def share(crew, tokens):
    """(first token, step, slot of token 0): which rows this thread prepares, and in which slot of the scratch.

    A slot is a row of activations and its codes. A single token is prepared by every thread, in a slot of its own.
    """
    if tokens == 1:
        return 0, 1, crew.thread
    return crew.thread, crew.threads, 0


@compiled
def claim_groups(crew, counter, work):
    """Claim the next run of a step's Groups: (begin, end). If none is left, begin is their total.

    A claim is one atomic addition: it gives the number of the run, and from that each thread computes where the run
    begins in the sequence of shrinking runs. Runs have even lengths, since products take two groups at a time.
    """
    groups, width = work.total, group_bytes(work.matrix[LAYOUT], work.matrix[COLUMNS])
    most = max(2, LONGEST_RUN_BYTES // (width * work.tokens) // 2 * 2)
    if crew.threads == 1:
        begin = min(groups, claim(crew, counter, most))
        return begin, min(groups, begin + most)
    number, begin = claim(crew, counter, 1), 0
    while begin < groups:
        wanted = max(1, SHORTEST_RUN_BYTES // width, (groups - begin) // (RUN_DIVISOR * crew.threads))
        piece = min(most, (wanted + 1) // 2 * 2)
        if number < crew.threads:
            begin = min(groups, begin + number * piece)
            return begin, min(groups, begin + piece)
        number, begin = number - crew.threads, begin + crew.threads * piece
    return groups, groups


@compiled
def claim_piece(crew, counter, work):
    """Claim the next of a step's Pieces, as `claim_groups`."""
    begin = min(work.total, claim(crew, counter, 1))
    return begin, begin + 1


def parallel(piece, claim_next=claim_groups):
    """Make a step of a pass: its threads claim work until none is left, and call `piece` for what they have claimed.

    piece: (begin, end, given) -> None. The step: (crew, counter, work, given) -> True to stop. work: Groups or Pieces,
    as `claim_next` takes them. given: passed on to `piece`.
    """

    @inlined
    def step(crew, counter, work, given):
        while True:
            begin, end = claim_next(crew, counter, work)
            if begin >= work.total or stopped(crew):
                return wait(crew, counter, work.total)
            piece(begin, end, given)
            finish(crew, counter, end - begin)

    return step


@compiled
def groups_of(matrix):
    """The number of groups of a matrix."""
    return (matrix[ROWS] + GROUP - 1) // GROUP


@inlined
def all_groups(matrix, tokens):
    """The work of a product with a matrix: all its Groups."""
    return Groups(groups_of(matrix), matrix, tokens)


@inlined
def code_sets(s, first, sets):
    """The CodeSets in a Scratch that begin at block number `first`."""
    return CodeSets(s.codes, first, s.low + first, sets)


@compiled
def quantize_token(x, at, width, to):
    """Quantise one vector; to: CodeSets."""
    if to.sets == TWO_SETS:
        quantize_twice(x, at, width, to.codes, to.first, to.low)
    else:
        quantize(x, at, width, to.codes, to.first)


@compiled
def product(p, begin, end):
    """The groups begin .. end - 1 of a Projection, without its bias. A quantised matrix is multiplied with each set."""
    seen, to = p.inputs.code_sets, p.to
    passes = seen.sets if is_quantized(p.matrix) else 1
    for number in range(passes):
        first, out = (seen.first, to.x) if number == 0 else (seen.low, p.spare)
        given = Activations(p.inputs.rows, seen.codes, first)
        linear(p.weights, p.matrix, begin, end, given, p.tokens, Rows(out, to.at, to.stride))
    if passes == TWO_SETS:
        for t in range(p.tokens):
            at = to.at + t * to.stride + begin * GROUP
            add(to.x, at, p.spare, at, (end - begin) * GROUP)


@compiled
def add_bias(p, begin, end):
    """Add the bias of a Projection, if there is one, to the groups begin .. end - 1 of all tokens."""
    if p.bias[LAYOUT] != ABSENT:
        first, size = begin * GROUP, (end - begin) * GROUP
        for t in range(p.tokens):
            add(p.to.x, p.to.at + t * p.to.stride + first, p.weights.f32, p.bias[OFFSET] // 4 + first, size)


@compiled
def norm(crew, model, weight, sets, rows, s):
    """s.normed = the listed rows of s.x, normalised, and quantised to so many sets of codes."""
    hidden, stride = model.sizes.hidden, model.sizes.hidden_stride
    first, step, slot = share(crew, len(rows))
    for t in range(first, len(rows), step):
        x, to, norm_at = rows[t] * stride, (t + slot) * stride, weight[OFFSET] // 4
        rms_norm(s.x, x, hidden, model.weights.f32, norm_at, model.sizes.epsilon, s.normed, to)
        if sets != NO_CODES:
            quantize_token(s.normed, to, hidden, code_sets(s, slot * s.token_blocks + t * (hidden // BLOCK), sets))


@compiled
def quantize_rows(crew, rows, width, sets, tokens, s):
    """Quantise the first `width` columns of every token's row to so many sets of codes. The Rows begin at x[0]."""
    first, step, slot = share(crew, tokens)
    for t in range(first, tokens, step):
        quantize_token(rows.x, t * rows.stride, width, code_sets(s, slot * s.token_blocks + t * (width // BLOCK), sets))


@inlined
def codes_needed(w, first, last):
    """Whether one of the matrices in rows `first` .. `last` of a layer is quantised."""
    needed = False
    for number in range(first, last + 1):
        needed = needed or is_quantized(w[number])
    return needed


# The pieces of steps, and the steps


@inlined
def _embedded(begin, end, p):
    """The embedding of one token, into scratch.x."""
    own = p.model.table[p.model.sizes.layers * LAYER_ROWS + TOKEN_EMBEDDING]
    embedding(p.model.weights, own, p.batch.tokens[begin], p.scratch.x, begin * p.model.sizes.hidden_stride)


@inlined
def projected(begin, end, p):
    """The groups begin .. end - 1 of a Projection, with its bias."""
    product(p, begin, end)
    add_bias(p, begin, end)


@inlined
def _all_projected(begin, end, given):
    """The groups of three Projections, numbered through: queries, keys, values. Values read two sets of codes."""
    p, w = given
    before = 0
    for part in range(3):
        groups = groups_of(w[Q + part])
        first, last = max(begin - before, 0), min(end - before, groups)
        if first < last:
            c = p.inputs.code_sets
            seen = Inputs(p.inputs.rows, CodeSets(c.codes, c.first, c.low, TWO_SETS if part == V - Q else c.sets))
            to = Rows(p.to.x, p.to.at + before * GROUP, p.to.stride)
            projected(first, last, Projection(p.weights, w[Q + part], w[Q_BIAS + part], seen, p.tokens, to, p.spare))
        before += groups


@inlined
def _added(begin, end, given):
    """The groups begin .. end - 1 of a Projection, with its bias, added to x."""
    p, x = given
    projected(begin, end, p)
    for t in range(p.tokens):
        at = t * p.to.stride + begin * GROUP
        add(x, at, p.to.x, at, (end - begin) * GROUP)


@inlined
def _gated(begin, end, given):
    """silu(gate) * up of two Projections without a bias, into the output of the second."""
    gate, up = given
    product(gate, begin, end)
    product(up, begin, end)
    for t in range(gate.tokens):
        swiglu(gate.to.x, up.to.x, t * gate.to.stride + begin * GROUP, (end - begin) * GROUP)


embed = parallel(_embedded, claim_piece)
project, project_all = parallel(projected), parallel(_all_projected)
project_and_add, project_gated = parallel(_added), parallel(_gated)


@inlined
def normed(p, tokens, sets):
    """The normalised rows as the Inputs of a product."""
    slot, stride = share(p.crew, tokens)[2], p.model.sizes.hidden_stride
    return Inputs(
        Rows(p.scratch.normed, slot * stride, stride), code_sets(p.scratch, slot * p.scratch.token_blocks, sets)
    )


@inlined
def queries_keys_values(p, counter, w, sets):
    """qkv = the projections of the normalised rows; queries and keys read so many sets of codes. True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    to = Rows(s.qkv, 0, p.model.sizes.qkv_stride)
    projections = Projection(p.model.weights, w[Q], w[Q_BIAS], normed(p, tokens, sets), tokens, to, s.spare)
    work = Groups(groups_of(w[Q]) + groups_of(w[K]) + groups_of(w[V]), w[Q], tokens)
    return project_all(p.crew, counter, work, (projections, w))


@inlined
def project_back(p, counter, matrix, bias, rows, sets):
    """x += matrix @ rows + bias: the last step of attention and of the feed-forward network. True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    inputs = Inputs(rows, code_sets(s, share(p.crew, tokens)[2] * s.token_blocks, sets))
    to = Rows(s.added, 0, p.model.sizes.hidden_stride)
    projection = Projection(p.model.weights, matrix, bias, inputs, tokens, to, s.spare)
    return project_and_add(p.crew, counter, all_groups(matrix, tokens), (projection, s.x))


@inlined
def rotate_heads(model, w, rows, position, head):
    """Normalise (if the model does so) and rotate the key and the queries of one kv head. rows: its row of qkv."""
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
def store_head(sizes, address, rows, head, workspace):
    """Store the key and the value of one kv head at a KVAddress. rows: the row of qkv. workspace: for its `row`."""
    key = rows.at + sizes.k_column + head * sizes.head_dim
    value = rows.at + sizes.v_column + head * sizes.head_dim
    if sizes.codes_kv:
        store_codes(address, rows.x, key, value, workspace.row)
    else:
        store_floats(address, rows.x, key, value)


@inlined
def kv_address(p, layer, token, head):
    """The KVAddress of a token's key and value, for one kv head."""
    position, sizes = p.batch.positions[token], p.model.sizes
    page = p.batch.first_page[token] + position // PAGE
    return KVAddress(p.batch.pages, page, layer * sizes.kv_heads + head, sizes.head_dim, position)


@inlined
def tile_of(p, layer, piece):
    """(Queries, Cached) of one piece of attention: one query tile and one kv head."""
    sizes, batch = p.model.sizes, p.batch
    tile, head = divmod(piece, sizes.kv_heads)
    dim, group = sizes.head_dim, sizes.heads // sizes.kv_heads
    first, tokens = batch.tiles[tile, 0], batch.tiles[tile, 1]
    x, stride, window = first * sizes.qkv_stride + head * group * dim, sizes.qkv_stride, p.model.windows[layer]
    queries = Queries(p.scratch.qkv, x, stride, tokens, group, dim, batch.positions, first, window)
    return queries, Cached(batch.pages, batch.first_page[first], layer * sizes.kv_heads + head)


@inlined
def attend(p, layer, piece):
    """Attention of one piece: a query tile and a kv head. The results replace the queries."""
    queries, cached = tile_of(p, layer, piece)
    attention(p.model.attention, AttentionPiece(queries, cached, p.workspace))


@compiled
def choose_next(crew, counter, batch, logits, vocabulary, ends, chosen, number):
    """Greedy: replace the batch's only token by the argmax of its logits, chosen[number], at the next position.

    True to stop: if that token is one of `ends`, or a logit is not finite, and then nothing is chosen.
    """
    if claim(crew, counter, 1) == 0:
        token = argmax(logits, vocabulary)
        for end in ends:
            if token == end:
                token = NO_TOKEN
        if token != NO_TOKEN:
            batch.tokens[0] = token
            batch.positions[0] += 1
        chosen[number] = token
        finish(crew, counter, 1)
    return wait(crew, counter, 1) or chosen[number] == NO_TOKEN
