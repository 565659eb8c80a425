"""Seed-OSS: Llama with heads of a size of their own, biases on q, k and v, and the output's bias switched for itself.

GGUF calls the norm before the feed-forward network by its place behind attention, as Hugging Face does.
"""

from gguf.constants import MODEL_ARCH

from plpython.model.decoder import Architecture

from ..source.fields import Fields
from ..source.known_keys import Keys
from .base import Family, stated_windows

KEYS = Keys(
    used=("attention_bias", "attention_out_bias"),
    harmless_at={"mlp_bias": (False,), "sliding_window": (), "use_sliding_window": (False,)},
    harmless=("pretraining_tp", "residual_dropout"),
)


def from_config(config: Fields) -> dict:
    return {
        "attention_bias": config.flag("attention_bias"),
        "attention_output_bias": config.flag("attention_out_bias"),
        "windows": stated_windows(config, config.integer("num_hidden_layers"), window=None),
    }


def to_config(architecture: Architecture) -> dict:
    return {
        "attention_bias": architecture.attention_bias,
        "attention_out_bias": architecture.attention_output_bias,
    }


FAMILY = Family(
    name="seed_oss",
    gguf_name="seed_oss",
    model_type="seed_oss",
    transformers_class="SeedOssForCausalLM",
    tensor_names=MODEL_ARCH.SEED_OSS,
    gguf_interleaves=False,
    keys=KEYS,
    always={},
    from_config=from_config,
    to_config=to_config,
    gguf_tensors={"post_attention_norm": "ffn_norm"},
)
