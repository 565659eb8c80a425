"""What a session keeps of earlier prompts changes no answer, and is nobody else's."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

START = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
GENERATE = "SELECT llm.generate(%s, %s, %s, temperature => 1, seed => 5)"
STATS = "SELECT prefilled, reused, generated, guessed, accepted FROM llm.generation_stats()"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[None]:
    """Story models, and the engine compiled."""
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    with loaded(
        loader_dsn, {"kept-F32": own_data / STORIES["stories"], "kept-Q8_0": own_data / STORIES["stories-Q8_0"]}
    ):
        yield


@pytest.fixture
def session(user: psycopg.Connection) -> psycopg.Connection:
    user.execute("SET llm.engine = 'compiled'")
    return user


@pytest.fixture
def forgetful(connect_as) -> psycopg.Connection:
    """A session that keeps nothing."""
    connection = connect_as("llm_user")
    connection.execute("SET llm.engine = 'compiled'")
    connection.execute("SET llm.kv_cache_mb = 0")
    return connection


def stats(connection):
    return connection.execute(STATS).fetchone()


def tokens(connection, text, model="kept-Q8_0"):
    return len(call(connection, "SELECT llm.tokenize(%s, %s)", text, model))


@pytest.mark.parametrize("model", ["kept-F32", "kept-Q8_0"])
def test_a_conversation_computes_only_what_is_new_and_says_the_same(session, forgetful, model):
    text = START
    for turn in ("One day, ", "Then Tim came. ", "The end. "):
        text += turn
        answer = call(session, GENERATE, text, model, 30)
        assert answer == call(forgetful, GENERATE, text, model, 30)
        prefilled, reused, generated, *_ = stats(session)
        assert prefilled + reused == tokens(session, text, model)
        assert generated == 30
        text += answer
    assert reused > 100 > prefilled
    assert stats(forgetful)[1] == 0


@pytest.mark.parametrize("length", [0, 1, 8, 63, 64, 65, 100])
def test_a_prompt_that_shares_a_beginning_of_any_length_says_the_same(session, forgetful, length):
    first, second = START * 4, (START * 4)[: 3 * length] + "But Tim had a red ball. "
    call(session, GENERATE, first, "kept-Q8_0", 10)
    assert call(session, GENERATE, second, "kept-Q8_0", 40) == call(forgetful, GENERATE, second, "kept-Q8_0", 40)
    assert call(session, GENERATE, first, "kept-Q8_0", 40) == call(forgetful, GENERATE, first, "kept-Q8_0", 40)


def test_the_same_prompt_again_computes_one_token(session):
    first = call(session, GENERATE, START, "kept-Q8_0", 20)
    assert call(session, GENERATE, START, "kept-Q8_0", 20) == first
    assert stats(session)[:3] == (1, tokens(session, START) - 1, 20)


def test_logits_in_a_batch_reuse_what_was_kept_and_keep_for_the_next(session):
    query = "SELECT count(*) FROM llm.generate_many(%s, 'kept-Q8_0', 5)"
    call(session, query, [START + name for name in ("Tim", "Tom", "Ben")])
    call(session, GENERATE, START + "Sue", "kept-Q8_0", 5)
    assert stats(session)[1] > 20


def test_another_role_of_the_session_reuses_nothing(superuser, connect_as):
    other = connect_as("llm_user")
    role = call(other, "SELECT quote_ident(session_user)")
    superuser.execute("SET llm.engine = 'compiled'")
    call(superuser, GENERATE, START, "kept-Q8_0", 5)
    superuser.execute(f"SET ROLE {role}")
    call(superuser, GENERATE, START, "kept-Q8_0", 5)
    assert stats(superuser)[1] == 0
    superuser.execute("RESET ROLE")
    call(superuser, GENERATE, START, "kept-Q8_0", 5)
    assert stats(superuser)[1] > 0


def test_another_model_reuses_nothing(session):
    call(session, GENERATE, START, "kept-Q8_0", 5)
    call(session, GENERATE, START, "kept-F32", 5)
    assert stats(session)[1] == 0


def test_the_numpy_engine_reuses_nothing(session):
    session.execute("SET llm.engine = 'numpy'")
    first = call(session, GENERATE, START, "kept-F32", 5)
    assert call(session, GENERATE, START, "kept-F32", 5) == first
    assert stats(session)[1] == 0


def test_a_prompt_after_a_cancelled_one_says_the_same(session, forgetful):
    session.execute("SET statement_timeout = 60")
    with pytest.raises(psycopg.errors.QueryCanceled):
        call(session, GENERATE, START * 3, "kept-F32", 400)
    session.execute("RESET statement_timeout")
    assert call(session, GENERATE, START * 3, "kept-F32", 20) == call(forgetful, GENERATE, START * 3, "kept-F32", 20)


def test_reset_frees_what_is_kept_and_the_next_call_says_the_same(session):
    first = call(session, GENERATE, START, "kept-Q8_0", 20)
    handle = call(session, "SELECT llm.new_kv_cache('kept-Q8_0')")
    session.execute("SELECT llm.reset()")
    assert stats(session) == (None,) * 5
    with pytest.raises(psycopg.errors.UndefinedObject):
        call(session, "SELECT llm.forward(ARRAY[1], 'kept-Q8_0', %s)", handle)
    assert call(session, GENERATE, START, "kept-Q8_0", 20) == first
    assert stats(session)[1] == 0


@pytest.mark.parametrize("value", ["many", "-1", "1e3"])
def test_a_setting_that_is_no_number_in_its_range_is_an_error_that_names_it(session, value):
    session.execute(f"SET llm.kv_cache_mb = '{value}'")
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        call(session, GENERATE, START, "kept-Q8_0", 5)
    assert "llm.kv_cache_mb" in refusal.value.diag.message_primary


@pytest.mark.parametrize("guess", [1, 5, 16])
@pytest.mark.parametrize("temperature", [0, 0.7])
def test_guessing_changes_no_text(session, forgetful, guess, temperature):
    query = "SELECT llm.generate(%s, %s, 150, temperature => %s, seed => 9, options => %s::jsonb)"
    prompt = "Lily had a red ball. Tim had a red ball. " * 3
    for model in ("kept-F32", "kept-Q8_0"):
        plain = call(forgetful, query, prompt, model, temperature, "{}")
        assert call(session, query, prompt, model, temperature, f'{{"guess": {guess}}}') == plain
        *_, generated, guessed, accepted = stats(session)
        assert 0 < accepted <= guessed and accepted < generated


@pytest.mark.parametrize("guess", ["17", "-1", "true", '"3"', "1.5"])
def test_a_guess_that_is_no_number_from_0_to_16_is_an_error(session, guess):
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        call(session, "SELECT llm.generate('a', 'kept-F32', 1, options => %s::jsonb)", f'{{"guess": {guess}}}')
