"""Which model may be a draft, and how much memory its KV cache has."""

import dataclasses
import json
from types import SimpleNamespace

import pytest

from plpython.model.tokenizer import Tokenizer
from plpython.session import drafts, models, prefixes
from tests.plpython.model_store import refusal
from tests.plpython.stories import STORIES
from tests.plpython.test_generation import byte_tokenizer


@pytest.fixture
def tokenizers_of(store, monkeypatch):
    """{model: Tokenizer}; models with the same id of a tokenizer have the same one, which nobody reads."""
    given = {}
    monkeypatch.setattr(drafts, "_alike", set())
    monkeypatch.setattr(models.Model, "tokenizer", property(lambda model: given[model.name]))
    return given


def test_a_model_with_the_same_stored_tokenizer_may_be_a_draft(store, tokenizers_of):
    store.add("large")
    store.add("small")
    assert drafts.model_of("small", models.resolve("large")).name == "small"
    assert drafts.model_of("large", models.resolve("large")).name == "large"


def test_a_model_with_the_same_tokens_may_be_a_draft_whatever_else_its_tokenizer_says(store, tokenizers_of):
    store.add("large")
    store.add("small")
    store.rows[1]["tokenizer_id"] = 2
    tokenizers_of |= {"large": byte_tokenizer(), "small": byte_tokenizer(eos_ids=[], vocabulary_size=300)}
    assert drafts.model_of("small", models.resolve("large")).name == "small"
    tokenizers_of.clear()  # it is known from now on
    assert drafts.model_of("small", models.resolve("large")).name == "small"


def test_a_model_with_other_tokens_is_refused_with_the_first_that_differs(store, tokenizers_of):
    store.add("large")
    store.add("small")
    store.rows[1]["tokenizer_id"] = 2
    definition = json.loads(byte_tokenizer()._library.to_str())
    definition["added_tokens"] = definition["added_tokens"][:1]
    tokenizers_of |= {"large": byte_tokenizer(), "small": Tokenizer(json.dumps(definition))}
    error = refusal("22023", drafts.model_of, "small", models.resolve("large"))
    assert error.message == 'model "small" cannot be a draft of model "large": it has another tokenizer'
    assert error.detail == "token 257 is nothing for the draft, '<bos>' for the model"
    assert "llm.quantize" in error.hint


def test_the_first_token_that_differs_is_found():
    library = json.loads(byte_tokenizer()._library.to_str())
    vocabulary = library["model"]["vocab"]
    vocabulary["a"], vocabulary["b"] = vocabulary["b"], vocabulary["a"]
    assert Tokenizer(json.dumps(library)).first_difference(byte_tokenizer()) == (ord("a"), "b", "a")
    assert byte_tokenizer().first_difference(byte_tokenizer()) is None


@pytest.mark.parametrize(
    ("megabytes", "longest", "context", "positions"),
    [(None, 2000, 2048, 2048), (4, 0, 2048, 1638), (4, 1000, 2048, 638), (4, 1638, 2048, 0), (4, 5000, 2048, 0)],
)
def test_a_draft_has_the_memory_that_the_longest_text_leaves(store, limits, megabytes, longest, context, positions):
    """A position takes 5 layers x 4 heads x 16 numbers x 2 for keys and values x 4 bytes = 2,560 bytes here."""
    limits["batch_mb"] = megabytes
    engine = SimpleNamespace(kv_dtype="float32")
    architecture = dataclasses.replace(STORIES, head_dim=16, context_length=context)
    assert architecture.kv_bytes("float32") == 2560
    model = SimpleNamespace(architecture=architecture, engine=engine, hash=b"", name="a")
    draft = drafts.Draft.__new__(drafts.Draft)
    draft._draft = draft._model = model
    assert draft._limits(longest).positions == positions


def test_a_draft_knows_how_many_times_smaller_it_is(store):
    draft = drafts.Draft.__new__(drafts.Draft)
    large, small = (dataclasses.replace(STORIES, layers=layers, vocabulary_size=16) for layers in (20, 2))
    draft._model, draft._draft = (
        SimpleNamespace(architecture=a, engine=SimpleNamespace(kv_dtype="float32")) for a in (large, small)
    )
    assert 9 < draft._limits(10).smaller < 10


def test_how_a_draft_did_is_remembered_until_the_session_forgets_its_client(store):
    store.add("large")
    store.add("small")
    draft = drafts.Draft.__new__(drafts.Draft)
    draft._model, draft._draft = models.resolve("large"), models.resolve("small")
    first = draft.pace(8, True)
    assert draft.pace(8, True) is first and draft.pace(8, False) is not first
    store.role = "bob"
    assert draft.pace(8, True) is not first
    store.role = "alice"
    prefixes.forget()
    assert draft.pace(8, True) is not first
