"""What a session keeps of the columns that it searched: their vectors as matrices, the longest unused leaving first."""

import functools
from collections import OrderedDict

import numpy as np

from ..kernels.cosine import ArrayTable
from ..server import interrupts

_matrices = OrderedDict()  # by embedding_columns.Column.key, the most recently used last


class Matrix:
    """The vectors of the row versions of a table that a snapshot shows.

    places: int64[n], block << 16 | line, ascending. writers: uint32[n], the versions' xmin, 0 of what a transaction
    wrote that is still going on. rows: f32[n, width].
    table: the rows as they are searched. snapshot: the one it was last found right in, or None.
    """

    def __init__(self, places, writers, rows):
        self.places, self.writers, self.rows = places, writers, rows
        self.table = ArrayTable(rows, interrupts.checkpoint)
        self.snapshot = None

    @functools.cached_property
    def counts(self):
        """(writers, how many versions each wrote), ascending."""
        return np.unique(self.writers, return_counts=True)


def find(key):
    """The Matrix of a column, or None."""
    matrix = _matrices.get(key)
    if matrix is not None:
        _matrices.move_to_end(key)
    return matrix


def keep(key, matrix, memory):
    """Keep a column's matrix, and of the others what fits in so many bytes beside it."""
    _matrices[key] = matrix
    _matrices.move_to_end(key)
    held = sum(kept.rows.nbytes for kept in _matrices.values())
    while held > memory and len(_matrices) > 1:
        held -= _matrices.popitem(last=False)[1].rows.nbytes


def drop(key):
    """Forget a column's matrix."""
    _matrices.pop(key, None)


def reset():
    """Forget them all."""
    _matrices.clear()
