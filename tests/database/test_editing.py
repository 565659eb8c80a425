"""Models as data: forks, edits, merges, quantised copies; whose they are, when they are seen, and what they store."""

import dataclasses
import json
import threading
from pathlib import Path

import numpy as np
import psycopg
import pytest
from psycopg import errors

from loaders.model import SourceModel, SourceTensor
from loaders.reader import read_model
from loaders.upload import upload
from plpython import merging, quant
from plpython.architecture import Architecture

from .models import FAMILIES, STORIES, call, loaded

PROMPT = "Once upon a time"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn, data):
    """stories260K in four encodings."""
    with loaded(superuser_dsn, {name: data / path for name, path in STORIES.items() if name != "stories-hf"}):
        yield


@pytest.fixture
def new(superuser):
    """new("x") is a name for a model that is dropped when the test ends."""
    made = []

    def name(stem: str) -> str:
        made.append(f"edit-{stem}")
        return made[-1]

    yield name
    for model in made:
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", (model,))


@pytest.fixture
def forked(loader, new):
    """A loader's fork of stories260K."""
    name = new("fork")
    loader.execute("SELECT llm.fork('stories', %s)", (name,))
    return name


def tensor(connection, model: str, name: str) -> np.ndarray:
    """The stored values of a tensor, decoded here."""
    kind, shape, content = connection.execute(
        """
        SELECT t.type, t.shape, string_agg(c.content, ''::bytea ORDER BY u.ordinal)
        FROM llm.tensors AS t
        INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = t.hash
        INNER JOIN llm_store.tile AS c ON c.hash = u.tile_hash
        WHERE t.model = %s AND t.name = %s GROUP BY t.type, t.shape
        """,
        (model, name),
    ).fetchone()
    return quant.decode(kind, content, tuple(shape)).copy()


def model_hash(connection, model: str) -> bytes:
    return call(connection, "SELECT hash FROM llm.models WHERE name = %s", model)


def hashes(connection, model: str) -> dict[str, bytes]:
    return dict(connection.execute("SELECT name, hash FROM llm.tensors WHERE model = %s", (model,)).fetchall())


def stored(superuser) -> tuple[int, int]:
    """(tiles, bytes) that something refers to."""
    superuser.execute("CALL llm.collect('0 seconds')")
    query = "SELECT count(*), coalesce(sum(octet_length(content)), 0)::bigint FROM llm_store.tile"
    return superuser.execute(query).fetchone()


def changed(connection, before: str, after: str) -> list[tuple]:
    """What llm.diff says of tensors that are not equal."""
    return connection.execute("SELECT * FROM llm.diff(%s, %s) WHERE change <> 'none'", (before, after)).fetchall()


def next_token(connection, model: str) -> tuple[int, float]:
    query = "SELECT token_id, logit FROM llm.next_tokens(%s, 1, %s)"
    return connection.execute(query, (PROMPT, model)).fetchone()


def test_one_edited_row_of_the_output_head_changes_the_next_token_as_by_hand_in_its_own_transaction_only(
    loader, user, forked
):
    """A logit is a row of the head times the hidden state. A row that is twice the winner's has twice its logit."""
    winner, logit = next_token(loader, forked)
    other = 77
    assert winner != other
    assert logit > 0
    row = 2 * tensor(loader, forked, "output.weight")[winner]
    with loader.transaction(force_rollback=True):
        assert call(loader, "SELECT llm.set_row(%s, 'output.weight', %s, %s)", forked, other, row.tobytes()) == 0
        assert next_token(loader, forked) == (other, pytest.approx(2 * logit, rel=1e-6))
        assert next_token(user, forked) == (winner, logit)
    assert next_token(loader, forked) == (winner, logit)


def test_an_edit_is_seen_by_others_when_it_is_committed(loader, user, forked):
    winner, _ = next_token(user, forked)
    row = 2 * tensor(loader, forked, "output.weight")[winner]
    loader.execute("SELECT llm.set_row(%s, 'output.weight', 77, %s)", (forked, row.tobytes()))
    assert next_token(user, forked)[0] == 77
    assert next_token(user, "stories")[0] == winner


