-- Deploy hartonomous:python_runtime_engine to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/engine/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.engine__composed()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The transformer's operators over packed weights: what queries compose where the compiled engine computes.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__composed() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__composed() IS
'The transformer''s operators over packed weights: what queries compose where the compiled engine computes.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__decoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The engine at memory speed: the interface of reference/decoder over packed weights and one compiled forward.

The logits of a token depend on the tokens before it and on nothing else: not on how many are computed together, in
what chunks, with which other sequences, by how many threads, or on a prefix that was already there; bit for bit, on
one machine. So a guess can be verified in a batch, and a batch gives what its rows give alone.

F32 weights are computed in float32 with a float32 cache; F16 and BF16 weights are widened as they are used; the
block-quantised ones take activations in blocks of int8, as llama.cpp does, and two of a layer's as two sets of them
(steps.TWO_SETS). Caches of other than F32 models hold 16 bits a number unless kv_type says otherwise.
"""

import sys
from contextlib import contextmanager
from itertools import accumulate

import numpy as np

from ..kernels.attention import OVER, ROWS, Work
from ..kernels.dispatch import BY_NAME
from ..kernels.elementwise import NO_TOKEN, new_codes
from ..kernels.groups import ABSENT, BLOCK, GROUP, VECTOR
from ..kernels.kv_pages import PAGE
from ..model.decoder import ROPE_DIVISORS
from ..server import errors
from ..simd.threads import STOP, new_state, team
from .decoder_pass import FORWARD, Forward, counters, forward
from .kv_cache import KVCache
from .steps import HEAD, MODEL, PER_LAYER, SCRATCH, WORKS, Batch, Model, Scratch, Sizes

CHUNK = 256  # tokens in one pass: beyond it nothing is gained, and their activations are some tens of MB
LONGEST_RUN = 16  # passes of one token that follow each other in one call
TILE = 8  # tokens of a sequence whose attention is one piece of work
NO_WINDOW = 1 << 40
NO_INTERRUPTS = 0, 0
NO_TOKENS = np.zeros(0, np.int64)
NOT_SHARED = 2  # references to an array that only an attribute, and sys.getrefcount, hold

LAYER_TENSORS = (  # in the order of the rows of steps
    *("attn_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight"),
    *("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_q_norm.weight", "attn_k_norm.weight"),
    *("attn_output.weight", "attn_output.bias"),
    *("ffn_norm.weight", "ffn_gate.weight", "ffn_up.weight", "ffn_down.weight"),
)


class CompiledEngine:
    """architecture: an Architecture. packed: a PackedModel of its tensors.

    threads: for a single token. batch_threads: for several, prompts and batches. kv_type: "f32", "i16", or None for
    the weights' own. interrupts: addresses of two int32, of which one is nonzero when the work is to stop; that is seen
    within milliseconds, and then the checkpoint is called.
    """

    def __init__(self, architecture, packed, threads=1, batch_threads=1, kv_type=None, interrupts=NO_INTERRUPTS):
        self.architecture = architecture
        self.packed = packed
        self.threads, self.batch_threads = threads, batch_threads
        self.interrupts = interrupts
        table = _table(architecture, packed)
        plain = all(layout == BY_NAME["f32"].number for layout in table[:, 0] if layout > VECTOR)
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
        self._positions = 0  # for which there are angles
        self._state = new_state(counters(architecture.layers, LONGEST_RUN))
        self._scratch = self._works = None
        self._numbers = {}  # {Structure: (what it wrote last, the numbers)}
        self._logits = np.empty(0, np.float32)

    def new_cache(self):
        """An empty KVCache for this model."""
        return KVCache(self.architecture, self.kv_dtype)

    @property
    def sizes(self):
        """The Sizes of the model, as the kernels have them."""
        return self._model.sizes

    def layer(self, number):
        """A layer's rows of the table of weights, int64 [PER_LAYER, 4]."""
        return self._model.table[number * PER_LAYER : (number + 1) * PER_LAYER]

    def written_for(self, positions):
        """The numbers of MODEL and of WORKS, with room for so many positions; other lists when they have changed."""
        self._reserve_positions(positions)
        return self._written(MODEL, self._model), self._written(WORKS, self._works)

    def forward(self, tokens, cache, last_only=True, checkpoint=None):
        """Logits after `tokens`, which follow the cache's: int[n] -> f32 [1, vocabulary], or [n, ...] if not last_only.

        As NumpyEngine.forward: the cache's length grows at the very end, and after an exception it holds what it held.
        """
        return self.forward_batch([(tokens, cache)], last_only, checkpoint)

    def forward_batch(self, rows, last_only=True, checkpoint=None):
        """The same for several sequences in shared passes: [(tokens, cache), ...], each with a cache of its own.

        -> f32 [len(rows), vocabulary], the logits after each row's last token; if not last_only, after every token, row
        after row. `checkpoint` is called before every pass and when the interrupt address says so; what it raises ends
        the call, and no cache has grown. Without a checkpoint nothing interrupts. Raises ModelError 22023 for no or
        unknown tokens or one cache given twice, 53400 when tokens do not fit in the context.
        """
        rows = [(np.asarray(tokens, np.int64), cache) for tokens, cache in rows]
        self._check(rows)
        for tokens, cache in rows:
            cache.reserve(len(tokens))
        self._reserve_positions(max(cache.length + len(tokens) for tokens, cache in rows))
        total = sum(len(tokens) for tokens, _ in rows)
        count = len(rows) if last_only else total
        logits = self._room_for_logits(count)
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
        """Go on with the likeliest tokens: from the logits after `token`, which follows the cache's, and so on.

        -> (the tokens chosen, int64[n], fewer than `most` and than LONGEST_RUN; the logits after the last one, f32
        [vocabulary], from which the caller chooses). None of `ends` (int64[...]) is chosen, nor is anything from logits
        that are not finite. The cache then holds `token` and those chosen, after an exception what it held. Raises as
        `forward` does.
        """
        most = min(most, LONGEST_RUN)
        self._check([(np.array([token]), cache)])
        cache.reserve(most)
        self._reserve_positions(cache.length + most)
        chosen, logits, ends = np.full(most - 1, NO_TOKEN), self._room_for_logits(1), np.asarray(ends, np.int64)
        if checkpoint is not None:
            checkpoint()
        self._run(_single(token, cache), logits, checkpoint, ends, chosen)
        chosen = chosen[chosen != NO_TOKEN]
        cache.length += 1 + len(chosen)
        return chosen, logits[0, : self.architecture.vocabulary_size]

    def states(self, texts, checkpoint=None):
        """The vectors behind the last norm of each text's tokens: [int[n], ...] -> [f32[n, hidden_size], ...].

        A pass without an output head leaves them where the head would have read them.
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
        """Passes inside end with the last norm: the head is a matrix without rows."""
        table = self._model.table
        headless = table.copy()
        headless[self.architecture.layers * PER_LAYER + HEAD] = ABSENT, 0, 0, 0
        self._model = self._model._replace(table=headless)
        try:
            yield
        finally:
            self._model = self._model._replace(table=table)

    def _run(self, batch, logits, checkpoint, ends=NO_TOKENS, chosen=NO_TOKENS):
        tokens = len(batch.tokens)
        crew = team(self.threads if tokens == 1 else self.batch_threads)
        self._reserve_slots(max(tokens, crew.size))
        model, works = self._written(MODEL, self._model), self._written(WORKS, self._works)
        scratch = self._written(SCRATCH, self._scratch)
        given = Forward(model, batch, works, scratch, logits.reshape(-1), ends, chosen, self.interrupts)
        # After a stop what was chosen holds: the batch is the last such token, which is computed to the end.
        run_pass(crew, forward, self._state, (FORWARD, given, given._replace(chosen=NO_TOKENS)), checkpoint)

    def _written(self, structure, value):
        """The numbers of what stays the same from pass to pass."""
        before, numbers = self._numbers.get(structure, (None, None))
        if before is not value:
            numbers = structure.write(value)
            self._numbers[structure] = value, numbers
        return numbers

    def _room_for_logits(self, count):
        """f32 [count, logits_stride]: the memory of the last call, if the caller has let go of what was in it."""
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
        """Room for the activations of so many tokens."""
        sizes = self._model.sizes
        if self._scratch is None or self._scratch.x.size < slots * sizes.hidden_stride:
            self._scratch = scratch_of(sizes, doubled(slots))

    def _reserve_positions(self, positions):
        """Angles of so many positions, and each thread's scratch."""
        threads = max(self.threads, self.batch_threads)
        if positions > self._positions:
            self._positions = doubled(max(positions, 256))
            angles = np.arange(self._positions, dtype=np.float32)[:, None] * self._frequencies
            self._model = self._model._replace(cosines=np.cos(angles).reshape(-1), sines=np.sin(angles).reshape(-1))
        if self._works is None or len(self._works.q) < threads:
            self._works = works_of(self._model.sizes, threads)


