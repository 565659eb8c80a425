"""A model file into the database, against a raw COPY of its bytes: bench/load.py."""

import subprocess
import sys

import subjects
from contest import Contest
from places import CHECKOUT


def run(contest: Contest) -> None:
    """The figures of bench/load.py for the model of type Q8_0."""
    program = [sys.executable, CHECKOUT / "bench" / "load.py", subjects.of_shape("Q8_0").path, "--dsn", contest.dsn]
    subprocess.run([*program, "--rounds", str(contest.rounds)], check=True)
