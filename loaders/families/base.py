"""What a family states, and the windows that two of them share."""

from collections.abc import Callable
from dataclasses import dataclass

from gguf.constants import MODEL_ARCH

from ..errors import SourceError
from ..fields import Fields


@dataclass(frozen=True)
class Family:
    """A decoder of the Llama line; everything not said here is read the same way for all.

    gguf_name: its general.architecture, None if it has none of its own. model_type: its name in config.json.
    tensor_names: whose table of tensor names, in the gguf package, maps its Hugging Face names.
    gguf_interleaves: GGUF's converter permuted the q and k rows, so that rope rotates pairs of neighbours.
    always: architecture values that every model of the family has.
    from_config: architecture values that its config.json decides.
    """

    name: str
    gguf_name: str | None
    model_type: str
    tensor_names: MODEL_ARCH
    gguf_interleaves: bool
    always: dict
    from_config: Callable[[Fields], dict]


@dataclass(frozen=True)
class EncoderFamily:
    """An encoder of the BERT line.

    gguf_name, model_type, tensor_names: as Family has them. prefix: before all names in the checkpoints of some
    classes. unused: beginnings of the names of tensors that make no embedding.
    """

    name: str
    gguf_name: str
    model_type: str
    tensor_names: MODEL_ARCH
    prefix: str
    unused: tuple[str, ...]


def qwen_windows(config: Fields, layers: int) -> list[int | None] | None:
    """The window of each layer as Qwen's configuration says it: by `layer_types`, else from `max_window_layers` on."""
    window = config.integer("sliding_window", None)
    if window is None or not config.flag("use_sliding_window", False):
        return None
    if "layer_types" not in config:
        first = config.integer("max_window_layers", layers)
        return [window if layer >= first else None for layer in range(layers)]
    kinds = {"sliding_attention": window, "full_attention": None}
    names = config.texts("layer_types")
    for name in names:
        if name not in kinds:
            raise SourceError(f'layer type "{name}" is not supported', f"Supported are {', '.join(kinds)}.")
    return [kinds[name] for name in names]
