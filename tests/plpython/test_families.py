"""Every family against Hugging Face transformers, on the tiny random models of tests/fixtures/families."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from loaders.huggingface.folder import read_folder
from plpython.model import encodings
from plpython.reference.decoder import PREFILL_CHUNK, NumpyEngine

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"
CASES = sorted(path.parent.name for path in FAMILIES.glob("*/expected.npz"))
TOLERANCE = 1e-4
VISIBLE = 1e-2  # what switching a feature off must move


def read(case):
    """(architecture, weights, tokens, transformers' logits [n, vocabulary]) of a fixture."""
    model = read_folder(FAMILIES / case)
    weights = {t.name: encodings.decode(t.type, t.data, t.shape) for t in model.tensors}
    model.architecture.check_tensors({name: weight.shape for name, weight in weights.items()})
    expected = np.load(FAMILIES / case / "expected.npz")
    return model.architecture, weights, expected["tokens"], expected["logits"]


def logits(architecture, weights, tokens):
    engine = NumpyEngine(architecture, weights)
    return engine.forward(tokens, engine.new_cache(), last_only=False)


def test_the_fixtures_are_there():
    assert CASES == ["llama2", "llama3", "llama_linear", "mistral_window", "qwen2", "qwen2_window", "qwen3", "seed_oss"]


@pytest.mark.parametrize("case", CASES)
def test_logits_are_those_of_transformers(case):
    architecture, weights, tokens, expected = read(case)
    assert len(tokens) > PREFILL_CHUNK and expected.std() >= 1
    np.testing.assert_allclose(logits(architecture, weights, tokens), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_decoding_token_by_token_gives_the_logits_of_transformers(case):
    architecture, weights, tokens, expected = read(case)
    engine = NumpyEngine(architecture, weights)
    cache = engine.new_cache()
    decoded = np.concatenate([engine.forward([token], cache) for token in tokens])
    np.testing.assert_allclose(decoded, expected, rtol=0, atol=TOLERANCE)


def without(weights, *endings):
    """The weights without the tensors whose names end so; at least one must have been there."""
    kept = {name: weight for name, weight in weights.items() if not name.endswith(endings)}
    assert len(kept) < len(weights)
    return kept


def turn_neutral(weights, ending):
    """The weights with ones for those whose names end so."""
    assert any(name.endswith(ending) for name in weights)
    return {name: np.ones_like(w) if name.endswith(ending) else w for name, w in weights.items()}


def another_head(weights):
    head = np.random.default_rng(0).standard_normal(weights["token_embd.weight"].shape).astype(np.float32)
    return weights | {"output.weight": head}


def no_input_bias(architecture, weights):
    return replace(architecture, attention_bias=False), without(weights, "_q.bias", "_k.bias", "_v.bias")


def no_output_bias(architecture, weights):
    return replace(architecture, attention_output_bias=False), without(weights, "attn_output.bias")


def no_qk_norm(architecture, weights):
    return replace(architecture, qk_norm=False), without(weights, "_q_norm.weight", "_k_norm.weight")


def no_window(architecture, weights):
    assert architecture.windows is not None
    return replace(architecture, windows=None), weights


def window_everywhere(architecture, weights):
    assert None in architecture.windows and 7 in architecture.windows
    return replace(architecture, windows=(7,) * architecture.layers), weights


def window_one_longer(architecture, weights):
    return replace(architecture, windows=tuple(w and w + 1 for w in architecture.windows)), weights


def no_rope_scaling(architecture, weights):
    assert architecture.rope_scaling is not None
    return replace(architecture, rope_scaling=None), weights


def everything_divided(architecture, weights):
    linear = {"type": "linear", "factor": architecture.rope_scaling["factor"]}
    return replace(architecture, rope_scaling=linear), weights


def untied_head(architecture, weights):
    assert architecture.tied_embeddings
    return replace(architecture, tied_embeddings=False), another_head(weights)


def interleaved_rope(architecture, weights):
    return replace(architecture, rope_interleaved=True), weights


def another_theta(architecture, weights):
    return replace(architecture, rope_theta=2 * architecture.rope_theta), weights


def another_epsilon(architecture, weights):
    return replace(architecture, norm_epsilon=0.01), weights


def neutral_q_norm(architecture, weights):
    return architecture, turn_neutral(weights, "attn_q_norm.weight")


def neutral_k_norm(architecture, weights):
    return architecture, turn_neutral(weights, "attn_k_norm.weight")


def neutral_ffn_norm(architecture, weights):
    return architecture, turn_neutral(weights, "ffn_norm.weight")


CHANGES = [
    ("llama_linear", no_rope_scaling),
    ("llama_linear", no_input_bias),
    ("llama_linear", no_output_bias),
    ("llama3", no_rope_scaling),
    ("llama3", everything_divided),
    ("llama3", untied_head),
    ("mistral_window", no_window),
    ("mistral_window", window_one_longer),
    ("qwen2", no_input_bias),
    ("qwen2", untied_head),
    ("qwen2_window", no_window),
    ("qwen2_window", window_everywhere),
    ("qwen2_window", window_one_longer),
    ("qwen3", no_qk_norm),
    ("qwen3", neutral_q_norm),
    ("qwen3", neutral_k_norm),
    ("qwen3", untied_head),
    ("seed_oss", no_input_bias),
    ("seed_oss", no_output_bias),
    *((case, change) for case in CASES for change in (interleaved_rope, another_theta)),
    *((case, change) for case in CASES for change in (another_epsilon, neutral_ffn_norm)),
]


@pytest.mark.parametrize(("case", "change"), CHANGES, ids=lambda value: getattr(value, "__name__", value))
def test_a_feature_switched_off_moves_the_logits(case, change):
    architecture, weights, tokens, expected = read(case)
    moved = np.abs(logits(*change(architecture, weights), tokens) - expected).max()
    assert moved >= VISIBLE


def interleave(weight, heads):
    """The rows of q or k as llama.cpp's converter permutes them (convert_hf_to_gguf.py, LlamaModel.permute)."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


@pytest.mark.parametrize("case", ["llama2", "llama_linear", "llama3", "mistral_window"])
def test_ggufs_permuted_rows_with_interleaved_rope_give_the_same_logits(case):
    architecture, weights, tokens, expected = read(case)
    permuted = dict(weights)
    for layer in range(architecture.layers):
        for name, heads in (("attn_q", architecture.heads), ("attn_k", architecture.kv_heads)):
            for kind in ("weight", "bias"):
                full = f"blk.{layer}.{name}.{kind}"
                if full in weights:
                    permuted[full] = interleave(weights[full], heads)
    turned = replace(architecture, rope_interleaved=True)
    np.testing.assert_allclose(logits(turned, permuted, tokens), expected, rtol=0, atol=TOLERANCE)


def test_ggufs_rope_freqs_tensor_gives_the_logits_of_llama3_scaling():
    """The divisors as convert_hf_to_gguf.py writes them: 1, the factor, or 1 over the blend."""
    architecture, weights, tokens, expected = read("llama3")
    plain = replace(architecture, rope_scaling=None)
    scaling, factors = architecture.rope_scaling, []
    for frequency in plain.rope_theta ** (-np.arange(0, plain.head_dim, 2) / plain.head_dim):
        turns = scaling["original_context_length"] / (2 * np.pi / frequency)
        low, high, factor = scaling["low_freq_factor"], scaling["high_freq_factor"], scaling["factor"]
        smooth = (turns - low) / (high - low)
        blend = 1 / ((1 - smooth) / factor + smooth)
        factors.append(1 if turns > high else factor if turns < low else blend)
    assert 1 in factors and 8 in factors and any(1 < x < 8 for x in factors)
    weights = weights | {"rope_freqs.weight": np.array(factors, np.float32)}
    plain.check_tensors({name: weight.shape for name, weight in weights.items()})
    np.testing.assert_allclose(logits(plain, weights, tokens), expected, rtol=0, atol=TOLERANCE)
