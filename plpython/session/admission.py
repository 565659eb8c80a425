"""Limits how many sessions of the server compute at once: each holds a slot meanwhile, the others wait, interruptibly.

A slot is a lock on a file below the data directory. The lock ends with its process, however that ends. It works across
databases, and on a standby, where tables cannot be written. A superuser sets the number of slots:
llm_runtime.run_limits(). Never hold a slot while waiting for another session (for a query, for packing, for a client
that fetches rows): that session may be waiting for the slot.
"""

import fcntl
import os
import random
import time
from contextlib import contextmanager

from ..server import ceilings, database, errors, interrupts, module_files, settings
from ..weights import packed_files

SHORTEST_WAIT = 0.002  # seconds between two tries to get a slot, at first; then doubled up to LONGEST_WAIT
LONGEST_WAIT = 0.05

RUN_LIMITS = database.Query("SELECT l.running, l.threads FROM llm_runtime.run_limits() AS l")


class Slots:
    """The slots: files of `folder`, locked by sessions that compute. checkpoint() may end the waiting."""

    def __init__(self, folder, checkpoint):
        self._folder, self._checkpoint = packed_files.private_folder(folder), checkpoint
        self._files = {}
        self._held = self._since = None
        self._seconds = 0.0  # for which earlier slots were held

    @property
    def is_held(self):
        """Whether this session holds a slot."""
        return self._held is not None

    @property
    def seconds(self):
        """The total time in which this session has held slots."""
        return self._seconds + (time.monotonic() - self._since if self.is_held else 0.0)

    def acquire(self, running):
        """Wait for one of `running` slots and hold it until `release`. Returns False if the session has one already."""
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
        for number in range(first, first + running):
            file = self._file(number % running)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            self._held = file
            return True
        return False

    def _file(self, number):
        """The descriptor of a slot's file. A deleted file is created again, because other sessions lock the new one."""
        path, file = self._folder / f"{number}.lock", self._files.pop(number, None)
        if file is not None and not packed_files.is_at(file, path):
            os.close(file)
            file = None
        if file is None:
            packed_files.private_folder(self._folder)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._files[number] = file
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
    """Hold a slot inside; at most `most` sessions do, or as many as the limit says.

    Within another `running` of the session the slot is shared.
    """
    acquired = slots().acquire(most or _running())
    try:
        yield
    finally:
        if acquired:
            slots().release()


class Call:
    """A call that computes for at most the limit `seconds` of llm_runtime.call_limits().

    Only the time in which it holds a slot counts: not waiting for one, reading rows of a query, or the client's time.
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
        """As the function `running`; the time counts."""
        with running(self._most):
            self._began = slots().seconds
            try:
                yield
            finally:
                self._spent, self._began = self.seconds, None

    def each(self, results):
        """The results of an iterator. A slot is held while each is computed, and released while the caller uses it."""
        while True:
            with self.running():
                result = next(results, None)
            if result is None:
                return
            yield result

    def checkpoint(self):
        """As interrupts.checkpoint; also raises ModelError 53400 if the call has computed for too long."""
        interrupts.checkpoint()
        if self._allowed is not None and self.seconds > self._allowed:
            raise errors.limit_exceeded(
                "the call computes for longer than the limit seconds",
                f"it has computed for {self.seconds:.0f} seconds, allowed {self._allowed}",
                f"Ask for less in one call. {ceilings.LIMITS_HINT}",
            )


@contextmanager
def paused():
    """Inside of `running`: release the slot for work that may wait for other sessions."""
    held = slots().is_held
    slots().release()
    try:
        yield
    finally:
        if held:
            slots().acquire(_running())


def threads():
    """(threads for one token, threads for several): llm.threads for both; unless set, 1 and the number of processors.

    Both are at most the superuser's limit. Results do not depend on them.
    """
    most = RUN_LIMITS.one()["threads"] or processors()
    wanted = settings.integer("threads")
    return (1, most) if wanted is None else (min(wanted, most), min(wanted, most))


def processors():
    """How many processors the server may use."""
    return min(len(os.sched_getaffinity(0)), settings.MOST_THREADS)


def _running():
    return RUN_LIMITS.one()["running"] or processors()
