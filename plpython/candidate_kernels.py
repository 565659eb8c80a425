"""`candidates` in compiled code: the same numbers, a tenth of the time."""

import numpy as np

from . import candidates
from .candidates import BUCKETS, BUCKETS_A_UNIT, LN2_HIGH, LN2_LOW, LOG2_E, LOWEST, POLYNOMIAL, WEIGHT_BITS
from .simd import compiled, entry, f32, fill, maximum, pow2, rint
from .simd_memory import load_first, store

C0, C1, C2, C3, C4, C5 = POLYNOMIAL
ALL_BUCKETS = 4096  # more than those whose tokens weigh anything, so that the others do not all wait for the last one
BLOCK = 1024  # tokens whose weights are summed before their sum is looked at


@compiled
def weight(score):
    """candidates.weights, in every lane: each multiplication and addition rounded by itself."""
    y = maximum(score, LOWEST)
    n = rint(y * LOG2_E)
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    p = fill(C0, f32)
    p = p * r + C1
    p = p * r + C2
    p = p * r + C3
    p = p * r + C4
    p = p * r + C5
    return rint((((p * (r * r)) + r) + np.float32(1)) * pow2(n + np.float32(WEIGHT_BITS)))


@entry
def weigh(logits, largest, temperature, scores, weights, counts, masses):
    """Fill scores and weights, which have room for whole registers, and the sums by bucket."""
    size = len(logits)
    for i in range(0, size, 16):
        score = (load_first(size - i, logits, i) - largest) / temperature
        store(scores, i, score)
        store(weights, i, weight(score))
    counts[:] = 0
    masses[:] = 0
    for i in range(size):  # what weighs nothing goes into buckets beyond: a branch could not be foretold
        bucket = np.int64(min(scores[i] * np.float32(-BUCKETS_A_UNIT), np.float32(ALL_BUCKETS - 1)))
        counts[bucket] += np.int64(weights[i] > 0)
        masses[bucket] += weights[i]


@entry
def members(scores, weights, size, bucket, ids):
    """The ids of a bucket, ascending, into `ids`."""
    count = 0
    for i in range(size):  # one branch, that is rarely taken: two that split the scores cost ten times as much
        if np.int64(scores[i] * np.float32(-BUCKETS_A_UNIT)) == bucket and weights[i] > 0:
            ids[count] = i
            count += 1


@compiled
def kept_weight(scores, weights, i, score, last):
    """The weight of a token, 0 if it is cut off; without a branch, that nobody could foretell."""
    return np.int64(weights[i]) * np.int64((scores[i] > score) | ((scores[i] == score) & (i <= last)))


@entry
def draw(scores, weights, size, score, last, number):
    """The first id at which the kept weights, summed, are more than `number`."""
    total = 0
    for begin in range(0, size, BLOCK):
        end, before = min(size, begin + BLOCK), total
        for i in range(begin, end):
            total += kept_weight(scores, weights, i, score, last)
        if total > number:
            for i in range(begin, end):
                before += kept_weight(scores, weights, i, score, last)
                if before > number:
                    return i
    return size


class Candidates(candidates.Candidates):
    """candidates.Candidates, for one draw: the next one takes its memory."""

    _room = None  # scores, weights, counts, masses: the session's

    def __init__(self, logits, largest, temperature):
        self._size = len(logits)
        scores, self._weights, counts, masses = self._memory()
        self.counts, self.masses = counts[:BUCKETS], masses[:BUCKETS]
        self._scores = scores
        self.scores, self.weights = scores[: self._size], self._weights[: self._size]
        logits = logits.view()
        logits.flags.writeable = False  # compiled code is made for each kind of array
        weigh(logits, np.float32(largest), np.float32(temperature), scores, self._weights, counts, masses)

    def members(self, bucket):
        """Ids of a bucket, ascending."""
        ids = np.empty(self.counts[bucket], np.int64)
        members(self._scores, self._weights, self._size, bucket, ids)
        return ids

    def draw(self, cut, number):
        """The first id at which the weights of what is kept, summed by ascending id, are more than `number`."""
        return draw(self._scores, self._weights, self._size, np.float32(cut.score), cut.last, number)

    def compile(self):
        """Call everything once."""
        self.members(0)
        self.draw(self.all(), 0)

    def _memory(self):
        room = Candidates._room
        if room is None or len(room[0]) < self._size + 16:
            floats = np.empty(self._size + 16, np.float32), np.empty(self._size + 16, np.float32)
            room = Candidates._room = (*floats, np.empty(ALL_BUCKETS, np.int64), np.empty(ALL_BUCKETS, np.float64))
        return room
