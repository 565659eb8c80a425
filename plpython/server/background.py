"""Runs a pure computation in a thread, so that the session can be interrupted meanwhile.

The thread must not use the server: no plpy, no database. It helps if the work releases Python's lock, as library calls
that parse or hash do.
"""

import contextlib
import ctypes
import threading

from . import interrupts

POLL = 0.01  # seconds between checks for an interrupt while waiting


def skip_destructors_at_exit():
    """From now on exit() ends the process without the destructors of libraries loaded so far.

    A session can end while its threads still run, after llm.warm_up() was cancelled or the session was terminated. Then
    destructors of LLVM would free memory that these threads use, and the crash of one session restarts the server.
    PostgreSQL has done its own cleanup before it calls exit().
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc has it; functions given to it run before destructors registered earlier
        libc.on_exit(libc._exit, None)


@contextlib.contextmanager
def _stack(megabytes):
    """Threads that start within have a stack of this size, None for the usual one."""
    usual = threading.stack_size((megabytes or 0) << 20)
    try:
        yield
    finally:
        threading.stack_size(usual)


class Background:
    """A call of function(*arguments) in a thread, started at once.

    stack_mb: of the thread's stack, for a library that calls itself as deeply as a user's text is nested.
    """

    def __init__(self, function, *arguments, stack_mb=None):
        self._outcome = None
        with _stack(stack_mb):
            self._start(function, arguments)

    def _start(self, function, arguments):
        self._thread = threading.Thread(
            target=self._run, args=(function, arguments), daemon=True, name="llm background"
        )
        with interrupts.signals_blocked():
            self._thread.start()

    def result(self):
        """Wait for the function, interruptibly. Returns what it returned, or raises what it raised."""
        while self._thread.is_alive():
            self._thread.join(POLL)
            interrupts.checkpoint()
        value, error = self._outcome
        if error is not None:
            raise error
        return value

    def _run(self, function, arguments):
        try:
            self._outcome = function(*arguments), None
        except BaseException as error:
            self._outcome = None, error
