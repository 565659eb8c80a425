"""Qwen2 and Qwen2.5: biases on q, k and v; some layers may have a sliding window."""

from gguf.constants import MODEL_ARCH

from ..fields import Fields
from .base import Family, qwen_windows


def from_config(config: Fields) -> dict:
    return {"windows": qwen_windows(config, config.integer("num_hidden_layers"))}


FAMILY = Family(
    name="qwen2",
    gguf_name="qwen2",
    model_type="qwen2",
    tensor_names=MODEL_ARCH.QWEN2,
    gguf_interleaves=False,
    always={"attention_bias": True},
    from_config=from_config,
)
