"""The tokens that a draw may choose from, by their logits: weights, and where samplers cut them off.

Whatever computes it, numpy here or compiled code in kernels/candidates, gives the same token. Weights are whole numbers
whose sums are exact in float64, in any order; and a weight takes additions, multiplications and a division of float32
alone, each rounded as IEEE 754 says. What is sorted is a bucket of about equal scores, not the vocabulary.

Sorted by score, of equal ones the lowest id first, each of top-k, top-p and min-p keeps a prefix; together they keep
the shortest. A sampler that keeps other tokens is computed from `ids` and `log_probabilities`, once for both engines,
and makes candidates of those alone with `only`.
"""

import math
from dataclasses import dataclass

import numpy as np

WEIGHT_BITS = 32  # the most likely token weighs 2^32, one 2^33 times less likely nothing; sums stay below 2^53
BUCKETS_A_UNIT = 64  # of scores; a power of two, so that a bucket's number is exact
BUCKETS = 1536  # down to a score of -24, where all weights are 0

# e^x = 2^n e^r, x = n ln 2 + r, with the polynomial of Cephes' expf for e^r
LOWEST = np.float32(-87.0)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
POLYNOMIAL = tuple(
    np.float32(c) for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 0.16666665459, 0.5)
)


@dataclass(frozen=True)
class Cut:
    """A beginning of the order: larger scores than `score`, and equal ones up to the id `last`; the sum of weights."""

    score: float
    last: int
    mass: float

    def shorter(self, other):
        """The one of two that keeps less."""
        return min(self, other, key=lambda cut: (-cut.score, cut.last))


class Candidates:
    """All tokens: scores f32 (logits less the largest, by temperature), weights f32 (whole numbers), and by bucket of
    scores how many weigh anything (counts) and how much together (masses)."""

    def __init__(self, logits, largest, temperature):
        self.scores = (logits - np.float32(largest)) / np.float32(temperature)
        self.weights = weights(self.scores)
        self._heavy = np.flatnonzero(self.weights)
        self._buckets = bucket_of(self.scores[self._heavy])
        self.counts = np.bincount(self._buckets, minlength=BUCKETS)
        self.masses = np.bincount(self._buckets, self.weights[self._heavy], minlength=BUCKETS)

    def members(self, bucket):
        """Ids of a bucket, ascending."""
        return self._heavy[self._buckets == bucket]

    def draw(self, cut, number):
        """The first id at which the weights of what is kept, summed by ascending id, are more than `number`."""
        sums = np.cumsum(np.where(self._is_kept(cut), self.weights, 0), dtype=np.float64)
        return int(np.searchsorted(sums, number, side="right"))

    def ids(self, cut):
        """The ids that a Cut keeps and that weigh anything, ascending."""
        return np.flatnonzero(self._is_kept(cut) & (self.weights > 0))

    def log_probabilities(self, ids, cut):
        """The logarithms of the probabilities of ids that a Cut keeps: f64."""
        return self.scores[ids].astype(np.float64) - math.log(cut.mass / 2**WEIGHT_BITS)

    def only(self, ids):
        """The Candidates of these ids alone, with the scores and weights that they have here."""
        scores = np.full_like(self.scores, -np.inf)
        scores[ids] = self.scores[ids]
        return type(self)(scores, 0.0, 1.0)

    def _is_kept(self, cut):
        return (self.scores > cut.score) | ((self.scores == cut.score) & (np.arange(len(self.scores)) <= cut.last))

    def mass(self, score):
        """The sum of the weights of all tokens with at least this score."""
        return float(self.weights[self.scores >= score].sum(dtype=np.float64))

    def all(self):
        """The Cut that keeps everything."""
        return Cut(-math.inf, len(self.scores), self.mass(-math.inf))

    def top_k(self, k):
        """Keep the k first of the order."""
        return self._reaching(self.counts, np.ones_like, k)

    def top_p(self, p, mass):
        """Keep the fewest whose weights reach p of `mass`; at least one."""
        return self._reaching(self.masses, lambda weights: weights, p * mass)

    def min_p(self, p):
        """Keep those that weigh at least p of the first: p is above 0."""
        return self.at_least(math.log(p))

    def at_least(self, score):
        """Keep those with at least this score, rounded to float32."""
        limit = np.float32(score)
        return Cut(float(limit), len(self.scores), self.mass(limit))

    def _reaching(self, per_bucket, each, wanted):
        """Keep the fewest first of which a sum reaches what is wanted; all, if none does."""
        sums = np.cumsum(per_bucket, dtype=np.float64)
        if sums[-1] < wanted:
            return self.all()
        bucket = int(np.searchsorted(sums, wanted))
        ids = self.members(bucket)
        ids = ids[np.argsort(-self.scores[ids], kind="stable")]
        before = sums[bucket - 1] if bucket else 0.0
        last = int(np.searchsorted(before + np.cumsum(each(self.weights[ids]), dtype=np.float64), wanted))
        mass = self.masses[:bucket].sum() + self.weights[ids[: last + 1]].sum(dtype=np.float64)
        return Cut(float(self.scores[ids[last]]), int(ids[last]), float(mass))


def weights(scores):
    """The nearest whole numbers to 2^WEIGHT_BITS * e^score: f32, none above 0 -> f32."""
    y = np.maximum(scores, LOWEST)
    n = np.rint(y * LOG2_E)
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    p = np.float32(0)
    for coefficient in POLYNOMIAL:
        p = p * r + coefficient
    power = ((p * (r * r)) + r) + np.float32(1)
    return np.rint(np.ldexp(power, n.astype(np.int32) + WEIGHT_BITS))


def bucket_of(scores):
    """The numbers of the buckets of scores: 0 for the largest."""
    return (np.asarray(scores) * np.float32(-BUCKETS_A_UNIT)).astype(np.int64)
