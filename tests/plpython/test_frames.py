"""Frames: what a structure writes in Python, compiled code reads as the same numbers and arrays."""

from collections import namedtuple

import numpy as np
import pytest

from plpython.simd.frames import Array, Real, Structure
from tests.plpython.compiled import callable_from_python

Inner = namedtuple("Inner", "table scale")
Outer = namedtuple("Outer", "number inner values flag")
INNER = Structure(Inner, table=Array(np.int64, 2), scale=Real())
OUTER = Structure(Outer, inner=INNER, values=Array(np.float32))
read_inner, read_outer = INNER.read_at, OUTER.read_at


def outer(**changes):
    inner = Inner(np.arange(6).reshape(2, 3), 1e-5)
    return Outer(-7, inner, np.array([1.5, 2.5], np.float32), True)._replace(**changes)


def _seen(frame, numbers, reals):
    given = read_outer(frame, 0)
    numbers[0], numbers[1], numbers[2] = given.number, given.flag, given.inner.table[1, 2]
    numbers[3], numbers[4], numbers[5] = given.inner.table.shape[1], len(given.inner.table), len(given.values)
    reals[0], reals[1] = given.inner.scale, given.values[1]
    given.values[0] = 9


SEEN = callable_from_python(_seen)


def seen(frame):
    numbers, reals = np.zeros(6, np.int64), np.zeros(2)
    SEEN(frame, numbers, reals)
    return numbers.tolist(), reals.tolist()


def test_numbers_and_arrays_are_read_as_they_were_written_and_arrays_are_not_copied():
    value = outer()
    assert seen(OUTER.frame(value)) == ([-7, 1, 5, 3, 2, 2], [1e-5, 2.5])
    assert value.values[0] == 9


def test_what_was_written_before_can_be_given_in_the_place_of_its_tuple():
    value = outer()
    frame = OUTER.frame(value._replace(inner=INNER.write(value.inner)))
    np.testing.assert_array_equal(frame, OUTER.frame(value))


@pytest.mark.parametrize(
    "values",
    [np.zeros(2), np.zeros((2, 2), np.float32), np.zeros(4, np.float32)[::2]],
    ids=["another dtype", "more dimensions", "not contiguous"],
)
def test_an_array_that_is_not_what_its_field_says_is_refused_by_name(values):
    with pytest.raises(TypeError, match="values must be a contiguous 1-d array of float32"):
        OUTER.frame(outer(values=values))