def run_pass(crew, function, state, asked, checkpoint):
    """One pass; when it is stopped and the checkpoint does not raise, the pass again, to its end.

    asked: (a Structure, what of it the pass is given, what it is given again).
    """
    structure, given, again = asked
    if checkpoint is None:
        given = given._replace(interrupts=NO_INTERRUPTS)
    state[:] = 0
    crew.run(function, state, structure.frame(given))
    if state[STOP]:
        checkpoint()
        state[:] = 0
        crew.run(function, state, structure.frame(again._replace(interrupts=NO_INTERRUPTS)))


def _sizes(a, codes_kv):
    k_column = registers(a.heads * a.head_dim)
    v_column = k_column + registers(a.kv_heads * a.head_dim)
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
        hidden_stride=registers(a.hidden_size),
        k_column=k_column,
        v_column=v_column,
        qkv_stride=v_column + registers(a.kv_heads * a.head_dim) + GROUP,  # whole registers are read of the last head
        ffn_stride=registers(a.ffn_size),
        logits_stride=registers(a.vocabulary_size),
    )


def _table(a, packed):
    """Where each tensor is: int64 [layers * PER_LAYER + PER_MODEL][layout, offset, rows, columns], zeros if absent."""
    rows = [packed.entry_or_absent(f"blk.{layer}.{name}") for layer in range(a.layers) for name in LAYER_TENSORS]
    head = "token_embd.weight" if a.tied_embeddings else "output.weight"
    rows += [packed.entry(name) for name in ("token_embd.weight", "output_norm.weight", head)]
    return np.array([*rows, [ABSENT, 0, 0, 0]], np.int64)


