"""How many sessions of the server compute at once: each holds a slot while it does, the others wait, interruptibly.

A slot is the lock of a file below the data directory. It dies with its process, however that ends, holds across
databases and works on a standby, where nothing can be written to a table. The number of slots is a superuser's
decision: llm_runtime.run_limits(). Nothing that may wait for another session (a query, packing, a client that fetches
rows) belongs inside: a slot that waits could wait for one that waits for it.
"""

import fcntl
import os
import random
import time
from contextlib import contextmanager

from ..server import ceilings, database, errors, interrupts, module_files, settings
from ..weights import packed_files

SHORTEST_WAIT = 0.002  # seconds between looks for a free slot, at first
LONGEST_WAIT = 0.05
MOST_THREADS = 64

RUN_LIMITS = database.Query("SELECT l.running, l.threads FROM llm_runtime.run_limits() AS l")


class Slots:
    """The files of `folder`, of which each locked one is a session that computes. checkpoint() may end the waiting."""

    def __init__(self, folder, checkpoint):
        self._folder, self._checkpoint = packed_files.private_folder(folder), checkpoint
        self._files = {}
        self._held = self._since = None
        self._seconds = 0.0  # that slots were held before this one

    @property
    def is_held(self):
        """Whether this session computes."""
        return self._held is not None

    @property
    def seconds(self):
        """How long this session has held slots, all together."""
        return self._seconds + (time.monotonic() - self._since if self.is_held else 0.0)

    def acquire(self, running):
        """Wait for one of `running` slots, and hold it until `release`. Whether it was not held already."""
        if self._held is not None:
            return False
        wait = SHORTEST_WAIT
        while not self._locked(running):
            self._checkpoint()
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        self._since = time.monotonic()
        return True

    def release(self):
        """Let another session compute."""
        if self._held is not None:
            self._seconds = self.seconds
            fcntl.flock(self._held, fcntl.LOCK_UN)
            self._held = None

    def _locked(self, running):
        first = random.randrange(running)
        for place in range(first, first + running):
            file = self._file(place % running)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            self._held = file
            return True
        return False

    def _file(self, place):
        """The descriptor of a slot's file, made anew when somebody deleted it: other sessions lock what is there."""
        path, file = self._folder / f"{place}.lock", self._files.pop(place, None)
        if file is not None and not packed_files.is_at(file, path):
            os.close(file)
            file = None
        if file is None:
            packed_files.private_folder(self._folder)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._files[place] = file
        return file


_slots = None


def slots():
    """The slots of this server: beside the folder of the modules, below the data directory."""
    global _slots  # noqa: PLW0603 - made once a session
    if _slots is None:
        _slots = Slots(module_files.home().parent / "slots", interrupts.checkpoint)
    return _slots


@contextmanager
def running(most=None):
    """Compute inside, at most as many sessions at once as the limit says, or `most`.

    A call that computes within another one's computing shares its slot.
    """
    acquired = slots().acquire(most or _running())
    try:
        yield
    finally:
        if acquired:
            slots().release()


class Call:
    """A call that computes, and how long: no longer than the superuser's limit `seconds` of llm_runtime.call_limits().

    What counts is the time in which it holds a slot. Waiting for one, reading the rows of a query and a client that
    fetches rows do not count.
    """

    def __init__(self):
        self._most, self._allowed = _running(), ceilings.allowed("seconds")
        self._spent, self._began = 0.0, None

    @property
    def seconds(self):
        """How long it has computed."""
        return self._spent + (slots().seconds - self._began if self._began is not None else 0.0)

    @contextmanager
    def running(self):
        """As `running`, and the time counts."""
        with running(self._most):
            self._began = slots().seconds
            try:
                yield
            finally:
                self._spent, self._began = self.seconds, None

    def each(self, results):
        """The results of an iterator, each computed in a slot that is given back while the caller has the result."""
        while True:
            with self.running():
                result = next(results, None)
            if result is None:
                return
            yield result

    def checkpoint(self):
        """As interrupts.checkpoint, and ModelError 53400 when the call has computed longer than it may."""
        interrupts.checkpoint()
        if self._allowed is not None and self.seconds > self._allowed:
            raise errors.limit_exceeded(
                "the call computes for longer than the limit seconds",
                f"it has computed for {self.seconds:.0f} seconds, allowed {self._allowed}",
                f"Ask for less in one call. {ceilings.LIMITS_HINT}",
            )


@contextmanager
def paused():
    """Do what may wait for others, inside of `running`, without holding a slot."""
    held = slots().is_held
    slots().release()
    try:
        yield
    finally:
        if held:
            slots().acquire(_running())


def threads():
    """(threads for a single token, threads for several): llm.threads for both, else 1 and all of the machine's.

    Neither is more than the superuser's limit. Results do not depend on them.
    """
    most = RUN_LIMITS.one()["threads"] or processors()
    wanted = settings.integer("threads", None, 1, MOST_THREADS)
    return (1, most) if wanted is None else (min(wanted, most), min(wanted, most))


def processors():
    """How many the server may use."""
    return min(len(os.sched_getaffinity(0)), MOST_THREADS)


def _running():
    return RUN_LIMITS.one()["running"] or processors()
