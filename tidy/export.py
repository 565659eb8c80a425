"""Write a checkpoint of tidy/train.py as a GGUF file: matrices as Q8_0, norms and biases as F32.

python tidy/export.py build/tidy.pt tidy/tidy.gguf
"""

import argparse
from pathlib import Path

import gguf
import numpy as np
import torch
import vocabulary
from model import Qwen2, Shape


def load(path: Path) -> tuple[Qwen2, list[str], list[tuple[str, str]], dict]:
    """The model of a checkpoint, its tokens and merges, and what the checkpoint says of its training."""
    checkpoint = torch.load(path, weights_only=True)
    model = Qwen2(Shape(**checkpoint["shape"]))
    model.load_state_dict(checkpoint["state"])
    return model.eval(), checkpoint["tokens"], [tuple(merge) for merge in checkpoint["merges"]], checkpoint


def write(checkpoint: Path, target: Path) -> None:
    """The GGUF file; its metadata is all that is needed to run it."""
    model, tokens, merges, facts = load(checkpoint)
    shape = model.shape
    writer = gguf.GGUFWriter(target, "qwen2")
    writer.add_name("tidy")
    writer.add_description(
        "Turns messy dates, times, money, durations, quantities, percentages, booleans and phone numbers into "
        "values that cast to their SQL types; prompt '<kind>: <value>', answer the value or 'unknown'"
    )
    writer.add_license("PostgreSQL")
    writer.add_version(f"seed {facts['seed']}, {facts['steps']} steps")
    writer.add_size_label("1M")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.ffn)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.epsilon)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [gguf.TokenType.CONTROL if token == vocabulary.END else gguf.TokenType.NORMAL for token in tokens]
    )
    writer.add_token_merges([" ".join(merge) for merge in merges])
    writer.add_eos_token_id(tokens.index(vocabulary.END))
    writer.add_pad_token_id(tokens.index(vocabulary.END))
    writer.add_add_bos_token(False)
    writer.add_add_eos_token(False)
    for name, value in model.tensors().items():
        array = value.detach().numpy().astype(np.float32)
        if array.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("target", type=Path)
    options = parser.parse_args()
    write(options.checkpoint, options.target)
    print(f"{options.target}: {options.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
