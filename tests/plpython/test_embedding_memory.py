"""The text of a constant is embedded once a statement."""

from types import SimpleNamespace

import numpy as np
import pytest

from plpython.server import connection, statement_clock
from plpython.sql import embeddings


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were computed, in order."""
    texts = []
    model = SimpleNamespace(hash=b"m", engine="numpy")

    def vectors(tokens, *_):
        texts.extend(tokens)
        return [np.full(2, len(texts), np.float32)]

    monkeypatch.setattr(embeddings.ceilings, "require_bytes", lambda *_: None)
    monkeypatch.setattr(embeddings, "_chosen", lambda name, pooling: (model, pooling or "mean"))
    monkeypatch.setattr(embeddings, "_checked_tokens", lambda model, text: text)
    monkeypatch.setattr(embeddings, "_vectors", vectors)
    monkeypatch.setattr(embeddings.admission, "Call", lambda: None)
    monkeypatch.setattr(statement_clock, "now", lambda: 1)
    return texts


def test_a_text_is_computed_once_a_statement(computed: list[str]):
    for row in ("a", "b", "c", "d", "e"):
        embeddings.embed(row)
        assert embeddings.embed("constant") == [2.0, 2.0]
    assert computed == ["a", "constant", "b", "c", "d", "e"]


def test_the_next_statement_and_another_pooling_compute_it_again(computed: list[str], monkeypatch: pytest.MonkeyPatch):
    embeddings.embed("a")
    embeddings.embed("a", pooling="cls")
    monkeypatch.setattr(statement_clock, "now", lambda: 2)
    embeddings.embed("a")
    assert computed == ["a", "a", "a"]


def test_few_vectors_are_kept(computed: list[str]):
    for text in map(str, range(20)):
        embeddings.embed(text)
    assert len(embeddings._known[1]) == embeddings.VECTORS_KEPT


def test_the_texts_of_a_client_are_forgotten_with_all_else(computed: list[str]):
    embeddings.embed("a")
    assert embeddings.forget in connection._forgetting
    embeddings.forget()
    embeddings.embed("a")
    assert computed == ["a", "a"]
