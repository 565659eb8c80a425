"""Whatever JSON value stands at a known key of a folder's files, it is read, or refused in one line by our own errors.

The values are random; which keys there are is what the loader's own tables say.
"""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loaders.errors import SourceError
from loaders.families import FAMILIES
from loaders.huggingface.architecture import DECODER_CONFIG, ROPE, SCALINGS
from loaders.huggingface.config_keys import GENERATION_CONFIG
from loaders.huggingface.encoder import ENCODER_CONFIG, MODULE, NORMALIZE, POOLING, SENTENCE_TRANSFORMERS, TRANSFORMER
from loaders.huggingface.folder import read_folder
from plpython.server.errors import ModelError

FIXTURES = Path(__file__).parent.parent / "fixtures"
TOKENIZERS_OWN = {"bos_token_id", "eos_token_id"}  # their values are the tokenizer reader's to check


def names(*tables) -> list[str]:
    found = {name for keys in tables for name in (*keys.used, *keys.harmless_at, *keys.harmless)}
    return sorted(found - TOKENIZERS_OWN - {name for name in found if name.endswith("*")})


DECODER_KEYS = names(DECODER_CONFIG, *(family.keys for family in FAMILIES))
ROPE_KEYS = sorted({*names(ROPE), *(name for scaling in SCALINGS.values() for name in scaling)})
NUMBERS = st.sampled_from([0, -1, 1, 2, 10**400, -(10**400), 2**63, 1e999, -1e999, float("nan"), -0.0, 5e-324, 1e308])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def check(folder: Path) -> None:
    """The folder is read, or refused in one line that can be printed."""
    try:
        read_folder(folder)
    except (SourceError, ModelError) as problem:
        message = str(problem)
        assert message and "\n" not in message and "\0" not in message
        message.encode()


def put(path: Path, document: object) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document))


@pytest.fixture(scope="module")
def decoders(tmp_path_factory) -> Path:
    """One folder for each family."""
    return Path(shutil.copytree(FIXTURES / "families", tmp_path_factory.mktemp("any") / "families"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return Path(shutil.copytree(FIXTURES / "encoders" / "cls", tmp_path_factory.mktemp("any") / "encoder"))


@SETTINGS
@given(
    st.sampled_from(["llama3", "mistral_window", "qwen2", "qwen2_window", "seed_oss"]),
    st.sampled_from(DECODER_KEYS),
    VALUES,
)
@example("llama3", "rope_theta", 10**400)
@example("llama3", "model_type", ["llama"])
@example("llama3", "architectures", [[]])
def test_any_value_of_a_decoders_key(decoders, case, key, value):
    path = decoders / case / "config.json"
    before = path.read_text()
    put(path, json.loads(before) | {key: value})
    try:
        check(decoders / case)
    finally:
        path.write_text(before)


@pytest.mark.parametrize("key", [*DECODER_CONFIG.used, "quantization_config"])
def test_a_value_that_is_nested_deeply(families, tmp_path, key):
    folder = Path(shutil.copytree(families / "llama3", tmp_path / "llama3"))
    config = json.loads((folder / "config.json").read_text())
    text = json.dumps({name: value for name, value in config.items() if name != key})
    (folder / "config.json").write_text(f'{text[:-1]}, "{key}": {"[" * 900}{"]" * 900}}}')
    check(folder)


@SETTINGS
@given(st.sampled_from(["rope_scaling", "rope_parameters"]), st.sampled_from(sorted(SCALINGS)), st.data())
def test_any_value_inside_rope(decoders, place, kind, data):
    path = decoders / "llama3" / "config.json"
    before = path.read_text()
    config = json.loads(before)
    inside = config["rope_scaling"] | {"rope_type": kind, data.draw(st.sampled_from(ROPE_KEYS)): data.draw(VALUES)}
    kept = {name: inside[name] for name in inside if name in (*ROPE.used, *SCALINGS[kind])}
    put(path, {name: value for name, value in config.items() if name != "rope_scaling"} | {place: kept})
    try:
        check(decoders / "llama3")
    finally:
        path.write_text(before)


@SETTINGS
@given(st.sampled_from(names(GENERATION_CONFIG)), VALUES)
def test_any_value_of_a_generation_configs_key(decoders, key, value):
    put(decoders / "llama2" / "generation_config.json", {key: value})
    check(decoders / "llama2")


@SETTINGS
@given(st.dictionaries(st.text(), VALUES, max_size=3))
def test_any_key(decoders, more):
    path = decoders / "llama2" / "config.json"
    before = path.read_text()
    put(path, json.loads(before) | more)
    try:
        check(decoders / "llama2")
    finally:
        path.write_text(before)


@SETTINGS
@given(st.dictionaries(st.text(max_size=30), VALUES, max_size=3) | VALUES)
@example({"lm_head.weight": ["model-00001-of-00003.safetensors"]})
@example({"lm_head.weight": "a\0b"})
@example({"lm_head.weight": "a" * 5000})
def test_any_map_of_weights(decoders, listed):
    index = decoders / "qwen3" / "model.safetensors.index.json"
    before = index.read_text()
    put(index, {"weight_map": listed})
    try:
        check(decoders / "qwen3")
    finally:
        index.write_text(before)


ENCODER_FILES = {
    "config.json": ENCODER_CONFIG,
    "1_Pooling/config.json": POOLING,
    "2_Normalize/config.json": NORMALIZE,
    "sentence_bert_config.json": TRANSFORMER,
    "config_sentence_transformers.json": SENTENCE_TRANSFORMERS,
    "modules.json": MODULE,
}
PLACES = [(file, key) for file, keys in ENCODER_FILES.items() for key in names(keys)]


@SETTINGS
@given(st.sampled_from(PLACES), VALUES)
@example(("modules.json", "path"), "a\0b")
@example(("modules.json", "path"), "a" * 5000)
def test_any_value_of_an_encoders_key(encoder, place, value):
    file, key = place
    normalize = {"name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}
    modules = [*json.loads((encoder / "modules.json").read_text())[:2], normalize]
    put(encoder / "modules.json", modules)
    path = encoder / file
    before = json.loads(path.read_text()) if path.exists() else {}
    put(path, [modules[0], modules[1] | {key: value}, normalize] if file == "modules.json" else before | {key: value})
    try:
        check(encoder)
    finally:
        put(path, before)


@pytest.mark.parametrize("file", [*ENCODER_FILES, "tokenizer_config.json"])
@pytest.mark.parametrize("content", ["[]", "null", "7", '"text"', "{", "[" * 100_000, '{"a": ' * 100_000, "\ufeff{}"])
def test_a_file_that_is_no_object_is_refused_in_one_line(tmp_path, file, content):
    folder = Path(shutil.copytree(FIXTURES / "encoders" / "mean", tmp_path / "mean"))
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(content)
    with pytest.raises(SourceError) as problem:
        read_folder(folder)
    assert file in str(problem.value) and "\n" not in str(problem.value)
