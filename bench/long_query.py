"""10,000 rows through llm.generate_query and llm.generate_into: memory that grows, and how soon a cancelled one stops.

    python bench/long_query.py [MODEL]       # tidy; the server is that of `make up`, or HARTONOMOUS_DSN

Memory is the private memory of the session's process between 1,000 and 10,000 rows. Half way, when so many rows of a
cursor are fetched, the call is cancelled.
"""

import argparse
import os
import threading
import time
from pathlib import Path

import psycopg
from places import CHECKOUT  # noqa: F401 - makes tools importable
from record import Figure, record

from tools.cluster import Cluster

ROWS = 10_000
STOP_LIMIT = 100  # milliseconds
QUERY = "SELECT n, 'quantity: ' || n || ' kg' FROM generate_series(1, {}) AS n"
STREAM = "SELECT (r).error FROM (SELECT llm.generate_query(%s, %s, %s) AS r OFFSET 0) AS q"
INTO = "CALL llm.generate_into(%s, 'pg_temp.answers', %s, %s)"


def private_megabytes(connection: psycopg.Connection) -> float:
    """Memory of the session's process that is its own."""
    status = Path("/proc", str(connection.info.backend_pid), "status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024 / 1e6


def growth(connection: psycopg.Connection, query: str, *arguments) -> float:
    """Megabytes between 1,000 rows and 10,000."""
    connection.execute(query, [QUERY.format(1000), *arguments])
    before = private_megabytes(connection)
    connection.execute(query, [QUERY.format(ROWS), *arguments])
    return private_megabytes(connection) - before


def stopping(connection: psycopg.Connection, query: str, delay: float, *arguments) -> float:
    """Milliseconds from the cancel message to the error."""
    sent = []
    timer = threading.Timer(delay, lambda: (sent.append(time.perf_counter()), connection.cancel()))
    timer.start()
    try:
        connection.execute(query, [QUERY.format(ROWS), *arguments])
    except psycopg.errors.QueryCanceled:
        return (time.perf_counter() - sent[0]) * 1000
    finally:
        timer.join()
    raise SystemExit("the call was through before it was cancelled")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="tidy")
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN"))
    parser.add_argument("--tokens", type=int, default=8)
    arguments = parser.parse_args()
    with psycopg.connect(arguments.dsn or Cluster().dsn(), autocommit=True) as connection:
        connection.execute("SET llm.engine = 'compiled'")
        connection.execute(
            "CREATE TEMP TABLE answers (id integer, response text, finish_reason text, tokens integer, error text)"
        )
        for name, query in (("generate_query", STREAM), ("generate_into", INTO)):
            given = arguments.model, arguments.tokens
            began = time.perf_counter()
            grown = growth(connection, query, *given)
            half = (time.perf_counter() - began) / 2.2
            record(Figure(f"llm.{name}, {ROWS} rows: memory grown", "MB", grown))
            stop = stopping(connection, query, half, *given)
            record(Figure(f"llm.{name}, cancelled half way", "ms", stop, limit=STOP_LIMIT))
            connection.execute("SELECT llm.generate('boolean: yep', %s)", [arguments.model])


if __name__ == "__main__":
    main()
