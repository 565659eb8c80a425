"""Interrupts as a server has them: a flag that is set while the engine computes."""

import threading
from contextlib import contextmanager


class CancelledError(Exception):
    pass


@contextmanager
def interrupting(flag, seconds):
    """Sets flag.value to 1 again and again, every so many seconds, as long as the block lasts."""
    over = threading.Event()

    def interrupts():
        while not over.wait(seconds):
            flag.value = 1

    timer = threading.Thread(target=interrupts)
    timer.start()
    try:
        yield
    finally:
        over.set()
        timer.join()
