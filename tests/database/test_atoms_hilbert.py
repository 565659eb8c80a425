"""The Hilbert functions in SQL: another library's keys, whole grids, and the same keys as the bulk form in numpy."""

import re
from pathlib import Path

import numpy as np
import psycopg
import pytest

from plpython.atoms import hilbert

CHECKOUT = Path(__file__).parent.parent.parent
TABLE = CHECKOUT / "tests" / "fixtures" / "hilbert" / "known_answers.tsv"
WHOLE_GRIDS = [(2, 5), (3, 4), (4, 3), (5, 2), (6, 2), (7, 1), (8, 1)]


def known_answers():
    for line in TABLE.read_text(encoding="ascii").splitlines()[1:]:
        bits, point, key = line.split("\t")
        yield int(bits), [int(x) for x in point.split(",")], int(key)


def test_every_key_of_the_package_hilbertcurve_is_found_and_leads_back(user):
    answers = list(known_answers())
    assert len(answers) == 560
    for bits, point, key in answers:
        row = user.execute(
            "SELECT llm_atoms.hilbert_encode(%s::bigint[], %s), llm_atoms.hilbert_decode(%s::numeric, %s, %s)",
            (point, bits, key, len(point), bits),
        ).fetchone()
        assert row == (key, point)


@pytest.mark.parametrize(("dimensions", "bits"), WHOLE_GRIDS)
def test_the_curve_visits_every_cell_once_and_steps_to_a_neighbour(user, dimensions, bits):
    rows = user.execute(
        """SELECT key, point, llm_atoms.hilbert_encode(point, %(bits)s)
        FROM generate_series(0, (1::bigint << %(dimensions)s * %(bits)s) - 1) AS key,
            LATERAL (SELECT llm_atoms.hilbert_decode(key, %(dimensions)s, %(bits)s) AS point OFFSET 0) AS decoded
        ORDER BY key""",
        {"dimensions": dimensions, "bits": bits},
    ).fetchall()
    points = np.array([point for _, point, _ in rows])
    assert all(key == encoded for key, _, encoded in rows)
    assert len(np.unique(points, axis=0)) == 2 ** (dimensions * bits)
    assert points.min() == 0 and points.max() == 2**bits - 1
    assert (np.abs(np.diff(points, axis=0)).sum(axis=1) == 1).all()


@pytest.mark.parametrize("dimensions", range(2, 9))
def test_random_points_have_the_keys_of_the_bulk_form(user, dimensions):
    points = np.random.default_rng(dimensions).integers(0, 2**31, (200, dimensions))
    keys = [
        int(user.execute("SELECT llm_atoms.hilbert_encode(%s::bigint[], 31)", (point,)).fetchone()[0])
        for point in points.tolist()
    ]
    assert keys == [int(key) for key in hilbert.encode(points, 31)]


@pytest.mark.parametrize("bits", [*range(1, 8), 30, 31])
def test_the_plane_has_a_faster_form_with_the_same_keys(user, bits):
    points = np.random.default_rng(bits).integers(0, 2**bits, (100, 2))
    for point, key in zip(points.tolist(), hilbert.encode(points, bits).tolist(), strict=True):
        assert user.execute("SELECT llm_atoms.hilbert_encode_2d(%s, %s, %s)", (*point, bits)).fetchone() == (key,)
        assert user.execute("SELECT * FROM llm_atoms.hilbert_decode_2d(%s, %s)", (key, bits)).fetchone() == tuple(point)


def test_the_tables_of_the_plane_undo_each_other():
    def table(change):
        literal = re.search(r"bytea := '\\x([0-9a-f'\s]+)';", (CHECKOUT / "deploy" / f"{change}.sql").read_text())[1]
        return bytes.fromhex(re.sub(r"[^0-9a-f]", "", literal))

    encode, decode = table("function_hilbert_encode_2d"), table("function_hilbert_decode_2d")
    assert len(encode) == len(decode) == 256
    for state in range(4):
        for cell in range(64):
            step = encode[state << 6 | cell]
            assert decode[state << 6 | step >> 2] == cell << 2 | step & 3


def test_keys_and_point_return_any_point_of_the_grid(user):
    steps = np.random.default_rng(7).integers(0, 2**31, (200, 4))
    expected = [hilbert.encode(steps[:, i : i + 2], 31).tolist() for i in range(3)]
    for i, step in enumerate(steps):
        point = ((step + 0.5) / 256 + 2**23).tolist()
        keys = user.execute(
            "SELECT * FROM llm_atoms.hilbert_keys(public.st_makepoint(%s, %s, %s, %s))", point
        ).fetchone()
        assert keys == tuple(plane[i] for plane in expected)
        back = user.execute(
            """SELECT public.st_x(p), public.st_y(p), public.st_z(p), public.st_m(p), public.st_srid(p)
            FROM llm_atoms.hilbert_point(%s, %s, %s) AS p""",
            keys,
        ).fetchone()
        assert back == (*point, 3857)


def test_an_error_says_what_was_given_and_what_is_allowed(user):
    with pytest.raises(psycopg.errors.InvalidParameterValue) as error:
        user.execute("SELECT llm_atoms.hilbert_encode(%s::bigint[], %s)", ([1, None, 3], 5))
    assert error.value.diag.message_primary == "coordinate out of range"
    assert error.value.diag.message_detail == "Coordinate 2 is NULL, not between 0 and 2^5 - 1."
    assert error.value.diag.message_hint == "Quantise the point to the grid, or give more bits."


def test_every_hilbert_function_is_immutable_parallel_safe_and_free_of_python(user):
    rows = user.execute(
        """SELECT p.proname, p.provolatile, p.proparallel, l.lanname
        FROM pg_catalog.pg_proc AS p
        INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
        WHERE p.pronamespace = 'llm_atoms'::regnamespace AND p.proname LIKE 'hilbert%'"""
    ).fetchall()
    assert len(rows) == 6
    assert {row[1:3] for row in rows} == {("i", "s")}
    assert {row[3] for row in rows} == {"plpgsql"}
