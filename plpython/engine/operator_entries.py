"""Each operator of the transformer as a compiled entry of its own, made of the steps of the compiled forward pass.

`decoder_pass` runs all operators in one pass; a query that composes operators calls one entry for each. The steps are
the same, and no step's result depends on what is computed together, so both give the same bits.

Activations are flat, row after row without padding, as SQL passes them. Rows of products are padded to whole registers.
"""

from collections import namedtuple

from ..kernels.elementwise import exp, rms_norm, rope
from ..kernels.groups import COLUMNS, GROUP, ROWS, Rows
from ..kernels.matrix import embedding, is_quantized
from ..model.encodings import BLOCK
from ..simd.frames import Real, Structure
from ..simd.memory import load, load_first, store, store_first
from ..simd.registers import compiled, entry, f32, fill, inlined
from ..simd.threads import Crew, barrier
from .steps import (
    CODES_STRUCT,
    FLOAT_ARRAY,
    INT_ARRAY,
    INT_MATRIX,
    MODEL_STRUCT,
    ONE_SET,
    Q_BIAS,
    TWO_SETS,
    WEIGHTS_STRUCT,
    WORKSPACES_STRUCT,
    CodeSets,
    Groups,
    Inputs,
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
    kv_address,
    parallel,
    project_all,
    project_gated,
    projected,
    quantize_token,
    rotate_heads,
    store_head,
    workspace_of,
)

STORED, ATTENDED = range(2)  # counters of claimed work
CLAIMS = 2

# What the frames of the entries hold: what stays the same from call to call. Arrays that change are arguments, which
# Python passes faster than it writes them into a frame. matrix, bias, gate, up, no_bias: rows of the weight table,
# int64[4]. w: a layer's rows. tiles, first_page: as a Batch has them.
Embed = namedtuple("Embed", "weights matrix")
Linear = namedtuple("Linear", "weights matrix bias sets codes stride spare")
Heads = namedtuple("Heads", "model w codes spare")
Gated = namedtuple("Gated", "weights gate up no_bias codes gates stride")
Norm = namedtuple("Norm", "weights at width epsilon")
Rotation = namedtuple("Rotation", "model")
Attention = namedtuple("Attention", "model tiles first_page workspaces")
EMBED_STRUCT = Structure(Embed, weights=WEIGHTS_STRUCT, matrix=INT_ARRAY)
LINEAR_STRUCT = Structure(
    Linear, weights=WEIGHTS_STRUCT, matrix=INT_ARRAY, bias=INT_ARRAY, codes=CODES_STRUCT, spare=FLOAT_ARRAY
)
HEADS_STRUCT = Structure(Heads, model=MODEL_STRUCT, w=INT_MATRIX, codes=CODES_STRUCT, spare=FLOAT_ARRAY)
GATED_STRUCT = Structure(
    Gated,
    weights=WEIGHTS_STRUCT,
    gate=INT_ARRAY,
    up=INT_ARRAY,
    no_bias=INT_ARRAY,
    codes=CODES_STRUCT,
    gates=FLOAT_ARRAY,
)
NORM_STRUCT = Structure(Norm, weights=FLOAT_ARRAY, epsilon=Real())
ROTATION_STRUCT = Structure(Rotation, model=MODEL_STRUCT)
ATTENTION_STRUCT = Structure(
    Attention, model=MODEL_STRUCT, tiles=INT_MATRIX, first_page=INT_ARRAY, workspaces=WORKSPACES_STRUCT
)
_embed, _linear, _heads, _gated = (
    EMBED_STRUCT.read_at,
    LINEAR_STRUCT.read_at,
    HEADS_STRUCT.read_at,
    GATED_STRUCT.read_at,
)
_norm, _rotation, _attention = NORM_STRUCT.read_at, ROTATION_STRUCT.read_at, ATTENTION_STRUCT.read_at

