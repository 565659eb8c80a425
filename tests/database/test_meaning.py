"""Embeddings and weights as rows, and the tokens nearest in meaning: what numpy gives on the decoded file."""

import shutil
import subprocess

import numpy as np
import psycopg
import pytest

from loaders.reader import read_model
from plpython.atoms import geometry
from plpython.model import encodings

from .models import STORIES, call, loaded

MODELS = ("stories", "stories-F16", "stories-Q8_0", "stories-Q4_0")
EMBEDDING = "token_embd.weight"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn, own_data):
    with loaded(superuser_dsn, {name: own_data / STORIES[name] for name in MODELS}):
        yield


@pytest.fixture(scope="module")
def tensors(own_data):
    """{(model, tensor): (type, bytes, values)}, read from the files without the server."""
    found = {}
    for name in MODELS:
        for tensor in read_model(own_data / STORIES[name]).tensors:
            raw = np.frombuffer(tensor.data, np.uint8)
            found[name, tensor.name] = tensor.type, raw, encodings.decode(tensor.type, raw, tensor.shape)
    return found


def floats(content):
    return np.frombuffer(content, "<f4")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("matrix", [EMBEDDING, "blk.2.ffn_down.weight"])
def test_weights_are_rows(user: psycopg.Connection, tensors, model, matrix):
    _, _, values = tensors[model, matrix]
    rows = user.execute(
        "SELECT row_idx, col_idx, weight FROM llm.weight_matrices WHERE model = %s AND matrix_name = %s",
        (model, matrix),
    ).fetchall()
    assert len(rows) == values.size
    seen = np.full(values.shape, np.nan, np.float32)
    for row, column, weight in rows:
        seen[row, column] = weight
    np.testing.assert_array_equal(seen, values)


@pytest.mark.parametrize("model", MODELS)
def test_a_row_a_column_and_one_number_are_those_of_the_matrix(user, tensors, model):
    matrix = "blk.1.attn_q.weight"
    values = tensors[model, matrix][2]
    query = "SELECT weight FROM llm.weight_matrices WHERE model = %s AND matrix_name = %s AND "
    row = user.execute(query + "row_idx = 7 ORDER BY col_idx", (model, matrix)).fetchall()
    column = user.execute(query + "col_idx = 5 ORDER BY row_idx", (model, matrix)).fetchall()
    assert np.array(row, np.float32).ravel().tolist() == values[7].tolist()
    assert np.array(column, np.float32).ravel().tolist() == values[:, 5].tolist()
    assert call(user, query + "row_idx = 7 AND col_idx = 5", model, matrix) == values[7, 5]
    assert call(user, "SELECT llm.weight(%s, 7, 5, %s)", matrix, model) == values[7, 5]


@pytest.mark.parametrize("model", MODELS)
def test_a_matrix_and_an_embedding_are_bytes(user, tensors, model):
    values = tensors[model, EMBEDDING][2]
    assert call(user, "SELECT llm.matrix(%s, %s)", EMBEDDING, model) == values.astype("<f4").tobytes()
    assert call(user, "SELECT llm.embedding(300, %s)", model) == values[300].astype("<f4").tobytes()
    assert call(user, "SELECT llm.embedding(' there', %s) = llm.embedding(ARRAY[t.id], %s) FROM llm.tokens AS t "
        "WHERE t.model = %s AND t.text = ' there'", model, model, model)  # fmt: skip


@pytest.mark.parametrize(("model", "encoding"), [("stories-F16", "F16"), ("stories-Q8_0", "Q8_0")])
def test_the_atoms_of_weights_are_atoms(user, tensors, model, encoding):
    """Their keys are those of the codes in the file, and atoms have them."""
    _, raw, values = tensors[model, EMBEDDING]
    size = len(raw) // len(values)
    blocks = raw[9 * size : 10 * size].reshape(-1, geometry.CODES[encoding].size)
    codes = blocks[:, geometry.CODES[encoding].codes.first :]
    codes = np.ascontiguousarray(codes).view(np.uint16 if encoding == "F16" else np.uint8).ravel()
    expected = geometry.keys(geometry.code_points(encoding, codes)).T.tolist()
    rows = user.execute(
        """SELECT weight_atom_h_xy, weight_atom_h_yz, weight_atom_h_zm FROM llm.weight_matrices
        WHERE model = %s AND matrix_name = %s AND row_idx = 9 ORDER BY col_idx""",
        (model, EMBEDDING),
    ).fetchall()
    assert [list(row) for row in rows] == expected
    query = "SELECT h_xy, h_yz, h_zm FROM llm_store.atom WHERE modality = 'continuous'"
    atoms = set(user.execute(query).fetchall())
    assert set(rows) <= atoms


