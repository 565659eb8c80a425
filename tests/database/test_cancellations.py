"""Cancelled at random moments, many times in one session: it answers as before, and leaves nothing behind.

HARTONOMOUS_CANCELS says how many times; 2,000 take some minutes. Only those count that stopped running work.
"""

import contextlib
import os
import random
import threading
import time
from pathlib import Path

import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

CANCELS = int(os.environ.get("HARTONOMOUS_CANCELS", "40"))
MODEL = "cancelled"
TEXT = f"SELECT llm.generate('', '{MODEL}', 60)"
WORK = {
    "decode": f"SELECT llm.generate('', '{MODEL}', 300, options => '{{\"ignore_eos\": true}}')",
    "drawing": f"SELECT llm.generate('', '{MODEL}', 300, 1, top_p => 0.9, options => '{{\"ignore_eos\": true}}')",
    "prefill": f"SELECT count(*) FROM llm.logits(array_fill(5, ARRAY[500]), '{MODEL}')",
    "query": f"SELECT octet_length(llm.forward(array_fill(5, ARRAY[500]), '{MODEL}'))",
    "batch": f"SELECT count(*) FROM llm.generate_many(array_fill('Once'::text, ARRAY[32]), '{MODEL}', 40)",
    "stream": f"SELECT count(*) FROM llm.generate_stream('', '{MODEL}', 300, options => '{{\"ignore_eos\": true}}')",
    "packing": f"SELECT llm.pack('{MODEL}')",
}


@pytest.fixture(scope="module", autouse=True)
def model(loader_dsn: str, own_data: Path):
    with loaded(loader_dsn, {MODEL: own_data / STORIES["stories"]}):
        yield


@pytest.fixture
def session(superuser: psycopg.Connection) -> psycopg.Connection:
    """A session of the compiled engine, warm, that may see its own files."""
    superuser.execute("SELECT llm.warm_up()")
    superuser.execute("SET llm.engine = 'compiled'")
    superuser.execute("SET llm.kv_cache_mb = 16")
    return superuser


def seconds_of(connection, query):
    began = time.monotonic()
    connection.execute(query)
    return time.monotonic() - began


def cancelled(connection, query, delay):
    """Whether the query was cancelled after a while; when this returns no cancellation is on its way."""
    timer = threading.Timer(delay, connection.cancel)
    timer.start()
    try:
        connection.execute(query)
    except psycopg.errors.QueryCanceled:
        was = True
    else:
        was = False
    timer.join()
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(0.002)")
    return was


def left_behind(connection):
    """Files below the server's folder for packed weights, and how many descriptors the session has open."""
    files = """
    WITH RECURSIVE found (path, isdir) AS (
        SELECT 'base/pgsql_tmp_llm', true
        UNION ALL
        SELECT path || '/' || name, (pg_stat_file(path || '/' || name, true)).isdir
        FROM found, pg_ls_dir(path, true, false) AS name WHERE found.isdir
    )
    SELECT path FROM found WHERE NOT isdir AND path NOT LIKE '%/numba-%' AND path NOT LIKE '%/__pycache__/%'
    """
    descriptors = len(list(Path("/proc", str(connection.info.backend_pid), "fd").iterdir()))
    return {path for (path,) in connection.execute(files)}, descriptors


def test_cancelled_at_random_moments_of_all_kinds_of_work_nothing_hangs_breaks_or_stays(session, own_data):
    author = (own_data / "stories260K-reference" / "karpathy_expected_stdout_n200.txt").read_text()
    text = call(session, TEXT)
    assert author.startswith(text)
    longest = {kind: seconds_of(session, query) for kind, query in WORK.items()}
    call(session, "SELECT llm.evict(%s)", MODEL)
    longest["packing"] = seconds_of(session, WORK["packing"])
    before = left_behind(session)
    moments, late = random.Random(CANCELS), dict.fromkeys(WORK, 0)
    for number in range(CANCELS):
        kind = list(WORK)[number % len(WORK)]
        session.execute(f"SET llm.threads = {1 + number // len(WORK) % 2}")
        stopped = False
        while not stopped:
            if kind == "packing":
                call(session, "SELECT llm.evict(%s)", MODEL)
            stopped = cancelled(session, WORK[kind], moments.uniform(0, 0.8 * longest[kind]))
            late[kind] += not stopped
            assert call(session, TEXT) == text
    call(session, "SELECT llm.pack(%s)", MODEL)
    files, descriptors = left_behind(session)
    assert files == before[0]
    assert descriptors <= before[1] + 2
    print(f"{CANCELS} cancelled; came too late, and were sent again: {late}")
