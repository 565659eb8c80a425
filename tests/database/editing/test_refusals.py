"""Who may edit what, and what cannot be done: each is an error that says so and changes nothing."""

import numpy as np
import pytest
from psycopg import errors

from loaders.upload.upload import upload
from tests.database.editing.reading import hashes, model_hash
from tests.database.editing.synthetic import synthetic


def test_who_may_generate_may_not_edit(user, forked):
    for statement in (
        "SELECT llm.fork('stories', 'mine')",
        "SELECT llm.scale_tensor('stories', 'output.weight', 2)",
        "SELECT llm.prune('stories', 1)",
        "SELECT llm.quantize('stories', 'mine')",
        "SELECT llm.merge(ARRAY['stories'], 'mine')",
        "SELECT llm.set_row('stories', 'output.weight', 0, '')",
        "SELECT llm.set_tensor('stories', 'output.weight', '')",
    ):
        with pytest.raises(errors.InsufficientPrivilege):
            user.execute(statement)
    assert user.execute("SELECT operation FROM llm.history(%s)", (forked,)).fetchall() == [("fork",)]


def test_a_loader_edits_only_models_of_its_own_and_may_fork_the_others(connect_as, forked, new):
    stranger = connect_as("llm_loader")
    with pytest.raises(errors.InsufficientPrivilege, match="must be owner of model") as refused:
        stranger.execute("SELECT llm.scale_tensor(%s, 'output.weight', 2)", (forked,))
    assert "llm.fork" in refused.value.diag.message_hint
    copy = new("strangers")
    stranger.execute("SELECT llm.fork(%s, %s)", (forked, copy))
    stranger.execute("SELECT llm.scale_tensor(%s, 'output.weight', 2)", (copy,))
    assert hashes(stranger, forked) == hashes(stranger, "stories")
    stranger.execute("SELECT llm.drop_model(%s)", (copy,))


FLOATS64 = np.zeros(64, np.float32).tobytes()


HEAD = "output.weight"


REFUSED = [
    ("SELECT llm.fork('no-such', 'x')", (), errors.UndefinedObject, "does not exist"),
    ("SELECT llm.fork(NULL, 'x')", (), errors.UndefinedObject, "no model is named"),
    ("SELECT llm.fork('stories', 'two words')", (), errors.InvalidParameterValue, "is not a name for a model"),
    ("SELECT llm.fork('stories', NULL)", (), errors.InvalidParameterValue, "a model needs a name"),
    ("SELECT llm.fork('stories', 'stories-F16')", (), errors.DuplicateObject, "already exists"),
    ("SELECT llm.set_row(%s, 'nothing', 0, %s)", (FLOATS64,), errors.UndefinedObject, 'has no tensor "nothing"'),
    ("SELECT llm.set_row(%s, NULL, 0, %s)", (FLOATS64,), errors.UndefinedObject, "has no tensor NULL"),
    ("SELECT llm.set_row(%s, 'output.weight', 512, %s)", (FLOATS64,), errors.InvalidParameterValue, "row_number"),
    ("SELECT llm.set_row(%s, 'output.weight', -1, %s)", (FLOATS64,), errors.InvalidParameterValue, "row_number"),
    ("SELECT llm.set_row(%s, 'output.weight', NULL, %s)", (FLOATS64,), errors.InvalidParameterValue, "row_number"),
    (
        "SELECT llm.set_row(%s, 'output.weight', 0, %s)",
        (b"abc",),
        errors.InvalidParameterValue,
        "numbers has the wrong",
    ),
    (
        "SELECT llm.set_row(%s, 'output.weight', 0, NULL)",
        (),
        errors.InvalidParameterValue,
        "numbers has the wrong size",
    ),
    ("SELECT llm.set_tensor(%s, 'output.weight', %s)", (FLOATS64,), errors.InvalidParameterValue, "numbers has the"),
    (
        "SELECT llm.set_row(%s, 'output.weight', 0, %s)",
        (np.full(64, np.nan, np.float32).tobytes(),),
        errors.InvalidParameterValue,
        "NaN or infinity",
    ),
    ("SELECT llm.scale_tensor(%s, 'output.weight', 'NaN')", (), errors.InvalidParameterValue, "factor"),
    ("SELECT llm.scale_tensor(%s, 'output.weight', NULL)", (), errors.InvalidParameterValue, "factor"),
    ("SELECT llm.scale_tensor(%s, 'output_norm.weight', 3e38)", (), errors.InvalidParameterValue, "NaN or infinity"),
    ("SELECT llm.prune(%s, -1)", (), errors.InvalidParameterValue, "threshold"),
    ("SELECT llm.prune(%s, NULL)", (), errors.InvalidParameterValue, "threshold"),
    ("SELECT llm.prune(%s, 1, 'nothing%%')", (), errors.UndefinedObject, "no matrix of model"),
    ("SELECT llm.prune(%s, 1, NULL)", (), errors.InvalidParameterValue, "tensors"),
    ("SELECT llm.quantize(%s, 'x', 'Q3_K')", (), errors.InvalidParameterValue, "type does not fit"),
    ("SELECT llm.quantize(%s, 'x', NULL)", (), errors.InvalidParameterValue, "type does not fit"),
    ("SELECT llm.merge(ARRAY[%s, 'no-such'], 'x')", (), errors.UndefinedObject, "does not exist"),
    ("SELECT llm.merge(ARRAY[%s], 'x', method => 'magic')", (), errors.InvalidParameterValue, "method does not fit"),
    (
        "SELECT llm.merge(ARRAY[%s], 'x', method => 'slerp')",
        (),
        errors.InvalidParameterValue,
        "slerp merges two",
    ),
    ("SELECT llm.merge(ARRAY[%s], 'x', method => 'ties')", (), errors.InvalidParameterValue, "base does not fit"),
    ("SELECT llm.merge(ARRAY[%s], 'x', base => 'stories')", (), errors.InvalidParameterValue, "base does not fit"),
    ("SELECT llm.merge(ARRAY[%s], 'x', ARRAY[1, 2])", (), errors.InvalidParameterValue, "weights does not fit"),
    (
        "SELECT llm.merge(ARRAY[%s], 'x', ARRAY[NULL::float8])",
        (),
        errors.InvalidParameterValue,
        "weights does not fit",
    ),
    (
        "SELECT llm.merge(ARRAY[%s], 'x', method => 'ties', base => 'stories', density => 1.5)",
        (),
        errors.InvalidParameterValue,
        "density is out of range",
    ),
    ("SELECT * FROM llm.diff(%s, 'no-such')", (), errors.UndefinedObject, "does not exist"),
    ("SELECT * FROM llm.diff(%s, NULL)", (), errors.UndefinedObject, "no model is named"),
]


