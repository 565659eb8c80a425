"""The encoder at the machine's speed: the interface of reference/encoder over packed weights and one compiled pass.

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
