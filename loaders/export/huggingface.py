"""A stored model as a Hugging Face folder: config.json, model.safetensors, tokenizer.json and what belongs to them.

F32, F16 and BF16 stay as they are; block encodings, which safetensors does not have, are decoded to F32. The rows of q
and k are put in Hugging Face's order. The configuration is read back by the loader before anything is written.
"""

import dataclasses
import json
import math
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psycopg

from plpython.model import encodings
from plpython.model.decoder import ROPE_DIVISORS, Architecture
from plpython.model.rope_rows import rearranged, rotated_heads
from plpython.model.tokenizer import Tokenizer

from .. import families
from ..errors import LoaderError
from ..huggingface.architecture import read_architecture
from ..huggingface.safetensors_file import SAFETENSORS_TYPES
from ..huggingface.tokenizer import read_tokenizer
from ..source.fields import Fields, read_json
from .stored_model import StoredModel, StoredTensor, tensor_rows, tensor_tiles
from .tokenizer import chat_templates, tokenizer_json

FOLDER_FILES = ("config.json", "generation_config.json", "tokenizer_config.json", "tokenizer.json", "model.safetensors")
TORCH_TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
NAMES_OUTSIDE_LAYERS = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
NAMES_IN_LAYERS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
LAYER_TENSOR = re.compile(r"blk\.(\d+)\.(\w+)\.(weight|bias)")
# What released Llama 3 models scale with; a GGUF keeps only the result, as a tensor.
LLAMA3 = [
    {"type": "llama3", "factor": f, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_context_length": 8192.0}
    for f in (8.0, 16.0, 32.0)
]


def huggingface_bytes(model: StoredModel) -> int:
    """The approximate size of the files: that of the tensors, some of them decoded."""
    return sum(_size(tensor) for tensor in model.tensors)


def write_folder(
    connection: psycopg.Connection, model: StoredModel, folder: Path, progress: Callable[[int], None]
) -> None:
    """Write the files. Raises LoaderError for what config.json cannot express."""
    architecture = _huggingface_architecture(connection, model)
    config = _config(architecture, model)
    _check_reads_back(config, architecture, model.name)
    settings = model.tokenizer_settings
    ids = {"bos_token_id": settings.get("bos_id"), "eos_token_id": settings.get("eos_ids") or None}
    _write_json(folder / "config.json", config | ids)
    _write_json(folder / "generation_config.json", ids)
    _write_tokenizer(folder, model)
    _write_safetensors(connection, model, folder / "model.safetensors", progress)


def _write_tokenizer(folder: Path, model: StoredModel) -> None:
    """Write the tokenizer's files. Raises LoaderError if reading them back gives another tokenizer."""
    mine = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
    templates = chat_templates(mine)
    own = {"tokenizer_class": "PreTrainedTokenizerFast"} | ({"chat_template": templates} if templates else {})
    _write_json(folder / "tokenizer_config.json", own)
    (folder / "tokenizer.json").write_text(tokenizer_json(model), encoding="utf-8")
    config = Fields("config.json", read_json(folder / "config.json"))
    read = read_tokenizer(folder, config, model.architecture.vocabulary_size)
    theirs = Tokenizer(*read)
    for name in ("bos_id", "eos_ids", "before", "after", "chat_template", "tool_chat_template"):
        said, meant = getattr(theirs, name), getattr(mine, name)
        if said != meant:
            problem = f'model "{model.name}" cannot be a Hugging Face folder: {name} {meant} reads as {said}'
            raise LoaderError(problem, "Use --format gguf.")


def _huggingface_architecture(connection: psycopg.Connection, model: StoredModel) -> Architecture:
    """The architecture in Hugging Face's terms: halves are rotated, Llama 3's scaling is numbers."""
    architecture = dataclasses.replace(model.architecture, rope_interleaved=False)
    if architecture.family == "llama" and architecture.windows is not None:
        architecture = dataclasses.replace(architecture, family="mistral")
    frequencies = next((tensor for tensor in model.tensors if tensor.name == ROPE_DIVISORS), None)
    if frequencies is None:
        return architecture
    raw = b"".join(tensor_tiles(connection, frequencies))
    divisors = encodings.decode(frequencies.type, raw, frequencies.shape)
    wanted = architecture.rope_frequencies(divisors)
    for scaling in (None, *LLAMA3):
        tried = dataclasses.replace(architecture, rope_scaling=scaling)
        if np.allclose(tried.rope_frequencies(), wanted, rtol=1e-5, atol=0):
            return tried
    raise LoaderError(f'config.json has no words for the {ROPE_DIVISORS} of "{model.name}"', "Use --format gguf.")


def _config(architecture: Architecture, model: StoredModel) -> dict:
    family = families.of_decoder(architecture.family)
    matrices = [tensor.type for tensor in model.tensors if len(tensor.shape) > 1]
    config = {
        "architectures": [family.transformers_class],
        "model_type": family.model_type,
        "torch_dtype": TORCH_TYPES.get(max(set(matrices), key=matrices.count), "float32"),
        "vocab_size": architecture.vocabulary_size,
        "hidden_size": architecture.hidden_size,
        "intermediate_size": architecture.ffn_size,
        "num_hidden_layers": architecture.layers,
        "num_attention_heads": architecture.heads,
        "num_key_value_heads": architecture.kv_heads,
        "head_dim": architecture.head_dim,
        "max_position_embeddings": architecture.context_length,
        "rms_norm_eps": architecture.norm_epsilon,
        "rope_theta": architecture.rope_theta,
        "rope_scaling": _rope_scaling(architecture.rope_scaling),
        "tie_word_embeddings": architecture.tied_embeddings,
        "hidden_act": "silu",
    }
    return config | family.to_config(architecture)


def _rope_scaling(scaling: dict | None) -> dict | None:
    if scaling is None:
        return None
    named = {key: value for key, value in scaling.items() if key not in ("type", "original_context_length")}
    if "original_context_length" in scaling:
        named["original_max_position_embeddings"] = int(scaling["original_context_length"])
    return {"rope_type": scaling["type"], "type": scaling["type"]} | named


def _check_reads_back(config: dict, architecture: Architecture, name: str) -> None:
    read = read_architecture(Fields("config.json", config))
    for field in dataclasses.fields(Architecture):
        said, meant = getattr(read, field.name), getattr(architecture, field.name)
        if said != meant:
            problem = f'model "{name}" cannot be a Hugging Face folder: {field.name} {meant} reads as {said}'
            raise LoaderError(problem, "Use --format gguf.")


def _write_safetensors(
    connection: psycopg.Connection, model: StoredModel, path: Path, progress: Callable[[int], None]
) -> None:
    """The container by hand, because the library's writer wants all tensors in memory: a length, JSON, the data."""
    header, position = {"__metadata__": {"format": "pt"}}, 0
    tensors = [tensor for tensor in model.tensors if tensor.name != ROPE_DIVISORS]
    for tensor in tensors:
        end = position + _size(tensor)
        kind = tensor.type if tensor.type in SAFETENSORS_TYPES else "F32"
        header[_name(tensor.name)] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [position, end]}
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # data begins at a multiple of eight
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors:
            for piece in _content(connection, model.architecture, tensor):
                file.write(piece)
                progress(len(piece))


