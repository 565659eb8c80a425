"""The transformer's operators over decoded weights, for queries that compose them without numba.

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
