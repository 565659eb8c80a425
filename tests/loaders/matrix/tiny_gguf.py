"""Tiny random GGUF files, the same on every machine, with some of their metadata changed: for matrices of cases.

tests/fixtures/gguf/make.py writes the same files and asks llama.cpp what it makes of them.
"""

from functools import cache
from pathlib import Path

import gguf
import numpy as np
from gguf.gguf_writer import GGUFValue

TOKENS = [1, 40, 7, 133, 12, 5, 260, 21, 9, 2, 66, 30]
SEPARATE_HEAD = "output.weight"
HIDDEN, HEADS, KV_HEADS, FFN, LAYERS, CONTEXT = 32, 4, 2, 48, 2, 64
HEAD_DIM = HIDDEN // HEADS
Metadata = dict[str, tuple[str, object]]  # key: (type, value), for an array ("INT32[]", values)

PIECES = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)], "\u2581", "a", "b", "ab", "\u2581ab"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *[f"\u2581{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]]


def base(architecture: str) -> tuple[Metadata, dict[str, tuple[int, ...]]]:
    """(metadata, shapes of the tensors) of a file of that architecture, with no key more than llama.cpp needs."""
    sizes = {
        "context_length": CONTEXT,
        "embedding_length": HIDDEN,
        "feed_forward_length": FFN,
        "block_count": LAYERS,
        "attention.head_count": HEADS,
    }
    own = {key: ("UINT32", value) for key, value in sizes.items()}
    if architecture == "bert":
        own |= {"attention.layer_norm_epsilon": ("FLOAT32", 1e-12), "attention.causal": ("BOOL", False)}
        own |= {"pooling_type": ("UINT32", 1)}
    else:
        own |= {"attention.head_count_kv": ("UINT32", KV_HEADS)}
        own |= {"attention.layer_norm_rms_epsilon": ("FLOAT32", 1e-5)}
    metadata = {f"{architecture}.{key}": value for key, value in own.items()}
    vocabulary = _words() if architecture == "bert" else _pieces()
    return metadata | vocabulary, _encoder_shapes() if architecture == "bert" else _decoder_shapes(architecture)


def write(path: Path, architecture: str, changes: dict, tensors: dict | None = None, most_tensors: int = 0) -> Path:
    """The base's file with metadata changed ({key: None} removes) and tensors ({name: None} removes) at `path`.

    most_tensors: split into parts of so many, beside `path` under the names that parts have.
    """
    metadata, shapes = base(architecture)
    metadata = {key: value for key, value in (metadata | changes).items() if value is not None}
    writer = gguf.GGUFWriter(None, architecture, split_max_tensors=most_tensors)
    if metadata.get("general.alignment") in (["UINT32", 64], ("UINT32", 64)):
        writer.data_alignment = 64
    for key, (kind, value) in metadata.items():
        element = gguf.GGUFValueType[kind.removesuffix("[]")]
        whole = gguf.GGUFValueType.ARRAY if kind.endswith("[]") else element
        writer.kv_data[0][key] = GGUFValue(value, whole, element)
    for name, values in (weights(tuple(shapes.items())) | (tensors or {})).items():
        if values is not None:
            writer.add_tensor(name, np.asarray(values, np.float32))
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@cache
def weights(shapes: tuple[tuple[str, tuple[int, ...]], ...]) -> dict[str, np.ndarray]:
    """Random weights, large enough that every position and every layer shows in the logits."""
    random = np.random.default_rng(16)
    return {name: random.uniform(-0.6, 0.6, shape).astype(np.float32) for name, shape in shapes}


def _pieces() -> Metadata:
    return {
        "tokenizer.ggml.model": ("STRING", "llama"),
        "tokenizer.ggml.tokens": ("STRING[]", PIECES),
        "tokenizer.ggml.scores": ("FLOAT32[]", [float(-n) for n in range(len(PIECES))]),
        "tokenizer.ggml.token_type": ("INT32[]", [2, 3, 3] + [6] * 256 + [1] * 5),
        "tokenizer.ggml.bos_token_id": ("UINT32", 1),
        "tokenizer.ggml.eos_token_id": ("UINT32", 2),
    }


def _words() -> Metadata:
    return {
        "tokenizer.ggml.model": ("STRING", "bert"),
        "tokenizer.ggml.tokens": ("STRING[]", WORDS),
        "tokenizer.ggml.token_type": ("INT32[]", [3] * 5 + [1] * 26),
        "tokenizer.ggml.token_type_count": ("UINT32", 2),
        "tokenizer.ggml.unknown_token_id": ("UINT32", 1),
        "tokenizer.ggml.cls_token_id": ("UINT32", 2),
        "tokenizer.ggml.seperator_token_id": ("UINT32", 3),
    }


def _decoder_shapes(architecture: str) -> dict[str, tuple[int, ...]]:
    q, kv = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    layer = {
        "attn_norm.weight": (HIDDEN,),
        "attn_q.weight": (q, HIDDEN),
        "attn_k.weight": (kv, HIDDEN),
        "attn_v.weight": (kv, HIDDEN),
        "attn_output.weight": (HIDDEN, q),
        "ffn_norm.weight": (HIDDEN,),
        "ffn_gate.weight": (FFN, HIDDEN),
        "ffn_up.weight": (FFN, HIDDEN),
        "ffn_down.weight": (HIDDEN, FFN),
    }
    if architecture == "qwen2":
        layer |= {"attn_q.bias": (q,), "attn_k.bias": (kv,), "attn_v.bias": (kv,)}
    if architecture == "qwen3":
        layer |= {"attn_q_norm.weight": (HEAD_DIM,), "attn_k_norm.weight": (HEAD_DIM,)}
    return {
        "token_embd.weight": (len(PIECES), HIDDEN),
        "output_norm.weight": (HIDDEN,),
        SEPARATE_HEAD: (len(PIECES), HIDDEN),
        **{f"blk.{n}.{name}": shape for n in range(LAYERS) for name, shape in layer.items()},
    }


def _encoder_shapes() -> dict[str, tuple[int, ...]]:
    sizes = dict.fromkeys(("attn_q", "attn_k", "attn_v", "attn_output"), (HIDDEN, HIDDEN))
    sizes |= {"ffn_up": (FFN, HIDDEN), "ffn_down": (HIDDEN, FFN)}
    layer = {f"{name}.weight": shape for name, shape in sizes.items()}
    layer |= {f"{name}.bias": shape[:1] for name, shape in sizes.items()}
    norms = [f"{name}.{part}" for name in ("attn_output_norm", "layer_output_norm") for part in ("weight", "bias")]
    layer |= dict.fromkeys(norms, (HIDDEN,))
    return {
        "token_embd.weight": (len(WORDS), HIDDEN),
        "position_embd.weight": (CONTEXT, HIDDEN),
        "token_types.weight": (2, HIDDEN),
        "token_embd_norm.weight": (HIDDEN,),
        "token_embd_norm.bias": (HIDDEN,),
        **{f"blk.{n}.{name}": shape for n in range(LAYERS) for name, shape in layer.items()},
    }
