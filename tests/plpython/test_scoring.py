"""Scores of the tiny Qwen2 of tests/fixtures/families, against transformers' logits of it."""

import json
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

EXPECTED = Path(__file__).parent.parent / "fixtures" / "logprobs" / "expected.json"  # from transformers
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


@pytest.fixture
def known():
    return json.loads(EXPECTED.read_text(encoding="utf-8"))["qwen2"]


def test_log_probabilities_and_ranks_are_those_of_transformers(model, known):
    positions, tokens, texts, logprobs, ranks = zip(*scoring.logprobs(known["text"]), strict=True)
    assert positions == tuple(range(len(known["tokens"])))
    assert list(tokens) == known["tokens"] and "".join(texts).endswith("birds sang!")
    assert logprobs[0] is None and logprobs[1:] == pytest.approx(known["logprobs"][1:], abs=1e-4)
    assert list(ranks) == known["ranks"]
    assert scoring.perplexity(known["text"]) == pytest.approx(known["perplexity"], rel=1e-4)


def test_a_token_before_the_text_gives_its_first_token_a_log_probability(model, known):
    model.tokenizer.before = [model.tokens[0]]
    rows = scoring.logprobs(known["text"])
    assert [row[:2] for row in rows] == list(enumerate(known["tokens"]))
    logits = scoring.logits([model.tokens[0], *known["tokens"]])
    for (_, token, _, logprob, _), (_, scores, _) in zip(rows, logits, strict=False):
        assert logprob == pytest.approx(scoring.log_softmax(np.frombuffer(scores, "<f4"))[token], abs=1e-6)


def test_only_one_chunk_of_logits_is_held(model, known, monkeypatch):
    computed = []
    forward = model.engine.forward
    monkeypatch.setattr(
        model.engine,
        "forward",
        lambda tokens, *rest, **more: computed.append(len(tokens)) or forward(tokens, *rest, **more),
    )
    total = len(scoring.logprobs(2 * known["text"]))
    assert max(computed) == scoring.PREFILL_CHUNK and sum(computed) == total - 1


def test_what_has_no_log_probability_has_no_perplexity(model):
    for text in (None, "", "a"):
        assert [row[3] for row in scoring.logprobs(text)] == [None] * len(text or "")
        assert scoring.perplexity(text) is None


def test_an_enormous_perplexity_is_a_number(model, monkeypatch):
    monkeypatch.setattr(scoring, "_scores", lambda *_: iter([(-1e30, 2)]))
    assert 1e307 < scoring.perplexity("ab") < float("inf")


@given(npst.arrays(np.float32, st.integers(1, 40), elements=st.integers(-3, 3).map(float)), st.integers(0, 39))
def test_a_rank_is_the_place_among_the_largest(logits, token):
    token %= len(logits)
    assert scoring.largest(logits, len(logits))[scoring.rank(logits, token) - 1] == token


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
        ("53400", scoring.logprobs, "a" * (4 * len(too_many))),
        ("53400", scoring.perplexity, "a" * (4 * len(too_many))),
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
