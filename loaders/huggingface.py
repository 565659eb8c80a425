"""A Hugging Face folder as a SourceModel: config.json, safetensors (one file or shards), tokenizer, chat template.

Tensors keep their bytes and get their GGUF names. Everything small that stands beside the weights is kept too, so that
the folder can be given back as it was.
"""

from pathlib import Path

from gguf import get_tensor_name_map

from plpython.architecture import Architecture

from .config_architecture import family_of, read_architecture
from .errors import SourceError
from .fields import Fields, read_json
from .files import mapped
from .huggingface_tokenizer import read_tokenizer
from .model import Segment, SourceFile, SourceModel, SourceTensor, segments_of
from .safetensors_file import TYPES, StoredTensor, read_safetensors

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
COMPANIONS = (".json", ".jinja", ".model", ".txt", ".md")
LARGEST_COMPANION = 64 << 20
COMPUTED = ".rotary_emb.inv_freq"  # old Llama checkpoints store what the configuration determines
SUFFIXES = (".weight", ".bias")


def read_folder(folder: Path) -> SourceModel:
    """The model in the folder. Raises SourceError or ModelError, which name what is broken or unsupported."""
    if not (folder / "config.json").is_file():
        raise SourceError(f"{folder} has no config.json", "A Hugging Face model is a folder with one.")
    config = Fields("config.json", read_json(folder / "config.json"))
    architecture = read_architecture(config)
    weights = _WeightNames(config, architecture)
    tensors, files = [], []
    for path in _weight_files(folder):
        data, stored = read_safetensors(path)
        placed = [(tensor.offset, weights.source_tensor(tensor)) for tensor in stored if weights.is_used(tensor)]
        tensors += [tensor for _, tensor in placed]
        files.append(SourceFile(path.name, segments_of(data, placed)))
    _check(architecture, tensors)
    definition, settings = read_tokenizer(folder, config, architecture.vocabulary_size)
    return SourceModel(
        container="huggingface",
        architecture=architecture,
        tokenizer_definition=definition,
        tokenizer_settings=settings,
        tensors=tuple(sorted(tensors, key=_order(architecture))),
        files=(*_companions(folder), *files),
    )


class _WeightNames:
    """Which tensors of a checkpoint are the model's, and what they are called there."""

    def __init__(self, config: Fields, architecture: Architecture):
        self._names = get_tensor_name_map(family_of(config).tensor_names, architecture.layers)
        self._tied = architecture.tied_embeddings

    def is_used(self, tensor: StoredTensor) -> bool:
        """False for what transformers ignores too: a stored copy of a tied head, precomputed frequencies."""
        return not (tensor.name.endswith(COMPUTED) or (self._tied and tensor.name == "lm_head.weight"))

    def source_tensor(self, tensor: StoredTensor) -> SourceTensor:
        name = self._names.get_name(tensor.name, try_suffixes=SUFFIXES)
        if name is None or not name.endswith(SUFFIXES):
            raise SourceError(f'tensor "{tensor.name}" is not part of the architecture')
        if tensor.type not in TYPES:
            hint = f"Supported are {', '.join(TYPES)}."
            raise SourceError(f'tensor "{tensor.name}" has type {tensor.type}, which is not supported', hint)
        return SourceTensor(name, TYPES[tensor.type], tensor.shape, tensor.data)


def _check(architecture: Architecture, tensors: list[SourceTensor]) -> None:
    shapes = {}
    for tensor in tensors:
        if tensor.name in shapes:
            raise SourceError(f'tensor "{tensor.name}" appears twice')
        shapes[tensor.name] = tensor.shape
    architecture.check_tensors(shapes)


def _order(architecture: Architecture):
    """The architecture's own order, whatever the shards' order was."""
    ordinals = {name: n for n, name in enumerate(architecture.tensors())}
    return lambda tensor: ordinals.get(tensor.name, len(ordinals))


def _weight_files(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        return _shards(folder)
    found = [folder / SINGLE] if (folder / SINGLE).is_file() else sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        raise SourceError(f"{folder} has {len(found)} safetensors files and no {INDEX}")
    return found


def _shards(folder: Path) -> list[Path]:
    names = set(Fields(INDEX, read_json(folder / INDEX)).nested("weight_map").values.values())
    for name in names:
        if not isinstance(name, str) or not name or Path(name).name != name:
            raise SourceError(f"{INDEX} names {str(name)[:60]!r}, which is not a file of the folder")
    return [folder / name for name in sorted(names)]


def _companions(folder: Path) -> list[SourceFile]:
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in COMPANIONS]
    sizes = {path: path.stat().st_size for path in paths}
    return [
        SourceFile(path.name, (Segment(literal=mapped(path)),) if sizes[path] else ())
        for path in paths
        if sizes[path] <= LARGEST_COMPANION
    ]
