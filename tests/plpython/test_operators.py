"""Operators as SQL calls them, on the tiny random models of tests/fixtures/families."""

from pathlib import Path

import numpy as np
import pytest

from loaders.huggingface import read_folder
from plpython import errors, operators, quant, session_caches, session_models
from plpython.numpy_engine import PREFILL_CHUNK, NumpyEngine

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"
CASES = sorted(path.parent.name for path in FAMILIES.glob("*/expected.npz"))


class Model:
    """What loaded_model.Model is, with weights from a file."""

    def __init__(self, case):
        source = read_folder(FAMILIES / case)
        self.name, self.hash = case, case.encode()
        self.architecture = source.architecture
        self.weights = {t.name: quant.decode(t.type, t.data, t.shape) for t in source.tensors}
        self.engine = self.reference = NumpyEngine(self.architecture, self.weights)
        self.tokens = np.load(FAMILIES / case / "expected.npz")["tokens"].tolist()
        self.expected = np.load(FAMILIES / case / "expected.npz")["logits"]

    def require_decoder(self):
        """It is one."""


def use(monkeypatch, case):
    model, caches = Model(case), session_caches.KVCaches()
    monkeypatch.setattr(session_models, "current", lambda name: model)
    monkeypatch.setattr(session_caches, "current", lambda handle, name: (model, caches.find(handle, model, "alice")))
    return model


@pytest.fixture
def qwen2(monkeypatch):
    return use(monkeypatch, "qwen2")


def f32(*numbers):
    return np.asarray(numbers, "<f4").tobytes()


def refusal(sqlstate, function, *arguments):
    with pytest.raises(errors.ModelError) as error:
        function(*arguments)
    assert error.value.sqlstate == sqlstate
    return str(error.value)


def test_tokens_of_a_forward_fit_in_the_context_before_anything_is_computed(qwen2):
    most = qwen2.architecture.context_length
    assert operators.forward_tokens([0] * most, None, 0) == [0] * most
    told = refusal("53400", operators.forward_tokens, [0] * (most - 4), 1, 10)
    assert told == (
        f"{most + 6} tokens do not fit in the context of {most} "
        f"(10 are there and {most - 4} more were given, 6 too many)"
    )
    assert "tokens is out of range" in refusal(
        "22023", operators.forward_tokens, [qwen2.architecture.vocabulary_size], None, 0
    )


def forward(model, tokens, start=0):
    """llm.forward's steps in Python: one chunk's logits after its last token."""
    positions = list(range(start, start + len(tokens)))
    x = operators.embedding(tokens)
    for layer in range(model.architecture.layers):
        b = f"blk.{layer}."
        h = operators.rms_norm(x, b + "attn_norm.weight")
        q, k, v = (operators.linear(h, f"{b}attn_{n}.weight", None, f"{b}attn_{n}.bias") for n in "qkv")
        q = operators.rope(operators.rms_norm(q, b + "attn_q_norm.weight"), positions)
        k = operators.rope(operators.rms_norm(k, b + "attn_k_norm.weight"), positions)
        seen = operators.attention(q, k, v, None, layer, positions)
        x = operators.add(x, operators.linear(seen, b + "attn_output.weight", None, b + "attn_output.bias"))
        h = operators.rms_norm(x, b + "ffn_norm.weight")
        gated = operators.swiglu(operators.linear(h, b + "ffn_gate.weight"), operators.linear(h, b + "ffn_up.weight"))
        x = operators.add(x, operators.linear(gated, b + "ffn_down.weight"))
    head = "token_embd.weight" if model.architecture.tied_embeddings else "output.weight"
    last = operators.last_row(x, model.architecture.hidden_size)
    return operators.linear(operators.rms_norm(last, "output_norm.weight"), head)


@pytest.mark.parametrize("case", CASES)
def test_the_same_composition_of_operators_is_every_family(case, monkeypatch):
    model = use(monkeypatch, case)
    cache = model.engine.new_cache()
    first, rest = model.tokens[:PREFILL_CHUNK], model.tokens[PREFILL_CHUNK:]
    for start, tokens in ((0, first), (PREFILL_CHUNK, rest)):
        composed = forward(model, tokens, start)
        np.testing.assert_allclose(
            np.frombuffer(composed, "<f4"), model.expected[start + len(tokens) - 1], rtol=0, atol=1e-4
        )
        assert composed == model.engine.forward(tokens, cache)[0].tobytes()  # the engine's bits


def test_attention_called_again_for_the_same_positions_gives_the_same(qwen2):
    first = forward(qwen2, qwen2.tokens[:9])
    later = forward(qwen2, qwen2.tokens[9:12], 9)
    assert forward(qwen2, qwen2.tokens[:9]) == first
    assert forward(qwen2, qwen2.tokens[9:12], 9) == later


