"""Operators as SQL calls them, on the tiny random models of tests/fixtures/families."""

from pathlib import Path

import numpy as np
import pytest

from loaders.reader import read_model
from plpython.engine import composed as compiled_operators
from plpython.engine.composed import CompiledOperators
from plpython.engine.decoder import CompiledEngine
from plpython.model import encodings
from plpython.reference import operators as ops
from plpython.reference.composed import NumpyOperators
from plpython.reference.decoder import PREFILL_CHUNK, NumpyEngine
from plpython.server import errors
from plpython.session import kv_handles, models
from plpython.sql import operators
from plpython.weights.packed_model import pack_model
from tests.plpython import stories

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"
CASES = sorted(path.parent.name for path in FAMILIES.glob("*/expected.npz"))


class Model:
    """What session/model.Model is, with weights from a file or other `tensors`, computed by one of the engines."""

    def __init__(self, path, kind, tensors=None):
        source = read_model(path)
        self.name, self.hash = path.name, path.name.encode()
        self.architecture = source.architecture
        tensors = tensors or {t.name: (t.type, t.shape, bytes(t.data)) for t in source.tensors}
        self.weights = {name: encodings.decode(type, raw, shape) for name, (type, shape, raw) in tensors.items()}
        if kind == "numpy":
            self.engine = NumpyEngine(self.architecture, self.weights)
            self.operators = NumpyOperators(self.engine, lambda: None)
        else:
            self.engine = CompiledEngine(self.architecture, pack_model(tensors), batch_threads=2)
            self.operators = CompiledOperators(self.engine, lambda: None)

    def require_decoder(self):
        """It is one."""


def use(monkeypatch, path, kind="numpy", tensors=None):
    model, caches = Model(path, kind, tensors), kv_handles.KVCaches()
    monkeypatch.setattr(models, "current", lambda name: model)
    monkeypatch.setattr(models, "at_this_moment", lambda name: (model, "alice", model.operators))
    monkeypatch.setattr(models, "swiglu", lambda: ops.swiglu if kind == "numpy" else compiled_operators.swiglu)
    found = lambda handle, name: (model, model.operators, caches.find(handle, model, "alice", model.operators))  # noqa: E731
    monkeypatch.setattr(kv_handles, "current", found)
    return model


@pytest.fixture
def qwen2(monkeypatch):
    return use(monkeypatch, FAMILIES / "qwen2")


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
        q, k, v = operators.queries_keys_values(h, layer, positions)
        seen = operators.attention(q, k, v, None, layer, positions)
        x = operators.linear(seen, b + "attn_output.weight", None, b + "attn_output.bias", x)
        h = operators.rms_norm(x, b + "ffn_norm.weight")
        gated = operators.swiglu_of_weights(h, b + "ffn_gate.weight", b + "ffn_up.weight")
        x = operators.linear(gated, b + "ffn_down.weight", None, None, x)
    return logits(model, x)


def forward_in_small_steps(model, tokens, start=0):
    """The same, each operation a call of its own."""
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
    return logits(model, x)


def logits(model, x):
    """What the head makes of the last row."""
    head = "token_embd.weight" if model.architecture.tied_embeddings else "output.weight"
    last = operators.last_row(x, model.architecture.hidden_size)
    return operators.linear(operators.rms_norm(last, "output_norm.weight"), head)


COMPOSITIONS = pytest.mark.parametrize("compose", [forward, forward_in_small_steps])


@COMPOSITIONS
@pytest.mark.parametrize("kind", ["numpy", "compiled"])
@pytest.mark.parametrize("case", CASES)
def test_the_same_composition_of_operators_is_every_family_with_the_bits_of_its_engine(
    case, kind, compose, monkeypatch
):
    model = use(monkeypatch, FAMILIES / case, kind)
    saved = np.load(FAMILIES / case / "expected.npz")
    tokens, expected = saved["tokens"].tolist(), saved["logits"]
    cache, start = model.engine.new_cache(), 0
    for few in (tokens[:PREFILL_CHUNK], tokens[PREFILL_CHUNK:-1], tokens[-1:]):
        composed, start = compose(model, few, start), start + len(few)
        if kind == "numpy":  # the compiled engine's own tests say how far its half precision may be off
            np.testing.assert_allclose(np.frombuffer(composed, "<f4"), expected[start - 1], rtol=0, atol=1e-4)
        assert composed == model.engine.forward(few, cache)[-1].tobytes()


@COMPOSITIONS
@pytest.mark.parametrize("type", ["F32", "F16", "Q8_0", "Q4_0", "Q5_0"])
def test_over_packed_weights_a_composition_has_the_bits_of_the_compiled_engine(type, compose, own_data, monkeypatch):
    """stories260K has an ffn of 172, which no layout divides; 100 tokens are more than one slice."""
    model = use(monkeypatch, own_data / "stories260K/stories260K.gguf", "compiled", stories.tensors(own_data, type))
    cache, start = model.engine.new_cache(), 0
    for few in (list(range(3, 103)), [7], [9, 8, 7], [5]):
        composed, start = compose(model, few, start), start + len(few)
        assert composed == model.engine.forward(few, cache)[-1].tobytes()


