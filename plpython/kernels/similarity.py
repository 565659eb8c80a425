"""Products of a packed matrix with one vector, and the lengths of its rows: what a search by cosine reads.

Both go through the groups of 16 rows in the order of memory, one row to a lane, as `kernels/matrix` does. Errors of a
product against exact arithmetic, relative to |row| |x|, and of a sum of squares, relative to itself, are at most
cosine's `rounding(columns)`.
Block-quantised matrices meet x as int8 codes, whose difference from x is the caller's to know.
"""

import numpy as np

from ..simd.registers import entry
from .cosine import Lengths
from .elementwise import new_codes, quantize
from .groups import BLOCK, COLUMNS, GROUP, ROWS, Activations, Rows, group_count
from .matrix import embedding, is_quantized, linear, squares

STEP = 1 << 26  # weights between looks for an interrupt: some milliseconds


@entry
def encode(x, codes):
    """x as codes (see elementwise.quantize)."""
    quantize(x, 0, x.size, codes, 0)


@entry
def products(weights, matrix, begin, end, x, codes, out):
    """out[row] = matrix @ x in the rows of the groups begin .. end; blocks read the codes, floats x."""
    linear(weights, matrix, begin, end, Activations(Rows(x, 0, 0), codes, 0), 1, Rows(out, 0, 0))


@entry
def squared_lengths(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of a row, in the rows of the groups begin .. end."""
    squares(weights, matrix, begin, end, out)


@entry
def rows(weights, matrix, ids, out):
    """out = the rows of the matrix that `ids` names, one after the other, decoded."""
    for i in range(ids.size):
        embedding(weights, matrix, ids[i], out, i * matrix[COLUMNS])


class PackedTable:
    """A packed matrix as cosine reads it: `cosine.ArrayTable` says what that is.

    packed: a PackedModel; name: one of its matrices, of a type that packing keeps exactly. The caller's checkpoint is
    called every few milliseconds.
    """

    def __init__(self, packed, name, checkpoint=lambda: None):
        self._weights = packed.weights
        self._matrix = packed.entry(name)
        self._checkpoint = checkpoint
        count, columns = int(self._matrix[ROWS]), int(self._matrix[COLUMNS])
        self.shape = count, columns
        self._sums = np.empty(group_count(count) * GROUP, np.float32)
        self._codes = new_codes(columns)
        self._in_steps(squared_lengths)
        self.lengths = Lengths(self._sums[:count])

    def products(self, x):
        """(f32[rows], error): each row times x, f32[columns]; off by at most error * |row| and float32's rounding."""
        x = np.ascontiguousarray(x, np.float32)
        error = 0.0
        if is_quantized(self._matrix):
            encode(x, self._codes)
            scales = self._codes.scales.astype(np.float64)
            met = self._codes.codes.reshape(-1, BLOCK) * scales[:, None]
            error = float(np.linalg.norm(x - met.reshape(-1)))
        self._in_steps(products, x, self._codes)
        return self._sums[: self.shape[0]], error

    def rows(self, ids):
        """The rows of some ids: int[n] -> f32[n, columns], as they are stored."""
        out = np.empty(len(ids) * self.shape[1], np.float32)
        rows(self._weights, self._matrix, np.asarray(ids, np.int64), out)
        return out.reshape(len(ids), self.shape[1])

    def _in_steps(self, kernel, *arguments):
        groups = group_count(self.shape[0])
        step = max(4, STEP // (self.shape[1] * GROUP) // 4 * 4)
        for begin in range(0, groups, step):
            kernel(self._weights, self._matrix, begin, min(groups, begin + step), *arguments, self._sums)
            self._checkpoint()
