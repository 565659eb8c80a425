"""A computation beside the session's own work."""

import signal
import subprocess
import sys
import threading

import pytest

from plpython.server import background
from plpython.server.background import Background


def test_the_result_is_what_the_function_returned():
    assert Background(divmod, 7, 2).result() == (3, 1)


def test_an_error_is_raised_where_the_result_is_asked_for_each_time():
    work = Background(int, "x")
    for _ in range(2):
        with pytest.raises(ValueError):
            work.result()


def test_the_work_goes_on_while_the_session_does_something_else():
    begun, finish = threading.Event(), threading.Event()

    def wait():
        begun.set()
        return finish.wait(10)

    work = Background(wait)
    assert begun.wait(10)
    finish.set()
    assert work.result()


def test_the_thread_takes_no_signals():
    assert Background(signal.pthread_sigmask, signal.SIG_BLOCK, []).result() >= {signal.SIGINT, signal.SIGTERM}
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_waiting_can_be_interrupted_and_taken_up_again(monkeypatch):
    finish = threading.Event()
    work = Background(finish.wait, 10)

    def interrupt():
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(background.interrupts, "checkpoint", interrupt)
        with pytest.raises(KeyboardInterrupt):
            work.result()
    finish.set()
    assert work.result()


def test_a_process_ends_without_the_destructors_of_its_libraries_but_with_its_status():
    program = """
import ctypes, os, sys
from plpython.server import background
destructor = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p)(lambda *_: os.write(1, b"ran"))
ctypes.CDLL(None).on_exit(destructor, None)
if sys.argv[1] == "skip":
    background.skip_destructors_at_exit()
ctypes.CDLL(None).exit(3)
"""
    for how, output in (("as usual", b"ran"), ("skip", b"")):
        done = subprocess.run([sys.executable, "-c", program, how], stdout=subprocess.PIPE, check=False)
        assert (done.returncode, done.stdout) == (3, output)
