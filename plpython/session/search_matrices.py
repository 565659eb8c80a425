"""Matrices of embedding columns that a session searched; the longest unused are dropped first."""

import functools
from collections import OrderedDict

import numpy as np

from ..kernels.cosine import ArrayTable
from ..server import interrupts

_matrices = OrderedDict()  # by embedding_columns.Column.key, the most recently used last


class Matrix:
    """The vectors of the row versions of a table that are visible in a snapshot.

    tids: int64[n], block << 16 | line, ascending. writers: uint32[n], the versions' xmin; 0 for rows of a transaction
    that is still running. rows: f32[n, width].
    table: the rows in the form that is searched. snapshot: the last one in which it was valid, or None.
    """

    def __init__(self, tids, writers, rows):
        self.tids, self.writers, self.rows = tids, writers, rows
        self.table = ArrayTable(rows, interrupts.checkpoint)
        self.snapshot = None

    @functools.cached_property
    def counts(self):
        """(writers, how many versions each has), ascending."""
        return np.unique(self.writers, return_counts=True)


def find(key):
    """The Matrix of a column, or None."""
    matrix = _matrices.get(key)
    if matrix is not None:
        _matrices.move_to_end(key)
    return matrix


def keep(key, matrix, memory):
    """Keep a column's matrix, and as many of the others as fit in so many bytes with it."""
    _matrices[key] = matrix
    _matrices.move_to_end(key)
    held = sum(other.rows.nbytes for other in _matrices.values())
    while held > memory and len(_matrices) > 1:
        held -= _matrices.popitem(last=False)[1].rows.nbytes


def drop(key):
    """Forget a column's matrix."""
    _matrices.pop(key, None)


def reset():
    """Forget them all."""
    _matrices.clear()
