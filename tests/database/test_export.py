"""Models back to files: the loaded ones with the same SHA-256, and any model in both formats with the same logits."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from typer.testing import CliRunner

from loaders.cli import app
from loaders.errors import ServerError
from loaders.export.export import export, plan_export
from loaders.reader import read_model
from loaders.upload.upload import upload
from plpython.model import encodings
from plpython.reference.decoder import NumpyEngine
from tests.loaders.matrix.tiny_gguf import write

from .models import FAMILIES, STORIES, loaded

FAMILY_NAMES = sorted(path.name for path in FAMILIES.iterdir() if path.is_dir())
NO_GGUF = {"qwen2_window"}  # its layers have different windows, for which GGUF has no key


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn, own_data):
    """The stories models and one of each family."""
    paths = {f"export-{name}": own_data / path for name, path in STORIES.items()}
    paths |= {f"export-{name}": FAMILIES / name for name in FAMILY_NAMES}
    with loaded(superuser_dsn, paths):
        yield


@pytest.fixture
def hartonomous(loader_dsn):
    """hartonomous("export", …) runs the command line."""
    return lambda *arguments: CliRunner().invoke(app, [*map(str, arguments), "--dsn", loader_dsn])


def exported(hartonomous, *arguments) -> str:
    result = hartonomous("export", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def logits(path: Path) -> np.ndarray:
    """f32[12, vocabulary]: what the numpy engine says of a file without any database."""
    model = read_model(path)
    weights = {tensor.name: encodings.decode(tensor.type, tensor.data, tensor.shape) for tensor in model.tensors}
    engine = NumpyEngine(model.architecture, weights)
    tokens = [token % model.architecture.vocabulary_size for token in (1, 40, 7, 33, 12, 5, 60, 21, 9, 2, 66, 30)]
    return engine.forward(tokens, engine.new_cache(), last_only=False)


def assert_same_logits(new: Path, original: Path) -> None:
    """Rows of q and k in another order are added up in another order; otherwise nothing may move."""
    same_order = read_model(new).architecture.rope_interleaved == read_model(original).architecture.rope_interleaved
    assert np.std(logits(original)) > 0.5
    assert np.abs(logits(new) - logits(original)).max() <= (1e-6 if same_order else 1e-4)


@pytest.mark.parametrize("name", ["stories", "stories-F16", "stories-Q8_0", "stories-Q4_0"])
def test_a_gguf_comes_back_with_the_same_sha256(hartonomous, own_data, tmp_path, name):
    out = exported(hartonomous, f"export-{name}", tmp_path / "back.gguf")
    original = own_data / STORIES[name]
    assert out == f"{sha256(original)}  {tmp_path / 'back.gguf'}\n"
    assert (tmp_path / "back.gguf").read_bytes() == original.read_bytes()


@pytest.mark.parametrize("name", ["stories-hf", *FAMILY_NAMES])
def test_a_folder_comes_back_with_every_file_and_the_same_sha256(hartonomous, own_data, tmp_path, name):
    original = own_data / STORIES[name] if name in STORIES else FAMILIES / name
    out = exported(hartonomous, f"export-{name}", tmp_path / "back")
    kept = {path.name: sha256(path) for path in original.iterdir() if path.suffix != ".npz"}
    assert {path.name: sha256(path) for path in (tmp_path / "back").iterdir()} == kept
    assert sorted(out.splitlines()) == sorted(f"{h}  {tmp_path / 'back' / n}" for n, h in kept.items())


def test_an_empty_file_of_a_folder_comes_back_empty(hartonomous, superuser, own_data, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in (own_data / STORIES["stories-hf"]).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "empty.md").touch()
    upload(superuser, read_model(folder), "export-empty", replace=True)
    try:
        exported(hartonomous, "export-empty", tmp_path / "back")
        assert (tmp_path / "back" / "empty.md").read_bytes() == b""
        assert superuser.execute("SELECT bytes FROM llm.files WHERE path = 'empty.md'").fetchall() == [(0,)]
    finally:
        superuser.execute("SELECT llm.drop_model('export-empty')")


def test_a_file_goes_into_a_folder_that_is_there_under_its_own_name(hartonomous, own_data, tmp_path):
    exported(hartonomous, "export-stories", tmp_path)
    assert sha256(tmp_path / "stories260K.gguf") == sha256(own_data / STORIES["stories"])


@pytest.mark.parametrize("name", [name for name in [*STORIES, *FAMILY_NAMES] if name not in NO_GGUF])
def test_any_model_becomes_a_gguf_with_the_same_logits(hartonomous, own_data, tmp_path, name):
    original = own_data / STORIES[name] if name in STORIES else FAMILIES / name
    exported(hartonomous, f"export-{name}", tmp_path / "new.gguf", "--format", "gguf")
    assert_same_logits(tmp_path / "new.gguf", original)
    vectors = {tensor.type for tensor in read_model(tmp_path / "new.gguf").tensors if len(tensor.shape) == 1}
    assert vectors == {"F32"}  # as llama.cpp's converter writes them


@pytest.mark.parametrize("name", [*STORIES, *FAMILY_NAMES])
def test_any_model_becomes_a_folder_with_the_same_logits(hartonomous, own_data, tmp_path, name):
    original = own_data / STORIES[name] if name in STORIES else FAMILIES / name
    exported(hartonomous, f"export-{name}", tmp_path / "new", "--format", "huggingface")
    assert_same_logits(tmp_path / "new", original)
    with safe_open(tmp_path / "new" / "model.safetensors", framework="numpy") as file:  # the format's own library
        assert "model.embed_tokens.weight" in set(file.keys())


@pytest.fixture(scope="module")
def published(superuser_dsn, each_data):
    """A folder of data; its story model is there as published-stories and published-stories-hf."""
    with loaded(superuser_dsn, {f"published-{name}": each_data / STORIES[name] for name in ("stories", "stories-hf")}):
        yield each_data


def test_the_gguf_of_the_folder_has_the_rows_of_llama_cpps_converter(hartonomous, published, tmp_path):
    """The folder was derived from the GGUF, whose q and k rows are permuted: exporting gives them back exactly."""
    exported(hartonomous, "published-stories-hf", tmp_path / "new.gguf", "--format", "gguf")
    original = {tensor.name: tensor for tensor in read_model(published / STORIES["stories"]).tensors}
    made = {tensor.name: tensor for tensor in read_model(tmp_path / "new.gguf").tensors}
    shared = set(made) & set(original)
    assert {name.split(".")[2] for name in shared if name.startswith("blk.0.attn")} >= {"attn_q", "attn_k"}
    assert all(bytes(made[name].data) == bytes(original[name].data) for name in shared)


def test_the_folder_of_the_gguf_has_the_tensors_of_the_published_one(hartonomous, published, tmp_path):
    exported(hartonomous, "published-stories", tmp_path / "new", "--format", "huggingface")
    with (
        safe_open(tmp_path / "new" / "model.safetensors", framework="numpy") as made,
        safe_open(published / STORIES["stories-hf"] / "model.safetensors", framework="numpy") as other,
    ):
        names = set(other.keys())
        assert names <= set(made.keys())
        assert all(np.array_equal(made.get_tensor(name), other.get_tensor(name)) for name in names)


@pytest.mark.parametrize("format", ["gguf", "huggingface"])
def test_a_qwen_vocabulary_survives_both_formats(hartonomous, superuser, each_data, tmp_path, format):
    """Qwen2.5 has 151,643 tokens and 22 added ones, and more rows: the exporter compares ids and bytes itself."""
    folder = tmp_path / "tiny-qwen"
    write_qwen(folder, each_data)
    upload(superuser, read_model(folder), "export-qwen", replace=True)
    try:
        exported(hartonomous, "export-qwen", tmp_path / "new", "--format", format)
        before, after = read_model(folder), read_model(tmp_path / "new")
        assert after.architecture.vocabulary_size == before.architecture.vocabulary_size > 900
        assert after.tokenizer_settings["eos_ids"][:2] == before.tokenizer_settings["eos_ids"]
        templates = [after.tokenizer_settings[name] for name in ("chat_template", "tool_chat_template")]
        assert templates == ["{{ messages }}", "{{ tools }}"]
    finally:
        superuser.execute("SELECT llm.drop_model('export-qwen')")


def write_qwen(folder: Path, data: Path) -> None:
    """A Qwen2 of one layer and hidden size 42 with the tokenizer of the data, and 271 rows more than it has tokens."""
    from safetensors.numpy import save_file

    folder.mkdir()
    tokenizer = data / "tokenizers" / "qwen2.5" / "tokenizer.json"
    ids = {token["content"]: token["id"] for token in json.loads(tokenizer.read_text())["added_tokens"]}
    rows = max(ids.values()) + 272
    model = read_model(FAMILIES / "qwen2")
    config = json.loads((FAMILIES / "qwen2" / "config.json").read_text())
    config |= {"vocab_size": rows, "num_hidden_layers": 1, "tie_word_embeddings": True, "layer_types": None}
    random = np.random.default_rng(3)
    with safe_open(FAMILIES / "qwen2" / "model.safetensors", framework="numpy") as file:
        kept = [name for name in file.keys() if "layers.1." not in name and "lm_head" not in name]  # noqa: SIM118
        tensors = {name: file.get_tensor(name) for name in kept if "embed" not in name}
    tensors["model.embed_tokens.weight"] = random.random((rows, model.architecture.hidden_size), np.float32)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]})
    )
    templates = {"default": "{{ messages }}", "tool_use": "{{ tools }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": templates}))
    (folder / "tokenizer.json").write_bytes(tokenizer.read_bytes())


def test_a_broken_export_leaves_what_was_there(hartonomous, superuser, tmp_path, monkeypatch):
    target = tmp_path / "model.gguf"
    target.write_text("precious")

    def broken(*_):
        yield b"some bytes"
        raise OSError(28, "No space left on device", "model.gguf")

    monkeypatch.setattr("loaders.export.export.file_pieces", broken)
    result = hartonomous("export", "export-stories", target, "--replace")
    assert result.exit_code == 1
    assert "No space left" in result.stderr
    assert target.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_there_is_replaced_only_when_asked(hartonomous, own_data, tmp_path):
    target = tmp_path / "model.gguf"
    target.write_text("precious")
    refused = hartonomous("export", "export-stories", target)
    assert (refused.exit_code, target.read_text()) == (1, "precious")
    assert "--replace" in refused.stderr
    exported(hartonomous, "export-stories", target, "--replace")
    assert sha256(target) == sha256(own_data / STORIES["stories"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("export-no-such", "new"), 'model "export-no-such" does not exist'),
        (("export-stories", "new", "--format", "onnx"), 'format "onnx" is not known'),
        (("export-stories", "nowhere/new"), "is not a folder"),
        (("export-qwen2_window", "new", "--format", "gguf"), "windows that differ from layer to layer"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_and_nothing_is_written(hartonomous, tmp_path, arguments, told):
    name, path, *options = arguments
    result = hartonomous("export", name, tmp_path / path, *options)
    assert result.exit_code == 1
    assert told in result.stderr.splitlines()[0]
    assert len(result.stderr.splitlines()) <= 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("format", "what"), [(None, 'file "stories260K.gguf"'), ("gguf", 'tensor "blk.2.ffn_up.weight"')]
)
def test_a_flipped_bit_is_found_and_no_file_appears(superuser, tmp_path, format, what):
    """The hash is generated, so only a superuser, or a disk, can make one; here inside a transaction that goes."""
    with superuser.transaction(force_rollback=True):
        superuser.execute("ALTER TABLE llm_store.tile ALTER COLUMN hash DROP EXPRESSION")
        superuser.execute(
            """
            UPDATE llm_store.tile AS t SET content = set_bit(t.content, 4, 1 - get_bit(t.content, 4))
            FROM llm.tensors AS m INNER JOIN llm_store.tensor_tile AS tt ON tt.tensor_hash = m.hash
            WHERE m.model = 'export-stories' AND m.name = 'blk.2.ffn_up.weight' AND t.hash = tt.tile_hash
            """
        )
        plan = plan_export(superuser, "export-stories", tmp_path / "new.gguf", format, replace=False)
        with pytest.raises(ServerError, match=f"{what} is damaged"):
            export(superuser, plan)
    assert list(tmp_path.iterdir()) == []


def test_a_stored_path_that_would_leave_the_folder_is_refused(hartonomous, superuser, tmp_path):
    """A loader may write rows of file_segment for models of its own."""
    superuser.execute(
        "UPDATE llm_store.file_segment SET path = '../evil' WHERE path = 'config.json' "
        "AND model_id = (SELECT id FROM llm_store.model WHERE name = 'export-stories-hf')"
    )
    try:
        result = hartonomous("export", "export-stories-hf", tmp_path / "new")
        assert result.exit_code == 1
        assert "would leave the folder" in result.stderr
        assert list(tmp_path.iterdir()) == []
    finally:
        superuser.execute("UPDATE llm_store.file_segment SET path = 'config.json' WHERE path = '../evil'")


@pytest.fixture
def split(superuser, tmp_path):
    """A GGUF in three parts, loaded as "export-split": the folder of the parts."""
    folder = tmp_path / "parts"
    folder.mkdir()
    write(folder / "tiny.gguf", "llama", {}, most_tensors=8)
    upload(superuser, read_model(min(folder.iterdir())), "export-split", replace=True)
    yield folder
    superuser.execute("SELECT llm.drop_model('export-split')")


def test_the_parts_of_a_split_model_come_back_into_a_folder_with_the_same_sha256(
    hartonomous, superuser, split, tmp_path
):
    parts = {path.name: path for path in split.iterdir()}
    assert sorted(parts) == [f"tiny-{n:05}-of-00003.gguf" for n in (1, 2, 3)]
    sizes = {name: path.stat().st_size for name, path in parts.items()}
    files = superuser.execute("SELECT path, bytes FROM llm.files WHERE model = 'export-split'").fetchall()
    assert dict(files) == sizes
    out = exported(hartonomous, "export-split", tmp_path / "back")
    assert sorted(out.splitlines()) == sorted(f"{sha256(p)}  {tmp_path / 'back' / n}" for n, p in parts.items())
    assert {path.name: sha256(path) for path in (tmp_path / "back").iterdir()} == {
        n: sha256(p) for n, p in parts.items()
    }
    exported(hartonomous, "export-split", tmp_path / "back", "--replace")
    assert_same_logits(min((tmp_path / "back").iterdir()), min(parts.values()))


def test_a_split_model_becomes_one_file_when_a_format_is_asked_for(hartonomous, split, tmp_path):
    exported(hartonomous, "export-split", tmp_path / "one.gguf", "--format", "gguf")
    assert_same_logits(tmp_path / "one.gguf", min(split.iterdir()))


def test_several_files_are_not_written_under_the_name_of_one(hartonomous, split, tmp_path):
    result = hartonomous("export", "export-split", tmp_path / "back.gguf")
    assert result.exit_code == 1
    assert "back.gguf is the name of a file, and 3 files are written" in result.stderr
    assert not (tmp_path / "back.gguf").exists()


@pytest.mark.parametrize("options", [(), ("--format", "gguf"), ("--format", "huggingface")])
@pytest.mark.parametrize("kind", ["pipe", "link", "link to a folder"])
def test_special_files_and_links_are_refused_by_name_and_stay(hartonomous, tmp_path, kind, options):
    target = tmp_path / "target"
    (tmp_path / "real").mkdir()
    {"pipe": os.mkfifo, "link": lambda p: p.symlink_to("real/x"), "link to a folder": lambda p: p.symlink_to("real")}[
        kind
    ](target)
    before = target.lstat().st_ino
    result = hartonomous("export", "export-stories", target, "--replace", *options)
    if kind == "link to a folder" and "huggingface" not in options:
        assert result.exit_code == 0  # a file goes into a folder that is there
    else:
        assert result.exit_code == 1
        assert f"{target} is a" in result.stderr
        assert list((tmp_path / "real").iterdir()) == []
    assert target.lstat().st_ino == before


def test_a_folder_with_a_file_of_someone_elses_is_not_replaced(hartonomous, tmp_path):
    target = tmp_path / "model"
    exported(hartonomous, "export-stories", target, "--format", "huggingface")
    exported(hartonomous, "export-stories", target, "--format", "huggingface", "--replace")
    (target / "thesis.tex").write_text("years")
    result = hartonomous("export", "export-stories", target, "--format", "huggingface", "--replace")
    assert result.exit_code == 1
    assert f"{target / 'thesis.tex'} is none of the files that are written" in result.stderr
    assert (target / "thesis.tex").read_text() == "years"


def test_a_stored_path_cannot_lead_out_of_the_folder_that_a_file_goes_into(hartonomous, superuser, tmp_path):
    change = """
        UPDATE llm_store.file_segment SET path = %s WHERE path = %s
        AND model_id = (SELECT id FROM llm_store.model WHERE name = 'export-stories')
    """
    folder = tmp_path / "folder"
    folder.mkdir()
    superuser.execute(change, ("../evil.gguf", "stories260K.gguf"))
    try:
        result = hartonomous("export", "export-stories", folder)
        assert result.exit_code == 1
        assert "would leave the folder" in result.stderr
        assert [path.name for path in tmp_path.rglob("*")] == ["folder"]
    finally:
        superuser.execute(change, ("stories260K.gguf", "../evil.gguf"))
