"""Scales and codes of quantised blocks with little squared error, for formats whose own scales are rounded too.

The search tries some scales for each block and fits the best by least squares. Then it rounds scales and minima as the
format stores them, fits the floats of a super-block to that, and moves rounded numbers by a step where that helps. All
weights count alike: the error is the sum of squares of the differences.

The weights of a block are a column of f32[weights of a block, blocks], so that a sum over a block adds whole rows. A
float that is too large for half precision becomes infinite, which the caller refuses.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

RANGE_STEPS = (0, -1, 1, -2)  # how many steps a block's range has, beside what its codes can count
PEAK_STEPS = (0, -0.5, 0.5, -1, 1, -1.5, 1.5)  # the same where codes have a sign and there are no offsets
SHIFTS = (0, -0.3, 0.3)  # by how many steps all weights of a block are moved
ROUNDS = 2  # of least squares: the nearest codes for the best line, then the best line for these codes
MARGIN = np.float32(1 + 2**-22)  # a line is better if its gain is by more than float32 loses
FEWER = (0, 3)  # the largest scale of a super-block becomes the format's largest, or this much less
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # of a block's scale and minimum
SUPER_BLOCK = 256  # weights


@dataclass(frozen=True)
class Format:
    """What a block can hold: weight = unit * scale * code - low_unit * minimum, each a whole number but the units."""

    block: int  # weights of a block
    codes: tuple  # the smallest and the largest
    scales: tuple
    largest_minimum: int = 0  # 0: it has no minima


class Line(NamedTuple):
    """A line for each block, f32[blocks]: weight ~ scale * code + offset + `lowest`. See Blocks.gain."""

    scale: np.ndarray
    offset: np.ndarray
    gain: np.ndarray


class Stored(NamedTuple):
    """The numbers of Format for each block, f32[blocks]; units are the same for all blocks of a super-block."""

    unit: np.ndarray
    low_unit: np.ndarray
    scale: np.ndarray
    minimum: np.ndarray
    error: np.ndarray  # the sum of squares
    sums: np.ndarray  # f32[3, blocks]: see Blocks.sums


class Blocks:
    """Weights of super-blocks, f32[super-blocks, 256], for which a format's numbers are to be found."""

    def __init__(self, weights, format):
        self.format = format
        columns = columns_of(weights, format.block)
        self.lowest = np.minimum(columns.min(axis=0), 0) if format.largest_minimum else np.zeros_like(columns[0])
        self.above = columns - self.lowest  # sums of these lose fewer digits
        self.total = self.above.sum(axis=0)
        self.codes = np.empty_like(columns)  # the last that were computed

    def best(self):
        """The best Stored that the search finds; `codes` are its codes."""
        line, best = self._best_line(), None
        for fewer in FEWER:
            there = self._refitted(self._rounded(line, self.format.scales[1] - fewer))
            best = there if best is None else self._better_super_blocks(there, best)
        for move in MOVES if self.format.largest_minimum else MOVES[:2]:
            there = self._moved(best, *move)
            best = _chosen(there.error < best.error, there, best)
        best = self._refitted(best)
        self.sums(*self._line(best))
        return best

    def sums(self, scale, offset):
        """Sums over the nearest codes: of them, of their squares, and of their products with `above`."""
        codes = np.multiply(self.above, inverse(scale), out=self.codes)
        codes -= quotient(offset, scale)
        np.rint(codes, out=codes)
        np.clip(codes, *self.format.codes, out=codes)
        return np.stack([codes.sum(axis=0), dot(codes, codes), dot(codes, self.above)])

    def _best_line(self):
        best = self._first_line()
        for scale, offset in self._tried():
            best = self._better_line(best, scale, offset)
        for _ in range(ROUNDS):
            best = self._better_line(best, best.scale, best.offset)
        return best

    def _first_line(self):
        """A line that is infinite if the weights are too large, for else nothing might be better than it."""
        none = np.zeros_like(self.lowest)
        return Line(np.abs(self.above).max(axis=0) / np.float32(self.format.codes[1]), none, none)

    def _tried(self):
        """(scale, offset) of each of the lines to begin with."""
        return self._tried_lines() if self.format.largest_minimum else self._tried_multiples()

    def _tried_lines(self):
        span = self.above.max(axis=0)
        for steps in RANGE_STEPS:
            scale = span / np.float32(self.format.codes[1] + steps)
            yield from ((scale, np.float32(shift) * scale) for shift in SHIFTS)

    def _tried_multiples(self):
        """The weight of the largest magnitude gets the smallest code, or nearly."""
        low, high = self.above.min(axis=0), self.above.max(axis=0)
        peak = np.where(high > -low, high, low)
        for steps in PEAK_STEPS:
            yield peak / np.float32(self.format.codes[0] + steps), np.zeros_like(peak)

    def _better_line(self, best, scale, offset):
        line = self._fitted(self.sums(scale, offset))
        return _chosen(line.gain > best.gain * MARGIN, line, best)

    def _fitted(self, sums):
        """The Line of least squares for given codes, with a minimum that the format has."""
        codes, squares, products = sums
        size = np.float32(self.format.block)
        scale = quotient(size * products - codes * self.total, size * squares - codes * codes)
        offset = (self.total - scale * codes) / size
        pinned = offset > -self.lowest if self.format.largest_minimum else np.True_
        offset = np.where(pinned, -self.lowest, offset)
        scale = np.where(pinned, quotient(products - offset * codes, squares), scale)
        return Line(scale, offset, self._gain(scale, offset, sums))

    def _gain(self, scale, offset, sums):
        """By how much the sum of squared errors is smaller than that of `above`."""
        codes, squares, products = sums
        worth = scale * products + offset * self.total
        return 2 * worth - scale * (scale * squares + 2 * offset * codes) - self.format.block * offset * offset

    def _rounded(self, line, largest_scale):
        """The numbers of lines, so that the largest scale of a super-block becomes largest_scale."""
        minimum = -(line.offset + self.lowest)
        unit = self._unit(np.abs(line.scale), largest_scale)
        low_unit = self._unit(minimum, max(1, self.format.largest_minimum))
        return self._stored(unit, low_unit, quotient(line.scale, unit), quotient(minimum, low_unit))

    def _moved(self, stored, scale_step, minimum_step):
        return self._stored(stored.unit, stored.low_unit, stored.scale + scale_step, stored.minimum + minimum_step)

    def _refitted(self, stored):
        """With units of least squares, where that is better for a super-block."""
        scale, minimum = stored.scale, stored.minimum
        codes, squares, products = stored.sums.astype(float)
        slope, offset = (x.astype(float) for x in self._line(stored))
        aa, ab = self._super_sums(scale * scale * squares), self._super_sums(scale * minimum * codes)
        bb = self._super_sums(self.format.block * minimum * minimum)
        a = self._super_sums(scale * (products - slope * squares - offset * codes))
        b = self._super_sums(minimum * (slope * codes + self.format.block * offset - self.total))
        unit, low_unit = _solved(aa, ab, bb, a, b)
        there = self._stored(half(stored.unit + unit), half(np.maximum(stored.low_unit + low_unit, 0)), scale, minimum)
        return self._better_super_blocks(there, stored)

    def _stored(self, unit, low_unit, scale, minimum):
        """These numbers, rounded to what the format has, and their error."""
        scale = np.clip(np.rint(scale), *self.format.scales)
        minimum = np.clip(np.rint(minimum), 0, self.format.largest_minimum)
        found = Stored(unit, low_unit, scale, minimum, None, None)
        slope, offset = self._line(found)
        sums = self.sums(slope, offset)
        errors = np.multiply(self.codes, slope, out=self.codes)
        errors += offset
        errors -= self.above
        return found._replace(error=dot(errors, errors), sums=sums)

    def _line(self, stored):
        return stored.unit * stored.scale, -(stored.low_unit * stored.minimum + self.lowest)

    def _unit(self, values, largest):
        """f32[blocks]: the float of half precision, rounded up, of which the largest of a super-block is `largest`."""
        exact = self._super_blocks(values).max(axis=1) / np.float32(largest)
        unit = exact.astype(np.float16)
        unit = np.where(unit < exact, np.nextafter(unit, np.float16(np.inf)), unit).astype(np.float32)
        return self._repeated(unit)

    def _better_super_blocks(self, there, here):
        return _chosen(self._super_sums(there.error) < self._super_sums(here.error), there, here)

    def _super_sums(self, x):
        return self._repeated(self._super_blocks(x).sum(axis=1))

    def _super_blocks(self, x):
        return x.reshape(-1, SUPER_BLOCK // self.format.block)

    def _repeated(self, x):
        return np.repeat(x, SUPER_BLOCK // self.format.block)


def _solved(aa, ab, bb, a, b):
    """The pair (x, y) of least squares: aa x - ab y = a, and bb y - ab x = b; one of them is 0 if it is not certain."""
    determinant = aa * bb - ab * ab
    certain = determinant > 1e-9 * aa * bb
    x = np.where(certain, quotient(bb * a + ab * b, determinant), quotient(a, aa))
    y = np.where(certain, quotient(aa * b + ab * a, determinant), np.where(aa > 0, 0, quotient(b, bb)))
    return x, y


def _chosen(better, there, here):
    """For each block the numbers of one of two."""
    return type(here)(*(np.where(better, x, y) for x, y in zip(there, here, strict=True)))


def columns_of(weights, size):
    """f32[..., 256] -> f32[size, blocks]."""
    return np.ascontiguousarray(weights.reshape(-1, size).T)


def half(x):
    """Rounded to half precision: f32."""
    return x.astype(np.float16).astype(np.float32)


def dot(x, y):
    """The sum of products in each column."""
    return np.einsum("ij,ij->j", x, y)


def inverse(x):
    """1 / x, and 0 where x is 0."""
    return quotient(np.float32(1), x)


def quotient(x, y):
    """x / y, and 0 where y is 0."""
    return np.where(y == 0, np.float32(0), x / y)
