"""A Hugging Face folder as a SourceModel: config.json, safetensors (one file or shards), tokenizer, chat template.

Tensors keep their bytes and get their GGUF names. Everything small that stands beside the weights is kept too, so that
the folder can be given back as it was.
"""

from pathlib import Path

from gguf import get_tensor_name_map

from plpython.architecture import Architecture
from plpython.encoder_architecture import EncoderArchitecture

from .config_architecture import family_of, read_architecture
from .encoder_folder import companions as encoder_companions
from .encoder_folder import read_encoder
from .errors import SourceError
from .families import EncoderFamily, Family
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
    family = family_of(config)
    is_encoder = isinstance(family, EncoderFamily)
    architecture = read_encoder(folder, config, family.name) if is_encoder else read_architecture(config)
    weights = (_EncoderNames if is_encoder else _WeightNames)(family, architecture)
    tensors, files = [], []
    for path in _weight_files(folder):
        data, stored = read_safetensors(path)
        placed = [(tensor.offset, weights.source_tensor(tensor)) for tensor in stored if weights.is_used(tensor)]
        tensors += [tensor for _, tensor in placed]
        files.append(SourceFile(path.name, segments_of(data, placed)))
    _check(architecture, tensors)
    definition, settings = read_tokenizer(folder, config, architecture.vocabulary_size, is_encoder)
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

    def __init__(self, family: Family, architecture: Architecture):
        self._names = get_tensor_name_map(family.tensor_names, architecture.layers)
        self._tied = architecture.tied_embeddings

    def is_used(self, tensor: StoredTensor) -> bool:
        """False for what transformers ignores too: a stored copy of a tied head, precomputed frequencies."""
        return not (tensor.name.endswith(COMPUTED) or (self._tied and tensor.name == "lm_head.weight"))

    def own_name(self, tensor: StoredTensor) -> str:
        """The name that gguf's table knows."""
        return tensor.name

    def source_tensor(self, tensor: StoredTensor) -> SourceTensor:
        name = self._names.get_name(self.own_name(tensor), try_suffixes=SUFFIXES)
        if name is None or not name.endswith(SUFFIXES):
            raise SourceError(f'tensor "{tensor.name}" is not part of the architecture')
        if tensor.type not in TYPES:
            hint = f"Supported are {', '.join(TYPES)}."
            raise SourceError(f'tensor "{tensor.name}" has type {tensor.type}, which is not supported', hint)
        return SourceTensor(name, TYPES[tensor.type], tensor.shape, tensor.data)


class _EncoderNames(_WeightNames):
    """The same of an encoder, whose checkpoints may have its class before each name, and heads of its training."""

    def __init__(self, family: EncoderFamily, architecture: EncoderArchitecture):
        self._names = get_tensor_name_map(family.tensor_names, architecture.layers)
        self._family = family

    def is_used(self, tensor: StoredTensor) -> bool:
        """False for what makes no embedding, and for positions that are stored as numbers."""
        return not self.own_name(tensor).startswith(self._family.unused)

    def own_name(self, tensor: StoredTensor) -> str:
        """The name without the class."""
        return tensor.name.removeprefix(self._family.prefix)


def _check(architecture: Architecture | EncoderArchitecture, tensors: list[SourceTensor]) -> None:
    shapes = {}
    for tensor in tensors:
        if tensor.name in shapes:
            raise SourceError(f'tensor "{tensor.name}" appears twice')
        shapes[tensor.name] = tensor.shape
    architecture.check_tensors(shapes)


def _order(architecture: Architecture | EncoderArchitecture):
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
    paths += encoder_companions(folder)
    sizes = {path: path.stat().st_size for path in paths}
    return [
        SourceFile(path.relative_to(folder).as_posix(), (Segment(literal=mapped(path)),) if sizes[path] else ())
        for path in paths
        if sizes[path] <= LARGEST_COMPANION
    ]
