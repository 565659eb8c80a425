"""What a draw may choose from: weights against exp, and the same tokens from numpy and from compiled code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from plpython.generate import candidates, sampling
from plpython.generate.candidates import BUCKETS, WEIGHT_BITS, Candidates
from plpython.generate.sampling import Settings, next_token
from plpython.kernels import candidates as candidate_kernels

NUMBERS = ("scores", "weights", "counts", "masses")
LOGITS = st.floats(-60, 60, width=32)
CHOICES = st.builds(
    Settings,
    temperature=st.sampled_from([0.05, 0.7, 1.0, 3.0, 100.0]),
    top_k=st.sampled_from([0, 0, 1, 2, 7, 40, 10_000]),
    top_p=st.sampled_from([1.0, 1.0, 0.0, 0.3, 0.9, 0.999]),
    min_p=st.sampled_from([0.0, 0.0, 1e-9, 0.05, 0.5, 1.0]),
    typical_p=st.sampled_from([1.0, 1.0, 0.0, 0.2, 0.9, 0.999]),
    seed=st.integers(-(2**63), 2**63 - 1),
)


def test_weights_are_exp_to_the_last_place_or_two():
    scores = -np.concatenate([np.linspace(0, 22, 20001), np.random.default_rng(1).uniform(0, 22, 20000)])
    scores = scores.astype(np.float32)
    exact = 2.0**WEIGHT_BITS * np.exp(scores.astype(np.float64))
    assert (np.abs(candidates.weights(scores) - exact) <= 0.5 + 3e-7 * exact).all()


def test_the_first_weighs_two_to_the_32_and_what_is_excluded_nothing():
    assert candidates.weights(np.array([0, -np.inf, -1e30, -23.0], np.float32)).tolist() == [2.0**32, 0, 0, 0]
    lightest = -np.float32(np.log(2.0**33))  # half of one
    assert candidates.bucket_of(lightest) < BUCKETS


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    arrays(np.float32, st.integers(1, 70), elements=st.one_of(LOGITS, st.sampled_from([0.0, 1.0, -np.inf]))),
    CHOICES,
    st.integers(0, 1000),
)
def test_numpy_and_compiled_code_choose_the_same_token(logits, settings, position):
    if np.isfinite(logits.max()):
        compiled = next_token(logits, [], settings, position, candidate_kernels.Candidates)
        assert compiled == next_token(logits, [], settings, position)


ONE_BY_ONE = ({"top_k": 50}, {"top_p": 0.9}, {"min_p": 0.02}, {"top_k": 99, "top_p": 0.5})
TYPICAL = ({"typical_p": 0.2}, {"typical_p": 0.95}, {"top_p": 0.9, "typical_p": 0.5})


@pytest.mark.parametrize("spread", [0.0, 0.01, 1.0, 5.0, 30.0])
def test_they_agree_on_every_number_of_a_large_vocabulary(spread):
    logits = (spread * np.random.default_rng(3).standard_normal(151_936)).astype(np.float32)
    for temperature in (0.3, 1.0, 7.0):
        for values in (*ONE_BY_ONE, *TYPICAL):
            one, other = (w(logits, logits.max(), temperature) for w in (Candidates, candidate_kernels.Candidates))
            assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NUMBERS)
            (one, cut), (other, cut_of_other) = (sampling.narrowed(c, Settings(**values)) for c in (one, other))
            assert cut == cut_of_other
            assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in NUMBERS)
            for number in (0, int(cut.mass) // 2, int(cut.mass) - 1):
                assert one.draw(cut, number) == other.draw(cut, number)


def test_every_number_below_the_mass_draws_a_token_in_proportion_to_its_weight():
    one = Candidates(np.log(np.array([1, 4, 2], np.float32)), np.log(np.float32(4)), 1.0)
    cut, borders = one.all(), np.cumsum(one.weights, dtype=float).astype(int).tolist()
    assert [one.draw(cut, border - 1) for border in borders] == [0, 1, 2]
    assert [one.draw(cut, border) for border in [0, *borders[:-1]]] == [0, 1, 2]


@pytest.mark.parametrize("weigh", [Candidates, candidate_kernels.Candidates])
def test_only_some_tokens_keep_their_weights_and_are_all_that_a_later_sampler_sees(weigh):
    all_of_them = weigh(np.log(np.array([8, 1, 4, 2, 4], np.float32)), np.log(np.float32(8)), 1.0)
    weights = all_of_them.weights.tolist()
    ids = all_of_them.ids(all_of_them.top_k(4))
    assert ids.tolist() == [0, 2, 3, 4]
    only = all_of_them.only(ids[1:])
    assert only.weights.tolist() == [0, 0, *weights[2:]]
    assert only.ids(only.all()).tolist() == [2, 3, 4]
    assert [only.ids(only.top_k(k)).tolist() for k in (1, 2)] == [[2], [2, 4]]
    assert [only.draw(only.all(), number) for number in (0, only.all().mass - 1)] == [2, 4]


def test_probabilities_are_those_of_what_is_kept():
    one = Candidates(np.log(np.array([5, 1, 3, 2], np.float32)), np.log(np.float32(5)), 1.0)
    np.testing.assert_allclose(
        np.exp(one.log_probabilities(np.array([0, 2, 3]), one.top_k(3))), [0.5, 0.3, 0.2], rtol=1e-6
    )
