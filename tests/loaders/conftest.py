"""What the loader's tests share: GGUF files written by the gguf package's own writer."""

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"


@pytest.fixture
def families() -> Path:
    """The folder of tiny random models, each with the logits that transformers gives."""
    return FAMILIES


@pytest.fixture
def write_gguf(tmp_path: Path) -> Callable[..., Path]:
    """write_gguf(metadata, tensors) -> path; a value is anything GGUFWriter.add_key_value can type by itself."""

    def write(metadata: dict, tensors: dict[str, np.ndarray], name: str = "model.gguf") -> Path:
        path = tmp_path / name
        metadata = dict(metadata)
        writer = gguf.GGUFWriter(path, metadata.pop("general.architecture", "none"))
        for key, value in metadata.items():
            add(writer, key, value)
        for tensor, values in tensors.items():
            writer.add_tensor(tensor, values)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path

    return write


def add(writer: gguf.GGUFWriter, key: str, value) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


@pytest.fixture
def tiny() -> tuple[dict, dict[str, np.ndarray]]:
    """(metadata, tensors) of a Llama of one layer that can be loaded; tests break a copy of it."""
    pieces = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)], "\u2581", "a", "b", "ab", "\u2581ab"]
    kinds = [2, 3, 3] + [6] * 256 + [1] * 5
    metadata = {
        "general.architecture": "llama",
        "llama.context_length": 32,
        "llama.embedding_length": 8,
        "llama.feed_forward_length": 12,
        "llama.block_count": 1,
        "llama.attention.head_count": 2,
        "llama.attention.head_count_kv": 1,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": [float(-n) for n in range(len(pieces))],
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
    }
    random = np.random.default_rng(1)
    shapes = {
        "token_embd.weight": (len(pieces), 8),
        "output_norm.weight": (8,),
        "output.weight": (len(pieces), 8),
        "blk.0.attn_norm.weight": (8,),
        "blk.0.attn_q.weight": (8, 8),
        "blk.0.attn_k.weight": (4, 8),
        "blk.0.attn_v.weight": (4, 8),
        "blk.0.attn_output.weight": (8, 8),
        "blk.0.ffn_norm.weight": (8,),
        "blk.0.ffn_gate.weight": (12, 8),
        "blk.0.ffn_up.weight": (12, 8),
        "blk.0.ffn_down.weight": (8, 12),
    }
    return metadata, {name: random.standard_normal(shape, np.float32) for name, shape in shapes.items()}