@pytest.mark.parametrize(("query", "values", "error", "message"), REFUSED, ids=[case[0][7:60] for case in REFUSED])
def test_what_cannot_be_is_refused_and_changes_nothing(loader, superuser, forked, query, values, error, message):
    before = model_hash(loader, forked)
    arguments = (forked, *values) if "%s" in query.split(",")[0] or "[%s" in query else values
    with pytest.raises(error, match=message):
        loader.execute(query, arguments)
    assert model_hash(loader, forked) == before
    assert not loader.execute("SELECT FROM llm.models WHERE name = 'x'").rowcount


def test_values_beyond_an_encoding_are_refused_with_what_to_do(loader, new):
    name = new("f16")
    loader.execute("SELECT llm.fork('stories-F16', %s)", (name,))
    row = np.full(64, 1e5, np.float32).tobytes()
    with pytest.raises(errors.InvalidParameterValue, match="F16, which cannot hold") as refused:
        loader.execute("SELECT llm.set_row(%s, 'output.weight', 0, %s)", (name, row))
    assert "llm.quantize" in refused.value.diag.message_hint


def test_history_of_no_model_is_an_error(user):
    with pytest.raises(errors.UndefinedObject):
        user.execute("SELECT * FROM llm.history('no-such')")


def test_an_encoding_that_can_only_be_read_is_refused_with_the_way_out(superuser, new):
    name, way_out = new("k-quants"), new("k-quants-q8")
    upload(superuser, synthetic("Q3_K", hidden_size=256, ffn_size=256), name)
    with pytest.raises(errors.FeatureNotSupported, match="is Q3_K, which can be read but not written") as refused:
        superuser.execute("SELECT llm.scale_tensor(%s, 'blk.0.attn_q.weight', 2)", (name,))
    hint = refused.value.diag.message_hint
    assert hint == f"Quantize a copy first: SELECT llm.quantize('{name}', '{way_out}', 'Q8_0')."
    superuser.execute(hint.split(": ", 1)[1].removesuffix("."))
    superuser.execute("SELECT llm.scale_tensor(%s, 'blk.0.attn_q.weight', 2)", (way_out,))
