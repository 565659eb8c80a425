"""Embeddings and weights as rows, and the tokens nearest in meaning: what numpy gives on the decoded file."""

import numpy as np
import psycopg
import pytest

from loaders.reader import read_model
from plpython import geometry, quant

from .models import STORIES, call, loaded

MODELS = ("stories", "stories-F16", "stories-Q8_0", "stories-Q4_0")
EMBEDDING = "token_embd.weight"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn, data):
    with loaded(superuser_dsn, {name: data / STORIES[name] for name in MODELS}):
        yield


@pytest.fixture(scope="module")
def tensors(data):
    """{(model, tensor): (type, bytes, values)}, read from the files without the server."""
    found = {}
    for name in MODELS:
        for tensor in read_model(data / STORIES[name]).tensors:
            raw = np.frombuffer(tensor.data, np.uint8)
            found[name, tensor.name] = tensor.type, raw, quant.decode(tensor.type, raw, tensor.shape)
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
    """Their keys are those of the codes in the file, and lead to llm.atoms."""
    _, raw, values = tensors[model, EMBEDDING]
    size = len(raw) // len(values)
    codes = raw[9 * size : 10 * size].reshape(-1, geometry.CODE_BLOCKS[encoding][0])[
        :, geometry.CODE_BLOCKS[encoding][1] :
    ]
    codes = np.ascontiguousarray(codes).view(np.uint16 if encoding == "F16" else np.uint8).ravel()
    expected = geometry.keys(geometry.code_points(encoding, codes)).T.tolist()
    rows = user.execute(
        """SELECT weight_atom_h_xy, weight_atom_h_yz, weight_atom_h_zm FROM llm.weight_matrices
        WHERE model = %s AND matrix_name = %s AND row_idx = 9 ORDER BY col_idx""",
        (model, EMBEDDING),
    ).fetchall()
    assert [list(row) for row in rows] == expected
    atoms = {
        tuple(row)
        for row in user.execute("SELECT h_xy, h_yz, h_zm FROM llm.atoms WHERE meta ->> 'kind' = 'weight code'")
    }
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
    rows = user.execute("SELECT token FROM llm.similar_tokens(' he', 3, 'stories')").fetchall()
    assert (" she",) in rows
    with pytest.raises(psycopg.errors.UndefinedObject, match='no token "she"') as error:
        user.execute("SELECT * FROM llm.similar_tokens('she', 3, 'stories')")
    assert error.value.diag.message_hint == 'There is a token " she": a space before a word belongs to the token.'


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