@COMPOSITIONS
def test_what_a_query_does_to_a_slice_of_tokens_does_not_depend_on_the_others(compose, own_data, monkeypatch):
    """More tokens than a slice, shared out among threads, and the same tokens one by one."""
    model = use(monkeypatch, own_data / "stories260K-quant-derived" / "stories260K-Q8_0.gguf", "compiled")
    monkeypatch.setattr(compiled_operators, "LEAST_SHARED_PRODUCTS", 0)
    tokens = list(range(3, 3 + 2 * compiled_operators.SLICE_TOKENS + 5))
    together = compose(model, tokens)
    for place, token in enumerate(tokens):
        alone = compose(model, [token], place)
    assert alone == together


def test_attention_called_again_for_the_same_positions_gives_the_same(qwen2):
    first = forward(qwen2, list(range(9)))
    later = forward(qwen2, [9, 10, 11], 9)
    assert forward(qwen2, list(range(9))) == first
    assert forward(qwen2, [9, 10, 11], 9) == later


def test_null_gives_null():
    assert operators.embedding(None) is None
    assert operators.linear(None, "output.weight") is None
    assert operators.rms_norm(None, "output_norm.weight") is None
    assert operators.rope(None, [0]) is None and operators.rope(b"", None) is None
    assert operators.attention(None, b"", b"", None, 0, [0]) is None
    assert operators.swiglu(None, b"") is None and operators.add(b"", None) is None
    assert operators.swiglu_of_weights(None, "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight") is None
    for arguments in ((None, 0, [0]), (b"", None, [0]), (b"", 0, None)):
        assert operators.queries_keys_values(*arguments) is None
    assert operators.softmax(None) is None and operators.sample(None, *[None] * 8) is None
    assert operators.floats(None) is None and operators.bytes_of(None) is None


def test_a_bias_or_norm_that_the_family_lacks_changes_nothing(monkeypatch):
    use(monkeypatch, FAMILIES / "llama2")
    x = f32(*range(64))[: 4 * models.current(None).architecture.hidden_size]
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
        (operators.queries_keys_values, x, 0, [0]),
        (operators.swiglu_of_weights, x, "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight"),
        (operators.rms_norm, x, "output_norm.weight"),
        (operators.rope, x, [0]),
        (operators.attention, x, x, x, None, 0, [0]),
        (operators.last_row, x, 2),
    ):
        refusal("22023", function, *arguments)


def test_a_residual_of_another_size_and_two_matrices_of_two_shapes_are_errors(qwen2):
    x = f32(*[1.0] * qwen2.architecture.hidden_size)
    for residual in (b"", f32(1, 2), x + x):
        told = refusal("22023", operators.linear, x, "blk.0.attn_q.weight", None, None, residual)
        assert "residual" in told
    told = refusal("22023", operators.swiglu_of_weights, x, "blk.0.ffn_gate.weight", "blk.0.ffn_down.weight")
    assert "up does not fit" in told
    refusal("22023", operators.swiglu_of_weights, x, "output_norm.weight", "blk.0.ffn_up.weight")
    refusal("42704", operators.swiglu_of_weights, x, "blk.0.ffn_gate.weight", "blk.9.ffn_up.weight")


def test_positions_and_layers_are_checked(qwen2):
    a = qwen2.architecture
    x = f32(*[1.0] * a.hidden_size)
    beyond = [a.context_length]  # its angles alone might not fit into memory
    for positions in ([], [-1], [0, 2], [None], [0, 1], beyond):
        refusal("22023", operators.queries_keys_values, x, 0, positions)
    for layer in (-1, a.layers):
        refusal("22023", operators.queries_keys_values, x, layer, [0])
    q, kv = f32(*[0.5] * a.heads * a.head_dim), f32(*[0.5] * a.kv_heads * a.head_dim)
    for positions in ([], [-1], [0, 2], [None], [0, 1], beyond):
        refusal("22023", operators.attention, q, kv, kv, None, 0, positions)
    for layer in (-1, a.layers, None):
        refusal("22023", operators.attention, q, kv, kv, None, layer, [0])
    assert "no positions 0 to 4" in refusal("22023", operators.attention, q, kv, kv, None, 0, [5])
    refusal("22023", operators.rope, q, [0, 1, 2, 3, 4])
    refusal("22023", operators.rope, q, beyond)


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
    assert list(operators.floats(f32(1, -2))) == [1.0, -2.0]
    assert operators.bytes_of([1.0, -2.0]) == f32(1, -2)
    for ill in (None, 1e39, -1e39):
        refusal("22023", operators.bytes_of, [1.0, ill])
    assert list(operators.floats(operators.bytes_of([float("inf")]))) == [float("inf")]
