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

from ..kernels.attention import ROWS
from ..kernels.dispatch import BY_NAME
from ..kernels.elementwise import NO_TOKEN, new_codes
from ..kernels.groups import ABSENT, BLOCK, GROUP, VECTOR
from ..kernels.kv_pages import PAGE
from ..model.decoder import ROPE_DIVISORS
from ..server import errors
from ..simd.threads import STOP, new_state, team
from .decoder_pass import counters, forward
from .kv_cache import KVCache
from .steps import HEAD, PER_LAYER, Batch, Model, Scratch, Sizes, Work

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
        )
        self._frequencies = architecture.rope_frequencies(packed.vector(ROPE_DIVISORS))
        self._positions = 0  # for which there are angles
        self._state = new_state(counters(architecture.layers, LONGEST_RUN))
        self._scratch = self._works = None
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

    def room_for(self, positions):
        """(cosines, sines, works) for so many positions: the angles of their rotations, and each thread's scratch."""
        self._reserve_positions(positions)
        return self._model.cosines, self._model.sines, self._works

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
        chosen, logits = np.full(most - 1, NO_TOKEN), self._room_for_logits(1)
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
        arguments = self._model, batch, self._works, self._scratch, logits.reshape(-1), ends
        # After a stop what was chosen holds: the batch is the last such token, which is computed to the end.
        run_pass(crew, forward, self._state, self.interrupts, checkpoint, (*arguments, chosen), (*arguments, NO_TOKENS))

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


def run_pass(crew, function, state, interrupts, checkpoint, arguments, again=None):
    """One pass; when it is stopped and the checkpoint does not raise, the pass again, to its end.

    again: the arguments for that, if they are others.
    """
    state[:] = 0
    crew.run(function, state, interrupts if checkpoint is not None else NO_INTERRUPTS, *arguments)
    if state[STOP]:
        checkpoint()
        state[:] = 0
        crew.run(function, state, NO_INTERRUPTS, *(arguments if again is None else again))


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

from ..kernels.groups import ROWS, Rows
from ..kernels.matrix import is_quantized
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, meet
from .steps import (
    ATTN_NORM,
    CLAIM_ATTENTION,
    CLAIM_CHOICE,
    CLAIM_DOWN,
    CLAIM_EMBEDDING,
    CLAIM_GATE,
    CLAIM_HEAD,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    EMBEDDING,
    FFN_NORM,
    FINAL_NORM,
    GATE,
    HEAD,
    LAYER_COUNTERS,
    NO_BIAS,
    NO_CODES,
    ONE_SET,
    OUTPUT,
    OUTPUT_BIAS,
    PASS_COUNTERS,
    PER_LAYER,
    TWO_SETS,
    UP,
    K,
    Q,
    V,
    attend_all,
    choose,
    embed,
    gate_and_up,
    norm,
    place_heads,
    project_back,
    project_logits,
    quantize_rows,
    queries_keys_values,
    work_of,
)


@inlined
def meet_if_many(crew, tokens):
    """Meet between steps whose result a single token's threads each have for themselves. True to stop."""
    return tokens > 1 and meet(crew)


