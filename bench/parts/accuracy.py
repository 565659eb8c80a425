"""How far logits are from the reference, float32 throughout in numpy, on the same file: ours and the peers'.

The session is this part's own: numpy's weights, gigabytes, would stay in the one that the other parts measure.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import subjects
from contest import Contest
from peer import Peer, Way
from record import Figure, record
from session import Session

SUBJECTS = tuple(f"1.5B {type}" for type in ("Q4_K_M", "Q5_K_M", "Q6_K", "IQ4_XS", "MXFP4", "Q8_0", "Q4_0"))
POSITIONS = 512
LOGITS = "SELECT (row).logits FROM (SELECT llm.logits(%s, %s) AS row) AS rows"


def run(contest: Contest, labels: Sequence[str], positions: int = POSITIONS) -> None:
    """Figures `logits SUBJECT: …`, over all positions of a prompt."""
    prompt = subjects.prompt_of(positions)
    for model in map(subjects.of_shape, labels):
        theirs = {peer.name: _peer_logits(peer, model, prompt, positions) for peer in contest.peers}
        _compare(contest.dsn, model, prompt, theirs)


def _peer_logits(peer: Peer, model: subjects.Model, prompt: str, positions: int) -> np.ndarray:
    """f32[positions, vocabulary], computed as the peer does when it is told nothing about it."""
    peer.way = Way(flash=True, repack=peer.repacks)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "logits.npy")
        peer.ask("logits", model, positions, prompt=prompt, output=str(output))
        return np.load(output)


def _compare(dsn: str, model: subjects.Model, prompt: str, theirs: dict[str, np.ndarray]) -> None:
    with closing(Session(dsn)) as session:
        connection = session.connection
        (tokens,) = connection.execute("SELECT llm.tokenize(%s, %s)", [prompt, model.name]).fetchone()
        ours = np.stack(list(_logits(connection, tokens, model, "compiled")))
        distances = [(logits, Distance()) for logits in (ours, *theirs.values())]
        for position, reference in enumerate(_logits(connection, tokens, model, "numpy")):
            for logits, distance in distances:
                distance.add(logits[position], reference)
    own, *others = [distance.figures() for _, distance in distances]
    for figure, value in own.items():
        unit = "share" if "agrees" in figure else "logit"
        for name, other in zip(theirs or [None], others or [{}], strict=True):
            record(Figure(f"logits {model.label}: {figure}", unit, value, other.get(figure), against=name))


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
