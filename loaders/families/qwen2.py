"""Qwen2 and Qwen2.5: biases on q, k and v, whatever `attention_bias` says; some layers may have a sliding window."""

from gguf.constants import MODEL_ARCH

from plpython.model.decoder import Architecture

from ..source.fields import Fields
from ..source.known_keys import Keys
from .base import QWEN_KEYS, Family, qwen_windows, sliding_layers

KEYS = QWEN_KEYS | Keys(harmless=("attention_bias",))


def from_config(config: Fields) -> dict:
    return {"windows": qwen_windows(config, config.integer("num_hidden_layers"))}


def to_config(architecture: Architecture) -> dict:
    return sliding_layers(architecture.windows)


FAMILY = Family(
    name="qwen2",
    gguf_name="qwen2",
    model_type="qwen2",
    transformers_class="Qwen2ForCausalLM",
    tensor_names=MODEL_ARCH.QWEN2,
    gguf_interleaves=False,
    keys=KEYS,
    always={"attention_bias": True},
    from_config=from_config,
    to_config=to_config,
)
