"""Slots: how many processes compute at once."""

import multiprocessing
import os
import signal
import time

import pytest

from plpython.server import errors
from plpython.session import admission

FORK = multiprocessing.get_context("fork")


class WaitingError(Exception):
    pass


def give_up():
    raise WaitingError


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "slots"


def test_one_more_than_the_slots_waits_until_one_is_released(folder):
    one, two, three = (admission.Slots(folder, give_up) for _ in range(3))
    assert one.acquire(2) and two.acquire(2)
    with pytest.raises(WaitingError):
        three.acquire(2)
    one.release()
    assert three.acquire(2)


def test_a_call_within_a_call_shares_its_slot(folder):
    slots = admission.Slots(folder, give_up)
    assert slots.acquire(1)
    assert not slots.acquire(1)
    slots.release()
    assert not slots.is_held


def hold(folder, told):
    admission.Slots(folder, give_up).acquire(1)
    told.send("held")
    time.sleep(60)


def test_the_slot_of_a_killed_process_is_free(folder):
    admission.Slots(folder, give_up)
    here, there = FORK.Pipe()
    process = FORK.Process(target=hold, args=(folder, there))
    process.start()
    assert here.recv() == "held"
    with pytest.raises(WaitingError):
        admission.Slots(folder, give_up).acquire(1)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert admission.Slots(folder, give_up).acquire(1)


def test_a_folder_that_others_can_enter_is_refused(folder):
    folder.mkdir(mode=0o755)
    with pytest.raises(errors.ModelError) as refusal:
        admission.Slots(folder, give_up)
    assert refusal.value.sqlstate == "55000"


@pytest.fixture
def slots(folder, monkeypatch, plpy):
    """The session's slots in a folder of the test, and one slot in all."""
    plpy.answers["run_limits"] = [{"running": 1, "threads": None}]
    made = admission.Slots(folder, give_up)
    monkeypatch.setattr(admission, "_slots", made)
    return made


def test_a_slot_is_held_while_a_result_is_computed_and_not_while_the_caller_has_it(slots):
    held = []

    def results():
        for number in range(3):
            held.append(slots.is_held)
            yield number

    for _ in admission.Call().each(results()):
        assert not slots.is_held
    assert held == [True] * 3


def test_what_may_wait_for_others_holds_no_slot(slots):
    with admission.running():
        with admission.paused():
            assert not slots.is_held
        assert slots.is_held
    with admission.paused():
        pass
    assert not slots.is_held


def test_a_computation_that_fails_gives_its_slot_back(slots):
    with pytest.raises(ZeroDivisionError), admission.running():
        1 / 0  # noqa: B018
    assert not slots.is_held


@pytest.mark.parametrize(
    ("setting", "most", "expected"),
    [(None, 4, (1, 4)), ("", 4, (1, 4)), ("2", 4, (2, 2)), ("9", 4, (4, 4)), ("1", None, (1, 1))],
)
def test_threads_are_what_the_setting_says_within_the_limit(plpy, setting, most, expected):
    plpy.answers["run_limits"] = [{"running": None, "threads": most}]
    plpy.answers["current_setting"] = [{"value": setting}]
    assert admission.threads() == expected


@pytest.mark.parametrize("setting", ["0", "many", "1.5", "-1"])
def test_threads_that_are_no_such_number_are_an_error(plpy, setting):
    plpy.answers["run_limits"] = [{"running": None, "threads": 4}]
    plpy.answers["current_setting"] = [{"value": setting}]
    with pytest.raises(errors.ModelError) as refusal:
        admission.threads()
    assert refusal.value.sqlstate == "22023"
    assert "llm.threads" in refusal.value.message


@pytest.fixture
def clock(monkeypatch):
    """The time, which a test lets pass."""
    passed = [0.0]
    monkeypatch.setattr(admission.time, "monotonic", lambda: passed[0])
    return passed


def test_a_call_may_compute_for_as_long_as_the_limit_says(slots, limits, clock):
    limits["seconds"] = 10
    call = admission.Call()
    for passes in (9.0, 0.5, 1.0):
        with call.running():
            clock[0] += passes
            if call.seconds <= 10:
                call.checkpoint()
            else:
                with pytest.raises(errors.ModelError) as refusal:
                    call.checkpoint()
    assert (refusal.value.sqlstate, refusal.value.detail) == ("53400", "it has computed for 10 seconds, allowed 10")
    assert "llm_runtime.call_limits()" in refusal.value.hint


def test_time_without_a_slot_does_not_count(slots, limits, clock):
    limits["seconds"] = 10
    call = admission.Call()
    for _ in call.each(iter(range(3))):
        clock[0] += 100  # the client fetches
    with call.running():
        with admission.paused():
            clock[0] += 100  # a query's rows are read
        call.checkpoint()
    assert call.seconds == 0
