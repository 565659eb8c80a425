"""KV caches for operators in queries, named by handles."""

import itertools

from ..generate.interfaces import PAGE
from ..server import ceilings, connection, errors
from . import models

KV_CACHES = 256  # of a session at a time


def current(handle, name=None):
    """(Model, its operators, SessionCache) of a handle; None is the session's scratch cache."""
    model, role, operators = models.at_this_moment(name)
    return model, operators, _caches.find(handle, model, role, operators)


def new(name=None):
    """The handle of an empty KV cache for a model. It lives until it is freed or the session ends."""
    connection.mark_session()
    return _caches.new(*models.at_this_moment(name))


def free(handle):
    """Free a KV cache of the caller. Returns whether there was one."""
    return _caches.free(handle, models.role())


def reset():
    """Free all KV caches; their handles are not used again."""
    _caches.clear()


class SessionCache:
    """A KV cache that operators fill layer by layer, with the length of each layer and the role that owns it."""

    def __init__(self, model, role, operators):
        model.require_decoder()
        self._kv = operators.new_cache()
        self._lengths = [0] * model.architecture.layers
        self._each = model.architecture.kv_bytes(getattr(operators.engine, "kv_dtype", "float32"))
        self.bytes = 0
        self.kind = _kind(operators)
        self.model_hash = model.hash
        self.role = role

    def reserved(self, layer, positions):
        """The engine's cache with space for these positions of a layer; later positions of the layer are dropped."""
        first, end = int(positions[0]), int(positions[-1]) + 1
        if first > self._lengths[layer]:
            raise errors.invalid_parameter(
                f"the KV cache has no positions {self._lengths[layer]} to {first - 1} of layer {layer}",
                f"it holds {self._lengths[layer]} positions, the first of the call is {first}",
                "Start at position 0, or continue with the handle of llm.new_kv_cache that earlier calls filled.",
            )
        self._ask_for(end)
        self._kv.length = max(self._lengths)
        self._kv.reserve(max(0, end - self._kv.length))
        self._lengths[layer] = end
        return self._kv

    def _ask_for(self, positions):
        """Account the memory of so many positions. ModelError 53400 if the session's caches exceed the limit."""
        needed = -(-positions // PAGE) * PAGE * self._each
        if needed > self.bytes:
            ceilings.require_bytes(
                "kv_cache_mb", _caches.bytes + needed - self.bytes, "the memory of the session's KV caches"
            )
            self.bytes = needed


class KVCaches:
    """The KV caches of the session by handle, and the scratch cache for callers without one."""

    def __init__(self):
        self._caches = {}
        self._scratch = None
        self._handles = itertools.count(1)

    @property
    def bytes(self):
        """Memory of all of them."""
        scratch = [] if self._scratch is None else [self._scratch]
        return sum(cache.bytes for cache in [*self._caches.values(), *scratch])

    def new(self, model, role, operators):
        """The handle of a new cache. ModelError 53400 if the session has too many."""
        if len(self._caches) >= KV_CACHES:
            raise errors.limit_exceeded(
                f"this session holds {len(self._caches)} KV caches", None, "Free some with llm.free_kv_cache."
            )
        handle = next(self._handles)
        self._caches[handle] = SessionCache(model, role, operators)
        return handle

    def find(self, handle, model, role, operators):
        """The cache of a handle.

        ModelError 42704 if there is none or it belongs to another role, 22023 if it is of another model or engine.
        """
        if handle is None:
            return self._scratch_of(model, role, operators)
        cache = self._caches.get(handle)
        if cache is None or cache.role != role:
            raise errors.undefined_object(
                f"there is no KV cache {handle}", hint="llm.new_kv_cache makes one; it lives as long as the session."
            )
        if cache.model_hash != model.hash:
            raise errors.invalid_parameter(
                f'the KV cache {handle} belongs to another model, or to "{model.name}" before it changed',
                hint="Make a new one with llm.new_kv_cache.",
            )
        if cache.kind != _kind(operators):
            raise errors.invalid_parameter(
                f"the KV cache {handle} belongs to another engine",
                "llm.engine or llm.kv_type has changed since it was made",
                "Make a new one with llm.new_kv_cache.",
            )
        return cache

    def free(self, handle, role):
        """Forget a cache. Returns whether there was one."""
        found = handle in self._caches and self._caches[handle].role == role
        if found:
            del self._caches[handle]
        return found

    def clear(self):
        """Forget them all."""
        self._caches.clear()
        self._scratch = None

    def _scratch_of(self, model, role, operators):
        cache = self._scratch
        if cache is None or (cache.model_hash, cache.role, cache.kind) != (model.hash, role, _kind(operators)):
            cache = self._scratch = SessionCache(model, role, operators)
        return cache


def _kind(operators):
    """Operators can use caches of their own kind: the same engine and the same number type."""
    return type(operators), getattr(operators.engine, "kv_dtype", None)


_caches = KVCaches()
