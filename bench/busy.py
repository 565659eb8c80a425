"""Decoding and batches on one thread and on all, beside none and one busy neighbour.

    python bench/busy.py MODEL            # a loaded model; the server is that of `make up`, or HARTONOMOUS_DSN

The neighbour is a process that counts, as any other program of the machine would.
"""

import argparse
import multiprocessing
import os
import time

import psycopg
from places import CHECKOUT  # noqa: F401 - makes tools importable
from record import Figure, interleaved, record, seconds

from tools.cluster import Cluster

ONE = "SELECT llm.generate('Once upon a time', %s, 24, options => '{\"ignore_eos\": true}')"
MANY = (
    "SELECT count(*) FROM llm.generate_many(array_fill('Once upon a time'::text, ARRAY[16]), %s, 8, "
    "options => '{\"ignore_eos\": true}')"
)
TOKENS = {"decode": (ONE, 24), "16 rows": (MANY, 128)}


def count_for_ever() -> None:
    while True:
        pass


def speed(connection: psycopg.Connection, model: str, way: str, threads: int) -> float:
    """Tokens a second."""
    query, tokens = TOKENS[way]
    connection.execute(f"SET llm.threads = {threads}")
    return tokens / seconds(lambda: connection.execute(query, [model]).fetchall())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN"))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    threads = (1, len(os.sched_getaffinity(0)))
    with psycopg.connect(arguments.dsn or Cluster().dsn(), autocommit=True) as connection:
        connection.execute("SET llm.engine = 'compiled'")
        connection.execute(ONE, [arguments.model])
        for neighbours in (0, 1):
            busy = [multiprocessing.Process(target=count_for_ever, daemon=True) for _ in range(neighbours)]
            for process in busy:
                process.start()
            time.sleep(0.5)
            ways = {
                (way, n): lambda way=way, n=n: speed(connection, arguments.model, way, n)
                for way in TOKENS
                for n in threads
            }
            for (way, n), tokens in interleaved(ways, arguments.rounds).items():
                record(Figure(f"{way}, {neighbours} busy neighbours", "tok/s", tokens, threads=n))
            for process in busy:
                process.terminate()


if __name__ == "__main__":
    main()
