"""The engine at memory speed: the interface of reference/decoder over packed weights and one compiled forward.

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
