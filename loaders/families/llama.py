"""Llama 2 and 3: grouped queries, no biases unless `attention_bias`, which then also gives the output one.

Llama 3's rope scaling is the tensor rope_freqs.weight in GGUF and "llama3" in config.json, read for every family.
"""

from gguf.constants import MODEL_ARCH

from plpython.model.decoder import Architecture

from ..source.fields import Fields
from ..source.known_keys import Keys
from .base import Family, stated_windows

KEYS = Keys(
    used=("attention_bias",),
    harmless_at={
        "mlp_bias": (False,),
        "sliding_window": (),
        "use_sliding_window": (False,),
        "rope_interleaved": (False,),
    },
    harmless=("pretraining_tp", "max_window_layers", "is_llama_config"),
)


def from_config(config: Fields) -> dict:
    bias = config.flag("attention_bias")
    windows = stated_windows(config, config.integer("num_hidden_layers"), window=None)
    return {"attention_bias": bias, "attention_output_bias": bias, "windows": windows}


def to_config(architecture: Architecture) -> dict:
    return {"attention_bias": architecture.attention_bias}


FAMILY = Family(
    name="llama",
    gguf_name="llama",
    model_type="llama",
    transformers_class="LlamaForCausalLM",
    tensor_names=MODEL_ARCH.LLAMA,
    gguf_interleaves=True,
    keys=KEYS,
    always={},
    from_config=from_config,
    to_config=to_config,
)
