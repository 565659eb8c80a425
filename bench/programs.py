"""The benches that are programs of their own, as parts of a run: each in a process and with a session of its own."""

import os
import subprocess
import sys
from contextlib import nullcontext

import subjects
from contest import Contest
from places import CHECKOUT

from tools.cluster import Cluster

PROGRAMS = ("loading", "sampling", "interrupts", "values", "long_query", "similarity", "atoms", "embeddings")


def run(name: str, contest: Contest) -> None:
    """Record the figures of one of PROGRAMS. Raises CalledProcessError when it fails."""
    program, *arguments = map(str, _commands(contest.dsn, contest.rounds)[name])
    # what is stored already would not be loaded
    with subjects.taken_away(contest.dsn) if name == "loading" else nullcontext():
        subprocess.run([sys.executable, CHECKOUT / "bench" / program, *arguments], check=True)


def _commands(dsn: str, rounds: int) -> dict[str, list]:
    model, tidy = subjects.of_shape("Q8_0"), subjects.tidy()
    server, often = ("--dsn", dsn), ("--rounds", rounds)
    return {
        "loading": ["load.py", model.path, *server, *often],
        "sampling": ["sampling.py"],
        "interrupts": ["interrupts.py", model.name, *server],
        "values": ["values.py", "--model", tidy.name, *server, *often],
        "long_query": ["long_query.py", tidy.name, *server],
        "similarity": ["similarity.py", "search", dsn, model.name],
        "atoms": ["atoms.py", _superuser(), model.name],
        "embeddings": ["embeddings.py", "--dsn", _superuser(), *often],
    }


def _superuser() -> str:
    """A superuser's URI: these programs empty tables in transactions that they undo, or make tables to search."""
    return os.environ.get("HARTONOMOUS_DSN") or Cluster().superuser_dsn()
