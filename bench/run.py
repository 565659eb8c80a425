"""Ours through SQL against llama.cpp on the same files, in turns; what every part measures is said at its head.

    python bench/run.py                        # everything, over an hour on two cores; make bench does it
    python bench/run.py prepare                # make, load and pack the models, build the peer: nothing is measured
    python bench/run.py decode prefill …       # some parts, so that short quiet times suffice
    python bench/run.py report                 # the table, docs/figures.md and its plots from bench/results.jsonl

Parts, against llama.cpp: decode, prefill, long_prefill, rows, context, overhead, composed, start, memory, accuracy,
compiling, drafts. Programs of their own, each of which says what it measures: loading, sampling, interrupts, values,
long_query, similarity, atoms, embeddings.
The server is the one that `make up` started, or HARTONOMOUS_DSN.
"""

import argparse
import importlib
import os

import peer
import programs
import report
import subjects
from contest import Contest
from parts import context

from tools.cluster import Cluster

PARTS = (
    *("decode", "prefill", "long_prefill", "rows", "context", "overhead"),
    *("composed", "start", "memory", "accuracy", "compiling", "drafts"),
    *programs.PROGRAMS,
)


def prepare(dsn: str) -> None:
    """Everything that the parts need and that is no part of what they measure."""
    peer.python()
    for model in subjects.SUBJECTS.values():
        model().load(dsn)
    contest = Contest(dsn, 1)
    context.prepare(contest)
    contest.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"prepare, report, {', '.join(PARTS)}")
    parser.add_argument("--dsn", default=os.environ.get("HARTONOMOUS_DSN"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - {"prepare", "report", *PARTS}
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    parts = arguments.parts or ["prepare", *PARTS, "report"]
    dsn = arguments.dsn or Cluster().dsn()
    if "prepare" in parts:
        prepare(dsn)
    measured = [part for part in parts if part in PARTS]
    if measured:
        contest = Contest(dsn, arguments.rounds)
        try:
            for part in measured:
                if part in programs.PROGRAMS:
                    programs.run(part, contest)
                else:
                    importlib.import_module(f"parts.{part}").run(contest)
        finally:
            contest.close()
    if "report" in parts:
        report.write()


if __name__ == "__main__":
    main()
