"""Mistral: Llama with a sliding window in every layer, or none, or as `layer_types` says (Ministral).

In GGUF it has no name of its own: it is "llama". What other families make of windows (`max_window_layers`), it ignores.
"""

from gguf.constants import MODEL_ARCH

from plpython.model.decoder import Architecture

from ..source.fields import Fields
from ..source.known_keys import Keys
from .base import Family, sliding_layers, stated_windows

KEYS = Keys(
    used=("sliding_window",),
    harmless_at={"attention_bias": (False,), "mlp_bias": (False,)},
    harmless=("use_sliding_window", "max_window_layers", "pretraining_tp"),
)


def from_config(config: Fields) -> dict:
    window, layers = config.integer("sliding_window", None), config.integer("num_hidden_layers")
    return {"windows": stated_windows(config, layers, window) or [window] * layers}


def to_config(architecture: Architecture) -> dict:
    """One window for all layers, unless `layer_types` says otherwise."""
    windows = architecture.windows or (None,)
    return {"sliding_window": windows[0]} if len(set(windows)) == 1 else sliding_layers(windows)


FAMILY = Family(
    name="mistral",
    gguf_name=None,
    model_type="mistral",
    transformers_class="MistralForCausalLM",
    tensor_names=MODEL_ARCH.LLAMA,
    gguf_interleaves=True,
    keys=KEYS,
    always={},
    from_config=from_config,
    to_config=to_config,
)
