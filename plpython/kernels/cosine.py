"""The rows of a matrix that are nearest to a vector by cosine, exactly.

A pass over the matrix in float32, or with the vector in int8, is fast and nearly right. How far it can be off is known:
with x the vector of length 1, x' what the pass took for it, and r the rounding of float32 sums,

    |cosine - found| <= |x - x'| + 3 r

by Cauchy and Schwarz for the first term; the second is for the product, the row's length and their quotient. So every
row that may be among the k nearest lies within twice that of the k-th found. Those rows, a few more than k, are
computed again in float64, which decides. Equal cosines rank by id: equal rows give equal bits, as each is summed alike.
"""

import numpy as np

SMALLEST, LARGEST = 1e-30, 1e30  # of a sum of squares: beyond them float32 fails, and the row is left to float64
STEP = 4096  # rows computed again at a time


def rounding(columns):
    """How far a float32 sum of `columns` products can be off, relative to the lengths of the vectors, in any order."""
    return (columns + 16) * 2.0**-24


class Lengths:
    """What a search needs of the lengths of rows: 1 / length, and the ids of those that float32 cannot tell."""

    def __init__(self, squares):
        ordinary = (squares > SMALLEST) & (squares < LARGEST)
        self.inverse = np.where(ordinary, 1 / np.sqrt(np.where(ordinary, squares, 1)), 0).astype(np.float32)
        self.untold = np.flatnonzero(~ordinary)


class ArrayTable:
    """A matrix f32[rows, columns] in memory, for the search below."""

    def __init__(self, values, checkpoint=lambda: None):
        self.shape = values.shape
        self._values, self._checkpoint = values, checkpoint
        self.lengths = Lengths(self._by_steps(lambda part: np.einsum("ij,ij->i", part, part)))

    def products(self, x):
        """(f32[rows], error): each row times x, f32[columns]; off by at most error * |row| and float32's rounding."""
        return self._by_steps(lambda part: part @ x), 0.0

    def rows(self, ids):
        """The rows of some ids: int[n] -> f32[n, columns], as they are stored."""
        return self._values[ids]

    def _by_steps(self, function):
        out = np.empty(self.shape[0], np.float32)
        for start in range(0, self.shape[0], STEP):
            with np.errstate(all="ignore"):  # rows that are not finite, or too long for float32
                out[start : start + STEP] = function(self._values[start : start + STEP])
            self._checkpoint()
        return out


def nearest(table, x, k, excluded=(), checkpoint=lambda: None):
    """(ids, cosines) of the k rows nearest to x, f64[columns] of any length but 0, nearest first.

    Rows without a direction, all zero or not finite, are never among them; nor are `excluded` ids.
    """
    x = unit(x)
    narrow = x.astype(np.float32)
    found, error = table.products(narrow)
    with np.errstate(invalid="ignore"):
        found = found * table.lengths.inverse
    found[table.lengths.untold] = np.inf
    found[list(excluded)] = -np.inf
    bound = error + float(np.linalg.norm(x - narrow)) + 3 * rounding(table.shape[1])
    ids = np.flatnonzero(found >= _largest(found, k + len(table.lengths.untold)) - 2 * bound)
    ids = ids[found[ids] > -np.inf]
    cosines = np.concatenate([_cosines(table, ids[i : i + STEP], x, checkpoint) for i in range(0, len(ids), STEP)])
    directed = ~np.isnan(cosines)
    ids, cosines = ids[directed], cosines[directed]
    order = np.lexsort((ids, -cosines))[:k]
    return ids[order], cosines[order]


def unit(x):
    """The vector of length 1 in the direction of x, in float64; NaN without a direction."""
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        scaled = x / np.abs(x).max()  # so that no square is too small or too large
        return scaled / np.sqrt((scaled * scaled).sum())


def _largest(values, k):
    """The k-th largest of f32[n]; the smallest where there are fewer."""
    k = min(k, len(values))
    return np.partition(values, len(values) - k)[len(values) - k]


def _cosines(table, ids, x, checkpoint):
    """In float64; NaN for rows without a direction."""
    rows = table.rows(ids).astype(np.float64)
    checkpoint()
    with np.errstate(all="ignore"):
        rows /= np.abs(rows).max(axis=1, keepdims=True)
        return np.minimum((rows * x).sum(axis=1) / np.sqrt((rows * rows).sum(axis=1)), 1.0)
