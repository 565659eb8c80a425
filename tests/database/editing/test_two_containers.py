"""The same model from a Hugging Face folder and from its GGUF: no difference, and what is merged of both is right."""

import dataclasses
import json

import numpy as np
import pytest
from psycopg import errors
from typer.testing import CliRunner

from loaders.cli import app
from loaders.reader import read_model
from loaders.source.model import SourceTensor
from loaders.upload.upload import upload
from tests.database.editing.reading import changed, tensor
from tests.database.models import FAMILIES, STORIES, call

# qwen2_window is none of them: GGUF has no place for its windows.
NAMES = ["llama2", "llama3", "llama_linear", "mistral_window", "qwen2", "qwen3", "seed_oss"]
IDS = [1, 40, 7, 33, 12, 5]
ROPE_DIVISORS = "rope_freqs.weight"


@pytest.fixture
def both(superuser, loader_dsn, new, tmp_path):
    """both("llama2") loads a folder of the fixtures and its GGUF export: the names of two models."""

    def load(family: str) -> tuple[str, str]:
        folder, file = new("folder"), new("file")
        upload(superuser, read_model(FAMILIES / family), folder)
        arguments = ["export", folder, str(tmp_path / "model.gguf"), "--format", "gguf", "--dsn", loader_dsn]
        assert CliRunner().invoke(app, arguments).exit_code == 0
        upload(superuser, read_model(tmp_path / "model.gguf"), file)
        return folder, file

    return load


def logits(connection, model: str) -> np.ndarray:
    ids = [
        i
        % call(
            connection, "SELECT (architecture ->> 'vocabulary_size')::int FROM llm_store.model WHERE name = %s", model
        )
        for i in IDS
    ]
    rows = connection.execute("SELECT logits FROM llm.logits(%s, %s) ORDER BY position", (ids, model)).fetchall()
    return np.stack([np.frombuffer(row, "<f4") for (row,) in rows])


@pytest.mark.parametrize("family", NAMES)
def test_diff_finds_no_difference_in_either_direction(superuser, both, family):
    folder, file = both(family)
    for pair in ((folder, file), (file, folder)):
        rows = superuser.execute("SELECT * FROM llm.diff(%s, %s) WHERE change <> 'none'", pair).fetchall()
        # What the fixture has in fewer bits than F32 as a vector, GGUF has as F32: another type, the same values.
        assert [row for row in rows if row[1] != "type" or row[4] != 0] == []
        shapes = dict(superuser.execute("SELECT name, shape FROM llm.tensors WHERE model = %s", (file,)).fetchall())
        assert {len(shapes[row[0]]) for row in rows} <= {1}


@pytest.mark.parametrize("family", NAMES)
def test_a_merge_of_both_gives_the_logits_of_either(superuser, both, new, family):
    models = both(family)
    merged = new("merged"), new("deremerged")
    for name, order in zip(merged, (models, models[::-1]), strict=True):
        assert call(superuser, "SELECT llm.merge(%s, %s)", list(order), name) <= 1e-6
        assert np.abs(logits(superuser, name) - logits(superuser, models[0])).max() <= 1e-4
        assert superuser.execute("SELECT * FROM llm.verify(%s)", (name,)).fetchall() == []


@pytest.mark.parametrize("name", ["blk.0.attn_q.weight", "blk.1.attn_k.weight"])
def test_rows_are_brought_to_the_first_models_order_before_they_are_added(superuser, both, new, name):
    """Three times a tensor and once the same is four times, only if the rows lie in one order."""
    folder, file = both("llama2")
    assert not np.allclose(tensor(superuser, folder, name), tensor(superuser, file, name))
    superuser.execute("SELECT llm.scale_tensor(%s, %s, 3)", (file, name))
    for first, models in ((folder, [folder, file]), (file, [file, folder])):
        merged = new(f"sum-{first}")
        superuser.execute("SELECT llm.merge(%s, %s, ARRAY[1, 1])", (models, merged))
        expected = tensor(superuser, first, name) * (4 if first == folder else 4 / 3)
        assert np.abs(tensor(superuser, merged, name) - expected).max() < 1e-5


def test_diff_tells_a_row_that_was_changed_among_rows_in_another_order(superuser, both):
    folder, file = both("llama2")
    name = "blk.0.attn_k.weight"
    values = tensor(superuser, file, name)
    superuser.execute("SELECT llm.scale_tensor(%s, %s, 3)", (file, name))
    norm = pytest.approx(2 * float(np.linalg.norm(values)), rel=1e-5)
    assert [row for row in changed(superuser, folder, file) if row[1] == "values"] == [(name, "values", 1, 1, norm)]


