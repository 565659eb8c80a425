"""The compiled operators over packed weights, one by one: for SQL queries that compose a transformer.

Activations are flat float32 arrays, a row for each token, as in reference/composed. sql/operators has checked that
sizes fit.
"""

from collections import namedtuple

import numpy as np

from ..kernels.elementwise import new_codes
from ..kernels.groups import ABSENT, COLUMNS, GROUP, VECTOR
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
    Attention,
    Embed,
    Gated,
    Heads,
    Linear,
    Norm,
    Rotation,
)
from .steps import ONE_SET, TWO_SETS

SLICE_TOKENS = 64  # most tokens between checkpoints: tens of milliseconds in the largest matrix of a large model
TWO_SET_MATRICES = "attn_v.weight", "attn_output.weight"  # they read two sets of codes, as in decoder_pass
LEAST_SHARED_PRODUCTS = 1 << 24  # with fewer multiplications, waking workers would take longer than the work
NO_FLOATS = np.zeros(0, np.float32)
NO_RESIDUAL = np.frombuffer(b"", np.float32)  # read-only, as activations from SQL are: entries are compiled for either

# A matrix for `linear`: rows of the weight table of the matrix and the bias, the matrix's shape, the distance between
# rows of output, and how many sets of codes it reads.
Product = namedtuple("Product", "matrix bias rows columns stride sets")


