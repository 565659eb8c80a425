"""Packs a model after it is loaded, so that no user's first question waits for it.

The model is committed and visible before. So whatever goes wrong here leaves a model that works: its first use packs
what is missing. A finished file of packed weights stays; one that was begun is begun anew.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import psycopg

from .progress import Advance

REPORT = re.compile(r"llm: packed (\d+) of (\d+) bytes")  # a DEBUG2 message of llm.pack
NUMPY = re.compile(r"numpy .*, because (.*)")  # what llm.engine() says where no packed weights are used
BY_CHOICE = "llm.engine is numpy"  # the reason if that is meant to be so


@dataclass(frozen=True)
class Packing:
    """What came of packing: the bytes of the packed weights, why numpy makes them useless, or what went wrong."""

    bytes: int = 0
    useless: str = ""
    error: psycopg.Error | KeyboardInterrupt | None = None


def pack(connection: psycopg.Connection, name: str, bar: Callable[[str, int], Advance]) -> Packing:
    """Pack a model, unless numpy computes in this database; `bar` begins a progress bar. Raises nothing."""
    try:
        numpy = NUMPY.match(connection.execute("SELECT llm.engine()").fetchone()[0])
        return Packing(useless=numpy[1]) if numpy else Packing(_packed_bytes(connection, name, bar))
    except (psycopg.Error, KeyboardInterrupt) as error:
        return Packing(error=error)


def _packed_bytes(connection: psycopg.Connection, name: str, bar: Callable[[str, int], Advance]) -> int:
    reports = _Reports(f"packing {name}", bar)
    connection.add_notice_handler(reports)
    connection.execute("SET client_min_messages = debug2")
    return connection.execute("SELECT llm.pack(%s)", (name,)).fetchone()[0]


class _Reports:
    """Handles messages of the server: those that say how far packing is move a bar, which the first of them begins."""

    def __init__(self, title: str, bar: Callable[[str, int], Advance]):
        self._title, self._bar = title, bar
        self._advance: Advance | None = None
        self._done = 0

    def __call__(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        report = REPORT.fullmatch(diagnostic.message_primary or "")
        if report is None:
            return
        done, total = map(int, report.groups())
        self._advance = self._advance or self._bar(self._title, total)
        self._advance(done - self._done)
        self._done = done
