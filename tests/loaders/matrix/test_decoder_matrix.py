"""Every cell of the decoder matrix: transformers' logits to 1e-4, or a refusal in one line."""

import json
from pathlib import Path

import numpy as np
import pytest

from loaders.errors import SourceError
from loaders.huggingface.folder import read_folder
from plpython.model import encodings
from plpython.reference.decoder import NumpyEngine
from plpython.server.errors import ModelError
from tests.loaders.matrix.cells import assert_named
from tests.loaders.matrix.decoder_cells import CELLS, Cell, write_folder

FIXTURES = Path(__file__).parents[2] / "fixtures"
ANSWERS = json.loads((FIXTURES / "huggingface_matrix" / "decoders.json").read_text())
TOKENIZER = (FIXTURES / "families" / "llama2" / "tokenizer.json").read_text()
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def fixture() -> dict[str, np.ndarray]:
    """tokens, transformers' logits [row, position, vocabulary] of the last positions, and weights as base/tensor."""
    files = [FIXTURES / "huggingface_matrix" / name for name in ("decoders.npz", "weights.npz")]
    return {name: array for file in files for name, array in np.load(file).items()}


@pytest.fixture
def folder(fixture, tmp_path):
    """folder(cell) -> the cell as a folder with a tokenizer."""

    def write(cell: Cell) -> Path:
        weights = {n.removeprefix(f"{cell.base}/"): t for n, t in fixture.items() if n.startswith(f"{cell.base}/")}
        write_folder(cell, weights, tmp_path)
        (tmp_path / "tokenizer.json").write_text(TOKENIZER)
        return tmp_path

    return write


def test_every_cell_has_an_answer_and_no_answer_is_left_over():
    assert [cell.id for cell in CELLS] == list(ANSWERS)
    assert len(CELLS) >= 130


@pytest.mark.parametrize("cell", [c for c in CELLS if not c.refusal and "logits" in ANSWERS[c.id]], ids=lambda c: c.id)
def test_what_transformers_computes_is_computed(cell: Cell, folder, fixture):
    model, answer = read_folder(folder(cell)), dict(ANSWERS[cell.id])
    weights = {t.name: encodings.decode(t.type, t.data, t.shape) for t in model.tensors}
    engine = NumpyEngine(model.architecture, weights)
    logits = engine.forward(fixture["tokens"], engine.new_cache(), last_only=False)
    expected = fixture["logits"][answer.pop("logits")]
    np.testing.assert_allclose(logits[-len(expected) :], expected, rtol=0, atol=TOLERANCE)
    config = model.architecture.to_config()
    assert {name: config[name] for name in answer} == answer


@pytest.mark.parametrize("cell", [c for c in CELLS if c.refusal or "refused" in ANSWERS[c.id]], ids=lambda c: c.id)
def test_what_transformers_refuses_or_nobody_here_computes_is_refused_in_one_line(cell: Cell, folder):
    with pytest.raises((SourceError, ModelError)) as problem:
        read_folder(folder(cell))
    assert_named(str(problem.value), cell.refusal or cell.config)


def test_a_cell_that_is_refused_here_alone_says_why():
    alone = [cell for cell in CELLS if cell.refusal]
    assert [cell.id for cell in alone if "refused" in ANSWERS[cell.id]] == []
