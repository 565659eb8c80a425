-- Deploy hartonomous:python_runtime_engine to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/engine/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.engine__calibration()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Measures at which distances this machine's products prefetch best; see kernels/prefetching. Takes some seconds.

Each product reads a matrix that is larger than most caches, at each distance in turn, several times. The distance with
the least median of processor times is chosen. Times of a busy machine choose well for a busy machine only, so a DBA can
measure again.
"""

import os
import statistics
import time

import numpy as np

from ..kernels import packing, prefetching
from ..kernels.elementwise import new_codes
from ..kernels.groups import COLUMNS, GROUP, ROWS, Activations, Rows, group_count
from ..kernels.matrix import linear
from ..simd.registers import entry
from ..weights.packed_model import PackedModel, writable_memory

CANDIDATES = (0, 512, 1024, 2048, 4096, 8192, 16384)
SIZE = 1 << 28  # bytes of the matrix, if a quarter of the free memory is as much
COLUMNS_MEASURED = 1536
WEIGHTS_AT_ONCE = 1 << 16  # of a call, as a thread claims them
MEASUREMENTS = 3
FILLING = 0x11  # every byte of the matrices: all scales and weights are small numbers
TYPE_OF_KIND = {"blocks": "Q4_K", "floats": "F16"}


@entry
def multiply(weights, matrix, x, codes, tokens, out):
    """The products of a matrix with some tokens, in the pieces that a thread claims; the rows of `out` overlap."""
    groups, step = group_count(matrix[ROWS]), max(2, WEIGHTS_AT_ONCE // (matrix[COLUMNS] * GROUP) // 2 * 2)
    for begin in range(0, groups, step):
        given = Activations(Rows(x, 0, matrix[COLUMNS]), codes, 0)
        linear(weights, matrix, begin, min(groups, begin + step), given, tokens, Rows(out, 0, GROUP))


def measure():
    """The best distance of each product: {name in prefetching.PRODUCTS: bytes}. Those in use stay as they were."""
    before = prefetching.DISTANCES.copy()
    try:
        memory = writable_memory(_size())
        memory[:] = FILLING
        return {name: _best(number, name, memory) for number, name in enumerate(prefetching.PRODUCTS)}
    finally:
        prefetching.DISTANCES[:] = before


def _size():
    """Bytes of the matrices."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min(SIZE, free // 4 // (1 << 20) * (1 << 20))


def _best(number, name, memory):
    """The best distance of the product with this number and name."""
    kind, tokens = name.split()
    product = _product(TYPE_OF_KIND[kind], int(tokens), memory)
    times = {distance: [] for distance in CANDIDATES}
    for _ in range(MEASUREMENTS):
        for distance in CANDIDATES:
            prefetching.DISTANCES[number] = distance
            times[distance].append(_seconds(product))
    return min(CANDIDATES, key=lambda distance: statistics.median(times[distance]))


def _product(type, tokens, memory):
    """A function that multiplies a matrix as large as the memory with some tokens."""
    layout = packing.layout_of(type, (GROUP, COLUMNS_MEASURED))
    rows = memory.size // packing.packed_bytes(type, (GROUP, COLUMNS_MEASURED)) * GROUP
    packed = PackedModel(memory, {"matrix": [layout, 0, rows, COLUMNS_MEASURED]})
    x, codes = np.zeros(tokens * COLUMNS_MEASURED, np.float32), new_codes(tokens * COLUMNS_MEASURED)
    out, matrix = np.zeros(rows + tokens * GROUP, np.float32), packed.entry("matrix")
    return lambda: multiply(packed.weights, matrix, x, codes, tokens, out)


def _seconds(action):
    """The processor time of this thread that an action takes."""
    began = time.thread_time()
    action()
    return time.thread_time() - began
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__calibration() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__calibration() IS
'Measures at which distances this machine''s products prefetch best; see kernels/prefetching. Takes some '
'seconds.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__composed()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The compiled operators over packed weights, one by one: for SQL queries that compose a transformer.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__composed() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__composed() IS
'The compiled operators over packed weights, one by one: for SQL queries that compose a transformer.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__decoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The compiled engine: the interface of reference/decoder, over packed weights and one compiled forward pass.

A token's logits depend on the tokens before it and on nothing else: not on the batch, the chunks of the prompt, the
number of threads, or whether a prefix was cached; bit for bit, on one machine. So guesses can be verified in a batch,
and a sequence gives the same text in any batch.

