"""The transformer's operators over packed weights: what queries compose where the compiled engine computes.

Activations are flat float32 arrays, a row a token, as reference/composed has them; that sizes fit is checked in
`operators`.
"""

import numpy as np

from ..kernels.elementwise import new_codes
from ..kernels.groups import ABSENT, COLUMNS, GROUP, VECTOR
from ..simd.threads import new_state, team
from . import operator_entries
from .decoder import NO_WINDOW
from .steps import ONE_SET, TWO_SETS

SLICE = 64  # tokens between checkpoints: tens of milliseconds in the largest matrix of a large model
SEEN_TWICE = "attn_v.weight", "attn_output.weight"  # as decoder_pass does
WORTH_SHARING = 1 << 24  # multiplications: about as long as it takes to hand work to a thread


class CompiledOperators:
    """The operators of one CompiledEngine's model. `checkpoint` is called between slices of work."""

    def __init__(self, engine, checkpoint):
        self.engine = engine
        self._checkpoint = checkpoint
        self._weights = engine.packed.weights
        self.shapes = {}  # what `operators` has found out of tensors
        self._entries, self._products, self._norms = {}, {}, {}
        self._absent = np.array([ABSENT, 0, 0, 0], np.int64)
        self._state = new_state(operator_entries.CLAIMS)
        self._codes, self._spare = new_codes(0), np.zeros(0, np.float32)
        self._nothing = np.zeros(0, np.float32)
        self._nothing.flags.writeable = False  # as activations are: kernels are compiled for either kind
        self._heads = _heads(engine.sizes)
        self._qkv = np.zeros(0, np.float32)

    def new_cache(self):
        """An empty KVCache for this model."""
        return self.engine.new_cache()

    def shape(self, name):
        """The shape of a tensor. KeyError for an unknown name."""
        layout, _, rows, columns = map(int, self._entry(name))
        return (columns,) if layout == VECTOR else (rows, columns)

    def embedding(self, tokens):
        """int[n] -> [n * hidden]."""
        matrix = self._entry("token_embd.weight")
        out = np.empty(len(tokens) * matrix[COLUMNS], np.float32)
        operator_entries.embed(*self._weights, matrix, np.asarray(tokens, np.int64), out)
        return out

    def linear(self, x, weight, bias=None, residual=None):
        """x @ weight.T + bias + residual: [n * columns] (and [n * rows]) -> [n, rows]."""
        product = self._products.get((weight, bias)) or self._product(weight, bias)
        matrix, vector, rows, columns, stride, sets = product
        tokens = len(x) // columns
        self._make_room(min(tokens, SLICE), columns, stride if sets == TWO_SETS else 0)
        out = np.empty(tokens * stride, np.float32)
        given = self._nothing if residual is None else residual
        for begin, n, few, to in _slices(tokens, x, columns, out, stride):
            add = given[begin * rows : (begin + n) * rows]
            arguments = (*self._weights, matrix, vector, few, n, sets, *self._codes, add, to, self._spare, stride)
            self._run(operator_entries.project, n, n * rows * columns, arguments)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def queries_keys_values(self, x, layer, positions):
        """What `attention` takes of a layer: [n * hidden], int[n] -> [n, heads * head_dim], keys and values."""
        a, sizes, tokens = self.engine.architecture, self.engine.sizes, len(positions)
        cosines, sines, _ = self.engine.room_for(int(positions[-1]) + 1)
        weights, stride = self.engine.layer(layer), sizes.qkv_stride
        self._make_room(min(tokens, SLICE), sizes.hidden, stride)
        out = np.empty(tokens * stride, np.float32)
        fixed = weights, self._heads, a.norm_epsilon, a.rope_interleaved
        for begin, n, few, to in _slices(tokens, x, sizes.hidden, out, stride):
            turns = positions[begin : begin + n], cosines, sines
            arguments = (*self._weights, *fixed, few, *turns, *self._codes, to, self._spare)
            self._run(operator_entries.project_heads, n, n * stride * sizes.hidden, arguments)
        rows, width = out.reshape(tokens, stride), sizes.kv_heads * sizes.head_dim
        q, k = rows[:, : sizes.heads * sizes.head_dim], rows[:, sizes.k_column : sizes.k_column + width]
        return q, k, rows[:, sizes.v_column : sizes.v_column + width]

    def swiglu(self, x, gate, up):
        """silu(x @ gate.T) * (x @ up.T): [n * columns] -> [n, rows]."""
        matrix, _, rows, columns, stride, _ = self._products.get((gate, None)) or self._product(gate, None)
        other, *_ = self._products.get((up, None)) or self._product(up, None)
        tokens = len(x) // columns
        self._make_room(min(tokens, SLICE), columns, stride)
        out = np.empty(tokens * stride, np.float32)
        for _, n, few, to in _slices(tokens, x, columns, out, stride):
            arguments = (*self._weights, matrix, other, few, n, *self._codes, self._spare, to, stride)
            self._run(operator_entries.project_gated, n, 2 * n * rows * columns, arguments)
        return out if stride == rows else out.reshape(tokens, stride)[:, :rows]

    def rms_norm(self, x, weight, epsilon):
        """Rows as wide as the weight, each normalised."""
        at, width = self._norms.get(weight) or self._norm(weight)
        out = np.empty(len(x), np.float32)
        operator_entries.normalise(self._weights.f32, at, width, epsilon, x, out)
        return out

    def rope(self, x, positions):
        """Every head turned by its token's position: [n * heads * head_dim], int[n]."""
        a = self.engine.architecture
        cosines, sines, _ = self.engine.room_for(int(positions[-1]) + 1)
        out = x.copy()
        operator_entries.rotate(out, len(positions), a.head_dim, positions, cosines, sines, a.rope_interleaved)
        return out

    def attention(self, q, k, v, cache, layer, positions):
        """Store keys and values in a KVCache that has room for them, then let every query see all up to its own."""
        sizes, n = self.engine.sizes, len(positions)
        _, _, works = self.engine.room_for(int(positions[-1]) + 1)
        stride = sizes.qkv_stride
        window = self.engine.architecture.window(layer) or NO_WINDOW
        if self._qkv.size < n * stride:
            self._qkv = np.zeros(n * stride, np.float32)
        qkv = self._qkv[: n * stride].reshape(n, stride)
        for column, part in ((0, q), (sizes.k_column, k), (sizes.v_column, v)):
            qkv[:, column : column + part.size // n] = part.reshape(n, -1)
        for begin in range(0, n, SLICE):
            few, now = qkv[begin : begin + SLICE].reshape(-1), positions[begin : begin + SLICE]
            products = len(now) * int(now[-1] + 1) * sizes.heads * sizes.head_dim
            arguments = (few, self._heads, layer, window, now, cache.pages, *works)
            self._run(operator_entries.attend, len(now), products, arguments)
        return qkv[:, : sizes.heads * sizes.head_dim]

    def _product(self, weight, bias):
        """What `linear` needs to know of a matrix and a bias: their entries, rows, columns, stride, sets of codes."""
        matrix, vector = self._entry(weight), self._absent if bias is None else self._entry(bias)
        rows, columns = self.shape(weight)
        sets = TWO_SETS if weight.endswith(SEEN_TWICE) else ONE_SET
        known = self._products[weight, bias] = matrix, vector, rows, columns, -(-rows // GROUP) * GROUP, sets
        return known

    def _norm(self, weight):
        """Where the weights of a norm begin, and how many they are."""
        _, offset, _, width = map(int, self._entry(weight))
        known = self._norms[weight] = offset // 4, width
        return known

    def _make_room(self, tokens, columns, spare):
        """For two sets of codes of so many tokens, and for the products of one of them where `spare` is not 0."""
        if self._codes.codes.size < 2 * tokens * columns:
            self._codes = new_codes(2 * tokens * columns)
        if self._spare.size < tokens * spare:
            self._spare = np.zeros(tokens * spare, np.float32)

    def _entry(self, name):
        """A tensor's row of the table of weights, int64[4]."""
        entry = self._entries.get(name)
        if entry is None:
            entry = self._entries[name] = self.engine.packed.entry(name)
        return entry

    def _run(self, kernel, tokens, products, arguments):
        """A kernel, in as many threads as its multiplications are worth."""
        self._checkpoint()
        self._state.fill(0)
        threads = self.engine.threads if tokens == 1 else self.engine.batch_threads
        if threads == 1 or products < WORTH_SHARING:
            kernel(0, 1, self._state, *arguments)
        else:
            team(threads).run(kernel, self._state, *arguments)


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
    operator_entries.gated(gate, up, out)
    return out


def _heads(sizes):
    """What operator_entries.attend knows of heads."""
    group = sizes.heads // sizes.kv_heads
    fields = sizes.qkv_stride, sizes.k_column, sizes.v_column, sizes.head_dim, group, sizes.kv_heads, sizes.codes_kv
    return np.array(fields, np.int64)