def scratch_of(sizes, slots):
    """The Scratch for so many tokens."""
    room = -(-max(sizes.hidden, sizes.heads * sizes.head_dim, sizes.ffn) // BLOCK)

    def floats(width):
        return np.zeros(slots * width, np.float32)

    return Scratch(
        x=floats(sizes.hidden_stride),
        normed=floats(sizes.hidden_stride),
        added=floats(sizes.hidden_stride),
        qkv=floats(sizes.qkv_stride),
        gate=floats(sizes.ffn_stride),
        up=floats(sizes.ffn_stride),
        quantized=new_codes(2 * slots * room * BLOCK),
        room=room,
        low=slots * room,
        spare=floats(max(sizes.hidden_stride, sizes.qkv_stride, sizes.ffn_stride)),
    )


def works_of(sizes, threads):
    """Each thread's own."""
    head = registers(sizes.head_dim)

    def zeros(size, dtype):
        return np.zeros((threads, size), dtype)

    return Work(
        q=zeros(ROWS * head, np.float32),
        query_codes=zeros(ROWS * head, np.int16),
        query_scales=zeros(ROWS, np.float32),
        firsts=zeros(ROWS, np.int32),
        limits=zeros(ROWS, np.int32),
        scores=zeros(ROWS * PAGE, np.float32),
        weight_codes=zeros(ROWS * PAGE, np.int16),
        out=zeros(ROWS * head, np.float32),
        row=zeros(head, np.int16),
    )


def _passes(rows):
    """Cut the sequences, one after the other, into passes of at most CHUNK tokens.

    Each pass is a list of (tokens, first position, pages, whether the last of the row's tokens is among them).
    """
    now, room = [], CHUNK
    for tokens, cache in rows:
        done = 0
        while done < len(tokens):
            taken = min(room, len(tokens) - done)
            end = done + taken
            now.append((tokens[done:end], cache.length + done, cache.pages, end == len(tokens)))
            done, room = end, room - taken
            if room == 0:
                yield now
                now, room = [], CHUNK
    if now:
        yield now


def _single(token, cache):
    """The Batch of one token."""
    zero = np.zeros(1, np.int64)
    return Batch(
        tokens=np.array([token]),
        rows=zero,
        positions=np.array([cache.length]),
        pages_at=zero,
        pages=cache.pages,
        tiles=np.array([[0, 1]]),
        wanted=zero,
    )


def _batch(pieces, last_only):
    """The Batch of a pass."""
    counts = [len(tokens) for tokens, *_ in pieces]
    begins = [0, *accumulate(counts)]
    total = begins[-1]
    page_begins = [0, *accumulate(len(pages) for _, _, pages, _ in pieces)]
    runs = list(zip(begins[:-1], counts, strict=True))
    tiles = [(begin + at, min(TILE, count - at)) for begin, count in runs for at in range(0, count, TILE)]
    lasts = [begin + count - 1 for (begin, count), piece in zip(runs, pieces, strict=True) if piece[-1]]
    everyone = np.arange(total)
    return Batch(
        tokens=np.concatenate([tokens for tokens, *_ in pieces]),
        rows=everyone,
        positions=everyone
        + np.repeat([first - begin for (_, first, *_), (begin, _) in zip(pieces, runs, strict=True)], counts),
        pages_at=np.repeat(page_begins[:-1], counts),
        pages=np.concatenate([pages for _, _, pages, _ in pieces]),
        tiles=np.array(tiles),
        wanted=np.array(lasts, np.int64) if last_only else everyone,
    )


def registers(width):
    """The width rounded up to whole registers."""
    return -(-width // GROUP) * GROUP


def doubled(size):
    """The next power of two."""
    return 1 << (size - 1).bit_length()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__decoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__decoder() IS
'The engine at memory speed: the interface of reference/decoder over packed weights and one compiled forward.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__decoder_pass()
RETURNS void
LANGUAGE plpython3u
AS $python$"""One compiled pass over the weights for any tokens: a decode step, a chunk of a prompt, many sequences at once.

The operators and their order are those of reference/decoder.block; between them the threads wait where one needs all of
another's result, five times a layer for a single token, at most ten times for several.

A single token may be followed by the likeliest next ones in the same call, a pass each: between two calls Python takes
0.3 milliseconds, its code and its numbers gone from the caches while the weights went through, and the workers must be
woken.
"""

from collections import namedtuple

from ..kernels.groups import ROWS, Rows
from ..kernels.matrix import is_quantized
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, meet
from .steps import (
    ATTN_NORM,
    BATCH,
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
    FLOATS,
    GATE,
    HEAD,
    INTERRUPTS,
    LAYER_COUNTERS,
    MODEL,
    NO_BIAS,
    NO_CODES,
    NUMBERS,
    ONE_SET,
    OUTPUT,
    OUTPUT_BIAS,
    PASS_COUNTERS,
    PER_LAYER,
    SCRATCH,
    TWO_SETS,
    UP,
    WORKS,
    Pass,
    Pieces,
    Projection,
    Q,
    V,
    all_groups,
    attend,
    choose,
    claim_piece,
    codes_needed,
    embed,
    norm,
    normed,
    place_of,
    project,
    project_back,
    project_gated,
    quantize_rows,
    queries_keys_values,
    shared_out,
    store_head,
    turn_heads,
    work_of,
)

# What `forward` is given.
Forward = namedtuple("Forward", "model batch works scratch logits ends chosen interrupts")
FORWARD = Structure(
    Forward,
    model=MODEL,
    batch=BATCH,
    works=WORKS,
    scratch=SCRATCH,
    logits=FLOATS,
    ends=NUMBERS,
    chosen=NUMBERS,
    interrupts=INTERRUPTS,
)
_given = FORWARD.read_at


@inlined
def meet_if_many(crew, tokens):
    """Meet between steps whose result a single token's threads each have for themselves. True to stop."""
    return tokens > 1 and meet(crew)


@inlined
def place_head(p, w, layer, token, head):
    """Normalise (if the model does) and rotate one kv head's key and its queries; store the key and the value."""
    rows = Rows(p.scratch.qkv, token * p.model.sizes.qkv_stride, 0)
    turn_heads(p.model, w, rows, p.batch.positions[token], head)
    store_head(p.model.sizes, place_of(p, layer, token, head), rows, head, p.work)


@inlined
def _attended(begin, end, given):
    """Attention of a tile and a kv head; a single token's is placed first."""
    p, w, layer = given
    if len(p.batch.tokens) == 1:
        place_head(p, w, layer, 0, begin % p.model.sizes.kv_heads)
    attend(p, layer, begin)


attend_all = shared_out(_attended, claim_piece)


@inlined
def attention_block(p, counter, w, layer):
    """x += the attention of the layer, with its counters. True when the pass is to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[ATTN_NORM], TWO_SETS if codes_needed(w, Q, V) else NO_CODES, p.batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if queries_keys_values(p, counter + CLAIM_QKV, w, ONE_SET):
        return True
    if tokens > 1:
        for token in range(crew.thread, tokens, crew.threads):
            for head in range(sizes.kv_heads):
                place_head(p, w, layer, token, head)
        if meet(crew):
            return True
    if attend_all(crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.kv_heads), (p, w, layer)):
        return True
    rows = Rows(s.qkv, 0, sizes.qkv_stride)
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, rows, sizes.heads * sizes.head_dim, TWO_SETS, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def gate_and_up(p, counter, w, no_bias):
    """up = silu(gate @ normed) * (up @ normed), the same rows of both at a time. True to stop."""
    tokens, s, stride = len(p.batch.tokens), p.scratch, p.model.sizes.ffn_stride
    weights, given = p.model.weights, normed(p, tokens, ONE_SET)
    gate = Projection(weights, w[GATE], no_bias, given, tokens, Rows(s.gate, 0, stride), s.spare)
    up = Projection(weights, w[UP], no_bias, given, tokens, Rows(s.up, 0, stride), s.spare)
    return project_gated(p.crew, counter, all_groups(w[GATE], tokens), (gate, up))


@inlined
def feed_forward_block(p, counter, w, no_bias):
    """x += the gated feed-forward network of the layer, with its counters. True when the pass is to stop."""
    crew, sizes, tokens, s = p.crew, p.model.sizes, len(p.batch.tokens), p.scratch
    norm(crew, p.model, w[FFN_NORM], ONE_SET if codes_needed(w, GATE, UP) else NO_CODES, p.batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if gate_and_up(p, counter + CLAIM_GATE, w, no_bias):
        return True
    rows = Rows(s.up, 0, sizes.ffn_stride)
    if is_quantized(w[DOWN]):
        quantize_rows(crew, rows, sizes.ffn, ONE_SET, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], no_bias, rows, ONE_SET)


@inlined
def head_block(p, counter, own, logits):
    """The logits of the wanted tokens. True to stop."""
    wanted, matrix, s = len(p.batch.wanted), own[HEAD], p.scratch
    if wanted == 0:
        return False
    norm(p.crew, p.model, own[FINAL_NORM], ONE_SET if is_quantized(matrix) else NO_CODES, p.batch.wanted, s)
    if meet_if_many(p.crew, wanted):
        return True
    given, to = normed(p, wanted, ONE_SET), Rows(logits, 0, p.model.sizes.logits_stride)
    projection = Projection(p.model.weights, matrix, own[NO_BIAS], given, wanted, to, s.spare)
    return project(p.crew, counter, all_groups(matrix, wanted), projection)


@inlined
def compute(p, counter, logits):
    """One pass, with its counters. True when it was stopped."""
    layers, table = p.model.sizes.layers, p.model.table
    own = table[layers * PER_LAYER :]
    if embed(p.crew, counter + CLAIM_EMBEDDING, Pieces(len(p.batch.tokens)), p):
        return True
    for layer in range(layers):
        w, layer_counter = table[layer * PER_LAYER :], counter + PASS_COUNTERS + layer * LAYER_COUNTERS
        if attention_block(p, layer_counter, w, layer):
            return True
        if feed_forward_block(p, layer_counter, w, own[NO_BIAS]):
            return True
    return head_block(p, counter + CLAIM_HEAD, own, logits)


@compiled
def counters(layers, passes):
    """How many counters of claimed work so many passes take."""
    return passes * (PASS_COUNTERS + layers * LAYER_COUNTERS)


@entry
def forward(thread, threads, state, frame):
    """Compute a batch: keys and values into their pages, the logits of the wanted tokens into `logits`.

    Every thread of a team runs it with the same frame, of FORWARD, and a zeroed state, that has room for len(chosen) +
    1 passes. Afterwards threads.STOP of the state is set when a pass was stopped; then of what it wrote only `chosen`
    holds.

    With room in `chosen` (int64[], filled with NO_TOKEN) the batch is one token, whose place the likeliest next one
    takes, into `chosen` too, pass after pass until there is no room, the next would be one of `ends` (int64[]), or the
    logits are not finite. Then `logits` are those after the last one chosen.
    """
    given = _given(frame, 0)
    crew, model, batch = Crew(thread, threads, state, given.interrupts), given.model, given.batch
    p = Pass(crew, model, batch, work_of(given.works, thread), given.scratch)
    logits, ends, chosen, layers = given.logits, given.ends, given.chosen, model.sizes.layers
    vocabulary = model.table[layers * PER_LAYER + HEAD, ROWS]
    for number in range(len(chosen) + 1):
        counter = counters(layers, number)
        if compute(p, counter, logits):
            return
        choice = counter + CLAIM_CHOICE
        if number < len(chosen) and choose(crew, choice, batch, logits, vocabulary, ends, chosen, number):
            return
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__decoder_pass() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__decoder_pass() IS
'One compiled pass over the weights for any tokens: a decode step, a chunk of a prompt, many sequences at once.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__encoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The encoder at the machine's speed: the interface of reference/encoder over packed weights and one compiled pass.

A text's vectors depend on its tokens and on nothing else: not on the texts beside it, nor on the threads; bit for bit,
on one machine. F32 weights are computed in float32; block-quantised ones take activations in blocks of int8, twice.
"""

from itertools import accumulate

import numpy as np

from ..kernels.attention import over_floats
from ..kernels.groups import GROUP
from ..kernels.kv_pages import PAGE
from ..server import errors
from ..simd.threads import new_state, team
from .decoder import NO_INTERRUPTS, NO_WINDOW, TILE, doubled, registers, run_pass, scratch_of, works_of
from .encoder_pass import ENCODE, Encode, encode
from .steps import LAYER_COUNTERS, Batch, Model, Sizes

PASS = 512  # tokens in one pass, at least one text

LAYER_TENSORS = (  # in the order of the rows of encoder_pass; None: what only decoders have
    *("attn_output_norm.weight", "attn_q.weight", "attn_k.weight", "attn_v.weight"),
    *("attn_q.bias", "attn_k.bias", "attn_v.bias", None, None),
    *("attn_output.weight", "attn_output.bias"),
    *("layer_output_norm.weight", None, "ffn_up.weight", "ffn_down.weight"),
    *("attn_output_norm.bias", "layer_output_norm.bias", "ffn_up.bias", "ffn_down.bias"),
)
MODEL_TENSORS = ("token_embd.weight", "token_embd_norm.weight", "token_embd_norm.bias")


class CompiledEncoder:
    """architecture: an EncoderArchitecture. packed: a PackedModel of its tensors.

    positions: f32[context, hidden], the embedding of each position and of the first token type together.
    batch_threads: how many compute. interrupts: as CompiledEngine has them.
    """

    def __init__(self, architecture, packed, positions, threads=1, batch_threads=1, interrupts=NO_INTERRUPTS):
        self.architecture = architecture
        self.packed = packed
        self.threads, self.batch_threads = threads, batch_threads
        self.interrupts = interrupts
        nothing, attention = np.zeros(0, np.float32), over_floats.address()
        sizes, table = _sizes(architecture), _table(architecture, packed)
        self._model = Model(sizes, packed.weights, table, np.array([NO_WINDOW]), nothing, nothing, attention)
        self._positions = np.zeros((architecture.context_length, sizes.hidden_stride), np.float32)
        self._positions[:, : sizes.hidden] = positions
        self._state = new_state(architecture.layers * LAYER_COUNTERS)
        self._slots = 0
        self._scratch = self._works = None
        self._pages = np.zeros(0, np.float32)

    def states(self, texts, checkpoint=None):
        """The last layer's vectors of each text's tokens: [int[n], ...] -> [f32[n, hidden_size], ...].

        `checkpoint` is called before every pass and when an interrupt says so; what it raises ends the call. Raises
        ModelError 22023 for no or unknown tokens, 53400 for more than there are positions.
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
        if total == 1:  # the steps of the decoder take one token for a sequence that is being written
            return self._pass(texts * 2, checkpoint)[:1]
        batch, places = self._batch(texts, lengths)
        crew = team(self.batch_threads)
        self._reserve(max(total, crew.size))
        embeddings = self._positions.reshape(-1)
        given = Encode(self._model, embeddings, batch, places, self._works, self._scratch, self.interrupts)
        run_pass(crew, encode, self._state, (ENCODE, given, given), checkpoint)
        x = self._scratch.x[: total * self._model.sizes.hidden_stride].reshape(total, -1)[:, :hidden].copy()
        return np.split(x, list(accumulate(lengths))[:-1])

    def _batch(self, texts, lengths):
        """(Batch, the tokens' own positions)."""
        begins = [0, *accumulate(lengths)]
        page_begins = [0, *accumulate(-(-length // PAGE) for length in lengths)]
        runs = list(zip(begins[:-1], lengths, strict=True))
        tiles = [(begin + at, min(TILE, length - at)) for begin, length in runs for at in range(0, length, TILE)]
        places = np.concatenate([np.arange(length) for length in lengths])
        batch = Batch(
            tokens=np.concatenate(texts),
            rows=np.arange(begins[-1]),
            positions=np.repeat([length - 1 for length in lengths], lengths),
            pages_at=np.repeat(page_begins[:-1], lengths),
            pages=self._page_table(page_begins[-1]),
            tiles=np.array(tiles),
            wanted=np.zeros(0, np.int64),
        )
        return batch, places

    def _page_table(self, pages):
        """Where the keys and the values of each page are, and how many bytes a head's are from the next's."""
        sizes = self._model.sizes
        width = registers(sizes.head_dim)
        page = sizes.heads * PAGE * width  # elements of the keys, or of the values
        if self._pages.size < 2 * pages * page:
            self._pages = np.zeros(2 * doubled(pages) * page, np.float32)
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
        """Room for the activations of so many tokens."""
        if slots > self._slots:
            self._slots = doubled(slots)
            self._scratch = scratch_of(self._model.sizes, self._slots)
        if self._works is None or len(self._works.q) < self.batch_threads:
            self._works = works_of(self._model.sizes, self.batch_threads)


def _sizes(a):
    hidden = registers(a.hidden_size)
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
        qkv_stride=3 * hidden + GROUP,  # whole registers are read of the last head
        ffn_stride=registers(a.ffn_size),
        logits_stride=0,
    )


def _table(a, packed):
    """Where each tensor is: int64 [layers * PER_LAYER + 3][layout, offset, rows, columns], zeros if absent."""
    rows = [packed.entry_or_absent(f"blk.{layer}.{name}") for layer in range(a.layers) for name in LAYER_TENSORS]
    return np.array(rows + [packed.entry(name) for name in MODEL_TENSORS], np.int64)


def _passes(texts):
    """The texts in groups of at most PASS tokens, or one text."""
    now, total = [], 0
    for tokens in texts:
        if now and total + len(tokens) > PASS:
            yield now
            now, total = [], 0
        now.append(tokens)
        total += len(tokens)
    if now:
        yield now
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__encoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__encoder() IS
'The encoder at the machine''s speed: the interface of reference/encoder over packed weights and one compiled '
'pass.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__encoder_pass()
RETURNS void
LANGUAGE plpython3u
AS $python$"""One compiled pass of an encoder for the tokens of any number of texts, one after the other without padding.

The operators and their order are those of reference/encoder.block. Projections and attention are the steps of
the decoder (`steps`), over pages of keys and values that last for one layer: a token's "position" in the batch is the
last of its text, so it sees the whole of it. `places` are the tokens' own positions.

An encoder's embedding is asked to be right to three digits, and int8 activations alone cost a short text as much: so
quantised matrices see them twice, as codes and as the codes of what those leave, which together hold 15 bits.
"""

from collections import namedtuple

from ..kernels.elementwise import Affine, add, gelu, layer_norm
from ..kernels.groups import BLOCK, GROUP, OFFSET, Rows
from ..kernels.kv_pages import PAGE, Place, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..simd.frames import Structure
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, meet
from .steps import (
    ATTN_NORM,
    BATCH,
    CLAIM_ATTENTION,
    CLAIM_DOWN,
    CLAIM_GATE,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    FLOATS,
    INTERRUPTS,
    LAYER_COUNTERS,
    MODEL,
    NUMBERS,
    OUTPUT,
    OUTPUT_BIAS,
    SCRATCH,
    TWO_SETS,
    UP,
    WORKS,
    Pass,
    Pieces,
    Projection,
    Q,
    V,
    all_groups,
    attend,
    claim_piece,
    coded,
    codes_needed,
    normed,
    project_back,
    projected,
    quantize_rows,
    quantize_token,
    queries_keys_values,
    shared_out,
    work_of,
)

# The rows of a layer begin with those of `steps`, so that its steps can be shared; these follow. Then the model's own.
ATTN_NORM_BIAS, FFN_NORM_BIAS, UP_BIAS, DOWN_BIAS = range(15, 19)
PER_LAYER = 19
EMBEDDING, NORM, NORM_BIAS = range(3)

# What `encode` is given. embeddings: f32, what is added to the embedding of a token at each position. places: the
# tokens' own positions.
Encode = namedtuple("Encode", "model embeddings batch places works scratch interrupts")
ENCODE = Structure(
    Encode,
    model=MODEL,
    embeddings=FLOATS,
    batch=BATCH,
    places=NUMBERS,
    works=WORKS,
    scratch=SCRATCH,
    interrupts=INTERRUPTS,
)
_given = ENCODE.read_at


@compiled
def norm(crew, model, affine, needs_codes, tokens, s):
    """s.x = s.normed = s.x normalised, with its codes if a quantised matrix follows."""
    hidden, stride = model.sizes.hidden, model.sizes.hidden_stride
    for t in range(crew.thread, tokens, crew.threads):
        at = t * stride
        layer_norm(s.x, at, hidden, affine, model.sizes.epsilon, s.normed, at)
        for i in range(at, at + hidden):
            s.x[i] = s.normed[i]
        if needs_codes:
            quantize_token(s.normed, at, hidden, coded(s, t * (hidden // BLOCK), TWO_SETS))


@inlined
def norm_and_meet(p, weight, bias, needs_codes):
    """All rows normalised, by all threads. True to stop."""
    affine = Affine(p.model.weights.f32, weight[OFFSET] // 4, bias[OFFSET] // 4)
    norm(p.crew, p.model, affine, needs_codes, len(p.batch.tokens), p.scratch)
    return meet(p.crew)


@inlined
def store_keys_values(p, places):
    """The key and the value of every token and head into their pages."""
    sizes, x = p.model.sizes, p.scratch.qkv
    for t in range(p.crew.thread, len(p.batch.tokens), p.crew.threads):
        page, row = p.batch.pages_at[t] + places[t] // PAGE, t * sizes.qkv_stride
        for head in range(sizes.heads):
            key, value = row + sizes.k_column + head * sizes.head_dim, row + sizes.v_column + head * sizes.head_dim
            store_floats(Place(p.batch.pages, page, head, sizes.head_dim, places[t]), x, key, value)


@inlined
def _attended(begin, end, p):
    """Attention of a tile and a head, over the float32 keys and values of one layer."""
    attend(p, 0, begin)


@inlined
def _activated(begin, end, p):
    """gelu of a Projection."""
    projected(begin, end, p)
    for t in range(p.tokens):
        gelu(p.to.x, t * p.to.stride + begin * GROUP, (end - begin) * GROUP)


attend_all, project_activated = shared_out(_attended, claim_piece), shared_out(_activated)


@inlined
def up(p, counter, matrix, bias):
    """up = gelu(matrix @ normed + bias). True to stop."""
    tokens, s = len(p.batch.tokens), p.scratch
    given, to = normed(p, tokens, TWO_SETS), Rows(s.up, 0, p.model.sizes.ffn_stride)
    projection = Projection(p.model.weights, matrix, bias, given, tokens, to, s.spare)
    return project_activated(p.crew, counter, all_groups(matrix, tokens), projection)


@inlined
def codes_and_meet(p, matrix, rows, width):
    """The codes of the rows that a matrix reads, if it is quantised, by all threads. True to stop."""
    if not is_quantized(matrix):
        return False
    quantize_rows(p.crew, rows, width, TWO_SETS, len(p.batch.tokens), p.scratch)
    return meet(p.crew)


@inlined
def attention_block(p, counter, w, places):
    """x += the attention of the layer. True when the pass is to stop."""
    sizes = p.model.sizes
    if queries_keys_values(p, counter + CLAIM_QKV, w, TWO_SETS):
        return True
    store_keys_values(p, places)
    if meet(p.crew):
        return True
    if attend_all(p.crew, counter + CLAIM_ATTENTION, Pieces(len(p.batch.tiles) * sizes.heads), p):
        return True
    rows = Rows(p.scratch.qkv, 0, sizes.qkv_stride)
    if codes_and_meet(p, w[OUTPUT], rows, sizes.hidden):
        return True
    return project_back(p, counter + CLAIM_OUTPUT, w[OUTPUT], w[OUTPUT_BIAS], rows, TWO_SETS)


@inlined
def feed_forward_block(p, counter, w):
    """x += the feed-forward network of the layer. True when the pass is to stop."""
    if up(p, counter + CLAIM_GATE, w[UP], w[UP_BIAS]):
        return True
    rows = Rows(p.scratch.up, 0, p.model.sizes.ffn_stride)
    if codes_and_meet(p, w[DOWN], rows, p.model.sizes.ffn):
        return True
    return project_back(p, counter + CLAIM_DOWN, w[DOWN], w[DOWN_BIAS], rows, TWO_SETS)


@entry
def encode(thread, threads, state, frame):
    """Compute a batch of at least two tokens: the last layer's vectors into scratch.x.

    Every thread of a team runs it with the same frame, of ENCODE, and a zeroed state; threads.STOP of the state is set
    afterwards when the pass was stopped.
    """
    given = _given(frame, 0)
    model, batch, s, crew = given.model, given.batch, given.scratch, Crew(thread, threads, state, given.interrupts)
    p = Pass(crew, model, batch, work_of(given.works, thread), s)
    layers, stride = model.sizes.layers, model.sizes.hidden_stride
    own = model.table[layers * PER_LAYER :]
    for t in range(thread, len(batch.tokens), threads):
        embedding(model.weights, own[EMBEDDING], batch.tokens[t], s.x, t * stride)
        add(s.x, t * stride, given.embeddings, given.places[t] * stride, stride)
    if norm_and_meet(p, own[NORM], own[NORM_BIAS], codes_needed(model.table, Q, V)):
        return
    for layer in range(layers):
        w, counter = model.table[layer * PER_LAYER : (layer + 1) * PER_LAYER], layer * LAYER_COUNTERS
        if attention_block(p, counter, w, given.places):
            return
        if norm_and_meet(p, w[ATTN_NORM], w[ATTN_NORM_BIAS], is_quantized(w[UP])):
            return
        if feed_forward_block(p, counter, w):
            return
        following = model.table[min(layer + 1, layers - 1) * PER_LAYER :]
        if norm_and_meet(p, w[FFN_NORM], w[FFN_NORM_BIAS], codes_needed(following, Q, V)):
            return
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__encoder_pass() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__encoder_pass() IS
'One compiled pass of an encoder for the tokens of any number of texts, one after the other without padding.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__kv_cache()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Keys and values of the positions already computed, in pages of 64 positions that several caches may share.

Growing adds pages and copies nothing. A cache that forks from another shares its pages; a shared page that is written
again is copied first, so a fork behaves like a copy.

Pages that are made together lie interleaved, so that each kv head's keys, and its values, are one run of memory over
all of them: attention over a long context reads runs several times as fast as single pages.
"""

import numpy as np

from ..kernels.kv_pages import PAGE, PAGE_FIELDS, head_bytes
from ..server import errors

ALIGNMENT = 64  # bytes
MOST_AHEAD = 32  # pages: a cache grows by as much as it has, up to this; memory that is not touched is not taken


class _Page:
    """One page: its keys and its values, uint8 [layers * kv_heads][bytes], and how many caches hold it."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values
        self.holders = 1

    @property
    def fields(self):
        """What the kernels need to know: see kv_pages.PAGE_FIELDS."""
        return self.keys.ctypes.data, self.values.ctypes.data, self.keys.strides[0]


def _new_pages(count, heads, key_bytes, value_bytes):
    """Pages in one allocation, [head]{keys of all pages, values of all pages}; numpy asks for huge pages if large."""
    memory = np.empty(heads * count * (key_bytes + value_bytes) + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    both = memory[begin : begin + memory.size - ALIGNMENT].reshape(heads, -1)
    keys, values = np.split(both, [count * key_bytes], axis=1)
    return [
        _Page(keys[:, at * key_bytes : (at + 1) * key_bytes], values[:, at * value_bytes : (at + 1) * value_bytes])
        for at in range(count)
    ]


class KVCache:
    """The positions 0 .. length - 1 of one sequence. dtype float32, or int16 for codes (see kv_pages)."""

    def __init__(self, architecture, dtype):
        self.length = 0
        self.dtype = np.dtype(dtype)
        self.architecture = architecture
        self._heads = architecture.layers * architecture.kv_heads
        self._key_bytes, self._value_bytes = head_bytes(architecture.head_dim, self.dtype)
        self._pages = []
        self.pages = np.zeros((0, PAGE_FIELDS), np.int64)  # for the kernels; may have more rows than there are pages

    @property
    def page_bytes(self):
        """Memory of one page."""
        return self._heads * (self._key_bytes + self._value_bytes)

    @property
    def bytes(self):
        """Memory of all the pages, shared ones included."""
        return len(self._pages) * self.page_bytes

    @property
    def addresses(self):
        """Where each page begins, int64 [at least the number of pages]: the same in caches that share it."""
        return self.pages[:, 0]

    def reserve(self, tokens):
        """Make pages for `tokens` more positions, this cache's own. ModelError 53400 beyond the context length."""
        self.architecture.require_room(self.length, tokens)
        for place in range(self.length // PAGE, len(self._pages)):
            if self._pages[place].holders > 1:
                self._own(place)
        missing = -(-(self.length + tokens) // PAGE) - len(self._pages)
        if missing > 0:
            ahead = max(missing, min(len(self._pages), MOST_AHEAD))
            for page in _new_pages(ahead, self._heads, self._key_bytes, self._value_bytes):
                self._append(page)

    def truncate(self, length):
        """Forget the positions from `length` on. The pages stay, for what comes next."""
        if not 0 <= length <= self.length:
            raise errors.invalid_parameter(f"cannot truncate a cache of {self.length} positions to {length}")
        self.length = length

    def fork(self, length=None):
        """A cache with the first `length` positions (default all), which shares the pages."""
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

    def _own(self, place):
        shared = self._pages[place]
        shared.holders -= 1
        copy = _new_pages(1, self._heads, self._key_bytes, self._value_bytes)[0]
        copy.keys[:], copy.values[:] = shared.keys, shared.values
        self._pages[place] = copy
        self.pages[place] = copy.fields
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__kv_cache() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__kv_cache() IS
'Keys and values of the positions already computed, in pages of 64 positions that several caches may share.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__operator_entries()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Each operator of the transformer as a compiled call of its own, from the parts of the compiled forward.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__operator_entries() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__operator_entries() IS
'Each operator of the transformer as a compiled call of its own, from the parts of the compiled forward.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__steps()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The steps of a compiled forward: each is one operator for all tokens, of which every thread of a crew does its share.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.engine__steps() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.engine__steps() IS
'The steps of a compiled forward: each is one operator for all tokens, of which every thread of a crew does its'
' share.';

CREATE OR REPLACE FUNCTION llm_runtime.engine__warm_up()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Compiles what models of every family and type need, by packing and running a tiny one.

There is one compiled forward for all decoders, one for all encoders, and one packing function for plain elements and
one for blocks, each compiled for the kinds of arrays that it is called with: so everything is called here as the server
calls it.
"""

import math

import numpy as np

from ..kernels import attention, candidates, dispatch, packing
from ..kernels.similarity import PackedTable
from ..model import encodings
from ..model.decoder import Architecture
from ..model.encoder import EncoderArchitecture
from ..weights.packed_model import pack_model
from .composed import CompiledOperators, swiglu
from .decoder import CompiledEngine
from .encoder import CompiledEncoder

COLUMNS = 256  # a multiple of every type's block


def run():
    """Compile all of it, or load it where it is compiled."""
    for type in encodings.BLOCKS:
        packing.pack_tensor(bytes(encodings.row_bytes(type, COLUMNS)), type, (1, COLUMNS))
    for number in dispatch.BY_NUMBER:
        dispatch.load(number)
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
    """Call each operator on activations as SQL gives them, which nobody may write to."""
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
    """(Architecture, PackedModel) of zeros."""
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
    """(EncoderArchitecture, PackedModel) of zeros."""
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
'Compiles what models of every family and type need, by packing and running a tiny one.';

COMMIT;
