"""What a family states, and the windows that several of them share."""

from collections.abc import Callable
from dataclasses import dataclass, field

from gguf.constants import MODEL_ARCH

from plpython.model.decoder import Architecture

from ..errors import SourceError
from ..source.fields import Fields, quoted
from ..source.known_keys import Keys

Windows = list[int | None]


@dataclass(frozen=True)
class Family:
    """A decoder of the Llama line; everything not said here is read the same way for all.

    name: the name of its file, and what a stored model is called by. gguf_name: its general.architecture, None if it
    has none of its own. model_type: its name in config.json. transformers_class: the class that runs it.
    tensor_names: whose table of tensor names, in the gguf package, maps its Hugging Face names.
    gguf_interleaves: GGUF's converter permuted the q and k rows, so that rope rotates pairs of neighbours.
    keys: its config.json's own keys, beside those of every decoder.
    always: architecture values that every model of the family has.
    from_config: architecture values that its config.json decides. to_config: the same back, as keys of config.json.
    gguf_tensors: {what its table, and so its GGUF files, call a part of a layer: what that part is called here}.
    """

    name: str
    gguf_name: str | None
    model_type: str
    transformers_class: str
    tensor_names: MODEL_ARCH
    gguf_interleaves: bool
    keys: Keys
    always: dict
    from_config: Callable[[Fields], dict]
    to_config: Callable[[Architecture], dict]
    gguf_tensors: dict[str, str] = field(default_factory=dict)

    def renamed(self, tensor: str) -> str:
        """The name here of a tensor as its GGUF files call it, and the other way round: names are exchanged."""
        exchanged = self.gguf_tensors | {ours: theirs for theirs, ours in self.gguf_tensors.items()}
        return ".".join(exchanged.get(part, part) for part in tensor.split("."))


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

    def renamed(self, tensor: str) -> str:
        """As of a Family; all names are the same."""
        return tensor


QWEN_KEYS = Keys(
    used=("use_sliding_window", "sliding_window", "max_window_layers"),
    harmless_at={"use_mrope": (False,), "mlp_bias": (False,)},
)


def qwen_windows(config: Fields, layers: int) -> Windows:
    """The window of each layer as Qwen's classes have it: by `layer_types`, else from `max_window_layers` on."""
    window = config.integer("sliding_window", None) if config.flag("use_sliding_window") else None
    first = config.integer("max_window_layers")
    return stated_windows(config, layers, window) or [window if n >= first else None for n in range(layers)]


def stated_windows(config: Fields, layers: int, window: int | None) -> Windows | None:
    """The window of each layer as `layer_types` says it; None if it says nothing."""
    if "layer_types" not in config:
        return None
    names = config.texts("layer_types")
    if len(names) != layers:
        raise SourceError(f'config.json "layer_types" has {len(names)} entries, expected {layers}, one for each layer')
    kinds = {"sliding_attention": window, "full_attention": None}
    for name in names:
        if name not in kinds:
            raise SourceError(f"layer type {quoted(name)} is not supported", f"Supported are {', '.join(kinds)}.")
    if window is None and "sliding_attention" in names:
        raise SourceError('config.json "layer_types" has "sliding_attention", but no sliding window is in use')
    return [kinds[name] for name in names]


def sliding_layers(windows: tuple[int | None, ...] | None) -> dict:
    """Windows, all of one size, as keys of config.json: the inverse of `stated_windows`."""
    if windows is None:
        return {}
    sizes = {window for window in windows if window is not None}
    kinds = ["full_attention" if window is None else "sliding_attention" for window in windows]
    return {"use_sliding_window": True, "sliding_window": max(sizes), "layer_types": kinds}
