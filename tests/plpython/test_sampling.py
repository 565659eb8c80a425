"""Sampling against transformers' logits processors, hand-computed distributions and the published random generator."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from plpython.generate import sampling
from plpython.generate.candidates import Candidates
from plpython.generate.sampling import Settings, next_token
from plpython.server.errors import ModelError

PROCESSORS = json.loads((Path(__file__).parent.parent / "fixtures" / "sampling" / "expected.json").read_text())


def odds(*values):
    """Logits of tokens whose probabilities are proportional to the values."""
    return np.log(np.array(values, np.float32))


def ids(candidates, cut):
    """The tokens that a Cut keeps, ascending."""
    scores, places = candidates.scores, np.arange(len(candidates.scores))
    kept = (scores > cut.score) | ((scores == cut.score) & (places <= cut.last))
    assert candidates.weights[kept].sum(dtype=float) == cut.mass
    return np.flatnonzero(kept & (candidates.weights > 0)).tolist()


def kept(logits, **settings):
    """The tokens that a draw chooses from, at temperature 1."""
    candidates = Candidates(logits, logits.max(), 1.0)
    return ids(*sampling.narrowed(candidates, Settings(temperature=1.0, **settings)))


def draws(logits, settings, count, history=()):
    """How often each token comes at positions 0 ... count - 1."""
    tokens = [next_token(logits, history, settings, position) for position in range(count)]
    return np.bincount(tokens, minlength=len(logits))


def chi_square(observed, probabilities):
    expected = probabilities * observed.sum()
    likely = expected > 0
    assert observed[~likely].sum() == 0
    return float(((observed - expected)[likely] ** 2 / expected[likely]).sum()), int(likely.sum()) - 1


@pytest.mark.parametrize("case", PROCESSORS, ids=lambda case: "-".join(case["settings"]))
def test_the_distribution_is_the_one_transformers_processors_leave(case):
    logits = np.array(case["logits"], np.float32)
    settings = Settings(**case["settings"])
    changed = sampling.repeat_penalty(logits, case["history"], settings.repeat_penalty)
    candidates, cut = sampling.narrowed(Candidates(changed, changed.max(), settings.temperature), settings)
    kept = ids(candidates, cut)
    probabilities = np.zeros(len(logits))
    probabilities[kept] = candidates.weights[kept] / candidates.weights[kept].sum(dtype=float)
    np.testing.assert_allclose(probabilities, case["probabilities"], atol=1e-6)


@pytest.mark.parametrize("case", PROCESSORS, ids=lambda case: "-".join(case["settings"]))
def test_draws_follow_that_distribution(case):
    settings = Settings(seed=11, **case["settings"])
    observed = draws(np.array(case["logits"], np.float32), settings, 4000, case["history"])
    statistic, freedom = chi_square(observed, np.array(case["probabilities"]))
    assert statistic <= freedom + 4 * math.sqrt(2 * max(1, freedom))  # four standard deviations of chi-square


def test_equal_seeds_draw_equally_and_other_seeds_or_positions_do_not():
    logits = odds(*[1] * 1000)
    tokens = {
        seed: [next_token(logits, [], Settings(temperature=1.0, seed=seed), p) for p in range(50)]
        for seed in (1, 2, -1)
    }
    assert tokens[1] == [next_token(logits, [5, 6], Settings(temperature=1.0, seed=1), p) for p in range(50)]
    assert len({tuple(drawn) for drawn in tokens.values()}) == 3
    assert len(set(tokens[1])) > 40


def test_a_draw_does_not_depend_on_the_draws_before_it():
    logits = odds(*range(1, 100))
    forwards = [next_token(logits, [], Settings(temperature=1.0, seed=3), p) for p in range(20)]
    backwards = [next_token(logits, [], Settings(temperature=1.0, seed=3), p) for p in reversed(range(20))]
    assert forwards == backwards[::-1]


@pytest.mark.parametrize(
    "settings",
    [
        Settings(),
        Settings(temperature=1.0, top_k=1),
        Settings(temperature=1.0, top_p=0.0),
        Settings(temperature=1.0, min_p=1),
    ],
)
def test_the_most_careful_settings_take_the_largest(settings):
    assert set(np.flatnonzero(draws(odds(1, 7, 2, 6.9), settings, 50))) == {1}


def test_ties_go_to_the_lowest_id():
    logits = odds(1, 3, 3, 3, 2)
    assert next_token(logits, [], Settings(), 0) == 1
    assert kept(logits, top_k=2) == [1, 2]
    assert kept(logits, top_k=4) == [1, 2, 3, 4]
    assert kept(logits, top_p=0.4) == [1, 2]


def test_top_k_keeps_exactly_k_and_zero_or_more_than_all_keeps_all():
    logits = odds(5, 1, 4, 2, 3)
    assert kept(logits, top_k=3) == [0, 2, 4]
    assert kept(logits, top_k=9) == [0, 1, 2, 3, 4]
    assert (draws(logits, Settings(temperature=1.0, top_k=0, seed=1), 300) > 0).all()


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        (0.0, [2]),
        (0.39, [2]),
        (0.41, [0, 2]),
        (0.69, [0, 2]),
        (0.71, [0, 2, 3]),
        (0.99, [0, 1, 2, 3]),
        (1.0, [0, 1, 2, 3]),
    ],
)
def test_top_p_keeps_the_fewest_that_reach_p(p, expected):
    assert kept(odds(0.3, 0.1, 0.4, 0.2), top_p=p) == expected


@pytest.mark.parametrize("spread", [0, 0.01, 1, 6, 30])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.9, 0.999])
def test_top_p_of_a_large_vocabulary_is_what_sorting_it_gives(spread, p):
    logits = (spread * np.random.default_rng(8).standard_normal(20000)).astype(np.float32)
    weights = np.exp(logits.astype(float) - logits.max())
    order = np.argsort(-weights, kind="stable")
    sums = np.cumsum(weights[order])
    reached = int(np.searchsorted(sums, p * sums[-1])) + 1
    given = kept(logits, top_p=p)
    assert abs(len(given) - reached) <= max(1, reached // 10_000)  # weights are rounded, the border may move a little
    assert given == sorted(order[: len(given)].tolist())


def test_min_p_is_relative_to_the_largest():
    observed = draws(odds(10, 5, 2.1, 1.9, 1), Settings(temperature=1.0, min_p=0.2, seed=4), 500)
    assert (observed > 0).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize(
    ("p", "expected"),
    [(0.0, [1]), (0.29, [1]), (0.31, [1, 2]), (0.49, [1, 2]), (0.51, [0, 1, 2]), (0.91, [0, 1, 2, 3])],
)
def test_typical_p_begins_with_what_is_nearest_to_the_entropy(p, expected):
    """The entropy is 1.28; -ln of 0.4, 0.3, 0.2 and 0.1 is 0.92, 1.20, 1.61 and 2.30."""
    assert kept(odds(0.4, 0.3, 0.2, 0.1), typical_p=p) == expected


def test_typical_p_keeps_what_is_equally_near():
    assert kept(odds(1, 1, 1, 1), typical_p=0.1) == [0, 1, 2, 3]
    assert kept(odds(2, 7, 2, 2), typical_p=0.9) == [0, 1, 2, 3]


def test_typical_p_is_of_what_the_samplers_before_it_keep():
    logits = odds(0.4, 0.3, 0.2, 0.1)
    for before in (
        {"top_k": 2},
        {"top_p": 0.5},
        {"min_p": 0.7},
    ):  # the entropy is 0.68, -ln of 4/7 and 3/7 0.56 and 0.85
        assert kept(logits, **before, typical_p=0.5) == [0]
        assert kept(logits, **before, typical_p=0.6) == [0, 1]


def test_the_penalty_divides_positive_and_multiplies_negative_logits_once():
    logits = np.array([2, -2, 3, 0], np.float32)
    changed = sampling.repeat_penalty(logits, [0, 1, 1, 0, 3], 2.0)
    assert changed.tolist() == [1, -4, 3, 0]
    assert logits.tolist() == [2, -2, 3, 0]
    assert next_token(np.array([2.9, 3], np.float32), [1], Settings(repeat_penalty=1.5), 0) == 0  # greedy heeds it too


def test_an_excluded_token_is_never_drawn():
    logits = odds(1, 1, 1)
    logits[1] = -np.inf
    for settings in (
        Settings(temperature=1.0, seed=2),
        Settings(temperature=1.0, typical_p=0.9, seed=2),
        Settings(temperature=1.0, top_k=2, seed=2),
        Settings(temperature=1.0, top_p=0.9, seed=2),
    ):
        assert (draws(logits, settings, 100) > 0).tolist() == [True, False, True]


@pytest.mark.parametrize("ill", [math.nan, math.inf])
def test_logits_that_are_not_finite_are_an_error(ill):
    logits = odds(1, 2, 3)
    logits[0] = ill
    with pytest.raises(ModelError) as caught:
        next_token(logits, [], Settings(), 0)
    assert caught.value.sqlstate == "XX001"
    with pytest.raises(ModelError):
        next_token(np.full(3, -np.inf, np.float32), [], Settings(), 0)


@pytest.mark.parametrize("token", [-1, 3])
def test_a_history_outside_the_vocabulary_is_an_error(token):
    with pytest.raises(ModelError, match=f"token {token} is outside the vocabulary"):
        next_token(odds(1, 2, 3), [0, token], Settings(repeat_penalty=1.1), 0)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("temperature", -0.1, "0.0 to 100.0"),
        ("temperature", 101, "0.0 to 100.0"),
        ("temperature", 1e-9, "0 or 0.000001 to 100"),
        ("temperature", math.nan, "0.0 to 100.0"),
        ("temperature", None, "0.0 to 100.0"),
        ("temperature", "1", "0.0 to 100.0"),
        ("temperature", True, "0.0 to 100.0"),
        ("top_k", -1, "0 to 2147483647"),
        ("top_k", 1.5, "0 to 2147483647"),
        ("top_p", 1.01, "0.0 to 1.0"),
        ("top_p", math.nan, "0.0 to 1.0"),
        ("min_p", -0.5, "0.0 to 1.0"),
        ("typical_p", 1.1, "0.0 to 1.0"),
        ("typical_p", math.nan, "0.0 to 1.0"),
        ("repeat_penalty", 0, "0.01 to 100.0"),
        ("repeat_penalty", math.inf, "0.01 to 100.0"),
        ("seed", 2**63, "-9223372036854775808 to 9223372036854775807"),
        ("seed", None, "-9223372036854775808 to 9223372036854775807"),
    ],
)
def test_a_setting_out_of_range_is_named_with_its_value_and_range(name, value, allowed):
    with pytest.raises(ModelError) as caught:
        Settings(**{name: value})
    assert caught.value.sqlstate == "22023"
    assert caught.value.message == f"{name} is out of range"
    assert f"{name} is {'null' if value is None else repr(value)}, allowed is {allowed}" == caught.value.detail


@pytest.mark.parametrize("temperature", [1e-6, 100])
def test_the_ends_of_the_temperature_range_work(temperature):
    observed = draws(np.array([50, -50, 49.9], np.float32), Settings(temperature=temperature, seed=6), 300)
    assert (observed > 0).tolist() == ([True, False, False] if temperature < 1 else [True, True, True])


def philox(counter, key):
    """Philox4x64-10 as in Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011)."""
    mask = 2**64 - 1
    c, k = list(counter), list(key)
    for _ in range(10):
        first, second = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [second >> 64 ^ c[1] ^ k[0], second & mask, first >> 64 ^ c[3] ^ k[1], first & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return c


def test_the_random_numbers_are_philox_of_seed_and_position():
    # the known answers of Random123's kat_vectors, for philox4x64 10
    assert philox([0] * 4, [0] * 2)[0] == 0x16554D9ECA36314C
    assert philox([2**64 - 1] * 4, [2**64 - 1] * 2)[0] == 0x87B092C3013FE90B
    for seed, position in ((0, 0), (42, 7), (-1, 100000), (2**63 - 1, 3)):
        word = philox([position + 1, 0, 0, 0], [seed % 2**64, 0])[0]
        assert sampling.random_bits(seed, position) == word >> 11
