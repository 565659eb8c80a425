"""Samplers that are options, through SQL: those of llm.samplers() that have no argument of their own."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests.database.models import FAMILIES, call, loaded

MODEL = "samplers-qwen2"
EXPECTED = Path(__file__).parent.parent / "fixtures" / "sampling" / "expected.json"
CASES = [case for case in json.loads(EXPECTED.read_text()) if "typical_p" in case["settings"]]
CALLS = (
    "SELECT llm.generate('a', %(model)s, options => %(options)s)",
    "SELECT * FROM llm.generate_details('a', %(model)s, options => %(options)s)",
    "SELECT * FROM llm.generate_many('{a}', %(model)s, options => %(options)s)",
    "SELECT * FROM llm.generate_query('SELECT 1, ''a''', %(model)s, options => %(options)s)",
    "SELECT llm.sample('\\x00000000', options => %(options)s)",
)


@pytest.fixture(scope="module", autouse=True)
def model(loader_dsn: str):
    with loaded(loader_dsn, {MODEL: FAMILIES / "qwen2"}):
        yield


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case["settings"]))
def test_llm_sample_draws_the_tokens_that_transformers_leaves_and_no_other(user, case):
    given = case["settings"] | {
        "logits": np.array(case["logits"], "<f4").tobytes(),
        "history": case["history"],
        "options": json.dumps({"typical_p": case["settings"]["typical_p"]}),
    }
    names = ", ".join(f"{name} => %({name})s" for name in given if name != "typical_p")
    query = f"SELECT DISTINCT llm.sample({names}, seed => seed) FROM generate_series(1, 200) AS seed ORDER BY 1"
    drawn = [token for (token,) in user.execute(query, given)]
    probabilities = np.array(case["probabilities"])
    assert probabilities[drawn].min() > 0
    assert set(np.flatnonzero(probabilities > 0.05)) <= set(drawn)


def test_llm_generate_writes_what_llm_sample_draws(user):
    """With the same seed, token by token."""
    options = '{"typical_p": 0.3, "ignore_eos": true}'
    query = "SELECT tokens FROM llm.generate_details('ab', %s, 12, 1.5, top_k => 60, seed => 9, options => %s)"
    tokens = call(user, "SELECT llm.tokenize('ab', %s)", MODEL)
    prompt = len(tokens)
    for _ in range(12):
        logits = user.execute("SELECT * FROM llm.logits(%s, %s)", [tokens, MODEL]).fetchall()[-1][1]
        sample = "SELECT llm.sample(%s, 1.5, top_k => 60, seed => 9, history => %s, options => '{\"typical_p\": 0.3}')"
        tokens.append(call(user, sample, logits, tokens))
    assert call(user, query, MODEL, options) == tokens[prompt:]
    assert call(user, query, MODEL, '{"ignore_eos": true}') != tokens[prompt:]


def test_row_n_of_llm_generate_many_is_what_llm_generate_gives_with_a_seed_larger_by_n(user):
    given = "max_tokens => 8, temperature => 1.5, options => '{\"typical_p\": 0.4}'"
    query = f"SELECT response FROM llm.generate_many(%s, %s, seed => 3, {given}) ORDER BY ordinal"
    responses = [text for (text,) in user.execute(query, [["ab", "ab", "cd"], MODEL])]
    alone = f"SELECT llm.generate(%s, %s, seed => %s, {given})"
    assert responses == [call(user, alone, prompt, MODEL, 3 + n) for n, prompt in enumerate(["ab", "ab", "cd"])]


@pytest.mark.parametrize(
    "query", CALLS, ids=["generate", "generate_details", "generate_many", "generate_query", "sample"]
)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("1.5", "options.typical_p is 1.5, allowed is 0.0 to 1.0"),
        ("-1", "options.typical_p is -1, allowed is 0.0 to 1.0"),
        ("true", "options.typical_p is True, allowed is a number"),
        ("null", "options.typical_p is null, allowed is a number"),
        ('"0.5"', "options.typical_p is '0.5', allowed is a number"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_is_allowed(user, query, value, message):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as error:
        user.execute(query, {"model": MODEL, "options": f'{{"typical_p": {value}}}'}).fetchall()
    assert error.value.diag.message_detail == message


@pytest.mark.parametrize(
    "query", CALLS, ids=["generate", "generate_details", "generate_many", "generate_query", "sample"]
)
def test_the_hint_of_an_unknown_option_has_each_sampler_that_is_one(user, query):
    with pytest.raises(psycopg.errors.InvalidParameterValue, match='unknown option "typcal_p"') as error:
        user.execute(query, {"model": MODEL, "options": '{"typcal_p": 1}'}).fetchall()
    options = user.execute("SELECT name, meaning FROM llm.samplers() WHERE given_as = 'option'").fetchall()
    assert options and all(f"{name}: {meaning}, " in error.value.diag.message_hint for name, meaning in options)


def test_samplers_come_in_the_order_in_which_they_apply(user):
    """GenerationMixin._get_logits_processor of transformers 5.24 has this order."""
    order = ["repeat_penalty", "temperature", "top_k", "top_p", "min_p", "typical_p"]
    names = [name for (name,) in user.execute("SELECT name FROM llm.samplers()")]
    places = [names.index(name) for name in order]
    assert all(first < second for first, second in pairwise(places))
