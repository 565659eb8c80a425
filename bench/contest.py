"""One run of the benchmarks: a session of ours and the peers, measured in turns, figure by figure."""

import statistics
import sys
import time
from collections.abc import Callable, Sequence

import bandwidth
import psycopg
from peer import NAMES, PACKAGES, WAYS, Peer, PeerEndedError
from record import Figure, record
from session import Session
from subjects import Model

REST = 0.3  # seconds before each turn: a thread of llama.cpp spins a while for more work after a call
CLOSE = 0.85  # ways that reach so much of the fastest one's speed are measured again before one is chosen


class Contest:
    """rounds: how often each contender is measured for a figure; the median counts. peers: which of peer.NAMES."""

    def __init__(self, dsn: str, rounds: int, peers: Sequence[str] = NAMES):
        self.dsn, self.rounds = dsn, rounds
        self.ours = Session(dsn)
        self.peers = tuple(Peer(package) for package in PACKAGES if package.peer in peers)
        self._memory = bandwidth.memory()
        bandwidth.bandwidth(self._memory, 2)  # compiles it

    def close(self) -> None:
        """End the session and the peers."""
        for contender in (self.ours, *self.peers):
            contender.close()

    def compare(
        self,
        name: str,
        call: Callable,
        threads: int,
        at: int | None = None,
        model: Model | None = None,
        trial: Callable | None = None,
    ):
        """Record a speed, call(contender) -> tok/s, beside each peer's; all are measured before it counts.

        Those first calls also choose a peer's way: its attention and repacking. trial: a shorter call that chooses it,
        where the call takes minutes. model: its weights are read once a token, so the memory's speed, measured in the
        same turns, is a limit.
        """
        (trial or call)(self.ours)
        for peer in self.peers:
            choose_way(peer, trial or call)
        measured, memory = self._rounds(call, threads, model is not None)
        limit = statistics.median(memory) / self.gigabytes(model) if memory else None
        given = {"limit": limit, "threads": threads, "at": at}
        ours = measured[self.ours.name]
        for peer in self.peers:
            ways = {"against": peer.name, "way": str(peer.way)}
            record(Figure.of_rounds(name, "tok/s", ours, measured[peer.name], **given, **ways))
        if not self.peers:
            record(Figure.of_rounds(name, "tok/s", ours, **given))

    def _rounds(self, call: Callable, threads: int, reads_memory: bool) -> tuple[dict[str, list[float]], list[float]]:
        """({contender: its speeds}, the memory's speeds), taken in turns."""
        contenders = self.ours, *self.peers
        speeds, memory = {contender.name: [] for contender in contenders}, []
        for _ in range(self.rounds):
            for contender in contenders:
                time.sleep(REST)
                speeds[contender.name].append(call(contender))
            if reads_memory:
                memory.append(bandwidth.bandwidth(self._memory, threads))
        return speeds, memory

    def gigabytes(self, model: Model) -> float:
        """What a token reads: the packed weights."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute("SELECT llm.pack(%s)", [model.name]).fetchone()[0] / 1e9


def choose_way(peer: Peer, call: Callable) -> None:
    """Let the peer compute in the way that is fastest for this call, and call it once more.

    A way in which its process ends is none: ik_llama.cpp's flash attention refuses several sequences. Raises
    PeerEndedError if there is no other.
    """
    speeds = {}
    for peer.way in WAYS:
        speeds[peer.way] = _speed_or_0(peer, call)
    first = dict(speeds)
    for peer.way in [way for way in WAYS if first[way] > CLOSE * max(first.values())]:
        speeds[peer.way] = max(first[peer.way], call(peer))
    peer.way = max(speeds, key=speeds.get)
    call(peer)


def _speed_or_0(peer: Peer, call: Callable) -> float:
    try:
        return call(peer)
    except PeerEndedError as ended:
        print(ended, file=sys.stderr)
        return 0.0
