"""Qwen3: q and k are normalised per head before rope, heads have a size of their own, biases are optional."""

from gguf.constants import MODEL_ARCH

from plpython.model.decoder import Architecture

from ..source.fields import Fields
from ..source.known_keys import Keys
from .base import QWEN_KEYS, Family, qwen_windows, sliding_layers

KEYS = QWEN_KEYS | Keys(used=("attention_bias",))


def from_config(config: Fields) -> dict:
    bias = config.flag("attention_bias")
    return {
        "attention_bias": bias,
        "attention_output_bias": bias,
        "windows": qwen_windows(config, config.integer("num_hidden_layers")),
    }


def to_config(architecture: Architecture) -> dict:
    return {"attention_bias": architecture.attention_bias} | sliding_layers(architecture.windows)


FAMILY = Family(
    name="qwen3",
    gguf_name="qwen3",
    model_type="qwen3",
    transformers_class="Qwen3ForCausalLM",
    tensor_names=MODEL_ARCH.QWEN3,
    gguf_interleaves=False,
    keys=KEYS,
    always={"qk_norm": True},
    from_config=from_config,
    to_config=to_config,
)
