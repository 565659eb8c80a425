"""Sizes of the models that are measured: those of models that people have, without their weights."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """A decoder's sizes. Tied: the output head is the token embedding. Bias: queries, keys and values have one."""

    name: str
    family: str  # GGUF's general.architecture
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    ffn: int
    vocabulary: int
    tied: bool
    bias: bool
    rope_base: float
    norm_epsilon: float
    context_length: int = 32768

    @property
    def head_dim(self) -> int:
        return self.hidden // self.heads

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """{GGUF name: numpy shape} of all tensors, in the order of the file."""
        shapes = {"token_embd.weight": (self.vocabulary, self.hidden), "output_norm.weight": (self.hidden,)}
        if not self.tied:
            shapes["output.weight"] = (self.vocabulary, self.hidden)
        for layer in range(self.layers):
            shapes |= {f"blk.{layer}.{name}": shape for name, shape in self._layer().items()}
        return shapes

    def _layer(self) -> dict[str, tuple[int, ...]]:
        hidden, kv_size = self.hidden, self.kv_heads * self.head_dim
        biases = {"attn_q.bias": (hidden,), "attn_k.bias": (kv_size,), "attn_v.bias": (kv_size,)}
        return {
            "attn_norm.weight": (hidden,),
            "attn_q.weight": (hidden, hidden),
            "attn_k.weight": (kv_size, hidden),
            "attn_v.weight": (kv_size, hidden),
            **(biases if self.bias else {}),
            "attn_output.weight": (hidden, hidden),
            "ffn_norm.weight": (hidden,),
            "ffn_gate.weight": (self.ffn, hidden),
            "ffn_up.weight": (self.ffn, hidden),
            "ffn_down.weight": (hidden, self.ffn),
        }


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("0.5B", "qwen2", 896, 24, 14, 2, 4864, 151936, True, True, 1e6, 1e-6),  # Qwen2.5-0.5B
        Shape("0.6B", "qwen2", 1536, 7, 12, 2, 8960, 151936, True, True, 1e6, 1e-6),  # the first quarter of the next
        Shape("1.5B", "qwen2", 1536, 28, 12, 2, 8960, 151936, True, True, 1e6, 1e-6),  # Qwen2.5-1.5B
        Shape("8B", "llama", 4096, 32, 32, 8, 14336, 128256, False, False, 5e5, 1e-5, 8192),  # Llama-3-8B
    )
}