F32 weights are computed in float32, with a float32 KV cache. F16 and BF16 weights are widened as they are loaded.
Quantised weights are multiplied with activations in int8 blocks, as llama.cpp does; two matrices of a layer read two
sets of codes (steps.TWO_SETS). Unless all weights are F32, the KV cache holds 16 bits a number; kv_type overrides that.
"""

import sys
from contextlib import contextmanager
from itertools import accumulate

import numpy as np

from ..generate.interfaces import PASS_TOKENS
from ..kernels.attention import MOST_QUERIES, OVER, Workspace
from ..kernels.dispatch import LAYOUT_BY_NAME
from ..kernels.elementwise import NO_TOKEN, new_codes
from ..kernels.groups import ABSENT, GROUP, VECTOR
from ..kernels.kv_pages import PAGE
from ..model.decoder import ROPE_DIVISORS
from ..model.encodings import BLOCK
from ..server import errors
from ..simd.threads import STOP, new_state, team
from .decoder_pass import FORWARD_STRUCT, Forward, counters, forward
from .kv_cache import KVCache
from .steps import (
    LAYER_ROWS,
    MODEL_STRUCT,
    OUTPUT_HEAD,
    SCRATCH_STRUCT,
    WORKSPACES_STRUCT,
    Batch,
    Model,
    Scratch,
    Sizes,
)

PASSES_PER_CALL = 16  # most passes of a call of `decode`
QUERY_TILE = 8  # most tokens of a query tile: tokens of a sequence whose attention is one piece of work
NO_WINDOW = 1 << 40  # the window of a layer that attends to all positions
NO_INTERRUPTS = 0, 0
NO_TOKENS = np.zeros(0, np.int64)
NOT_SHARED = 2  # sys.getrefcount of an array that only one attribute refers to

LAYER_TENSORS = (  # in the order of the rows in `steps`
    *("attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight"),
    *("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_q_norm.weight", "attn_k_norm.weight"),
    *("attn_output.weight", "attn_output.bias"),
    *("ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"),
)


class CompiledEngine:
    """architecture: an Architecture. packed: a PackedModel with its tensors.

    threads: how many compute a single token. batch_threads: how many compute several. kv_type: "f32" or "i16"; None
    chooses by the weights. interrupts: the addresses of two int32. When one of them becomes nonzero, a pass stops
    within milliseconds and calls the checkpoint.

    Raises KeyError for a missing tensor, ModelError 0A000 for a tensor in an unknown layout.
    """

    def __init__(self, architecture, packed, threads=1, batch_threads=1, kv_type=None, interrupts=NO_INTERRUPTS):
        self.architecture = architecture
        self.packed = packed
        self.threads, self.batch_threads = threads, batch_threads
        self.interrupts = interrupts
        table = _table(architecture, packed)
        plain = all(layout == LAYOUT_BY_NAME["f32"].number for layout in table[:, 0] if layout > VECTOR)
        self.kv_dtype = np.dtype({"f32": np.float32, "i16": np.int16}[kv_type or ("f32" if plain else "i16")])
        windows = [architecture.window(layer) or NO_WINDOW for layer in range(architecture.layers)]
        self._model = Model(
            _sizes(architecture, self.kv_dtype == np.int16),
            packed.weights,
            table,
            np.array(windows, np.int64),
            np.zeros(0, np.float32),
            np.zeros(0, np.float32),
            OVER[self.kv_dtype].address(),
        )
        self._frequencies = architecture.rope_frequencies(packed.vector(ROPE_DIVISORS))
        self._angle_positions = 0  # how many positions have rope angles
        self._state = new_state(counters(architecture.layers, PASSES_PER_CALL))
        self._scratch = self._workspaces = None
        self._numbers = {}  # {Structure: (the value written last, its numbers)}
        self._logits = np.empty(0, np.float32)

    def new_cache(self):
        """An empty KVCache for this model."""
        return KVCache(self.architecture, self.kv_dtype)

    @property
    def sizes(self):
        """The steps.Sizes of the model."""
        return self._model.sizes

    def layer(self, number):
        """A layer's rows of the weight table, int64 [LAYER_ROWS, 4]."""
        return self._model.table[number * LAYER_ROWS : (number + 1) * LAYER_ROWS]

    def written_for(self, positions):
        """The numbers of the Model and the Workspaces, for frames, after reserving so many positions.

        The same two lists as before, unless something has changed.
        """
        self._reserve_positions(positions)
        return self._written(MODEL_STRUCT, self._model), self._written(WORKSPACES_STRUCT, self._workspaces)

    def forward(self, tokens, cache, last_only=True, checkpoint=None):
        """Logits after `tokens`, which follow the cache's: int[n] -> f32 [1, vocabulary], or [n, ...] if not last_only.

        As NumpyEngine.forward. The cache grows only when all is computed; an exception leaves it as it was. Raises as
        `forward_batch`.
        """
        return self.forward_batch([(tokens, cache)], last_only, checkpoint)

    def forward_batch(self, rows, last_only=True, checkpoint=None):
        """The same for several sequences in shared passes: [(tokens, cache), ...], each with a cache of its own.

        -> f32 [len(rows), vocabulary], the logits after each row's last token; if not last_only, after every token, row
        after row. `checkpoint` is called before every pass, and when an interrupt is set; what it raises ends the call,
        and no cache has grown. Without a checkpoint nothing interrupts a pass. Raises ModelError 22023 for no tokens,
        unknown tokens, or a cache that is given twice; 53400 if tokens do not fit into the context.
        """
        rows = [(np.asarray(tokens, np.int64), cache) for tokens, cache in rows]
        self._check(rows)
        for tokens, cache in rows:
            cache.reserve(len(tokens))
        self._reserve_positions(max(cache.length + len(tokens) for tokens, cache in rows))
        total = sum(len(tokens) for tokens, _ in rows)
        count = len(rows) if last_only else total
        logits = self._logits_buffer(count)
        done = 0
        for batch in (_batch(pieces, last_only) for pieces in _passes(rows)):
            if checkpoint is not None:
                checkpoint()
            self._run(batch, logits[done : done + len(batch.wanted)], checkpoint)
            done += len(batch.wanted)
        for tokens, cache in rows:
            cache.length += len(tokens)
        return logits[:, : self.architecture.vocabulary_size]

    def decode(self, token, cache, most, ends=NO_TOKENS, checkpoint=None):
        """Greedy decoding: `token` follows the cache's, then the argmax of the logits after it, and so on.

        -> (the chosen tokens, int64[n], fewer than `most` and PASSES_PER_CALL; the logits after the last one, f32
        [vocabulary], from which the caller chooses). It stops before a token of `ends`, int64[...], and at logits that
        are not all finite. The cache then holds `token` and the chosen tokens; after an exception, what it held.
        Raises as `forward_batch`.
        """
        most = min(most, PASSES_PER_CALL)
        self._check([(np.array([token]), cache)])
        cache.reserve(most)
        self._reserve_positions(cache.length + most)
        chosen, logits, ends = np.full(most - 1, NO_TOKEN), self._logits_buffer(1), np.asarray(ends, np.int64)
        if checkpoint is not None:
            checkpoint()
        self._run(_single(token, cache), logits, checkpoint, ends, chosen)
        chosen = chosen[chosen != NO_TOKEN]
        cache.length += 1 + len(chosen)
        return chosen, logits[0, : self.architecture.vocabulary_size]

    def states(self, texts, checkpoint=None):
        """The vectors after the last norm, for embeddings: [int[n], ...] -> [f32[n, hidden_size], ...], one per token.

        Raises as `forward_batch`.
        """
        rows = [(np.asarray(tokens, np.int64), self.new_cache()) for tokens in texts]
        self._check(rows)
        for tokens, cache in rows:
            cache.reserve(len(tokens))
        self._reserve_positions(max(len(tokens) for tokens, _ in rows))
        states, sizes = [], self._model.sizes
        with self._headless():
            for batch in (_batch(pieces, last_only=False) for pieces in _passes(rows)):
                if checkpoint is not None:
                    checkpoint()
                self._run(batch, np.empty(0, np.float32), checkpoint)
                computed = self._scratch.normed[: len(batch.tokens) * sizes.hidden_stride]
                states.append(computed.reshape(len(batch.tokens), -1)[:, : sizes.hidden].copy())
        ends = list(accumulate(len(tokens) for tokens, _ in rows))
        return np.split(np.concatenate(states), ends[:-1])

    @contextmanager
    def _headless(self):
        """Inside, passes end with the last norm: the output head is a matrix without rows."""
        table = self._model.table
        headless = table.copy()
        headless[self.architecture.layers * LAYER_ROWS + OUTPUT_HEAD] = ABSENT, 0, 0, 0
        self._model = self._model._replace(table=headless)
        try:
            yield
        finally:
            self._model = self._model._replace(table=table)

    def _run(self, batch, logits, checkpoint, ends=NO_TOKENS, chosen=NO_TOKENS):
        tokens = len(batch.tokens)
        crew = team(self.threads if tokens == 1 else self.batch_threads)
        self._reserve_slots(max(tokens, crew.size))
        model, workspaces = self._written(MODEL_STRUCT, self._model), self._written(WORKSPACES_STRUCT, self._workspaces)
        scratch = self._written(SCRATCH_STRUCT, self._scratch)
        given = Forward(model, batch, workspaces, scratch, logits.reshape(-1), ends, chosen, self.interrupts)
        # If a pass is stopped, the tokens chosen so far are valid; the batch is the last of them, which is repeated.
        run_pass(crew, forward, self._state, (FORWARD_STRUCT, given, given._replace(chosen=NO_TOKENS)), checkpoint)

    def _written(self, structure, value):
        """The numbers of a value, which are written again only if it is another object than the last time."""
        before, numbers = self._numbers.get(structure, (None, None))
        if before is not value:
            numbers = structure.write(value)
            self._numbers[structure] = value, numbers
        return numbers

    def _logits_buffer(self, count):
        """f32 [count, logits_stride]: the array of the last call, if nobody refers to it any more."""
        size = count * self._model.sizes.logits_stride
        if self._logits.size < size or sys.getrefcount(self._logits) > NOT_SHARED:
            self._logits = np.empty(size, np.float32)
        return self._logits[:size].reshape(count, -1)

    def _check(self, rows):
        vocabulary = self.architecture.vocabulary_size
        if not rows or any(len(tokens) == 0 for tokens, _ in rows):
            raise errors.invalid_parameter("there must be at least one token")
        if len({id(cache) for _, cache in rows}) < len(rows):
            raise errors.invalid_parameter("each sequence of a batch needs a cache of its own")
        for tokens, _ in rows:
            for token in tokens[(tokens < 0) | (tokens >= vocabulary)]:
                raise errors.invalid_parameter(
                    f"token {token} is outside the vocabulary", f"token ids are 0 to {vocabulary - 1}"
                )

    def _reserve_slots(self, slots):
        """Make the scratch large enough for so many tokens."""
        sizes = self._model.sizes
        if self._scratch is None or self._scratch.x.size < slots * sizes.hidden_stride:
            self._scratch = new_scratch(sizes, next_power_of_two(slots))

    def _reserve_positions(self, positions):
        """Compute the rope angles of so many positions, and make the threads' workspaces."""
        threads = max(self.threads, self.batch_threads)
        if positions > self._angle_positions:
            self._angle_positions = next_power_of_two(max(positions, 256))
            angles = np.arange(self._angle_positions, dtype=np.float32)[:, None] * self._frequencies
            self._model = self._model._replace(cosines=np.cos(angles).reshape(-1), sines=np.sin(angles).reshape(-1))
        if self._workspaces is None or len(self._workspaces.q) < threads:
            self._workspaces = new_workspaces(self._model.sizes, threads)


