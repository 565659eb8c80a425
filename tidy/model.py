"""A small Qwen2 in PyTorch, for training `tidy`. Its weights have GGUF's tensor names."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes; all are multiples of 32, so that every matrix can be stored as Q8_0."""

    vocabulary: int = 640
    width: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    ffn: int = 384
    context: int = 256
    epsilon: float = 1e-6
    rope_theta: float = 10000.0

    @property
    def head(self) -> int:
        return self.width // self.heads


class Block(nn.Module):
    """Attention with biased q, k, v and rotated halves, then SwiGLU, each behind an RMS norm."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        kv = shape.kv_heads * shape.head
        self.attn_norm = nn.RMSNorm(shape.width, shape.epsilon)
        self.attn_qkv = nn.Linear(shape.width, shape.width + 2 * kv)
        self.attn_output = nn.Linear(shape.width, shape.width, bias=False)
        self.ffn_norm = nn.RMSNorm(shape.width, shape.epsilon)
        self.ffn_gate_up = nn.Linear(shape.width, 2 * shape.ffn, bias=False)
        self.ffn_down = nn.Linear(shape.ffn, shape.width, bias=False)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """[batch, positions, width] -> the same."""
        s = self.shape
        batch, positions, _ = x.shape
        kv = s.kv_heads * s.head
        q, k, v = self.attn_qkv(self.attn_norm(x)).split((s.width, kv, kv), -1)
        q, k, v = (a.view(batch, positions, -1, s.head).transpose(1, 2) for a in (q, k, v))
        q, k = (a * cosine + torch.cat((-a[..., s.head // 2 :], a[..., : s.head // 2]), -1) * sine for a in (q, k))
        k, v = (a.repeat_interleave(s.heads // s.kv_heads, 1) for a in (k, v))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attn_output(mixed.transpose(1, 2).reshape(batch, positions, s.width))
        gate, up = self.ffn_gate_up(self.ffn_norm(x)).chunk(2, -1)
        return x + self.ffn_down(functional.silu(gate) * up)


class Qwen2(nn.Module):
    """The decoder; the output matrix is the embedding."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.token_embd = nn.Embedding(shape.vocabulary, shape.width)
        self.blk = nn.ModuleList(Block(shape) for _ in range(shape.layers))
        self.output_norm = nn.RMSNorm(shape.width, shape.epsilon)
        frequencies = shape.rope_theta ** -(torch.arange(0, shape.head, 2).float() / shape.head)
        angles = torch.outer(torch.arange(shape.context).float(), frequencies).repeat(1, 2)
        self.register_buffer("cosine", angles.cos(), persistent=False)
        self.register_buffer("sine", angles.sin(), persistent=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                last = name.endswith(("attn_output.weight", "ffn_down.weight"))
                nn.init.normal_(
                    parameter,
                    std=0.02
                    if "embd" in name
                    else parameter.shape[1] ** -0.5 / (2 * shape.layers if last else 1) ** 0.5,
                )
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def hidden(self, tokens: Tensor) -> Tensor:
        """[batch, positions] -> [batch, positions, width], normed."""
        x = self.token_embd(tokens)
        cosine, sine = self.cosine[: tokens.shape[1]], self.sine[: tokens.shape[1]]
        for block in self.blk:
            x = block(x, cosine, sine)
        return self.output_norm(x)

    def forward(self, tokens: Tensor) -> Tensor:
        """[batch, positions] -> logits [batch, positions, vocabulary]."""
        return functional.linear(self.hidden(tokens), self.token_embd.weight)

    def tensors(self) -> dict[str, Tensor]:
        """The weights by GGUF's names, with joined matrices split."""
        s, out = self.shape, {}
        kv = s.kv_heads * s.head
        for name, value in self.state_dict().items():
            parts = {
                "attn_qkv": (("attn_q", "attn_k", "attn_v"), (s.width, kv, kv)),
                "ffn_gate_up": (("ffn_gate", "ffn_up"), (s.ffn, s.ffn)),
            }
            joined = next((part for part in parts if f".{part}." in name), None)
            if joined:
                names, sizes = parts[joined]
                for part, piece in zip(names, value.split(sizes), strict=True):
                    out[name.replace(joined, part)] = piece
            else:
                out[name] = value
        return out
