"""Each operator of the transformer as a compiled call of its own, from the parts of the compiled forward.

`decoder_pass` runs them all in one pass; a query that composes operators makes a call for each. The steps are the same,
and no step's result depends on what it is computed with, so both give the same bits.

Activations are flat and tight, row after row, as SQL passes them; a product's rows are padded to whole registers.
"""

from collections import namedtuple

from ..kernels.elementwise import exp, rms_norm, rope
from ..kernels.groups import BLOCK, COLUMNS, GROUP, ROWS, Rows
from ..kernels.matrix import embedding, is_quantized
from ..simd.frames import Real, Structure
from ..simd.memory import load, load_first, store, store_first
from ..simd.registers import compiled, entry, f32, fill, inlined
from ..simd.threads import Crew, meet
from .steps import (
    BATCH,
    CODES,
    FLOATS,
    MODEL,
    NUMBERS,
    ONE_SET,
    Q_BIAS,
    TABLE,
    TWO_SETS,
    WEIGHTS,
    WORKS,
    Coded,
    Given,
    Groups,
    Interrupts,
    K,
    Pass,
    Pieces,
    Projection,
    Q,
    V,
    all_groups,
    attend,
    claim_piece,
    codes_needed,
    groups_of,
    place_of,
    project_all,
    project_gated,
    projected,
    quantize_token,
    shared_out,
    store_head,
    turn_heads,
    work_of,
)

STORED, ATTENDED = range(2)  # counters of claimed work
CLAIMS = 2

# What the entries are given. matrix, bias, gate, up: rows of the table of weights; w: those of a layer.
Embed = namedtuple("Embed", "weights matrix tokens out")
Linear = namedtuple("Linear", "weights matrix bias x tokens sets codes residual out stride spare")
Heads = namedtuple("Heads", "model w x positions codes out spare")
Gated = namedtuple("Gated", "weights gate up no_bias x tokens codes gates out stride")
Norm = namedtuple("Norm", "weights at width epsilon x out")
Rotation = namedtuple("Rotation", "model x positions")
Attention = namedtuple("Attention", "model batch qkv works layer")
Swiglu = namedtuple("Swiglu", "gate up out")
EMBED = Structure(Embed, weights=WEIGHTS, matrix=NUMBERS, tokens=NUMBERS, out=FLOATS)
LINEAR = Structure(
    Linear,
    weights=WEIGHTS,
    matrix=NUMBERS,
    bias=NUMBERS,
    x=FLOATS,
    codes=CODES,
    residual=FLOATS,
    out=FLOATS,
    spare=FLOATS,
)
HEADS = Structure(Heads, model=MODEL, w=TABLE, x=FLOATS, positions=NUMBERS, codes=CODES, out=FLOATS, spare=FLOATS)
GATED = Structure(
    Gated,
    weights=WEIGHTS,
    gate=NUMBERS,
    up=NUMBERS,
    no_bias=NUMBERS,
    x=FLOATS,
    codes=CODES,
    gates=FLOATS,
    out=FLOATS,
)
NORM = Structure(Norm, weights=FLOATS, epsilon=Real(), x=FLOATS, out=FLOATS)
ROTATION = Structure(Rotation, model=MODEL, x=FLOATS, positions=NUMBERS)
ATTENTION = Structure(Attention, model=MODEL, batch=BATCH, qkv=FLOATS, works=WORKS)
SWIGLU = Structure(Swiglu, gate=FLOATS, up=FLOATS, out=FLOATS)
_embed, _linear, _heads, _gated = EMBED.read_at, LINEAR.read_at, HEADS.read_at, GATED.read_at
_norm, _rotation, _attention, _swiglu = NORM.read_at, ROTATION.read_at, ATTENTION.read_at, SWIGLU.read_at

# All that attention wants of a Scratch.
AttentionScratch = namedtuple("AttentionScratch", "qkv")


@inlined
def crew_of(thread, threads, state):
    return Crew(thread, threads, state, Interrupts(0, 0))


@inlined
def codes_of_rows(codes, t, columns, sets, tokens):
    """The sets of codes of rows that follow each other, from row t on."""
    blocks = columns // BLOCK
    return Coded(codes, t * blocks, (tokens + t) * blocks, sets)


@inlined
def quantize_each(crew, x, columns, codes, sets, tokens):
    """So many sets of codes of every row of x, each done by one of the threads; all of them meet then."""
    for t in range(crew.thread, tokens, crew.threads):
        quantize_token(x, t * columns, columns, codes_of_rows(codes, t, columns, sets, tokens))
    meet(crew)


@compiled
def add_residual(residual, width, begin, end, to, tokens):
    """Add columns begin .. end of rows that are `width` numbers apart to those of the Rows."""
    for t in range(tokens):
        for i in range(begin, end, 16):
            given, at = load_first(width - i, residual, t * width + i), to.at + t * to.stride + i
            store(to.x, at, load(to.x, at, f32) + given)


@inlined
def _projected(begin, end, given):
    """A Projection, and a residual if there is one."""
    p, residual = given
    projected(begin, end, p)
    if len(residual) > 0:
        add_residual(residual, p.matrix[ROWS], begin * GROUP, end * GROUP, p.to, p.tokens)


@inlined
def _stored(begin, end, given):
    """The key and the value of a token and a kv head."""
    p, layer = given
    sizes = p.model.sizes
    token, head = divmod(begin, sizes.kv_heads)
    rows = Rows(p.scratch.qkv, token * sizes.qkv_stride, 0)
    store_head(sizes, place_of(p, layer, token, head), rows, head, p.work)


@inlined
def _attended(begin, end, given):
    """Attention of a tile and a kv head."""
    p, layer = given
    attend(p, layer, begin)


