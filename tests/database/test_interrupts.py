"""A generation stops when it is told to, wherever it is; the session goes on and its answers stay right.

How fast it stops is measured by bench/interrupts.py; here it only must not run to its end.
"""

import random
import threading
import time
from pathlib import Path

import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

LONG = "SELECT llm.generate('', 'interrupted', 1000, temperature => 1, options => '{\"ignore_eos\": true}')"
PREFILL = "SELECT count(*) FROM llm.logits(array_fill(5, ARRAY[1000]), 'interrupted')"
QUERY = "SELECT llm.forward(array_fill(5, ARRAY[1000]), 'interrupted')"


@pytest.fixture(scope="module", autouse=True)
def model(loader_dsn: str, own_data: Path):
    with loaded(loader_dsn, {"interrupted": own_data / STORIES["stories"]}):
        yield


@pytest.fixture(scope="module")
def author_text(own_data: Path) -> str:
    return (own_data / "stories260K-reference" / "karpathy_expected_stdout_n200.txt").read_text()


def text(connection, tokens=60):
    return call(connection, "SELECT llm.generate('', 'interrupted', %s)", tokens)


def seconds_of(connection, query):
    """How long the query takes to its end, the second time: the first loads what it needs."""
    connection.execute(query)
    began = time.monotonic()
    connection.execute(query)
    return time.monotonic() - began


@pytest.mark.parametrize("query", [LONG, PREFILL, QUERY], ids=["decode", "prefill", "query"])
def test_cancelled_at_random_moments_a_session_answers_right_afterwards(user, author_text, query):
    """Ctrl-C in psql is the same message to the server."""
    duration = seconds_of(user, query)
    moments = random.Random(1)
    cancelled = 0
    for _ in range(8):
        timer = threading.Timer(moments.uniform(0, 0.8 * duration), user.cancel)
        timer.start()
        try:
            user.execute(query)
        except psycopg.errors.QueryCanceled:
            cancelled += 1
        timer.join()
        user.execute("SELECT 1")
        assert author_text.startswith(text(user))
    assert cancelled > 0


def test_pg_cancel_backend_stops_a_generation(user, superuser, author_text):
    user.execute("SELECT 1")
    pid = user.info.backend_pid
    timer = threading.Timer(0.3, superuser.execute, ["SELECT pg_cancel_backend(%s)", [pid]])
    timer.start()
    with pytest.raises(psycopg.errors.QueryCanceled):
        for _ in range(100):
            user.execute(LONG)
    timer.join()
    assert author_text.startswith(text(user))


@pytest.mark.parametrize("query", [LONG, PREFILL, QUERY], ids=["decode", "prefill", "query"])
def test_statement_timeout_stops_it(user, author_text, query):
    milliseconds = int(seconds_of(user, query) * 200)
    user.execute(f"SET statement_timeout = {max(1, milliseconds)}")
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        user.execute(query)
    user.execute("RESET statement_timeout")
    assert author_text.startswith(text(user))


def test_a_savepoint_survives_a_cancelled_generation(user, author_text):
    with user.transaction():
        user.execute("SET LOCAL statement_timeout = 100")
        with pytest.raises(psycopg.errors.QueryCanceled), user.transaction():
            user.execute(LONG)
        user.execute("SET LOCAL statement_timeout = 0")
        assert author_text.startswith(text(user))


def test_a_cancelled_query_leaves_a_cache_that_can_be_used_from_where_it_was(user):
    tokens = list(range(3, 203))
    one, two = (call(user, "SELECT llm.new_kv_cache('interrupted')") for _ in range(2))
    forward = "SELECT llm.forward(%s, 'interrupted', %s, %s)"
    for cache in (one, two):
        call(user, forward, tokens[:100], cache, 0)
    for milliseconds in (1, 5, 10, 20):
        user.execute(f"SET statement_timeout = {milliseconds}")
        with pytest.raises(psycopg.errors.QueryCanceled):
            user.execute(forward, [list(range(3, 503)) * 3, one, 100])
    user.execute("RESET statement_timeout")
    assert call(user, forward, tokens[100:], one, 100) == call(user, forward, tokens[100:], two, 100)


def test_plpgsql_that_catches_other_errors_lets_a_cancellation_through(user):
    user.execute("SET statement_timeout = 200")
    with pytest.raises(psycopg.errors.QueryCanceled):
        user.execute(f"DO $$ BEGIN LOOP BEGIN PERFORM ({LONG}); EXCEPTION WHEN OTHERS THEN END; END LOOP; END $$")


def test_a_terminated_session_leaves_the_others_alone(superuser, connect_as, author_text):
    doomed = connect_as("llm_user")
    text(doomed, 1)
    pid = doomed.info.backend_pid
    timer = threading.Timer(0.2, superuser.execute, ["SELECT pg_terminate_backend(%s)", [pid]])
    timer.start()
    with pytest.raises(psycopg.errors.AdminShutdown):
        for _ in range(100):
            doomed.execute(LONG)
    timer.join()
    assert author_text.startswith(text(superuser))


def test_a_generation_whose_client_is_gone_ends(superuser, connect_as):
    """The server sends nothing before the thousand texts are counted, so it must look for itself."""
    client = connect_as("llm_user")
    text(client, 1)
    pid = client.info.backend_pid
    seeded = LONG.replace("temperature => 1", "temperature => 1, seed => i")
    client.pgconn.send_query(f"SELECT count(({seeded})) FROM generate_series(1, 1000) AS i".encode())
    running = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND state = 'active'"
    while not call(superuser, running, pid):
        time.sleep(0.01)
    client.close()
    deadline = time.monotonic() + 30
    while call(superuser, running, pid):
        assert time.monotonic() < deadline, "it goes on"
        time.sleep(0.05)
