"""Texts as rows: computed as they are fetched, sent as they are computed, left unfinished without a trace."""

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.types.json import Jsonb

from plpython.server.streams import MOST_OPEN
from tests.database.models import FAMILIES, STORIES, call, loaded

MODEL = "streamed"
RANDOM = "streamed-random"
STREAM = "SELECT * FROM llm.generate_stream(%s, %s, %s, temperature => %s, seed => %s, stop => %s, options => %s)"
WHOLE = "SELECT llm.generate(%s, %s, %s, temperature => %s, seed => %s, stop => %s, options => %s)"
REASON = f"SELECT finish_reason FROM llm.generate_details({WHOLE.partition('(')[2]}"
ENDLESS = f"llm.generate_stream('Once upon a time', '{MODEL}', 400, options => '{{\"ignore_eos\": true}}')"
GENERATED = "SELECT generated FROM llm.generation_stats()"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[None]:
    """A story model, one with a chat template and many tokens, and the engine compiled."""
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    with loaded(loader_dsn, {MODEL: own_data / STORIES["stories"], RANDOM: FAMILIES / "qwen3"}):
        yield


def streamed(connection, *arguments):
    return connection.execute(STREAM, arguments).fetchall()


CALLS = {
    "greedy": ("Once upon a time", MODEL, 60, 0, None, None, None),
    "drawn": ("Once upon a time", MODEL, 60, 1, 7, None, None),
    "to the end": ("Once upon a time", MODEL, 500, 0, None, None, None),
    "no tokens": ("Once", MODEL, 0, 0, None, None, None),
    "an empty prompt": ("", MODEL, 20, 0, None, None, None),
    "stop strings": ("Once upon a time", MODEL, 80, 0, None, ["mother", "play"], None),
    "a stop string that only begins": ("Once upon a time", MODEL, 30, 0, None, [" little girl named Lily and"], None),
    "echo": ("Once upon", MODEL, 10, 0, None, None, Jsonb({"echo": True})),
    "guesses": ("Once upon a time", MODEL, 60, 0, None, None, Jsonb({"guess": 8})),
    "half characters": ("ab", RANDOM, 100, 1, 3, None, None),
}


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
@pytest.mark.parametrize("arguments", CALLS.values(), ids=CALLS)
def test_the_pieces_joined_are_what_generate_gives(user, arguments, engine):
    user.execute(f"SET llm.engine = '{engine}'")
    *rows, last = streamed(user, *arguments)
    assert "".join(piece for _, piece, *_ in rows) == call(user, WHOLE, *arguments)
    assert all(piece and reason is None for _, piece, _, _, reason in rows)
    assert [seq for seq, *_ in [*rows, last]] == list(range(1, len(rows) + 2))
    assert last[1:] == ("", None, None, call(user, REASON, *arguments))


def test_a_row_has_the_last_token_of_its_piece_and_the_logprob_that_next_tokens_gives(user):
    rows = streamed(user, "Once upon a time", MODEL, 5, 0, None, None, None)[:-1]
    text = "Once upon a time"
    for _, piece, token, logprob, _ in rows:
        query = "SELECT token_id, logprob FROM llm.next_tokens(%s, 1, %s)"
        expected, expected_logprob = user.execute(query, [text, MODEL]).fetchone()
        assert token == expected
        assert logprob == pytest.approx(expected_logprob, abs=1e-3)
        text += piece


def test_of_drawn_tokens_the_logprob_is_that_of_temperature_1_whatever_the_samplers(user):
    warm = streamed(user, "Once", MODEL, 1, 0.0, None, None, None)[0]
    query = "SELECT * FROM llm.generate_stream('Once', %s, 1, 5, 40, repeat_penalty => 50, seed => 1)"
    other = user.execute(query, [MODEL]).fetchone()
    query = "SELECT logprob FROM llm.next_tokens('Once', 512, %s) WHERE token_id = %s"
    for _, _, token, logprob, _ in (warm, other):
        assert logprob == pytest.approx(call(user, query, MODEL, token), abs=1e-6)


def test_the_echo_comes_first_without_a_token(user):
    assert streamed(user, "Once upon", MODEL, 2, 0, None, None, Jsonb({"echo": True}))[0] == (
        1,
        "Once upon",
        None,
        None,
        None,
    )


def test_a_cursor_computes_what_is_fetched(user):
    with user.transaction():
        user.execute(f"DECLARE text CURSOR FOR SELECT * FROM {ENDLESS}")
        assert len(user.execute("FETCH 3 FROM text").fetchall()) == 3
        assert 3 <= call(user, GENERATED) <= 5
        assert len(user.execute("FETCH 10 FROM text").fetchall()) == 10
        assert 13 <= call(user, GENERATED) <= 16


def test_a_server_side_cursor_of_psycopg_computes_what_is_fetched(user):
    with user.transaction(), user.cursor("text") as cursor:
        cursor.itersize = 1
        cursor.execute(f"SELECT piece FROM {ENDLESS}")
        assert next(cursor) is not None
        assert call(user, GENERATED) <= 4


def test_an_argument_that_is_a_parameter_leaves_it_lazy(user):
    with user.transaction(), user.cursor("text") as cursor:
        cursor.execute("SELECT piece FROM llm.generate_stream(%s, model => %s, max_tokens => %s)", ["Once", MODEL, 300])
        assert len(cursor.fetchmany(2)) == 2
        assert call(user, GENERATED) <= 5


