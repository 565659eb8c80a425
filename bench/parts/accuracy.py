"""How far logits are from the reference, float32 throughout in numpy, on the same file: ours and llama.cpp's.

The session is this part's own: numpy's weights, gigabytes, would stay in the one that the other parts measure.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import subjects
from contest import Contest
from record import Figure, record
from session import Session

POSITIONS = 512
LOGITS = "SELECT (row).logits FROM (SELECT llm.logits(%s, %s) AS row) AS rows"


def run(contest: Contest) -> None:
    """Figures `logits TYPE: …`, over all positions of a prompt."""
    for type in ("Q8_0", "Q4_0"):
        _compare(contest, type, subjects.of_shape(type), subjects.prompt_of(POSITIONS))


def _compare(contest: Contest, name: str, model: subjects.Model, prompt: str) -> None:
    contest.peer.flash = True
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "logits.npy")
        contest.peer.ask(
            "logits", path=str(model.path), prompt=prompt, flash=True, positions=POSITIONS, output=str(output)
        )
        peer = np.load(output)
    distances = [Distance(), Distance()]
    with closing(Session(contest.dsn)) as session:
        connection = session.connection
        (tokens,) = connection.execute("SELECT llm.tokenize(%s, %s)", [prompt, model.name]).fetchone()
        ours = np.stack(list(_logits(connection, tokens, model, "compiled")))
        for position, reference in enumerate(_logits(connection, tokens, model, "numpy")):
            for distance, logits in zip(distances, (ours, peer), strict=True):
                distance.add(logits[position], reference)
    for figure in ("largest difference", "mean difference", "argmax agrees"):
        values = [distance.figures()[figure] for distance in distances]
        record(Figure(f"logits {name}: {figure}", "share" if "agrees" in figure else "logit", *values))


class Distance:
    """Sums up differences, position by position."""

    def __init__(self):
        self._largest = self._total = self._count = self._agreed = self._positions = 0

    def add(self, logits: np.ndarray, reference: np.ndarray) -> None:
        difference = np.abs(logits - reference)
        self._largest = max(self._largest, float(difference.max()))
        self._total += float(difference.sum(dtype=np.float64))
        self._count += difference.size
        self._agreed += int(logits.argmax() == reference.argmax())
        self._positions += 1

    def figures(self) -> dict[str, float]:
        return {
            "largest difference": self._largest,
            "mean difference": self._total / self._count,
            "argmax agrees": self._agreed / self._positions,
        }


def _logits(
    connection: psycopg.Connection, tokens: list[int], model: subjects.Model, engine: str
) -> Iterator[np.ndarray]:
    """f32[vocabulary] after each token, by an engine, streamed through a cursor."""
    connection.execute(f"SET llm.engine = '{engine}'")
    with connection.transaction(), connection.cursor("logits", binary=True) as cursor:
        cursor.itersize = 16
        for (row,) in cursor.execute(LOGITS, [tokens, model.name]):
            yield np.frombuffer(row, "<f4")