class CompiledOperators:
    """The operators of a CompiledEngine's model. checkpoint: called between slices of work; what it raises ends a call.

    Frames are kept, one for each use of a weight; arrays that differ from call to call are arguments.
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
        frame = self._frame(EMBED_STRUCT, Embed, self._weights, matrix)
        out = np.empty(len(tokens) * matrix[COLUMNS], np.float32)
        operator_entries.embed(0, 1, self._state, frame, tokens, out)
        return out

    def linear(self, x, weight, bias=None, residual=None):
        """x @ weight.T + bias + residual: [n * columns] (and [n * rows]) -> [n, rows]."""
        p = self._products.get((weight, bias)) or self._product(weight, bias)
        rows, columns, stride = p.rows, p.columns, p.stride
        tokens = len(x) // columns
        self._reserve_codes(min(tokens, SLICE_TOKENS), columns, stride if p.sets == TWO_SETS else 0)
        frame = self._frames.get((weight, bias))
        if frame is None:
            arguments = Linear(self._weights, p.matrix, p.bias, p.sets, self._codes, stride, self._spare)
            frame = self._add_frame((weight, bias), LINEAR_STRUCT, arguments)
        out = np.empty(tokens * stride, np.float32)
        added = NO_RESIDUAL if residual is None else residual
        for begin, n, x_slice, to in _slices(tokens, x, columns, out, stride):
            arrays = x_slice, added[begin * rows : (begin + n) * rows], to
            self._run(operator_entries.linear, n, n * rows * columns, frame, *arrays)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def queries_keys_values(self, x, layer, positions):
        """Projected and rotated: [n * hidden], int[n] -> [n, heads * head_dim], and two of [n, kv_heads * head_dim]."""
        sizes, tokens = self.engine.sizes, len(positions)
        stride = sizes.qkv_stride
        self._reserve_codes(min(tokens, SLICE_TOKENS), sizes.hidden, stride)
        self._reserve_positions(positions)
        frame = self._frames.get((HEADS_STRUCT, layer))
        if frame is None:
            arguments = Heads(self._written[0], self.engine.layer(layer), self._codes, self._spare)
            frame = self._add_frame((HEADS_STRUCT, layer), HEADS_STRUCT, arguments)
        out = np.empty(tokens * stride, np.float32)
        for begin, n, x_slice, to in _slices(tokens, x, sizes.hidden, out, stride):
            arrays = x_slice, positions[begin : begin + n], to
            self._run(operator_entries.queries_keys_values, n, n * stride * sizes.hidden, frame, *arrays)
        rows, width = out.reshape(tokens, stride), sizes.kv_heads * sizes.head_dim
        q, k = rows[:, : sizes.heads * sizes.head_dim], rows[:, sizes.k_column : sizes.k_column + width]
        return q, k, rows[:, sizes.v_column : sizes.v_column + width]

    def swiglu(self, x, gate, up):
        """silu(x @ gate.T) * (x @ up.T): [n * columns] -> [n, rows]."""
        p = self._products.get((gate, None)) or self._product(gate, None)
        rows, columns, stride = p.rows, p.columns, p.stride
        tokens = len(x) // columns
        self._reserve_codes(min(tokens, SLICE_TOKENS), columns, stride)
        frame = self._frames.get((GATED_STRUCT, gate, up))
        if frame is None:
            matrices = p.matrix, self._entry(up), self._absent
            arguments = Gated(self._weights, *matrices, self._codes, self._spare, stride)
            frame = self._add_frame((GATED_STRUCT, gate, up), GATED_STRUCT, arguments)
        out = np.empty(tokens * stride, np.float32)
        for _, n, x_slice, to in _slices(tokens, x, columns, out, stride):
            self._run(operator_entries.gated, n, 2 * n * rows * columns, frame, x_slice, to)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def rms_norm(self, x, weight, epsilon):
        """Normalise rows as wide as the weight: [n * width] -> [n * width]."""
        frame = self._frames.get((NORM_STRUCT, weight, epsilon))
        if frame is None:
            _, offset, _, width = map(int, self._entry(weight))
            arguments = Norm(self._weights.f32, offset // 4, width, epsilon)
            frame = self._add_frame((NORM_STRUCT, weight, epsilon), NORM_STRUCT, arguments)
        out = np.empty(len(x), np.float32)
        operator_entries.normalise(0, 1, self._state, frame, x, out)
        return out

    def rope(self, x, positions):
        """Rotate all heads by their tokens' positions: [n * heads * head_dim], int[n] -> the same shape."""
        model, _ = self._reserve_positions(positions)
        frame = self._frame(ROTATION_STRUCT, Rotation, model)
        out = x.copy()
        operator_entries.rotate(0, 1, self._state, frame, out, positions)
        return out

    def attention(self, q, k, v, cache, layer, positions):
        """Store keys and values in a KVCache that has reserved their positions, then compute attention.

        q, k, v: [n, ...] as `queries_keys_values` returns them. positions: consecutive. -> [n, heads * head_dim].
        """
        sizes, n = self.engine.sizes, len(positions)
        self._reserve_positions(positions)
        stride = sizes.qkv_stride
        if self._qkv.size < n * stride:
            self._qkv = np.zeros(n * stride, np.float32)
        qkv = self._qkv[: n * stride].reshape(n, stride)
        for column, part in ((0, q), (sizes.k_column, k), (sizes.v_column, v)):
            qkv[:, column : column + part.size // n] = part.reshape(n, -1)
        for begin in range(0, n, SLICE_TOKENS):
            some = slice(begin, begin + SLICE_TOKENS)
            few = positions[some]
            frame = self._frames.get((ATTENTION_STRUCT, len(few)))
            if frame is None:
                frame = self._attention_frame(len(few))
            products = len(few) * int(few[-1] + 1) * sizes.heads * sizes.head_dim
            arguments = few, cache.pages, qkv[some].reshape(-1), layer
            self._run(operator_entries.attention, len(few), products, frame, *arguments)
        return qkv[:, : sizes.heads * sizes.head_dim]

    def _product(self, weight, bias):
        matrix, vector = self._entry(weight), self._absent if bias is None else self._entry(bias)
        rows, columns = self.shape(weight)
        sets = TWO_SETS if weight.endswith(TWO_SET_MATRICES) else ONE_SET
        known = self._products[weight, bias] = Product(matrix, vector, rows, columns, -(-rows // GROUP) * GROUP, sets)
        return known

    def _attention_frame(self, n):
        """The frame of attention for n consecutive tokens of one sequence."""
        tiles = [(first, min(QUERY_TILE, n - first)) for first in range(0, n, QUERY_TILE)]
        arrays = np.array(tiles, np.int64).reshape(-1, 2), np.zeros(n, np.int64)
        self._tiles[n] = arrays  # a frame keeps nothing alive
        model, workspaces = self._written
        arguments = Attention(model, *arrays, workspaces)
        return self._add_frame((ATTENTION_STRUCT, n), ATTENTION_STRUCT, arguments)

    def _frame(self, structure, of, *arguments):
        """The frame of an entry that a model has one of."""
        frame = self._frames.get(structure)
        return self._add_frame(structure, structure, of(*arguments)) if frame is None else frame

    def _add_frame(self, use, structure, arguments):
        frame = self._frames[use] = structure.frame(arguments)
        return frame

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

    def _run(self, entry, tokens, products, *arguments):
        """Run an entry, in several threads if it has enough multiplications. tokens: which setting of threads holds."""
        self._checkpoint()
        self._state.fill(0)
        threads = self.engine.threads if tokens == 1 else self.engine.batch_threads
        if threads == 1 or products < LEAST_SHARED_PRODUCTS:
            entry(0, 1, self._state, *arguments)
        else:
            team(threads).run(entry, self._state, *arguments)


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
    operator_entries.swiglu(0, 1, gate, up, out)
    return out
