"""A Hugging Face folder as a SourceModel: config.json, safetensors (one file or shards), tokenizer, chat template.

Tensors keep their bytes and get their GGUF names. Everything small that stands beside the weights is kept too, so that
the folder can be given back as it was.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from gguf import get_tensor_name_map

from plpython.model.decoder import Architecture
from plpython.model.encoder import EncoderArchitecture

from ..errors import SourceError
from ..families import EncoderFamily, Family
from ..source.fields import Fields, quoted, read_json, shown
from ..source.files import can_be_a_file, mapped
from ..source.known_keys import Keys, check_keys
from ..source.model import Segment, SourceFile, SourceModel, SourceTensor, cut, segments_of
from .architecture import family_of, read_architecture
from .encoder import MODULES, check_lower_case, read_encoder
from .encoder import companions as encoder_companions
from .safetensors_file import SAFETENSORS_TYPES, StoredTensor, read_safetensors
from .tokenizer import read_tokenizer

INDEX = "model.safetensors.index.json"
INDEX_KEYS = Keys(used=("weight_map",), harmless=("metadata",))
SINGLE = "model.safetensors"
ADAPTER = "adapter_config.json"
COMPANIONS = (".json", ".jinja", ".model", ".txt", ".md")
LARGEST_COMPANION = 64 << 20
COMPUTED = ".rotary_emb.inv_freq"  # old Llama checkpoints store what the configuration determines
SUFFIXES = (".weight", ".bias")
LM_HEAD, EMBED_TOKENS = "lm_head.weight", "model.embed_tokens.weight"
COMPARED_BYTES = 1 << 20
DECODERS_EMBED = (
    f"Remove {MODULES} to load it as a decoder; llm.embed(text, model, pooling => 'last') says how it embeds."
)


@dataclass(frozen=True)
class _WeightFile:
    """A safetensors file of the folder and its tensors by offset."""

    name: str
    data: memoryview
    tensors: list[StoredTensor]


def read_folder(folder: Path) -> SourceModel:
    """The model in the folder. Raises SourceError or ModelError that names what is broken or unsupported."""
    if not (folder / "config.json").is_file():
        raise SourceError(f"{folder} has no config.json", "A Hugging Face model is a folder with one.")
    if (folder / ADAPTER).is_file():
        raise SourceError(f"{folder} has an adapter ({ADAPTER})", "Merge it into the model, or remove the file.")
    config = Fields("config.json", read_json(folder / "config.json"))
    family = family_of(config)
    is_encoder = isinstance(family, EncoderFamily)
    if not is_encoder and (folder / MODULES).is_file():
        raise SourceError(f"{MODULES} says how a decoder embeds, which is not supported", DECODERS_EMBED)
    architecture = read_encoder(folder, config, family.name) if is_encoder else read_architecture(config)
    stored = _weight_files(folder)
    if not is_encoder:
        architecture = _with_the_stored_head(architecture, stored)
    weights = (_EncoderNames if is_encoder else _WeightNames)(family, architecture)
    tensors, files = [], []
    for file in stored:
        placed = [(tensor.offset, weights.source_tensor(tensor)) for tensor in file.tensors if weights.is_used(tensor)]
        tensors += [tensor for _, tensor in placed]
        files.append(SourceFile(file.name, segments_of(file.data, placed)))
    _check(architecture, tensors)
    definition, settings = read_tokenizer(folder, config, architecture.vocabulary_size, is_encoder)
    if is_encoder:
        check_lower_case(folder, definition)
    return SourceModel(
        container="huggingface",
        architecture=architecture,
        tokenizer_definition=definition,
        tokenizer_settings=settings,
        tensors=tuple(sorted(tensors, key=_order(architecture))),
        files=(*_companions(folder), *files),
    )


def _with_the_stored_head(architecture: Architecture, files: list[_WeightFile]) -> Architecture:
    """As in transformers: a tied model with a stored head that differs from the embedding uses that head."""
    stored = {tensor.name: tensor for file in files for tensor in file.tensors}
    if (
        not architecture.tied_embeddings
        or LM_HEAD not in stored
        or _are_equal(stored[LM_HEAD], stored.get(EMBED_TOKENS))
    ):
        return architecture
    return dataclasses.replace(architecture, tied_embeddings=False)


def _are_equal(one: StoredTensor, other: StoredTensor | None) -> bool:
    """Whether two tensors have the same type, shape and bytes."""
    if other is None or (one.type, one.shape, len(one.data)) != (other.type, other.shape, len(other.data)):
        return False
    pieces = zip(cut(one.data, COMPARED_BYTES), cut(other.data, COMPARED_BYTES), strict=True)
    return all(bytes(a) == bytes(b) for a, b in pieces)


class _WeightNames:
    """Which tensors of a checkpoint are the model's, and what they are called there."""

    def __init__(self, family: Family, architecture: Architecture):
        self._family = family
        self._names = get_tensor_name_map(family.tensor_names, architecture.layers)
        self._tied = architecture.tied_embeddings

    def is_used(self, tensor: StoredTensor) -> bool:
        """Whether the model needs a tensor; not an equal copy of a tied head, nor precomputed frequencies."""
        return not (tensor.name.endswith(COMPUTED) or (self._tied and tensor.name == LM_HEAD))

    def own_name(self, tensor: StoredTensor) -> str:
        """The name that gguf's table knows."""
        return tensor.name

    def source_tensor(self, tensor: StoredTensor) -> SourceTensor:
        name = self._names.get_name(self.own_name(tensor), try_suffixes=SUFFIXES)
        if name is None or not name.endswith(SUFFIXES):
            raise SourceError(f"tensor {quoted(tensor.name)} is not part of the architecture")
        if tensor.type not in SAFETENSORS_TYPES:
            hint = f"Supported are {', '.join(SAFETENSORS_TYPES)}."
            raise SourceError(f"tensor {quoted(tensor.name)} has type {tensor.type}, which is not supported", hint)
        return SourceTensor(self._family.renamed(name), SAFETENSORS_TYPES[tensor.type], tensor.shape, tensor.data)


