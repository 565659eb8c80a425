"""A stored model as one GGUF file (docs/gguf.md of ggml), written by the gguf package's own writer.

Matrices keep their encoding; vectors become F32, which llama.cpp wants of norms and biases. For the Llama family the
rows of q and k are put in GGUF's order, and Llama 3's scaling of rope becomes the tensor rope_freqs.weight, as
llama.cpp's converter has both. The finished file is read back by the loader before it takes its place: what GGUF's
metadata cannot say is an error here, not a different model there. A sliding window is written, as the loader reads it;
llama.cpp itself has none for files that are a Llama.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import gguf
import numpy as np
import psycopg

from plpython.model import encodings
from plpython.model.decoder import ROPE_DIVISORS, Architecture
from plpython.model.rope_rows import rearranged, rotated_heads

from .. import families
from ..errors import LoaderError, SourceError
from ..gguf.file import read_gguf
from .stored_model import StoredModel, StoredTensor, tensor_tiles
from .tokenizer import OTHER_WAY, add_tokenizer, check_same_tokens


def gguf_bytes(model: StoredModel) -> int:
    """The approximate size of the file: that of its tensors."""
    return sum(_size(tensor) for tensor in model.tensors)


def write_gguf(connection: psycopg.Connection, model: StoredModel, path: Path, progress: Callable[[int], None]) -> None:
    """Write the file. Raises LoaderError for what GGUF, or the loader's GGUF reader, cannot express."""
    expected = gguf_architecture(model.architecture)
    writer = gguf.GGUFWriter(None, _gguf_name(expected))
    _add_architecture(writer, expected)
    add_tokenizer(writer, model)
    divisors = _divisors(model.architecture)
    if divisors is not None:
        writer.add_tensor_info(ROPE_DIVISORS, divisors.shape, divisors.dtype, divisors.nbytes)
    for tensor in model.tensors:
        _add_tensor_info(writer, _family(expected).renamed(tensor.name), tensor)
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    file = writer.fout[0]
    writer.write_padding(file, file.tell())
    if divisors is not None:
        file.write(divisors.tobytes())
        writer.write_padding(file, divisors.nbytes)
    for tensor in model.tensors:
        for piece in _content(connection, model.architecture, expected, tensor):
            file.write(piece)
            progress(len(piece))
        writer.write_padding(file, _size(tensor))
    writer.close()
    _check_reads_back(path, model, expected)


def gguf_architecture(architecture: Architecture) -> Architecture:
    """The architecture as the file will have it: numbers rounded to float32, perhaps another family name."""
    family = _family(architecture)
    windows = architecture.windows
    if windows is not None and len(set(windows)) > 1:
        raise LoaderError("GGUF cannot express windows that differ from layer to layer", OTHER_WAY)
    if windows is not None and windows[0] >= architecture.context_length:
        windows = None
    scaling = architecture.rope_scaling
    if scaling is not None and scaling["type"] == "llama3":
        scaling = None
    elif scaling is not None:
        scaling = scaling | {"factor": float(np.float32(scaling["factor"]))}
    return dataclasses.replace(
        architecture,
        family=family.name,
        windows=windows,
        rope_scaling=scaling,
        rope_interleaved=family.gguf_interleaves,
        norm_epsilon=float(np.float32(architecture.norm_epsilon)),
        rope_theta=float(np.float32(architecture.rope_theta)),
    )


def _family(architecture: Architecture) -> families.Family:
    """The family as GGUF names it: Mistral has no name of its own there, it is a Llama."""
    family = families.of_decoder(architecture.family)
    return family if family.gguf_name else families.of_gguf("llama")


def _gguf_name(architecture: Architecture) -> str:
    return _family(architecture).gguf_name


def _add_architecture(writer: gguf.GGUFWriter, architecture: Architecture) -> None:
    writer.add_context_length(architecture.context_length)
    writer.add_embedding_length(architecture.hidden_size)
    writer.add_block_count(architecture.layers)
    writer.add_feed_forward_length(architecture.ffn_size)
    writer.add_head_count(architecture.heads)
    writer.add_head_count_kv(architecture.kv_heads)
    writer.add_key_length(architecture.head_dim)
    writer.add_value_length(architecture.head_dim)
    writer.add_rope_dimension_count(architecture.head_dim)
    writer.add_layer_norm_rms_eps(architecture.norm_epsilon)
    writer.add_rope_freq_base(architecture.rope_theta)
    writer.add_vocab_size(architecture.vocabulary_size)
    if architecture.rope_scaling is not None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(architecture.rope_scaling["factor"])
    if architecture.windows is not None:
        writer.add_sliding_window(architecture.windows[0])


def _divisors(architecture: Architecture) -> np.ndarray | None:
    """rope_freqs.weight for Llama 3's scaling: what each frequency is divided by, f32[head_dim / 2]."""
    scaling = architecture.rope_scaling
    if scaling is None or scaling["type"] != "llama3":
        return None
    plain = dataclasses.replace(architecture, rope_scaling=None).rope_frequencies()
    return (plain.astype(np.float64) / architecture.rope_frequencies()).astype(np.float32)


def _add_tensor_info(writer: gguf.GGUFWriter, name: str, tensor: StoredTensor) -> None:
    kind = _type(tensor)
    shape = (*tensor.shape[:-1], encodings.row_bytes(kind, tensor.shape[-1]))  # the writer wants bytes for the last one
    raw = gguf.GGMLQuantizationType[kind]
    writer.add_tensor_info(name, shape, np.dtype(np.uint8), _size(tensor), raw_dtype=raw)


def _type(tensor: StoredTensor) -> str:
    return "F32" if len(tensor.shape) == 1 else tensor.type


def _size(tensor: StoredTensor) -> int:
    return 4 * tensor.shape[0] if len(tensor.shape) == 1 else tensor.bytes


def _content(
    connection: psycopg.Connection, stored: Architecture, wanted: Architecture, tensor: StoredTensor
) -> Iterator[bytes]:
    """The tensor's bytes for the file, with its rows in the order of the file's architecture."""
    heads = rotated_heads(tensor.name, stored)
    moves = heads is not None and stored.rope_interleaved != wanted.rope_interleaved
    if len(tensor.shape) > 1 and not moves:
        yield from tensor_tiles(connection, tensor)
        return
    raw = b"".join(tensor_tiles(connection, tensor))
    if len(tensor.shape) == 1:
        raw = encodings.decode(tensor.type, raw, tensor.shape).tobytes()
    if moves:
        raw = rearranged(np.frombuffer(raw, np.uint8), heads, stored.head_dim, wanted.rope_interleaved).tobytes()
    yield raw


def _check_reads_back(path: Path, model: StoredModel, expected: Architecture) -> None:
    try:
        written = read_gguf(path)
    except SourceError as problem:
        raise LoaderError(f'model "{model.name}" cannot be a GGUF file: {problem}', OTHER_WAY) from None
    for field in dataclasses.fields(Architecture):
        said, meant = getattr(written.architecture, field.name), getattr(expected, field.name)
        if said != meant:
            raise LoaderError(f'model "{model.name}" cannot be a GGUF file: {field.name} {meant} reads as {said}')
    check_same_tokens(written, model)
