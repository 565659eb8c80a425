"""How long a generation goes on after it is cancelled: decode, prefill, and the transformer as a SQL query.

    python bench/interrupts.py MODEL            # a loaded model; the server is that of `make up`, or HARTONOMOUS_DSN

Each is cancelled at random moments, in turn by the message that Ctrl-C in psql sends and by statement_timeout, and
the session must answer as before afterwards. The figure is the slowest stop.
"""

import argparse
import os
import random
import statistics
import threading
import time

import psycopg
from record import Figure, record

LIMIT = 100  # milliseconds
CONTENDERS = {
    "decode": "SELECT llm.generate('a', {model}, 1000000, options => '{{\"ignore_eos\": true}}')",
    "prefill": "SELECT llm.generate_details(repeat('a b c ', {words}), {model}, 1)",
    "llm.forward": "SELECT llm.forward(array_fill(5, ARRAY[{tokens}]), {model})",
}


def stopped_by_message(connection: psycopg.Connection, query: str, delay: float) -> float | None:
    """Milliseconds from the cancel message to the error; None when the query was through before."""
    sent = []

    def cancel():
        sent.append(time.perf_counter())
        connection.cancel()

    timer = threading.Timer(delay, cancel)
    timer.start()
    try:
        connection.execute(query)
    except psycopg.errors.QueryCanceled:
        return (time.perf_counter() - sent[0]) * 1000
    finally:
        timer.cancel()
        timer.join()
    return None


def stopped_by_timeout(connection: psycopg.Connection, query: str, delay: float) -> float | None:
    """Milliseconds from the end of statement_timeout to the error."""
    connection.execute(f"SET statement_timeout = {max(1, round(delay * 1000))}")
    began = time.perf_counter()
    try:
        connection.execute(query)
    except psycopg.errors.QueryCanceled:
        return max(0.0, (time.perf_counter() - began) * 1000 - max(1, round(delay * 1000)))
    finally:
        connection.execute("SET statement_timeout = 0")
    return None


def measure(connection: psycopg.Connection, query: str, check: str, rounds: int, longest: float) -> list[float]:
    """Milliseconds of every stop; `check` must answer the same before and after each."""
    moments = random.Random(0)
    answer = connection.execute(check).fetchone()
    stops = []
    for number in range(rounds):
        stop = (stopped_by_message, stopped_by_timeout)[number % 2](connection, query, moments.uniform(0, longest))
        if stop is not None:
            stops.append(stop)
        if connection.execute(check).fetchone() != answer:
            raise SystemExit("the session answers differently after a cancelled query")
    if not stops:
        raise SystemExit(f"{query} was through before any of its cancellations")
    return stops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN", ""))
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--longest", type=float, default=3.0, help="seconds until the latest cancellation")
    arguments = parser.parse_args()
    with psycopg.connect(arguments.dsn, autocommit=True) as connection:
        query = "SELECT least(context_length, 4096) FROM llm.models WHERE name = %s"
        (tokens,) = connection.execute(query, [arguments.model]).fetchone()
        model = psycopg.sql.Literal(arguments.model).as_string(connection)
        check = f"SELECT llm.generate('a', {model}, 3)"
        connection.execute("SET llm.kv_cache_mb = 0")  # a prompt that was read once is read again
        for name, template in CONTENDERS.items():
            query = template.format(model=model, words=tokens // 8, tokens=tokens)
            stops = measure(connection, query, check, arguments.rounds, arguments.longest)
            print(f"{name}: {len(stops)} of {arguments.rounds} cancelled, median {statistics.median(stops):.1f} ms")
            record(Figure(f"cancel {name}, slowest", "ms", max(stops), limit=LIMIT))


if __name__ == "__main__":
    main()
