"""Draft models in the server: they change no text, and what cannot be one is an error."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.database.models import FAMILIES, STORIES, call, loaded

ENCODERS = FAMILIES.parent / "encoders"
GENERATE = "SELECT llm.generate(%s, 'drafted', %s, temperature => %s, seed => 9, options => %s::jsonb)"
STATS = "SELECT generated, guessed, accepted FROM llm.generation_stats()"
PROMPT = "Lily had a red ball. Tim had a red ball. One day, "
DRAFTS = ("drafted", "drafted-Q4_0", "drafted-twice")


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[None]:
    """A story model, copies in fewer bits, a model with another tokenizer, an encoder."""
    files = {
        "drafted": own_data / STORIES["stories"],
        "drafted-Q4_0": own_data / STORIES["stories-Q4_0"],
        "other-tokens": FAMILIES / "qwen2",
        "drafting-encoder": next(path for path in sorted(ENCODERS.iterdir()) if path.is_dir()),
    }
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    with loaded(loader_dsn, files):
        with psycopg.connect(loader_dsn, autocommit=True) as loader:
            loader.execute("SELECT llm.quantize('drafted', 'drafted-twice', 'Q8_0')")
        try:
            yield
        finally:
            with psycopg.connect(loader_dsn, autocommit=True) as loader:
                loader.execute("SELECT llm.drop_model('drafted-twice')")


@pytest.fixture
def session(user: psycopg.Connection) -> psycopg.Connection:
    user.execute("SET llm.engine = 'compiled'")
    return user


def options(draft, **others):
    pairs = {"draft": f'"{draft}"', **others}
    return "{" + ", ".join(f'"{key}": {value}' for key, value in pairs.items()) + "}"


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
@pytest.mark.parametrize("temperature", [0, 0.8])
@pytest.mark.parametrize("draft", DRAFTS)
def test_a_draft_changes_no_text(user, engine, draft, temperature):
    user.execute(f"SET llm.engine = '{engine}'")
    tokens = 200 if engine == "compiled" else 40
    plain = call(user, GENERATE, PROMPT, tokens, temperature, "{}")
    for given in (options(draft), options(draft, guess=1), options(draft, guess=16)):
        for is_first in (True, False):
            assert call(user, GENERATE, PROMPT, tokens, temperature, given) == plain
            generated, guessed, accepted = user.execute(STATS).fetchone()
            assert 0 <= accepted <= guessed and accepted < generated
            if is_first:  # later a draft may rest
                assert (guessed > 0) == (engine == "compiled")


def test_details_and_batches_are_the_same_with_a_draft(session):
    details = "SELECT text, tokens, finish_reason FROM llm.generate_details(%s, 'drafted', 90, options => %s::jsonb)"
    plain = session.execute(details, [PROMPT, "{}"]).fetchone()
    assert session.execute(details, [PROMPT, options("drafted-Q4_0")]).fetchone() == plain
    many = "SELECT * FROM llm.generate_many(%s, 'drafted', 30, options => %s::jsonb) ORDER BY ordinal"
    prompts = [PROMPT, "Tom", None, "Once upon a time"]
    plain = session.execute(many, [prompts, "{}"]).fetchall()
    assert session.execute(many, [prompts, options("drafted-Q4_0")]).fetchall() == plain
    assert session.execute(STATS).fetchone()[1:] == (0, 0)


def test_a_conversation_with_a_draft_says_the_same(session, connect_as):
    other = connect_as("llm_user")
    other.execute("SET llm.engine = 'compiled'")
    other.execute("SET llm.kv_cache_mb = 0")
    text = PROMPT
    for turn in ("Then Tim came. ", "The end. ", "And again: "):
        text += turn
        answer = call(session, GENERATE, text, 60, 0.7, options("drafted-Q4_0"))
        assert answer == call(other, GENERATE, text, 60, 0.7, "{}")
        text += answer
    assert session.execute("SELECT reused FROM llm.generation_stats()").fetchone()[0] > 100


def test_a_text_to_the_end_of_the_context_is_the_same_with_a_draft(session):
    given = options("drafted-Q4_0", ignore_eos="true")
    plain = call(session, GENERATE, PROMPT, 5000, 0.5, '{"ignore_eos": true}')
    assert call(session, GENERATE, PROMPT, 5000, 0.5, given) == plain
    assert session.execute(STATS).fetchone()[0] > 1900


def test_no_guesses_with_a_draft_are_no_guesses(session):
    call(session, GENERATE, PROMPT, 30, 0, options("drafted-Q4_0", guess=0))
    assert session.execute(STATS).fetchone() == (30, 0, 0)


def test_a_draft_is_stopped_by_a_timeout_and_the_next_call_says_the_same(session):
    plain = call(session, GENERATE, PROMPT, 20, 0, "{}")
    call(session, GENERATE, PROMPT, 20, 0, options("drafted"))  # loads the draft
    session.execute("SET statement_timeout = 60")
    with pytest.raises(psycopg.errors.QueryCanceled):
        call(session, GENERATE, PROMPT * 20, 1500, 0.3, options("drafted", ignore_eos="true"))
    session.execute("RESET statement_timeout")
    assert call(session, GENERATE, PROMPT, 20, 0, options("drafted")) == plain


@pytest.mark.parametrize(
    ("draft", "error", "message"),
    [
        ("no such model", psycopg.errors.UndefinedObject, 'model "no such model" does not exist'),
        ("drafting-encoder", psycopg.errors.FeatureNotSupported, 'model "drafting-encoder" is an encoder'),
        (
            "other-tokens",
            psycopg.errors.InvalidParameterValue,
            'model "other-tokens" cannot be a draft of model "drafted"',
        ),
    ],
)
@pytest.mark.parametrize("engine", ["compiled", "numpy"])
@pytest.mark.parametrize("guess", ["", ', "guess": 0'])
def test_what_cannot_be_a_draft_is_an_error(user, engine, draft, error, message, guess):
    user.execute(f"SET llm.engine = '{engine}'")
    with pytest.raises(error) as refusal:
        call(user, GENERATE, PROMPT, 5, 0, f'{{"draft": "{draft}"{guess}}}')
    assert message in refusal.value.diag.message_primary
    assert refusal.value.diag.message_hint
    many = "SELECT count(*) FROM llm.generate_many(ARRAY['a'], 'drafted', 1, options => %s::jsonb)"
    with pytest.raises(error):
        call(user, many, options(draft))


@pytest.mark.parametrize("draft", ["3", "true", "null", '["drafted"]'])
def test_a_draft_that_is_no_string_is_an_error(session, draft):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        call(session, GENERATE, PROMPT, 5, 0, f'{{"draft": {draft}}}')
    assert "options.draft" in refusal.value.diag.message_primary


def test_a_model_that_the_caller_may_not_see_is_no_draft(superuser, session):
    role = sql.SQL(call(session, "SELECT quote_ident(current_user)"))
    superuser.execute(
        sql.SQL(
            "CREATE POLICY no_draft ON llm_store.model AS RESTRICTIVE FOR SELECT TO {} USING (name <> 'drafted-Q4_0')"
        ).format(role)
    )
    try:
        for given in (options("drafted-Q4_0"), "{}"):
            model = "drafted" if "draft" in given else "drafted-Q4_0"
            with pytest.raises(psycopg.errors.UndefinedObject) as refusal:
                call(session, "SELECT llm.generate('a', %s, 2, options => %s::jsonb)", model, given)
            assert refusal.value.diag.message_primary == 'llm: model "drafted-Q4_0" does not exist'
    finally:
        superuser.execute("DROP POLICY no_draft ON llm_store.model")