def test_the_whole_text_changes_inside_the_transaction_and_comes_back_after_it(loader, forked):
    generate = "SELECT llm.generate(%s, %s, max_tokens => 12)"
    before = call(loader, generate, PROMPT, forked)
    with loader.transaction(force_rollback=True):
        loader.execute("SELECT llm.scale_tensor(%s, 'blk.3.ffn_down.weight', -1.5)", (forked,))
        assert call(loader, generate, PROMPT, forked) != before
    assert call(loader, generate, PROMPT, forked) == before


def test_the_transformer_as_a_query_sees_the_edit_too(loader, forked):
    """Half of the last norm is half of every logit."""
    forward = "SELECT llm.floats(llm.forward(llm.tokenize(%s, %s), %s))"
    before = np.array(call(loader, forward, PROMPT, forked, forked))
    with loader.transaction(force_rollback=True):
        loader.execute("SELECT llm.scale_tensor(%s, 'output_norm.weight', 0.5)", (forked,))
        assert call(loader, forward, PROMPT, forked, forked) == pytest.approx(0.5 * before, rel=1e-5)
    assert call(loader, forward, PROMPT, forked, forked) == before.tolist()


def test_a_fork_copies_no_byte_and_is_equal(superuser, loader, new):
    before = stored(superuser)
    tensors = call(superuser, "SELECT count(*) FROM llm_store.tensor")
    name = new("equal")
    identifier = call(loader, "SELECT llm.fork('stories', %s)", name)
    assert identifier == call(loader, "SELECT id FROM llm_store.model WHERE name = %s", name)
    assert stored(superuser) == before
    assert call(superuser, "SELECT count(*) FROM llm_store.tensor") == tensors
    assert model_hash(loader, name) == model_hash(loader, "stories")
    assert loader.execute("SELECT DISTINCT change FROM llm.diff('stories', %s)", (name,)).fetchall() == [("none",)]


def test_a_fork_with_one_changed_layer_stores_only_that_layers_tiles(superuser, loader, forked):
    tiles, size = stored(superuser)
    layer = "SELECT name, bytes FROM llm.tensors WHERE model = %s AND name LIKE 'blk.2.%%' ORDER BY ordinal"
    rows = loader.execute(layer, (forked,)).fetchall()
    for name, _ in rows:
        loader.execute("SELECT llm.scale_tensor(%s, %s, 1.0625)", (forked, name))
    assert stored(superuser) == (tiles + len(rows), size + sum(size for _, size in rows))
    assert {name for name, *_ in changed(loader, "stories", forked)} == {name for name, _ in rows}
    assert loader.execute("SELECT * FROM llm.verify(%s)", (forked,)).fetchall() == []


@pytest.mark.parametrize("type", ["Q8_0", "Q4_0", "F16"])
def test_quantising_here_gives_the_published_files_tensors_and_stores_nothing(superuser, loader, new, type):
    """The files were made by other tools from the same weights; ffn_down, whose rows no block fills, is F16 in them."""
    before = stored(superuser)
    name = new(type)
    error = call(loader, "SELECT llm.quantize('stories', %s, %s)", name, type)
    assert stored(superuser) == before
    assert hashes(loader, name) == hashes(loader, f"stories-{type}")
    expected = max(
        np.abs(tensor(loader, f"stories-{type}", t) - tensor(loader, "stories", t)).max() for t in hashes(loader, name)
    )
    assert error == pytest.approx(float(expected), rel=1e-6)


def test_a_quantised_copy_shares_every_tensor_it_can(loader, new):
    name = new("again")
    assert call(loader, "SELECT llm.quantize('stories-Q8_0', %s, 'q8_0')", name) == 0
    assert hashes(loader, name) == hashes(loader, "stories-Q8_0")
    name = new("vectors")
    loader.execute("SELECT llm.quantize('stories-Q8_0', %s, 'Q4_0')", (name,))
    shared = set(hashes(loader, name).items()) & set(hashes(loader, "stories-Q8_0").items())
    norms = {key for key in hashes(loader, name) if "norm" in key}
    assert {key for key, _ in shared} == norms | {f"blk.{n}.ffn_down.weight" for n in range(5)}


def test_a_quantised_copy_generates(loader, new):
    name = new("speaks")
    loader.execute("SELECT llm.quantize('stories', %s)", (name,))
    text = "SELECT llm.generate(%s, %s, max_tokens => 10)"
    assert call(loader, text, PROMPT, name) == call(loader, text, PROMPT, "stories-Q8_0")


