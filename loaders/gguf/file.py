"""Reads a GGUF file, or a split one, as a SourceModel. Tensors keep their encoding, order and rows.

Tensors have the names that Llama's files give them; a family says where its own differ.
In files of the Llama family the rows of q and k are permuted for interleaved rope; that is stated in the architecture,
and the rows stay as they are.
"""

from pathlib import Path

from plpython.model.encodings import BLOCKS

from ..errors import SourceError
from ..families import EncoderFamily, Family
from ..source.fields import Fields
from ..source.model import SourceFile, SourceModel, SourceTensor, segments_of
from .architecture import family_of, read_architecture
from .container import Container
from .parts import Part, read_parts
from .tokenizer import read_tokenizer


def read_gguf(path: Path) -> SourceModel:
    """The model in the file and, if it is split, in its other parts.

    Raises SourceError or ModelError, which name what is broken or unsupported.
    """
    parts = read_parts(path)
    metadata = Fields(f"{path.name}: metadata", parts[0].container.metadata)
    family = family_of(metadata)
    shapes = {family.renamed(tensor.name): tensor.shape for part in parts for tensor in part.container.tensors}
    architecture = read_architecture(metadata, shapes)
    definition, settings = read_tokenizer(metadata, architecture.vocabulary_size)
    tensors = [_tensors(part.container, family) for part in parts]
    return SourceModel(
        container="gguf",
        architecture=architecture,
        tokenizer_definition=definition,
        tokenizer_settings=settings,
        tensors=tuple(tensor for of_part in tensors for _, tensor in of_part),
        files=tuple(_file(part, of_part) for part, of_part in zip(parts, tensors, strict=True)),
    )


def _file(part: Part, tensors: list[tuple[int, SourceTensor]]) -> SourceFile:
    return SourceFile(part.path.name, segments_of(part.container.data, tensors))


def _tensors(container: Container, family: Family | EncoderFamily) -> list[tuple[int, SourceTensor]]:
    """(offset, tensor) in the order of the file."""
    for entry in container.tensors:
        if entry.type not in BLOCKS:
            raise SourceError(
                f'tensor "{entry.name}" has type {entry.type}, which is not supported',
                f"Supported are {', '.join(BLOCKS)}.",
            )
    return [
        (entry.offset, SourceTensor(family.renamed(entry.name), entry.type, entry.shape, container.content(entry)))
        for entry in container.tensors
    ]