def with_frequencies(model, values):
    extra = SourceTensor(ROPE_DIVISORS, "F32", (len(values),), memoryview(np.array(values, "<f4").tobytes()))
    return dataclasses.replace(model, tensors=(*model.tensors, extra), files=())


@pytest.fixture
def turning(superuser, own_data, new):
    """Stories as it is, and with frequencies of rope that are halved, and otherwise."""
    stories = read_model(own_data / STORIES["stories"])
    names = {"plain": "stories", "halved": new("halved"), "other": new("other")}
    upload(superuser, with_frequencies(stories, [2, 2, 2, 2]), names["halved"])
    upload(superuser, with_frequencies(stories, [1, 2, 3, 4]), names["other"])
    return names


@pytest.mark.parametrize(
    ("models", "method", "base"),
    [
        (("plain", "halved"), "linear", None),
        (("halved", "plain"), "linear", None),
        (("halved", "other"), "slerp", None),
        (("halved", "halved"), "task_arithmetic", "plain"),
        (("plain", "plain"), "ties", "halved"),
    ],
)
def test_models_that_rotate_by_different_angles_are_not_merged(loader, turning, models, method, base):
    arguments = [turning[name] for name in models], method, turning.get(base)
    with pytest.raises(errors.InvalidParameterValue, match="cannot be merged") as refused:
        loader.execute("SELECT llm.merge(%s, 'x', method => %s, base => %s)", arguments)
    assert ROPE_DIVISORS in refused.value.diag.message_detail


def test_models_that_rotate_alike_keep_the_tensor_that_says_so(superuser, turning, new):
    merged = new("alike")
    superuser.execute("SELECT llm.merge(%s, %s)", ([turning["halved"], turning["halved"]], merged))
    assert tensor(superuser, merged, ROPE_DIVISORS).tolist() == [2, 2, 2, 2]


def test_diff_tells_a_tensor_that_makes_one_model_rotate_otherwise(loader, turning):
    row = (ROPE_DIVISORS, "added", 1, None, None)
    assert changed(loader, turning["plain"], turning["halved"]) == [row]
    assert changed(loader, turning["halved"], turning["plain"]) == [(ROPE_DIVISORS, "removed", 1, None, None)]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"rope_theta": 20_000.0}, "rope_theta is 10000.0 in one, 20000.0 in the other"),
        ({"norm_epsilon": 2e-5}, "norm_epsilon is "),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling is null in one"),
    ],
)
def test_numbers_that_differ_by_more_than_float32_are_told(superuser, loader, own_data, new, change, told):
    stories = read_model(own_data / STORIES["stories"])
    name = new("differs")
    upload(
        superuser, dataclasses.replace(stories, architecture=dataclasses.replace(stories.architecture, **change)), name
    )
    with pytest.raises(errors.InvalidParameterValue, match="cannot be merged") as refused:
        loader.execute("SELECT llm.merge(ARRAY['stories', %s], 'x')", (name,))
    assert told in refused.value.diag.message_detail


def test_a_head_of_its_own_and_a_shared_one_are_not_merged(superuser, loader, own_data, new):
    stories, name = read_model(own_data / STORIES["stories"]), new("tied")
    tied = dataclasses.replace(stories.architecture, tied_embeddings=True)
    kept = tuple(tensor for tensor in stories.tensors if tensor.name != "output.weight")
    upload(superuser, dataclasses.replace(stories, architecture=tied, tensors=kept, files=()), name)
    for models in (["stories", name], [name, "stories"]):
        with pytest.raises(errors.InvalidParameterValue, match="cannot be merged") as refused:
            loader.execute("SELECT llm.merge(%s, 'x')", (models,))
        assert "tied_embeddings" in refused.value.diag.message_detail


def test_ids_that_stand_for_other_bytes_are_not_merged(superuser, loader, own_data, new):
    stories = read_model(own_data / STORIES["stories"])
    document = json.loads(stories.tokenizer_definition)
    vocabulary = document["model"]["vocab"]
    vocabulary["Z"], vocabulary["Q"] = vocabulary["Q"], vocabulary["Z"]
    name = new("swapped")
    upload(superuser, dataclasses.replace(stories, tokenizer_definition=json.dumps(document), files=()), name)
    with pytest.raises(errors.InvalidParameterValue, match="cannot be merged") as refused:
        loader.execute("SELECT llm.merge(ARRAY['stories', %s], 'x')", (name,))
    first = min(vocabulary["Z"], vocabulary["Q"])
    assert refused.value.diag.message_detail == f"their tokenizers differ: token {first} is not the same in both"
