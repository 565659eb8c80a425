"""What a model costs to start: packing it once a machine, the first token of a session, the memory of a session.

    python bench/start.py MODEL      # a loaded model; the server is the one `make up` started, or HARTONOMOUS_DSN

The login must be a member of llm_loader. Compiled code and packed weights are there when first tokens and memory are
measured, and the file system holds the weights in memory. The sessions whose memory is counted are all open at once.
Memory is what /proc/PID/smaps_rollup calls private, of server processes of this machine: run it as root or as their
account.
"""

import argparse
import os
import re
import statistics
from contextlib import ExitStack
from pathlib import Path

import psycopg
from record import Figure, record, seconds

SESSIONS = 8
PRIVATE = re.compile(r"^Private_(?:Clean|Dirty): +(\d+) kB", re.MULTILINE)


def session(dsn: str) -> psycopg.Connection:
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute("SET llm.engine = 'compiled'")
    return connection


def pack(dsn: str, model: str) -> float:
    """Seconds of packing everything anew, in a session that has nothing ready."""
    with session(dsn) as connection:
        connection.execute("SELECT llm.evict(%s)", [model])
    with session(dsn) as connection:
        return seconds(lambda: connection.execute("SELECT llm.pack(%s)", [model]))


def first_token(dsn: str, model: str) -> float:
    """Seconds from connecting to the first token of a short prompt."""

    def run() -> None:
        with session(dsn) as connection:
            connection.execute("SELECT llm.generate('The capital of France is', %s, 1)", [model])

    return seconds(run)


def private_megabytes(dsn: str, model: str) -> list[float]:
    """Private memory of sessions that have all generated."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(session(dsn)) for _ in range(SESSIONS)]
        for connection in sessions:
            connection.execute("SELECT llm.generate('The capital of France is', %s, 32)", [model])
        rollups = [Path(f"/proc/{one.info.backend_pid}/smaps_rollup").read_text() for one in sessions]
    return [sum(map(int, PRIVATE.findall(text))) * 1024 / 1e6 for text in rollups]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN", ""))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    dsn, model = arguments.dsn, arguments.model
    with session(dsn) as connection:
        connection.execute("SELECT llm.warm_up()")
        (size,) = connection.execute("SELECT llm.pack(%s)", [model]).fetchone()
    packing = statistics.median(pack(dsn, model) for _ in range(arguments.rounds))
    first_token(dsn, model)
    token = statistics.median(first_token(dsn, model) for _ in range(arguments.rounds))
    memory = private_megabytes(dsn, model)
    print(f"{model}: {size / 1e6:.0f} MB packed; private MB a session: {', '.join(f'{one:.0f}' for one in memory)}")
    record(Figure("pack a model on first use", "s", packing))
    record(Figure("first token of a new session", "s", token))
    record(Figure(f"private memory a session, {SESSIONS} at once", "MB", max(memory)))


if __name__ == "__main__":
    main()
