"""One line of bench/results.jsonl for each figure, and the measurements that every bench shares."""

import json
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results.jsonl")
FIGURES = ":!results.jsonl", ":!../docs/figures.md", ":!../docs/images"  # what a run itself writes


@dataclass(frozen=True)
class Figure:
    """A measured figure beside its peer's from the same run, and the physical limit where one is known.

    at: where the figures of one name make a curve, the place on it: positions of context, rows at once.
    against, way: whose the peer's figure is, where there are several, and how it computed.
    ours_between, peer_between: the least and the most of the rounds of which ours and peer are the medians.
    """

    name: str
    unit: str
    ours: float
    peer: float | None = None
    limit: float | None = None
    threads: int | None = None
    at: int | None = None
    ours_between: tuple[float, float] | None = None
    peer_between: tuple[float, float] | None = None
    against: str | None = None
    way: str | None = None

    @classmethod
    def of_rounds(cls, name: str, unit: str, ours: list[float], peer: list[float] | None = None, **others) -> "Figure":
        """The medians of rounds, with the least and the most of them."""
        theirs = {"peer": statistics.median(peer), "peer_between": (min(peer), max(peer))} if peer else {}
        return cls(name, unit, statistics.median(ours), ours_between=(min(ours), max(ours)), **theirs, **others)

    @property
    def ratio(self) -> float | None:
        """ours / peer; what is better, more or less, follows from the unit."""
        return self.ours / self.peer if self.peer else None


def commit() -> str:
    """The commit that was measured, marked when more of the tree than figures was changed."""
    name = _git("describe", "--always")
    return name + "-dirty" * bool(_git("status", "--porcelain", "--untracked-files=no", "..", *FIGURES))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=RESULTS.parent, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def record(figure: Figure) -> None:
    """Append the figure to results.jsonl and show it."""
    line = asdict(figure) | {"ratio": figure.ratio, "commit": commit(), "date": time.strftime("%Y-%m-%d")}
    with RESULTS.open("a") as file:
        file.write(json.dumps({key: _rounded(value) for key, value in line.items()}) + "\n")
    against = figure.against or "peer"
    peer = "" if figure.peer is None else f"   {against} {figure.peer:10.2f}   ratio {figure.ratio:5.2f}"
    limit = "" if figure.limit is None else f"   limit {figure.limit:9.2f}"
    name = figure.name + ("" if figure.at is None else f", {figure.at}")
    threads = "" if figure.threads is None else f"{figure.threads} thr"
    way = "" if figure.way is None else f"   {figure.way}"
    print(f"{name:48} {threads:5} {figure.ours:10.2f} {figure.unit:8}{peer}{limit}{way}", flush=True)


def _rounded(value):
    if isinstance(value, tuple):
        return [_rounded(number) for number in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def interleaved(contenders: dict[str, Callable[[], float]], rounds: int = 5) -> dict[str, float]:
    """The median of what each contender returned in the rounds."""
    return {name: statistics.median(values) for name, values in in_turns(contenders, rounds).items()}


def in_turns(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Run every contender in turn, `rounds` times, and give what each returned.

    Turns keep a neighbour's load from falling on one contender alone.
    """
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            measured[name].append(run())
    return measured


def seconds(action: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start
