"""The compiled encoder against sentence-transformers and the reference, whatever shares a pass and however computed."""

import json
from pathlib import Path

import numpy as np
import pytest

from loaders.reader import read_model
from plpython.engine.encoder import ENCODER_PASS_TOKENS, CompiledEncoder
from plpython.model import encodings
from plpython.reference import operators
from plpython.reference.encoder import NumpyEncoder
from plpython.server.errors import ModelError
from plpython.weights.packed_model import pack_model

ENCODERS = Path(__file__).parent.parent / "fixtures" / "encoders"


class Case:
    """A tiny encoder with both engines; matrices of a `type` where one is given, which the reference decodes."""

    def __init__(self, name, type=None):
        model = read_model(ENCODERS / name)
        tensors = {t.name: (t.type, t.shape, bytes(t.data)) for t in model.tensors}
        arrays = {n: encodings.decode(t, np.frombuffer(raw, np.uint8), shape) for n, (t, shape, raw) in tensors.items()}
        if type is not None:
            for n, array in arrays.items():
                if array.ndim == 2:
                    tensors[n] = type, array.shape, bytes(encodings.encode(type, array))
                    arrays[n] = encodings.decode(type, np.frombuffer(tensors[n][2], np.uint8), array.shape)
        self.architecture = model.architecture
        positions = arrays["position_embd.weight"] + arrays["token_types.weight"][0]
        self.reference = NumpyEncoder(model.architecture, arrays)
        self.engine = CompiledEncoder(model.architecture, pack_model(tensors), positions, 1, 2)
        expected = json.loads((ENCODERS / name / "expected.json").read_text())
        self.tokens, self.embeddings = expected["tokens"], np.array(expected["embeddings"], np.float32)

    def embed(self, states):
        vector = operators.pooled(states, self.architecture.pooling)
        return operators.normalized(vector) if self.architecture.normalize else vector


@pytest.fixture(scope="module", params=["mean", "cls"])
def case(request):
    return Case(request.param)


def texts_of(lengths, vocabulary=90):
    random = np.random.default_rng(5)
    return [random.integers(0, vocabulary, length) for length in lengths]


def test_embeddings_are_those_of_sentence_transformers(case):
    embeddings = np.array([case.embed(states) for states in case.engine.states(case.tokens)])
    np.testing.assert_allclose(embeddings, case.embeddings, rtol=0, atol=5e-6)


def test_vectors_are_those_of_the_reference_at_every_length(case):
    texts = texts_of(range(1, 33))
    for ours, theirs in zip(case.engine.states(texts), case.reference.states(texts), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "type"), [("mean", None), ("cls", None), ("mean", "Q8_0"), ("mean", "Q4_0"), ("mean", "Q5_0")]
)
def test_a_text_has_the_same_bits_alone_and_among_others_and_with_any_threads(name, type):
    engine, texts = Case(name, type).engine, texts_of([7, 32, 2, 9, 31, 1, 20] * 6)
    assert sum(map(len, texts)) > ENCODER_PASS_TOKENS
    together = engine.states(texts)
    engine.batch_threads = 1
    for text, states in zip(texts, together, strict=True):
        np.testing.assert_array_equal(engine.states([text])[0], states)


def test_weights_in_eight_bits_give_embeddings_close_to_the_decoded_ones():
    case = Case("mean", "Q8_0")
    for ours, theirs in zip(case.engine.states(case.tokens), case.reference.states(case.tokens), strict=True):
        assert float(case.embed(ours) @ case.embed(theirs)) > 0.99999


def test_a_checkpoint_can_end_the_call_and_the_next_is_whole(case):
    def cancel():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        case.engine.states(case.tokens, cancel)
    np.testing.assert_array_equal(case.engine.states(case.tokens[:1])[0], case.engine.states(case.tokens)[0])


def test_an_interrupt_is_seen_within_a_pass_and_the_pass_is_run_again(case):
    flag = np.ones(1, np.int32)
    calls = []
    interrupts, case.engine.interrupts = case.engine.interrupts, (flag.ctypes.data, 0)
    try:
        states = case.engine.states(case.tokens, lambda: calls.append(1))
    finally:
        case.engine.interrupts = interrupts
    assert len(calls) == 2  # before the pass, and when it stopped
    np.testing.assert_array_equal(states[1], case.engine.states(case.tokens)[1])


@pytest.mark.parametrize(
    ("tokens", "message"), [([], "at least one"), ([1000], "outside the vocabulary"), ([1] * 33, "positions")]
)
def test_tokens_that_cannot_be_embedded_are_an_error(case, tokens, message):
    with pytest.raises(ModelError, match=message):
        case.engine.states([tokens])