# The fields of a Batch and of a Scratch that attention uses.
AttentionBatch = namedtuple("AttentionBatch", "positions first_page pages tiles")
AttentionScratch = namedtuple("AttentionScratch", "qkv")


@inlined
def crew_of(thread, threads, state):
    """A Crew that nothing interrupts: a call is short."""
    return Crew(thread, threads, state, Interrupts(0, 0))


@inlined
def codes_of_rows(codes, t, columns, sets, tokens):
    """The CodeSets of rows of `columns` numbers, from row t of `tokens` on."""
    blocks = columns // BLOCK
    return CodeSets(codes, t * blocks, (tokens + t) * blocks, sets)


@inlined
def quantize_each(crew, x, columns, codes, sets, tokens):
    """Quantise the rows of x to so many sets of codes, dealt out to the threads; a barrier follows."""
    for t in range(crew.thread, tokens, crew.threads):
        quantize_token(x, t * columns, columns, codes_of_rows(codes, t, columns, sets, tokens))
    barrier(crew)


@compiled
def add_residual(residual, width, begin, end, to, tokens):
    """Add columns begin .. end - 1 of the residual, rows of `width` numbers, to those of the Rows `to`."""
    for t in range(tokens):
        for i in range(begin, end, 16):
            given, at = load_first(width - i, residual, t * width + i), to.at + t * to.stride + i
            store(to.x, at, load(to.x, at, f32) + given)


@inlined
def _projected(begin, end, given):
    """The groups begin .. end - 1 of a Projection, plus the residual, which may be empty."""
    p, residual = given
    projected(begin, end, p)
    if len(residual) > 0:
        add_residual(residual, p.matrix[ROWS], begin * GROUP, end * GROUP, p.to, p.tokens)


@inlined
def _stored(begin, end, given):
    """Store the key and the value of a token and a kv head."""
    p, layer = given
    sizes = p.model.sizes
    token, head = divmod(begin, sizes.kv_heads)
    rows = Rows(p.scratch.qkv, token * sizes.qkv_stride, 0)
    store_head(sizes, kv_address(p, layer, token, head), rows, head, p.workspace)


@inlined
def _attended(begin, end, given):
    """Attention of a query tile and a kv head."""
    p, layer = given
    attend(p, layer, begin)


project, store_all = parallel(_projected), parallel(_stored, claim_piece)
attend_all = parallel(_attended, claim_piece)


@entry
def embed(thread, threads, state, frame, tokens, out):
    """out = the decoded rows of the tokens. frame: an Embed."""
    given = _embed(frame, 0)
    for t in range(thread, len(tokens), threads):
        embedding(given.weights, given.matrix, tokens[t], out, t * given.matrix[COLUMNS])


@entry
def linear(thread, threads, state, frame, x, residual, out):
    """out[t] = matrix @ x[t] + bias + residual[t]; rows of out are `stride` numbers apart. frame: a Linear.

    The residual may be empty. A quantised matrix reads `sets` sets of codes of x.
    """
    given = _linear(frame, 0)
    crew, matrix, columns = crew_of(thread, threads, state), given.matrix, given.matrix[COLUMNS]
    tokens = len(x) // columns
    if is_quantized(matrix):
        quantize_each(crew, x, columns, given.codes, given.sets, tokens)
    inputs = Inputs(Rows(x, 0, columns), codes_of_rows(given.codes, 0, columns, given.sets, tokens))
    to = Rows(out, 0, given.stride)
    projection = Projection(given.weights, matrix, given.bias, inputs, tokens, to, given.spare)
    project(crew, 0, all_groups(matrix, tokens), (projection, residual))