def test_the_rows_of_a_plain_select_are_sent_one_by_one(user, superuser):
    """Two rows are there while the third waits for a lock; unsent they would wait with it until the timeout."""
    call(superuser, "SELECT pg_advisory_lock(4711)")
    user.execute("SET statement_timeout = '60s'")
    query = f"SELECT seq, CASE WHEN seq = 3 THEN pg_advisory_lock(4711) END FROM {ENDLESS}"
    with contextlib.closing(user.cursor().stream(query)) as rows:
        assert [next(rows)[0], next(rows)[0]] == [1, 2]
        call(superuser, "SELECT pg_advisory_unlock(4711)")
        assert next(rows)[0] == 3
    assert call(user, "SELECT 1") == 1


def test_psql_fetches_piece_by_piece(superuser_dsn):
    script = "\\set FETCH_COUNT 1\n\\t\n\\a\n" + f"SELECT seq FROM {ENDLESS} LIMIT 3;\n"
    done = subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", superuser_dsn], input=script, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "2", "3"]


def closed(connection):
    with connection.transaction():
        connection.execute(f"DECLARE text CURSOR FOR SELECT * FROM {ENDLESS}")
        connection.execute("FETCH 2 FROM text")
        connection.execute("CLOSE text")


def rolled_back(connection):
    with connection.transaction(force_rollback=True):
        connection.execute(f"DECLARE text CURSOR FOR SELECT * FROM {ENDLESS}")
        connection.execute("FETCH 2 FROM text")


def cancelled(connection):
    timer = threading.Timer(0.01, connection.cancel)
    timer.start()
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        connection.execute(f"SELECT count(*) FROM {ENDLESS}")
    timer.join()
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(0.002)")


def failed(connection):
    with contextlib.suppress(psycopg.errors.DivisionByZero):
        connection.execute(f"SELECT 1 / (3 - seq) FROM {ENDLESS}")


UNFINISHED = """
import sys
modules = [module for name, module in sys.modules.items() if name.endswith('.server.streams')]
found.append(str(sum(len(module._open) for module in modules)))
"""


def test_what_is_unfinished_is_known(superuser, on_server):
    with superuser.transaction():
        superuser.execute(f"DECLARE text CURSOR FOR SELECT * FROM {ENDLESS}")
        superuser.execute("FETCH 2 FROM text")
        assert on_server(UNFINISHED) == ["1"]


@pytest.mark.parametrize("leave", [closed, rolled_back, cancelled, failed])
def test_what_is_left_unfinished_leaves_nothing_behind(superuser, on_server, leave):
    text = call(superuser, "SELECT llm.generate('Lily', %s, 30)", MODEL)
    for _ in range(20):
        leave(superuser)
        assert on_server(UNFINISHED) == ["0"]
        assert call(superuser, "SELECT llm.generate('Lily', %s, 30)", MODEL) == text


def test_more_unfinished_streams_than_allowed_close_the_oldest_which_says_so(user):
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded) as raised, user.transaction():
        for number in range(MOST_OPEN + 1):
            user.execute(f"DECLARE text{number} CURSOR FOR SELECT * FROM {ENDLESS}")
            user.execute(f"FETCH 2 FROM text{number}")
        assert len(user.execute(f"FETCH 2 FROM text{MOST_OPEN}").fetchall()) == 2
        user.execute("FETCH 2 FROM text0")
    assert "unfinished" in raised.value.diag.message_detail
    assert call(user, "SELECT llm.generate('Once', %s, 3)", MODEL)


def test_a_later_error_keeps_its_message(user):
    user.execute("SET statement_timeout = '150ms'")
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"), user.transaction():
        while True:
            user.execute(f"SELECT count(*) FROM {ENDLESS}")


TURN = [{"role": "user", "content": "Once upon a time"}]
CHAT = "SELECT * FROM llm.chat_stream(%s, %s, max_tokens => %s, temperature => %s, seed => %s)"
ANSWER = "SELECT llm.chat(%s, %s, max_tokens => %s, temperature => %s, seed => %s)"


@pytest.mark.parametrize("model", [MODEL, RANDOM])
@pytest.mark.parametrize("temperature", [0, 1])
def test_the_pieces_of_an_answer_joined_are_what_chat_gives(user, model, temperature):
    arguments = (Jsonb(TURN), model, 60, temperature, 5)
    *rows, last = user.execute(CHAT, arguments).fetchall()
    assert "".join(piece for _, piece, *_ in rows) == call(user, ANSWER, *arguments)
    assert len(rows) > 1 and all(piece for _, piece, *_ in rows)
    assert last[1] == "" and last[4] in ("stop", "stop_string", "length")


def test_an_answer_is_computed_as_it_is_fetched(user):
    with user.transaction(), user.cursor("answer") as cursor:
        cursor.execute(CHAT, (Jsonb(TURN), MODEL, 300, 0, None))
        assert len(cursor.fetchmany(3)) == 3
        assert call(user, GENERATED) < 20


def test_null_messages_give_no_rows(user):
    assert user.execute("SELECT * FROM llm.chat_stream(NULL)").fetchall() == []
