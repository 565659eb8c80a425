"""Which model a call means, over a store in memory."""

import hashlib

import pytest

from plpython.session import model as loaded_model
from plpython.session import models
from tests.plpython.model_store import refusal


def test_a_model_is_found_by_its_name(store):
    store.add("a")
    store.add("b")
    assert models.resolve("b").name == "b"


def test_a_name_that_is_not_there_is_an_error_that_names_it(store):
    store.add("a")
    assert '"c"' in refusal("42704", models.resolve, "c").message


def test_without_a_name_the_default_model_is_meant(store):
    for name in "abc":
        store.add(name)
    assert models.resolve().name == "a"
    store.defaults["decoder"] = "b"
    assert models.resolve().name == models.decoder().name == "b"


def test_without_a_model_there_is_an_error_with_the_next_step(store):
    assert "hartonomous load" in refusal("42704", models.resolve).hint


@pytest.mark.parametrize("meaning", [models.resolve, models.decoder, models.embedder])
def test_no_other_model_takes_the_place_of_a_default_that_was_dropped(store, meaning):
    store.add("a")
    store.add("b")
    del store.rows[0]
    assert "llm.set_default_model" in refusal("42704", meaning).hint
    store.add("c")
    refusal("42704", meaning)


def test_each_kind_has_a_default_of_its_own(store):
    store.add("a")
    assert models.embedder().name == "a"
    store.add("e", kind="encoder")
    assert [meant().name for meant in (models.resolve, models.decoder)] == ["a", "a"]
    assert models.embedder().name == "e"
    store.add("e2", kind="encoder")
    assert models.embedder().name == "e"


def test_a_session_keeps_the_models_it_used_last(store):
    for name in "abcd":
        store.add(name)
    first = {name: models.resolve(name) for name in "abc"}
    assert models.resolve("a") is first["a"]
    models.resolve("d")
    assert models.resolve("a") is first["a"]
    assert models.resolve("c") is first["c"]
    assert models.resolve("b") is not first["b"]


def test_what_reads_stored_numbers_makes_no_engine(store, monkeypatch):
    made = property(lambda model: pytest.fail("an engine packs all weights"))
    monkeypatch.setattr(loaded_model.Model, "operators", made)
    store.add("a")
    assert models.current("a").name == "a"


def test_an_edited_model_is_another_one_and_a_rollback_brings_the_first_back(store):
    store.add("a")
    before, content = models.resolve("a"), store.rows[0]["hash"]
    store.rows[0]["hash"] = hashlib.sha256(b"edited").digest()
    assert models.resolve("a") is not before
    store.rows[0]["hash"] = content
    assert models.resolve("a") is before


def test_a_model_that_the_caller_no_longer_sees_is_gone_although_it_is_loaded(store):
    store.add("a")
    models.resolve("a")
    store.rows.clear()
    refusal("42704", models.resolve, "a")


def test_within_a_moment_the_tables_are_asked_once(store, monkeypatch):
    store.add("a")
    monkeypatch.setattr(models.statement_clock, "now", lambda: 1)
    model = models.current("a")
    store.rows.clear()
    assert models.current("a") is model
    monkeypatch.setattr(models.statement_clock, "now", lambda: 2)
    refusal("42704", models.current, "a")


def test_outside_of_a_server_no_two_moments_are_the_same():
    assert models.statement_clock.now() != models.statement_clock.now()


def test_models_of_the_same_content_are_loaded_once_and_have_the_name_that_was_asked_for(store):
    store.add("a")
    store.add("b")
    store.rows[1]["hash"] = store.rows[0]["hash"]
    loaded = models.resolve("a")
    assert models.resolve("b") is loaded and loaded.name == "b"
    assert models.resolve("a").name == "a"
