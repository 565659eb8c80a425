"""The compiled operators over packed weights, one by one: for SQL queries that compose a transformer.

Activations are flat float32 arrays, a row for each token, as in reference/composed. sql/operators has checked that
sizes fit.
"""

from collections import namedtuple

import numpy as np

from ..kernels.elementwise import new_codes
from ..kernels.groups import ABSENT, COLUMNS, GROUP, VECTOR
from ..kernels.kv_pages import PAGE_FIELDS
from ..simd.frames import Frame
from ..simd.threads import new_state, team
from . import operator_entries
from .decoder import QUERY_TILE
from .operator_entries import (
    ATTENTION_STRUCT,
    EMBED_STRUCT,
    GATED_STRUCT,
    HEADS_STRUCT,
    LINEAR_STRUCT,
    NORM_STRUCT,
    ROTATION_STRUCT,
    SWIGLU_STRUCT,
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

SLICE_TOKENS = 64  # most tokens between checkpoints: tens of milliseconds in the largest matrix of a large model
TWO_SET_MATRICES = "attn_v.weight", "attn_output.weight"  # they read two sets of codes, as in decoder_pass
LEAST_SHARED_PRODUCTS = 1 << 24  # with fewer multiplications, waking workers would take longer than the work
NO_FLOATS, NO_INTS = np.zeros(0, np.float32), np.zeros(0, np.int64)

# A matrix for `linear`: rows of the weight table of the matrix and the bias, the matrix's shape, the distance between
# rows of output, and how many sets of codes it reads.
Product = namedtuple("Product", "matrix bias rows columns stride sets")


class CompiledOperators:
    """The operators of a CompiledEngine's model. checkpoint: called between slices of work; what it raises ends a call.

    Frames are kept, one for each use of a weight; a call overwrites only the fields that differ.
    """

    def __init__(self, engine, checkpoint):
        self.engine = engine
        self._checkpoint = checkpoint
        self._weights = engine.packed.weights
        self.shapes = {}  # {(tensor name, dimensions): shape}: the cache of sql/operators
        self._entries, self._products, self._tiles = {}, {}, {}
        self._absent = np.array([ABSENT, 0, 0, 0], np.int64)
        self._state = new_state(operator_entries.CLAIMS)
        self._codes, self._spare, self._qkv = new_codes(0), NO_FLOATS, NO_FLOATS
        self._frames, self._written = {}, (None, None)

    def new_cache(self):
        """An empty KVCache for this model."""
        return self.engine.new_cache()

    def shape(self, name):
        """The shape of a tensor. KeyError for an unknown name."""
        layout, _, rows, columns = map(int, self._entry(name))
        return (columns,) if layout == VECTOR else (rows, columns)

    def embedding(self, tokens):
        """The embeddings of tokens: int[n] -> [n * hidden]."""
        matrix, tokens = self._entry("token_embd.weight"), np.asarray(tokens, np.int64)
        out = np.empty(len(tokens) * matrix[COLUMNS], np.float32)
        frame = EMBED_STRUCT.frame(Embed(self._weights, matrix, tokens, out))
        operator_entries.embed(0, 1, self._state, frame)
        return out

    def linear(self, x, weight, bias=None, residual=None):
        """x @ weight.T + bias + residual: [n * columns] (and [n * rows]) -> [n, rows]."""
        p = self._products.get((weight, bias)) or self._product(weight, bias)
        rows, columns, stride = p.rows, p.columns, p.stride
        tokens = len(x) // columns
        self._reserve_codes(min(tokens, SLICE_TOKENS), columns, stride if p.sets == TWO_SETS else 0)
        frame = self._frames.get((weight, bias)) or self._linear_frame(weight, bias)
        out = np.empty(tokens * stride, np.float32)
        arguments = NO_FLOATS if residual is None else residual
        for begin, n, x_slice, to in _slices(tokens, x, columns, out, stride):
            frame.put(x=x_slice, tokens=n, residual=arguments[begin * rows : (begin + n) * rows], out=to)
            self._run(operator_entries.linear, n, n * rows * columns, frame)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def queries_keys_values(self, x, layer, positions):
        """Projected and rotated: [n * hidden], int[n] -> [n, heads * head_dim], and two of [n, kv_heads * head_dim]."""
        sizes, tokens = self.engine.sizes, len(positions)
        stride = sizes.qkv_stride
        self._reserve_codes(min(tokens, SLICE_TOKENS), sizes.hidden, stride)
        self._reserve_positions(positions)
        frame = self._frames.get((HEADS_STRUCT, layer)) or self._heads_frame(layer)
        out = np.empty(tokens * stride, np.float32)
        for begin, n, x_slice, to in _slices(tokens, x, sizes.hidden, out, stride):
            frame.put(x=x_slice, positions=positions[begin : begin + n], out=to)
            self._run(operator_entries.queries_keys_values, n, n * stride * sizes.hidden, frame)
        rows, width = out.reshape(tokens, stride), sizes.kv_heads * sizes.head_dim
        q, k = rows[:, : sizes.heads * sizes.head_dim], rows[:, sizes.k_column : sizes.k_column + width]
        return q, k, rows[:, sizes.v_column : sizes.v_column + width]

    def swiglu(self, x, gate, up):
        """silu(x @ gate.T) * (x @ up.T): [n * columns] -> [n, rows]."""
        p = self._products.get((gate, None)) or self._product(gate, None)
        rows, columns, stride = p.rows, p.columns, p.stride
        tokens = len(x) // columns
        self._reserve_codes(min(tokens, SLICE_TOKENS), columns, stride)
        frame = self._frames.get((GATED_STRUCT, gate, up)) or self._gated_frame(gate, up)
        out = np.empty(tokens * stride, np.float32)
        for _, n, x_slice, to in _slices(tokens, x, columns, out, stride):
            frame.put(x=x_slice, tokens=n, out=to)
            self._run(operator_entries.gated, n, 2 * n * rows * columns, frame)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def rms_norm(self, x, weight, epsilon):
        """Normalise rows as wide as the weight: [n * width] -> [n * width]."""
        frame = self._frames.get((NORM_STRUCT, weight, epsilon)) or self._norm_frame(weight, epsilon)
        out = np.empty(len(x), np.float32)
        frame.put(x=x, out=out)
        operator_entries.normalise(0, 1, self._state, frame.numbers)
        return out

    def rope(self, x, positions):
        """Rotate all heads by their tokens' positions: [n * heads * head_dim], int[n] -> the same shape."""
        model, _ = self._reserve_positions(positions)
        out = x.copy()
        operator_entries.rotate(0, 1, self._state, ROTATION_STRUCT.frame(Rotation(model, out, positions)))
        return out

    def attention(self, q, k, v, cache, layer, positions):
        """Store keys and values in a KVCache that has reserved their positions, then compute attention.

        q, k, v: [n, ...] as `queries_keys_values` returns them. positions: consecutive. -> [n, heads * head_dim].
        """
        sizes, n = self.engine.sizes, len(positions)
        self._reserve_positions(positions)
        frame, stride = self._frames.get(ATTENTION_STRUCT) or self._attention_frame(), sizes.qkv_stride
        if self._qkv.size < n * stride:
            self._qkv = np.zeros(n * stride, np.float32)
        qkv = self._qkv[: n * stride].reshape(n, stride)
        for column, part in ((0, q), (sizes.k_column, k), (sizes.v_column, v)):
            qkv[:, column : column + part.size // n] = part.reshape(n, -1)
        for begin in range(0, n, SLICE_TOKENS):
            some = slice(begin, begin + SLICE_TOKENS)
            x_slice, positions_slice = qkv[some].reshape(-1), positions[some]
            batch = self._batch(positions_slice, cache.pages)
            frame.put(batch=batch, qkv=x_slice, layer=layer)
            products = len(positions_slice) * int(positions_slice[-1] + 1) * sizes.heads * sizes.head_dim
            self._run(operator_entries.attention, len(positions_slice), products, frame)
        return qkv[:, : sizes.heads * sizes.head_dim]

    def _product(self, weight, bias):
        matrix, vector = self._entry(weight), self._absent if bias is None else self._entry(bias)
        rows, columns = self.shape(weight)
        sets = TWO_SETS if weight.endswith(TWO_SET_MATRICES) else ONE_SET
        known = self._products[weight, bias] = Product(matrix, vector, rows, columns, -(-rows // GROUP) * GROUP, sets)
        return known

    def _linear_frame(self, weight, bias):
        p = self._products[weight, bias]
        arguments = Linear(
            *(self._weights, p.matrix, p.bias, NO_FLOATS, 0, p.sets),
            *(self._codes, NO_FLOATS, NO_FLOATS, p.stride, self._spare),
        )
        return self._add_frame((weight, bias), Frame(LINEAR_STRUCT, arguments))

    def _heads_frame(self, layer):
        model, _ = self._written
        w = self.engine.layer(layer)
        arguments = Heads(model, w, NO_FLOATS, NO_INTS, self._codes, NO_FLOATS, self._spare)
        return self._add_frame((HEADS_STRUCT, layer), Frame(HEADS_STRUCT, arguments))

    def _gated_frame(self, gate, up):
        p = self._products[gate, None]
        arguments = Gated(
            *(self._weights, p.matrix, self._entry(up), self._absent, NO_FLOATS, 0),
            *(self._codes, self._spare, NO_FLOATS, p.stride),
        )
        return self._add_frame((GATED_STRUCT, gate, up), Frame(GATED_STRUCT, arguments))

    def _norm_frame(self, weight, epsilon):
        _, offset, _, width = map(int, self._entry(weight))
        arguments = Norm(self._weights.f32, offset // 4, width, epsilon, NO_FLOATS, NO_FLOATS)
        return self._add_frame((NORM_STRUCT, weight, epsilon), Frame(NORM_STRUCT, arguments))

    def _attention_frame(self):
        model, workspaces = self._written
        batch = self._batch(NO_INTS, np.zeros((0, PAGE_FIELDS), np.int64))
        return self._add_frame(
            ATTENTION_STRUCT, Frame(ATTENTION_STRUCT, Attention(model, batch, NO_FLOATS, workspaces, 0))
        )

    def _add_frame(self, use, frame):
        self._frames[use] = frame
        return frame

    def _batch(self, positions, pages):
        """A Batch of consecutive tokens of one sequence, with the fields that attention uses."""
        n = len(positions)
        if n not in self._tiles:
            tiles = [(first, min(QUERY_TILE, n - first)) for first in range(0, n, QUERY_TILE)]
            self._tiles[n] = np.array(tiles, np.int64).reshape(-1, 2), np.zeros(n, np.int64)
        tiles, zeros = self._tiles[n]
        return Batch(NO_INTS, NO_INTS, positions, zeros, pages, tiles, NO_INTS)

    def _reserve_codes(self, tokens, columns, spare):
        """Make the codes large enough for two sets of so many tokens, and `_spare` for tokens * spare numbers."""
        if self._codes.codes.size < 2 * tokens * columns:
            self._codes = new_codes(2 * tokens * columns)
            self._frames.clear()
        if self._spare.size < tokens * spare:
            self._spare = np.zeros(tokens * spare, np.float32)
            self._frames.clear()

    def _reserve_positions(self, positions):
        """Reserve the positions; returns the numbers of the engine's Model and Workspaces, for frames."""
        written = self.engine.written_for(int(positions[-1]) + 1)
        if written[0] is not self._written[0] or written[1] is not self._written[1]:
            self._written = written
            self._frames.clear()
        return written

    def _entry(self, name):
        """A tensor's row of the weight table, int64[4]."""
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = self.engine.packed.entry(name)
        return entry

    def _run(self, entry, tokens, products, frame):
        """Run an entry, in several threads if it has enough multiplications. tokens: which setting of threads holds."""
        self._checkpoint()
        self._state.fill(0)
        threads = self.engine.threads if tokens == 1 else self.engine.batch_threads
        if threads == 1 or products < LEAST_SHARED_PRODUCTS:
            entry(0, 1, self._state, frame.numbers)
        else:
            team(threads).run(entry, self._state, frame.numbers)


def _slices(tokens, x, columns, out, stride):
    """(first token, number of tokens, their rows of x, their rows of out) of each slice."""
    if tokens <= SLICE_TOKENS:
        yield 0, tokens, x, out
        return
    for begin in range(0, tokens, SLICE_TOKENS):
        end = min(tokens, begin + SLICE_TOKENS)
        yield begin, end - begin, x[begin * columns : end * columns], out[begin * stride : end * stride]


def swiglu(gate, up):
    """silu(gate) * up: f32[n], f32[n] -> f32[n]."""
    out = np.empty(len(gate), np.float32)
    operator_entries.swiglu(0, 1, NO_INTS, SWIGLU_STRUCT.frame(Swiglu(gate, up, out)))
    return out