def numpys_nearest(values, x, excluded, k=10):
    values = values.astype(np.float64)
    cosines = values @ x / np.linalg.norm(values, axis=1) / np.linalg.norm(x)
    cosines[excluded] = -9
    return np.argsort(-cosines, kind="stable")[:k], cosines


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
@pytest.mark.parametrize("model", MODELS)
def test_similar_tokens_are_those_of_numpy(user, tensors, model, engine):
    user.execute(f"SET llm.engine = '{engine}'")
    values = tensors[model, EMBEDDING][2]
    for token in (1, 100, 260, 300, 403, 511):
        rows = user.execute("SELECT * FROM llm.similar_tokens(%s::integer, 10, %s)", (token, model)).fetchall()
        expected, cosines = numpys_nearest(values, values[token].astype(np.float64), [token])
        assert [(rank, found) for rank, found, _, _ in rows] == list(enumerate(expected.tolist(), 1))
        np.testing.assert_allclose([similarity for *_, similarity in rows], cosines[expected], atol=1e-12)


@pytest.mark.parametrize("engine", ["compiled", "numpy"])
def test_an_analogy_is_a_sum_of_directions(user, tensors, engine):
    user.execute(f"SET llm.engine = '{engine}'")
    values = tensors["stories-Q8_0", EMBEDDING][2].astype(np.float64)
    a, b, c = 300, 310, 320
    directions = values / np.linalg.norm(values, axis=1, keepdims=True)
    expected, _ = numpys_nearest(values, directions[b] - directions[a] + directions[c], [a, b, c])
    rows = user.execute("SELECT token_id FROM llm.analogy(%s, %s, %s, 10, 'stories-Q8_0')", (a, b, c)).fetchall()
    assert [token for (token,) in rows] == expected.tolist()


def test_a_token_is_named_by_its_text(user):
    rows = user.execute("SELECT token FROM llm.similar_tokens(' dad', 1, 'stories')").fetchall()
    assert rows == [(" mom",)]
    with pytest.raises(psycopg.errors.UndefinedObject, match='no token "mom"') as error:
        user.execute("SELECT * FROM llm.similar_tokens('mom', 3, 'stories')")
    assert error.value.diag.message_hint == 'There is a token " mom": a space before a word belongs to the token.'


def test_an_edited_row_is_another_meaning_until_it_is_rolled_back(superuser):
    query = "SELECT token_id, similarity FROM llm.similar_tokens(300, 1, 'stories')"
    before = superuser.execute(query).fetchone()
    with superuser.transaction(force_rollback=True):
        superuser.execute("SELECT llm.set_row('stories', %s, 17, llm.embedding(300, 'stories'))", (EMBEDDING,))
        assert superuser.execute(query).fetchone() == (17, 1.0)
        assert call(superuser, "SELECT llm.embedding(17, 'stories') = llm.embedding(300, 'stories')")
    assert superuser.execute(query).fetchone() == before != (17, 1.0)


def test_who_may_not_see_a_model_sees_none_of_its_numbers(superuser, user):
    """With row-level security on the models, as a deployment may set it up."""
    count = "SELECT count(*) FROM llm.weight_matrices WHERE model = 'stories' AND row_idx = 0 AND matrix_name = %s"
    assert call(user, count, EMBEDDING) == 64
    superuser.execute("CREATE POLICY hidden ON llm_store.model AS RESTRICTIVE TO llm_user USING (name <> 'stories')")
    try:
        assert call(user, count, EMBEDDING) == 0
        for query in (
            "SELECT llm.embedding(1, 'stories')",
            "SELECT * FROM llm.similar_tokens(1, 3, 'stories')",
            f"SELECT llm.matrix('{EMBEDDING}', 'stories')",
            f"SELECT llm.weight('{EMBEDDING}', 0, 0, 'stories')",
        ):
            with pytest.raises(psycopg.errors.UndefinedObject):
                user.execute(query)
    finally:
        superuser.execute("DROP POLICY hidden ON llm_store.model")


