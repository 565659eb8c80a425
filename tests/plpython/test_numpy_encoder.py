"""The reference encoder on tiny random models, against the embeddings of sentence-transformers."""

import json
from pathlib import Path

import numpy as np
import pytest

from loaders.reader import read_model
from plpython.model import encodings
from plpython.model.tokenizer import Tokenizer
from plpython.reference import operators
from plpython.reference.encoder import NumpyEncoder
from plpython.server.errors import ModelError
from plpython.sql.embeddings import tokens_of

ENCODERS = Path(__file__).parent.parent / "fixtures" / "encoders"


class Loaded:
    """A folder as the session would have it; `texts`, `tokens` and `embeddings` are sentence-transformers'."""

    def __init__(self, folder):
        model = read_model(folder)
        self.architecture = model.architecture
        self.longest_text = model.architecture.longest_text
        self.tokenizer = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
        self.first_tokens = lambda text, count: self.tokenizer.encode(text, add_special=False)[:count]
        weights = {t.name: encodings.decode(t.type, np.frombuffer(t.data, np.uint8), t.shape) for t in model.tensors}
        self.engine = NumpyEncoder(model.architecture, weights)
        expected = json.loads((folder / "expected.json").read_text())
        self.texts, self.tokens = expected["texts"], expected["tokens"]
        self.embeddings = np.array(expected["embeddings"], np.float32)

    def embed(self, states):
        vector = operators.pooled(states, self.architecture.pooling)
        return operators.normalized(vector) if self.architecture.normalize else vector


@pytest.fixture(scope="module", params=["mean", "cls"])
def model(request):
    return Loaded(ENCODERS / request.param)


def test_texts_become_the_tokens_of_transformers(model):
    assert [tokens_of(model, text) for text in model.texts] == model.tokens


def test_embeddings_are_those_of_sentence_transformers(model):
    states = model.engine.states(model.tokens)
    embeddings = np.array([model.embed(rows) for rows in states])
    np.testing.assert_allclose(embeddings, model.embeddings, rtol=0, atol=3e-6)


def test_a_text_longer_than_the_model_reads_is_cut_and_keeps_its_end_token(model):
    tokens = tokens_of(model, "the cat " * 100)
    assert len(tokens) == model.longest_text
    assert tokens[0] == model.tokenizer.bos_id and tokens[-1] == model.tokenizer.eos_ids[0]


def test_control_tokens_that_a_text_spells_are_text(model):
    tokens = tokens_of(model, "a [SEP] b")
    assert tokens.count(model.tokenizer.eos_ids[0]) == 1


def test_a_token_outside_the_vocabulary_is_an_error(model):
    with pytest.raises(ModelError, match="outside the vocabulary"):
        model.engine.states([[model.architecture.vocabulary_size]])


def test_a_decoded_text_has_a_space_between_words_and_none_within(model):
    assert model.tokenizer.decode(tokens_of(model, "Under the mat")) == "under the mat"


@pytest.mark.parametrize(("x", "expected"), [(0.0, 0.0), (1.0, 0.8413447), (-1.0, -0.1586553), (3.0, 2.9959502)])
def test_gelu_is_x_times_the_normal_distributions_share_below_it(x, expected):
    assert operators.gelu(np.array([x], np.float32))[0] == pytest.approx(expected, abs=1e-6)


def test_layer_norm_gives_mean_0_and_variance_1_before_weight_and_bias():
    y = operators.layer_norm(np.array([[1.0, 2.0, 3.0, 6.0]], np.float32), np.float32(2.0), np.float32(5.0), 0.0)
    assert y.mean() == pytest.approx(5.0) and y.std() == pytest.approx(2.0)
