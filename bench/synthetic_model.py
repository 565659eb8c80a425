"""Write a GGUF of Qwen2.5-0.5B's exact shape with random weights and the real Qwen2.5 vocabulary.

Speed does not depend on what the weights say, only on their shape and encoding, so a benchmark needs no download:

    python bench/synthetic_model.py --type Q8_0 -o qwen2.5-0.5b-shape-q8_0.gguf

The vocabulary is read from HARTONOMOUS_DATA (tokenizers/qwen2.5/tokenizer.json). Weights are normal with standard
deviation 1/sqrt(columns), which keeps activations of all 24 layers in a sane range.
"""

import argparse
import json
from pathlib import Path

import gguf
import numpy as np
from places import DATA

HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD_DIM, FFN, VOCABULARY = 896, 24, 14, 2, 64, 4864, 151936
CONTEXT_LENGTH = 32768


def tensor_shapes(layers: int) -> dict[str, tuple[int, ...]]:
    """{GGUF name: numpy shape}; the head is tied to the embedding, as in the 0.5B model."""
    kv_size = KV_HEADS * HEAD_DIM
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (VOCABULARY, HIDDEN), "output_norm.weight": (HIDDEN,)}
    for layer in range(layers):
        block = f"blk.{layer}."
        shapes |= {
            block + "attn_norm.weight": (HIDDEN,),
            block + "attn_q.weight": (HEADS * HEAD_DIM, HIDDEN),
            block + "attn_q.bias": (HEADS * HEAD_DIM,),
            block + "attn_k.weight": (kv_size, HIDDEN),
            block + "attn_k.bias": (kv_size,),
            block + "attn_v.weight": (kv_size, HIDDEN),
            block + "attn_v.bias": (kv_size,),
            block + "attn_output.weight": (HIDDEN, HEADS * HEAD_DIM),
            block + "ffn_norm.weight": (HIDDEN,),
            block + "ffn_gate.weight": (FFN, HIDDEN),
            block + "ffn_up.weight": (FFN, HIDDEN),
            block + "ffn_down.weight": (HIDDEN, FFN),
        }
    return shapes


def is_silent(name: str, audible: int) -> bool:
    """Whether a tensor is a last matrix of a layer behind the first `audible`: as zeros, its layer adds nothing."""
    _, layer, matrix = name.split(".", 2) if name.startswith("blk.") else ("", "-1", name)
    return int(layer) >= audible and matrix in ("attn_output.weight", "ffn_down.weight")


def random_tensor(name: str, shape: tuple[int, ...], encoding: gguf.GGMLQuantizationType, random) -> np.ndarray:
    """Norm weights around one and small biases in f32; matrices in the encoding asked for."""
    if name.endswith("norm.weight"):
        return (1 + 0.1 * random.standard_normal(shape, np.float32)).astype(np.float32)
    if name.endswith("bias"):
        return 0.1 * random.standard_normal(shape, np.float32)
    weights = random.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[-1]))
    return gguf.quants.quantize(weights, encoding)


def vocabulary() -> tuple[list[str], list[int], list[str]]:
    """(token texts padded to the model's rows, token types, merges) of Qwen2.5."""
    document = json.loads((DATA / "tokenizers" / "qwen2.5" / "tokenizer.json").read_text())
    by_id = {token_id: text for text, token_id in document["model"]["vocab"].items()}
    types = dict.fromkeys(by_id, gguf.TokenType.NORMAL)
    for token in document["added_tokens"]:
        by_id[token["id"]] = token["content"]
        types[token["id"]] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    texts = [by_id.get(i, f"[PAD{i}]") for i in range(VOCABULARY)]
    kinds = [int(types.get(i, gguf.TokenType.UNUSED)) for i in range(VOCABULARY)]
    merges = [pair if isinstance(pair, str) else " ".join(pair) for pair in document["model"]["merges"]]
    return texts, kinds, merges


def write(path: Path, encoding_name: str, layers: int = LAYERS, seed: int = 0, audible: int = LAYERS) -> None:
    """Write the model file; refuses an encoding that gguf cannot quantise to.

    audible: only so many layers add something, so the model says what one of so many layers alone says.
    """
    encoding = gguf.GGMLQuantizationType[encoding_name]
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_name(f"Qwen2.5-0.5B shape, random, {encoding_name}")
    writer.add_block_count(layers)
    writer.add_context_length(CONTEXT_LENGTH)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    texts, kinds, merges = vocabulary()
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(texts)
    writer.add_token_types(kinds)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(texts.index("<|endoftext|>"))
    writer.add_pad_token_id(texts.index("<|endoftext|>"))
    writer.add_add_bos_token(False)
    random = np.random.default_rng(seed)
    for name, shape in tensor_shapes(layers).items():
        data = random_tensor(name, shape, encoding, random)
        if is_silent(name, audible):
            data = gguf.quants.quantize(np.zeros(shape, np.float32), encoding)
        raw_dtype = encoding if data.dtype == np.uint8 else None
        writer.add_tensor(name, data, raw_dtype=raw_dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--type", default="Q8_0", help="F32, F16, BF16, Q8_0, Q4_0, … (default Q8_0)")
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    write(arguments.output, arguments.type, arguments.layers)
    print(f"{arguments.output}: {arguments.output.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
