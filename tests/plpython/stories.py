"""The architecture of stories260K, whose weights and logits are check data."""

from plpython.architecture import Architecture

STORIES = Architecture(
    family="llama",
    vocabulary_size=512,
    hidden_size=64,
    layers=5,
    heads=8,
    kv_heads=4,
    head_dim=8,
    ffn_size=172,
    context_length=2048,
    norm_epsilon=1e-5,
    rope_theta=10000.0,
    rope_interleaved=True,
)
