"""The reference engine: a Llama-line transformer in numpy, float32 throughout, KV cache included.

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
