"""Whose KV caches are whose, and what their operators find in them, over a store in memory."""

import numpy as np

from plpython.reference.composed import NumpyOperators
from plpython.reference.decoder import NumpyEngine
from plpython.session import kv_handles
from tests.plpython.model_store import refusal


def rows(model, n, value=0.0):
    a = model.architecture
    return np.full((n, a.kv_heads, a.head_dim), value, np.float32)


def stored(cache, layer, positions, k, v):
    """What the engine's cache holds of a layer after keys and values were put at their positions."""
    return cache.reserved(layer, positions).store(layer, positions, k, v)


def test_a_kv_cache_returns_everything_up_to_the_last_position(store):
    store.add("a")
    model, _, cache = kv_handles.current(kv_handles.new("a"), "a")
    stored(cache, 0, [0, 1], rows(model, 2, 1), rows(model, 2, 2))
    keys, values = stored(cache, 0, [2], rows(model, 1, 3), rows(model, 1, 4))
    assert keys[:, 0, 0].tolist() == [1, 1, 3] and values[:, 0, 0].tolist() == [2, 2, 4]


def test_storing_at_earlier_positions_forgets_what_followed(store):
    store.add("a")
    model, _, cache = kv_handles.current(kv_handles.new("a"), "a")
    stored(cache, 0, range(5), rows(model, 5, 1), rows(model, 5))
    keys, _ = stored(cache, 0, [1, 2], rows(model, 2, 7), rows(model, 2))
    assert keys[:, 0, 0].tolist() == [1, 7, 7]
    refusal("22023", cache.reserved, 0, [4])


def test_a_layer_grows_without_losing_what_the_others_hold(store):
    store.add("a")
    model, _, cache = kv_handles.current(kv_handles.new("a"), "a")
    for layer in range(2):
        stored(cache, layer, range(64), rows(model, 64, layer + 1), rows(model, 64))
    stored(cache, 0, [64], rows(model, 1), rows(model, 1))
    keys, _ = stored(cache, 1, [64], rows(model, 1, 9), rows(model, 1))
    assert keys[:, 0, 0].tolist() == [2] * 64 + [9]


def test_a_gap_in_a_kv_cache_is_an_error_that_says_where(store):
    store.add("a")
    cache = kv_handles.current(kv_handles.new("a"), "a")[2]
    assert "no positions 0 to 2 of layer 1" in refusal("22023", cache.reserved, 1, [3]).message


def test_a_kv_cache_is_no_longer_than_the_context(store):
    store.add("a")
    model, _, cache = kv_handles.current(None, "a")
    n = model.architecture.context_length + 1
    refusal("53400", cache.reserved, 0, range(n))


def test_the_handle_of_another_model_or_another_role_is_refused(store):
    store.add("a")
    store.add("b")
    handle = kv_handles.new("a")
    refusal("22023", kv_handles.current, handle, "b")
    store.role = "mallory"
    refusal("42704", kv_handles.current, handle, "a")
    assert not kv_handles.free(handle)
    store.role = "alice"
    assert kv_handles.free(handle)
    refusal("42704", kv_handles.current, handle, "a")


class OtherOperators(NumpyOperators):
    """Those of another engine."""


def test_the_handle_of_another_engine_is_refused_and_the_scratch_cache_made_anew(store):
    store.add("a")
    handle = kv_handles.new("a")
    model, operators, cache = kv_handles.current(handle, "a")
    scratch = kv_handles.current(None, "a")[2]
    find, engine = kv_handles._caches.find, NumpyEngine(model.architecture, {})
    assert find(handle, model, "alice", NumpyOperators(engine, None)) is cache  # the same engine, made anew
    other = OtherOperators(engine, None)
    message = refusal("22023", find, handle, model, "alice", other).message
    assert message == f"the KV cache {handle} belongs to another engine"
    assert find(None, model, "alice", operators) is scratch
    assert find(None, model, "alice", other) is not scratch


def test_the_scratch_cache_is_not_shared_between_roles_or_models(store):
    store.add("a")
    store.add("b")
    model, _, scratch = kv_handles.current(None, "a")
    stored(scratch, 0, [0], rows(model, 1), rows(model, 1))
    assert kv_handles.current(None, "a")[2] is scratch
    store.role = "mallory"
    other = kv_handles.current(None, "a")[2]
    refusal("22023", other.reserved, 0, [1])
    assert kv_handles.current(None, "b")[2] is not other


def test_a_session_holds_a_limited_number_of_kv_caches(store, monkeypatch):
    store.add("a")
    monkeypatch.setattr(kv_handles, "KV_CACHES", 2)
    kv_handles.current(None, "a")  # the scratch cache is not one of them
    handles = [kv_handles.new("a") for _ in range(2)]
    refusal("53400", kv_handles.new, "a")
    kv_handles.free(handles[0])
    assert kv_handles.new("a") not in handles
