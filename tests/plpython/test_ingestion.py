"""What llm_store.publish refuses before it touches a table. tests/pgtap and tests/database have the rest."""

import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.source.model import SourceTensor
from plpython.model.decoder import Architecture
from plpython.model.encodings import row_bytes
from plpython.server import errors
from plpython.store import manifest as ingestion

MIB = 1 << 20
ARCHITECTURE = Architecture(
    family="llama",
    vocabulary_size=4,
    hidden_size=2,
    layers=1,
    heads=1,
    kv_heads=1,
    head_dim=2,
    ffn_size=3,
    context_length=8,
    norm_epsilon=1e-5,
    rope_theta=10000.0,
    rope_interleaved=True,
)
HASH = "0" * 64
TENSOR = 'tensor "token_embd.weight"'


@pytest.fixture
def manifest():
    return {
        "architecture": ARCHITECTURE.to_config(),
        "tokenizer_settings": {"bos_id": 1},
        "container": "gguf",
        "tensors": [
            {"name": name, "type": "F32", "shape": list(shape), "tiles": [HASH]}
            for name, shape in ARCHITECTURE.tensors().items()
        ],
        "files": [{"path": "sub/tiny.gguf", "segments": [{"tile": HASH}, {"tensor": "token_embd.weight"}]}],
    }


def check(manifest):
    return json.loads(ingestion.check_manifest(json.dumps(manifest)))


def refusal(manifest):
    with pytest.raises(errors.ModelError) as raised:
        check(manifest)
    return raised.value


def test_a_good_manifest_gives_the_canonical_architecture_and_complete_settings(manifest):
    del manifest["architecture"]["qk_norm"]
    assert check(manifest) == {
        "architecture": ARCHITECTURE.to_config(),
        "tokenizer_settings": {"bos_id": 1, "vocabulary_size": 4},
    }


@pytest.mark.parametrize("key", ingestion.MANIFEST_KEYS)
def test_a_missing_part_is_named(manifest, key):
    del manifest[key]
    assert refusal(manifest).message == f'the manifest has no "{key}"'


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("container",), "zip", 'container "zip" is not known'),
        (("container",), [1], "container [1] is not known"),
        (("tensors",), {}, "tensors is {}, expected a list"),
        (("tensors", 0), 3, "tensor 0 is 3, expected an object"),
        (("tensors", 0, "name"), "", 'tensor name "" is not 1 to 200 characters long'),
        (("tensors", 0, "name"), 5, "tensor name 5 is not 1 to 200 characters long"),
        (("tensors", 0, "name"), "extra.weight", f"{TENSOR} is missing"),
        (("tensors", 0, "type"), "Q9_9", f'{TENSOR}: tensor type "Q9_9" is not supported'),
        (("tensors", 0, "type"), None, f"{TENSOR}: the type is null, expected a name"),
        (("tensors", 0, "type"), "Q8_0", f"{TENSOR}: a row of 2 elements cannot be Q8_0"),
        (("tensors", 0, "shape"), [2, 4], f"{TENSOR} has the wrong shape"),
        (("tensors", 0, "shape"), [], f"{TENSOR}: the shape is [], expected 1 to 4 sizes above 0"),
        (("tensors", 0, "shape"), [0, 4], f"{TENSOR}: the shape is [0, 4], expected 1 to 4 sizes above 0"),
        (("tensors", 0, "shape"), [1.5], f"{TENSOR}: the shape is [1.5], expected 1 to 4 sizes above 0"),
        (("tensors", 0, "shape"), [2**40, 2**40], f"{TENSOR} is too large"),
        (("tensors", 0, "tiles"), [], f"{TENSOR} has the wrong number of tiles"),
        (("tensors", 0, "tiles"), [HASH] * 2, f"{TENSOR} has the wrong number of tiles"),
        (("tensors", 0, "tiles"), ["xyz"], f'{TENSOR}: "xyz" is not a SHA-256 in lower-case hexadecimal'),
        (("tokenizer_settings",), [], "tokenizer_settings is [], expected an object"),
        (("tokenizer_settings",), {"vocabulary_size": 5}, "the tokenizer does not fit the model's vocabulary"),
        (("architecture", "layers"), 0, 'architecture value "layers" is out of range'),
        (("files", 0, "segments", 0), {}, 'file "sub/tiny.gguf": a segment is {"tensor": name} or {"tile": hash}'),
        (("files", 0, "segments", 0), {"tensor": []}, 'file "sub/tiny.gguf": the model has no tensor []'),
        (("files", 0, "segments", 0), {"tensor": "no"}, 'file "sub/tiny.gguf": the model has no tensor "no"'),
    ],
)
def test_a_wrong_value_is_named(manifest, path, value, message):
    inner = manifest
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    assert refusal(manifest).message == message


@pytest.mark.parametrize("path", ["/etc/passwd", "../up", "a/../b", "a//b", ".", "", "a\\b", "a\nb", "x" * 1001, 7])
def test_a_path_that_could_leave_its_folder_is_refused(manifest, path):
    manifest["files"][0]["path"] = path
    assert "is not allowed" in refusal(manifest).message


def test_nothing_is_there_twice(manifest):
    twice = copy.deepcopy(manifest)
    twice["tensors"].append(twice["tensors"][0])
    assert refusal(twice).message == 'tensor "token_embd.weight" is there twice'
    manifest["files"].append(manifest["files"][0])
    assert refusal(manifest).message == 'file "sub/tiny.gguf" is there twice'


def test_a_tensor_that_the_architecture_does_not_know_is_refused(manifest):
    manifest["tensors"].append({"name": "blk.7.attn_q.weight", "type": "F32", "shape": [2, 2], "tiles": [HASH]})
    assert refusal(manifest).message == 'tensor "blk.7.attn_q.weight" is not part of the architecture'


@given(rows=st.integers(1, 3000), blocks=st.integers(1, 70000), type=st.sampled_from(["F32", "Q8_0", "Q6_K"]))
def test_the_server_cuts_tensors_as_the_loader_does(rows, blocks, type):
    columns = blocks * {"F32": 1, "Q8_0": 32, "Q6_K": 256}[type]
    size = row_bytes(type, columns)
    rows = max(1, min(rows, 8 * MIB // size))
    tensor = SourceTensor("t", type, (rows, columns), memoryview(bytes(rows * size)))
    sizes = ingestion.tile_sizes(rows, size)
    assert list(sizes) == [len(tile) for tile in tensor.tiles()]
    assert sum(sizes) == rows * size and max(sizes) <= MIB


@pytest.mark.parametrize(
    ("rows", "size", "sizes"),
    [
        (1, 1, (1,)),
        (1, MIB, (MIB,)),
        (3, MIB // 2, (MIB, MIB // 2)),
        (2, MIB + 1, (MIB, 1, MIB, 1)),
        (3, MIB // 2 + 1, (MIB // 2 + 1,) * 3),
    ],
)
def test_tiles_hold_whole_rows_or_pieces_of_one_row(rows, size, sizes):
    assert ingestion.tile_sizes(rows, size) == sizes


def test_a_token_that_no_index_could_hold_is_refused(monkeypatch):
    class Endless:
        def __init__(self, definition, settings):
            pass

        def vocabulary(self):
            yield 0, b"a" * 2001, "a" * 2001, "normal"

    monkeypatch.setattr(ingestion, "Tokenizer", Endless)
    with pytest.raises(errors.ModelError, match="token 0 is too long") as raised:
        ingestion.vocabulary("{}", "{}")
    assert raised.value.sqlstate == "53400"
