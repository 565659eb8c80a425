"""Progress: bars with MB/s and time left on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

SECONDS_BETWEEN_LINES = 5.0


Advance = Callable[[int], None]  # called with the number of further bytes that are done


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int], Advance]]:
    """bar(title, total) begins a bar, below those before it, and returns its Advance."""
    if not sys.stderr.isatty():
        yield PlainLines
        return
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as bars:
        yield lambda title, total: partial(bars.advance, bars.add_task(title, total=total))


class PlainLines:
    """Progress for a log: bytes done, speed, time left."""

    def __init__(self, title: str, total: int, clock: Callable[[], float] = time.monotonic):
        self._title, self._total, self._clock = title, total, clock
        self._done = 0
        self._began = self._told = clock()

    def __call__(self, size: int) -> None:
        self._done += size
        now = self._clock()
        if now - self._told >= SECONDS_BETWEEN_LINES and self._done:
            self._told = now
            print(self.line(now - self._began), file=sys.stderr, flush=True)

    def line(self, seconds: float) -> str:
        speed = self._done / seconds
        left = (self._total - self._done) / speed
        done, total = readable_bytes(self._done), readable_bytes(self._total)
        return f"{self._title}: {done} of {total}, {speed / 1e6:.0f} MB/s, {left:.0f} s left"


def readable_bytes(size: int) -> str:
    """Bytes in the decimal unit that fits: 531.1 MB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
