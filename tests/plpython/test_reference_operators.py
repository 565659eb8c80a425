"""The operators against their formulas, written out as loops over single numbers in double precision."""

import math

import numpy as np
import pytest

from plpython.reference import operators
from plpython.server.errors import ModelError

RNG = np.random.default_rng(1)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def test_embedding_takes_the_rows_of_the_tokens():
    table = normal(5, 3)
    np.testing.assert_array_equal(operators.embedding([4, 0, 4], table), table[[4, 0, 4]])


@pytest.mark.parametrize("token", [-1, 5])
def test_embedding_refuses_a_token_outside_the_vocabulary(token):
    with pytest.raises(ModelError, match=f"token {token} is outside the vocabulary") as caught:
        operators.embedding([1, token], normal(5, 3))
    assert caught.value.sqlstate == "22023"


def test_linear_multiplies_by_the_transposed_weight_and_adds_the_bias():
    x = np.array([[1, 2], [0, -1]], np.float32)
    weight = np.array([[3, 4], [5, 6], [7, 8]], np.float32)
    np.testing.assert_array_equal(operators.linear(x, weight), [[11, 17, 23], [-4, -6, -8]])
    np.testing.assert_array_equal(
        operators.linear(x, weight, np.array([1, 0, 2], np.float32)), [[12, 17, 25], [-3, -6, -6]]
    )


def test_linear_goes_block_by_block_and_calls_the_checkpoint_after_each(monkeypatch):
    x, weight = normal(3, 8), normal(50, 8)
    monkeypatch.setattr(operators, "LINEAR_STEP", 3 * 8 * 7)
    calls = []
    y = operators.linear(x, weight, checkpoint=lambda: calls.append(1))
    assert len(calls) == math.ceil(50 / 7)
    np.testing.assert_allclose(y, x.astype(float) @ weight.T.astype(float), rtol=1e-5, atol=1e-5)


def test_rms_norm_divides_by_the_root_of_the_mean_square():
    x = np.array([[3, 4]], np.float32)
    expected = np.array([[3, 2 * 4]]) / math.sqrt(12.5 + 0.5)
    np.testing.assert_allclose(operators.rms_norm(x, np.array([1, 2], np.float32), 0.5), expected, rtol=1e-6)


def test_rms_norm_of_heads_normalises_each_head():
    q = normal(2, 3, 4)
    weight = normal(4)
    one = operators.rms_norm(np.ascontiguousarray(q[1, 2]), weight, 1e-6)
    np.testing.assert_array_equal(operators.rms_norm(q, weight, 1e-6)[1, 2], one)


def test_rope_rotates_interleaved_pairs_as_llama2c_does():
    """run.c: for each even i, rotate (v[i], v[i + 1]) by pos / 10000^(i / head_size)."""
    x = normal(2, 3, 8)
    expected = x.astype(float)
    for n, position in enumerate((5, 70)):
        for head in range(3):
            for i in range(0, 8, 2):
                angle = position / 10000.0 ** (i / 8)
                v0, v1 = x[n, head, i], x[n, head, i + 1]
                expected[n, head, i] = v0 * math.cos(angle) - v1 * math.sin(angle)
                expected[n, head, i + 1] = v0 * math.sin(angle) + v1 * math.cos(angle)
    frequencies = (10000.0 ** (-np.arange(0, 8, 2) / 8)).astype(np.float32)
    np.testing.assert_allclose(operators.rope(x, [5, 70], frequencies, True), expected, atol=2e-5)


def test_rope_rotates_halves_as_transformers_does():
    """modeling_llama.py: x * cos + rotate_half(x) * sin with cos, sin repeated over both halves."""
    x = normal(2, 3, 8)
    frequencies = (10000.0 ** (-np.arange(4) / 4)).astype(np.float32)
    angles = np.outer([5, 70], np.concatenate([frequencies, frequencies]).astype(float))[:, None, :]
    rotated_half = np.concatenate([-x[..., 4:], x[..., :4]], axis=-1)
    expected = x * np.cos(angles) + rotated_half * np.sin(angles)
    np.testing.assert_allclose(operators.rope(x, [5, 70], frequencies, False), expected, atol=2e-5)


def test_rope_leaves_position_zero_alone_and_keeps_lengths():
    x = normal(2, 1, 6)
    for interleaved in (True, False):
        y = operators.rope(x, [0, 9], np.array([1, 0.5, 0.25], np.float32), interleaved)
        np.testing.assert_array_equal(y[0], x[0])
        np.testing.assert_allclose(np.linalg.norm(y[1]), np.linalg.norm(x[1]), rtol=1e-6)
        assert np.abs(y[1] - x[1]).max() > 0.1


def test_softmax_of_known_odds_is_known():
    x = np.log(np.array([[1, 2, 5], [3, 3, 4]], np.float32))
    np.testing.assert_allclose(operators.softmax(x), [[0.125, 0.25, 0.625], [0.3, 0.3, 0.4]], rtol=1e-6)


def test_softmax_neither_overflows_nor_counts_what_is_minus_infinity():
    x = np.array([1000, -np.inf, 1000], np.float32)
    np.testing.assert_array_equal(operators.softmax(x), [0.5, 0, 0.5])


