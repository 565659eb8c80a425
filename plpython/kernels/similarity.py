"""Search by cosine in a packed matrix: its products with a vector, and the lengths of its rows.

The error of a product, relative to |row| |x|, and of a sum of squares, relative to itself, is at most
cosine.rounding(columns). Block-quantised matrices are multiplied with the int8 codes of x instead of x;
`PackedTable.products` returns how far these are from x.
"""

import numpy as np

from ..model.encodings import BLOCK
from ..simd.registers import entry
from .cosine import Lengths
from .elementwise import new_codes, quantize
from .groups import COLUMNS, GROUP, ROWS, Activations, Rows, group_count
from .matrix import embedding, is_quantized, linear, squares

WEIGHTS_PER_CHECKPOINT = 1 << 26  # weights read between checkpoints: some milliseconds


@entry
def encode(x, codes):
    """codes = the Codes of x, see elementwise.quantize."""
    quantize(x, 0, x.size, codes, 0)


@entry
def products(weights, matrix, begin, end, x, codes, out):
    """out = matrix @ x, for the rows in the groups begin .. end - 1; quantised matrices read the codes instead of x."""
    linear(weights, matrix, begin, end, Activations(Rows(x, 0, 0), codes, 0), 1, Rows(out, 0, 0))


@entry
def squared_lengths(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1."""
    squares(weights, matrix, begin, end, out)


@entry
def rows(weights, matrix, ids, out):
    """out = the decoded rows of these ids, one after the other."""
    for i in range(ids.size):
        embedding(weights, matrix, ids[i], out, i * matrix[COLUMNS])


class PackedTable:
    """A packed matrix with the interface of cosine.ArrayTable.

    packed: a PackedModel. name: one of its matrices, of a type that packing.is_searchable. checkpoint: called every few
    milliseconds; what it raises ends the search.
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
        """x: f32[columns] -> (each row times x, f32[rows]; error): off by at most error * |row|, and `rounding`."""
        x = np.ascontiguousarray(x, np.float32)
        error = 0.0
        if is_quantized(self._matrix):
            encode(x, self._codes)
            scales = self._codes.scales.astype(np.float64)
            decoded = self._codes.codes.reshape(-1, BLOCK) * scales[:, None]
            error = float(np.linalg.norm(x - decoded.reshape(-1)))
        self._in_steps(products, x, self._codes)
        return self._sums[: self.shape[0]], error

    def rows(self, ids):
        """The decoded rows of these ids: int[n] -> f32[n, columns]."""
        out = np.empty(len(ids) * self.shape[1], np.float32)
        rows(self._weights, self._matrix, np.asarray(ids, np.int64), out)
        return out.reshape(len(ids), self.shape[1])

    def _in_steps(self, kernel, *arguments):
        groups = group_count(self.shape[0])
        step = max(4, WEIGHTS_PER_CHECKPOINT // (self.shape[1] * GROUP) // 4 * 4)
        for begin in range(0, groups, step):
            kernel(self._weights, self._matrix, begin, min(groups, begin + step), *arguments, self._sums)
            self._checkpoint()
