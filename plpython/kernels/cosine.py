"""The rows of a matrix that are nearest to a vector by cosine, exactly.

A first pass over the matrix, in float32 or with the vector in int8, is fast and approximate. Its error has a bound.
With x the vector of length 1, x' what the pass used for it, and r the rounding of float32 sums,

    |cosine - found| <= |x - x'| + 3 r

The first term follows from the Cauchy-Schwarz inequality; the second covers the product, the row's length and their
quotient. So every row that may be among the k nearest is within twice that bound of the k-th found. These few rows are
computed again in float64, which decides. Rows of equal cosine are ordered by id; equal rows have equal bits, since all
are summed in the same order.
"""

import numpy as np

SMALLEST_SQUARES, LARGEST_SQUARES = 1e-30, 1e30  # outside these float32 is inaccurate: float64 decides about the row
RECHECKED_AT_ONCE = 4096  # rows computed in float64 between checkpoints, and in float32 by ArrayTable


def rounding(columns):
    """A bound for the error of a float32 sum of `columns` products, in any order, relative to the vectors' lengths."""
    return (columns + 16) * 2.0**-24


class Lengths:
    """`inverse`, 1 / length of each row, and the ids whose length is `unknown` in float32. squares: f32[rows]."""

    def __init__(self, squares):
        ordinary = (squares > SMALLEST_SQUARES) & (squares < LARGEST_SQUARES)
        self.inverse = np.where(ordinary, 1 / np.sqrt(np.where(ordinary, squares, 1)), 0).astype(np.float32)
        self.unknown = np.flatnonzero(~ordinary)


class ArrayTable:
    """A matrix f32[rows, columns] in memory, as `nearest` reads it."""

    def __init__(self, values, checkpoint=lambda: None):
        self.shape = values.shape
        self._values, self._checkpoint = values, checkpoint
        self.lengths = Lengths(self._by_steps(lambda part: np.einsum("ij,ij->i", part, part)))

    def products(self, x):
        """x: f32[columns] -> (each row times x, f32[rows]; error): off by at most error * |row|, and `rounding`."""
        return self._by_steps(lambda part: part @ x), 0.0

    def rows(self, ids):
        """The rows of these ids: int[n] -> f32[n, columns]."""
        return self._values[ids]

    def _by_steps(self, function):
        out = np.empty(self.shape[0], np.float32)
        for start in range(0, self.shape[0], RECHECKED_AT_ONCE):
            with np.errstate(all="ignore"):  # for rows that are not finite, or whose length overflows
                out[start : start + RECHECKED_AT_ONCE] = function(self._values[start : start + RECHECKED_AT_ONCE])
            self._checkpoint()
        return out


def nearest(table, x, k, excluded=(), checkpoint=lambda: None):
    """(ids, cosines) of the k rows nearest to x, nearest first. x: f64[columns], not zero.

    Rows that are zero or not finite have no cosine and are left out, as are the `excluded` ids.
    """
    x = unit(x)
    narrow = x.astype(np.float32)
    found, error = table.products(narrow)
    with np.errstate(invalid="ignore"):
        found = found * table.lengths.inverse
    found[table.lengths.unknown] = np.inf
    found[list(excluded)] = -np.inf
    bound = error + float(np.linalg.norm(x - narrow)) + 3 * rounding(table.shape[1])
    ids = np.flatnonzero(found >= _largest(found, k + len(table.lengths.unknown)) - 2 * bound)
    ids = ids[found[ids] > -np.inf]
    cosines = np.concatenate(
        [_cosines(table, ids[i : i + RECHECKED_AT_ONCE], x, checkpoint) for i in range(0, len(ids), RECHECKED_AT_ONCE)]
    )
    valid = ~np.isnan(cosines)
    ids, cosines = ids[valid], cosines[valid]
    order = np.lexsort((ids, -cosines))[:k]
    return ids[order], cosines[order]


def unit(x):
    """x / |x| in float64; NaN if x is zero or not finite."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        scaled = x / np.abs(x).max()  # so that squares neither underflow nor overflow
        return scaled / np.sqrt((scaled * scaled).sum())


def _largest(values, k):
    """The k-th largest of f32[n]; the smallest where there are fewer."""
    k = min(k, len(values))
    return np.partition(values, len(values) - k)[len(values) - k]


def _cosines(table, ids, x, checkpoint):
    """The cosines of these rows in float64; NaN for rows that are zero or not finite."""
    rows = table.rows(ids).astype(np.float64)
    checkpoint()
    with np.errstate(all="ignore"):
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        return np.minimum((rows * x).sum(axis=1) / np.sqrt((rows * rows).sum(axis=1)), 1.0)