def test_swiglu_is_silu_of_the_gate_times_up():
    gate = np.array([0, 1, -1, 100, -1000], np.float32)
    up = np.array([5, 1, 2, 3, 4], np.float32)
    expected = [0, 0.7310585786, -2 * 0.2689414214, 300, 0]  # the logistic function of 1 is 0.7310585786
    np.testing.assert_allclose(operators.swiglu(gate, up), expected, rtol=1e-6)


def attention_by_hand(q, k, v, positions, window):
    n, heads, head_dim = q.shape
    group = heads // k.shape[1]
    y = np.zeros(q.shape)
    for i in range(n):
        for h in range(heads):
            first = 0 if window is None else max(0, positions[i] - window + 1)
            seen = range(first, positions[i] + 1)
            scores = [sum(float(q[i, h, d]) * float(k[j, h // group, d]) for d in range(head_dim)) for j in seen]
            odds = [math.exp(score / math.sqrt(head_dim)) for score in scores]
            for odd, j in zip(odds, seen, strict=True):
                y[i, h] += odd / sum(odds) * v[j, h // group].astype(float)
    return y


@pytest.mark.parametrize(("heads", "kv_heads"), [(3, 3), (6, 2), (4, 1)])
@pytest.mark.parametrize("window", [None, 1, 4, 100])
def test_attention_is_the_formula(heads, kv_heads, window):
    q, k, v = normal(5, heads, 6), normal(12, kv_heads, 6), normal(12, kv_heads, 6)
    positions = np.arange(7, 12)
    expected = attention_by_hand(q, k, v, positions, window)
    np.testing.assert_allclose(operators.attention(q, k, v, positions, window), expected, atol=1e-6)


def test_attention_in_smaller_steps_is_the_same_up_to_rounding(monkeypatch):
    q, k, v, positions = normal(9, 6, 4), normal(20, 2, 4), normal(20, 2, 4), np.arange(11, 20)
    whole = operators.attention(q, k, v, positions, 5)
    monkeypatch.setattr(operators, "SCORES_STEP", 6 * 20 * 2)
    calls = []
    stepped = operators.attention(q, k, v, positions, 5, checkpoint=lambda: calls.append(1))
    np.testing.assert_allclose(stepped, whole, atol=1e-6)
    assert len(calls) == 5  # two queries at a time


def test_a_query_sees_itself_and_what_is_before_it_within_the_window():
    assert operators.visible([2], 4).tolist() == [[True, True, True, False]]
    assert operators.visible([2], 4, 2).tolist() == [[False, True, True, False]]  # transformers: kv > q - window


@pytest.mark.parametrize("width", [1, 7, 33, 172])
def test_a_row_has_the_same_bits_alone_and_among_others(width):
    """llm.swiglu has one row of all numbers, llm.rms_norm a row for each head of each token; the engine has neither."""
    x, up, weight = normal(5, 3, width), normal(5, 3, width), normal(width)
    np.testing.assert_array_equal(operators.swiglu(x, up).ravel(), operators.swiglu(x.ravel(), up.ravel()))
    flat = x.reshape(-1, width)
    np.testing.assert_array_equal(
        operators.rms_norm(x, weight, 1e-5).reshape(-1, width), operators.rms_norm(flat, weight, 1e-5)
    )
    np.testing.assert_array_equal(operators.rms_norm(flat, weight, 1e-5)[7], operators.rms_norm(flat[7], weight, 1e-5))


def shifted(x, offset):
    """A copy of x whose memory begins `offset` bytes after a multiple of 64."""
    memory = np.zeros(x.nbytes + 128, np.uint8)
    start = -memory.ctypes.data % 64 + offset
    memory[start : start + x.nbytes] = x.reshape(-1).view(np.uint8)
    return np.frombuffer(memory.data, np.float32, x.size, start).reshape(x.shape)


@pytest.mark.parametrize("n", [1, 3, 64])
def test_results_do_not_depend_on_where_in_memory_the_arguments_are(n):
    """Activations arrive as bytea, at some multiple of 4 bytes; llm.forward promises the engine's bits."""
    x, weight, norm = normal(n, 172), normal(65, 172), normal(172)
    q, k, v, positions = normal(n, 6, 10), normal(77, 2, 10), normal(77, 2, 10), np.arange(77 - n, 77)

    def results(a, b):
        yield operators.linear(shifted(x, a), shifted(weight, b))
        yield operators.rms_norm(shifted(x, a), shifted(norm, b), 1e-5)
        yield operators.swiglu(shifted(x, a), shifted(x, b))
        yield operators.softmax(shifted(x, a))
        yield operators.rope(shifted(q, a), positions, shifted(normal(5) * 0 + 1, b), True)
        yield operators.attention(shifted(q, a), shifted(k, b), shifted(v, a), positions)

    aligned = list(results(0, 0))
    for a, b in ((16, 0), (0, 32), (48, 16), (4, 20), (12, 44)):
        for got, expected in zip(results(a, b), aligned, strict=True):
            np.testing.assert_array_equal(got, expected)
