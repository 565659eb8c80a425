-- Deploy hartonomous:python_runtime_runtime to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/runtime.py by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.runtime()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Which model a call means, what a session keeps of it, and the KV caches that a session owns.

A model is found by its name with the caller's rights at every call; what is kept is keyed by the hash of its content. So
an edit inside a transaction is another model, ROLLBACK brings the old one back, and no role reaches what it may not.
"""

import functools
import itertools
import json
from collections import OrderedDict

import numpy as np

from . import arguments, database, errors, moment
from .architecture import Architecture
from .numpy_engine import NumpyEngine

MODELS_KEPT = 2  # the session's most recently used; their weights are its memory
KV_CACHES = 256  # a session's handles at a time

# $1 NULL: the default model first, so that two rows without a default mean that there is no choice to make.
FIND = """
SELECT m.id, m.name, m.hash, m.is_default, m.tokenizer_id, current_user::text AS role
FROM llm_store.model AS m
WHERE m.name = $1 OR $1 IS NULL
ORDER BY m.is_default DESC
LIMIT 2
"""


class Model:
    """A loaded model: architecture, weights, and, once they are needed, its engine and its tokenizer."""

    def __init__(self, row):
        self.name = row["name"]
        self.hash = row["hash"]
        self.architecture = Architecture.from_config(json.loads(row["architecture"]))
        self.weights = weights.Weights(row["id"])
        self._tokenizer_id = row["tokenizer_id"]

    @functools.cached_property
    def engine(self):
        return NumpyEngine(self.architecture, self.weights)

    @functools.cached_property
    def tokenizer(self):
        from .tokenizer import Tokenizer

        row = TOKENIZER.one(self._tokenizer_id)
        return Tokenizer(row["definition"], json.loads(row["settings"]))


class SessionCache:
    """A KV cache that operators fill layer by layer: how far each layer is, and whose it is."""

    def __init__(self, model, role):
        self._kv = model.engine.new_cache()
        self._lengths = [0] * model.architecture.layers
        self.model_hash = model.hash
        self.role = role

    def store(self, layer, positions, k, v):
        """Put k and v at their positions and forget what followed; return all up to them, as KVCache.store does."""
        first, end = int(positions[0]), int(positions[-1]) + 1
        if first > self._lengths[layer]:
            raise errors.invalid_parameter(
                f"the KV cache has no positions {self._lengths[layer]} to {first - 1} of layer {layer}",
                f"it holds {self._lengths[layer]} positions, the first of the call is {first}",
                "Start at position 0, or continue with the handle of llm.new_kv_cache that earlier calls filled.",
            )
        self._kv.length = max(self._lengths)
        self._kv.reserve(max(0, end - self._kv.length))
        self._lengths[layer] = end
        return self._kv.store(layer, positions, k, v)


class KVCaches:
    """The KV caches of the session by handle; the scratch cache, for callers without a handle, is None's."""

    def __init__(self):
        self._caches = {}
        self._handles = itertools.count(1)

    def new(self, model, role):
        """The handle of a new cache. ModelError 53400 when the session holds as many as it may."""
        if len(self._caches) >= KV_CACHES:
            raise errors.limit_exceeded(
                f"this session holds {len(self._caches)} KV caches", None, "Free some with llm.free_kv_cache."
            )
        handle = next(self._handles)
        self._caches[handle] = SessionCache(model, role)
        return handle

    def find(self, handle, model, role):
        """The cache of a handle. ModelError 42704 without it or when it is another role's, 22023 for another model."""
        cache = self._caches.get(handle)
        if handle is None and (cache is None or cache.model_hash != model.hash or cache.role != role):
            cache = self._caches[None] = SessionCache(model, role)
        if cache is None or cache.role != role:
            raise errors.undefined_object(
                f"there is no KV cache {handle}", hint="llm.new_kv_cache makes one; it lives as long as the session."
            )
        if cache.model_hash != model.hash:
            raise errors.invalid_parameter(
                f'the KV cache {handle} belongs to another model, or to "{model.name}" before it changed',
                hint="Make a new one with llm.new_kv_cache.",
            )
        return cache

    def free(self, handle, role):
        """Forget a cache; whether there was one."""
        found = handle in self._caches and self._caches[handle].role == role
        if found:
            del self._caches[handle]
        return found
$python$;

REVOKE ALL ON FUNCTION llm_runtime.runtime() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.runtime() IS
'Which model a call means, what a session keeps of it, and the KV caches that a session owns.';

COMMIT;
