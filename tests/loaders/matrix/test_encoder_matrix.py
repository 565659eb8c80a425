"""Every cell of the encoder matrix: the embeddings of sentence-transformers, or a refusal in one line."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from loaders.errors import SourceError
from loaders.huggingface.folder import read_folder
from plpython.model import encodings
from plpython.model.tokenizer import Tokenizer
from plpython.reference import operators
from plpython.reference.encoder import NumpyEncoder
from plpython.server.errors import ModelError
from plpython.sql.embeddings import tokens_of
from tests.loaders.matrix.cells import assert_named
from tests.loaders.matrix.encoder_cells import ENCODER_CELLS, TEXTS, EncoderCell, write_encoder

FIXTURE = Path(__file__).parents[2] / "fixtures" / "huggingface_matrix"
ANSWERS = json.loads((FIXTURE / "encoders.json").read_text())
EMBEDDINGS = np.load(FIXTURE / "encoders.npz")["embeddings"]
TOLERANCE = 1e-4


@pytest.fixture
def folder(tmp_path):
    """folder(cell) -> the cell as a folder."""

    def write(cell: EncoderCell) -> Path:
        write_encoder(cell, tmp_path / "model")
        return tmp_path / "model"

    return write


def embeddings(folder: Path) -> np.ndarray:
    model = read_folder(folder)
    weights = {t.name: encodings.decode(t.type, np.frombuffer(t.data, np.uint8), t.shape) for t in model.tensors}
    tokenizer, architecture = Tokenizer(model.tokenizer_definition, model.tokenizer_settings), model.architecture
    loaded = SimpleNamespace(
        architecture=architecture,
        tokenizer=tokenizer,
        first_tokens=lambda text, count: tokenizer.encode(text, add_special=False)[:count],
    )
    loaded.longest_text = architecture.longest_text
    engine = NumpyEncoder(architecture, weights)
    pooled = [operators.pooled(engine.states([tokens_of(loaded, text)])[0], architecture.pooling) for text in TEXTS]
    return np.array([operators.normalized(vector) if architecture.normalize else vector for vector in pooled])


def test_every_cell_has_an_answer_and_no_answer_is_left_over():
    assert [cell.name for cell in ENCODER_CELLS] == list(ANSWERS)
    assert len(ENCODER_CELLS) >= 90


@pytest.mark.parametrize(
    "cell", [cell for cell in ENCODER_CELLS if "embeddings" in ANSWERS[cell.name]], ids=lambda cell: cell.name
)
def test_what_sentence_transformers_embeds_is_embedded(cell: EncoderCell, folder):
    expected = EMBEDDINGS[ANSWERS[cell.name]["embeddings"]]
    np.testing.assert_allclose(embeddings(folder(cell)), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    "cell", [cell for cell in ENCODER_CELLS if "embeddings" not in ANSWERS[cell.name]], ids=lambda cell: cell.name
)
def test_what_it_refuses_or_nobody_here_computes_is_refused_in_one_line(cell: EncoderCell, folder):
    with pytest.raises((SourceError, ModelError)) as problem:
        read_folder(folder(cell))
    assert_named(str(problem.value), cell.refusal or cell.files)


def test_a_cell_that_is_refused_here_alone_says_why():
    assert [cell.name for cell in ENCODER_CELLS if cell.refusal and "refused" in ANSWERS[cell.name]] == []
