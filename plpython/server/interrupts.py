"""Interrupts: how Python and compiled code notice a cancellation, a timeout or a lost client, and stop."""

import ctypes
import signal
from contextlib import contextmanager

from . import server_variables, spi


def checkpoint():
    """Let a cancellation, a timeout or a lost client stop the work here. Costs 0.1 us when nothing is pending."""
    if server_variables.interrupt_pending.value:
        spi.plpy.execute("SELECT 1")


def cancel_addresses():
    """Addresses of two int32 that compiled code reads: it must stop as soon as one of them is not zero.

    InterruptPending is not among them. It is also set for what stops nothing, such as the check for a lost client
    every client_connection_check_interval: a pass that takes longer than this interval would start over for ever.
    """
    return ctypes.addressof(server_variables.cancel_pending), ctypes.addressof(server_variables.die_pending)


@contextmanager
def signals_blocked():
    """For code that may start threads. They inherit the mask: the server's handlers must run on its own thread only."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
