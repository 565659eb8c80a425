"""Which model a call means, and whose KV caches are whose, over a store in memory."""

import hashlib
import json
import threading
from pathlib import Path

import numpy as np
import pytest

from loaders.huggingface import read_folder
from plpython import errors, quant, runtime

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"


class Store:
    """llm_store.model in memory, as the caller sees it."""

    def __init__(self, plpy):
        self.rows, self.role = [], "alice"
        plpy.answers["WHERE m.name"] = lambda name: self.seen([row for row in self.rows if row["name"] == name])
        plpy.answers["ORDER BY m.is_default"] = lambda: self.seen(
            sorted(self.rows, key=lambda row: not row["is_default"])[:2]
        )
        plpy.answers["AS role"] = lambda: [{"role": self.role}]

    def seen(self, rows):
        return [{**row, "role": self.role} for row in rows]

    def add(self, name, family="qwen2", is_default=False):
        source = read_folder(FAMILIES / family)
        self.rows.append(
            {
                "id": len(self.rows) + 1,
                "name": name,
                "hash": hashlib.sha256(name.encode()).digest(),
                "is_default": is_default,
                "tokenizer_id": 1,
                "architecture": json.dumps(source.architecture.to_config()),
            }
        )


@pytest.fixture
def store(plpy, monkeypatch):
    source = read_folder(FAMILIES / "qwen2")
    weights = {t.name: quant.decode(t.type, t.data, t.shape) for t in source.tensors}
    monkeypatch.setattr(runtime.weights, "Weights", lambda model_id: weights)
    monkeypatch.setattr(runtime, "_models", type(runtime._models)())
    monkeypatch.setattr(runtime, "_caches", runtime.KVCaches())
    monkeypatch.setattr(runtime, "_current", (None, {}))
    return Store(plpy)


def refusal(sqlstate, function, *arguments):
    with pytest.raises(errors.ModelError) as error:
        function(*arguments)
    assert error.value.sqlstate == sqlstate
    return error.value


def test_a_model_is_found_by_its_name(store):
    store.add("a")
    store.add("b")
    assert runtime.resolve("b").name == "b"


def test_a_name_that_is_not_there_is_an_error_that_names_it(store):
    store.add("a")
    assert '"c"' in refusal("42704", runtime.resolve, "c").message


def test_without_a_name_the_default_model_is_meant(store):
    store.add("a")
    store.add("b", is_default=True)
    store.add("c")
    assert runtime.resolve().name == "b"


def test_without_a_name_and_a_default_the_only_model_is_meant(store):
    store.add("a")
    assert runtime.resolve().name == "a"


def test_without_a_name_and_a_choice_there_is_an_error_with_the_next_step(store):
    assert "hartonomous load" in refusal("42704", runtime.resolve).hint
    store.add("a")
    store.add("b")
    assert "llm.models" in refusal("42704", runtime.resolve).hint


def test_a_session_keeps_the_models_it_used_last(store):
    for name in "abc":
        store.add(name)
    first = {name: runtime.resolve(name) for name in "ab"}
    assert runtime.resolve("a") is first["a"]
    runtime.resolve("c")
    assert runtime.resolve("a") is first["a"]
    assert runtime.resolve("b") is not first["b"]


def test_an_edited_model_is_another_one_and_a_rollback_brings_the_first_back(store):
    store.add("a")
    before, content = runtime.resolve("a"), store.rows[0]["hash"]
    store.rows[0]["hash"] = hashlib.sha256(b"edited").digest()
    assert runtime.resolve("a") is not before
    store.rows[0]["hash"] = content
    assert runtime.resolve("a") is before


def test_a_model_that_the_caller_no_longer_sees_is_gone_although_it_is_loaded(store):
    store.add("a")
    runtime.resolve("a")
    store.rows.clear()
    refusal("42704", runtime.resolve, "a")


def test_within_a_moment_the_tables_are_asked_once(store, monkeypatch):
    store.add("a")
    monkeypatch.setattr(runtime.moment, "now", lambda: 1)
    model = runtime.current("a")
    store.rows.clear()
    assert runtime.current("a") is model
    monkeypatch.setattr(runtime.moment, "now", lambda: 2)
    refusal("42704", runtime.current, "a")


def test_outside_of_a_server_no_two_moments_are_the_same():
    assert runtime.moment.now() != runtime.moment.now()


def rows(model, n, value=0.0):
    a = model.architecture
    return np.full((n, a.kv_heads, a.head_dim), value, np.float32)


def test_a_kv_cache_returns_everything_up_to_the_last_position(store):
    store.add("a")
    model, cache = runtime.current_cache(runtime.new_kv_cache("a"), "a")
    cache.store(0, [0, 1], rows(model, 2, 1), rows(model, 2, 2))
    keys, values = cache.store(0, [2], rows(model, 1, 3), rows(model, 1, 4))
    assert keys[:, 0, 0].tolist() == [1, 1, 3] and values[:, 0, 0].tolist() == [2, 2, 4]


