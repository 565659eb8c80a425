"""The benches that are programs of their own, as parts of a run: each in a process and with a session of its own."""

import os
import subprocess
import sys
from collections.abc import Sequence

import subjects
from contest import Contest
from places import CHECKOUT

from tools.cluster import Cluster

SUBJECTS = {
    "interrupts": ("0.5B Q8_0",),
    "similarity": ("0.5B Q8_0",),
    "atoms": ("0.5B Q8_0", "0.5B Q4_0", "0.5B F16"),  # the first is named to it; it searches codes of all
}
LOADED = ("8B Q4_K_M", "1.5B Q4_K_M")  # by the program loading
PROGRAMS = ("loading", "sampling", "interrupts", "values", "long_query", "similarity", "atoms", "embeddings")


def subjects_of(name: str) -> tuple[str, ...]:
    """The models of random weights that one of PROGRAMS needs in the server."""
    return SUBJECTS.get(name, ())


def run(name: str, contest: Contest, labels: Sequence[str]) -> None:
    """Record the figures of one of PROGRAMS; labels: what loading loads. Raises CalledProcessError when it fails."""
    if name == "loading":
        for label in labels or LOADED:
            _load(contest, label)
    else:
        _run(*_command(name, contest.dsn, contest.rounds))


def _load(contest: Contest, label: str) -> None:
    path = subjects.of_shape(label).path
    with subjects.taken_away(contest.dsn):  # what is stored already would not be loaded
        _run("load.py", path, "--label", label, "--dsn", contest.dsn, "--rounds", contest.rounds)


def _run(program: str, *arguments) -> None:
    subprocess.run([sys.executable, CHECKOUT / "bench" / program, *map(str, arguments)], check=True)


def _command(name: str, dsn: str, rounds: int) -> list:
    server, often = ("--dsn", dsn), ("--rounds", rounds)
    with_model = [subjects.of_shape(label).name for label in subjects_of(name)[:1]]
    return {
        "sampling": ["sampling.py"],
        "interrupts": ["interrupts.py", *with_model, *server],
        "values": ["values.py", "--model", subjects.tidy().name, *server, *often],
        "long_query": ["long_query.py", subjects.tidy().name, *server],
        "similarity": ["similarity.py", "search", dsn, *with_model],
        "atoms": ["atoms.py", _superuser(), *with_model],
        "embeddings": ["embeddings.py", "--dsn", _superuser(), *often],
    }[name]


def _superuser() -> str:
    """A superuser's URI: these programs empty tables in transactions that they undo, or make tables to search."""
    return os.environ.get("HARTONOMOUS_DSN") or Cluster().superuser_dsn()