def run_pass(threads, function, state, frames, checkpoint):
    """Run a pass in a team of threads. If it is stopped, call the checkpoint; if that returns, run it to its end.

    frames: (Structure, its value for the first run, its value for the second).
    """
    structure, given, again = frames
    if checkpoint is None:
        given = given._replace(interrupts=NO_INTERRUPTS)
    state[:] = 0
    threads.run(function, state, structure.frame(given))
    if state[STOP]:
        checkpoint()
        state[:] = 0
        threads.run(function, state, structure.frame(again._replace(interrupts=NO_INTERRUPTS)))


def _sizes(a, codes_kv):
    k_column = whole_registers(a.heads * a.head_dim)
    v_column = k_column + whole_registers(a.kv_heads * a.head_dim)
    return Sizes(
        layers=a.layers,
        hidden=a.hidden_size,
        heads=a.heads,
        kv_heads=a.kv_heads,
        head_dim=a.head_dim,
        ffn=a.ffn_size,
        epsilon=a.norm_epsilon,
        interleaved=a.rope_interleaved,
        codes_kv=bool(codes_kv),
        hidden_stride=whole_registers(a.hidden_size),
        k_column=k_column,
        v_column=v_column,
        qkv_stride=v_column
        + whole_registers(a.kv_heads * a.head_dim)
        + GROUP,  # the last head is read in whole registers
        ffn_stride=whole_registers(a.ffn_size),
        logits_stride=whole_registers(a.vocabulary_size),
    )


def _table(a, packed):
    """The weight table, int64 [layers * LAYER_ROWS + MODEL_ROWS][4]; rows of tensors that the model lacks are zeros."""
    rows = [packed.entry_or_absent(f"blk.{layer}.{name}") for layer in range(a.layers) for name in LAYER_TENSORS]
    head = "token_embd.weight" if a.tied_embeddings else "output.weight"
    rows += [packed.entry(name) for name in ("token_embd.weight", "output_norm.weight", head)]
    return np.array([*rows, [ABSENT, 0, 0, 0]], np.int64)


