"""What a model costs to start: packing it once a machine, the first token of a session, the memory of eight sessions.

Compiled code and packed weights are there when first tokens and memory are measured, and the file system holds the
weights in memory. Memory is what /proc calls private, of server processes of this machine: run it as root or as their
account.
"""

from collections.abc import Sequence
from contextlib import ExitStack

import psycopg
import subjects
from contest import Contest
from record import Figure, record, seconds

from parts.memory import private_bytes

SUBJECTS = ("1.5B Q4_K_M", "8B Q4_K_M")
SESSIONS = 8
GENERATE = "SELECT llm.generate('The capital of France is', %s, %s)"


def run(contest: Contest, labels: Sequence[str]) -> None:
    """Figures `pack SUBJECT`, `first token of a session, SUBJECT` and `memory of each of 8 sessions, SUBJECT`."""
    for label in labels:
        model = subjects.of_shape(label).name
        packing = [pack(contest.dsn, model) for _ in range(contest.rounds)]
        record(Figure.of_rounds(f"pack {label}", "s", packing))
        first_token(contest.dsn, model)
        first = [first_token(contest.dsn, model) for _ in range(contest.rounds)]
        record(Figure.of_rounds(f"first token of a session, {label}", "s", first))
        most = max(memory(contest.dsn, model)) / 1e6
        record(Figure(f"memory of each of {SESSIONS} sessions, {label}", "MB", most))


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
            connection.execute(GENERATE, [model, 1])

    return seconds(run)


def memory(dsn: str, model: str) -> list[int]:
    """Private bytes of sessions that have all generated and are all open."""
    with ExitStack() as stack:
        sessions = [stack.enter_context(session(dsn)) for _ in range(SESSIONS)]
        for connection in sessions:
            connection.execute(GENERATE, [model, 32])
        return [private_bytes(one.info.backend_pid) for one in sessions]