def _content(connection: psycopg.Connection, stored: Architecture, tensor: StoredTensor) -> Iterator[bytes]:
    heads = rotated_heads(tensor.name, stored)
    if heads is not None and stored.rope_interleaved:
        raw = b"".join(tensor_tiles(connection, tensor))
        rows = rearranged(np.frombuffer(raw, np.uint8), heads, stored.head_dim, interleave=False)
        pieces = iter([rows.tobytes()])
    else:
        pieces = tensor_rows(connection, tensor)
    for piece in pieces:
        if tensor.type in SAFETENSORS_TYPES:
            yield piece
        else:
            rows = len(piece) // tensor.row_bytes
            yield encodings.decode(tensor.type, piece, (rows, tensor.shape[-1])).tobytes()


def _size(tensor: StoredTensor) -> int:
    return tensor.bytes if tensor.type in SAFETENSORS_TYPES else 4 * math.prod(tensor.shape)


def _name(name: str) -> str:
    """The Hugging Face name of a tensor."""
    if name in NAMES_OUTSIDE_LAYERS:
        return NAMES_OUTSIDE_LAYERS[name]
    layer, part, kind = LAYER_TENSOR.fullmatch(name).groups()
    return f"model.layers.{layer}.{NAMES_IN_LAYERS[part]}.{kind}"


def _write_json(path: Path, document: dict) -> None:
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