def new_scratch(sizes, slots):
    """A Scratch for so many tokens."""
    token_blocks = -(-max(sizes.hidden, sizes.heads * sizes.head_dim, sizes.ffn) // BLOCK)

    def floats(width):
        return np.zeros(slots * width, np.float32)

    return Scratch(
        x=floats(sizes.hidden_stride),
        normed=floats(sizes.hidden_stride),
        added=floats(sizes.hidden_stride),
        qkv=floats(sizes.qkv_stride),
        gate=floats(sizes.ffn_stride),
        up=floats(sizes.ffn_stride),
        codes=new_codes(2 * slots * token_blocks * BLOCK),
        token_blocks=token_blocks,
        low=slots * token_blocks,
        spare=floats(max(sizes.hidden_stride, sizes.qkv_stride, sizes.ffn_stride)),
    )


def new_workspaces(sizes, threads):
    """The Workspaces of so many threads: a Workspace whose arrays have one more axis in front."""
    head = whole_registers(sizes.head_dim)

    def zeros(size, dtype):
        return np.zeros((threads, size), dtype)

    return Workspace(
        q=zeros(MOST_QUERIES * head, np.float32),
        query_codes=zeros(MOST_QUERIES * head, np.int16),
        query_scales=zeros(MOST_QUERIES, np.float32),
        firsts=zeros(MOST_QUERIES, np.int32),
        limits=zeros(MOST_QUERIES, np.int32),
        scores=zeros(MOST_QUERIES * PAGE, np.float32),
        weight_codes=zeros(MOST_QUERIES * PAGE, np.int16),
        out=zeros(MOST_QUERIES * head, np.float32),
        row=zeros(head, np.int16),
    )


def _passes(rows):
    """Cut the rows, one after the other, into passes of at most PASS_TOKENS tokens.

    A pass is a list of (tokens, first position, page table, whether they include the row's last token).
    """
    now, left = [], PASS_TOKENS
    for tokens, cache in rows:
        done = 0
        while done < len(tokens):
            taken = min(left, len(tokens) - done)
            end = done + taken
            now.append((tokens[done:end], cache.length + done, cache.pages, end == len(tokens)))
            done, left = end, left - taken
            if left == 0:
                yield now
                now, left = [], PASS_TOKENS
    if now:
        yield now


def _single(token, cache):
    """The Batch of a single token."""
    zero = np.zeros(1, np.int64)
    return Batch(
        tokens=np.array([token]),
        rows=zero,
        positions=np.array([cache.length]),
        first_page=zero,
        pages=cache.pages,
        tiles=np.array([[0, 1]]),
        wanted=zero,
    )


def _batch(pieces, last_only):
    """The Batch of a pass, as `_passes` gives it. last_only: whether only rows' last tokens need logits."""
    counts = [len(tokens) for tokens, *_ in pieces]
    begins = [0, *accumulate(counts)]
    total = begins[-1]
    page_begins = [0, *accumulate(len(pages) for _, _, pages, _ in pieces)]
    runs = list(zip(begins[:-1], counts, strict=True))
    tiles = [(begin + at, min(QUERY_TILE, count - at)) for begin, count in runs for at in range(0, count, QUERY_TILE)]
    lasts = [begin + count - 1 for (begin, count), piece in zip(runs, pieces, strict=True) if piece[-1]]
    everyone = np.arange(total)
    return Batch(
        tokens=np.concatenate([tokens for tokens, *_ in pieces]),
        rows=everyone,
        positions=everyone
        + np.repeat([first - begin for (_, first, *_), (begin, _) in zip(pieces, runs, strict=True)], counts),
        first_page=np.repeat(page_begins[:-1], counts),
        pages=np.concatenate([pages for _, _, pages, _ in pieces]),
        tiles=np.array(tiles),
        wanted=np.array(lasts, np.int64) if last_only else everyone,
    )


def whole_registers(width):
    """The width rounded up to whole registers."""
    return -(-width // GROUP) * GROUP


def next_power_of_two(size):
    """The smallest power of two that is not below `size`."""
    return 1 << (size - 1).bit_length()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__decoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__decoder() IS
'The compiled engine: the interface of reference/decoder, over packed weights and one compiled forward pass.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__decoder_pass()
RETURNS void
LANGUAGE plpython3u
AS $python$"""One compiled pass over the weights, for any tokens: a decode step, a chunk of a prompt, or many sequences at once.

The operators and their order are those of reference/decoder.block. Between them the threads wait where a step needs the
whole result of the one before: five times a layer for a single token, at most ten times for several.

After a single token the same call can go on with greedy decoding, one pass for each token. Between two calls Python
would take 0.3 milliseconds: its code and data have left the caches while the weights went through, and the workers must
be woken.
"""

from collections import namedtuple

from ..kernels.groups import ROWS, Rows
from ..kernels.matrix import is_quantized
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, barrier
from .steps import (
    ATTN_NORM,
    BATCH_STRUCT,
    CLAIM_ATTENTION,
    CLAIM_CHOICE,
    CLAIM_DOWN,
    CLAIM_EMBEDDING,
    CLAIM_GATE,
    CLAIM_HEAD,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    FINAL_NORM,
    FLOAT_ARRAY,
    GATE,
    INT_ARRAY,
    INTERRUPTS_STRUCT,
    LAYER_COUNTERS,
    LAYER_ROWS,
    MODEL_STRUCT,
    NO_BIAS,
    NO_CODES,
    ONE_SET,
    OUTPUT,
    OUTPUT_BIAS,
    OUTPUT_HEAD,
    PASS_COUNTERS,
    SCRATCH_STRUCT,
    TWO_SETS,
    UP,
    WORKSPACES_STRUCT,
    Pass,
    Pieces,
    Projection,
    Q,
    V,
    all_groups,
    attend,
    choose_next,
    claim_piece,
    codes_needed,
    embed,
    kv_address,
    norm,
    normed,
    parallel,
    project,
    project_back,
    project_gated,
    quantize_rows,
    queries_keys_values,
    rotate_heads,
    store_head,
    workspace_of,
)

# The arguments of `forward`; see there.
Forward = namedtuple("Forward", "model batch workspaces scratch logits ends chosen interrupts")
FORWARD_STRUCT = Structure(
    Forward,
    model=MODEL_STRUCT,
    batch=BATCH_STRUCT,
    workspaces=WORKSPACES_STRUCT,
    scratch=SCRATCH_STRUCT,
    logits=FLOAT_ARRAY,
    ends=INT_ARRAY,
    chosen=INT_ARRAY,
    interrupts=INTERRUPTS_STRUCT,
)
_arguments = FORWARD_STRUCT.read_at


@inlined
def barrier_if_many(crew, tokens):
    """Barrier after a step that, for a single token, every thread does for itself. True to stop."""
    return tokens > 1 and barrier(crew)


@inlined
def rotate_and_store_head(p, w, layer, token, head):
    """Normalise (if the model does so) and rotate one kv head's key and queries; store its key and value."""
    rows = Rows(p.scratch.qkv, token * p.model.sizes.qkv_stride, 0)
    rotate_heads(p.model, w, rows, p.batch.positions[token], head)
    store_head(p.model.sizes, kv_address(p, layer, token, head), rows, head, p.workspace)


@inlined
def _attended(begin, end, given):
    """Attention of a query tile and a kv head; for a single token, first rotates and stores its key and value."""
    p, w, layer = given
    if len(p.batch.tokens) == 1:
        rotate_and_store_head(p, w, layer, 0, begin % p.model.sizes.kv_heads)
    attend(p, layer, begin)


attend_all = parallel(_attended, claim_piece)


@inlined
def attention_block(p, counter, w, layer):
    """x += the attention of a layer. counter: the layer's first counter. True to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[ATTN_NORM], TWO_SETS if codes_needed(w, Q, V) else NO_CODES, p.batch.rows, s)
    if barrier_if_many(crew, tokens):
        return True
    if queries_keys_values(p, counter + CLAIM_QKV, w, ONE_SET):
        return True
    if tokens > 1:
        for token in range(crew.thread, tokens, crew.threads):
            for head in range(sizes.kv_heads):
                rotate_and_store_head(p, w, layer, token, head)
        if barrier(crew):
            return True
    if attend_all(crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.kv_heads), (p, w, layer)):
        return True
    rows = Rows(s.qkv, 0, sizes.qkv_stride)
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, rows, sizes.heads * sizes.head_dim, TWO_SETS, tokens, s)
        if barrier_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def gate_and_up(p, counter, w, no_bias):
    """up = silu(gate @ normed) * (up @ normed); a thread computes the same rows of both. True to stop."""
    tokens, s, stride = len(p.batch.tokens), p.scratch, p.model.sizes.ffn_stride
    weights, inputs = p.model.weights, normed(p, tokens, ONE_SET)
    gate = Projection(weights, w[GATE], no_bias, inputs, tokens, Rows(s.gate, 0, stride), s.spare)
    up = Projection(weights, w[UP], no_bias, inputs, tokens, Rows(s.up, 0, stride), s.spare)
    return project_gated(p.crew, counter, all_groups(w[GATE], tokens), (gate, up))


@inlined
def feed_forward_block(p, counter, w, no_bias):
    """x += the gated feed-forward network of a layer. counter: the layer's first counter. True to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[FFN_NORM], ONE_SET if codes_needed(w, GATE, UP) else NO_CODES, p.batch.rows, s)
    if barrier_if_many(crew, tokens):
        return True
    if gate_and_up(p, counter + CLAIM_GATE, w, no_bias):
        return True
    rows = Rows(s.up, 0, sizes.ffn_stride)
    if is_quantized(w[DOWN]):
        quantize_rows(crew, rows, sizes.ffn, ONE_SET, tokens, s)
        if barrier_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], no_bias, rows, ONE_SET)


@inlined
def head_block(p, counter, own, logits):
    """The logits of the wanted tokens. True to stop."""
    wanted, matrix, s = len(p.batch.wanted), own[OUTPUT_HEAD], p.scratch
    if wanted == 0:
        return False
    norm(p.crew, p.model, own[FINAL_NORM], ONE_SET if is_quantized(matrix) else NO_CODES, p.batch.wanted, s)
    if barrier_if_many(p.crew, wanted):
        return True
    inputs, to = normed(p, wanted, ONE_SET), Rows(logits, 0, p.model.sizes.logits_stride)
    projection = Projection(p.model.weights, matrix, own[NO_BIAS], inputs, wanted, to, s.spare)
    return project(p.crew, counter, all_groups(matrix, wanted), projection)


