-- Deploy hartonomous:python_runtime_reference to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/reference/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.reference__composed()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The transformer's operators over decoded weights, for queries that compose them without numba.

Activations are flat float32 arrays, one row per token, as in engine/composed. `operators` checks shapes.
"""

from . import operators


class NumpyOperators:
    """The operators of one NumpyEngine's model. `checkpoint` is called every few milliseconds of work."""

    def __init__(self, engine, checkpoint):
        self.engine = engine
        self._weights = engine.weights
        self._checkpoint = checkpoint
        self.shapes = {}  # of tensors, as sql/operators has looked them up

    def new_cache(self):
        """An empty KVCache for this model."""
        return self.engine.new_cache()

    def shape(self, name):
        """The shape of a tensor. KeyError for an unknown name."""
        return self._weights[name].shape

    def embedding(self, tokens):
        """int[n] -> [n, hidden]."""
        return operators.embedding(tokens, self._weights["token_embd.weight"])

    def linear(self, x, weight, bias=None, residual=None):
        """x @ weight.T + bias + residual: [n * columns] (and [n * rows]) -> [n, rows]."""
        matrix, vector = self._weights[weight], None if bias is None else self._weights[bias]
        y = operators.linear(x.reshape(-1, matrix.shape[1]), matrix, vector, checkpoint=self._checkpoint)
        return y if residual is None else y + residual.reshape(y.shape)

    def queries_keys_values(self, x, layer, positions):
        """A layer's queries, keys and values: [n * hidden], int[n] -> [n, heads, head_dim], keys and values."""
        a, blk = self.engine.architecture, f"blk.{layer}.attn_"
        q, k, v = (self.linear(x, f"{blk}{y}.weight", f"{blk}{y}.bias" if a.attention_bias else None) for y in "qkv")
        if a.qk_norm:
            q, k = (self.rms_norm(y, f"{blk}{n}_norm.weight", a.norm_epsilon) for y, n in ((q, "q"), (k, "k")))
        return self.rope(q, positions), self.rope(k, positions), v

    def swiglu(self, x, gate, up):
        """silu(x @ gate.T) * (x @ up.T): [n * columns] -> [n, rows]."""
        return operators.swiglu(self.linear(x, gate), self.linear(x, up))

    def rms_norm(self, x, weight, epsilon):
        """Rows as wide as the weight, each normalised."""
        scale = self._weights[weight]
        return operators.rms_norm(x.reshape(-1, len(scale)), scale, epsilon)

    def rope(self, x, positions):
        """Rotate every head by its token's position: [n * heads * head_dim], int[n]."""
        a = self.engine.architecture
        per_token = x.reshape(len(positions), -1, a.head_dim)
        return operators.rope(per_token, positions, self.engine.frequencies, a.rope_interleaved)

    def attention(self, q, k, v, cache, layer, positions):
        """Store keys and values in a KVCache with space for them; queries attend to all positions up to their own."""
        a, n = self.engine.architecture, len(positions)
        k, v = (part.reshape(n, a.kv_heads, a.head_dim) for part in (k, v))
        keys, values = cache.store(layer, positions, k, v)
        queries = q.reshape(n, a.heads, a.head_dim)
        return operators.attention(queries, keys, values, positions, a.window(layer), checkpoint=self._checkpoint)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.reference__composed() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.reference__composed() IS
'The transformer''s operators over decoded weights, for queries that compose them without numba.';

CREATE OR REPLACE FUNCTION llm_runtime.reference__decoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The reference engine: a Llama-line transformer in numpy, float32 throughout, KV cache included.

