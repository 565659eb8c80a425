"""Products of a packed matrix with one vector, and the lengths of its rows: what a search by cosine reads.

Both go through the groups of 16 rows in the order of memory, one row to a lane, as `kernels/matrix` does. Errors of a
product against exact arithmetic, relative to |row| |x|, and of a sum of squares, relative to itself, are at most
cosine's `rounding(columns)`.
Block-quantised matrices meet x as int8 codes, whose difference from x is the caller's to know.
"""

import numpy as np

from ..simd.memory import load, load_bf16, load_bytes, store
from ..simd.registers import compiled, entry, f32, fill, fma, i32, to_f32
from .cosine import Lengths
from .elementwise import quantize
from .matrix import COLUMNS, LAYOUT, OFFSET, ROWS, Codes, _bf16, _float, _q4, _q8, embedding
from .packing import (
    BF16,
    BLOCK,
    F16,
    F32,
    GROUP,
    Q4,
    Q4_BYTES,
    Q8,
    Q8_BYTES,
    group_bytes,
    group_count,
    scales_at,
    weights_at,
)

STEP = 1 << 26  # weights between looks for an interrupt: some milliseconds

# For one vector, a group at a time.
_q8_group, _q4_group, _float_group, _bf16_group = _q8(1), _q4(1), _float(1), _bf16(1)


@entry
def encode(x, codes, scales, q8_starts, q4_starts):
    """x in blocks of 32 as int8 codes with scales, and where dot products of blocks start (see kernels.quantize)."""
    quantize(x, 0, x.size, codes, scales, q8_starts, q4_starts, 0)


@entry
def products(weights, matrix, begin, end, x, quantized, out):
    """out[row] = matrix @ x in the rows of the groups begin .. end; blocks read `quantized`, floats x."""
    layout, at, columns = matrix[LAYOUT], matrix[OFFSET], matrix[COLUMNS]
    codes, scales, starts8, starts4 = quantized.codes, quantized.scales, quantized.q8_starts, quantized.q4_starts
    for g in range(begin, end):
        w, to = at + g * group_bytes(layout, columns), g * GROUP
        if layout == Q8:
            _q8_group(weights.u8, weights.u16, w, columns, codes, scales, starts8, 0, out, to, 0)
        elif layout == Q4:
            _q4_group(weights.u8, weights.u16, w, columns, codes, scales, starts4, 0, out, to, 0)
        elif layout == F32:
            _float_group(weights.f32, w // 4, columns, x, 0, 0, out, to, 0)
        elif layout == F16:
            _float_group(weights.u16, w // 2, columns, x, 0, 0, out, to, 0)
        elif layout == BF16:
            _bf16_group(weights.u16, w // 2, columns, x, 0, 0, out, to, 0)


@entry
def squared_lengths(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of a row, in the rows of the groups begin .. end."""
    layout, at, columns = matrix[LAYOUT], matrix[OFFSET], matrix[COLUMNS]
    scaled = layout == Q8 or layout == Q4  # noqa: PLR1714 - numba makes a comparison of it, and a tuple of `in`
    size = Q8_BYTES if layout == Q8 else Q4_BYTES
    for g in range(begin, end):
        w = at + g * group_bytes(layout, columns)
        total = fill(0.0, f32)
        if scaled:
            for block in range(columns // BLOCK):
                scale = load(weights.u16, scales_at(w, block, size) >> 1, f32)
                squares = _block_squares(weights.u8, weights_at(w, block, size), layout)
                total = fma(squares * scale, scale, total)
        else:
            for column in range(columns):
                value = _column(weights, w, column, layout)
                total = fma(value, value, total)
        store(out, g * GROUP, total)


@compiled
def _block_squares(u8, at, layout):
    """The sum of the squares of a block's integers, exact in float32."""
    total = fill(0.0, f32)
    if layout == Q8:
        for k in range(8):
            four = load_bytes(u8, at + k * 64, i32)
            for byte in range(4):
                value = to_f32((four >> np.int32(8 * byte)) & 255) - 128.0
                total = fma(value, value, total)
    else:
        for k in range(4):
            eight = load_bytes(u8, at + k * 64, i32)
            for half in range(8):
                value = to_f32((eight >> np.int32(4 * half)) & 15) - 8.0
                total = fma(value, value, total)
    return total


@compiled
def _column(weights, at, column, layout):
    """One column of a group of floats."""
    if layout == F32:
        return load(weights.f32, at // 4 + column * GROUP, f32)
    if layout == F16:
        return load(weights.u16, at // 2 + column * GROUP, f32)
    return load_bf16(weights.u16, at // 2 + column * GROUP, f32)


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
        self._matrix = np.array(packed.directory[name], np.int64)
        self._checkpoint = checkpoint
        count, columns = int(self._matrix[ROWS]), int(self._matrix[COLUMNS])
        self.shape = count, columns
        self._sums = np.empty(group_count(count) * GROUP, np.float32)
        blocks = columns // BLOCK
        self._codes = Codes(np.empty(blocks * BLOCK, np.int8), *(np.empty(blocks, t) for t in "fii"))
        self._in_steps(squared_lengths)
        self.lengths = Lengths(self._sums[:count])

    def products(self, x):
        """(f32[rows], error): each row times x, f32[columns]; off by at most error * |row| and float32's rounding."""
        x = np.ascontiguousarray(x, np.float32)
        error = 0.0
        if self._matrix[LAYOUT] in (Q8, Q4):
            encode(x, *self._codes)
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
