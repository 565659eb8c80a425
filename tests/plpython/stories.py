"""The story models of our own and of the check data: architecture, and weights as the engine takes them."""

import numpy as np
from gguf import GGUFReader

from plpython.model import encodings
from plpython.model.decoder import Architecture
from plpython.weights.packed_model import pack_model

STORIES = Architecture(
    family="llama",
    vocabulary_size=512,
    hidden_size=64,
    layers=5,
    heads=8,
    kv_heads=4,
    head_dim=8,
    ffn_size=172,
    context_length=2048,
    norm_epsilon=1e-5,
    rope_theta=10000.0,
    rope_interleaved=True,
)


def tensors_of(path):
    """{name: (type, shape, bytes)} of a GGUF file."""
    return {
        t.name: (t.tensor_type.name, tuple(map(int, reversed(t.shape))), np.ascontiguousarray(t.data).tobytes())
        for t in GGUFReader(path).tensors
    }


def stories(data, type="F32"):
    """The packed story model of a type."""
    return pack_model(tensors(data, type))


def tensors(data, type="F32"):
    """Those of the file of a type; where there is none, its matrices encoded as llama.cpp does, or as F16."""
    path = "stories260K/stories260K.gguf" if type == "F32" else f"stories260K-quant-derived/stories260K-{type}.gguf"
    if (data / path).is_file():
        return tensors_of(data / path)
    return {name: _encoded(type, *tensor) for name, tensor in tensors(data).items()}


def _encoded(type, kept, shape, raw):
    if len(shape) == 1:
        return kept, shape, raw
    made = type if shape[-1] % encodings.BLOCKS[type][0] == 0 else "F16"
    return made, shape, encodings.encode(made, encodings.decode(kept, raw, shape)).tobytes()
