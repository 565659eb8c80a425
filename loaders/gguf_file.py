"""A GGUF file as a SourceModel. Nothing is converted: tensors keep their encoding, their order and their rows.

In files of the Llama family the rows of q and k are permuted for interleaved rope; that is stated in the architecture,
and the rows stay as they are.
"""

from pathlib import Path

from plpython.quant import BLOCKS

from .errors import SourceError
from .fields import Fields
from .files import mapped
from .gguf_architecture import read_architecture
from .gguf_container import Container, read_container
from .gguf_tokenizer import read_tokenizer
from .model import SourceFile, SourceModel, SourceTensor, segments_of


def read_gguf(path: Path) -> SourceModel:
    """The model in the file. Raises SourceError or ModelError, which name what is broken or unsupported."""
    try:
        container = read_container(mapped(path))
    except SourceError as problem:
        raise SourceError(f"{path}: {problem}", problem.hint) from None
    metadata = Fields("metadata", container.metadata)
    parts = metadata.integer("split.count", 1)
    if parts > 1:
        raise SourceError(f"the file is one of {parts} parts", "Join them with llama.cpp's gguf-split --merge.")
    architecture = read_architecture(container)
    definition, settings = read_tokenizer(metadata, architecture.vocabulary_size)
    tensors = _tensors(container)
    return SourceModel(
        container="gguf",
        architecture=architecture,
        tokenizer_definition=definition,
        tokenizer_settings=settings,
        tensors=tuple(tensor for _, tensor in tensors),
        files=(SourceFile(path.name, segments_of(container.data, tensors)),),
    )


def _tensors(container: Container) -> list[tuple[int, SourceTensor]]:
    """(offset, tensor) in the order of the file."""
    for entry in container.tensors:
        if entry.type not in BLOCKS:
            raise SourceError(
                f'tensor "{entry.name}" has type {entry.type}, which is not supported',
                f"Supported are {', '.join(BLOCKS)}.",
            )
    return [
        (entry.offset, SourceTensor(entry.name, entry.type, entry.shape, container.content(entry)))
        for entry in container.tensors
    ]
