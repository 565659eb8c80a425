"""The reference encoder: a BERT-line transformer in numpy, float32 throughout, a text at a time.

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
