"""Any value of any type in any key that GGUF has: a model is loaded, or one line says why not."""

import gguf
import pytest
from gguf.constants import Keys
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders.errors import SourceError
from loaders.gguf.file import read_gguf
from loaders.gguf.keys import COMMON_KEYS, DECODER_KEYS, ENCODER_KEYS, GENERAL_KEYS, OUTSIDE_KEYS
from plpython.server.errors import ModelError
from tests.loaders.matrix.tiny_gguf import write

INTEGERS = {f"{sign}INT{bits}": (sign, bits) for sign in ("", "U") for bits in (8, 16, 32, 64)}
PLACES = {"id": "0", "dense": "dense_2", "layer": "0"}  # what else names of keys leave open


def library_keys(architecture: str) -> set[str]:
    """Every key that the gguf package knows, but those of tokenizers."""
    groups = [group for name, group in vars(Keys).items() if isinstance(group, type) and name != "Tokenizer"]
    names = [name for group in groups for name in vars(group).values() if isinstance(name, str) and "." in name]
    found = {name.format(arch=architecture, **PLACES) for name in names if not name.startswith("gguf.")}
    return {name for name in found if not name.startswith("tokenizer.")}


def our_keys(architecture: str) -> set[str]:
    own = [
        key
        for table in (COMMON_KEYS, DECODER_KEYS, ENCODER_KEYS)
        for key in (*table.used, *table.harmless_at, *table.harmless)
    ]
    general = [f"general.{key}" for key in (*GENERAL_KEYS.used, *GENERAL_KEYS.harmless_at, *GENERAL_KEYS.harmless)]
    return {f"{architecture}.{key}" for key in own} | {*general, *OUTSIDE_KEYS.used, *OUTSIDE_KEYS.harmless} - {
        "tokenizer.*"
    }


def integers(sign: str, bits: int) -> st.SearchStrategy:
    low, high = (0, (1 << bits) - 1) if sign else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
    return st.integers(low, high) | st.sampled_from(
        [n for n in (-1, 0, 1, 2, 3, 4, 8, 32, 48, 64, 264) if low <= n <= high]
    )


VALUES = {kind: integers(*parts) for kind, parts in INTEGERS.items()} | {
    "FLOAT32": st.floats(width=32),
    "FLOAT64": st.floats(),
    "BOOL": st.booleans(),
    "STRING": st.text(max_size=8)
    | st.sampled_from(["linear", "none", "yarn", "model", "adapter", "llama"])
    | st.binary(max_size=8),
}


@st.composite
def changes(draw, architecture: str) -> dict:
    """Some keys with values of drawn types; arrays of one to three, or one for each layer."""
    drawn = {}
    keys = sorted((library_keys(architecture) | our_keys(architecture)) - {"general.architecture"})
    for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True)):
        kind = draw(st.sampled_from(sorted(VALUES)))
        many = draw(st.booleans())
        drawn[key] = (
            (kind + "[]", draw(st.lists(VALUES[kind], min_size=1, max_size=3))) if many else (kind, draw(VALUES[kind]))
        )
    return drawn


def test_the_keys_that_are_tried_are_those_of_the_library_and_ours():
    assert {"llama.rope.scaling.attn_factor", "general.type", "split.count", "adapter.type"} <= library_keys("llama")
    assert {"llama.rope.scale_linear", "llama.tensor_data_layout"} <= our_keys("llama")
    assert len(library_keys("llama")) > 150


@pytest.mark.parametrize("architecture", ["llama", "qwen3", "bert"])
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_value_in_any_key_is_read_or_refused_in_one_line(tmp_path, architecture, data):
    path = write(tmp_path / "cell.gguf", architecture, data.draw(changes(architecture)))
    try:
        read_gguf(path)
    except (SourceError, ModelError) as problem:
        assert str(problem)


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "bert"])
def test_every_key_that_the_library_knows_is_in_a_table_or_is_refused_by_its_name(tmp_path, architecture):
    """At 0.5, at which no key is harmless."""
    ours = our_keys(architecture)
    for key in sorted(library_keys(architecture) - ours):
        table = GENERAL_KEYS if key.startswith("general.") else OUTSIDE_KEYS
        if table.knows(key.removeprefix("general.")):
            continue
        with pytest.raises(SourceError, match=f'"{key}" is not known here'):
            read_gguf(write(tmp_path / "cell.gguf", architecture, {key: ("FLOAT32", 0.5)}))


def test_the_writer_of_these_files_is_the_librarys(tmp_path):
    reader = gguf.GGUFReader(write(tmp_path / "cell.gguf", "llama", {"llama.a": ("UINT16[]", [1, 2])}))
    field = reader.get_field("llama.a")
    assert (field.types[1].name, field.contents()) == ("UINT16", [1, 2])
