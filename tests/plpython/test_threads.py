"""Workers: signals are blocked in them, and their errors reach the caller."""

import signal
import threading
import time

import pytest

from plpython.server import errors
from plpython.simd import threads
from tests.plpython.interrupting import CancelledError


def test_workers_are_born_with_every_signal_blocked():
    masks = []

    def note(thread, count, state):
        masks.append((thread, signal.pthread_sigmask(signal.SIG_BLOCK, ())))

    team = threads.Team(3)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    team.run(note, threads.new_state(0))
    team.close()
    by_thread = dict(masks)
    assert by_thread[0] == before
    assert signal.SIGINT in by_thread[1] & by_thread[2] and signal.SIGUSR1 in by_thread[1] & by_thread[2]


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_in_one_thread_stops_the_others_and_is_raised_when_they_have_ended(failing):
    ended = []

    def work(thread, count, state):
        if thread == failing:
            raise CancelledError
        while not state[threads.STOP]:
            time.sleep(0.001)
        ended.append(thread)

    team = threads.Team(2)
    with pytest.raises(CancelledError):
        team.run(work, threads.new_state(0))
    assert ended == [1 - failing]
    team.run(lambda thread, count, state: ended.append(thread), threads.new_state(0))
    team.close()
    assert sorted(ended[1:]) == [0, 1]


def test_where_no_more_threads_can_be_started_those_before_end(monkeypatch):
    started, start = [], threading.Thread.start

    def refuse_the_second(thread):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse_the_second)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with pytest.raises(errors.ModelError) as refusal:
        threads.Team(3)
    assert refusal.value.sqlstate == errors.OUT_OF_MEMORY
    started[0].join(timeout=60)
    assert not started[0].is_alive()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