`block` defines the dataflow of a layer. llm.forward makes the same calls of `operators` as one SQL query, in the same
chunks, and gets the same bits. Faster engines are compared with this one.
"""

import numpy as np

from ..model.decoder import ROPE_DIVISORS
from ..server import errors
from . import operators

PREFILL_CHUNK = 64  # tokens computed together, the same as in deploy/function_forward.sql; decoding computes one
LOGITS_CHUNK = 16  # rows computed together by the output head, if all positions are wanted


class KVCache:
    """Keys and values of the positions already computed: for each layer f32 [capacity, kv_heads, head_dim] twice.

    The capacity doubles as needed up to the context length. `length` positions are valid.
    """

    def __init__(self, architecture):
        self.length = 0
        self.capacity = 0
        self.architecture = architecture
        empty = (0, architecture.kv_heads, architecture.head_dim)
        self._keys = [np.empty(empty, np.float32) for _ in range(architecture.layers)]
        self._values = [np.empty(empty, np.float32) for _ in range(architecture.layers)]

    def reserve(self, tokens):
        """Make room for `tokens` more positions. ModelError 53400 when the context length does not allow them."""
        needed = self.length + tokens
        self.architecture.require_room(self.length, tokens)
        if needed > self.capacity:
            self.capacity = min(self.architecture.context_length, max(needed, 2 * self.capacity, PREFILL_CHUNK))
            for arrays in (self._keys, self._values):
                arrays[:] = [self._grown(array) for array in arrays]

    def store(self, layer, positions, k, v):
        """Put k and v [n, kv_heads, head_dim] at their positions; return all up to them, [last position + 1, ...]."""
        start, end = positions[0], positions[-1] + 1
        self._keys[layer][start:end] = k
        self._values[layer][start:end] = v
        return self._keys[layer][:end], self._values[layer][:end]

    def truncate(self, length):
        """Forget the positions from `length` on."""
        if not 0 <= length <= self.length:
            raise errors.invalid_parameter(f"cannot truncate a cache of {self.length} positions to {length}")
        self.length = length

    def _grown(self, array):
        grown = np.empty((self.capacity, *array.shape[1:]), np.float32)
        grown[: self.length] = array[: self.length]
        return grown


class NumpyEngine:
    """architecture: an Architecture. weights: a mapping from tensor name to float32 array, read again at each use."""

    def __init__(self, architecture, weights):
        self.architecture = architecture
        self.weights = weights
        self.frequencies = architecture.rope_frequencies(weights.get(ROPE_DIVISORS))

    def new_cache(self):
        """An empty KVCache for this model."""
        return KVCache(self.architecture)

    def forward(self, tokens, cache, last_only=True, checkpoint=None):
        """Logits after `tokens`, which follow the cache's: int[n] -> f32 [1, vocabulary], or [n, ...] if not last_only.

        The cache's length grows at the very end, so an exception leaves the cache unchanged. Raises ModelError 22023
        without tokens or for one outside the vocabulary, 53400 if they do not fit in the context.
        """
        tokens = np.asarray(tokens, np.int64)
        if len(tokens) == 0:
            raise errors.invalid_parameter("there must be at least one token")
        cache.reserve(len(tokens))
        logits = np.empty((1 if last_only else len(tokens), self.architecture.vocabulary_size), np.float32)
        for start in range(0, len(tokens), PREFILL_CHUNK):
            x = self.hidden(tokens[start : start + PREFILL_CHUNK], cache.length + start, cache, checkpoint)
            if not last_only:
                for row in range(0, len(x), LOGITS_CHUNK):
                    few = x[row : row + LOGITS_CHUNK]
                    logits[start + row : start + row + len(few)] = self.logits(few, checkpoint)
        if last_only:
            logits[:] = self.logits(x[-1:], checkpoint)
        cache.length += len(tokens)
        return logits

    def states(self, texts, checkpoint=None):
        """The outputs of the last norm for each text's tokens: [int[n], ...] -> [f32[n, hidden_size], ...]."""
        return [self._states(np.asarray(tokens, np.int64), checkpoint) for tokens in texts]

    def _states(self, tokens, checkpoint):
        cache = self.new_cache()
        cache.reserve(len(tokens))
        chunks = [
            self.hidden(tokens[start : start + PREFILL_CHUNK], start, cache, checkpoint)
            for start in range(0, len(tokens), PREFILL_CHUNK)
        ]
        return operators.rms_norm(
            np.concatenate(chunks), self.weights["output_norm.weight"], self.architecture.norm_epsilon
        )

    def hidden(self, tokens, first, cache, checkpoint=None):
        """One chunk, at positions first, first + 1, ..., through all layers: int[n] -> [n, hidden_size]."""
        positions = np.arange(first, first + len(tokens))
        x = operators.embedding(tokens, self.weights["token_embd.weight"])
        for layer in range(self.architecture.layers):
            x = self.block(layer, x, positions, cache, checkpoint)
        return x

    def block(self, layer, x, positions, cache, checkpoint=None):
        """One layer: [n, hidden_size] -> [n, hidden_size]."""
        a = self.architecture
        n = len(x)

        def weight(name):
            return self.weights[f"blk.{layer}.{name}.weight"]

        def linear(x, name, has_bias=False):
            bias = self.weights[f"blk.{layer}.{name}.bias"] if has_bias else None
            return operators.linear(x, weight(name), bias, checkpoint=checkpoint)

        h = operators.rms_norm(x, weight("attn_norm"), a.norm_epsilon)
        q = linear(h, "attn_q", a.attention_bias).reshape(n, a.heads, a.head_dim)
        k = linear(h, "attn_k", a.attention_bias).reshape(n, a.kv_heads, a.head_dim)
        v = linear(h, "attn_v", a.attention_bias).reshape(n, a.kv_heads, a.head_dim)
        if a.qk_norm:
            q = operators.rms_norm(q, weight("attn_q_norm"), a.norm_epsilon)
            k = operators.rms_norm(k, weight("attn_k_norm"), a.norm_epsilon)
        q = operators.rope(q, positions, self.frequencies, a.rope_interleaved)
        k = operators.rope(k, positions, self.frequencies, a.rope_interleaved)
        keys, values = cache.store(layer, positions, k, v)
        y = operators.attention(q, keys, values, positions, a.window(layer), checkpoint=checkpoint)
        x = x + linear(y.reshape(n, a.heads * a.head_dim), "attn_output", a.attention_output_bias)

        h = operators.rms_norm(x, weight("ffn_norm"), a.norm_epsilon)
        gated = operators.swiglu(linear(h, "ffn_gate"), linear(h, "ffn_up"))
        return x + linear(gated, "ffn_down")

    def logits(self, x, checkpoint=None):
        """The output head: [n, hidden_size] -> [n, vocabulary_size]."""
        h = operators.rms_norm(x, self.weights["output_norm.weight"], self.architecture.norm_epsilon)
        head = "token_embd.weight" if self.architecture.tied_embeddings else "output.weight"
        return operators.linear(h, self.weights[head], checkpoint=checkpoint)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.reference__decoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.reference__decoder() IS