def test_widening_to_f32_is_exact(loader, new):
    name = new("wide")
    assert call(loader, "SELECT llm.quantize('stories-F16', %s, 'F32')", name) == 0
    assert np.array_equal(tensor(loader, name, "output.weight"), tensor(loader, "stories-F16", "output.weight"))


def test_set_tensor_stores_the_numbers(loader, forked):
    values = np.random.default_rng(1).standard_normal((32, 64), np.float32)
    assert call(loader, "SELECT llm.set_tensor(%s, 'blk.0.attn_k.weight', %s)", forked, values.tobytes()) == 0
    assert np.array_equal(tensor(loader, forked, "blk.0.attn_k.weight"), values)


def test_what_an_encoding_cannot_hold_is_rounded_and_the_error_is_told(loader, new):
    name = new("rounded")
    loader.execute("SELECT llm.fork('stories-Q8_0', %s)", (name,))
    before = tensor(loader, name, "output.weight")
    values = np.random.default_rng(2).standard_normal(64).astype(np.float32)
    error = call(loader, "SELECT llm.set_row(%s, 'output.weight', 9, %s)", name, values.tobytes())
    after = tensor(loader, name, "output.weight")
    rounded = quant.decode("Q8_0", quant.encode("Q8_0", values[None]), (1, 64))[0]
    assert np.array_equal(after[9], rounded)
    assert error == pytest.approx(float(np.abs(rounded - values).max()), rel=1e-6)
    assert error > 0
    assert np.array_equal(np.delete(after, 9, axis=0), np.delete(before, 9, axis=0))


def test_blocks_that_keep_their_values_keep_their_bytes(loader, new):
    """Encoding what was decoded may give other bytes; setting a row to what it is must not."""
    name = new("same")
    loader.execute("SELECT llm.fork('stories-Q4_0', %s)", (name,))
    row = tensor(loader, name, "output.weight")[5]
    assert call(loader, "SELECT llm.set_row(%s, 'output.weight', 5, %s)", name, row.tobytes()) == 0
    assert model_hash(loader, name) == model_hash(loader, "stories-Q4_0")
    assert [row[0] for row in loader.execute("SELECT operation FROM llm.history(%s)", (name,))] == ["fork"]


def test_scale_tensor_multiplies(loader, forked):
    before = tensor(loader, forked, "blk.1.ffn_up.weight")
    assert call(loader, "SELECT llm.scale_tensor(%s, 'blk.1.ffn_up.weight', 0.75)", forked) == 0
    assert np.array_equal(tensor(loader, forked, "blk.1.ffn_up.weight"), before * np.float32(0.75))


def test_prune_zeroes_what_is_small_and_counts_it(loader, forked):
    matrices = [name for name in hashes(loader, forked) if name.startswith("blk.") and "norm" not in name]
    before = {name: tensor(loader, forked, name) for name in [*matrices, "output.weight", "blk.0.attn_norm.weight"]}
    small = sum(int((np.abs(before[name]) < 0.1).sum()) for name in matrices)
    assert call(loader, "SELECT llm.prune(%s, 0.1)", forked) == small
    for name, values in before.items():
        expected = np.where(np.abs(values) < np.float32(0.1), 0, values) if name in matrices else values
        assert np.array_equal(tensor(loader, forked, name), expected)
    assert call(loader, "SELECT llm.prune(%s, 0.1)", forked) == 0


def test_prune_takes_a_pattern(loader, forked):
    loader.execute(r"SELECT llm.prune(%s, 1, tensors => 'blk.0.attn\__.weight')", (forked,))
    assert {name for name, *_ in changed(loader, "stories", forked)} == {f"blk.0.attn_{part}.weight" for part in "qkv"}


def test_diff_tells_tiles_and_norm(loader, forked):
    values = tensor(loader, forked, "blk.4.attn_v.weight")
    loader.execute("SELECT llm.scale_tensor(%s, 'blk.4.attn_v.weight', 3)", (forked,))
    expected = ("blk.4.attn_v.weight", "values", 1, 1, pytest.approx(2 * float(np.linalg.norm(values)), rel=1e-6))
    assert changed(loader, "stories", forked) == [expected]