@inlined
def compute(p, counter, logits):
    """One pass. counter: its first counter. True to stop."""
    layers, table = p.model.sizes.layers, p.model.table
    own = table[layers * LAYER_ROWS :]
    if embed(p.crew, counter + CLAIM_EMBEDDING, Pieces(len(p.batch.tokens)), p):
        return True
    for layer in range(layers):
        w, layer_counter = table[layer * LAYER_ROWS :], counter + PASS_COUNTERS + layer * LAYER_COUNTERS
        if attention_block(p, layer_counter, w, layer):
            return True
        if feed_forward_block(p, layer_counter, w, own[NO_BIAS]):
            return True
    return head_block(p, counter + CLAIM_HEAD, own, logits)


@compiled
def counters(layers, passes):
    """The number of counters of so many passes."""
    return passes * (PASS_COUNTERS + layers * LAYER_COUNTERS)


@entry
def forward(thread, threads, state, frame):
    """Compute a batch: keys and values into their pages, the logits of the wanted tokens into `logits`.

    frame: a Forward. logits: f32 [wanted * logits_stride]. All threads of a team call it with the same frame and a
    zeroed state with the counters of len(chosen) + 1 passes. If a pass was stopped, state[threads.STOP] is set, and of
    all results only `chosen` is valid.

    If `chosen`, int64 filled with NO_TOKEN, is not empty, the batch must be one token. Then the argmax of the logits
    replaces that token and is appended to `chosen`, pass after pass, until `chosen` is full, the next token would be
    one of `ends` (int64), or a logit is not finite. `logits` are those after the last token.
    """
    given = _arguments(frame, 0)
    crew, model, batch = Crew(thread, threads, state, given.interrupts), given.model, given.batch
    p = Pass(crew, model, batch, workspace_of(given.workspaces, thread), given.scratch)
    logits, ends, chosen, layers = given.logits, given.ends, given.chosen, model.sizes.layers
    vocabulary = model.table[layers * LAYER_ROWS + OUTPUT_HEAD, ROWS]
    for number in range(len(chosen) + 1):
        counter = counters(layers, number)
        if compute(p, counter, logits):
            return
        choice = counter + CLAIM_CHOICE
        if number < len(chosen) and choose_next(crew, choice, batch, logits, vocabulary, ends, chosen, number):
            return
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__decoder_pass() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__decoder_pass() IS
'One compiled pass over the weights, for any tokens: a decode step, a chunk of a prompt, or many sequences at '
'once.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__encoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The compiled encoder: the interface of reference/encoder, over packed weights and one compiled pass.

