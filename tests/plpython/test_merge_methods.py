"""The arithmetic of merging: answers worked out by hand, and each method written a second time, number by number."""

import math

import numpy as np
import pytest

from plpython.store import merge_methods


def array(*numbers: float) -> np.ndarray:
    return np.array(numbers, np.float32)


def random(seed: int, shape=(7, 11)) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_linear_is_the_weighted_sum():
    assert merge_methods.linear([array(1, 2), array(3, -4)], [0.25, 0.75]).tolist() == [2.5, -2.5]


def test_linear_does_not_divide_by_the_weights():
    assert merge_methods.linear([array(1, 2), array(3, -4)], [1, 1]).tolist() == [4, -2]


def test_slerp_half_way_between_two_axes_is_their_bisector():
    half = math.sqrt(0.5)
    assert merge_methods.slerp(array(1, 0), array(0, 1), 0.5) == pytest.approx([half, half], abs=1e-7)


def test_slerp_a_third_of_a_right_angle_is_thirty_degrees():
    assert merge_methods.slerp(array(1, 0), array(0, 1), 1 / 3) == pytest.approx([math.sqrt(0.75), 0.5], abs=1e-7)


def test_slerp_keeps_the_length_that_a_straight_line_loses():
    first, second = (tensor / np.linalg.norm(tensor) for tensor in (random(1), random(2)))
    assert np.linalg.norm(merge_methods.slerp(first, second, 0.5)) == pytest.approx(1, abs=1e-6)
    assert np.linalg.norm(merge_methods.linear([first, second], [0.5, 0.5])) < 0.9


def test_slerp_is_shoemakes_formula():
    first, second, t = random(3), random(4), 0.3
    a, b = first.astype(float).ravel(), second.astype(float).ravel()
    angle = math.acos(sum(a * b) / math.sqrt(sum(a * a) * sum(b * b)))
    expected = (math.sin((1 - t) * angle) * a + math.sin(t * angle) * b) / math.sin(angle)
    assert np.abs(merge_methods.slerp(first, second, t).ravel() - expected).max() < 1e-6


@pytest.mark.parametrize("second", [array(2, 4), array(-2, -4), array(0, 0), array(1.0001, 2)])
def test_slerp_of_vectors_without_an_arc_is_linear(second):
    first = array(1, 2)
    assert merge_methods.slerp(first, second, 0.25) == pytest.approx(0.75 * first + 0.25 * second, abs=1e-6)


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_slerp_begins_and_ends_at_its_ends(t):
    ends = random(5), random(6)
    assert merge_methods.slerp(*ends, t) == pytest.approx(ends[int(t)], abs=1e-6)


def test_task_arithmetic_adds_what_was_learned():
    base = array(1, 1, 1)
    learned = [array(2, 1, 0), array(1, 4, 1)]
    assert merge_methods.task_arithmetic(base, learned, [1, 1], 1).tolist() == [2, 4, 0]
    assert merge_methods.task_arithmetic(base, learned, [1, -1], 0.5).tolist() == [
        1.5,
        -0.5,
        0.5,
    ]  # the second forgotten


def test_ties_by_hand():
    """Task vectors 3 -1 0.5 2 and -2.5 -4 1 2 keep their larger halves, 3 . . 2 and -2.5 -4 . .; signs are + - . +."""
    base = array(10, 10, 10, 10)
    learned = [base + array(3, -1, 0.5, 2), base + array(-2.5, -4, 1, 2)]
    assert merge_methods.ties(base, learned, [1, 1], 0.5, 1).tolist() == [13, 6, 10, 12]
    assert merge_methods.ties(base, learned, [1, 1], 0.5, 0.5).tolist() == [11.5, 8, 10, 11]


def test_ties_takes_the_mean_of_those_that_agree():
    """2 and 4 agree, -3 does not: (2 + 4) / 2, and with weights (2 + 3 * 4) / 4."""
    base, learned = array(0), [array(2), array(4), array(-3)]
    assert merge_methods.ties(base, learned, [1, 1, 1], 1, 1).tolist() == [3]
    assert merge_methods.ties(base, learned, [1, 3, 1], 1, 1).tolist() == [3.5]


def test_a_draw_of_signs_goes_with_the_majority_of_the_tensor():
    """1 and -1 cancel; the other two weights are negative, so the negative one is kept (the paper's code)."""
    base, learned = array(0, 0, 0), [array(1, -2, -2), array(-1, -2, -2)]
    assert merge_methods.ties(base, learned, [1, 1], 1, 1).tolist() == [-1, -2, -2]


@pytest.mark.parametrize("density", [0.1, 0.2, 0.5, 0.9, 1.0])
def test_ties_is_the_papers_algorithm_number_by_number(density):
    base, learned, weights, scale = random(7), [random(8), random(9), random(10)], [1.0, 0.5, 2.0], 0.7
    expected = ties_one_by_one(base, learned, weights, density, scale)
    assert np.abs(merge_methods.ties(base, learned, weights, density, scale) - expected).max() < 1e-5


def ties_one_by_one(base, learned, weights, density, scale):
    """Trim by sorting, elect by counting, average by a loop: 2306.01708, algorithm 1."""
    vectors = []
    for model in learned:
        vector = (model - base).ravel().tolist()
        order = sorted(range(len(vector)), key=lambda i, v=vector: -abs(v[i]))
        kept = set(order[: round(density * len(vector))])
        vectors.append([x if i in kept else 0.0 for i, x in enumerate(vector)])
    sums = [sum(w * v[i] for w, v in zip(weights, vectors, strict=True)) for i in range(base.size)]
    balance = sum((x > 0) - (x < 0) for x in sums)
    merged = []
    for i, total in enumerate(sums):
        sign = (total > 0) - (total < 0) or (1 if balance >= 0 else -1)
        agreeing = [(w, v[i]) for w, v in zip(weights, vectors, strict=True) if v[i] * sign > 0]
        merged.append(sum(w * x for w, x in agreeing) / sum(w for w, _ in agreeing) if agreeing else 0.0)
    return base + scale * np.array(merged).reshape(base.shape)


def test_nothing_of_a_task_vector_stays_at_density_0():
    assert not merge_methods.trimmed(random(11), 0.0).any()
    assert merge_methods.ties(random(1), [random(2)], [1.0], 0.0, 1.0) == pytest.approx(random(1))