def test_diff_across_encodings_is_the_rounding(user):
    rows = {name: norm for name, change, *_, norm in changed(user, "stories", "stories-Q8_0") if change == "type"}
    expected = np.linalg.norm(tensor(user, "stories", "output.weight") - tensor(user, "stories-Q8_0", "output.weight"))
    assert rows["output.weight"] == pytest.approx(float(expected), rel=1e-5)
    kinds = user.execute("SELECT DISTINCT change FROM llm.diff('stories', 'stories-Q8_0')").fetchall()
    assert {kind for (kind,) in kinds} == {"none", "type"}


def test_history_tells_who_did_what_to_whom(loader, forked, superuser):
    loader.execute("SELECT llm.scale_tensor(%s, 'output.weight', 2)", (forked,))
    loader.execute("SELECT llm.prune(%s, 0.5)", (forked,))
    with loader.transaction(force_rollback=True):
        loader.execute("SELECT llm.scale_tensor(%s, 'output.weight', 5)", (forked,))
    rows = loader.execute("SELECT operation, parents, author, details, hash FROM llm.history(%s)", (forked,)).fetchall()
    author = call(loader, "SELECT current_user::text")
    assert [row[:3] for row in rows] == [
        ("fork", ["stories"], author),
        ("scale_tensor", None, author),
        ("prune", None, author),
    ]
    assert rows[1][3] == {"tensor": "output.weight", "factor": 2, "error": 0}
    assert rows[0][4] == model_hash(loader, "stories")
    assert rows[2][4] == model_hash(loader, forked)
    operation, parents, _, details = superuser.execute(
        "SELECT operation, parents, author, details FROM llm.history('stories')"
    ).fetchone()
    assert (operation, parents, details) == ("load", None, {"container": "gguf"})


@pytest.fixture
def children(loader, new):
    """Two forks of stories260K with other weights in layer 0 and in the head: (names, their tensors)."""
    names, values = [], []
    for seed in (1, 2):
        name = new(f"child-{seed}")
        loader.execute("SELECT llm.fork('stories', %s)", (name,))
        random = np.random.default_rng(seed)
        mine = {}
        for part in ("blk.0.ffn_gate.weight", "blk.0.attn_norm.weight"):
            old = tensor(loader, "stories", part)
            mine[part] = old + random.standard_normal(old.shape, np.float32) * np.float32(0.1)
            loader.execute("SELECT llm.set_tensor(%s, %s, %s)", (name, part, mine[part].tobytes()))
        names.append(name)
        values.append(mine)
    return names, values


@pytest.mark.parametrize(
    ("arguments", "formula"),
    [
        ("", lambda base, a, b: 0.5 * a + 0.5 * b),
        (", weights => ARRAY[0.2, 0.8]", lambda base, a, b: 0.2 * a + 0.8 * b),
        (", method => 'slerp', weights => ARRAY[3, 1]", lambda base, a, b: merging.slerp(a, b, 0.25)),
        (
            ", method => 'task_arithmetic', base => 'stories', scale => 0.25",
            lambda base, a, b: base + 0.25 * ((a - base) + (b - base)),
        ),
        (
            ", method => 'ties', base => 'stories', density => 0.3",
            lambda base, a, b: merging.ties(base, [a, b], [1, 1], 0.3, 1),
        ),
    ],
)
def test_merge_is_the_formula_on_what_differs_and_shares_the_rest(loader, superuser, new, children, arguments, formula):
    names, values = children
    tiles, _ = stored(superuser)
    merged = new("merged")
    error = call(loader, f"SELECT llm.merge(%s, %s{arguments})", names, merged)
    assert error <= 1e-6  # F32 into F32
    for part in values[0]:
        base = tensor(loader, "stories", part)
        expected = formula(base, values[0][part], values[1][part])
        assert np.abs(tensor(loader, merged, part) - expected).max() < 1e-6
        assert np.abs(expected - values[0][part]).max() > 1e-2
    assert stored(superuser)[0] == tiles + len(values[0])
    same = set(hashes(loader, merged).items()) & set(hashes(loader, "stories").items())
    assert len(same) == len(hashes(loader, "stories")) - len(values[0])
    assert call(loader, "SELECT llm.generate(%s, %s, max_tokens => 5)", PROMPT, merged)
    assert loader.execute("SELECT * FROM llm.verify(%s)", (merged,)).fetchall() == []


