"""llm.kv_type: what keys and values are kept as, for any session and any moment."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psycopg
import pytest

from tests.database.models import STORIES, call, loaded

TEXT = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
LOGITS = "SELECT llm.floats((row).logits) FROM llm.logits(llm.tokenize(%s, %s), %s) AS row"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[None]:
    """Story models, and the engine compiled."""
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    with loaded(loader_dsn, {"kv-F32": own_data / STORIES["stories"], "kv-F16": own_data / STORIES["stories-F16"]}):
        yield


@pytest.fixture
def session(user: psycopg.Connection) -> psycopg.Connection:
    user.execute("SET llm.engine = 'compiled'")
    return user


def logits(session: psycopg.Connection, kv_type: str, model: str = "kv-F16") -> np.ndarray:
    session.execute("SELECT set_config('llm.kv_type', %s, false)", [kv_type])
    return np.array([row[0] for row in session.execute(LOGITS, [TEXT, model, model])])


def test_sixteen_bits_are_the_default_of_all_but_f32_weights(session):
    assert np.array_equal(logits(session, "auto"), logits(session, "i16"))
    assert np.array_equal(logits(session, ""), logits(session, "i16"))
    assert np.array_equal(logits(session, "auto", "kv-F32"), logits(session, "f32", "kv-F32"))


@pytest.mark.parametrize("model", ["kv-F16", "kv-F32"])
def test_the_types_differ_in_the_last_digits_only(session, model):
    exact, rounded = logits(session, "f32", model), logits(session, "i16", model)
    assert 0 < np.abs(exact - rounded).max() < 0.05  # logits have a standard deviation of 7.4


def test_float32_keys_and_values_of_f16_weights_give_the_reference_of_numpy(session):
    exact = logits(session, "f32")
    session.execute("SET llm.engine = 'numpy'")
    np.testing.assert_allclose(exact, logits(session, "auto"), rtol=0, atol=1e-4)


def test_what_was_kept_as_one_type_is_not_continued_as_another(session):
    generate = "SELECT llm.generate(%s, 'kv-F16', 20, temperature => 0)"
    reused = "SELECT reused FROM llm.generation_stats()"
    for kv_type, again in (("f32", False), ("i16", False), ("f32", True), ("i16", True)):
        session.execute("SELECT set_config('llm.kv_type', %s, false)", [kv_type])
        call(session, generate, TEXT)
        assert (call(session, reused) > 0) == again


def test_a_handle_of_one_type_is_refused_for_another(session):
    session.execute("SET llm.kv_type = 'f32'")
    handle = call(session, "SELECT llm.new_kv_cache('kv-F16')")
    session.execute("SET llm.kv_type = 'i16'")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="belongs to another engine") as refusal:
        session.execute("SELECT llm.forward(llm.tokenize(%s, 'kv-F16'), 'kv-F16', %s)", [TEXT, handle])
    assert "llm.kv_type" in refusal.value.diag.message_detail


def test_an_unknown_type_is_an_error_that_names_the_known_ones(session):
    session.execute("SET llm.kv_type = 'f16'")
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="allowed are auto, f32, i16"):
        call(session, "SELECT llm.generate('Once', 'kv-F16', 1)")
    session.execute("RESET llm.kv_type")
    assert call(session, "SELECT llm.generate('Once', 'kv-F16', 1)") is not None
