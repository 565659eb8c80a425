"""Ours through SQL against llama.cpp and ik_llama.cpp on the same files, in turns.

    python bench/run.py                        # everything, some hours on two cores; make bench does it
    python bench/run.py prepare                # make, load and pack the models, build the peers: nothing is measured
    python bench/run.py prepare decode …       # some parts, and first what they need
    python bench/run.py decode --subjects 1.5B-Q4_K_M 8B-Q4_K_M --peers ik_llama.cpp
    python bench/run.py report                 # the table, docs/figures.md and its plots from bench/results.jsonl

Parts for models of random weights, a shape and an encoding: decode, prefill, long_prefill, rows, context, accuracy,
encodings, start, memory, composed. Each has subjects of its own; --subjects names others. Parts of one model: overhead,
compiling, drafts. Programs of their own: loading (with --subjects too), sampling, interrupts, values, long_query,
similarity, atoms, embeddings. What each measures is said at its head.
The server is the one that `make up` started, or HARTONOMOUS_DSN.
"""

import argparse
import importlib
import os
from collections.abc import Iterable, Sequence

import peer
import programs
import report
import subjects
from contest import Contest

from tools.cluster import Cluster

PARTS = (
    *("decode", "prefill", "long_prefill", "rows", "context", "overhead"),
    *("composed", "start", "memory", "accuracy", "encodings", "compiling", "drafts"),
    *programs.PROGRAMS,
)


def prepare(dsn: str, parts: Iterable[str], given: Sequence[str], peers: Sequence[str]) -> None:
    """What the parts need and that is no part of what they measure: the peers' packages, models in the server."""
    for package in peer.PACKAGES:
        if package.peer in peers:
            peer.python(package)
    for model in (subjects.stories(), subjects.tidy()):
        model.load(dsn)
    for label in dict.fromkeys(label for part in parts for label in _needed(part, given)):
        subjects.of_shape(label).load(dsn)


def _needed(part: str, given: Sequence[str]) -> Sequence[str]:
    """The subjects that a part expects to find in the server."""
    if part in programs.PROGRAMS:
        return programs.subjects_of(part)
    module = _part(part)
    return () if getattr(module, "PASSING", False) else given or getattr(module, "SUBJECTS", ())


def measure(part: str, contest: Contest, given: Sequence[str]) -> None:
    """Run a part, of the subjects given or of its own."""
    if part in programs.PROGRAMS:
        programs.run(part, contest, given)
        return
    module = _part(part)
    if hasattr(module, "SUBJECTS"):
        module.run(contest, given or module.SUBJECTS)
    else:
        module.run(contest)


def _part(name: str):
    return importlib.import_module(f"parts.{name}")


def arguments_given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"prepare, report, {', '.join(PARTS)}")
    parser.add_argument("--subjects", nargs="+", default=(), metavar="SHAPE-ENCODING", help="1.5B-Q4_K_M …")
    parser.add_argument("--peers", nargs="*", default=peer.NAMES, choices=peer.NAMES, help="both unless given")
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - {"prepare", "report", *PARTS}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    try:
        arguments.subjects = subjects.checked(arguments.subjects)
    except ValueError as error:
        parser.error(str(error))
    return arguments


def main() -> None:
    arguments = arguments_given()
    parts = arguments.parts or ["prepare", *PARTS, "report"]
    dsn = arguments.dsn or Cluster().dsn()
    measured = [part for part in parts if part in PARTS]
    if "prepare" in parts:
        prepare(dsn, measured or PARTS, arguments.subjects, arguments.peers)
    if measured:
        contest = Contest(dsn, arguments.rounds, arguments.peers)
        try:
            for part in measured:
                measure(part, contest, arguments.subjects)
        finally:
            contest.close()
    if "report" in parts:
        report.write()


if __name__ == "__main__":
    main()