class _EncoderNames(_WeightNames):
    """The same of an encoder, whose checkpoints may have its class before each name, and heads of its training.

    The oldest, written by TensorFlow, call the weight and the bias of a norm gamma and beta.
    """

    OLD = ((".LayerNorm.gamma", ".LayerNorm.weight"), (".LayerNorm.beta", ".LayerNorm.bias"))

    def __init__(self, family: EncoderFamily, architecture: EncoderArchitecture):
        self._names = get_tensor_name_map(family.tensor_names, architecture.layers)
        self._family = family

    def is_used(self, tensor: StoredTensor) -> bool:
        """Whether embeddings need a tensor; not heads of the training, nor stored position numbers."""
        return not self.own_name(tensor).startswith(self._family.unused)

    def own_name(self, tensor: StoredTensor) -> str:
        """The name without the class, and with the newer names of a norm's tensors."""
        name = tensor.name.removeprefix(self._family.prefix)
        for old, new in self.OLD:
            name = name.removesuffix(old) + new if name.endswith(old) else name
        return name


def _check(architecture: Architecture | EncoderArchitecture, tensors: list[SourceTensor]) -> None:
    shapes = {}
    for tensor in tensors:
        if tensor.name in shapes:
            raise SourceError(f'tensor "{tensor.name}" appears twice')
        shapes[tensor.name] = tensor.shape
    architecture.check_tensors(shapes)


def _order(architecture: Architecture | EncoderArchitecture):
    """The tensors in the architecture's order, whatever the order of the shards."""
    ordinals = {name: n for n, name in enumerate(architecture.tensors())}
    return lambda tensor: ordinals.get(tensor.name, len(ordinals))


def _weight_files(folder: Path) -> list[_WeightFile]:
    """The safetensors files. As in transformers, a single file with the whole model takes precedence over an index."""
    if not (folder / SINGLE).is_file() and (folder / INDEX).is_file():
        return _shards(folder)
    found = [folder / SINGLE] if (folder / SINGLE).is_file() else sorted(folder.glob("*.safetensors"))
    if len(found) != 1:
        raise SourceError(f"{folder} has {len(found)} safetensors files and no {INDEX}")
    return [_WeightFile(found[0].name, *read_safetensors(found[0]))]


def _shards(folder: Path) -> list[_WeightFile]:
    """The files that the index names. Each must have the tensors that the index says it has; it may have more."""
    index = Fields(INDEX, read_json(folder / INDEX))
    check_keys(index, INDEX_KEYS)
    listed = index.nested("weight_map").values
    for name in listed.values():
        if not can_be_a_file(name):
            raise SourceError(f"{INDEX} names {shown(name)}, which is not a file of the folder")
    files = [_WeightFile(name, *read_safetensors(folder / name)) for name in sorted(set(listed.values()))]
    there = {(tensor.name, file.name) for file in files for tensor in file.tensors}
    for tensor, name in listed.items():
        if (tensor, name) not in there:
            raise SourceError(f"{INDEX} lists tensor {quoted(tensor)} for {name}, which does not have it")
    return files


def _companions(folder: Path) -> list[SourceFile]:
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and path.suffix in COMPANIONS]
    paths += encoder_companions(folder)
    sizes = {path: path.stat().st_size for path in paths}
    return [
        SourceFile(path.relative_to(folder).as_posix(), (Segment(literal=mapped(path)),) if sizes[path] else ())
        for path in paths
        if sizes[path] <= LARGEST_COMPANION
    ]
