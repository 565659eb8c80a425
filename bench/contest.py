"""One run of the benchmarks: a session of ours and the peer, measured in turns, figure by figure."""

import statistics
import time
from collections.abc import Callable

import bandwidth
import psycopg
from peer import Peer
from record import Figure, record
from session import Session
from subjects import Model

REST = 0.3  # seconds before each turn: a thread of llama.cpp spins a while for more work after a call


class Contest:
    """rounds: how often each contender is measured for a figure; the median counts."""

    def __init__(self, dsn: str, rounds: int):
        self.dsn, self.rounds = dsn, rounds
        self.ours, self.peer = Session(dsn), Peer()
        self._memory = bandwidth.memory()
        bandwidth.bandwidth(self._memory, 2)  # compiles it

    def close(self) -> None:
        """End the session and the peer."""
        self.ours.close()
        self.peer.close()

    def both(self, call: Callable) -> None:
        """call(contender) for ours, and for the peer with flash attention and without."""
        call(self.ours)
        for self.peer.flash in (True, False):
            call(self.peer)

    def compare(self, name: str, call: Callable, threads: int, at: int | None = None, model: Model | None = None):
        """Record a speed, call(contender) -> tok/s, beside the peer's, each measured once before it counts.

        Those first calls also choose the peer's attention. model: its weights are read once a token, so the memory's
        speed, measured in the same turns, is a limit.
        """
        call(self.ours)
        self.peer.flash = self._flash_is_faster(call)
        ours, peer, memory = [], [], []
        for _ in range(self.rounds):
            for contender, speeds in ((self.ours, ours), (self.peer, peer)):
                time.sleep(REST)
                speeds.append(call(contender))
            if model is not None:
                memory.append(bandwidth.bandwidth(self._memory, threads))
        limit = statistics.median(memory) / self.gigabytes(model) if memory else None
        figure = Figure.of_rounds(name, "tok/s", ours, peer, limit=limit, threads=threads, at=at)
        record(figure)
        return figure

    def _flash_is_faster(self, call: Callable) -> bool:
        """Each is called twice, in turns, and the second call counts: whatever is cold at first costs neither."""
        speeds = {}
        for self.peer.flash in (True, False, True, False):
            speeds[self.peer.flash] = call(self.peer)
        return speeds[True] > speeds[False]

    def gigabytes(self, model: Model) -> float:
        """What a token reads: the packed weights."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute("SELECT llm.pack(%s)", [model.name]).fetchone()[0] / 1e9
