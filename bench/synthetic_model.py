"""Write a GGUF file of a known model's exact shape, with random weights and the vocabulary of Qwen2.5.

Speed does not depend on what the weights say, only on their shape and encoding, so a benchmark needs no download:

    python bench/synthetic_model.py 1.5B Q4_K_M -o 1.5b-q4_k_m.gguf

Shapes are those of shapes.py. Encodings are llama.cpp's mixes (mixes.py) or one encoding for all matrices. Blocks are
random and valid (blocks.py): nothing is quantised, and the same arguments give the same file. The vocabulary is read
from HARTONOMOUS_DATA (tokenizers/qwen2.5/tokenizer.json); a shape with fewer tokens has the first of them.
"""

import argparse
import json
import zlib
from functools import cache
from pathlib import Path

import gguf
import mixes
import numpy as np
from blocks import Source
from places import DATA
from shapes import SHAPES, Shape

END = "<|endoftext|>"


def write(path: Path, shape: Shape, mix: str, name: str = "", audible: int | None = None) -> None:
    """Write the model file.

    name: of the random numbers; files of one name and mix begin with the same layers. audible: only so many layers add
    something to a token's activations, the others nothing.
    """
    writer = gguf.GGUFWriter(path, shape.family)
    _add_architecture(writer, shape, mix)
    _add_vocabulary(writer, shape.vocabulary)
    encodings, sizes = mixes.encodings(shape, mix), shape.tensors()
    for tensor, encoding in encodings.items():
        size, bytes = sizes[tensor], mixes.tensor_bytes(encoding, sizes[tensor])
        writer.add_tensor_info(tensor, size, np.float32, bytes, gguf.GGMLQuantizationType[encoding])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    make = Tensors(name or f"{shape.name} {mix}")
    for tensor, encoding in encodings.items():
        content = make(tensor, encoding, sizes[tensor])
        writer.write_tensor_data(
            np.zeros_like(content) if audible is not None and _is_last(tensor, audible) else content
        )
    writer.close()


def _is_last(tensor: str, audible: int) -> bool:
    """Whether it is a last matrix of a layer behind the first `audible`: as zeros, its layer adds nothing."""
    _, layer, matrix = tensor.split(".", 2) if tensor.startswith("blk.") else ("", "-1", tensor)
    return int(layer) >= audible and matrix in ("attn_output.weight", "ffn_down.weight")


class Tensors:
    """The contents of a file's tensors, made in turn. Files of other names have nothing in common with it."""

    def __init__(self, name: str):
        self._seed = zlib.crc32(name.encode())
        self._random = np.random.default_rng(self._seed)
        self._source = cache(lambda encoding, columns: Source(encoding, columns, self._seed))

    def __call__(self, name: str, encoding: str, shape: tuple[int, ...]) -> np.ndarray:
        """f32 around one for a norm and small ones for a bias; of a matrix uint8[rows, bytes of a row]."""
        if len(shape) > 1:
            return self._source(encoding, shape[1]).tensor(*shape)
        return 0.1 * self._random.standard_normal(shape, np.float32) + np.float32(name.endswith("norm.weight"))


def _add_architecture(writer: gguf.GGUFWriter, shape: Shape, mix: str) -> None:
    writer.add_name(f"{shape.name} shape, random, {mix}")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context_length)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_vocab_size(shape.vocabulary)


def _add_vocabulary(writer: gguf.GGUFWriter, size: int) -> None:
    texts, kinds, merges = vocabulary(size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(texts.index(END))
    writer.add_pad_token_id(texts.index(END))
    writer.add_add_bos_token(False)


def vocabulary(size: int) -> tuple[list[str], list[int], list[str]]:
    """(token texts, token types, merges) of Qwen2.5: padded to so many, or the first of them and the end of a text."""
    document = json.loads((DATA / "tokenizers" / "qwen2.5" / "tokenizer.json").read_text())
    by_id = {token_id: text for text, token_id in document["model"]["vocab"].items() if token_id < size - 1}
    types = dict.fromkeys(by_id, gguf.TokenType.NORMAL)
    for token in document["added_tokens"]:
        token_id = token["id"] if token["id"] < size else size - 1
        if token["id"] < size or token["content"] == END:
            by_id[token_id] = token["content"]
            types[token_id] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    texts = [by_id.get(i, f"[PAD{i}]") for i in range(size)]
    kinds = [int(types.get(i, gguf.TokenType.UNUSED)) for i in range(size)]
    pairs = (pair.split(" ") if isinstance(pair, str) else pair for pair in document["model"]["merges"])
    known = set(texts)
    return texts, kinds, [" ".join(pair) for pair in pairs if "".join(pair) in known]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("encoding", help="Q4_K_M, Q4_K_S, Q5_K_M, Q6_K, IQ4_XS, MXFP4, Q8_0, Q4_0, F16, …")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    write(arguments.output, SHAPES[arguments.shape], arguments.encoding)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