def test_the_map_of_a_model_is_its_principal_projection(loader, tensors):
    values = tensors["stories-F16", EMBEDDING][2].astype(np.float64)
    centred = values - values.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    expected = np.abs(left[:, :4] * sizes[:4])
    explained = call(loader, "SELECT llm_atoms.project('stories-F16')")
    assert explained == pytest.approx(sizes[:4] ** 2 / (sizes**2).sum(), abs=1e-6)
    units = call(loader, "SELECT units FROM llm_atoms.projections WHERE model = 'stories-F16'")
    rows = loader.execute(
        """SELECT public.st_x(geom), public.st_y(geom), public.st_z(geom), public.st_m(geom)
        FROM llm_atoms.token_positions WHERE model = 'stories-F16' ORDER BY token_id"""
    ).fetchall()
    assert np.abs(np.array(rows) - 12582912) / units == pytest.approx(expected, abs=1e-4)


def test_the_nearest_on_the_map_are_found_by_index(loader):
    loader.execute("SELECT llm_atoms.project('stories-F16'), llm_atoms.project('stories')")
    loader.execute("SET enable_sort = off")
    query = """SELECT p.token_id FROM llm_atoms.token_positions AS p WHERE p.model = 'stories-F16'
        ORDER BY p.geom OPERATOR(public.<<->>) (
            SELECT q.geom FROM llm_atoms.token_positions AS q WHERE q.model = 'stories-F16' AND q.token_id = 300)
        LIMIT 10"""
    places = dict(
        loader.execute(
            """SELECT token_id, ARRAY[public.st_x(geom), public.st_y(geom), public.st_z(geom), public.st_m(geom)]
            FROM llm_atoms.token_positions WHERE model = 'stories-F16'"""
        ).fetchall()
    )
    distances = {token: np.linalg.norm(np.array(place) - places[300]) for token, place in places.items()}
    assert [token for (token,) in loader.execute(query)] == sorted(distances, key=distances.get)[:10]
    assert any("token_position_geom_idx" in line for (line,) in loader.execute(f"EXPLAIN {query}"))


def test_a_fork_shares_the_map_and_an_edit_has_none(loader):
    loader.execute("SELECT llm_atoms.project('stories')")
    places = "SELECT count(*) FROM llm_atoms.token_positions WHERE model = 'edited'"
    with loader.transaction(force_rollback=True):
        loader.execute("SELECT llm.fork('stories', 'edited')")
        assert call(loader, places) == 512
        loader.execute("SELECT llm.set_row('edited', %s, 17, llm.embedding(300, 'stories'))", (EMBEDDING,))
        assert call(loader, places) == 0
        loader.execute("SELECT llm_atoms.project('edited')")
        assert call(loader, places) == 512


def test_a_map_goes_with_its_last_model(superuser, own_data, superuser_dsn):
    hash_of = "SELECT hash FROM llm.tensors WHERE model = 'short-lived' AND name = %s"
    with loaded(superuser_dsn, {"short-lived": own_data / STORIES["stories-Q4_0"]}):
        superuser.execute("SELECT llm.set_row('short-lived', %s, 0, llm.embedding(300, 'stories'))", (EMBEDDING,))
        superuser.execute("SELECT llm_atoms.project('short-lived')")
        tensor = call(superuser, hash_of, EMBEDDING)
    superuser.execute("CALL llm.collect()")
    assert call(superuser, "SELECT count(*) FROM llm_store.token_position WHERE tensor_hash = %s", tensor) == 0


def test_a_map_program_finds_the_map(user, loader):
    """What QGIS and GDAL ask first, and the bytes that they read."""
    loader.execute("SELECT llm_atoms.project('stories')")
    found = user.execute(
        """SELECT f_geometry_column, coord_dimension, srid, type FROM public.geometry_columns
        WHERE f_table_schema = 'llm_atoms' AND f_table_name = 'token_positions'"""
    ).fetchone()
    assert found == ("geom", 4, 3857, "POINT")
    text = call(user, "SELECT public.st_astext(geom) FROM llm_atoms.token_positions WHERE model = 'stories' LIMIT 1")
    assert text.startswith("POINT ZM (")


@pytest.mark.skipif(shutil.which("ogrinfo") is None, reason="needs ogrinfo, of Debian's package gdal-bin")
def test_gdal_opens_the_map(superuser_dsn, loader):
    loader.execute("SELECT llm_atoms.project('stories')")
    command = ["ogrinfo", "-ro", "-so", f"PG:{superuser_dsn}", "llm_atoms.token_positions"]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Geometry: 3D Measured Point" in told
