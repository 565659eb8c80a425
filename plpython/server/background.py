"""A pure computation that runs beside the session's own work, in a thread.

The thread may use nothing of the server: no plpy, no database. It gains where it lets go of Python's lock, as library
calls that parse or hash do.
"""

import ctypes
import threading

from . import interrupts

POLL = 0.01  # seconds between looks for an interrupt while waiting


def skip_destructors_at_exit():
    """From now on exit() ends the process without the destructors of libraries loaded so far.

    A session can end while its threads still compile or compute: llm.warm_up() was cancelled, or the session was
    terminated. Destructors of LLVM would then free what those threads use, and a crash of one session restarts the
    server. PostgreSQL has done all of its own cleaning before it calls exit().
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "on_exit"):  # glibc has it; functions given to it run before destructors registered earlier
        libc.on_exit(libc._exit, None)


class Background:
    """function(*arguments), begun at once."""

    def __init__(self, function, *arguments):
        self._outcome = None
        self._thread = threading.Thread(
            target=self._run, args=(function, arguments), daemon=True, name="llm background"
        )
        with interrupts.signals_blocked():
            self._thread.start()

    def result(self):
        """What the function returned, when it has; what it raised is raised. Waits interruptibly."""
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
