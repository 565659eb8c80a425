"""Threads of one compiled call: a pool of workers, and how they synchronise inside the call.

Waking a worker takes some 50 microseconds, so a whole forward pass is one call. Inside it the threads `claim` pieces of
work from counters, `finish` them, and `wait` until all pieces of a step are done, by whichever threads. So a thread
that starts late or is descheduled delays the others by the piece it is working on, at most. Where each thread has a
fixed share of a step, a `barrier` follows, which takes a few hundred nanoseconds. Threads that wait spin, and now and
then yield the processor. The shared state is a flat int64 array: the barrier's counter, the stop flag, the counters.

Signals must be handled by PostgreSQL's own thread, so workers start with all signals blocked.
"""

import queue
import signal
import threading
from collections import namedtuple

import numpy as np

from ..server import errors
from .memory import atomic_add, atomic_load, pause, peek_i32, yield_processor
from .registers import compiled

ARRIVED, STOP, COUNTERS = 0, 8, 16  # indices into the state, each on a cache line of its own
CLAIMED, DONE = range(2)  # the two int64 of a counter: pieces claimed, pieces done
SPINS_BEFORE_YIELD = 2048


# What a thread of a compiled call knows: its number, how many there are, the shared state, and the addresses of two
# int32 (0: none) that become nonzero when the call is to stop.
Crew = namedtuple("Crew", "thread threads state interrupts")


def new_state(counters):
    """The zeroed shared state of a call with so many counters, int64."""
    return np.zeros(COUNTERS + 2 * counters, np.int64)


@compiled
def is_set(address):
    """Whether the address is not 0, and neither is the int32 there."""
    return address != 0 and peek_i32(address) != 0


@compiled
def stopped(crew):
    """Whether the call is to stop: a thread has said so, or one of the interrupts is set."""
    if atomic_load(crew.state, STOP) != 0:
        return True
    if is_set(crew.interrupts[0]) or is_set(crew.interrupts[1]):
        atomic_add(crew.state, STOP, 1)
        return True
    return False


@compiled
def _wait_until(crew, index, number):
    """Wait until state[index] >= number. True when the call is to stop."""
    spins = 0
    while atomic_load(crew.state, index) < number:
        if stopped(crew):
            return True
        spins += 1
        if spins % SPINS_BEFORE_YIELD == 0:
            yield_processor()
        pause()
    return stopped(crew)


@compiled
def barrier(crew):
    """Wait until all threads have arrived here. True when the call is to stop."""
    previous_barriers = atomic_add(crew.state, ARRIVED, 1) // crew.threads
    return _wait_until(crew, ARRIVED, (previous_barriers + 1) * crew.threads)


@compiled
def claim(crew, counter, pieces):
    """Claim the next `pieces` pieces of work of a counter: the number of the first. No piece is claimed twice."""
    return atomic_add(crew.state, COUNTERS + 2 * counter + CLAIMED, pieces)


@compiled
def finish(crew, counter, pieces):
    """Report so many claimed pieces as done."""
    atomic_add(crew.state, COUNTERS + 2 * counter + DONE, pieces)


@compiled
def wait(crew, counter, pieces):
    """Wait until so many pieces of a counter are done. True when the call is to stop."""
    return _wait_until(crew, COUNTERS + 2 * counter + DONE, pieces)


class Team:
    """The calling thread and `size` - 1 workers, for one call at a time. `close` stops the workers.

    Raises ModelError 53200 if the operating system starts no more threads.
    """

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
        """Call function(thread, threads, state, *arguments) in all threads of the team, and wait for all to return.

        An exception in one thread sets the stop flag; it is raised after all threads have returned.
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
        """Stop the workers. The team then has the calling thread alone."""
        for tasks in self._tasks:
            tasks.put(None)
        self._tasks, self.size = [], 1

    def _work(self, tasks):
        while (task := tasks.get()) is not None:
            self._done.put(self._call(*task))
            del task  # or a waiting worker would keep a model alive

    def _call(self, function, thread, state, arguments):
        """Call the function in this thread; returns its exception, after setting the stop flag, or None."""
        try:
            function(thread, self.size, state, *arguments)
        except BaseException as error:
            state[STOP] = 1
            return error
        return None


_teams = {}


def team(size):
    """The process's team of that size, created on first use; its workers live as long as the process."""
    if size not in _teams:
        _teams[size] = Team(size)
    return _teams[size]
