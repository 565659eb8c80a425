"""A computation beside the session's own work."""

import signal
import threading

import pytest

from plpython import background
from plpython.background import Background


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
        patch.setattr(background.database, "checkpoint", interrupt)
        with pytest.raises(KeyboardInterrupt):
            work.result()
    finish.set()
    assert work.result()
