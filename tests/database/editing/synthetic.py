"""A model of any size whose weights mean nothing."""

import dataclasses

import numpy as np

from loaders.reader import read_model
from loaders.source.model import SourceModel, SourceTensor
from plpython.model import encodings
from plpython.model.decoder import Architecture
from tests.database.models import FAMILIES


def synthetic(type: str, hidden_size: int, ffn_size: int) -> SourceModel:
    """A Llama of one layer with random bytes as weights, and the tokenizer of a fixture."""
    fixture = read_model(FAMILIES / "llama2")
    config = fixture.architecture.to_config()
    config |= {"hidden_size": hidden_size, "ffn_size": ffn_size, "layers": 1, "heads": 1, "kv_heads": 1}
    architecture = Architecture.from_config(config | {"head_dim": hidden_size, "tied_embeddings": True})
    random = np.random.default_rng(5)
    tensors = []
    for name, shape in architecture.tensors().items():
        kind = type if len(shape) > 1 else "F32"
        size = encodings.row_bytes(kind, shape[-1]) * int(np.prod(shape[:-1]))
        if kind == "F32":
            content = memoryview(random.standard_normal(shape, np.float32)).cast("B")
        else:
            content = memoryview(bytes(size))  # blocks of zeros
        tensors.append(SourceTensor(name, kind, shape, content))
    return dataclasses.replace(fixture, architecture=architecture, tensors=tuple(tensors), files=())
