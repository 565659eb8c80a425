"""llm.logprobs and llm.perplexity against transformers, llm.count_tokens and llm.compare."""

import json
from pathlib import Path

import psycopg
import pytest

from tests.database.models import FAMILIES, STORIES, call, loaded

KNOWN = json.loads((FAMILIES.parent / "logprobs" / "expected.json").read_text(encoding="utf-8"))  # of transformers
TINY = [name for name in KNOWN if name != "stories-hf"]
LOGPROBS = "SELECT * FROM llm.logprobs(%s, %s)"


@pytest.fixture(scope="module", autouse=True)
def families(loader_dsn: str):
    with loaded(loader_dsn, {name: FAMILIES / name for name in TINY}):
        yield


@pytest.fixture(scope="module")
def stories(loader_dsn: str, data: Path):
    with loaded(loader_dsn, {name: data / STORIES[name] for name in ("stories", "stories-hf")}):
        yield ("stories", "stories-hf")


@pytest.fixture(params=["numpy", "compiled"])
def user(request: pytest.FixtureRequest, user: psycopg.Connection, superuser: psycopg.Connection):
    if request.param == "compiled":
        superuser.execute("SELECT llm.warm_up()")
    user.execute(f"SET llm.engine = {request.param}")
    user.execute("SET llm.kv_type = f32")
    return user


def require_known(connection, model, known, tolerance):
    positions, tokens, texts, logprobs, ranks = zip(*connection.execute(LOGPROBS, [known["text"], model]), strict=True)
    assert positions == tuple(range(len(tokens))) and list(tokens) == known["tokens"]
    unknown = known["logprobs"].count(None)
    assert unknown == logprobs.count(None) == ranks.count(None)
    assert logprobs[unknown:] == pytest.approx(known["logprobs"][unknown:], abs=tolerance)
    assert sum(logprobs[unknown:]) == pytest.approx(sum(known["logprobs"][unknown:]), abs=tolerance * len(tokens))
    perplexity = call(connection, "SELECT llm.perplexity(%s, %s)", known["text"], model)
    assert perplexity == pytest.approx(known["perplexity"], rel=tolerance)
    return ranks, texts


@pytest.mark.parametrize("name", TINY)
def test_log_probabilities_are_those_of_transformers(user, name):
    stored = call(user, "SELECT count(*) FROM llm.tensors WHERE model = %s AND type <> 'F32'", name)
    tolerance = 0.03 if stored and call(user, "SHOW llm.engine") == "compiled" else 2e-4
    require_known(user, name, KNOWN[name], tolerance)


def test_a_story_has_the_perplexity_that_transformers_finds(user, stories):
    known = KNOWN["stories-hf"]
    for name in stories:
        ranks, texts = require_known(user, name, known, 2e-4)
        assert list(ranks) == known["ranks"]
        assert "".join(texts).strip() == known["text"].strip()


def test_counted_tokens_are_those_of_tokenize(user, stories):
    text = KNOWN["stories-hf"]["text"]
    assert call(user, "SELECT llm.count_tokens(%s, 'stories', false)", text) == len(KNOWN["stories-hf"]["tokens"])
    assert call(user, "SELECT llm.count_tokens(%s, 'stories')", text) == len(KNOWN["stories-hf"]["tokens"]) + 1
    assert call(user, "SELECT llm.count_tokens('', 'llama2', false)") == 0


def test_models_are_compared_in_the_order_of_the_array(user, stories):
    names = ["stories-hf", "llama2", "stories"]
    rows = user.execute(
        "SELECT * FROM llm.compare('Once upon a', %s, max_tokens => 5, temperature => 0.5, seed => 7)", [names]
    ).fetchall()
    assert [row[0] for row in rows] == names
    for model, text, tokens, finish_reason, milliseconds in rows:
        details = "SELECT text, completion_tokens, finish_reason FROM llm.generate_details('Once upon a', %s, 5, 0.5"
        alone = user.execute(f"{details}, seed => 7)", [model]).fetchone()
        assert (text, tokens, finish_reason) == alone and milliseconds > 0
    nothing = user.execute("SELECT model, text, tokens FROM llm.compare(NULL, %s)", [names]).fetchall()
    assert nothing == [(name, None, None) for name in names]


@pytest.mark.parametrize("query", ["SELECT * FROM llm.logprobs(%s, 'llama2')", "SELECT llm.perplexity(%s, 'llama2')"])
def test_a_text_that_is_too_long_is_refused_and_the_session_lives(user, query):
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        user.execute(query, ["word " * 100_000])
    assert call(user, "SELECT 1") == 1