'The reference engine: a Llama-line transformer in numpy, float32 throughout, KV cache included.';

CREATE OR REPLACE FUNCTION llm_runtime.reference__encoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The reference encoder: a BERT-line transformer in numpy, float32 throughout, a text at a time.

`block` defines the dataflow of a layer; the compiled encoder is compared with this one. Norms come after each residual
connection, as in the original transformer (1706.03762).
"""

from . import operators


class NumpyEncoder:
    """architecture: an EncoderArchitecture. weights: a mapping from tensor name to float32 array."""

    def __init__(self, architecture, weights):
        self.architecture = architecture
        self.weights = weights

    def states(self, texts, checkpoint=None):
        """The last layer's vectors of each text's tokens: [int[n], ...] -> [f32[n, hidden_size], ...].

        Raises ModelError 22023 for a token outside the vocabulary. What `checkpoint` raises ends the call.
        """
        return [self._text(tokens, checkpoint) for tokens in texts]

    def _text(self, tokens, checkpoint):
        x = operators.embedding(tokens, self.weights["token_embd.weight"])
        x = x + self.weights["token_types.weight"][0] + self.weights["position_embd.weight"][: len(tokens)]
        x = self._norm(x, "token_embd_norm")
        for layer in range(self.architecture.layers):
            x = self.block(layer, x, checkpoint)
        return x

    def block(self, layer, x, checkpoint=None):
        """One layer: [n, hidden_size] -> [n, hidden_size]."""
        blk = f"blk.{layer}."
        q, k, v = (self._heads(self._linear(x, blk + name, checkpoint)) for name in ("attn_q", "attn_k", "attn_v"))
        seen = operators.full_attention(q, k, v, checkpoint=checkpoint).reshape(x.shape)
        x = self._norm(x + self._linear(seen, blk + "attn_output", checkpoint), blk + "attn_output_norm")
        hidden = operators.gelu(self._linear(x, blk + "ffn_up", checkpoint))
        return self._norm(x + self._linear(hidden, blk + "ffn_down", checkpoint), blk + "layer_output_norm")

    def _heads(self, x):
        return x.reshape(len(x), self.architecture.heads, self.architecture.head_dim)

    def _linear(self, x, name, checkpoint):
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return operators.linear(x, weight, bias, checkpoint=checkpoint)

    def _norm(self, x, name):
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return operators.layer_norm(x, weight, bias, self.architecture.norm_epsilon)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.reference__encoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.reference__encoder() IS
'The reference encoder: a BERT-line transformer in numpy, float32 throughout, a text at a time.';

CREATE OR REPLACE FUNCTION llm_runtime.reference__operators()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The arithmetic of the transformer: pure functions from float32 arrays to float32 arrays.

n is the number of tokens computed now, m the number of positions that they may attend to (m >= n: the KV cache and
themselves). Every array is [n, width], one row per token, C-contiguous and aligned; heads are a reshape of it.
The SQL operators and `decoder` use the same functions. A result depends only on the values and shapes of the arguments,
so two programs that make the same calls get the same bits. A `checkpoint` is called every few milliseconds of work; an
exception of it ends the computation.
"""

