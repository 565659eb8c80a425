"""Workers: no signal reaches them, and their errors reach the caller."""

import signal
import time

import pytest

from plpython import threads
from tests.plpython.interrupting import CancelledError


def test_workers_are_born_with_every_signal_blocked():
    masks = []

    def note(thread, count):
        masks.append((thread, signal.pthread_sigmask(signal.SIG_BLOCK, ())))

    team = threads.Team(3)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    team.run(note)
    team.close()
    by_thread = dict(masks)
    assert by_thread[0] == before
    assert signal.SIGINT in by_thread[1] & by_thread[2] and signal.SIGUSR1 in by_thread[1] & by_thread[2]


def test_an_error_in_a_worker_is_raised_after_all_have_ended():
    ended = []

    def work(thread, count):
        if thread == 1:
            raise CancelledError
        time.sleep(0.01)
        ended.append(thread)

    team = threads.Team(2)
    with pytest.raises(CancelledError):
        team.run(work)
    assert ended == [0]
    team.run(lambda thread, count: ended.append(thread))
    team.close()
    assert sorted(ended) == [0, 0, 1]
