"""Tokenizer files that contradict each other, leave things out or go to extremes: the reference's ids, or refused."""

from pathlib import Path

import pytest

from loaders.errors import SourceError
from loaders.fields import Fields, read_json
from loaders.huggingface_tokenizer import read_tokenizer
from plpython.errors import ModelError
from plpython.tokenizer import Tokenizer
from tests.loaders.matrix.cells import read_matrix, write_folder

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
    assert "\n" not in str(problem.value)
    assert len(str(problem.value)) < 300


def test_the_matrix_is_as_large_as_it_was():
    assert len(CELLS) >= 180
    assert len({cell["name"] for cell in CELLS}) == len(CELLS)
