"""How many sessions compute at once, and with how many threads."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

LONG = "SELECT llm.generate('', 'admitted', 400, temperature => 1, options => '{\"ignore_eos\": true}')"
SHORT = "SELECT llm.generate('Once', 'admitted', 5)"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[None]:
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    with loaded(loader_dsn, {"admitted": own_data / STORIES["stories"]}):
        yield


@pytest.fixture
def limit(superuser: psycopg.Connection) -> Iterator:
    """limit(running, threads) is what a superuser does to change the limits; they are put back."""
    before = call(superuser, "SELECT pg_get_functiondef('llm_runtime.run_limits()'::regprocedure)")

    def to(running, threads):
        superuser.execute(
            "CREATE OR REPLACE FUNCTION llm_runtime.run_limits(OUT running integer, OUT threads integer) "
            "LANGUAGE sql IMMUTABLE PARALLEL SAFE "
            f"BEGIN ATOMIC SELECT {running}::integer, {threads}::integer; END"
        )

    yield to
    superuser.execute(before)


def wait_for_it(connection):
    """A slot is taken: another session's short generation does not finish within its timeout."""
    for _ in range(200):
        connection.execute("SET statement_timeout = 100")
        try:
            call(connection, SHORT)
        except psycopg.errors.QueryCanceled:
            return
        finally:
            connection.execute("RESET statement_timeout")
    pytest.fail("nobody computes")


def busy(connection, stop):
    """Compute until told to stop."""
    while not stop.is_set():
        connection.execute(LONG)


def test_who_waits_can_be_cancelled_and_goes_on_when_there_is_room(connect_as, limit, superuser):
    first, second = connect_as("llm_user"), connect_as("llm_user")
    for connection in (first, second):
        call(connection, SHORT)
    limit(1, "NULL")
    first.execute("SET llm.engine = 'numpy'")  # the slower, so that it holds its slot for long
    stop = threading.Event()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(busy, first, stop)
        try:
            wait_for_it(second)
        finally:
            stop.set()
        running.result()
        assert call(second, SHORT) is not None


def test_the_slot_of_a_terminated_session_is_free(connect_as, limit, superuser):
    first, second = connect_as("llm_user"), connect_as("llm_user")
    for connection in (first, second):
        call(connection, SHORT)
    limit(1, "NULL")
    first.execute("SET llm.engine = 'numpy'")
    with ThreadPoolExecutor() as pool:
        running = pool.submit(busy, first, threading.Event())
        wait_for_it(second)
        call(superuser, "SELECT pg_terminate_backend(%s)", first.info.backend_pid)
        with pytest.raises(psycopg.OperationalError):
            running.result()
    assert call(second, SHORT) is not None


def test_no_slot_is_held_while_a_client_fetches_rows(connect_as, limit):
    first, second = connect_as("llm_user"), connect_as("llm_user")
    limit(1, "NULL")
    with first.transaction():
        first.execute(
            "DECLARE answers CURSOR FOR SELECT llm.generate_query("
            "'SELECT n, ''Once'' FROM generate_series(1, 1000) AS n', 'admitted', 2)"
        )
        first.execute("FETCH 2 FROM answers")
        assert call(second, SHORT) is not None
        assert len(first.execute("FETCH 50 FROM answers").fetchall()) == 50


def test_no_slot_is_held_while_a_client_fetches_a_text_piece_by_piece(connect_as, limit):
    first, second = connect_as("llm_user"), connect_as("llm_user")
    limit(1, "NULL")
    with first.transaction():
        first.execute(
            "DECLARE text CURSOR FOR SELECT * FROM llm.generate_stream("
            "'Once', 'admitted', 100, options => '{\"ignore_eos\": true}')"
        )
        first.execute("FETCH 2 FROM text")
        assert call(second, SHORT) is not None
        assert len(first.execute("FETCH 5 FROM text").fetchall()) == 5


def test_a_query_that_generates_within_a_generation_does_not_wait_for_itself(user, limit):
    limit(1, "NULL")
    query = "SELECT n, llm.generate('Once', 'admitted', 3) FROM generate_series(1, 3) AS n"
    rows = user.execute("SELECT * FROM llm.generate_query(%s, 'admitted', 3)", [query]).fetchall()
    assert len(rows) == 3 and all(error is None for *_, error in rows)


def test_more_sessions_than_slots_all_come_to_their_turn(connect_as, limit):
    limit(2, "NULL")
    connections = [connect_as("llm_user") for _ in range(5)]
    expected = call(connections[0], SHORT)
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda connection: [call(connection, SHORT) for _ in range(10)], connections))
    assert results == [[expected] * 10] * 5


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_change_no_answer(user, limit, threads):
    limit("NULL", 4)
    user.execute("SET llm.engine = 'compiled'")
    user.execute("SET llm.kv_cache_mb = 0")
    query = "SELECT llm.generate(repeat('Once upon a time. ', 20), 'admitted', 60, temperature => 1, seed => 4)"
    expected = call(user, query)
    user.execute(f"SET llm.threads = {threads}")
    assert call(user, query) == expected


@pytest.mark.parametrize("value", ["0", "all", "65", "1_0", "1.0", "\u0661"])
def test_an_ill_number_of_threads_is_an_error(user, value):
    user.execute("SET llm.engine = 'compiled'")
    user.execute(f"SET llm.threads = '{value}'")
    with pytest.raises(psycopg.errors.InvalidParameterValue) as refusal:
        call(user, SHORT)
    assert "llm.threads" in refusal.value.diag.message_primary


def test_a_session_has_no_more_workers_than_the_limit_allows(connect_as, limit):
    limit("NULL", 2)
    user = connect_as("llm_user")
    user.execute("SET llm.engine = 'compiled'")
    user.execute("SET llm.threads = 8")
    call(user, "SELECT llm.generate(repeat('Once upon a time. ', 20), 'admitted', 3)")
    names = [path.read_text() for path in Path("/proc", str(user.info.backend_pid), "task").glob("*/comm")]
    assert len(names) <= 2
