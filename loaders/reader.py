"""Reads a model from a path, in any of the supported formats."""

from pathlib import Path

from .errors import SourceError
from .gguf.file import read_gguf
from .huggingface.folder import read_folder
from .huggingface.safetensors_file import read_safetensors
from .source.model import SourceModel


def read_model(path: Path) -> SourceModel:
    """The model at `path`: a .gguf file, a Hugging Face folder, or a .safetensors file in one.

    Raises SourceError or ModelError, whose message is one line that names the problem.
    """
    if not path.exists():
        raise SourceError(f"{path} does not exist")
    if path.is_dir():
        return read_folder(path)
    if path.suffix == ".safetensors":
        read_safetensors(path)  # errors of the file come before those of its folder
        return read_folder(path.parent)
    return read_gguf(path)