def test_null_gives_null():
    assert operators.embedding(None) is None
    assert operators.linear(None, "output.weight") is None
    assert operators.rms_norm(None, "output_norm.weight") is None
    assert operators.rope(None, [0]) is None and operators.rope(b"", None) is None
    assert operators.attention(None, b"", b"", None, 0, [0]) is None
    assert operators.swiglu(None, b"") is None and operators.add(b"", None) is None
    assert operators.softmax(None) is None and operators.sample(None, *[None] * 8) is None
    assert operators.floats(None) is None and operators.bytes_of(None) is None


def test_a_bias_or_norm_that_the_family_lacks_changes_nothing(monkeypatch):
    use(monkeypatch, "llama2")
    x = f32(*range(64))[: 4 * session_models.current(None).architecture.hidden_size]
    plain = operators.linear(x, "blk.0.attn_q.weight")
    assert operators.linear(x, "blk.0.attn_q.weight", None, "blk.0.attn_q.bias") == plain
    assert operators.rms_norm(x, "blk.0.attn_q_norm.weight") == x


def test_any_other_tensor_that_is_missing_is_an_error_that_names_it(qwen2):
    x = f32(*[1.0] * qwen2.architecture.hidden_size)
    for name in ("blk.0.attn_z.weight", "blk.9.ffn_up.weight", "attn_q.weight", ""):
        assert f'"{name}"' in refusal("42704", operators.linear, x, name)
    refusal("42704", operators.linear, x, "blk.0.attn_q.weight", None, "blk.0.ffn_up.bias")
    refusal("22023", operators.linear, x, None)


def test_a_matrix_is_no_norm_and_a_vector_no_matrix(qwen2):
    x = f32(*[1.0] * qwen2.architecture.hidden_size)
    assert "a matrix" in refusal("22023", operators.linear, x, "output_norm.weight")
    assert "a vector" in refusal("22023", operators.rms_norm, x, "token_embd.weight")
    assert "bias" in refusal("22023", operators.linear, x, "blk.0.attn_k.weight", None, "blk.0.attn_q.bias")


@pytest.mark.parametrize("x", [b"", b"\0\0\0", f32(1, 2, 3)])
def test_an_activation_of_another_width_is_an_error(qwen2, x):
    assert qwen2.architecture.hidden_size != 3
    for function, *arguments in (
        (operators.linear, x, "blk.0.attn_q.weight"),
        (operators.rms_norm, x, "output_norm.weight"),
        (operators.rope, x, [0]),
        (operators.attention, x, x, x, None, 0, [0]),
        (operators.last_row, x, 2),
    ):
        refusal("22023", function, *arguments)


def test_positions_and_layers_are_checked(qwen2):
    a = qwen2.architecture
    q, kv = f32(*[0.5] * a.heads * a.head_dim), f32(*[0.5] * a.kv_heads * a.head_dim)
    for positions in ([], [-1], [0, 2], [None], [0, 1]):
        refusal("22023", operators.attention, q, kv, kv, None, 0, positions)
    for layer in (-1, a.layers, None):
        refusal("22023", operators.attention, q, kv, kv, None, layer, [0])
    assert "no positions 0 to 4" in refusal("22023", operators.attention, q, kv, kv, None, 0, [5])
    refusal("22023", operators.rope, q, [0, 1, 2, 3, 4])


def test_a_token_outside_of_the_vocabulary_is_an_error(qwen2):
    for tokens in ([qwen2.architecture.vocabulary_size], [-1], [None], [[0, 1]]):
        refusal("22023", operators.embedding, tokens)


def test_epsilon_may_be_given(qwen2):
    x = f32(*[1.0] * qwen2.architecture.hidden_size)
    own = operators.rms_norm(x, "output_norm.weight")
    assert operators.rms_norm(x, "output_norm.weight", None, qwen2.architecture.norm_epsilon) == own
    half = np.frombuffer(operators.rms_norm(x, "output_norm.weight", None, 1.0), "<f4")
    np.testing.assert_allclose(half, qwen2.weights["output_norm.weight"] / np.sqrt(2), rtol=1e-6)
    refusal("22023", operators.rms_norm, x, "output_norm.weight", None, -1.0)


def test_numbers_go_both_ways():
    assert operators.floats(f32(1, -2)) == [1.0, -2.0]
    assert operators.bytes_of([1.0, -2.0]) == f32(1, -2)
    for ill in (None, 1e39, -1e39):
        refusal("22023", operators.bytes_of, [1.0, ill])
    assert operators.floats(operators.bytes_of([float("inf")])) == [float("inf")]
