"""The transformer's operators over packed weights: what queries compose where the compiled engine computes.

Activations are flat float32 arrays, a row a token, as reference/composed has them; that sizes fit is checked in
`operators`.
"""

from collections import namedtuple

import numpy as np

from ..kernels.elementwise import new_codes
from ..kernels.groups import ABSENT, COLUMNS, GROUP, VECTOR
from ..kernels.kv_pages import PAGE_FIELDS
from ..simd.frames import Frame
from ..simd.threads import new_state, team
from . import operator_entries
from .decoder import TILE
from .operator_entries import (
    ATTENTION,
    EMBED,
    GATED,
    HEADS,
    LINEAR,
    NORM,
    ROTATION,
    SWIGLU,
    Attention,
    Embed,
    Gated,
    Heads,
    Linear,
    Norm,
    Rotation,
    Swiglu,
)
from .steps import ONE_SET, TWO_SETS, Batch

SLICE = 64  # tokens between checkpoints: tens of milliseconds in the largest matrix of a large model
SEEN_TWICE = "attn_v.weight", "attn_output.weight"  # as decoder_pass does
WORTH_SHARING = 1 << 24  # multiplications: about as long as it takes to hand work to a thread
NOTHING, NO_NUMBERS = np.zeros(0, np.float32), np.zeros(0, np.int64)

# What `linear` needs to know of a matrix and a bias: their entries, the matrix's shape, the distance between rows of
# output, and how many sets of codes it sees.
Product = namedtuple("Product", "matrix bias rows columns stride sets")


