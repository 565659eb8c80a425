"""Mistral: Llama with a sliding window in every layer, or none. In GGUF it has no name of its own: it is "llama"."""

from gguf.constants import MODEL_ARCH

from ..fields import Fields
from .base import Family


def from_config(config: Fields) -> dict:
    window = config.integer("sliding_window", None)
    return {"windows": None if window is None else [window] * config.integer("num_hidden_layers")}


FAMILY = Family(
    name="mistral",
    gguf_name=None,
    model_type="mistral",
    tensor_names=MODEL_ARCH.LLAMA,
    gguf_interleaves=True,
    always={},
    from_config=from_config,
)
