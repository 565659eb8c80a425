"""What a session's memory does as it writes more texts at once."""

import re
import threading
from collections.abc import Sequence
from pathlib import Path

import subjects
from contest import Contest
from record import Figure, record
from session import Session

from parts.rows import PROMPT, ROWS

SUBJECTS = ("1.5B Q4_K_M",)
COUNT = 48
PRIVATE = re.compile(r"^Private_(?:Clean|Dirty): +(\d+) kB", re.MULTILINE)
OWN = re.compile(r"^Anonymous: +(\d+) kB", re.MULTILINE)  # without the mapped weights: private to their only user
INTERVAL = 0.02  # seconds between looks


def run(contest: Contest, labels: Sequence[str]) -> None:
    """Figures `memory of a session, SUBJECT` over the number of rows: the most of its own while it wrote."""
    for model in map(subjects.of_shape, labels):
        _measure(contest, model)


def _measure(contest: Contest, model: subjects.Model) -> None:
    for rows in ROWS:
        session = Session(contest.dsn)
        prompts = [subjects.prompt_of(PROMPT, first) for first in range(rows)]
        session.rows(model, prompts[:1], 1, 2)  # loads the model, for which it needs more than it keeps
        with Watch(session.connection.info.backend_pid) as watch:
            session.rows(model, prompts, COUNT, 2)
        session.close()
        record(Figure(f"memory of a session, {model.label}", "MB", watch.most / 1e6, at=rows))


def private_bytes(pid: int, kinds: re.Pattern = PRIVATE) -> int:
    """Memory that a process shares with no other now."""
    return sum(map(int, kinds.findall(Path(f"/proc/{pid}/smaps_rollup").read_text()))) * 1024


class Watch:
    """The most memory that a process has of its own, in bytes, while the block runs."""

    def __init__(self, pid: int):
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self.most = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _look(self) -> None:
        while True:
            self.most = max(self.most, private_bytes(self._pid, OWN))
            if self._end.wait(INTERVAL):
                return