def test_storing_at_earlier_positions_forgets_what_followed(store):
    store.add("a")
    model, cache = runtime.current_cache(runtime.new_kv_cache("a"), "a")
    cache.store(0, range(5), rows(model, 5, 1), rows(model, 5))
    keys, _ = cache.store(0, [1, 2], rows(model, 2, 7), rows(model, 2))
    assert keys[:, 0, 0].tolist() == [1, 7, 7]
    refusal("22023", cache.store, 0, [4], rows(model, 1), rows(model, 1))


def test_a_layer_grows_without_losing_what_the_others_hold(store):
    store.add("a")
    model, cache = runtime.current_cache(runtime.new_kv_cache("a"), "a")
    for layer in range(2):
        cache.store(layer, range(64), rows(model, 64, layer + 1), rows(model, 64))
    cache.store(0, [64], rows(model, 1), rows(model, 1))
    keys, _ = cache.store(1, [64], rows(model, 1, 9), rows(model, 1))
    assert keys[:, 0, 0].tolist() == [2] * 64 + [9]


def test_a_gap_in_a_kv_cache_is_an_error_that_says_where(store):
    store.add("a")
    model, cache = runtime.current_cache(runtime.new_kv_cache("a"), "a")
    assert (
        "no positions 0 to 2 of layer 1"
        in refusal("22023", cache.store, 1, [3], rows(model, 1), rows(model, 1)).message
    )


def test_a_kv_cache_is_no_longer_than_the_context(store):
    store.add("a")
    model, cache = runtime.current_cache(None, "a")
    n = model.architecture.context_length + 1
    refusal("53400", cache.store, 0, range(n), rows(model, n), rows(model, n))


def test_the_handle_of_another_model_or_another_role_is_refused(store):
    store.add("a")
    store.add("b")
    handle = runtime.new_kv_cache("a")
    refusal("22023", runtime.current_cache, handle, "b")
    store.role = "mallory"
    refusal("42704", runtime.current_cache, handle, "a")
    assert not runtime.free_kv_cache(handle)
    store.role = "alice"
    assert runtime.free_kv_cache(handle)
    refusal("42704", runtime.current_cache, handle, "a")


def test_the_scratch_cache_is_not_shared_between_roles_or_models(store):
    store.add("a")
    store.add("b")
    model, scratch = runtime.current_cache(None, "a")
    scratch.store(0, [0], rows(model, 1), rows(model, 1))
    assert runtime.current_cache(None, "a")[1] is scratch
    store.role = "mallory"
    other = runtime.current_cache(None, "a")[1]
    refusal("22023", other.store, 0, [1], rows(model, 1), rows(model, 1))
    assert runtime.current_cache(None, "b")[1] is not other


def test_a_session_holds_a_limited_number_of_kv_caches(store, monkeypatch):
    store.add("a")
    monkeypatch.setattr(runtime, "KV_CACHES", 2)
    runtime.current_cache(None, "a")  # the scratch cache is not one of them
    handles = [runtime.new_kv_cache("a") for _ in range(2)]
    refusal("53400", runtime.new_kv_cache, "a")
    runtime.free_kv_cache(handles[0])
    assert runtime.new_kv_cache("a") not in handles


class StuckTokenizer:
    """Encodes a long text only when the test lets it."""

    def __init__(self):
        self.begun, self.go, self.thread = threading.Event(), threading.Event(), None

    def encode(self, text, add_special, parse_special):
        self.thread = threading.current_thread()
        self.begun.set()
        assert len(text) < runtime.LONG_TEXT or self.go.wait()
        return [len(text), add_special, parse_special]


def test_a_short_text_is_encoded_at_once_and_a_long_one_in_a_thread(store):
    store.add("a")
    model, tokenizer = runtime.resolve("a"), StuckTokenizer()
    model.tokenizer = tokenizer
    assert model.encode("abc") == [3, True, False]
    assert tokenizer.thread is threading.current_thread()
    tokenizer.go.set()
    for _ in range(2):
        assert model.encode("a" * runtime.LONG_TEXT, False, True) == [runtime.LONG_TEXT, False, True]
    assert tokenizer.thread is not threading.current_thread()
    assert model.tokenizer is tokenizer


def test_an_interrupt_need_not_wait_for_a_long_text_and_leaves_its_tokenizer_behind(store, monkeypatch):
    store.add("a")
    model, tokenizer = runtime.resolve("a"), StuckTokenizer()
    model.tokenizer = tokenizer

    def cancel():
        tokenizer.begun.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(runtime.database, "checkpoint", cancel)
    with pytest.raises(KeyboardInterrupt):
        model.encode("a" * runtime.LONG_TEXT)
    assert "tokenizer" not in vars(model)
    tokenizer.go.set()
    tokenizer.thread.join()