class CompiledOperators:
    """The operators of one CompiledEngine's model. `checkpoint` is called between slices of work.

    Frames are kept, one for each use of a weight, and only what differs from call to call is written anew.
    """

    def __init__(self, engine, checkpoint):
        self.engine = engine
        self._checkpoint = checkpoint
        self._weights = engine.packed.weights
        self.shapes = {}  # what `operators` has found out of tensors
        self._entries, self._products, self._tiles = {}, {}, {}
        self._absent = np.array([ABSENT, 0, 0, 0], np.int64)
        self._state = new_state(operator_entries.CLAIMS)
        self._codes, self._spare, self._qkv = new_codes(0), NOTHING, NOTHING
        self._frames, self._written = {}, (None, None)

    def new_cache(self):
        """An empty KVCache for this model."""
        return self.engine.new_cache()

    def shape(self, name):
        """The shape of a tensor. KeyError for an unknown name."""
        layout, _, rows, columns = map(int, self._entry(name))
        return (columns,) if layout == VECTOR else (rows, columns)

    def embedding(self, tokens):
        """int[n] -> [n * hidden]."""
        matrix, tokens = self._entry("token_embd.weight"), np.asarray(tokens, np.int64)
        out = np.empty(len(tokens) * matrix[COLUMNS], np.float32)
        frame = EMBED.frame(Embed(self._weights, matrix, tokens, out))
        operator_entries.embed(0, 1, self._state, frame)
        return out

    def linear(self, x, weight, bias=None, residual=None):
        """x @ weight.T + bias + residual: [n * columns] (and [n * rows]) -> [n, rows]."""
        p = self._products.get((weight, bias)) or self._product(weight, bias)
        rows, columns, stride = p.rows, p.columns, p.stride
        tokens = len(x) // columns
        self._make_room(min(tokens, SLICE), columns, stride if p.sets == TWO_SETS else 0)
        frame = self._frames.get((weight, bias)) or self._linear_frame(weight, bias)
        out = np.empty(tokens * stride, np.float32)
        given = NOTHING if residual is None else residual
        for begin, n, few, to in _slices(tokens, x, columns, out, stride):
            frame.put(x=few, tokens=n, residual=given[begin * rows : (begin + n) * rows], out=to)
            self._run(operator_entries.linear, n, n * rows * columns, frame)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def queries_keys_values(self, x, layer, positions):
        """What `attention` takes of a layer: [n * hidden], int[n] -> [n, heads * head_dim], keys and values."""
        sizes, tokens = self.engine.sizes, len(positions)
        stride = sizes.qkv_stride
        self._make_room(min(tokens, SLICE), sizes.hidden, stride)
        self._reserve(positions)
        frame = self._frames.get((HEADS, layer)) or self._heads_frame(layer)
        out = np.empty(tokens * stride, np.float32)
        for begin, n, few, to in _slices(tokens, x, sizes.hidden, out, stride):
            frame.put(x=few, positions=positions[begin : begin + n], out=to)
            self._run(operator_entries.queries_keys_values, n, n * stride * sizes.hidden, frame)
        rows, width = out.reshape(tokens, stride), sizes.kv_heads * sizes.head_dim
        q, k = rows[:, : sizes.heads * sizes.head_dim], rows[:, sizes.k_column : sizes.k_column + width]
        return q, k, rows[:, sizes.v_column : sizes.v_column + width]

    def swiglu(self, x, gate, up):
        """silu(x @ gate.T) * (x @ up.T): [n * columns] -> [n, rows]."""
        p = self._products.get((gate, None)) or self._product(gate, None)
        rows, columns, stride = p.rows, p.columns, p.stride
        tokens = len(x) // columns
        self._make_room(min(tokens, SLICE), columns, stride)
        frame = self._frames.get((GATED, gate, up)) or self._gated_frame(gate, up)
        out = np.empty(tokens * stride, np.float32)
        for _, n, few, to in _slices(tokens, x, columns, out, stride):
            frame.put(x=few, tokens=n, out=to)
            self._run(operator_entries.gated, n, 2 * n * rows * columns, frame)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def rms_norm(self, x, weight, epsilon):
        """Rows as wide as the weight, each normalised."""
        frame = self._frames.get((NORM, weight, epsilon)) or self._norm_frame(weight, epsilon)
        out = np.empty(len(x), np.float32)
        frame.put(x=x, out=out)
        operator_entries.normalise(0, 1, self._state, frame.numbers)
        return out

    def rope(self, x, positions):
        """Every head turned by its token's position: [n * heads * head_dim], int[n]."""
        model, _ = self._reserve(positions)
        out = x.copy()
        operator_entries.rotate(0, 1, self._state, ROTATION.frame(Rotation(model, out, positions)))
        return out

    def attention(self, q, k, v, cache, layer, positions):
        """Store keys and values in a KVCache that has room for them, then let every query see all up to its own."""
        sizes, n = self.engine.sizes, len(positions)
        self._reserve(positions)
        frame, stride = self._frames.get(ATTENTION) or self._attention_frame(), sizes.qkv_stride
        if self._qkv.size < n * stride:
            self._qkv = np.zeros(n * stride, np.float32)
        qkv = self._qkv[: n * stride].reshape(n, stride)
        for column, part in ((0, q), (sizes.k_column, k), (sizes.v_column, v)):
            qkv[:, column : column + part.size // n] = part.reshape(n, -1)
        for begin in range(0, n, SLICE):
            few, now = qkv[begin : begin + SLICE].reshape(-1), positions[begin : begin + SLICE]
            batch = self._batch(now, cache.pages)
            frame.put(batch=batch, qkv=few, layer=layer)
            products = len(now) * int(now[-1] + 1) * sizes.heads * sizes.head_dim
            self._run(operator_entries.attention, len(now), products, frame)
        return qkv[:, : sizes.heads * sizes.head_dim]

    def _product(self, weight, bias):
        matrix, vector = self._entry(weight), self._absent if bias is None else self._entry(bias)
        rows, columns = self.shape(weight)
        sets = TWO_SETS if weight.endswith(SEEN_TWICE) else ONE_SET
        known = self._products[weight, bias] = Product(matrix, vector, rows, columns, -(-rows // GROUP) * GROUP, sets)
        return known

    def _linear_frame(self, weight, bias):
        p = self._products[weight, bias]
        given = Linear(
            *(self._weights, p.matrix, p.bias, NOTHING, 0, p.sets),
            *(self._codes, NOTHING, NOTHING, p.stride, self._spare),
        )
        return self._kept((weight, bias), Frame(LINEAR, given))

    def _heads_frame(self, layer):
        model, _ = self._written
        w = self.engine.layer(layer)
        given = Heads(model, w, NOTHING, NO_NUMBERS, self._codes, NOTHING, self._spare)
        return self._kept((HEADS, layer), Frame(HEADS, given))

    def _gated_frame(self, gate, up):
        p = self._products[gate, None]
        given = Gated(
            *(self._weights, p.matrix, self._entry(up), self._absent, NOTHING, 0),
            *(self._codes, self._spare, NOTHING, p.stride),
        )
        return self._kept((GATED, gate, up), Frame(GATED, given))

    def _norm_frame(self, weight, epsilon):
        _, offset, _, width = map(int, self._entry(weight))
        given = Norm(self._weights.f32, offset // 4, width, epsilon, NOTHING, NOTHING)
        return self._kept((NORM, weight, epsilon), Frame(NORM, given))

    def _attention_frame(self):
        model, works = self._written
        batch = self._batch(NO_NUMBERS, np.zeros((0, PAGE_FIELDS), np.int64))
        return self._kept(ATTENTION, Frame(ATTENTION, Attention(model, batch, NOTHING, works, 0)))

    def _kept(self, use, frame):
        self._frames[use] = frame
        return frame

    def _batch(self, positions, pages):
        """A Batch of consecutive tokens of one sequence, for attention alone."""
        n = len(positions)
        if n not in self._tiles:
            tiles = [(first, min(TILE, n - first)) for first in range(0, n, TILE)]
            self._tiles[n] = np.array(tiles, np.int64).reshape(-1, 2), np.zeros(n, np.int64)
        tiles, zeros = self._tiles[n]
        return Batch(NO_NUMBERS, NO_NUMBERS, positions, zeros, pages, tiles, NO_NUMBERS)

    def _make_room(self, tokens, columns, spare):
        """For two sets of codes of so many tokens, and for the products of one of them where `spare` is not 0."""
        if self._codes.codes.size < 2 * tokens * columns:
            self._codes = new_codes(2 * tokens * columns)
            self._frames.clear()
        if self._spare.size < tokens * spare:
            self._spare = np.zeros(tokens * spare, np.float32)
            self._frames.clear()

    def _reserve(self, positions):
        """What of frames is the engine's own, with room for these positions: the numbers of MODEL and of WORKS."""
        written = self.engine.written_for(int(positions[-1]) + 1)
        if written[0] is not self._written[0] or written[1] is not self._written[1]:
            self._written = written
            self._frames.clear()
        return written

    def _entry(self, name):
        """A tensor's row of the table of weights, int64[4]."""
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = self.engine.packed.entry(name)
        return entry

    def _run(self, kernel, tokens, products, frame):
        """A kernel, in as many threads as its multiplications are worth."""
        self._checkpoint()
        self._state.fill(0)
        threads = self.engine.threads if tokens == 1 else self.engine.batch_threads
        if threads == 1 or products < WORTH_SHARING:
            kernel(0, 1, self._state, frame.numbers)
        else:
            team(threads).run(kernel, self._state, frame.numbers)


def _slices(tokens, x, columns, out, stride):
    """(the first token, how many, their rows of x, their rows of out), slice by slice."""
    if tokens <= SLICE:
        yield 0, tokens, x, out
        return
    for begin in range(0, tokens, SLICE):
        end = min(tokens, begin + SLICE)
        yield begin, end - begin, x[begin * columns : end * columns], out[begin * stride : end * stride]


def swiglu(gate, up):
    """silu(gate) * up, number by number: f32[n], f32[n] -> f32[n]."""
    out = np.empty(len(gate), np.float32)
    operator_entries.swiglu(0, 1, NO_NUMBERS, SWIGLU.frame(Swiglu(gate, up, out)))
    return out