A text's vectors depend on its tokens and on nothing else: not on the other texts or the number of threads; bit for bit,
on one machine. F32 weights are computed in float32; quantised weights are multiplied with two sets of int8 codes.
"""

from itertools import accumulate

import numpy as np

from ..kernels.attention import over_floats
from ..kernels.groups import GROUP
from ..kernels.kv_pages import PAGE
from ..server import errors
from ..simd.threads import new_state, team
from .decoder import (
    NO_INTERRUPTS,
    NO_WINDOW,
    QUERY_TILE,
    new_scratch,
    new_workspaces,
    next_power_of_two,
    run_pass,
    whole_registers,
)
from .encoder_pass import ENCODE_STRUCT, Encode, encode
from .steps import LAYER_COUNTERS, Batch, Model, Sizes

ENCODER_PASS_TOKENS = 512  # most tokens of a pass, unless a single text has more

ENCODER_LAYER_TENSORS = (  # in the order of the rows in `encoder_pass`; None: only decoders have it
    *("attn_output_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight"),
    *("attn_q.bias", "attn_k.bias", "attn_v.bias", None, None),
    *("attn_output.weight", "attn_output.bias"),
    *("layer_output_norm.weight", None, "ffn_up.weight", "ffn_down.weight"),
    *("attn_output_norm.bias", "layer_output_norm.bias", "ffn_up.bias", "ffn_down.bias"),
)
ENCODER_MODEL_TENSORS = ("token_embd.weight", "token_embd_norm.weight", "token_embd_norm.bias")


class CompiledEncoder:
    """architecture: an EncoderArchitecture. packed: a PackedModel with its tensors.

    position_embeddings: f32[context, hidden], for each position the sum of its embedding and that of token type 0.
    batch_threads: how many threads compute; `threads` is not used. interrupts: as CompiledEngine.
    """

    def __init__(self, architecture, packed, position_embeddings, threads=1, batch_threads=1, interrupts=NO_INTERRUPTS):
        self.architecture = architecture
        self.packed = packed
        self.threads, self.batch_threads = threads, batch_threads
        self.interrupts = interrupts
        nothing, attention = np.zeros(0, np.float32), over_floats.address()
        sizes, table = _sizes(architecture), _table(architecture, packed)
        self._model = Model(sizes, packed.weights, table, np.array([NO_WINDOW]), nothing, nothing, attention)
        self._position_embeddings = np.zeros((architecture.context_length, sizes.hidden_stride), np.float32)
        self._position_embeddings[:, : sizes.hidden] = position_embeddings
        self._state = new_state(architecture.layers * LAYER_COUNTERS)
        self._slots = 0
        self._scratch = self._workspaces = None
        self._pages = np.zeros(0, np.float32)

    def states(self, texts, checkpoint=None):
        """The last layer's vectors: [int[n], ...] -> [f32[n, hidden_size], ...], one per token.

        `checkpoint` is called before every pass, and when an interrupt is set; what it raises ends the call. Raises
        ModelError 22023 for no tokens or unknown tokens, 53400 for a text with more tokens than positions.
        """
        texts = [np.asarray(tokens, np.int64) for tokens in texts]
        self._check(texts)
        states = []
        for together in _passes(texts):
            if checkpoint is not None:
                checkpoint()
            states += self._pass(together, checkpoint)
        return states

    def _pass(self, texts, checkpoint):
        lengths = [len(tokens) for tokens in texts]
        total, hidden = sum(lengths), self._model.sizes.hidden
        if total == 1:  # the steps treat a single token as decoding, so compute the text twice
            return self._pass(texts * 2, checkpoint)[:1]
        batch, positions = self._batch(texts, lengths)
        crew = team(self.batch_threads)
        self._reserve(max(total, crew.size))
        position_embeddings = self._position_embeddings.reshape(-1)
        given = Encode(
            self._model, position_embeddings, batch, positions, self._workspaces, self._scratch, self.interrupts
        )
        run_pass(crew, encode, self._state, (ENCODE_STRUCT, given, given), checkpoint)
        x = self._scratch.x[: total * self._model.sizes.hidden_stride].reshape(total, -1)[:, :hidden].copy()
        return np.split(x, list(accumulate(lengths))[:-1])

    def _batch(self, texts, lengths):
        """(Batch, each token's position in its text). In the Batch, positions are those of the texts' last tokens."""
        begins = [0, *accumulate(lengths)]
        page_begins = [0, *accumulate(-(-length // PAGE) for length in lengths)]
        runs = list(zip(begins[:-1], lengths, strict=True))
        tiles = [
            (begin + at, min(QUERY_TILE, length - at)) for begin, length in runs for at in range(0, length, QUERY_TILE)
        ]
        positions = np.concatenate([np.arange(length) for length in lengths])
        batch = Batch(
            tokens=np.concatenate(texts),
            rows=np.arange(begins[-1]),
            positions=np.repeat([length - 1 for length in lengths], lengths),
            first_page=np.repeat(page_begins[:-1], lengths),
            pages=self._page_table(page_begins[-1]),
            tiles=np.array(tiles),
            wanted=np.zeros(0, np.int64),
        )
        return batch, positions

    def _page_table(self, pages):
        """A page table (see kv_pages) of so many pages, which hold one layer."""
        sizes = self._model.sizes
        width = whole_registers(sizes.head_dim)
        page = sizes.heads * PAGE * width  # elements of a page's keys, and of its values
        if self._pages.size < 2 * pages * page:
            self._pages = np.zeros(2 * next_power_of_two(pages) * page, np.float32)
        keys = self._pages.ctypes.data + 8 * page * np.arange(pages)
        return np.stack([keys, keys + 4 * page, np.full(pages, 4 * PAGE * width)], axis=1)

    def _check(self, texts):
        vocabulary, context = self.architecture.vocabulary_size, self.architecture.context_length
        for tokens in texts:
            if len(tokens) == 0:
                raise errors.invalid_parameter("there must be at least one token")
            if len(tokens) > context:
                raise errors.limit_exceeded(f"{len(tokens)} tokens are more than the {context} positions")
            for token in tokens[(tokens < 0) | (tokens >= vocabulary)]:
                raise errors.invalid_parameter(
                    f"token {token} is outside the vocabulary", f"token ids are 0 to {vocabulary - 1}"
                )

    def _reserve(self, slots):
        """Make the scratch large enough for so many tokens, and the threads' workspaces."""
        if slots > self._slots:
            self._slots = next_power_of_two(slots)
            self._scratch = new_scratch(self._model.sizes, self._slots)
        if self._workspaces is None or len(self._workspaces.q) < self.batch_threads:
            self._workspaces = new_workspaces(self._model.sizes, self.batch_threads)


def _sizes(a):
    hidden = whole_registers(a.hidden_size)
    return Sizes(
        layers=a.layers,
        hidden=a.hidden_size,
        heads=a.heads,
        kv_heads=a.heads,
        head_dim=a.head_dim,
        ffn=a.ffn_size,
        epsilon=a.norm_epsilon,
        interleaved=False,
        codes_kv=False,
        hidden_stride=hidden,
        k_column=hidden,
        v_column=2 * hidden,
        qkv_stride=3 * hidden + GROUP,  # the last head is read in whole registers
        ffn_stride=whole_registers(a.ffn_size),
        logits_stride=0,
    )


def _table(a, packed):
    """The weight table, int64 [layers * ENCODER_LAYER_ROWS + 3][4]; rows of tensors that the model lacks are zeros."""
    rows = [
        packed.entry_or_absent(f"blk.{layer}.{name}") for layer in range(a.layers) for name in ENCODER_LAYER_TENSORS
    ]
    return np.array(rows + [packed.entry(name) for name in ENCODER_MODEL_TENSORS], np.int64)


def _passes(texts):
    """Cut the texts into passes of at most ENCODER_PASS_TOKENS tokens; a longer text is a pass of its own."""
    now, total = [], 0
    for tokens in texts:
        if now and total + len(tokens) > ENCODER_PASS_TOKENS:
            yield now
            now, total = [], 0
        now.append(tokens)
        total += len(tokens)
    if now:
        yield now
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__encoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__encoder() IS
'The compiled encoder: the interface of reference/encoder, over packed weights and one compiled pass.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__encoder_pass()
RETURNS void
LANGUAGE plpython3u
AS $python$"""One compiled pass of an encoder, for the tokens of any number of texts, one after the other without padding.

The operators and their order are those of reference/encoder.block. Projections and attention are the decoder's steps
(`steps`), over KV pages that are reused for each layer. Attention is made bidirectional by the batch's positions: a
token's is the last of its text, so it attends to the whole text. `positions` are the tokens' real positions.

Embeddings should be right to three digits, and int8 activations alone cost a short text as much as that. So quantised
matrices read two sets of codes, which together hold 15 bits.
"""

from collections import namedtuple

from ..kernels.elementwise import Affine, add, gelu, layer_norm
from ..kernels.groups import GROUP, OFFSET, Rows
from ..kernels.kv_pages import PAGE, KVAddress, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..model.encodings import BLOCK
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, barrier
from .steps import (
    ATTN_NORM,
    BATCH_STRUCT,
    CLAIM_ATTENTION,
    CLAIM_DOWN,
    CLAIM_GATE,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    FLOAT_ARRAY,
    INT_ARRAY,
    INTERRUPTS_STRUCT,
    LAYER_COUNTERS,
    MODEL_STRUCT,
    OUTPUT,
    OUTPUT_BIAS,
    SCRATCH_STRUCT,
    TOKEN_EMBEDDING,
    TWO_SETS,
    UP,
    WORKSPACES_STRUCT,
    Pass,
    Pieces,
    Projection,
    Q,
    V,
    all_groups,
    attend,
    claim_piece,
    code_sets,
    codes_needed,
    normed,
    parallel,
    project_back,
    projected,
    quantize_rows,
    quantize_token,
    queries_keys_values,
    workspace_of,
)

# The rows of the weight table. A layer has those of `steps`, so that its steps can be used, and then these four. The
# model has TOKEN_EMBEDDING, as in `steps`, and then the norm of the embeddings.
ATTN_NORM_BIAS, FFN_NORM_BIAS, UP_BIAS, DOWN_BIAS = range(15, 19)
ENCODER_LAYER_ROWS = 19
EMBEDDING_NORM, EMBEDDING_NORM_BIAS = range(1, 3)

# The arguments of `encode`. position_embeddings: f32 [context * hidden_stride], added to the token embeddings.
# positions: int64 [n], each token's position in its text.
Encode = namedtuple("Encode", "model position_embeddings batch positions workspaces scratch interrupts")
ENCODE_STRUCT = Structure(
    Encode,
    model=MODEL_STRUCT,
    position_embeddings=FLOAT_ARRAY,
    batch=BATCH_STRUCT,
    positions=INT_ARRAY,
    workspaces=WORKSPACES_STRUCT,
    scratch=SCRATCH_STRUCT,
    interrupts=INTERRUPTS_STRUCT,
)
_arguments = ENCODE_STRUCT.read_at


@compiled
def norm(crew, model, affine, needs_codes, tokens, s):
    """s.x = s.normed = the rows of s.x, normalised, and quantised if a quantised matrix follows."""
    hidden, stride = model.sizes.hidden, model.sizes.hidden_stride
    for t in range(crew.thread, tokens, crew.threads):
        at = t * stride
        layer_norm(s.x, at, hidden, affine, model.sizes.epsilon, s.normed, at)
        for i in range(at, at + hidden):
            s.x[i] = s.normed[i]
        if needs_codes:
            quantize_token(s.normed, at, hidden, code_sets(s, t * (hidden // BLOCK), TWO_SETS))


@inlined
def norm_and_barrier(p, weight, bias, needs_codes):
    """Normalise all rows; a barrier follows. weight, bias: rows of the weight table. True to stop."""
    affine = Affine(p.model.weights.f32, weight[OFFSET] // 4, bias[OFFSET] // 4)
    norm(p.crew, p.model, affine, needs_codes, len(p.batch.tokens), p.scratch)
    return barrier(p.crew)


@inlined
def store_keys_values(p, positions):
    """Store the keys and values of this thread's tokens in the pages."""
    sizes, x = p.model.sizes, p.scratch.qkv
    for t in range(p.crew.thread, len(p.batch.tokens), p.crew.threads):
        page, row = p.batch.first_page[t] + positions[t] // PAGE, t * sizes.qkv_stride
        for head in range(sizes.heads):
            key, value = row + sizes.k_column + head * sizes.head_dim, row + sizes.v_column + head * sizes.head_dim
            store_floats(KVAddress(p.batch.pages, page, head, sizes.head_dim, positions[t]), x, key, value)


@inlined
def _attended(begin, end, p):
    """Attention of a query tile and a head; the pages hold one layer."""
    attend(p, 0, begin)


@inlined
def _activated(begin, end, p):
    """gelu of the groups begin .. end - 1 of a Projection."""
    projected(begin, end, p)
    for t in range(p.tokens):
        gelu(p.to.x, t * p.to.stride + begin * GROUP, (end - begin) * GROUP)


attend_all, project_activated = parallel(_attended, claim_piece), parallel(_activated)


@inlined
def up(p, counter, matrix, bias):
    """up = gelu(matrix @ normed + bias). True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    inputs, to = normed(p, tokens, TWO_SETS), Rows(s.up, 0, p.model.sizes.ffn_stride)
    projection = Projection(p.model.weights, matrix, bias, inputs, tokens, to, s.spare)
    return project_activated(p.crew, counter, all_groups(matrix, tokens), projection)


@inlined
def codes_and_barrier(p, matrix, rows, width):
    """If the matrix is quantised, quantise the rows that it reads; a barrier follows. True to stop."""
    if not is_quantized(matrix):
        return False
    quantize_rows(p.crew, rows, width, TWO_SETS, len(p.batch.tokens), p.scratch)
    return barrier(p.crew)


@inlined
def attention_block(p, counter, w, positions):
    """x += the attention of a layer. counter: the layer's first counter. True to stop."""
    sizes = p.model.sizes
    if queries_keys_values(p, counter + CLAIM_QKV, w, TWO_SETS):
        return True
    store_keys_values(p, positions)
    if barrier(p.crew):
        return True
    if attend_all(p.crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.heads), p):
        return True
    rows = Rows(p.scratch.qkv, 0, sizes.qkv_stride)
    if codes_and_barrier(p, w[OUTPUT], rows, sizes.hidden):
        return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def feed_forward_block(p, counter, w):
    """x += the feed-forward network of a layer. counter: the layer's first counter. True to stop."""
    if up(p, counter + CLAIM_GATE, w[UP], w[UP_BIAS]):
        return True
    rows = Rows(p.scratch.up, 0, p.model.sizes.ffn_stride)
    if codes_and_barrier(p, w[DOWN], rows, p.model.sizes.ffn):
        return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], w[DOWN_BIAS], rows, TWO_SETS)


@entry
def encode(thread, threads, state, frame):
    """Compute a batch of at least two tokens: the last layer's vectors into scratch.x.

    frame: an Encode. All threads of a team call it with the same frame and a zeroed state. If the pass was stopped,
    state[threads.STOP] is set, and the results are not valid.
    """
    given = _arguments(frame, 0)
    model, batch, s, crew = given.model, given.batch, given.scratch, Crew(thread, threads, state, given.interrupts)
    p = Pass(crew, model, batch, workspace_of(given.workspaces, thread), s)
    layers, stride = model.sizes.layers, model.sizes.hidden_stride
    own = model.table[layers * ENCODER_LAYER_ROWS :]
    for t in range(thread, len(batch.tokens), threads):
        embedding(model.weights, own[TOKEN_EMBEDDING], batch.tokens[t], s.x, t * stride)
        add(s.x, t * stride, given.position_embeddings, given.positions[t] * stride, stride)
    if norm_and_barrier(p, own[EMBEDDING_NORM], own[EMBEDDING_NORM_BIAS], codes_needed(model.table, Q, V)):
        return
    for layer in range(layers):
        w, counter = model.table[layer * ENCODER_LAYER_ROWS : (layer + 1) * ENCODER_LAYER_ROWS], layer * LAYER_COUNTERS
        if attention_block(p, counter, w, given.positions):
            return
        if norm_and_barrier(p, w[ATTN_NORM], w[ATTN_NORM_BIAS], is_quantized(w[UP])):
            return
        if feed_forward_block(p, counter, w):
            return
        following = model.table[min(layer + 1, layers - 1) * ENCODER_LAYER_ROWS :]
        if norm_and_barrier(p, w[FFN_NORM], w[FFN_NORM_BIAS], codes_needed(following, Q, V)):
            return
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__encoder_pass() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__encoder_pass() IS
'One compiled pass of an encoder, for the tokens of any number of texts, one after the other without padding.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__kv_cache()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A KV cache: keys and values of the positions already computed, in pages of 64 positions that caches may share.

A cache grows by adding pages; nothing is copied. A fork shares the pages of its cache, and a shared page is copied
before it is written (copy on write), so a fork behaves like a copy.

Pages that are allocated together are interleaved: the keys of a kv head are contiguous over all of these pages, and so
are its values. Attention reads a long context several times as fast as it would from single pages.
"""

import numpy as np

from ..kernels.groups import CACHE_LINE
from ..kernels.kv_pages import PAGE, PAGE_FIELDS, head_bytes
from ..server import errors

MOST_AHEAD = 32  # most pages allocated in advance: a cache doubles up to this. Untouched memory takes no RAM


class _Page:
    """A page: keys and values, uint8 [layers * kv_heads][bytes], and its reference count, `holders`."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values
        self.holders = 1

    @property
    def fields(self):
        """Its row of the page table, see kv_pages."""
        return self.keys.ctypes.data, self.values.ctypes.data, self.keys.strides[0]


def _new_pages(count, heads, key_bytes, value_bytes):
    """Allocate pages together, [head]{keys of all pages, values of all pages}; numpy asks for huge pages if large."""
    memory = np.empty(heads * count * (key_bytes + value_bytes) + CACHE_LINE, np.uint8)
    begin = -memory.ctypes.data % CACHE_LINE
    both = memory[begin : begin + memory.size - CACHE_LINE].reshape(heads, -1)
    keys, values = np.split(both, [count * key_bytes], axis=1)
    return [
        _Page(keys[:, at * key_bytes : (at + 1) * key_bytes], values[:, at * value_bytes : (at + 1) * value_bytes])
        for at in range(count)
    ]


class KVCache:
    """Keys and values of the positions 0 .. length - 1 of one sequence. dtype: float32 or int16, see kv_pages."""

    def __init__(self, architecture, dtype):
        self.length = 0
        self.dtype = np.dtype(dtype)
        self.architecture = architecture
        self._heads = architecture.layers * architecture.kv_heads
        self._key_bytes, self._value_bytes = head_bytes(architecture.head_dim, self.dtype)
        self._pages = []
        self.pages = np.zeros((0, PAGE_FIELDS), np.int64)  # the page table; may have more rows than pages

    @property
    def page_bytes(self):
        """Bytes of one page."""
        return self._heads * (self._key_bytes + self._value_bytes)

    @property
    def bytes(self):
        """Bytes of all pages, shared ones included."""
        return len(self._pages) * self.page_bytes

    @property
    def addresses(self):
        """The address of each page, int64 [at least the number of pages]; caches that share a page have the same."""
        return self.pages[:, 0]

    def reserve(self, tokens):
        """Allocate pages for `tokens` more positions, and copy shared pages that will be written.

        Raises ModelError 53400 beyond the context length.
        """
        self.architecture.require_room(self.length, tokens)
        for number in range(self.length // PAGE, len(self._pages)):
            if self._pages[number].holders > 1:
                self._copy(number)
        missing = -(-(self.length + tokens) // PAGE) - len(self._pages)
        if missing > 0:
            ahead = max(missing, min(len(self._pages), MOST_AHEAD))
            for page in _new_pages(ahead, self._heads, self._key_bytes, self._value_bytes):
                self._append(page)

    def truncate(self, length):
        """Forget the positions from `length` on; their pages are kept for new ones. Raises ModelError 22023."""
        if not 0 <= length <= self.length:
            raise errors.invalid_parameter(f"cannot truncate a cache of {self.length} positions to {length}")
        self.length = length

    def fork(self, length=None):
        """A cache with the first `length` positions (default: all), which shares the pages. Raises ModelError 22023."""
        length = self.length if length is None else length
        if not 0 <= length <= self.length:
            raise errors.invalid_parameter(f"cannot fork {length} of the {self.length} positions of a cache")
        other = KVCache(self.architecture, self.dtype)
        for page in self._pages[: -(-length // PAGE)]:
            page.holders += 1
            other._append(page)
        other.length = length
        return other

    def __del__(self):
        for page in self._pages:
            page.holders -= 1

    def _append(self, page):
        if len(self._pages) == len(self.pages):
            more = np.zeros((max(8, len(self._pages)), PAGE_FIELDS), np.int64)
            self.pages = np.concatenate([self.pages, more])
        self.pages[len(self._pages)] = page.fields
        self._pages.append(page)

    def _copy(self, number):
        """Replace a shared page by a copy of its own."""
        shared = self._pages[number]
        shared.holders -= 1
        copy = _new_pages(1, self._heads, self._key_bytes, self._value_bytes)[0]
        copy.keys[:], copy.values[:] = shared.keys, shared.values
        self._pages[number] = copy
        self.pages[number] = copy.fields
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__kv_cache() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__kv_cache() IS
'A KV cache: keys and values of the positions already computed, in pages of 64 positions that caches may share.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__operator_entries()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Each operator of the transformer as a compiled entry of its own, made of the steps of the compiled forward pass.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__operator_entries() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__operator_entries() IS
'Each operator of the transformer as a compiled entry of its own, made of the steps of the compiled forward '
'pass.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__steps()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The steps of a compiled forward pass. A step is one operator for all tokens; the threads of a crew share its work.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__steps() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__steps() IS
'The steps of a compiled forward pass. A step is one operator for all tokens; the threads of a crew share its '
'work.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__warm_up()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Compiles everything, for models of all families and of the common encodings, by packing and running tiny ones.

There is one compiled forward pass for all decoders, one for all encoders, the kernels of each layout, and a few other
functions. numba compiles a function for the argument types of its first call, so each is called as the server does.
"""

import math

import numpy as np

from ..kernels import attention, candidates, packing
from ..kernels.similarity import PackedTable
from ..model.decoder import Architecture
from ..model.encoder import EncoderArchitecture
from ..weights.packed_model import pack_model
from .composed import CompiledOperators, swiglu
from .decoder import CompiledEngine
from .encoder import CompiledEncoder

# The encodings of most files. Kernels of others are compiled when a model that needs them is packed.
COMMON = ("F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K")


def run():
    """Compile everything but kernels of rare encodings, or load what has been compiled before."""
    for type in COMMON:
        packing.prepare(type)
    for kernel in attention.OVER.values():
        kernel.address()
    engine = CompiledEngine(*tiny_model())
    engine.forward(np.array([0]), engine.new_cache())
    architecture, packed = tiny_encoder()
    CompiledEncoder(architecture, packed, np.zeros((64, 32), np.float32)).states([np.array([0, 1])])
    table = PackedTable(pack_model({"table": ("Q8_0", (1, 32), bytes(34))}), "table")
    table.products(table.rows([0])[0])
    compile_operators(CompiledOperators(engine, lambda: None))
    candidates.Candidates(np.zeros(16, np.float32), 0.0, 1.0).compile()


def compile_operators(operators):
    """Call each operator with activations like those from SQL, which are read-only."""
    x = np.frombuffer(bytes(4 * operators.engine.sizes.hidden), "<f4")
    operators.embedding([0])
    operators.linear(x, "blk.0.attn_output.weight")
    operators.swiglu(x, "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight")
    operators.rms_norm(x, "output_norm.weight", 1e-5)
    position, cache = np.array([0]), operators.new_cache()
    cache.reserve(1)
    operators.queries_keys_values(x, 0, position)
    operators.attention(operators.rope(x, position), x[:16], x[:16], cache, 0, position)
    swiglu(x, x)


def tiny_model():
    """(Architecture, PackedModel) of a decoder; all weights are zero."""
    architecture = Architecture(
        family="llama",
        vocabulary_size=16,
        hidden_size=32,
        layers=1,
        heads=2,
        kv_heads=1,
        head_dim=16,
        ffn_size=32,
        context_length=64,
        norm_epsilon=1e-5,
        rope_theta=1e4,
        rope_interleaved=True,
        tied_embeddings=True,
    )
    return architecture, _zeros(architecture)


def tiny_encoder():
    """(EncoderArchitecture, PackedModel) of an encoder; all weights are zero."""
    architecture = EncoderArchitecture(
        family="bert",
        vocabulary_size=16,
        hidden_size=32,
        layers=1,
        heads=2,
        ffn_size=32,
        context_length=64,
        longest_text=64,
        token_types=2,
        norm_epsilon=1e-12,
        pooling="mean",
        normalize=True,
    )
    return architecture, _zeros(architecture)


def _zeros(architecture):
    tensors = {name: ("F32", shape, bytes(4 * math.prod(shape))) for name, shape in architecture.tensors().items()}
    return pack_model(tensors)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__warm_up() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__warm_up() IS
'Compiles everything, for models of all families and of the common encodings, by packing and running tiny ones.';

COMMIT;
