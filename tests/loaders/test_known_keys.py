"""A key of a model's file is used, known to have no effect, or refused by name."""

import pytest

from loaders.errors import SourceError
from loaders.source.fields import Fields
from loaders.source.known_keys import Keys, check_keys

KEYS = Keys(used=("hidden_size",), harmless_at={"scale": (1, 1.0), "bias": (False,)}, harmless=("name", "general.*"))


def check(prefix: str = "", **values) -> None:
    check_keys(Fields("config.json", values, prefix), KEYS)


@pytest.mark.parametrize(
    "known",
    [
        {"hidden_size": 7},
        {"scale": 1},
        {"scale": 1.0},
        {"bias": False},
        {"name": ["anything"]},
        {"general.author": "someone"},
        {"bias": None},
        {"unheard_of": None},
    ],
)
def test_a_key_that_is_known_at_its_value_passes(known: dict):
    check(**known)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"unheard_of": 0}, 'config.json "unheard_of" is not known here'),
        ({"generally": 1}, '"generally" is not known here'),
        ({"scale": 2}, '"scale" is 2, which is not supported'),
        ({"scale": True}, '"scale" is True, which is not supported'),
        ({"bias": 0}, '"bias" is 0, which is not supported'),
        ({"bias": {"a": 1}}, '"bias" is an object, which is not supported'),
    ],
)
def test_every_other_key_or_value_is_refused_by_name(given: dict, message: str):
    with pytest.raises(SourceError, match=message):
        check(**given)


def test_keys_of_another_prefix_are_left_alone():
    check("llama.", **{"llama.hidden_size": 1, "other.unheard_of": 1})
    with pytest.raises(SourceError, match=r'"llama.unheard_of" is not known here'):
        check("llama.", **{"llama.unheard_of": 1})


def test_tables_are_joined():
    joined = KEYS | Keys(used=("layers",), harmless_at={"scale": (2,)}, harmless=("note",))
    check_keys(Fields("config.json", {"hidden_size": 1, "layers": 1, "scale": 2, "note": 1}), joined)