import math

import numpy as np

from ..server import errors

LINEAR_STEP = 1 << 25  # multiply-adds between checkpoints: 128 MB of weights for one token, under 10 ms
SCORES_STEP = 1 << 21  # attention scores between checkpoints


def embedding(tokens, table):
    """The row of each token: int[n], [vocabulary, hidden] -> [n, hidden]. ModelError 22023 outside the vocabulary."""
    tokens = np.asarray(tokens, np.int64)
    for token in tokens[(tokens < 0) | (tokens >= table.shape[0])]:
        raise errors.invalid_parameter(
            f"token {token} is outside the vocabulary", f"token ids are 0 to {table.shape[0] - 1}"
        )
    return table[tokens]


def linear(x, weight, bias=None, *, checkpoint=None):
    """x @ weight.T + bias: [n, columns], [rows, columns], [rows] -> [n, rows], some rows of the weight at a time."""
    rows, columns = weight.shape
    step = max(1, LINEAR_STEP // (columns * max(1, len(x))))
    y = np.empty((len(x), rows), np.float32)
    for start in range(0, rows, step):
        y[:, start : start + step] = x @ weight[start : start + step].T
        if checkpoint is not None:
            checkpoint()
    return y if bias is None else y + bias


def rms_norm(x, weight, epsilon):
    """x / sqrt(mean(x^2) + epsilon) * weight over the last axis: [..., width] -> [..., width] (1910.07467)."""
    mean_square = np.mean(x * x, axis=-1, keepdims=True)
    return x / np.sqrt(mean_square + np.float32(epsilon)) * weight


def layer_norm(x, weight, bias, epsilon):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis: [..., width] (1607.06450)."""
    centered = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centered * centered, axis=-1, keepdims=True)
    return centered / np.sqrt(variance + np.float32(epsilon)) * weight + bias


def rope(x, positions, frequencies, interleaved):
    """Rotate each pair of a head by position * frequency: [n, heads, head_dim], int[n], [head_dim / 2] (2104.09864).

    interleaved: the pairs are (2i, 2i + 1), as in GGUF's llama files; otherwise (i, i + head_dim / 2), as in Hugging
    Face's. The same model in the other convention has the rows of its q and k weights permuted.
    """
    angles = np.asarray(positions, np.float32)[:, None, None] * frequencies  # [n, 1, head_dim / 2]
    cos, sin = np.cos(angles), np.sin(angles)
    half = x.shape[-1] // 2
    first, second = (np.s_[..., 0::2], np.s_[..., 1::2]) if interleaved else (np.s_[..., :half], np.s_[..., half:])
    y = np.empty_like(x)
    y[first] = x[first] * cos - x[second] * sin
    y[second] = x[second] * cos + x[first] * sin
    return y


def softmax(x):
    """exp(x) / sum(exp(x)) over the last axis; a score of -inf gets weight 0."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def attention(q, k, v, positions, window=None, *, checkpoint=None):
    """Causal attention: q [n, heads, head_dim], k and v [m, kv_heads, head_dim] -> [n, heads, head_dim] (1706.03762).

    Row j of k and v is position j; positions (int[n]) are the queries' own. Query head h reads kv head
    h // (heads / kv_heads) (GQA, 2305.13245). A query sees the keys j <= position, with a window also only
    j > position - window (Mistral, 2310.06825, as transformers masks).
    """
    n, heads, head_dim = q.shape
    m, kv_heads, _ = k.shape
    group = heads // kv_heads
    keys, values = k.transpose(1, 2, 0), v.transpose(1, 0, 2)  # [kv_heads, head_dim, m], [kv_heads, m, head_dim]
    y = np.empty_like(q)
    step = max(1, SCORES_STEP // (heads * m))
    for start in range(0, n, step):
        now = slice(start, min(n, start + step))
        queries = q[now].reshape(-1, kv_heads, group, head_dim).transpose(1, 0, 2, 3).reshape(kv_heads, -1, head_dim)
        scores = (queries @ keys) * np.float32(head_dim**-0.5)  # [kv_heads, queries * group, m]
        unseen = np.repeat(~visible(positions[now], m, window), group, axis=0)
        mixed = softmax(np.where(unseen, np.float32(-np.inf), scores)) @ values
        y[now] = mixed.reshape(kv_heads, -1, group, head_dim).transpose(1, 0, 2, 3).reshape(-1, heads, head_dim)
        if checkpoint is not None:
            checkpoint()
    return y


def full_attention(q, k, v, *, checkpoint=None):
    """Attention of an encoder, every token to every: q, k, v [n, heads, head_dim] -> [n, heads, head_dim]."""
    queries, keys, values = q.transpose(1, 0, 2), k.transpose(1, 2, 0), v.transpose(1, 0, 2)
    mixed = softmax((queries @ keys) * np.float32(q.shape[-1] ** -0.5)) @ values  # [heads, n, head_dim]
    if checkpoint is not None:
        checkpoint()
    return np.ascontiguousarray(mixed.transpose(1, 0, 2))


def visible(positions, m, window=None):
    """Which of the keys 0 .. m - 1 each query sees: int[n] -> bool[n, m]."""
    query, key = np.asarray(positions)[:, None], np.arange(m)[None, :]
    return key <= query if window is None else (key <= query) & (key > query - window)


def swiglu(gate, up):
    """silu(gate) * up with silu(g) = g / (1 + exp(-g)): [n, ffn], [n, ffn] -> [n, ffn] (2002.05202)."""
    with np.errstate(over="ignore"):  # exp(-g) is inf for g < -88, and g / inf is the right 0
        return gate / (1 + np.exp(-gate)) * up


def gelu(x):
    """x * (1 + erf(x / sqrt(2))) / 2, number by number: [...] -> [...] (1606.08415, the exact form, as BERT has it)."""
    return (x * 0.5 * (1 + _erf(x * math.sqrt(0.5)).astype(np.float64))).astype(np.float32)


_erf = np.frompyfunc(math.erf, 1, 1)  # numpy has none


def pooled(x, pooling):
    """One vector for a text: [n, width] -> [width]. pooling: "mean" of all rows, "cls" the first, "last" the last."""
    if pooling == "mean":
        return np.mean(x, axis=0, dtype=np.float64).astype(np.float32)
    return x[{"cls": 0, "last": -1}[pooling]].copy()


def normalized(x):
    """x / max(|x|, 1e-12): [width] -> [width]."""
    length = np.sqrt(np.sum(np.square(x, dtype=np.float64)))
    return (x / max(length, 1e-12)).astype(np.float32)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.reference__operators() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.reference__operators() IS
'The arithmetic of the transformer: pure functions from float32 arrays to float32 arrays.';

COMMIT;