@inlined
def attention_block(crew, counter, model, w, batch, layer, work, s):
    """s.x += the attention of the layer, with its counters. True when the pass is to stop."""
    sizes, tokens = model.sizes, len(batch.tokens)
    needs_codes = is_quantized(w[Q]) or is_quantized(w[K]) or is_quantized(w[V])
    norm(crew, model, w[ATTN_NORM], TWO_SETS if needs_codes else NO_CODES, batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if queries_keys_values(crew, counter + CLAIM_QKV, model, w, tokens, s):
        return True
    if tokens > 1:
        for token in range(crew.thread, tokens, crew.threads):
            for head in range(sizes.kv_heads):
                place_heads(model, w, batch, layer, token, head, work, s)
        if meet(crew):
            return True
    if attend_all(crew, counter + CLAIM_ATTENTION, model, w, batch, layer, work, s):
        return True
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, s.qkv, sizes.qkv_stride, sizes.heads * sizes.head_dim, TWO_SETS, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    matrix, bias, given = w[OUTPUT], w[OUTPUT_BIAS], Rows(s.qkv, 0, sizes.qkv_stride)
    return project_back(crew, counter + CLAIM_OUTPUT, model, matrix, bias, given, TWO_SETS, tokens, s)


@inlined
def feed_forward_block(crew, counter, model, w, no_bias, batch, s):
    """s.x += the gated feed-forward network of the layer, with its counters. True when the pass is to stop."""
    sizes, tokens = model.sizes, len(batch.tokens)
    needs_codes = is_quantized(w[GATE]) or is_quantized(w[UP])
    norm(crew, model, w[FFN_NORM], ONE_SET if needs_codes else NO_CODES, batch.rows, s)
    if meet_if_many(crew, tokens):
        return True
    if gate_and_up(crew, counter + CLAIM_GATE, model, w, tokens, s):
        return True
    if is_quantized(w[DOWN]):
        quantize_rows(crew, s.up, sizes.ffn_stride, sizes.ffn, ONE_SET, tokens, s)
        if meet_if_many(crew, tokens):
            return True
    given = Rows(s.up, 0, sizes.ffn_stride)
    return project_back(crew, counter + CLAIM_DOWN, model, w[DOWN], no_bias, given, ONE_SET, tokens, s)


@inlined
def head_block(crew, counter, model, own, batch, logits, s):
    """The logits of the wanted tokens. True to stop."""
    wanted = len(batch.wanted)
    if wanted == 0:
        return False
    norm(crew, model, own[FINAL_NORM], ONE_SET if is_quantized(own[HEAD]) else NO_CODES, batch.wanted, s)
    if meet_if_many(crew, wanted):
        return True
    return project_logits(crew, counter, model, own[HEAD], wanted, logits, s)


@inlined
def compute(crew, counter, model, batch, work, s, logits):
    """One pass, with its counters. True when it was stopped."""
    layers = model.sizes.layers
    own = model.table[layers * PER_LAYER :]
    if embed(crew, counter + CLAIM_EMBEDDING, model, own[EMBEDDING], batch, s):
        return True
    for layer in range(layers):
        w, layer_counter = model.table[layer * PER_LAYER :], counter + PASS_COUNTERS + layer * LAYER_COUNTERS
        if attention_block(crew, layer_counter, model, w, batch, layer, work, s):
            return True
        if feed_forward_block(crew, layer_counter, model, w, own[NO_BIAS], batch, s):
            return True
    return head_block(crew, counter + CLAIM_HEAD, model, own, batch, logits, s)


@compiled
def counters(layers, passes):
    """How many counters of claimed work so many passes take."""
    return passes * (PASS_COUNTERS + layers * LAYER_COUNTERS)


@entry
def forward(thread, threads, state, interrupts, model, batch, works, s, logits, ends, chosen):
    """Compute a batch: keys and values into their pages, the logits of the wanted tokens into `logits`.

    Every thread of a team runs it with the same arguments and a zeroed state, that has room for len(chosen) + 1 passes.
    Afterwards threads.STOP of the state is set when a pass was stopped; then of what it wrote only `chosen` holds.

    With room in `chosen` (int64[], filled with NO_TOKEN) the batch is one token, whose place the likeliest next one
    takes, into `chosen` too, pass after pass until there is no room, the next would be one of `ends` (int64[]), or the
    logits are not finite. Then `logits` are those after the last one chosen.
    """
    crew, work = Crew(thread, threads, state, interrupts), work_of(works, thread)
    layers = model.sizes.layers
    vocabulary = model.table[layers * PER_LAYER + HEAD, ROWS]
    for number in range(len(chosen) + 1):
        counter = counters(layers, number)
        if compute(crew, counter, model, batch, work, s, logits):
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

from ..kernels.groups import GROUP
from ..kernels.kv_pages import PAGE
from ..server import errors
from ..simd.threads import new_state, team
from .decoder import NO_INTERRUPTS, NO_WINDOW, TILE, doubled, registers, run_pass, scratch_of, works_of
from .encoder_pass import encode
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
        nothing = np.zeros(0, np.float32)
        sizes, table = _sizes(architecture), _table(architecture, packed)
        self._model = Model(sizes, packed.weights, table, np.array([NO_WINDOW]), nothing, nothing)
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
        arguments = self._model, self._positions.reshape(-1), batch, places, self._works, self._scratch
        run_pass(crew, encode, self._state, self.interrupts, checkpoint, arguments)
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

from ..kernels.attention import attention_over_floats
from ..kernels.elementwise import add, gelu, layer_norm
from ..kernels.groups import BLOCK, GROUP, OFFSET, Rows
from ..kernels.kv_pages import PAGE, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..simd.registers import compiled, entry, inlined
from ..simd.threads import Crew, claim, finish, meet, stopped, wait
from .steps import (
    ATTN_NORM,
    CLAIM_ATTENTION,
    CLAIM_DOWN,
    CLAIM_GATE,
    CLAIM_OUTPUT,
    CLAIM_QKV,
    DOWN,
    FFN_NORM,
    LAYER_COUNTERS,
    OUTPUT,
    OUTPUT_BIAS,
    Q_BIAS,
    TWO_SETS,
    UP,
    K,
    Q,
    V,
    add_bias,
    claim_groups,
    coded,
    groups_of,
    product,
    quantize_rows,
    quantize_token,
    work_of,
)

# The rows of a layer begin with those of steps, so that its steps can be shared; these follow. Then the model's own.
ATTN_NORM_BIAS, FFN_NORM_BIAS, UP_BIAS, DOWN_BIAS = range(15, 19)
PER_LAYER = 19
EMBEDDING, NORM, NORM_BIAS = range(3)


@inlined
def project(model, matrix, bias, begin, end, given, tokens, to, s):
    """Groups begin .. end of matrix @ given + bias; given, to: Rows."""
    product(model.weights, matrix, begin, end, given, coded(s, 0, TWO_SETS), tokens, to, s.spare)
    add_bias(model.weights, bias, begin, end, tokens, to)


@inlined
def queries_keys_values(crew, counter, model, w, tokens, s):
    """s.qkv = the three projections of s.normed. True to stop."""
    given, groups = Rows(s.normed, 0, model.sizes.hidden_stride), groups_of(w[Q])
    while True:
        begin, end = claim_groups(crew, counter, w[Q], 3 * groups, tokens)
        if begin == 3 * groups or stopped(crew):
            return wait(crew, counter, 3 * groups)
        for part in range(3):  # a piece may lie across two of the matrices
            first, last = max(begin - part * groups, 0), min(end - part * groups, groups)
            if first < last:
                to = Rows(s.qkv, part * groups * GROUP, model.sizes.qkv_stride)
                project(model, w[Q + part], w[Q_BIAS + part], first, last, given, tokens, to, s)
        finish(crew, counter, end - begin)


@inlined
def project_back(crew, counter, model, matrix, bias, given, tokens, s):
    """s.x += matrix @ given + bias. True to stop."""
    stride, groups = model.sizes.hidden_stride, groups_of(matrix)
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        project(model, matrix, bias, begin, end, given, tokens, Rows(s.added, 0, stride), s)
        for t in range(tokens):
            at = t * stride + begin * GROUP
            add(s.x, at, s.added, at, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@compiled
def norm(crew, model, weight, bias, needs_codes, tokens, s):
    """s.x = s.normed = s.x normalised, with its codes if a quantised matrix follows."""
    hidden, stride, f32 = model.sizes.hidden, model.sizes.hidden_stride, model.weights.f32
    for t in range(crew.thread, tokens, crew.threads):
        at, scale_at, bias_at = t * stride, weight[OFFSET] // 4, bias[OFFSET] // 4
        layer_norm(s.x, at, hidden, f32, scale_at, bias_at, model.sizes.epsilon, s.normed, at)
        for i in range(at, at + hidden):
            s.x[i] = s.normed[i]
        if needs_codes:
            quantize_token(s.normed, at, hidden, coded(s, t * (hidden // BLOCK), TWO_SETS))


@inlined
def store_keys_values(crew, model, batch, places, work, s):
    """The key and the value of every token and head into their pages."""
    sizes = model.sizes
    for t in range(crew.thread, len(batch.tokens), crew.threads):
        page, row = batch.pages_at[t] + places[t] // PAGE, t * sizes.qkv_stride
        for head in range(sizes.heads):
            key, value = row + sizes.k_column + head * sizes.head_dim, row + sizes.v_column + head * sizes.head_dim
            store_floats(batch.pages, page, head, sizes.head_dim, places[t], s.qkv, key, value, s.qkv)


@inlined
def attend_all(crew, counter, model, batch, work, s):
    """Attention of every tile and head, over float32 keys and values, in the queries' place. True to stop."""
    dim, stride, window, positions = model.sizes.head_dim, model.sizes.qkv_stride, model.windows[0], batch.positions
    pieces = len(batch.tiles) * model.sizes.heads
    while True:
        piece = claim(crew, counter, 1)
        if piece >= pieces or stopped(crew):
            return wait(crew, counter, pieces)
        tile, head = divmod(piece, model.sizes.heads)
        first, tokens = batch.tiles[tile, 0], batch.tiles[tile, 1]
        x, pages, at = first * stride + head * dim, batch.pages, batch.pages_at[first]
        attention_over_floats(s.qkv, x, stride, tokens, 1, dim, positions, first, window, pages, at, head, work)
        finish(crew, counter, 1)


@inlined
def up(crew, counter, model, matrix, bias, tokens, s):
    """s.up = gelu(matrix @ s.normed + bias). True to stop."""
    given, groups, stride = Rows(s.normed, 0, model.sizes.hidden_stride), groups_of(matrix), model.sizes.ffn_stride
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        project(model, matrix, bias, begin, end, given, tokens, Rows(s.up, 0, stride), s)
        for t in range(tokens):
            gelu(s.up, t * stride + begin * GROUP, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@inlined
def attention_block(crew, model, w, batch, places, layer, work, s):
    """s.x += the attention of the layer. True when the pass is to stop."""
    sizes, tokens, counter = model.sizes, len(batch.tokens), layer * LAYER_COUNTERS
    if queries_keys_values(crew, counter + CLAIM_QKV, model, w, tokens, s):
        return True
    store_keys_values(crew, model, batch, places, work, s)
    if meet(crew):
        return True
    if attend_all(crew, counter + CLAIM_ATTENTION, model, batch, work, s):
        return True
    if is_quantized(w[OUTPUT]):
        quantize_rows(crew, s.qkv, sizes.qkv_stride, sizes.hidden, TWO_SETS, tokens, s)
        if meet(crew):
            return True
    given = Rows(s.qkv, 0, sizes.qkv_stride)
    return project_back(crew, counter + CLAIM_OUTPUT, model, w[OUTPUT], w[OUTPUT_BIAS], given, tokens, s)


@inlined
def feed_forward_block(crew, model, w, tokens, layer, s):
    """s.x += the feed-forward network of the layer. True when the pass is to stop."""
    sizes, counter = model.sizes, layer * LAYER_COUNTERS
    if up(crew, counter + CLAIM_GATE, model, w[UP], w[UP_BIAS], tokens, s):
        return True
    if is_quantized(w[DOWN]):
        quantize_rows(crew, s.up, sizes.ffn_stride, sizes.ffn, TWO_SETS, tokens, s)
        if meet(crew):
            return True
    given = Rows(s.up, 0, sizes.ffn_stride)
    return project_back(crew, counter + CLAIM_DOWN, model, w[DOWN], w[DOWN_BIAS], given, tokens, s)


@entry
def encode(thread, threads, state, interrupts, model, positions, batch, places, works, s):
    """Compute a batch of at least two tokens: the last layer's vectors into s.x.

    positions: f32, what is added to the embedding of a token at each position. Every thread of a team runs it with the
    same arguments and a zeroed state; threads.STOP of the state is set afterwards when the pass was stopped.
    """
    crew = Crew(thread, threads, state, interrupts)
    sizes, layers, tokens, work = model.sizes, model.sizes.layers, len(batch.tokens), work_of(works, thread)
    own = model.table[layers * PER_LAYER :]
    for t in range(thread, tokens, threads):
        embedding(model.weights, own[EMBEDDING], batch.tokens[t], s.x, t * sizes.hidden_stride)
        add(s.x, t * sizes.hidden_stride, positions, places[t] * sizes.hidden_stride, sizes.hidden_stride)
    w = model.table[:PER_LAYER]
    needs_codes = is_quantized(w[Q]) or is_quantized(w[K]) or is_quantized(w[V])
    norm(crew, model, own[NORM], own[NORM_BIAS], needs_codes, tokens, s)
    if meet(crew):
        return
    for layer in range(layers):
        w = model.table[layer * PER_LAYER : (layer + 1) * PER_LAYER]
        if attention_block(crew, model, w, batch, places, layer, work, s):
            return
        norm(crew, model, w[ATTN_NORM], w[ATTN_NORM_BIAS], is_quantized(w[UP]), tokens, s)
        if meet(crew):
            return
        if feed_forward_block(crew, model, w, tokens, layer, s):
            return
        following = model.table[min(layer + 1, layers - 1) * PER_LAYER :]
        needs_codes = is_quantized(following[Q]) or is_quantized(following[K]) or is_quantized(following[V])
        norm(crew, model, w[FFN_NORM], w[FFN_NORM_BIAS], needs_codes, tokens, s)
        if meet(crew):
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

`decoder_pass` runs them all in one pass; a query that composes operators makes a call for each. The parts and their
order are the same, and no part's result depends on what it is computed with, so both give the same bits.

Activations are flat and tight, row after row, as SQL passes them; a product's rows are padded to whole registers.
Arguments are arrays and numbers: numba takes 10 microseconds to recognise the tuples that the parts want, so those are
made inside.
"""

from ..kernels.attention import attention_over_codes, attention_over_floats
from ..kernels.elementwise import exp, rms_norm, rope, swiglu
from ..kernels.groups import ABSENT, BLOCK, COLUMNS, GROUP, LAYOUT, OFFSET, ROWS, Codes, Rows, Weights
from ..kernels.kv_pages import PAGE, store_codes, store_floats
from ..kernels.matrix import embedding, is_quantized
from ..simd.memory import as_writable, load, load_first, store, store_first
from ..simd.registers import compiled, entry, f32, fill, inlined
from ..simd.threads import Crew, claim, meet
from .steps import (
    K_NORM,
    ONE_SET,
    Q_BIAS,
    Q_NORM,
    TWO_SETS,
    Coded,
    K,
    Q,
    V,
    Work,
    add_bias,
    claim_groups,
    groups_of,
    product,
    quantize_token,
    work_of,
)

STORED, ATTENDED = range(2)  # counters of claimed work
CLAIMS = 3  # as many as there are of queries, keys and values
STRIDE, K_COLUMN, V_COLUMN, HEAD_DIM, GROUP_SIZE, KV_HEADS, CODES_KV = range(7)  # what `attend` knows of heads
TILE = 8  # tokens whose attention, in one kv head, is one piece of work


@entry
def embed(u8, u16, floats, matrix, tokens, out):
    """The rows of the tokens, decoded."""
    weights = Weights(u8, u16, floats)
    for t in range(len(tokens)):
        embedding(weights, matrix, tokens[t], out, t * matrix[COLUMNS])


@entry
def project(
    thread,
    threads,
    state,
    u8,
    u16,
    floats,
    matrix,
    bias,
    x,
    tokens,
    sets,
    codes,
    scales,
    starts,
    residual,
    out,
    spare,
    stride,
):
    """out[t] = matrix @ x[t] + bias + residual[t], every `stride` numbers; without a residual it is empty.

    A quantised matrix sees x as so many sets of codes.
    """
    weights, quantized = Weights(u8, u16, floats), Codes(codes, scales, starts)
    crew, columns, given = Crew(thread, threads, state, (0, 0)), matrix[COLUMNS], as_writable(x)
    if is_quantized(matrix):
        quantize_each(crew, given, columns, quantized, sets, tokens)
    groups, codes, to = groups_of(matrix), codes_of_rows(quantized, 0, columns, sets, tokens), Rows(out, 0, stride)
    while True:
        begin, end = claim_groups(crew, 0, matrix, groups, tokens)
        if begin == groups:
            return
        product(weights, matrix, begin, end, Rows(given, 0, columns), codes, tokens, to, spare)
        add_bias(weights, bias, begin, end, tokens, to)
        if len(residual) > 0:
            add_residual(as_writable(residual), matrix[ROWS], begin * GROUP, end * GROUP, out, stride, tokens)


@inlined
def codes_of_rows(quantized, t, columns, sets, tokens):
    """The sets of codes of rows that follow each other, from row t on."""
    blocks = columns // BLOCK
    return Coded(quantized, t * blocks, (tokens + t) * blocks, sets)


@inlined
def quantize_each(crew, x, columns, quantized, sets, tokens):
    """So many sets of codes of every row of x, each done by one of the threads; all of them meet then."""
    for t in range(crew.thread, tokens, crew.threads):
        quantize_token(x, t * columns, columns, codes_of_rows(quantized, t, columns, sets, tokens))
    meet(crew)


@compiled
def add_residual(residual, width, begin, end, out, stride, tokens):
    """Add columns begin .. end of rows that are `width` numbers apart."""
    for t in range(tokens):
        for i in range(begin, end, 16):
            given = load_first(width - i, residual, t * width + i)
            store(out, t * stride + i, load(out, t * stride + i, f32) + given)


@entry
def project_heads(
    thread,
    threads,
    state,
    u8,
    u16,
    floats,
    layer,
    heads,
    epsilon,
    interleaved,
    x,
    positions,
    cosines,
    sines,
    codes,
    scales,
    starts,
    out,
    spare,
):
    """The rows of queries, keys and values that `attend` takes, from x; layer: its rows of the table of weights."""
    weights, quantized = Weights(u8, u16, floats), Codes(codes, scales, starts)
    crew, tokens = Crew(thread, threads, state, (0, 0)), len(positions)
    columns, dim = layer[Q, COLUMNS], heads[HEAD_DIM]
    given, stride, k_column, v_column = as_writable(x), heads[STRIDE], heads[K_COLUMN], heads[V_COLUMN]
    if is_quantized(layer[Q]) or is_quantized(layer[K]) or is_quantized(layer[V]):
        quantize_each(crew, given, columns, quantized, TWO_SETS, tokens)
    for part, column in ((0, 0), (1, k_column), (2, v_column)):
        matrix, bias, to = layer[Q + part], layer[Q_BIAS + part], Rows(out, column, stride)
        groups = groups_of(matrix)
        codes = codes_of_rows(quantized, 0, columns, TWO_SETS if part == V - Q else ONE_SET, tokens)
        while True:
            begin, end = claim_groups(crew, part, matrix, groups, tokens)
            if begin == groups:
                break
            product(weights, matrix, begin, end, Rows(given, 0, columns), codes, tokens, to, spare)
            add_bias(weights, bias, begin, end, tokens, to)
    meet(crew)
    for t in range(thread, tokens, threads):
        row, angles = t * stride, positions[t] * (dim // 2)
        for h in range(heads[GROUP_SIZE] * heads[KV_HEADS]):
            place_head(out, row + h * dim, dim, floats, layer[Q_NORM], epsilon, cosines, sines, angles, interleaved)
        for h in range(row + k_column, row + k_column + heads[KV_HEADS] * dim, dim):
            place_head(out, h, dim, floats, layer[K_NORM], epsilon, cosines, sines, angles, interleaved)


@compiled
def place_head(x, at, dim, floats, norm, epsilon, cosines, sines, angles, interleaved):
    """Normalise (if the model does) and rotate one head of queries or keys."""
    if norm[LAYOUT] != ABSENT:
        rms_norm(x, at, dim, floats, norm[OFFSET] // 4, epsilon, x, at)
    rope(x, at, dim, cosines, sines, angles, interleaved)


@entry
def project_gated(
    thread,
    threads,
    state,
    u8,
    u16,
    floats,
    gate,
    up,
    x,
    tokens,
    codes,
    scales,
    starts,
    gates,
    out,
    stride,
):
    """out[t] = silu(gate @ x[t]) * (up @ x[t]), every `stride` numbers, the same rows of both at a time."""
    weights, quantized = Weights(u8, u16, floats), Codes(codes, scales, starts)
    crew, columns, given = Crew(thread, threads, state, (0, 0)), gate[COLUMNS], as_writable(x)
    if is_quantized(gate) or is_quantized(up):
        quantize_each(crew, given, columns, quantized, ONE_SET, tokens)
    groups, codes = groups_of(gate), codes_of_rows(quantized, 0, columns, ONE_SET, tokens)
    while True:
        begin, end = claim_groups(crew, 0, gate, groups, tokens)
        if begin == groups:
            return
        for matrix, to in ((gate, gates), (up, out)):
            # With one set of codes no product needs its spare.
            product(weights, matrix, begin, end, Rows(given, 0, columns), codes, tokens, Rows(to, 0, stride), gates)
        for t in range(tokens):
            swiglu(gates, out, t * stride + begin * GROUP, (end - begin) * GROUP)


@entry
def normalise(floats, at, width, epsilon, x, out):
    """Every row of `width` numbers normalised, with the weights that begin at `at`."""
    given = as_writable(x)
    for row in range(0, len(x), width):
        rms_norm(given, row, width, floats, at, epsilon, out, row)


@entry
def rotate(x, tokens, head_dim, positions, cosines, sines, interleaved):
    """Every head of every token turned in place by the angles of its token's position."""
    per_token = len(x) // tokens
    for t in range(tokens):
        for head in range(t * per_token, (t + 1) * per_token, head_dim):
            rope(x, head, head_dim, cosines, sines, positions[t] * (head_dim // 2), interleaved)


@entry
def attend(
    thread,
    threads,
    state,
    x,
    heads,
    layer,
    window,
    positions,
    pages,
    q,
    query_codes,
    query_scales,
    firsts,
    limits,
    scores,
    weight_codes,
    out,
    row,
):
    """Store the keys and values of consecutive tokens of one sequence, then let every query see what it may.

    x: rows of queries, keys and values; the results replace the queries. heads: int64, the fields below. From q on:
    each thread's own scratch, as steps.Work has it.
    """
    stride, k_column, v_column = heads[STRIDE], heads[K_COLUMN], heads[V_COLUMN]
    dim, group, kv_heads, codes_kv = heads[HEAD_DIM], heads[GROUP_SIZE], heads[KV_HEADS], heads[CODES_KV] != 0
    crew, tokens = Crew(thread, threads, state, (0, 0)), len(positions)
    works = Work(q, query_codes, query_scales, firsts, limits, scores, weight_codes, out, row)
    work = work_of(works, thread)
    while True:
        piece = claim(crew, STORED, 1)
        if piece >= tokens * kv_heads:
            break
        t, head = divmod(piece, kv_heads)
        key, value = t * stride + k_column + head * dim, t * stride + v_column + head * dim
        page, place = positions[t] // PAGE, layer * kv_heads + head
        if codes_kv:
            store_codes(pages, page, place, dim, positions[t], x, key, value, work.row, x)
        else:
            store_floats(pages, page, place, dim, positions[t], x, key, value, x)
    meet(crew)
    while True:
        piece = claim(crew, ATTENDED, 1)
        if piece >= (tokens + TILE - 1) // TILE * kv_heads:
            return
        first, head = piece // kv_heads * TILE, piece % kv_heads
        count, at, place = min(TILE, tokens - first), first * stride + head * group * dim, layer * kv_heads + head
        if codes_kv:
            attention_over_codes(x, at, stride, count, group, dim, positions, first, window, pages, 0, place, work)
        else:
            attention_over_floats(x, at, stride, count, group, dim, positions, first, window, pages, 0, place, work)


@entry
def gated(gate, up, out):
    """silu(gate) * up, with the arithmetic of kernels.swiglu."""
    size = len(gate)
    for i in range(0, size, 16):
        g = load_first(size - i, gate, i)
        store_first(size - i, out, i, g / (exp(fill(0.0, f32) - g) + 1.0) * load_first(size - i, up, i))
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

from ..kernels.attention import attention_over_codes, attention_over_floats
from ..kernels.elementwise import NO_TOKEN, add, likeliest, quantize, quantize_twice, rms_norm, rope, swiglu
from ..kernels.groups import ABSENT, BLOCK, COLUMNS, GROUP, LAYOUT, OFFSET, ROWS, Activations, Rows
from ..kernels.kv_pages import PAGE, store_codes, store_floats
from ..kernels.matrix import embedding, group_bytes, is_quantized, linear
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
# weights: kernels/matrix.Weights. table: int64[layers * PER_LAYER + PER_MODEL][4]. windows: int64[layers].
# cosines, sines: f32[positions * head_dim / 2].
Model = namedtuple("Model", "sizes weights table windows cosines sines")
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
# A thread's own, for attention: a block of queries (float32, and as int16 codes with a scale each), what each may see,
# their scores in a page and the weights' codes, their results, and one vector of codes. The engine's have an axis more,
# threads.
Work = namedtuple("Work", "q query_codes query_scales firsts limits scores weight_codes out row")


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
def claim_groups(crew, counter, matrix, groups, tokens):
    """Claim the next of a step's `groups`, as wide as the matrix's: (begin, end). When none is left, begin = groups.

    Several threads count their claims, and each finds the place of its own in the one sequence of shrinking runs, so
    that a claim is one addition. Runs are even numbers of groups, of which products take two at a time.
    """
    width = group_bytes(matrix[LAYOUT], matrix[COLUMNS])
    most = max(2, MOST_BYTES // (width * tokens) // 2 * 2)
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
def groups_of(matrix):
    return (matrix[ROWS] + GROUP - 1) // GROUP


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
def product(weights, matrix, begin, end, given, codes, tokens, to, spare):
    """`linear`, with a quantised matrix once for each set of codes, a Coded; given, to: Rows; spare: as large as to."""
    passes = codes.sets if is_quantized(matrix) else 1
    for number in range(passes):
        first, out = (codes.first, to.x) if number == 0 else (codes.low, spare)
        seen = Activations(given, codes.codes, first)
        linear(weights, matrix, begin, end, seen, tokens, Rows(out, to.at, to.stride))
    if passes == TWO_SETS:
        for t in range(tokens):
            place = to.at + t * to.stride + begin * GROUP
            add(to.x, place, spare, place, (end - begin) * GROUP)


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
def quantize_rows(crew, x, stride, width, sets, tokens, s):
    """So many sets of codes of the first `width` columns of every token."""
    first, step, slot = share(crew, tokens)
    for t in range(first, tokens, step):
        quantize_token(x, t * stride, width, coded(s, slot * s.room + t * (width // BLOCK), sets))


@compiled
def add_bias(weights, bias, begin, end, tokens, to):
    """Add the groups begin .. end of a bias, if there is one, to every token's of the Rows."""
    if bias[LAYOUT] != ABSENT:
        first, size = begin * GROUP, (end - begin) * GROUP
        for t in range(tokens):
            add(to.x, to.at + t * to.stride + first, weights.f32, bias[OFFSET] // 4 + first, size)


@inlined
def embed(crew, counter, model, matrix, batch, s):
    """s.x = the embeddings of the tokens. True to stop."""
    tokens = len(batch.tokens)
    while True:
        token = claim(crew, counter, 1)
        if token >= tokens:
            return wait(crew, counter, tokens)
        embedding(model.weights, matrix, batch.tokens[token], s.x, token * model.sizes.hidden_stride)
        finish(crew, counter, 1)


@inlined
def normed_rows(crew, model, tokens, s):
    """What a product reads of s.normed: (its Rows, the slot of the first of them)."""
    slot, stride = share(crew, tokens)[2], model.sizes.hidden_stride
    return Rows(s.normed, slot * stride, stride), slot


@inlined
def queries_keys_values(crew, counter, model, w, tokens, s):
    """s.qkv = the three projections of s.normed; the values see it as two sets of codes. True to stop."""
    given, slot = normed_rows(crew, model, tokens, s)
    total = groups_of(w[Q]) + groups_of(w[K]) + groups_of(w[V])
    while True:
        begin, end = claim_groups(crew, counter, w[Q], total, tokens)
        if begin == total or stopped(crew):
            return wait(crew, counter, total)
        before = 0
        for part in range(3):  # a piece may lie across two of the matrices
            matrix = w[Q + part]
            groups = groups_of(matrix)
            first, last = max(begin - before, 0), min(end - before, groups)
            if first < last:
                codes = coded(s, slot * s.room, TWO_SETS if part == V - Q else ONE_SET)
                to = Rows(s.qkv, before * GROUP, model.sizes.qkv_stride)
                product(model.weights, matrix, first, last, given, codes, tokens, to, s.spare)
                add_bias(model.weights, w[Q_BIAS + part], first, last, tokens, to)
            before += groups
        finish(crew, counter, end - begin)


@inlined
def place_heads(model, w, batch, layer, token, head, work, s):
    """Normalise (if the model does) and rotate one kv head's key and queries; store the key and the value."""
    sizes = model.sizes
    dim, group = sizes.head_dim, sizes.heads // sizes.kv_heads
    row, position = token * sizes.qkv_stride, batch.positions[token]
    key, value = row + sizes.k_column + head * dim, row + sizes.v_column + head * dim
    for h in range(group + 1):
        vector = key if h == group else row + (head * group + h) * dim
        weight = w[K_NORM] if h == group else w[Q_NORM]
        if weight[LAYOUT] != ABSENT:
            f32, at = model.weights.f32, weight[OFFSET] // 4
            rms_norm(s.qkv, vector, dim, f32, at, sizes.epsilon, s.qkv, vector)
        rope(s.qkv, vector, dim, model.cosines, model.sines, position * (dim // 2), sizes.interleaved)
    page = batch.pages_at[token] + position // PAGE
    place = layer * sizes.kv_heads + head
    if sizes.codes_kv:
        store_codes(batch.pages, page, place, dim, position, s.qkv, key, value, work.row, s.qkv)
    else:
        store_floats(batch.pages, page, place, dim, position, s.qkv, key, value, s.qkv)


@inlined
def attend(model, batch, layer, tile, head, work, s):
    """Attention of one kv head for one tile of tokens; the results replace the queries in s.qkv."""
    sizes = model.sizes
    dim, group, stride = sizes.head_dim, sizes.heads // sizes.kv_heads, sizes.qkv_stride
    first, tokens = batch.tiles[tile, 0], batch.tiles[tile, 1]
    x, place, window = first * stride + head * group * dim, layer * sizes.kv_heads + head, model.windows[layer]
    positions, pages, at = batch.positions, batch.pages, batch.pages_at[first]
    if sizes.codes_kv:
        attention_over_codes(s.qkv, x, stride, tokens, group, dim, positions, first, window, pages, at, place, work)
    else:
        attention_over_floats(s.qkv, x, stride, tokens, group, dim, positions, first, window, pages, at, place, work)


@inlined
def attend_all(crew, counter, model, w, batch, layer, work, s):
    """Attention of every tile and kv head; the claimer places a single token's. True to stop."""
    pieces = len(batch.tiles) * model.sizes.kv_heads
    while True:
        piece = claim(crew, counter, 1)
        if piece >= pieces or stopped(crew):
            return wait(crew, counter, pieces)
        tile, head = divmod(piece, model.sizes.kv_heads)
        if len(batch.tokens) == 1:
            place_heads(model, w, batch, layer, 0, head, work, s)
        attend(model, batch, layer, tile, head, work, s)
        finish(crew, counter, 1)


@inlined
def project_back(crew, counter, model, matrix, bias, given, sets, tokens, s):
    """s.x += matrix @ given + bias: what attention or the feed-forward network adds to it. True to stop."""
    stride, groups = model.sizes.hidden_stride, groups_of(matrix)
    codes, to = coded(s, share(crew, tokens)[2] * s.room, sets), Rows(s.added, 0, stride)
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        product(model.weights, matrix, begin, end, given, codes, tokens, to, s.spare)
        add_bias(model.weights, bias, begin, end, tokens, to)
        for t in range(tokens):
            at = t * stride + begin * GROUP
            add(s.x, at, s.added, at, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@inlined
def gate_and_up(crew, counter, model, w, tokens, s):
    """s.up = silu(gate @ s.normed) * (up @ s.normed), the same rows of both at a time. True to stop."""
    given, slot = normed_rows(crew, model, tokens, s)
    groups, codes, stride = groups_of(w[GATE]), coded(s, slot * s.room, ONE_SET), model.sizes.ffn_stride
    while True:
        begin, end = claim_groups(crew, counter, w[GATE], groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        for matrix, out in ((w[GATE], s.gate), (w[UP], s.up)):
            product(model.weights, matrix, begin, end, given, codes, tokens, Rows(out, 0, stride), s.spare)
        for t in range(tokens):
            swiglu(s.gate, s.up, t * stride + begin * GROUP, (end - begin) * GROUP)
        finish(crew, counter, end - begin)


@inlined
def project_logits(crew, counter, model, matrix, tokens, logits, s):
    """logits = matrix @ s.normed. True to stop."""
    given, slot = normed_rows(crew, model, tokens, s)
    groups, codes, to = groups_of(matrix), coded(s, slot * s.room, ONE_SET), Rows(logits, 0, model.sizes.logits_stride)
    while True:
        begin, end = claim_groups(crew, counter, matrix, groups, tokens)
        if begin == groups or stopped(crew):
            return wait(crew, counter, groups)
        product(model.weights, matrix, begin, end, given, codes, tokens, to, s.spare)
        finish(crew, counter, end - begin)


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

from ..kernels import candidates, packing
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
