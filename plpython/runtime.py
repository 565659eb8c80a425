"""Which model a call means, what a session keeps of it, and the KV caches that a session owns.

A model is found by its name with the caller's rights at every call; what is kept is keyed by the hash of its content.
So an edit inside a transaction is another model, ROLLBACK brings the old one back, and no role reaches what it may not.
"""

import functools
import itertools
import json
import time
from collections import OrderedDict

from . import admission, database, engines, errors, moment, weights
from .architecture import Architecture
from .background import Background
from .numpy_engine import NumpyEngine

MODELS_KEPT = 2  # the session's most recently used; their weights are its memory
KV_CACHES = 256  # a session's handles at a time
LONG_TEXT = 20_000  # characters; shorter texts are encoded within a few milliseconds
SECONDS_BETWEEN_TOUCHES = 60  # of packed files, whose times tell which were used last

COLUMNS = (
    "m.id, m.name, m.hash, m.is_default, m.tokenizer_id, m.architecture, pg_catalog.quote_ident(current_user) AS role"
)
BY_NAME = database.Query(f"SELECT {COLUMNS} FROM llm_store.model AS m WHERE m.name = $1", "text")
WITHOUT_NAME = database.Query(f"SELECT {COLUMNS} FROM llm_store.model AS m ORDER BY m.is_default DESC LIMIT 2")
TOKENIZER = database.Query("SELECT t.definition, t.settings FROM llm_store.tokenizer AS t WHERE t.id = $1", "integer")
ROLE = database.Query("SELECT pg_catalog.quote_ident(current_user) AS role")

_models = OrderedDict()  # by hash, the most recently used last
_current = (None, {})  # a moment, and what names meant then


def resolve(name=None):
    """The Model that `name` means to the caller now; None is the database's default model, or else its only one.

    Raises ModelError 42704 when there is none, or no way to choose.
    """
    return _kept(_find(name))


def current(name=None):
    """As `resolve`, and asks the tables only once a moment: for operators, of which a query calls hundreds."""
    return _at_this_moment(name)[0]


def current_cache(handle, name=None):
    """(Model, SessionCache) of a KV cache handle; None is the session's scratch cache."""
    model, role = _at_this_moment(name)
    return model, _caches.find(handle, model, role)


def new_kv_cache(name=None):
    """The handle of an empty KV cache for a model. It lives until it is freed or the session ends."""
    return _caches.new(*_at_this_moment(name))


def free_kv_cache(handle):
    """Free a KV cache of the caller's; whether there was one."""
    return _caches.free(handle, role())


def role():
    """Who calls: the current role."""
    return ROLE.one()["role"]


def reset():
    """Forget every model and KV cache of the session; handles of KV caches are not given twice."""
    global _current  # noqa: PLW0603 - one interpreter serves one session
    _current = (None, {})
    _models.clear()
    _caches.clear()


def architecture(name=None):
    """The architecture of a model as a JSON object."""
    return json.dumps(resolve(name).architecture.to_config())


def engine():
    """Which engine computes, and with what, in one line."""
    return engines.description()


def stored_weights(name=None):
    """(Weights, name) of the model that `name` means, without keeping it."""
    row = _find(name)
    return weights.Weights(row["id"]), row["name"]


def _at_this_moment(name):
    global _current  # noqa: PLW0603 - one interpreter serves one session
    now = moment.now()
    if _current[0] != now:
        _current = (now, {})
    found = _current[1].get(name)
    if found is None:
        row = _find(name)
        found = _current[1][name] = (_kept(row), row["role"])
    return found


def _find(name):
    """The row of a model by its name, or of the default model for None."""
    if name is not None:
        row = BY_NAME.one(name)
        if row is None:
            raise errors.undefined_object(
                f'model "{name}" does not exist', hint="The models of this database are listed in llm.models."
            )
        return row
    rows = WITHOUT_NAME.all()
    if not rows:
        raise errors.undefined_object("there is no model", hint="Load one: hartonomous load PATH --name NAME.")
    if len(rows) > 1 and not rows[0]["is_default"]:
        raise errors.undefined_object(
            "no model is named, and none is the default",
            hint="Name one of llm.models, or choose one with llm.set_default_model.",
        )
    return rows[0]


def _kept(row):
    """The loaded model of a row, from the session where its content is the same."""
    model = _models.pop(row["hash"], None) or Model(row)
    _models[row["hash"]] = model
    while len(_models) > MODELS_KEPT:
        _models.popitem(last=False)
    return model


class Model:
    """A loaded model: architecture, weights, and, once they are needed, its engines and its tokenizer."""

    def __init__(self, row):
        self.name = row["name"]
        self.hash = row["hash"]
        self.architecture = Architecture.from_config(json.loads(row["architecture"]))
        self.weights = weights.Weights(row["id"])
        self._tokenizer_id = row["tokenizer_id"]
        self._used = 0

    @property
    def engine(self):
        """The engine that computes whole forwards, by the setting llm.engine at this moment."""
        compiled, _ = engines.chosen()
        return self._compiled if compiled else self.reference

    @functools.cached_property
    def reference(self):
        """The numpy engine: its operators are those that queries compose."""
        return NumpyEngine(self.architecture, self.weights)

    @functools.cached_property
    def tokenizer(self):
        row = TOKENIZER.one(self._tokenizer_id)
        with database.signals_blocked():
            from .tokenizer import Tokenizer

        return Tokenizer(row["definition"], json.loads(row["settings"]))

    def encode(self, text, add_special=True, parse_special=False):
        """Token ids of a text, as Tokenizer.encode gives them; interruptible, however long the text is."""
        tokenizer = self.tokenizer
        if len(text) < LONG_TEXT:
            return tokenizer.encode(text, add_special, parse_special)
        del self.tokenizer  # an interrupted thread goes on using it; the next call makes another one
        tokens = Background(tokenizer.encode, text, add_special, parse_special).result()
        self.tokenizer = tokenizer
        return tokens

    @property
    def _compiled(self):
        now = time.monotonic()
        if now - self._used > SECONDS_BETWEEN_TOUCHES:
            self._used = now
            engines.modules().shared_weights.touch(self.weights.tensors())
        engine = self._compiled_engine
        engine.threads, engine.batch_threads = admission.threads()
        return engine

    @functools.cached_property
    def _compiled_engine(self):
        modules = engines.modules()
        packed = modules.shared_weights.attach(self.weights.tensors(), self.name)
        return modules.compiled_engine.CompiledEngine(
            self.architecture, packed, interrupt_address=database.interrupt_address()
        )


class SessionCache:
    """A KV cache that operators fill layer by layer: how far each layer is, and whose it is."""

    def __init__(self, model, role):
        self._kv = model.reference.new_cache()
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
    """The KV caches of the session by handle, and the scratch cache for callers without one."""

    def __init__(self):
        self._caches = {}
        self._scratch = None
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
        if handle is None:
            return self._scratch_of(model, role)
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
        return cache

    def free(self, handle, role):
        """Forget a cache; whether there was one."""
        found = handle in self._caches and self._caches[handle].role == role
        if found:
            del self._caches[handle]
        return found

    def clear(self):
        """Forget them all."""
        self._caches.clear()
        self._scratch = None

    def _scratch_of(self, model, role):
        cache = self._scratch
        if cache is None or cache.model_hash != model.hash or cache.role != role:
            cache = self._scratch = SessionCache(model, role)
        return cache


_caches = KVCaches()
