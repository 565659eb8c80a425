"""Principal directions with signs that are fixed, and places on the map: known answers, and numpy's SVD."""

import numpy as np
import pytest

from plpython.atoms import geometry, projection


def test_principal_directions_of_points_on_a_plane_are_the_planes():
    """Three fifths of the variance along (3, 4, 0), two fifths along z, by construction."""
    random = np.random.default_rng(1)
    first, second = random.permutation(np.repeat([-1.0, 1.0], 500)), np.tile([-1.0, 1.0], 500)
    first -= (first @ second) / 1000 * second  # no correlation is left
    first *= np.sqrt(1.5 * 1000 / (first @ first))
    rows = np.outer(first, [0.6, 0.8, 0]) + np.outer(second, [0, 0, 1]) + [7, 8, 9]
    found = projection.principal(rows.astype(np.float32))
    assert found.explained == pytest.approx([0.6, 0.4, 0, 0], abs=1e-5)
    assert np.abs(found.components[:, 0]) == pytest.approx(np.abs(first), abs=1e-5)
    assert found.mean == pytest.approx([7, 8, 9], abs=1e-5)


def test_principal_directions_are_those_of_the_singular_value_decomposition(monkeypatch):
    monkeypatch.setattr(projection, "ROWS_A_PIECE", 17)  # several pieces
    rows = np.random.default_rng(2).standard_normal((100, 12)).astype(np.float32) * np.arange(1, 13, dtype=np.float32)
    found = projection.principal(rows)
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(found.components) == pytest.approx(np.abs(left[:, :4] * sizes[:4]), abs=1e-3)
    assert found.explained == pytest.approx(sizes[:4] ** 2 / (sizes**2).sum(), abs=1e-6)
    assert found.components == pytest.approx(centred @ found.axes.T, abs=1e-9)


def test_signs_are_fixed_by_the_row_that_lies_farthest_out():
    rows = np.random.default_rng(3).standard_normal((200, 8)).astype(np.float32) ** 3
    components, mirrored = projection.principal(rows).components, projection.principal(-rows).components
    for found in (components, mirrored):
        farthest = np.abs(found).argmax(axis=0)
        assert (found[farthest, np.arange(4)] > 0).all()
    assert mirrored == pytest.approx(components, abs=1e-5)


def test_the_same_rows_give_the_same_bits():
    rows = np.random.default_rng(4).standard_normal((500, 40)).astype(np.float32)
    assert projection.principal(rows).components.tobytes() == projection.principal(rows.copy()).components.tobytes()


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_fewer_columns_than_directions_leave_the_others_empty(columns):
    found = projection.principal(np.random.default_rng(5).standard_normal((50, columns)).astype(np.float32))
    assert found.explained.sum() == pytest.approx(1)
    assert (found.components[:, columns:] == 0).all()


def test_equal_rows_lie_in_the_middle():
    found = projection.principal(np.ones((5, 8), np.float32))
    assert found.explained.tolist() == [0, 0, 0, 0]
    steps, _ = projection.map_steps(found.components)
    assert np.abs(geometry.coordinates(steps) - 12582912).max() < 1 / 256


def test_places_are_the_components_in_units_of_the_map():
    components = np.array([[3.0, 0, -1, 0.5], [-1.5, 1, 0, 0]])
    steps, units = projection.map_steps(components)
    assert steps.min() >= 0
    assert steps.max() == 2**31 - 1
    assert geometry.coordinates(steps) == pytest.approx(12582912 + components * units, abs=1 / 256)


def test_no_coordinate_is_exact_in_the_single_precision_of_the_index():
    steps, _ = projection.map_steps(np.random.default_rng(6).standard_normal((1000, 4)))
    coordinates = geometry.coordinates(steps)
    assert (coordinates.astype(np.float32) != coordinates).all()
