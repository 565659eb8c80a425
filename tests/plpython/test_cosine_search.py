"""Exact search by cosine, over arrays and packed tables: the ten that numpy finds in float64, whatever the encoding."""

import numpy as np
import pytest

from plpython.kernels import cosine, packing
from plpython.kernels.similarity import PackedTable
from plpython.model import encodings
from plpython.weights.packed_model import pack_model
from tests.plpython.valid_blocks import decoded, random_blocks

SEARCHABLE = [type for type in encodings.BLOCKS if packing.is_searchable(type)]
ROWS, COLUMNS = 1003, 96  # no multiple of the 16 rows that lie together


def matrix(type, values):
    """(the packed table, the table of the decoded array, what the encoding keeps of the values in float64)."""
    raw = encodings.encode(type, values)
    decoded = encodings.decode(type, raw, values.shape)
    packed = PackedTable(pack_model({"table": (type, values.shape, raw.tobytes())}), "table")
    return packed, cosine.ArrayTable(decoded), decoded.astype(np.float64)


def random_matrix(type, random):
    """The same of random blocks, for types that cannot be encoded too."""
    shape = (ROWS, max(COLUMNS, 2 * encodings.BLOCKS[type][0]))
    raw = random_blocks(type, *shape, random)
    values = decoded(type, raw, shape)
    packed = PackedTable(pack_model({"table": (type, shape, raw)}), "table")
    return packed, cosine.ArrayTable(values), values.astype(np.float64)


def test_types_with_minima_are_not_searched_packed():
    """Their products can be wrong by more than the length of a row tells."""
    assert not {"Q4_1", "Q5_1", "Q2_K", "Q4_K", "Q5_K", "TQ1_0", "TQ2_0"} & {*SEARCHABLE}
    assert {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q5_0", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"} <= {*SEARCHABLE}


def in_float64(values, x, k, excluded=()):
    """The definition: cosines of all rows, sorted, the lower id first of equals."""
    cosines = values @ x / np.linalg.norm(values, axis=1) / np.linalg.norm(x)
    cosines[list(excluded)] = -np.inf
    return np.argsort(-cosines, kind="stable")[:k], np.sort(-cosines)[:k] * -1


@pytest.mark.parametrize("type", SEARCHABLE)
@pytest.mark.parametrize("kind", ["packed", "array"])
def test_the_nearest_are_those_that_numpy_finds_on_the_decoded_table(type, kind):
    packed, array, values = random_matrix(type, np.random.default_rng(5))
    table = packed if kind == "packed" else array
    for token in range(0, ROWS, 97):
        expected, cosines = in_float64(values, values[token], 10, [token])
        ids, found = cosine.nearest(table, values[token], 10, [token])
        assert ids.tolist() == expected.tolist()
        np.testing.assert_allclose(found, cosines, rtol=0, atol=1e-14)


def test_rows_that_differ_by_less_than_a_pass_in_int8_can_tell_are_told_apart():
    """A thousand rows within 1e-4 of each other: a pass alone orders them wrongly, which the test checks too."""
    random = np.random.default_rng(6)
    centre = random.standard_normal(COLUMNS).astype(np.float32)
    close = (centre + 1e-4 * random.standard_normal((ROWS, COLUMNS))).astype(np.float32)
    packed, _, values = matrix("F32", close)
    x = values[0] + 1e-4 * random.standard_normal(COLUMNS)
    assert cosine.nearest(packed, x, 10)[0].tolist() == in_float64(values, x, 10)[0].tolist()
    packed, _, values = matrix("Q8_0", random.standard_normal((ROWS, COLUMNS)).astype(np.float32))
    wrong = 0
    for x in random.standard_normal((20, COLUMNS)):
        expected = in_float64(values, x, 10)[0].tolist()
        products, _ = packed.products(cosine.unit(x).astype(np.float32))
        wrong += np.argsort(-products * packed.lengths.inverse)[:10].tolist() != expected
        assert cosine.nearest(packed, x, 10)[0].tolist() == expected
    assert wrong > 0


@pytest.mark.parametrize("type", SEARCHABLE)
def test_what_a_pass_finds_is_as_near_as_the_bound_says(type):
    packed, _, values = random_matrix(type, np.random.default_rng(7))
    for x in map(cosine.unit, np.random.default_rng(8).standard_normal((20, values.shape[1]))):
        products, error = packed.products(x.astype(np.float32))
        cosines = values @ x / np.linalg.norm(values, axis=1)
        off = np.abs(products * packed.lengths.inverse - cosines).max()
        assert off <= error + 3 * cosine.rounding(len(x)) + 1e-7
        assert error < 0.01


@pytest.mark.parametrize("type", ["F32", "Q8_0"])
def test_equal_rows_rank_by_id(type):
    values = np.repeat(np.random.default_rng(9).standard_normal((10, 32), np.float32), 30, axis=0)
    for table in matrix(type, values)[:2]:
        assert cosine.nearest(table, values[30], 12, [35])[0].tolist() == [*range(30, 35), *range(36, 43)]


def test_rows_without_a_direction_are_never_found():
    values = np.random.default_rng(10).standard_normal((40, 32)).astype(np.float32)
    values[3] = 0
    values[4, 5], values[5, 5] = np.nan, np.inf
    for table in matrix("F32", values)[:2]:
        ids, cosines = cosine.nearest(table, values[0], 40)
        assert sorted(ids) == [n for n in range(40) if n not in (3, 4, 5)]
        assert ids[0] == 0
        assert np.isfinite(cosines).all()


@pytest.mark.parametrize("scale", [1e-30, 1e25])
def test_numbers_beyond_what_float32_can_square_are_found_too(scale):
    values = np.random.default_rng(11).standard_normal((40, 32)).astype(np.float32)
    expected = in_float64(values.astype(np.float64), values[0].astype(np.float64), 10)[0]
    values[::2] *= np.float32(scale)
    for table in matrix("F32", values)[:2]:
        assert cosine.nearest(table, values[0].astype(np.float64), 10)[0].tolist() == expected.tolist()


def test_there_are_no_more_than_there_are():
    table = matrix("F32", np.eye(4, dtype=np.float32))[0]
    ids, cosines = cosine.nearest(table, np.array([1, 0.5, 0, 0]), 9, [0])
    assert ids.tolist() == [1, 2, 3]
    assert cosines[1:].tolist() == [0, 0]


def test_the_work_looks_for_an_interrupt_between_steps():
    calls = []
    table = cosine.ArrayTable(np.ones((9000, 4), np.float32), checkpoint=lambda: calls.append(1))
    table.products(np.ones(4, np.float32))
    assert len(calls) == 2 * 3
