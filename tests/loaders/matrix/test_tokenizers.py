"""Tokenizer files that contradict each other, leave things out or go to extremes: the reference's ids, or refused."""

import copy
from pathlib import Path

import pytest

from loaders.errors import SourceError
from loaders.huggingface.tokenizer import read_tokenizer
from loaders.source.fields import Fields, read_json
from plpython.model.tokenizer import Tokenizer
from plpython.server.errors import ModelError
from tests.loaders.matrix.cells import assert_named, read_matrix, write_folder

CELLS = read_matrix(Path(__file__).parents[2] / "fixtures" / "tokenizers" / "cells.json")


def read(folder: Path, files: dict) -> Tokenizer:
    write_folder(folder, files)
    config = Fields("config.json", read_json(folder / "config.json"))
    rows = config.integer("vocab_size")
    return Tokenizer(*read_tokenizer(folder, config, rows, config.text("model_type") == "bert"))


@pytest.mark.parametrize("cell", [cell for cell in CELLS if "ids" in cell], ids=lambda cell: cell["name"])
def test_a_text_has_the_ids_of_transformers_and_ends_where_its_does(tmp_path, cell):
    tokenizer = read(tmp_path, cell["files"])
    assert {text: tokenizer.encode(text, parse_special=True) for text in cell["ids"]} == cell["ids"]
    if cell["files"]["config.json"]["model_type"] != "bert":
        assert list(tokenizer.eos_ids) == cell["ends"]


@pytest.mark.parametrize("cell", [cell for cell in CELLS if "refused" in cell], ids=lambda cell: cell["name"])
def test_what_is_unclear_or_not_supported_is_refused_in_one_line(tmp_path, cell):
    with pytest.raises((SourceError, ModelError)) as problem:
        read(tmp_path, cell["files"])
    assert len(str(problem.value)) < 300
    assert_named(str(problem.value), cell["changes"])


ODD = (None, True, -1, 1.5, 10**400, "x", "\0", "\ud800", [], {}, [1], [[]], {"a": 1}, {"id": 0, "content": "<s>"})
BESIDE = {  # a value for each key, so that each can be replaced
    "tokenizer_config.json": {
        **dict.fromkeys(("bos_token", "unk_token"), "<s>"),
        **dict.fromkeys(
            ("add_bos_token", "add_eos_token", "add_prefix_space", "do_lower_case", "strip_accents"), False
        ),
        **{"additional_special_tokens": ["<s>"], "extra_special_tokens": ["<s>"], "tokenizer_class": "LlamaTokenizer"},
        **{"added_tokens_decoder": {"0": {"content": "<s>", "special": True}}, "chat_template": "", "unheard_of": None},
        **{"model_max_length": 5, "truncation_side": "right", "sp_model_kwargs": {}},
    },
    "special_tokens_map.json": {"pad_token": {"content": "<s>", "lstrip": False}, "additional_special_tokens": ["<s>"]},
    "added_tokens.json": {"<s>": 0},
    "generation_config.json": {"bos_token_id": 0, "eos_token_id": [1, 2], "suppress_tokens": [], "temperature": 1.0},
}


def places(value, at: str = "") -> list[str]:
    """The dotted paths to all parts of a document; of a large table to its first entries."""
    inner = list(value.items())[:3] if isinstance(value, dict) and len(value) > 20 else value
    parts = dict(inner).items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = [path for key, part in parts for path in places(part, f"{at}.{key}" if at else str(key))]
    return [at, *found] if at else found


def with_odd_values() -> list[tuple[str, dict, str]]:
    """(base, files, what was replaced): every part of every file, each once for some of the odd values."""
    bases = {cell["base"]: cell["files"] for cell in CELLS if not cell["changes"] or "nothing" in cell["name"]}
    made = []
    for base in ("byte-level", "llama", "bert", "vocab.txt"):
        files = bases.get(base, bases["byte-level"]) | BESIDE
        for file, document in files.items():
            for n, place in enumerate(places(document) if isinstance(document, dict) else []):
                for odd in ODD[n % 3 :: 3]:
                    made.append((base, _replaced(files, file, place.split("."), odd), f"{file} {place} {odd!r:.20}"))
    return made


def _replaced(files: dict, file: str, keys: list[str], value) -> dict:
    files = files | {file: copy.deepcopy(files[file])}
    inner = files[file]
    for key in keys[:-1]:
        inner = inner[int(key) if isinstance(inner, list) else key]
    inner[int(keys[-1]) if isinstance(inner, list) else keys[-1]] = value
    return files


def test_whatever_stands_in_a_file_it_is_read_or_refused_in_one_line(tmp_path):
    """No exception of Python's or the library's, wherever a number, a list or a string stands that does not belong."""
    cases = with_odd_values()
    assert len(cases) > 1000
    for number, (_, files, what) in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            read(folder, files).encode("a b")
        except (SourceError, ModelError) as problem:
            assert len(str(problem)) < 400, what
        except Exception as problem:
            raise AssertionError(f"{what}: {problem!r}") from problem


def test_the_matrix_is_as_large_as_it_was():
    assert len(CELLS) >= 180
    assert len({cell["name"] for cell in CELLS}) == len(CELLS)
