"""`generate/candidates` in compiled code: the same numbers in a tenth of the time."""

from functools import cached_property

import numpy as np

from ..generate import candidates
from ..generate.candidates import BUCKETS, BUCKETS_A_UNIT, LN2_HIGH, LN2_LOW, LOG2_E, LOWEST, POLYNOMIAL, WEIGHT_BITS
from ..simd.memory import load_first, store
from ..simd.registers import compiled, entry, f32, fill, ldexp, maximum, minimum, rint, to_i32, where_less

C0, C1, C2, C3, C4, C5 = POLYNOMIAL
# Tokens of weight 0 have buckets of their own, also by score: if all shared one bucket, its counter would be a chain of
# dependent additions.
WEIGHTLESS = 4096
ALL_BUCKETS = 2 * WEIGHTLESS
DRAW_BLOCK = 1024  # tokens summed at a time by `draw`, until the sum passes the number drawn


@compiled
def weight(score):
    """candidates.weights in every lane. Bits must agree with numpy, so there is no fma: each operation rounds."""
    y = maximum(score, LOWEST)
    n = rint(y * LOG2_E)
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    p = fill(C0, f32)
    p = p * r + C1
    p = p * r + C2
    p = p * r + C3
    p = p * r + C4
    p = p * r + C5
    return rint(ldexp(((p * (r * r)) + r) + np.float32(1), to_i32(n + np.float32(WEIGHT_BITS))))


@entry
def weigh(logits, largest, temperature, scores, weights, buckets):
    """Fill scores, weights and bucket numbers: arrays of at least len(logits) + 15 elements."""
    size = len(logits)
    for i in range(0, size, 16):
        score = (load_first(size - i, logits, i) - largest) / temperature
        heavy = weight(score)
        bucket = minimum(score * np.float32(-BUCKETS_A_UNIT), np.float32(WEIGHTLESS - 1))
        store(scores, i, score)
        store(weights, i, heavy)
        store(buckets, i, to_i32(where_less(0.0, heavy, bucket, bucket + np.float32(WEIGHTLESS))))


@entry
def tally(weights, buckets, size, tallies):
    """tallies[2 b], tallies[2 b + 1] = how many tokens bucket b has, and the sum of their weights."""
    tallies[:] = 0
    for i in range(size):
        index = 2 * np.int64(buckets[i])
        tallies[index] += 1
        tallies[index + 1] += weights[i]


@entry
def members(buckets, size, bucket, ids):
    """ids = the tokens of a bucket, ascending."""
    count = 0
    for i in range(size):
        if buckets[i] == bucket:
            ids[count] = i
            count += 1


@entry
def mass(scores, weights, size, score):
    """The sum of the weights of all tokens with at least this score."""
    total = 0
    for i in range(size):
        total += np.int64(weights[i]) * np.int64(scores[i] >= score)
    return total


@compiled
def kept_weight(score, weight, i, cut, last):
    """The weight of token i, 0 if it is cut off; branch-free: the branch would be unpredictable."""
    return np.int64(weight) * np.int64((score > cut) | ((score == cut) & (i <= last)))


@compiled
def first_beyond(scores, weights, cut, last, number):
    """The first index at which the running sum of the kept weights exceeds `number`; len(scores) if none does."""
    for i in range(len(scores)):
        number -= kept_weight(scores[i], weights[i], i, cut, last)
        if number < 0:
            return i
    return len(scores)


@compiled
def kept_mass(scores, weights, cut, last):
    """The sum of the kept weights."""
    total = 0
    for i in range(len(scores)):  # from 0: indices are then known not to be negative, and LLVM vectorises the loop
        total += kept_weight(scores[i], weights[i], i, cut, last)
    return total


@entry
def draw(scores, weights, size, cut, last, number):
    """The first token at which the running sum of the kept weights exceeds `number`; `size` if none does."""
    for begin in range(0, size, DRAW_BLOCK):
        block = slice(begin, min(size, begin + DRAW_BLOCK))
        mass = kept_mass(scores[block], weights[block], cut, last - begin)
        if mass > number:
            return begin + first_beyond(scores[block], weights[block], cut, last - begin, number)
        number -= mass
    return size


class Candidates(candidates.Candidates):
    """candidates.Candidates for one draw: the next instance overwrites the arrays of this one."""

    _buffers = None  # scores, weights, buckets, tallies: one set in each process

    def __init__(self, logits, largest, temperature):
        size = self._size = len(logits)
        self._scores, self._weights, self._buckets, self._tallies = self._memory()
        self.scores, self.weights = self._scores[:size], self._weights[:size]
        logits = logits.view()
        logits.flags.writeable = False  # numba has another type for read-only arrays: compile for one of them
        arguments = np.float32(largest), np.float32(temperature), self._scores, self._weights, self._buckets
        weigh(logits, *arguments)

    @property
    def counts(self):
        """How many tokens of a weight above 0 each bucket has."""
        return self._tallied[: 2 * BUCKETS : 2]

    @property
    def masses(self):
        """The sum of the weights in each bucket."""
        return self._tallied[1 : 2 * BUCKETS : 2]

    @cached_property
    def _tallied(self):
        tally(self._weights, self._buckets, self._size, self._tallies)
        return self._tallies

    def members(self, bucket):
        """The tokens of a bucket, ascending."""
        ids = np.empty(int(self.counts[bucket]), np.int64)
        members(self._buckets, self._size, bucket, ids)
        return ids

    def mass(self, score):
        """The sum of the weights of all tokens with at least this score."""
        return float(mass(self._scores, self._weights, self._size, np.float32(score)))

    def draw(self, cut, number):
        """The first token at which the running sum of the weights that `cut` keeps, by id, exceeds `number`."""
        return draw(self._scores, self._weights, self._size, np.float32(cut.score), cut.last, number)

    def compile(self):
        """Call everything once, so that it is compiled."""
        self.members(0)
        self.draw(self.all(), 0)

    def _memory(self):
        buffers, wanted = Candidates._buffers, self._size + 16
        if buffers is None or len(buffers[0]) < wanted:
            each = np.empty(wanted, np.float32), np.empty(wanted, np.float32), np.empty(wanted, np.int32)
            buffers = Candidates._buffers = (*each, np.empty(2 * ALL_BUCKETS))
        return buffers
