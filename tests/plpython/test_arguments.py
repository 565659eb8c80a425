"""Arguments of SQL callers: NULL is the default, everything else is checked by name."""

import pytest

from plpython.generate import sampling
from plpython.server import arguments, errors


def refusal(function, *given):
    with pytest.raises(errors.ModelError) as error:
        function(*given)
    assert error.value.sqlstate == "22023"
    return str(error.value) + (error.value.hint or "")


def test_null_is_the_default():
    assert arguments.integer("k", None, 10, 1, 100) == 10
    assert arguments.number("top_p", None, 1.0, 0, 1) == 1.0
    assert arguments.strings("stop", None) == ()
    assert arguments.options(None, {}) == {}


def test_a_number_outside_its_range_is_named_with_the_range():
    assert refusal(arguments.integer, "k", 0, 10, 1, 100) == (
        "k is out of range (k is 0, allowed is an integer from 1 to 100)"
    )
    assert "top_p" in refusal(arguments.number, "top_p", 1.5, 1.0, 0, 1)


def test_nan_and_infinity_are_no_numbers():
    assert "nan" in refusal(arguments.number, "temperature", float("nan"), 0.0, 0, 100)
    assert "inf" in refusal(arguments.number, "temperature", float("inf"), 0.0, 0, 100)


def test_true_is_not_the_integer_one():
    assert "k" in refusal(arguments.integer, "k", True, 10, 1, 100)
    assert "tokens" in refusal(arguments.indices, "tokens", [True], 10)


def test_an_empty_stop_string_would_stop_everything_and_is_refused():
    assert arguments.strings("stop", ["a", "b"]) == ("a", "b")
    assert "stop" in refusal(arguments.strings, "stop", ["a", ""])
    assert "null" in refusal(arguments.strings, "stop", ["a", None])


def test_token_ids_are_checked_against_the_vocabulary():
    assert arguments.indices("tokens", [0, 9], 10) == [0, 9]
    for ill in ([10], [-1], [None], [[1, 2], [3, 4]], None):
        assert "tokens" in refusal(arguments.indices, "tokens", ill, 10)


def test_an_unknown_option_is_refused_with_the_list_of_the_known():
    known = {"echo": (bool, "begin with the prompt"), "stop_tokens": (list, "ids")}
    assert arguments.options('{"echo": true, "stop_tokens": [1]}', known) == {"echo": True, "stop_tokens": [1]}
    message = refusal(arguments.options, '{"ecco": true}', known)
    assert "ecco" in message and "echo: begin with the prompt" in message
    assert "options.echo" in refusal(arguments.options, '{"echo": 1}', known)
    assert "options" in refusal(arguments.options, "[]", known)
    assert "options.n is inf" in refusal(arguments.options, '{"n": %s}' % ("1" * 5000), {"n": (int, "a number")})


def test_an_option_that_is_a_number_may_be_written_as_an_integer():
    known = {"p": (float, "a share")}
    assert arguments.options('{"p": 1}', known) == {"p": 1}
    assert arguments.options('{"p": 0.5}', known) == {"p": 0.5}
    for ill in ("true", "null", '"1"', "[1]"):
        assert "allowed is a number" in refusal(arguments.options, f'{{"p": {ill}}}', known)


def test_positions_follow_each_other():
    assert arguments.positions("positions", [5, 6, 7], 8).tolist() == [5, 6, 7]
    for ill in ([], [0, 2], [1, 0], [0, 0], [-1, 0], [7, 8], [2**31 - 1], [None], None):
        assert "positions" in refusal(arguments.positions, "positions", ill, 8)


def test_sampling_without_a_seed_draws_another_one_each_time():
    first, second = (sampling.settings(temperature=1.0, top_k=None, seed=None) for _ in range(2))
    assert first.seed != second.seed
    assert (first.temperature, first.top_k) == (1.0, 0)
    assert sampling.settings(seed=7).seed == 7
