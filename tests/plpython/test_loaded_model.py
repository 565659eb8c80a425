"""How a loaded model reads texts."""

import threading

import pytest

from plpython.session import model as loaded_model
from plpython.session import models


class StuckTokenizer:
    """Encodes a long text only when the test lets it."""

    def __init__(self):
        self.begun, self.go, self.thread = threading.Event(), threading.Event(), None

    def pieces(self, text, *_):
        return [(0, len(text))]

    def with_special(self, ids):
        return ids

    def encode(self, text, add_special, parse_special):
        self.thread = threading.current_thread()
        self.begun.set()
        assert len(text) < loaded_model.LONG_TEXT or self.go.wait()
        return [len(text), add_special, parse_special]


def test_a_short_text_is_encoded_at_once_and_a_long_one_in_a_thread(store):
    store.add("a")
    model, tokenizer = models.resolve("a"), StuckTokenizer()
    model.tokenizer = tokenizer
    assert model.encode("abc") == [3, True, False]
    assert tokenizer.thread is threading.current_thread()
    tokenizer.go.set()
    for _ in range(2):
        assert list(model.encode("a" * loaded_model.LONG_TEXT, False, True)) == [loaded_model.LONG_TEXT, False, True]
    assert tokenizer.thread is not threading.current_thread()
    assert model.tokenizer is tokenizer


def test_an_interrupt_need_not_wait_for_a_long_text_and_leaves_its_tokenizer_behind(store, monkeypatch):
    store.add("a")
    model, tokenizer = models.resolve("a"), StuckTokenizer()
    model.tokenizer = tokenizer

    def cancel():
        tokenizer.begun.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(loaded_model.interrupts, "checkpoint", cancel)
    with pytest.raises(KeyboardInterrupt):
        model.encode("a" * loaded_model.LONG_TEXT)
    assert "tokenizer" not in vars(model)
    tokenizer.go.set()
    tokenizer.thread.join()