project, store_all = shared_out(_projected), shared_out(_stored, claim_piece)
attend_all = shared_out(_attended, claim_piece)


@entry
def embed(thread, threads, state, frame):
    """The rows of the tokens, decoded. Given an Embed."""
    given = _embed(frame, 0)
    for t in range(thread, len(given.tokens), threads):
        embedding(given.weights, given.matrix, given.tokens[t], given.out, t * given.matrix[COLUMNS])


@entry
def linear(thread, threads, state, frame):
    """out[t] = matrix @ x[t] + bias + residual[t], every `stride` numbers; without a residual it is empty.

    A quantised matrix sees x as so many sets of codes. Given a Linear.
    """
    given = _linear(frame, 0)
    crew, matrix, tokens, columns = crew_of(thread, threads, state), given.matrix, given.tokens, given.matrix[COLUMNS]
    if is_quantized(matrix):
        quantize_each(crew, given.x, columns, given.codes, given.sets, tokens)
    seen = Given(Rows(given.x, 0, columns), codes_of_rows(given.codes, 0, columns, given.sets, tokens))
    to = Rows(given.out, 0, given.stride)
    projection = Projection(given.weights, matrix, given.bias, seen, tokens, to, given.spare)
    project(crew, 0, all_groups(matrix, tokens), (projection, given.residual))


@entry
def queries_keys_values(thread, threads, state, frame):
    """The rows of queries, keys and values that `attention` takes, from x. Given Heads."""
    given = _heads(frame, 0)
    crew, model, w = crew_of(thread, threads, state), given.model, given.w
    tokens, columns, stride = len(given.positions), w[Q, COLUMNS], model.sizes.qkv_stride
    if codes_needed(w, Q, V):
        quantize_each(crew, given.x, columns, given.codes, TWO_SETS, tokens)
    seen = Given(Rows(given.x, 0, columns), codes_of_rows(given.codes, 0, columns, ONE_SET, tokens))
    projection = Projection(model.weights, w[Q], w[Q_BIAS], seen, tokens, Rows(given.out, 0, stride), given.spare)
    work = Groups(groups_of(w[Q]) + groups_of(w[K]) + groups_of(w[V]), w[Q], tokens)
    if project_all(crew, 0, work, (projection, w)):
        return
    for t in range(thread, tokens, threads):
        for head in range(model.sizes.kv_heads):
            turn_heads(model, w, Rows(given.out, t * stride, 0), given.positions[t], head)


@entry
def gated(thread, threads, state, frame):
    """out[t] = silu(gate @ x[t]) * (up @ x[t]), every `stride` numbers, the same rows of both at a time. Given a Gated.

    With one set of codes no product needs its spare.
    """
    given = _gated(frame, 0)
    crew, tokens, columns = crew_of(thread, threads, state), given.tokens, given.gate[COLUMNS]
    if is_quantized(given.gate) or is_quantized(given.up):
        quantize_each(crew, given.x, columns, given.codes, ONE_SET, tokens)
    seen = Given(Rows(given.x, 0, columns), codes_of_rows(given.codes, 0, columns, ONE_SET, tokens))
    weights, no_bias, gates, out = given.weights, given.no_bias, given.gates, Rows(given.out, 0, given.stride)
    gate = Projection(weights, given.gate, no_bias, seen, tokens, Rows(gates, 0, given.stride), gates)
    up = Projection(weights, given.up, no_bias, seen, tokens, out, gates)
    project_gated(crew, 0, all_groups(given.gate, tokens), (gate, up))


@entry
def normalise(thread, threads, state, frame):
    """Every row of `width` numbers normalised, with the weights that begin at `at`. Given a Norm."""
    given = _norm(frame, 0)
    width = given.width
    for row in range(thread * width, len(given.x), threads * width):
        rms_norm(given.x, row, width, given.weights, given.at, given.epsilon, given.out, row)


@entry
def rotate(thread, threads, state, frame):
    """Every head of every token turned in place by the angles of its token's position. Given a Rotation."""
    given = _rotation(frame, 0)
    model, tokens, dim = given.model, len(given.positions), given.model.sizes.head_dim
    per_token = len(given.x) // tokens
    for t in range(thread, tokens, threads):
        for head in range(t * per_token, (t + 1) * per_token, dim):
            angles = given.positions[t] * (dim // 2)
            rope(given.x, head, dim, model.cosines, model.sines, angles, model.sizes.interleaved)


@entry
def attention(thread, threads, state, frame):
    """Store the keys and values of consecutive tokens of one sequence, then let every query see what it may.

    Given an Attention, with rows of queries, keys and values; the results replace the queries.
    """
    given = _attention(frame, 0)
    crew, model, batch, layer = crew_of(thread, threads, state), given.model, given.batch, given.layer
    p = Pass(crew, model, batch, work_of(given.works, thread), AttentionScratch(given.qkv))
    kv_heads = model.sizes.kv_heads
    if store_all(crew, STORED, Pieces(len(batch.positions) * kv_heads), (p, layer)):
        return
    attend_all(crew, ATTENDED, Pieces(len(batch.tiles) * kv_heads), (p, layer))


@entry
def swiglu(thread, threads, state, frame):
    """silu(gate) * up, with the arithmetic of elementwise.swiglu. Given a Swiglu."""
    given = _swiglu(frame, 0)
    size = len(given.gate)
    for i in range(thread * 16, size, threads * 16):
        g = load_first(size - i, given.gate, i)
        activated = g / (exp(fill(0.0, f32) - g) + 1.0)
        store_first(size - i, given.out, i, activated * load_first(size - i, given.up, i))