def test_merging_into_an_encoding_tells_the_rounding(loader, new):
    name = new("coarse")
    error = call(loader, "SELECT llm.merge(ARRAY['stories-Q8_0', 'stories'], %s)", name)
    exact = 0.5 * (tensor(loader, "stories-Q8_0", "output.weight") + tensor(loader, "stories", "output.weight"))
    here = float(np.abs(tensor(loader, name, "output.weight") - exact).max())
    assert 0 < here <= error + 1e-7
    kind = call(loader, "SELECT type FROM llm.tensors WHERE model = %s AND name = 'output.weight'", name)
    assert kind == "Q8_0"


def test_two_edits_of_one_model_wait_for_each_other_and_both_stay(loader, connect_as, superuser, forked):
    role = call(loader, "SELECT current_user::text")
    row = np.full(64, 0.5, np.float32).tobytes()
    with psycopg.connect(superuser.info.dsn, autocommit=True) as second:
        second.execute(f"SET SESSION AUTHORIZATION {role}")
        edit = "SELECT llm.set_row(%s, 'output.weight', %s, %s)"
        with loader.transaction():
            loader.execute(edit, (forked, 1, row))
            other = threading.Thread(target=second.execute, args=(edit, (forked, 2, row)))
            other.start()
            other.join(1.0)
            assert other.is_alive()
        other.join(60)
    head = tensor(loader, forked, "output.weight")
    assert (head[1:3] == 0.5).all()


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
    ("SELECT llm.scale_tensor(%s, 'output.weight', 3e38)", (), errors.InvalidParameterValue, "NaN or infinity"),
    ("SELECT llm.prune(%s, -1)", (), errors.InvalidParameterValue, "threshold"),
    ("SELECT llm.prune(%s, NULL)", (), errors.InvalidParameterValue, "threshold"),
    ("SELECT llm.prune(%s, 1, 'nothing%%')", (), errors.UndefinedObject, "no matrix of model"),
    ("SELECT llm.prune(%s, 1, NULL)", (), errors.InvalidParameterValue, "tensors"),
    ("SELECT llm.quantize(%s, 'x', 'Q6_K')", (), errors.InvalidParameterValue, "type does not fit"),
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


def test_models_of_different_kinds_are_not_merged(superuser, loader, new):
    other = new("other")
    upload(superuser, read_model(FAMILIES / "llama2"), other)
    with pytest.raises(errors.InvalidParameterValue, match="cannot be merged") as refused:
        loader.execute("SELECT llm.merge(ARRAY['stories', %s], 'x')", (other,))
    assert "heads is 8 in one, 5 in the other" in refused.value.diag.message_detail


def test_an_encoding_that_can_only_be_read_is_refused_with_the_way_out(superuser, new):
    name, way_out = new("k-quants"), new("k-quants-q8")
    upload(superuser, synthetic("Q6_K", hidden_size=256, ffn_size=256), name)
    with pytest.raises(errors.FeatureNotSupported, match="is Q6_K, which can be read but not written") as refused:
        superuser.execute("SELECT llm.scale_tensor(%s, 'blk.0.attn_q.weight', 2)", (name,))
    hint = refused.value.diag.message_hint
    assert hint == f"Quantize a copy first: SELECT llm.quantize('{name}', '{way_out}', 'Q8_0')."
    superuser.execute(hint.split(": ", 1)[1].removesuffix("."))
    superuser.execute("SELECT llm.scale_tensor(%s, 'blk.0.attn_q.weight', 2)", (way_out,))


@pytest.fixture
def wide(superuser, new):
    """A model whose gate has 10 tiles of many rows, and whose down projection has rows of 1.2 MB in two tiles each."""
    name = new("wide")
    upload(superuser, synthetic("F32", hidden_size=8, ffn_size=300_000), name)
    return name


def test_a_row_of_many_tiles_is_written_alone(superuser, wide, new):
    copy = new("one-tile")
    superuser.execute("SELECT llm.fork(%s, %s)", (wide, copy))
    before, row = stored(superuser), np.arange(8, dtype=np.float32)
    gate = "blk.0.ffn_gate.weight"
    superuser.execute("SELECT llm.set_row(%s, %s, 250000, %s)", (copy, gate, row.tobytes()))
    after = stored(superuser)
    assert (after[0] - before[0], after[1] - before[1] <= 1 << 20) == (1, True)
    values = tensor(superuser, wide, gate)
    values[250_000] = row
    assert np.array_equal(tensor(superuser, copy, gate), values)
    norm = float(np.linalg.norm(tensor(superuser, wide, gate)[250_000] - row))
    assert changed(superuser, wide, copy) == [(gate, "values", 10, 1, pytest.approx(norm))]


