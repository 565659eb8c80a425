"""Several threads inside one compiled call: workers that wait in the operating system, and what they then share.

Handing work to a thread costs some 50 microseconds, a whole forward is handed over once. Inside, the threads `claim`
pieces of work from counters and `finish` them, and `wait` until all pieces of a step are done: whoever did them, so a
thread that begins late or loses its processor holds up the others by the piece that it has in hand, or by nothing.
Where each must have done a share of its own they `meet`, in a few hundred nanoseconds. A thread that is kept waiting
yields its processor. The shared state is a flat int64 array: arrivals, the stop flag, and the counters.

PostgreSQL's signal handlers must only ever run on its own thread, so workers are born with every signal blocked.
"""

import queue
import signal
import threading
from collections import namedtuple

import numpy as np

from ..server import errors
from .memory import atomic_add, atomic_load, pause, peek_i32, yield_processor
from .registers import compiled

ARRIVED, STOP, COUNTERS = 0, 8, 16  # places in the state, on cache lines of their own
CLAIMED, DONE = range(2)  # the two numbers of a counter
SPINS_BEFORE_YIELD = 2048


# What every thread of a compiled call is given. interrupts: the addresses of two int32, 0 for none.
Crew = namedtuple("Crew", "thread threads state interrupts")


def new_state(counters):
    """The shared state of a call, zeroed, with so many counters."""
    return np.zeros(COUNTERS + 2 * counters, np.int64)


@compiled
def is_set(address):
    """Whether there is an address, and the int32 there is not zero."""
    return address != 0 and peek_i32(address) != 0


@compiled
def stopped(crew):
    """Whether to give up: another thread said so, or what is at one of the addresses `interrupts` is not zero."""
    if atomic_load(crew.state, STOP) != 0:
        return True
    if is_set(crew.interrupts[0]) or is_set(crew.interrupts[1]):
        atomic_add(crew.state, STOP, 1)
        return True
    return False


@compiled
def _wait_until(crew, place, number):
    """Wait until a number of the state has grown to `number`. True when the work is to stop instead."""
    spins = 0
    while atomic_load(crew.state, place) < number:
        if stopped(crew):
            return True
        spins += 1
        if spins % SPINS_BEFORE_YIELD == 0:
            yield_processor()
        pause()
    return stopped(crew)


@compiled
def meet(crew):
    """Wait until all threads have come to this meeting. True when the work is to stop instead."""
    round_of_arrival = atomic_add(crew.state, ARRIVED, 1) // crew.threads
    return _wait_until(crew, ARRIVED, (round_of_arrival + 1) * crew.threads)


@compiled
def claim(crew, counter, pieces):
    """The first of the next `pieces` pieces of work of a counter; each is given out once."""
    return atomic_add(crew.state, COUNTERS + 2 * counter + CLAIMED, pieces)


@compiled
def finish(crew, counter, pieces):
    """Tell that so many claimed pieces of a counter are done."""
    atomic_add(crew.state, COUNTERS + 2 * counter + DONE, pieces)


@compiled
def wait(crew, counter, pieces):
    """Wait until so many pieces of a counter are done, by whichever threads. True when the work is to stop instead."""
    return _wait_until(crew, COUNTERS + 2 * counter + DONE, pieces)


class Team:
    """The calling thread and `size` - 1 workers. One call at a time; close() when no longer needed."""

    def __init__(self, size):
        self.size = size
        self._tasks = [queue.SimpleQueue() for _ in range(size - 1)]
        self._done = queue.SimpleQueue()
        if size > 1:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            try:
                for tasks in self._tasks:
                    threading.Thread(target=self._work, args=(tasks,), daemon=True, name="llm worker").start()
            except RuntimeError as error:
                self.close()
                raise errors.out_of_memory("the operating system starts no more threads", str(error)) from None
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def run(self, function, state, *arguments):
        """Call function(thread, threads, state, *arguments) in every thread of the team at once, and wait for all.

        An exception in one of them tells the others, through the state, to stop; it is raised when they have ended.
        """
        if self.size == 1:
            function(0, 1, state, *arguments)
            return
        for thread, tasks in enumerate(self._tasks, 1):
            tasks.put((function, thread, state, arguments))
        own = self._call(function, 0, state, arguments)
        ended = [own, *(self._done.get() for _ in self._tasks)]
        for error in ended:
            if error is not None:
                raise error

    def close(self):
        """End the workers."""
        for tasks in self._tasks:
            tasks.put(None)
        self._tasks, self.size = [], 1

    def _work(self, tasks):
        while (task := tasks.get()) is not None:
            self._done.put(self._call(*task))
            del task  # a waiting worker keeps no model alive

    def _call(self, function, thread, state, arguments):
        """One thread's call: what it raised, whereupon the others stop, or None."""
        try:
            function(thread, self.size, state, *arguments)
        except BaseException as error:
            state[STOP] = 1
            return error
        return None


_teams = {}


def team(size):
    """This process's team of a size, made on first use: its workers live as long as the process."""
    if size not in _teams:
        _teams[size] = Team(size)
    return _teams[size]
