"""The story model of tests/fixtures/stories in all the forms of the check data: GGUF, folder, quantised, answers."""

import functools
import itertools
import json
import math
from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import save_file

STORIES = Path(__file__).parent.parent / "fixtures" / "stories"
VOCABULARY, HEADS, KV_HEADS, LAYERS, HIDDEN, FFN = 512, 8, 4, 5, 64, 172
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN // 2, HIDDEN),
    "self_attn.v_proj": (HIDDEN // 2, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (FFN, HIDDEN),
    "mlp.down_proj": (HIDDEN, FFN),
    "mlp.up_proj": (FFN, HIDDEN),
    "input_layernorm": (HIDDEN,),
    "post_attention_layernorm": (HIDDEN,),
}
NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "input_layernorm": "attn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.down_proj": "ffn_down",
    "mlp.up_proj": "ffn_up",
    "post_attention_layernorm": "ffn_norm",
}
CASES = ("case2", "case3")
QUANTISED = ("F16", "Q8_0", "Q4_0")


def shapes() -> dict[str, tuple[int, ...]]:
    """{name of Hugging Face: shape}, in the order in which weights.npz has them."""
    found = {"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}
    for layer in range(LAYERS):
        found |= {f"model.layers.{layer}.{name}.weight": shape for name, shape in SHAPES.items()}
    return found


@functools.cache
def weights() -> dict[str, np.ndarray]:
    """{name of Hugging Face: float32}: matrices are whole numbers and random fractions, times a scale a row."""
    saved = dict(np.load(STORIES / "weights.npz"))
    fractions = (np.random.PCG64(7).random_raw(len(saved["codes"])) >> 40) / (1 << 24) - 0.5
    saved["codes"] = (saved["codes"] + 0.8 * fractions).astype(np.float32)
    left = {name: iter(values) for name, values in saved.items()}

    def take(name: str, *shape: int) -> np.ndarray:
        return np.array(list(itertools.islice(left[name], math.prod(shape)))).reshape(shape)

    return {
        name: take("codes", *shape) * take("scales", shape[0], 1) if len(shape) == 2 else take("vectors", *shape)
        for name, shape in shapes().items()
    }


def interleaved(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of q or k as GGUF has them: the halves of each head become pairs."""
    return rows.reshape(heads, 2, len(rows) // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def tensors() -> dict[str, np.ndarray]:
    """{name of GGUF: float32}, a copy of the embedding as the head."""
    given = weights()
    embedding = given["model.embed_tokens.weight"]
    made = {"token_embd": embedding, "output_norm": given["model.norm.weight"], "output": embedding}
    heads = {"attn_q": HEADS, "attn_k": KV_HEADS}
    for layer in range(LAYERS):
        for theirs, ours in NAMES.items():
            values = given[f"model.layers.{layer}.{theirs}.weight"]
            made[f"blk.{layer}.{ours}"] = interleaved(values, heads[ours]) if ours in heads else values
    return {f"{name}.weight": np.ascontiguousarray(values) for name, values in made.items()}


def definition() -> dict:
    return json.loads((STORIES / "tokenizer.json").read_text(encoding="utf-8"))


def type_of(values: np.ndarray, kind: str) -> gguf.GGMLQuantizationType:
    """Matrices are of the kind; one whose rows are no blocks is F16, as llama.cpp has it."""
    fits = kind in ("F32", "F16") or values.shape[-1] % 32 == 0
    return gguf.GGMLQuantizationType["F32" if values.ndim == 1 else kind if fits else "F16"]


def write_model(path: Path, kind: str) -> None:
    """A GGUF with what is odd in the published one: no rope.freq_base, no pre, a padding token that is none."""
    writer = gguf.GGUFWriter(path, "llama")
    add_tokenizer(writer)
    writer.add_name("llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FFN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_block_count(LAYERS)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    for name, values in tensors().items():
        type = type_of(values, kind)
        writer.add_tensor(name, gguf.quants.quantize(values, type), raw_dtype=type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: gguf.GGUFWriter) -> None:
    vocabulary = definition()["model"]["vocab"]
    pieces = sorted(vocabulary, key=vocabulary.get)
    kinds = [gguf.TokenType.UNKNOWN, *[gguf.TokenType.CONTROL] * 2, *[gguf.TokenType.BYTE] * 256]
    writer.add_token_list(pieces)
    writer.add_token_scores([-float(max(0, number - len(kinds))) for number in range(len(pieces))])
    writer.add_token_types(kinds + [gguf.TokenType.NORMAL] * (len(pieces) - len(kinds)))
    writer.add_tokenizer_model("llama")
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id((1 << 32) - 1)


def write_gguf(folder: Path) -> None:
    write_model(folder / "stories260K.gguf", "F32")


def write_folder(folder: Path) -> None:
    save_file(weights(), folder / "model.safetensors")
    (folder / "config.json").write_bytes((STORIES / "config.json").read_bytes())
    (folder / "tokenizer.json").write_bytes((STORIES / "tokenizer.json").read_bytes())


def answers() -> dict[str, np.ndarray]:
    """{case: logits f32[tokens, 512]} that transformers gave, from whole numbers in planes of bytes."""
    saved = np.load(STORIES / "logits.npz")
    return {name: packed.T.copy().view("<i4").reshape(-1, 512) / np.float32(1 << 14) for name, packed in saved.items()}


def write_quantised(folder: Path) -> None:
    expected, logits = json.loads((STORIES / "texts.json").read_text()), answers()
    cases = []
    for kind in QUANTISED:
        write_model(folder / f"stories260K-{kind}.gguf", kind)
        logits[kind].astype("<f4").tofile(folder / f"{kind}.case2.logits.f32")
        cases.append({"file": f"stories260K-{kind}.gguf", "tokens": expected["tokens"][kind]})
    (folder / "expected.json").write_text(json.dumps(cases))


def write_answers(folder: Path) -> None:
    expected, logits = json.loads((STORIES / "texts.json").read_text()), answers()
    for case in CASES:
        prompt = {"n_prompt": expected["prompt_tokens"][case], "tokens": expected["tokens"][case]}
        (folder / f"{case}.json").write_text(json.dumps(prompt))
        (folder / f"{case}.prompt.txt").write_text(expected["prompts"][case])
        logits[case].astype("<f4").tofile(folder / f"{case}.logits.f32")
    (folder / "karpathy_expected_stdout_n200.txt").write_text(expected["greedy_200"])
    (folder / "greedy_bos_256.txt").write_text(expected["greedy_256"] + "\n")
