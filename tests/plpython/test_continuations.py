"""Probabilities of answers behind a prompt: against transformers, and the same bits however they are computed."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders.huggingface.folder import read_folder
from plpython.engine.decoder import CompiledEngine
from plpython.generate.continuations import Answers, Scorer
from plpython.model import encodings
from plpython.reference.decoder import NumpyEngine
from plpython.server import errors
from plpython.session.prefixes import Stats
from plpython.weights.packed_model import pack_model
from tests.plpython.toy_engine import VOCABULARY, ToyBatchEngine, ToyCache, ToyEngine

FIXTURES = Path(__file__).parent.parent / "fixtures"
EXPECTED = json.loads((FIXTURES / "continuations" / "expected.json").read_text(encoding="utf-8"))["tokens"]
TOKENS = st.lists(st.integers(0, 3), min_size=1, max_size=5)


class ToyBatch(ToyBatchEngine):
    """With the logits after every token."""

    def forward_batch(self, rows, last_only=True, checkpoint=None):
        assert len({id(cache) for _, cache in rows}) == len(rows)
        self.passes.append([len(tokens) for tokens, _ in rows])
        return np.concatenate([self._computed(tokens, cache)[-1 if last_only else 0 :] for tokens, cache in rows])


def engines():
    source = read_folder(FIXTURES / "families" / "qwen2")
    weights = {t.name: encodings.decode(t.type, t.data, t.shape) for t in source.tensors}
    tensors = {t.name: (t.type, t.shape, bytes(t.data)) for t in source.tensors}
    return {
        "numpy": NumpyEngine(source.architecture, weights),
        "compiled": CompiledEngine(source.architecture, pack_model(tensors)),
    }


def one_by_one(engine, prompt, answer):
    """The log-probability of an answer by forward passes over everything, one for each of its tokens."""
    total = 0.0
    for at, token in enumerate(answer):
        logits = engine.forward([*prompt, *answer[:at]], engine.new_cache())[-1].astype(np.float64)
        total += logits[token] - np.log(np.exp(logits).sum())
    return total


@pytest.mark.parametrize("name", ["numpy", "compiled"])
def test_log_probabilities_are_those_of_transformers(name):
    scorer = Scorer(engines()[name], Answers(EXPECTED["answers"]), Stats())
    found = scorer.logprobs([row["prompt"] for row in EXPECTED["rows"]])
    np.testing.assert_allclose(found, [row["logprobs"] for row in EXPECTED["rows"]], rtol=0, atol=1e-4)


@given(st.lists(TOKENS, min_size=1, max_size=40, unique_by=tuple), st.lists(TOKENS, min_size=1, max_size=4))
def test_any_answers_are_scored_as_one_token_at_a_time(answers, prompts):
    for engine in (ToyEngine(), ToyBatch()):
        found = Scorer(engine, Answers(answers), Stats()).logprobs(prompts)
        expected = [[one_by_one(ToyEngine(), prompt, answer) for answer in answers] for prompt in prompts]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_prompts_together_give_the_bits_that_they_give_alone():
    engine, answers = engines()["compiled"], Answers(EXPECTED["answers"])
    begins = EXPECTED["rows"][1]["prompt"]
    prompts = [[*begins, *row["prompt"][:8]] for row in EXPECTED["rows"]]
    together = Scorer(engine, answers, Stats()).logprobs(prompts)
    alone = [Scorer(engine, answers, Stats()).logprobs([prompt])[0] for prompt in prompts]
    assert [row.tobytes() for row in together] == [row.tobytes() for row in alone]


def test_what_prompts_begin_with_is_computed_once_and_what_is_known_not_at_all():
    head, tails = list(range(20)), ([50, 51], [52], [53, 54, 55])
    stats, engine = Stats(), ToyBatch()
    Scorer(engine, Answers([[1], [2, 3]]), stats).logprobs([head + tail for tail in tails])
    assert engine.passes == [[20], [2, 1, 3], [1, 1, 1]]
    assert (stats.prefilled, stats.reused) == (20 + 6, 3 * 20)
    known, engine = ToyCache(), ToyBatch()
    known.extend(head)
    Scorer(engine, Answers([[1]]), Stats(), known=lambda tokens: known.fork(20)).logprobs([[*head, 50, 51]])
    assert engine.passes == [[2]]


def test_what_answers_begin_with_is_computed_once():
    answers = Answers([[1], [1, 2, 3], [1, 2, 4], [1, 2], [5, 6], [7]])
    assert answers.runs == [(1, 2), (5,)]


def test_answers_of_many_tokens_are_computed_a_few_at_a_time():
    engine = ToyBatch()
    answers = [[n, *range(30)] for n in range(9)]
    Scorer(engine, Answers(answers), Stats()).logprobs([[1, 2]])
    assert engine.passes == [[2], *[[30, 30]] * 4, [30]]


def test_probabilities_add_up_to_one_and_an_answer_has_what_is_left_beside_a_longer_one():
    answers = Answers([[1], [1, 0], [2]])
    found = answers.probabilities(np.log([0.5, 0.2, 0.1]))
    np.testing.assert_allclose(found, [0.5, 1 / 3, 1 / 6], rtol=1e-12)
    chain = Answers([[1], [1, 2], [1, 2, 3]])
    np.testing.assert_allclose(chain.probabilities(np.log([0.8, 0.6, 0.1])), np.array([0.2, 0.5, 0.1]) / 0.8)


@given(st.lists(TOKENS, min_size=1, max_size=40, unique_by=tuple), TOKENS)
def test_probabilities_of_any_answers_add_up_to_one(answers, prompt):
    answers = Answers(answers)
    found = answers.probabilities(Scorer(ToyBatch(), answers, Stats()).logprobs([prompt])[0])
    assert found.sum() == pytest.approx(1, abs=1e-12) and (found >= 0).all()


def test_an_answer_that_is_very_unlikely_leaves_the_others_their_probabilities():
    found = Answers([[1], [2], [3]]).probabilities(np.array([-2000.0, -2000.0, -9000.0]))
    assert found.tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize("kind", [ToyEngine, ToyBatch])
def test_logits_that_are_not_finite_are_the_error_of_their_prompt_alone(kind):
    scorer = Scorer(kind(ill_after=9), Answers([[1], [2, 3]]), Stats(), model="m")
    fine, ill = scorer.logprobs([[4, 5], [4, 9]])
    assert fine.shape == (2,) and isinstance(ill, errors.ModelError) and ill.sqlstate == "XX001"
    behind = Scorer(kind(ill_after=2), Answers([[1], [2, 3]]), Stats()).logprobs([[4, 5]])[0]
    assert isinstance(behind, errors.ModelError)


def test_the_last_prompt_is_handed_back_with_its_cache():
    scorer = Scorer(ToyBatch(), Answers([[VOCABULARY - 1], [2, 3]]), Stats())
    scorer.logprobs([[1, 2, 3], [4, 5]])
    tokens, cache = scorer.last
    assert tokens == [4, 5] and cache.tokens == [4, 5]
