"""Which model a call means, over a store in memory."""

import hashlib

import pytest

from plpython import loaded_model, session_models
from tests.plpython.model_store import refusal


def test_a_model_is_found_by_its_name(store):
    store.add("a")
    store.add("b")
    assert session_models.resolve("b").name == "b"


def test_a_name_that_is_not_there_is_an_error_that_names_it(store):
    store.add("a")
    assert '"c"' in refusal("42704", session_models.resolve, "c").message


def test_without_a_name_the_default_model_is_meant(store):
    for name in "abc":
        store.add(name)
    assert session_models.resolve().name == "a"
    store.defaults["decoder"] = "b"
    assert session_models.resolve().name == session_models.decoder().name == "b"


def test_without_a_model_there_is_an_error_with_the_next_step(store):
    assert "hartonomous load" in refusal("42704", session_models.resolve).hint


@pytest.mark.parametrize("meaning", [session_models.resolve, session_models.decoder, session_models.embedder])
def test_no_other_model_takes_the_place_of_a_default_that_was_dropped(store, meaning):
    store.add("a")
    store.add("b")
    del store.rows[0]
    assert "llm.set_default_model" in refusal("42704", meaning).hint
    store.add("c")
    refusal("42704", meaning)


def test_each_kind_has_a_default_of_its_own(store):
    store.add("a")
    assert session_models.embedder().name == "a"
    store.add("e", kind="encoder")
    assert [meant().name for meant in (session_models.resolve, session_models.decoder)] == ["a", "a"]
    assert session_models.embedder().name == "e"
    store.add("e2", kind="encoder")
    assert session_models.embedder().name == "e"


def test_a_session_keeps_the_models_it_used_last(store):
    for name in "abc":
        store.add(name)
    first = {name: session_models.resolve(name) for name in "ab"}
    assert session_models.resolve("a") is first["a"]
    session_models.resolve("c")
    assert session_models.resolve("a") is first["a"]
    assert session_models.resolve("b") is not first["b"]


def test_what_reads_stored_numbers_makes_no_engine(store, monkeypatch):
    made = property(lambda model: pytest.fail("an engine packs all weights"))
    monkeypatch.setattr(loaded_model.Model, "operators", made)
    store.add("a")
    assert session_models.current("a").name == "a"


def test_an_edited_model_is_another_one_and_a_rollback_brings_the_first_back(store):
    store.add("a")
    before, content = session_models.resolve("a"), store.rows[0]["hash"]
    store.rows[0]["hash"] = hashlib.sha256(b"edited").digest()
    assert session_models.resolve("a") is not before
    store.rows[0]["hash"] = content
    assert session_models.resolve("a") is before


def test_a_model_that_the_caller_no_longer_sees_is_gone_although_it_is_loaded(store):
    store.add("a")
    session_models.resolve("a")
    store.rows.clear()
    refusal("42704", session_models.resolve, "a")


def test_within_a_moment_the_tables_are_asked_once(store, monkeypatch):
    store.add("a")
    monkeypatch.setattr(session_models.moment, "now", lambda: 1)
    model = session_models.current("a")
    store.rows.clear()
    assert session_models.current("a") is model
    monkeypatch.setattr(session_models.moment, "now", lambda: 2)
    refusal("42704", session_models.current, "a")


def test_outside_of_a_server_no_two_moments_are_the_same():
    assert session_models.moment.now() != session_models.moment.now()
