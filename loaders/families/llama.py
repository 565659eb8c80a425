"""Llama 2 and 3: grouped queries, no biases unless `attention_bias`, which then also gives the output one.

Llama 3's rope scaling is the tensor rope_freqs.weight in GGUF and "llama3" in config.json, read for every family.
"""

from gguf.constants import MODEL_ARCH

from ..fields import Fields
from .base import Family


def from_config(config: Fields) -> dict:
    bias = config.flag("attention_bias", False)
    return {"attention_bias": bias, "attention_output_bias": bias}


FAMILY = Family(
    name="llama",
    gguf_name="llama",
    model_type="llama",
    tensor_names=MODEL_ARCH.LLAMA,
    gguf_interleaves=True,
    always={},
    from_config=from_config,
)
