"""Scores of the tiny Qwen2 of tests/fixtures/families, against transformers' logits of it."""

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from loaders.huggingface.folder import read_folder
from plpython.model import encodings
from plpython.model.tokenizer import Tokenizer
from plpython.reference.decoder import NumpyEngine
from plpython.server import errors
from plpython.session import model as loaded_model
from plpython.session import models
from plpython.sql import scoring

QWEN2 = Path(__file__).parent.parent / "fixtures" / "families" / "qwen2"


class Model:
    """What session/model.Model is, with weights from a file."""

    name = "m"
    encode_at_most = loaded_model.Model.encode_at_most

    def __init__(self):
        source = read_folder(QWEN2)
        self.architecture = source.architecture
        weights = {t.name: encodings.decode(t.type, t.data, t.shape) for t in source.tensors}
        self.engine = NumpyEngine(self.architecture, weights)
        self.tokenizer = Tokenizer(source.tokenizer_definition, source.tokenizer_settings)
        expected = np.load(QWEN2 / "expected.npz")
        self.tokens, self.expected = expected["tokens"].tolist(), expected["logits"]


class Alone:
    """A call that waits for nobody."""

    running = staticmethod(nullcontext)

    def checkpoint(self):
        """Nothing interrupts it."""


@pytest.fixture
def model(monkeypatch):
    model = Model()
    monkeypatch.setattr(models, "decoder", lambda name=None: model)
    monkeypatch.setattr(scoring.admission, "Call", Alone)
    return model


def test_logits_are_those_of_transformers_at_every_position(model):
    rows = list(scoring.logits(model.tokens))
    assert [position for position, _, _ in rows] == list(range(len(model.tokens)))
    logits = np.array([np.frombuffer(row, "<f4") for _, row, _ in rows])
    np.testing.assert_allclose(logits, model.expected, rtol=0, atol=1e-4)


def test_logits_are_computed_as_they_are_fetched(model, monkeypatch):
    computed = []
    forward = model.engine.forward
    monkeypatch.setattr(
        model.engine,
        "forward",
        lambda tokens, *rest, **more: computed.append(len(tokens)) or forward(tokens, *rest, **more),
    )
    rows = scoring.logits(model.tokens)
    next(rows)
    assert computed == [64] and len(model.tokens) > 64


def test_next_tokens_rank_by_logit_and_their_probabilities_are_softmax(model):
    rows = list(scoring.next_tokens("a", model.architecture.vocabulary_size))
    assert [rank for rank, *_ in rows] == list(range(1, model.architecture.vocabulary_size + 1))
    logits = [row[3] for row in rows]
    assert logits == sorted(logits, reverse=True)
    assert np.exp([row[4] for row in rows]).sum() == pytest.approx(1, abs=1e-9)
    assert rows[1][3] - rows[0][3] == pytest.approx(rows[1][4] - rows[0][4], abs=1e-6)
    assert len(list(scoring.next_tokens("a"))) == 10


def test_null_has_no_scores(model):
    assert list(scoring.next_tokens(None)) == []
    assert list(scoring.logits(None)) == []
    assert list(scoring.logits([])) == []


def test_arguments_out_of_range_are_named(model):
    too_many = [0] * (model.architecture.context_length + 2)
    for sqlstate, function, *arguments in (
        ("22023", scoring.next_tokens, "a", 0),
        ("22023", scoring.next_tokens, "a", model.architecture.vocabulary_size + 1),
        ("22023", scoring.logits, [-1]),
        ("22023", scoring.logits, [model.architecture.vocabulary_size]),
        ("53400", scoring.logits, too_many),
        ("53400", scoring.next_tokens, "a" * (4 * len(too_many))),
    ):
        with pytest.raises(errors.ModelError) as error:
            function(*arguments)  # before any row is fetched: PL/Python keeps the message of no later error
        assert error.value.sqlstate == sqlstate


def test_log_softmax_of_a_known_row():
    assert scoring.log_softmax(np.float32([1, 2, 3])).round(6).tolist() == [-2.407606, -1.407606, -0.407606]


@given(npst.arrays(np.float32, st.integers(1, 40), elements=st.integers(-3, 3).map(float)), st.integers(1, 40))
def test_the_largest_are_the_first_of_a_full_stable_sort(logits, k):
    k = min(k, len(logits))
    assert scoring.largest(logits, k) == np.argsort(-logits, kind="stable")[:k].tolist()
