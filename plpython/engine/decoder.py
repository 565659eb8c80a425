"""The compiled engine: the interface of reference/decoder, over packed weights and one compiled forward pass.

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
