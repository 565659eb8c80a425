"""Forks and quantised copies: what they share, what they store, and what llm.diff and llm.history say of them."""

import numpy as np
import pytest

from loaders.quantized import quantized
from loaders.upload.upload import upload
from plpython.model import mixes
from tests.database.editing.reading import PROMPT, changed, hashes, model_hash, stored, tensor
from tests.database.editing.synthetic import synthetic
from tests.database.models import call


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


@pytest.mark.parametrize("type", ["Q4_K", "Q6_K", "IQ4_NL", "Q4_K_M", "q5_k_s"])
def test_quantising_here_and_while_loading_gives_the_same_tensors(superuser, new, type):
    """Rows of 512 have super-blocks, and tiles of F32 hold fewer of them than tiles of what they become."""
    wide, here, loaded = new("wide"), new("here"), new("loaded")
    model = synthetic("F32", hidden_size=512, ffn_size=768)
    upload(superuser, model, wide)
    superuser.execute("SELECT llm.quantize(%s, %s, %s)", (wide, here, type))
    upload(superuser, quantized(model, type), loaded)
    assert hashes(superuser, here) == hashes(superuser, loaded)
    wanted = mixes.types(type.upper(), {tensor.name: tensor.shape for tensor in model.tensors})
    kinds = dict(superuser.execute("SELECT name, type FROM llm.tensors WHERE model = %s", (here,)).fetchall())
    assert kinds == {name: type or "F32" for name, type in wanted.items()}


def test_a_copy_in_a_mix_generates_and_can_be_edited(loader, new):
    name = new("mixed")
    assert 0 < call(loader, "SELECT llm.quantize('stories', %s, 'q4_k_m')", name) < 0.1
    assert call(loader, "SELECT llm.generate(%s, %s, max_tokens => 10)", PROMPT, name)
    error = call(loader, "SELECT llm.scale_tensor(%s, 'blk.2.attn_q.weight', 0.5)", name)
    assert error < 0.02


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
