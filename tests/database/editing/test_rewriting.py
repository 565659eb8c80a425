"""New values for tensors: exact where the encoding can hold them, in the tiles that change and in no other."""

import numpy as np
import pytest

from loaders.upload.upload import upload
from plpython.model import encodings
from tests.database.editing.reading import changed, hashes, model_hash, stored, tensor
from tests.database.editing.synthetic import synthetic
from tests.database.models import call


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
    rounded = encodings.decode("Q8_0", encodings.encode("Q8_0", values[None]), (1, 64))[0]
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
    small = sum(int(((before[name] != 0) & (np.abs(before[name]) < 0.1)).sum()) for name in matrices)
    assert call(loader, "SELECT llm.prune(%s, 0.1)", forked) == small
    for name, values in before.items():
        expected = np.where(np.abs(values) < np.float32(0.1), 0, values) if name in matrices else values
        assert np.array_equal(tensor(loader, forked, name), expected)
    assert call(loader, "SELECT llm.prune(%s, 0.1)", forked) == 0


def test_prune_takes_a_pattern(loader, forked):
    loader.execute(r"SELECT llm.prune(%s, 1, tensors => 'blk.0.attn\__.weight')", (forked,))
    assert {name for name, *_ in changed(loader, "stories", forked)} == {f"blk.0.attn_{part}.weight" for part in "qkv"}


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


def test_the_codes_of_an_edited_row_are_counted_with_all_that_stayed(superuser, new):
    name, copy = new("coded"), new("coded-row")
    upload(superuser, synthetic("F16", hidden_size=8, ffn_size=300_000), name)
    superuser.execute("SELECT llm.fork(%s, %s)", (name, copy))
    row = np.full(8, 1234.5, np.float32)
    superuser.execute("SELECT llm.set_row(%s, 'blk.0.ffn_gate.weight', 250000, %s)", (copy, row.tobytes()))
    codes = tensor(superuser, copy, "blk.0.ffn_gate.weight").astype(np.float16).view(np.uint16)
    expected = [(int(code), int(count)) for code, count in zip(*np.unique(codes, return_counts=True), strict=True)]
    counted = """SELECT c.code, c.number FROM llm.tensors AS t
        INNER JOIN llm_store.atom_code_count AS n ON n.tensor_hash = t.hash
        CROSS JOIN LATERAL unnest(n.codes, n.counts) AS c (code, number)
        WHERE t.model = %s AND t.name = 'blk.0.ffn_gate.weight'"""
    assert superuser.execute(counted, (copy,)).fetchall() == expected
    assert superuser.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []


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
        expected = encodings.decode(kind, encodings.encode(kind, values), values.shape)
        assert np.array_equal(tensor(superuser, quantised, name), expected)
