"""Hilbert curves in numpy: the paper's example, another library's keys, and what makes a curve a Hilbert curve."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plpython.atoms import hilbert, hilbert_plane
from plpython.server.errors import ModelError

TABLE = Path(__file__).parent.parent / "fixtures" / "hilbert" / "known_answers.tsv"
# The finest grid a dimension can be walked through whole in a test.
WHOLE_GRIDS = [(2, 7), (3, 5), (4, 3), (5, 3), (6, 2), (7, 2), (8, 2), (2, 1), (8, 1)]


def known_answers():
    for line in TABLE.read_text(encoding="ascii").splitlines()[1:]:
        bits, point, key = line.split("\t")
        yield int(bits), [int(x) for x in point.split(",")], int(key)


def test_the_worked_example_of_skillings_paper():
    """Its program prints `Hilbert integer = 001111010111001 = 7865 check` for X = {5, 10, 20}, 5 bits."""
    transposed = hilbert.axes_to_transpose(np.array([[5], [10], [20]], np.uint64), 5)
    assert transposed.ravel().tolist() == [0b01010, 0b01110, 0b11011]
    assert hilbert.encode([[5, 10, 20]], 5).tolist() == [7865]
    assert hilbert.decode([7865], 3, 5).tolist() == [[5, 10, 20]]


@pytest.mark.parametrize("dimensions", range(2, 9))
def test_keys_equal_those_of_the_package_hilbertcurve(dimensions):
    answers = [answer for answer in known_answers() if len(answer[1]) == dimensions]
    assert len(answers) == 80
    for bits, point, key in answers:
        assert hilbert.encode([point], bits).tolist() == [key]
        assert hilbert.decode([key], dimensions, bits).tolist() == [point]


@pytest.mark.parametrize(("dimensions", "bits"), WHOLE_GRIDS)
def test_the_curve_visits_every_cell_once_and_steps_to_a_neighbour(dimensions, bits):
    keys = np.arange(2 ** (dimensions * bits), dtype=np.uint64)
    points = hilbert.decode(keys, dimensions, bits)
    assert (hilbert.encode(points, bits) == keys).all()
    assert len(np.unique(points, axis=0)) == keys.size
    assert points.min() == 0 and points.max() == 2**bits - 1
    assert (np.abs(np.diff(points, axis=0)).sum(axis=1) == 1).all()


@given(st.data())
def test_a_round_trip_keeps_every_coordinate(data):
    dimensions, bits = data.draw(st.integers(2, 8)), data.draw(st.integers(1, 63))
    points = data.draw(st.lists(st.lists(st.integers(0, 2**bits - 1), min_size=dimensions, max_size=dimensions)))
    keys = hilbert.encode(np.array(points, np.int64).reshape(-1, dimensions), bits)
    assert hilbert.decode(keys, dimensions, bits).tolist() == points


def test_more_points_than_one_batch():
    points = np.random.default_rng(3).integers(0, 2**31, (3 * hilbert.ROWS_AT_ONCE + 5, 2))
    keys = hilbert.encode(points, 31)
    assert keys.dtype == np.uint64
    assert (hilbert.decode(keys, 2, 31) == points).all()
    assert hilbert.encode(points[-1:], 31) == keys[-1]


@pytest.mark.parametrize(
    ("points", "bits", "message"),
    [
        ([[1]], 5, "dimensions out of range"),
        ([[1] * 9], 5, "dimensions out of range"),
        ([[1, 1]], 0, "bits out of range"),
        ([[1, 1]], 64, "bits out of range"),
        ([[1, 1]], None, "bits out of range"),
        ([[1, 32]], 5, "coordinate out of range"),
        ([[-1, 3]], 5, "coordinate out of range"),
        ([[0.5, 3]], 5, "a coordinate is not an integer"),
        ([[None, 3]], 5, "a coordinate is not an integer"),
        ([1, 2], 5, "coordinates are not a table [n, dimensions]"),
    ],
)
def test_what_is_not_on_the_grid_is_refused(points, bits, message):
    with pytest.raises(ModelError) as error:
        hilbert.encode(points, bits)
    assert (error.value.sqlstate, error.value.message) == ("22023", message)


@pytest.mark.parametrize("key", [-1, 2**10, 2**70])
def test_a_key_beyond_the_curve_is_refused(key):
    with pytest.raises(ModelError, match="key out of range"):
        hilbert.decode([key], 2, 5)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 8, 31, 32])
def test_the_planes_curve_by_table_has_the_keys_of_the_published_algorithm(bits):
    points = np.random.default_rng(bits).integers(0, 1 << bits, (5_000, 2))
    points[:2] = 0, (1 << bits) - 1
    assert (hilbert_plane.encode(points[:, 0], points[:, 1], bits) == hilbert.encode(points, bits)).all()
