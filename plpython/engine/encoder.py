"""The compiled encoder: the interface of reference/encoder, over packed weights and one compiled pass.

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