def test_a_row_longer_than_a_tile_is_written_alone(superuser, wide, new):
    copy = new("long-row")
    superuser.execute("SELECT llm.fork(%s, %s)", (wide, copy))
    down = "blk.0.ffn_down.weight"
    values = tensor(superuser, wide, down)
    values[3, 299_999] = 42  # in the second tile of the row
    superuser.execute("SELECT llm.set_row(%s, %s, 3, %s)", (copy, down, values[3].tobytes()))
    assert np.array_equal(tensor(superuser, copy, down), values)
    assert [row[:4] for row in changed(superuser, wide, copy)] == [(down, "values", 16, 1)]


def test_whole_tensors_of_many_tiles_are_rewritten(superuser, wide, new):
    copy = new("scaled")
    superuser.execute("SELECT llm.fork(%s, %s)", (wide, copy))
    for name in ("blk.0.ffn_gate.weight", "blk.0.ffn_down.weight"):
        superuser.execute("SELECT llm.scale_tensor(%s, %s, 0.5)", (copy, name))
        assert np.array_equal(tensor(superuser, copy, name), tensor(superuser, wide, name) * np.float32(0.5))
    quantised = new("quantised")
    superuser.execute("SELECT llm.quantize(%s, %s, 'Q8_0')", (wide, quantised))
    for name in ("blk.0.ffn_down.weight", "blk.0.attn_q.weight"):
        kind = call(superuser, "SELECT type FROM llm.tensors WHERE model = %s AND name = %s", quantised, name)
        assert kind == ("Q8_0" if name == "blk.0.ffn_down.weight" else "F16")
        values = tensor(superuser, wide, name)
        expected = quant.decode(kind, quant.encode(kind, values), values.shape)
        assert np.array_equal(tensor(superuser, quantised, name), expected)


def synthetic(type: str, hidden_size: int, ffn_size: int) -> SourceModel:
    """A Llama of one layer with random bytes as weights, and the tokenizer of a fixture."""
    fixture = read_model(FAMILIES / "llama2")
    config = fixture.architecture.to_config()
    config |= {"hidden_size": hidden_size, "ffn_size": ffn_size, "layers": 1, "heads": 1, "kv_heads": 1}
    architecture = Architecture.from_config(config | {"head_dim": hidden_size, "tied_embeddings": True})
    random = np.random.default_rng(5)
    tensors = []
    for name, shape in architecture.tensors().items():
        kind = type if len(shape) > 1 else "F32"
        size = quant.row_bytes(kind, shape[-1]) * int(np.prod(shape[:-1]))
        if kind == "F32":
            content = memoryview(random.standard_normal(shape, np.float32)).cast("B")
        else:
            content = memoryview(bytes(size))  # blocks of zeros
        tensors.append(SourceTensor(name, kind, shape, content))
    return dataclasses.replace(fixture, architecture=architecture, tensors=tuple(tensors), files=())


def test_an_edited_model_exports_as_a_file_with_the_edit_in_it(loader, forked, tmp_path: Path):
    from loaders.export import export, plan_export

    loader.execute("SELECT llm.scale_tensor(%s, 'output.weight', 2)", (forked,))
    for format, name in ((None, "same.gguf"), ("gguf", "new.gguf")):
        export(loader, plan_export(loader, forked, tmp_path / name, format, replace=False))
        again = read_model(tmp_path / name)
        head = next(t for t in again.tensors if t.name == "output.weight")
        assert np.array_equal(quant.decode(head.type, head.data, head.shape), tensor(loader, forked, "output.weight"))
        upload(loader, again, f"{forked}-back", replace=True)
        assert hashes(loader, f"{forked}-back") == hashes(loader, forked)
        loader.execute("SELECT llm.drop_model(%s)", (f"{forked}-back",))


def test_the_counts_of_atoms_stay_true(superuser, loader, forked):
    loader.execute("SELECT llm.scale_tensor(%s, 'output.weight', 2)", (forked,))
    assert superuser.execute("SELECT * FROM llm.recount()").fetchall() == []
    assert json.dumps(call(loader, "SELECT details FROM llm.history(%s) OFFSET 1", forked))