@entry
def queries_keys_values(thread, threads, state, frame, x, positions, out):
    """out = rows of queries, keys and values of x, rotated, as `attention` takes them. frame: a Heads."""
    given = _heads(frame, 0)
    crew, model, w = crew_of(thread, threads, state), given.model, given.w
    tokens, columns, stride = len(positions), w[Q, COLUMNS], model.sizes.qkv_stride
    if codes_needed(w, Q, V):
        quantize_each(crew, x, columns, given.codes, TWO_SETS, tokens)
    inputs = Inputs(Rows(x, 0, columns), codes_of_rows(given.codes, 0, columns, ONE_SET, tokens))
    projection = Projection(model.weights, w[Q], w[Q_BIAS], inputs, tokens, Rows(out, 0, stride), given.spare)
    work = Groups(groups_of(w[Q]) + groups_of(w[K]) + groups_of(w[V]), w[Q], tokens)
    if project_all(crew, 0, work, (projection, w)):
        return
    for t in range(thread, tokens, threads):
        for head in range(model.sizes.kv_heads):
            rotate_heads(model, w, Rows(out, t * stride, 0), positions[t], head)


@entry
def gated(thread, threads, state, frame, x, out):
    """out[t] = silu(gate @ x[t]) * (up @ x[t]); rows of out are `stride` numbers apart. frame: a Gated.

    A thread computes the same rows of both products. With one set of codes neither needs its `spare`.
    """
    given = _gated(frame, 0)
    crew, columns, stride = crew_of(thread, threads, state), given.gate[COLUMNS], given.stride
    tokens = len(x) // columns
    if is_quantized(given.gate) or is_quantized(given.up):
        quantize_each(crew, x, columns, given.codes, ONE_SET, tokens)
    inputs = Inputs(Rows(x, 0, columns), codes_of_rows(given.codes, 0, columns, ONE_SET, tokens))
    weights, no_bias, gates = given.weights, given.no_bias, given.gates
    gate = Projection(weights, given.gate, no_bias, inputs, tokens, Rows(gates, 0, stride), gates)
    up = Projection(weights, given.up, no_bias, inputs, tokens, Rows(out, 0, stride), gates)
    project_gated(crew, 0, all_groups(given.gate, tokens), (gate, up))


@entry
def normalise(thread, threads, state, frame, x, out):
    """out = the rows of x, of `width` numbers, normalised (RMS). at: where the weights begin. frame: a Norm."""
    given = _norm(frame, 0)
    width = given.width
    for row in range(thread * width, len(x), threads * width):
        rms_norm(x, row, width, given.weights, given.at, given.epsilon, out, row)


@entry
def rotate(thread, threads, state, frame, x, positions):
    """Rotate (rope) all heads of all tokens in place, each by its token's position. frame: a Rotation."""
    model = _rotation(frame, 0).model
    tokens, dim = len(positions), model.sizes.head_dim
    per_token = len(x) // tokens
    for t in range(thread, tokens, threads):
        for head in range(t * per_token, (t + 1) * per_token, dim):
            angles = positions[t] * (dim // 2)
            rope(x, head, dim, model.cosines, model.sines, angles, model.sizes.interleaved)


@entry
def attention(thread, threads, state, frame, positions, pages, qkv, layer):
    """Store the keys and values of consecutive tokens of one sequence, and then compute attention of their queries.

    frame: an Attention. qkv: rows of queries, keys and values; the results replace the queries.
    """
    given = _attention(frame, 0)
    crew, model = crew_of(thread, threads, state), given.model
    batch = AttentionBatch(positions, given.first_page, pages, given.tiles)
    p = Pass(crew, model, batch, workspace_of(given.workspaces, thread), AttentionScratch(qkv))
    kv_heads = model.sizes.kv_heads
    if store_all(crew, STORED, Pieces(len(positions) * kv_heads), (p, layer)):
        return
    attend_all(crew, ATTENDED, Pieces(len(given.tiles) * kv_heads), (p, layer))


@entry
def swiglu(thread, threads, gate, up, out):
    """out = silu(gate) * up, as elementwise.swiglu computes it."""
    size = len(gate)
    for i in range(thread * 16, size, threads * 16):
        g = load_first(size - i, gate, i)
        activated = g / (exp(fill(0.0, f32) - g) + 1.0)
        store_first(size - i, out, i, activated * load_first(size - i, up, i))
