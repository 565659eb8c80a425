"""llm.merge: the formula on what differs, and the rest shared."""

import numpy as np
import pytest
from psycopg import errors

from loaders.reader import read_model
from loaders.upload.upload import upload
from plpython.store import merge_methods
from tests.database.editing.reading import PROMPT, hashes, stored, tensor
from tests.database.models import FAMILIES, call


@pytest.fixture
def children(loader, new):
    """Two forks of the story model with other weights in layer 0 and in the head: (names, their tensors)."""
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
        (", method => 'slerp', weights => ARRAY[3, 1]", lambda base, a, b: merge_methods.slerp(a, b, 0.25)),
        (
            ", method => 'task_arithmetic', base => 'stories', scale => 0.25",
            lambda base, a, b: base + 0.25 * ((a - base) + (b - base)),
        ),
        (
            ", method => 'ties', base => 'stories', density => 0.3",
            lambda base, a, b: merge_methods.ties(base, [a, b], [1, 1], 0.3, 1),
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


def test_models_of_different_kinds_are_not_merged(superuser, loader, new):
    other = new("other")
    upload(superuser, read_model(FAMILIES / "llama2"), other)
    with pytest.raises(errors.InvalidParameterValue, match="cannot be merged") as refused:
        loader.execute("SELECT llm.merge(ARRAY['stories', %s], 'x')", (other,))
    assert "vocabulary_size is 512 in one, 67 in the other" in refused.value.diag.message_detail
