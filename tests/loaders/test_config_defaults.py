"""An absent key has the default of transformers' class, a null is null: the table, and the door to it."""

import json

import pytest

from loaders import families
from loaders.errors import SourceError
from loaders.families.class_defaults import ROWS
from loaders.huggingface.architecture import CONFIG_KEY_OF_SIZE, DECODER_CONFIG, read_architecture
from loaders.huggingface.config_defaults import completed
from loaders.huggingface.encoder import ENCODER_CONFIG
from loaders.source.fields import Fields

ALL = [*families.FAMILIES, *families.ENCODERS]


def keys_of(family):
    return ENCODER_CONFIG if isinstance(family, families.EncoderFamily) else DECODER_CONFIG | family.keys


def test_a_row_is_a_family_a_key_that_the_loader_looks_at_a_json_value_and_whether_null_is_one():
    known = {family.name: keys_of(family) for family in ALL}
    for family, key, default, takes_null in ROWS:
        assert key in known[family].used or key in known[family].harmless_at, (family, key)
        assert json.loads(json.dumps(default)) == default
        assert type(takes_null) is bool and (takes_null or default is not None)


def test_rows_are_sorted_within_their_family_and_none_appears_twice():
    for family in ALL:
        keys = [key for name, key, _, _ in ROWS if name == family.name]
        assert keys == sorted(set(keys)) and len(keys) > 10


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_every_size_has_a_default(family):
    keys = {key for name, key, _, _ in ROWS if name == family.name}
    assert set(CONFIG_KEY_OF_SIZE.values()) <= keys


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_a_configuration_that_says_nothing_is_the_models_of_its_class(family):
    read = read_architecture(Fields("config.json", {"model_type": family.model_type}))
    rows = {key: default for name, key, default, _ in ROWS if name == family.name}
    assert (read.hidden_size, read.layers) == (rows["hidden_size"], rows["num_hidden_layers"])
    assert read.kv_heads == (rows["num_key_value_heads"] or rows["num_attention_heads"])
    assert read.window(0) == (4096 if family.name == "mistral" else None)


@pytest.mark.parametrize(("family", "key", "default", "takes_null"), ROWS)
def test_a_null_is_kept_where_the_class_takes_it_and_refused_elsewhere(family, key, default, takes_null):
    keys = next(keys_of(known) for known in ALL if known.name == family)
    config = Fields("config.json", {key: None})
    if takes_null:
        assert completed(config, family, keys).values[key] is None
    else:
        with pytest.raises(SourceError, match=f'config.json "{key}" is null'):
            completed(config, family, keys)
    assert completed(Fields("config.json", {}), family, keys).values[key] == default
