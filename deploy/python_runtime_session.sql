-- Deploy hartonomous:python_runtime_session to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/session/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.session__admission()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Limits how many sessions of the server compute at once: each holds a slot meanwhile, the others wait, interruptibly.

A slot is a lock on a file below the data directory. The lock ends with its process, however that ends. It works across
databases, and on a standby, where tables cannot be written. A superuser sets the number of slots:
llm_runtime.run_limits(). Never hold a slot while waiting for another session (for a query, for packing, for a client
that fetches rows): that session may be waiting for the slot.
"""

import fcntl
import os
import random
import time
from contextlib import contextmanager

from ..server import ceilings, database, errors, interrupts, module_files, settings
from ..weights import packed_files

SHORTEST_WAIT = 0.002  # seconds between two tries to get a slot, at first; then doubled up to LONGEST_WAIT
LONGEST_WAIT = 0.05

RUN_LIMITS = database.Query("SELECT l.running, l.threads FROM llm_runtime.run_limits() AS l")


class Slots:
    """The slots: files of `folder`, locked by sessions that compute. checkpoint() may end the waiting."""

    def __init__(self, folder, checkpoint):
        self._folder, self._checkpoint = packed_files.private_folder(folder), checkpoint
        self._files = {}
        self._held = self._since = None
        self._seconds = 0.0  # for which earlier slots were held

    @property
    def is_held(self):
        """Whether this session holds a slot."""
        return self._held is not None

    @property
    def seconds(self):
        """The total time in which this session has held slots."""
        return self._seconds + (time.monotonic() - self._since if self.is_held else 0.0)

    def acquire(self, running):
        """Wait for one of `running` slots and hold it until `release`. Returns False if the session has one already."""
        if self._held is not None:
            return False
        wait = SHORTEST_WAIT
        while not self._locked(running):
            self._checkpoint()
            time.sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT)
        self._since = time.monotonic()
        return True

    def release(self):
        """Let another session compute."""
        if self._held is not None:
            self._seconds = self.seconds
            fcntl.flock(self._held, fcntl.LOCK_UN)
            self._held = None

    def _locked(self, running):
        first = random.randrange(running)
        for number in range(first, first + running):
            file = self._file(number % running)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            self._held = file
            return True
        return False

    def _file(self, number):
        """The descriptor of a slot's file. A deleted file is created again, because other sessions lock the new one."""
        path, file = self._folder / f"{number}.lock", self._files.pop(number, None)
        if file is not None and not packed_files.is_at(file, path):
            os.close(file)
            file = None
        if file is None:
            packed_files.private_folder(self._folder)
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._files[number] = file
        return file


_slots = None


def slots():
    """The slots of this server: beside the folder of the modules, below the data directory."""
    global _slots  # noqa: PLW0603 - made once a session
    if _slots is None:
        _slots = Slots(module_files.home().parent / "slots", interrupts.checkpoint)
    return _slots


@contextmanager
def running(most=None):
    """Hold a slot inside; at most `most` sessions do, or as many as the limit says.

    Within another `running` of the session the slot is shared.
    """
    acquired = slots().acquire(most or _running())
    try:
        yield
    finally:
        if acquired:
            slots().release()


class Call:
    """A call that computes for at most the limit `seconds` of llm_runtime.call_limits().

    Only the time in which it holds a slot counts: not waiting for one, reading rows of a query, or the client's time.
    """

    def __init__(self):
        self._most, self._allowed = _running(), ceilings.allowed("seconds")
        self._spent, self._began = 0.0, None

    @property
    def seconds(self):
        """How long it has computed."""
        return self._spent + (slots().seconds - self._began if self._began is not None else 0.0)

    @contextmanager
    def running(self):
        """As the function `running`; the time counts."""
        with running(self._most):
            self._began = slots().seconds
            try:
                yield
            finally:
                self._spent, self._began = self.seconds, None

    def each(self, results):
        """The results of an iterator. A slot is held while each is computed, and released while the caller uses it."""
        while True:
            with self.running():
                result = next(results, None)
            if result is None:
                return
            yield result

    def checkpoint(self):
        """As interrupts.checkpoint; also raises ModelError 53400 if the call has computed for too long."""
        interrupts.checkpoint()
        if self._allowed is not None and self.seconds > self._allowed:
            raise errors.limit_exceeded(
                "the call computes for longer than the limit seconds",
                f"it has computed for {self.seconds:.0f} seconds, allowed {self._allowed}",
                f"Ask for less in one call. {ceilings.LIMITS_HINT}",
            )


@contextmanager
def paused():
    """Inside of `running`: release the slot for work that may wait for other sessions."""
    held = slots().is_held
    slots().release()
    try:
        yield
    finally:
        if held:
            slots().acquire(_running())


def threads():
    """(threads for one token, threads for several): llm.threads for both; unless set, 1 and the number of processors.

    Both are at most the superuser's limit. Results do not depend on them.
    """
    most = RUN_LIMITS.one()["threads"] or processors()
    wanted = settings.integer("threads")
    return (1, most) if wanted is None else (min(wanted, most), min(wanted, most))


def processors():
    """How many processors the server may use."""
    return min(len(os.sched_getaffinity(0)), settings.MOST_THREADS)


def _running():
    return RUN_LIMITS.one()["running"] or processors()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__admission() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__admission() IS
'Limits how many sessions of the server compute at once: each holds a slot meanwhile, the others wait, '
'interruptibly.';

CREATE OR REPLACE FUNCTION llm_runtime.session__drafts()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Draft models: which model may be one, and what it takes to guess for a text: its KV cache within the limits."""

import math

from ..generate.draft_model import DraftModel, Limits
from ..generate.speculation import Mean, Pace
from ..server import arguments, ceilings, errors
from . import models, prefixes

MOST_PACES = 64

_alike = set()  # pairs of ids of stored tokenizers that have the same tokens


def model_of(name, model):
    """The Model of a name, for the caller, as a draft for `model`. Raises as models.decoder.

    ModelError 22023 if it has another tokenizer; the settings of a tokenizer, such as what ends a text, may differ.
    """
    draft = models.decoder(name)
    tokenizers = draft.tokenizer_id, model.tokenizer_id
    if tokenizers[0] != tokenizers[1] and tokenizers not in _alike:
        difference = draft.tokenizer.first_difference(model.tokenizer)
        if difference is not None:
            raise _another_tokenizer(draft, model, *difference)
        _alike.add(tokenizers)
    return draft


def _another_tokenizer(draft, model, token, its, models_own):
    its, models_own = ("nothing" if piece is None else arguments.shown(piece) for piece in (its, models_own))
    return errors.invalid_parameter(
        f'model "{draft.name}" cannot be a draft of model "{model.name}": it has another tokenizer',
        f"token {token} is {its} for the draft, {models_own} for the model",
        "A draft is a smaller model with the same tokenizer, or a copy in fewer bits, which llm.quantize makes.",
    )


class Draft:
    """A draft model that guesses for one text of a model."""

    def __init__(self, draft, model):
        self._draft, self._model = draft, model
        self._engine = draft.engine
        self._reusable = prefixes.Prefixes(draft, self._engine)
        self._guesser = None

    def guesser(self, text, checkpoint):
        """A guesser for a text, a Continuation."""
        cache = self._reusable.fork(text.history) or self._engine.new_cache()
        self._guesser = DraftModel(self._engine, text, cache, self._limits(text.longest), checkpoint)
        return self._guesser

    def pace(self, most, is_greedy):
        """(Pace, the Mean of the seconds of a token without guesses), as the session's last text of this kind left
        them: a draft that rests does so in the next text too."""
        key, paces = (self._model.hash, self._draft.hash, models.role(), most, is_greedy), prefixes.paces
        if key not in paces:
            if len(paces) >= MOST_PACES:
                paces.clear()
            paces[key] = Pace(most), Mean()
        return paces[key]

    def keep(self, history):
        """Keep the KV cache for the next text that begins like this one."""
        cache = self._guesser.reusable(history)
        if cache is not None:
            self._reusable.keep(history, cache)

    def _limits(self, longest):
        draft, model = self._draft.architecture, self._model.architecture
        return Limits(
            min(draft.context_length, self._positions_in_memory(longest)),
            min(draft.vocabulary_size, model.vocabulary_size),
            _parameters(model) / _parameters(draft),
        )

    def _positions_in_memory(self, longest):
        """For how many positions the superuser's limit batch_mb leaves memory, beside the longest that the text may be.

        So a draft never shortens a text.
        """
        most = ceilings.allowed("batch_mb")
        if most is None:
            return self._draft.architecture.context_length
        left = most * ceilings.MEGABYTE - longest * _position_bytes(self._model)
        return max(0, left) // _position_bytes(self._draft)


def _position_bytes(model):
    return model.architecture.kv_bytes(model.engine.kv_dtype)


def _parameters(architecture):
    return sum(map(math.prod, architecture.tensors().values()))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__drafts() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__drafts() IS
'Draft models: which model may be one, and what it takes to guess for a text: its KV cache within the limits.';

CREATE OR REPLACE FUNCTION llm_runtime.session__engines()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Selects the engine: compiled code over shared packed weights if that is ready, else numpy.

Anyone may set llm.engine for a session, a role or a database:
    auto        compiled, if numba is installed and llm.warm_up() has compiled the code; otherwise numpy (the default)
    compiled    compiled, or an error; a call never waits for a compiler
    numpy       the reference: float32 throughout, no packed weights
Compiled code is stored beside the modules of its release, in a folder named by the processor's instructions.
"""

import importlib
import json
import time
from types import SimpleNamespace

import numpy as np

from ..generate.candidates import Candidates
from ..reference import operators
from ..server import background, errors, interrupts, messages, module_files, settings

COMPILED = {  # the modules that need numba, by their names in `modules`
    "calibration": "engine.calibration",
    "candidates": "kernels.candidates",
    "decoder": "engine.decoder",
    "decoder_pass": "engine.decoder_pass",
    "encoder": "engine.encoder",
    "operators": "engine.composed",
    "packing": "kernels.packing",
    "prefetching": "kernels.prefetching",
    "shared_weights": "weights.shared",
    "similarity": "kernels.similarity",
    "tensor_groups": "weights.tensor_groups",
}
PACKAGE = __package__.rpartition(".")[0]
READY = "ready"  # the file that names what the code beside it was compiled for
PREFETCHING = "prefetching.json"  # the file with the distances that were measured here
NOT_READY = "llm.warm_up() has not compiled it"
MEASURE = "A loader runs SELECT llm.warm_up(measure => true)."
WARM_UP = "A loader runs SELECT llm.warm_up() once, on each server and after each release."
INSTALL = "Install numba for the server's Python."

_modules = None  # what `modules` returns
_missing = None  # why there is no numba
_ready = None  # the file READY, if the code is compiled
_was_ready = False  # whether this session has found it
_told = False  # whether this session has said that numpy computes


def chosen():
    """(whether the compiled engine computes, why not).

    Raises ModelError 22023 for an unknown llm.engine. If it is `compiled`: 0A000 if numba is missing, 55000 if nothing
    is compiled.
    """
    wanted = settings.choice("engine")
    if wanted == "numpy":
        return False, "llm.engine is numpy"
    if is_ready():
        return True, None
    if wanted == "compiled":
        modules()  # says what is missing
        raise errors.not_prepared("the compiled engine is not compiled on this server", NOT_READY, WARM_UP)
    reason = _missing or NOT_READY
    _tell(reason)
    return False, reason


def candidates():
    """The class for the candidates of sampling, of the current engine. Both give the same tokens."""
    return modules().candidates.Candidates if chosen()[0] else Candidates


def swiglu():
    """The operator of the current engine."""
    return modules().operators.swiglu if chosen()[0] else operators.swiglu


def description():
    """Which engine computes, and with what, in one line."""
    compiled, reason = chosen()
    if compiled:
        return f"compiled by numba {_numba_version()} for {_variant()}: packed weights, shared by all sessions"
    return f"numpy {np.__version__}, float32: the reference engine, because {reason}"


def modules():
    """The modules that need numba, as attributes of one object. Raises ModelError 0A000 where it is missing."""
    global _modules, _missing  # noqa: PLW0603 - imported once a session
    if _modules is None:
        try:
            _modules = _imported()
        except ImportError as error:
            _missing = f"numba cannot be imported: {error}"
            raise errors.not_supported("the compiled engine cannot run", _missing, INSTALL) from None
    return _modules


def is_ready():
    """Whether the code is compiled for this processor and was not deleted since.

    Looks for a file before it imports numba, which takes longer.
    """
    global _ready, _was_ready  # noqa: PLW0603 - found once
    if _ready is not None and not _ready.is_file():
        _ready = None
    if _ready is None and any(_home().glob(f"numba-*/{READY}")):
        try:
            modules()
        except errors.ModelError:
            return False
        file = _ready_file()
        _ready = file if file.is_file() and file.read_text() == _compiled_for() else None
        if _ready is not None:
            _use_distances()
        _was_ready = _was_ready or _ready is not None
    return _ready is not None


def compile_all():
    """Compile the engine, if not done yet. Interruptible; the thread then finishes what it began."""
    if not is_ready():
        _require_fresh_session()
        modules()
        from ..engine import warm_up

        background.Background(warm_up.run).result()
        measure_distances()
        _write(_ready_file(), _compiled_for())


def measure_distances():
    """Measure how far ahead to prefetch on this machine, and keep it beside the compiled code for all sessions."""
    measured = background.Background(modules().calibration.measure).result()
    _write(_folder() / PREFETCHING, json.dumps(measured))
    modules().prefetching.use(measured)


def _use_distances():
    """Prefetch as far as was measured here; the file is missing or damaged only if somebody has touched it."""
    try:
        modules().prefetching.use(json.loads((_folder() / PREFETCHING).read_text()))
    except (OSError, ValueError):
        messages.notice("prefetch distances are not measured on this server", None, MEASURE)


def _write(path, text):
    """Write a file as a whole or not at all."""
    beside = path.with_name(f"{path.name}.{time.monotonic_ns()}")
    beside.write_text(text)
    beside.replace(path)


def _require_fresh_session():
    """ModelError 55000 if the session has used compiled code: numba has it in memory and would write no files."""
    if _was_ready:
        raise errors.not_prepared(
            "the compiled code was deleted while this session used it", hint="Run llm.warm_up() in a new session."
        )


def _imported():
    """The modules, with a checkpoint after each import, not within one: numpy and numba can be imported only once.

    A function takes the folder of its cache from the configuration when it is declared, so other code keeps its own.
    """
    _loaded("llvmlite.binding")
    config = _loaded("numba").core.config
    before = config.CACHE_DIR
    if __name__.startswith("llm_"):  # in a server
        background.skip_destructors_at_exit()
        config.CACHE_DIR = str(_folder())
    try:
        return SimpleNamespace(**{name: _loaded(f"{PACKAGE}.{module}") for name, module in COMPILED.items()})
    finally:
        config.CACHE_DIR = before


def _loaded(name):
    """Import a module, then let an interrupt stop the call. Threads that it starts get no signals."""
    with interrupts.signals_blocked():
        module = importlib.import_module(name)
    interrupts.checkpoint()
    return module


def _tell(reason):
    global _told  # noqa: PLW0603 - once a session
    if not _told:
        _told = True
        messages.notice("numpy computes, not the compiled engine", reason, WARM_UP)


def _home():
    """The folder of the modules; only the server can write there."""
    return module_files.home()


def _folder():
    folder = _home() / f"numba-{_variant()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _ready_file():
    return _folder() / READY


def _variant():
    from ..simd.processors import VARIANT

    return VARIANT


def _numba_version():
    import numba

    return numba.__version__


def _compiled_for():
    """What compiled code depends on: versions, the processor, and the times of its sources."""
    import llvmlite
    from numba.core.codegen import get_host_cpu_features

    processor = f"{llvmlite.binding.get_host_cpu_name()} {get_host_cpu_features()}"
    sources = (modules().packing, modules().decoder_pass)
    sources = [module_files.file_of(module).stat().st_mtime_ns for module in sources]
    return f"numba {_numba_version()}, llvmlite {llvmlite.__version__}, {processor}, {sources}"
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__engines() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__engines() IS
'Selects the engine: compiled code over shared packed weights if that is ready, else numpy.';

CREATE OR REPLACE FUNCTION llm_runtime.session__kv_handles()
RETURNS void
LANGUAGE plpython3u
AS $python$"""KV caches for operators in queries, named by handles."""

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__kv_handles() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__kv_handles() IS
'KV caches for operators in queries, named by handles.';

CREATE OR REPLACE FUNCTION llm_runtime.session__model()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A loaded model: its architecture and weights, and, made at first use, its engines and tokenizer."""

import functools
import json
import time
from array import array

from ..model.encoder import EncoderArchitecture, of_config
from ..reference.composed import NumpyOperators
from ..reference.decoder import NumpyEngine
from ..reference.encoder import NumpyEncoder
from ..server import ceilings, database, errors, interrupts, settings
from ..server.background import Background
from ..weights import tensors
from . import admission, engines

LONG_TEXT = 20_000  # characters; shorter texts are encoded within a few milliseconds
PIECE = 10_000  # characters of a long text that are encoded together, at first
CHARACTERS_A_TOKEN = 8  # a guess: how much of a text to read for some first tokens
STACK_MB = 256  # of the thread that compiles a constraint; llguidance takes some 3 kB for each rule that names another
SECONDS_BETWEEN_TOUCHES = 60  # of packed files, whose times say when they were last used

TOKENIZER = database.Query("SELECT t.definition, t.settings FROM llm_store.tokenizer AS t WHERE t.id = $1", "integer")


class Model:
    """A model as the row of llm_store.model is now. An edited model is another Model."""

    def __init__(self, row):
        self.name = row["name"]
        self.hash = row["hash"]
        self.architecture = of_config(json.loads(row["architecture"]))
        self.weights = tensors.Weights(row["id"])
        self._require_whole()
        self.tokenizer_id = row["tokenizer_id"]
        self._used = 0
        self._operators = None
        self._engines = {}  # compiled ones, by llm.kv_type

    def _require_whole(self):
        """ModelError XX001 if a tensor of the architecture is missing: a dump may have been restored in part."""
        missing = next((name for name in self.architecture.tensors() if name not in self.weights), None)
        if missing is not None:
            raise errors.corrupt_data(
                f'model "{self.name}" is not complete',
                f'tensor "{missing}" is missing',
                "Drop it and load it again, or restore the rest of llm_store.",
            )

    @property
    def is_encoder(self):
        """Whether it makes embeddings and cannot generate."""
        return isinstance(self.architecture, EncoderArchitecture)

    @property
    def normalizes(self):
        """Whether embeddings have length 1: always for a decoder, for an encoder as its configuration says."""
        return self.architecture.normalize if self.is_encoder else True

    @property
    def longest_text(self):
        """How many tokens of a text to embed are read."""
        return self.architecture.longest_text if self.is_encoder else self.architecture.context_length

    def require_decoder(self):
        """ModelError 0A000 for an encoder."""
        if self.is_encoder:
            raise errors.not_supported(
                f'model "{self.name}" is an encoder, which makes embeddings and no text',
                f"it is of the family {self.architecture.family}",
                "llm.embed(text, model) uses it; to generate, name a decoder of llm.models.",
            )

    @property
    def engine(self):
        """The engine for whole forwards, by the current setting llm.engine."""
        compiled, _ = engines.chosen()
        return self._compiled if compiled else self.reference

    @property
    def operators(self):
        """The operators for queries, of the current engine; for an encoder those of numpy."""
        engine = self.reference if self.is_encoder else self.engine
        if self._operators is None or self._operators.engine is not engine:
            is_numpy = engine is self.reference
            kind = NumpyOperators if is_numpy else engines.modules().operators.CompiledOperators
            self._operators = kind(engine, interrupts.checkpoint)
        return self._operators

    @functools.cached_property
    def description(self):
        """The architecture as a JSON object."""
        return json.dumps(self.architecture.to_config())

    @functools.cached_property
    def reference(self):
        """The numpy engine."""
        return (NumpyEncoder if self.is_encoder else NumpyEngine)(self.architecture, self.weights)

    @functools.cached_property
    def tokenizer(self):
        row = TOKENIZER.one(self.tokenizer_id)
        with interrupts.signals_blocked():
            from ..model.tokenizer import Tokenizer

        interrupts.checkpoint()
        return Background(Tokenizer, row["definition"], json.loads(row["settings"])).result()

    @functools.cached_property
    def vocabulary(self):
        """The tokenizer as constraints need it: constraints.Vocabulary."""
        with interrupts.signals_blocked():
            from ..generate.constraints import Vocabulary

        return Background(Vocabulary, self.tokenizer).result()

    def constraint(self, kind, source):
        """What texts must be, by one of constraints.KINDS. Interruptible."""
        vocabulary = self.vocabulary
        return Background(vocabulary.constraint, kind, source, stack_mb=STACK_MB).result()

    def encode(self, text, add_special=True, parse_special=False):
        """Token ids of a text, as from Tokenizer.encode; an array of int32 for a long text. Interruptible."""
        if len(text) < LONG_TEXT:
            return self.tokenizer.encode(text, add_special, parse_special)
        ids = array("i")
        for _, piece in self._encoded(text, PIECE, parse_special):
            ids.extend(piece)
        return self.tokenizer.with_special(ids) if add_special else ids

    def encode_at_most(self, text, most, parse_special=False):
        """Token ids of a text, without BOS and EOS. A long text is read only until it has too many.

        Raises ModelError 53400 for a long text of more than `most` tokens. For a short text the caller must check.
        """
        if len(text) < LONG_TEXT:
            return self.tokenizer.encode(text, False, parse_special)
        self.require_bytes(ceilings.utf8_size(text), most, parse_special)
        ids = []
        for end, piece in self._encoded(text, PIECE, parse_special):
            ids += piece
            if len(ids) > most and end < len(text):
                read, size = ceilings.utf8_size(text[:end]), ceilings.utf8_size(text)
                raise too_long(
                    f"the prompt has {size} bytes, the first {read} are {len(ids)} tokens, allowed {most} tokens"
                )
        return ids

    def most_bytes(self, most, parse_special=False):
        """The most bytes that `most` tokens can stand for, so a larger text has more tokens. None if unknown."""
        each = self.tokenizer.bytes_a_token(parse_special)
        return None if each is None else each * most

    def require_bytes(self, size, most, parse_special=False):
        """ModelError 53400 if a text of so many bytes certainly has more than `most` tokens."""
        allowed = self.most_bytes(most, parse_special)
        if allowed is not None and size > allowed:
            raise too_long(f"the prompt has {size} bytes, allowed {allowed}, the most that {most} tokens can have")

    def first_tokens(self, text, count):
        """The first `count` ids of a text, control tokens in it as text; reads only what they take. Interruptible."""
        ids = []
        for _, piece in self._encoded(text, count * CHARACTERS_A_TOKEN, False):
            ids += piece
            if len(ids) >= count:
                break
        return ids[:count]

    def spans(self, text):
        """The first characters of the tokens and their ends, int32 each, as from Tokenizer.spans. Interruptible."""
        starts, ends = array("i"), array("i")
        for begin, end in self._pieces(text, PIECE, False):
            pairs = self._tokenized("spans", text[begin:end])
            if begin and self.tokenizer.drops_space():
                pairs[0] = _with_its_space(*pairs[:2])
            starts.extend(begin + first for first, _ in pairs)
            ends.extend(begin + last for _, last in pairs)
        return starts, ends

    def _encoded(self, text, size, parse_special):
        """(end, ids) of each piece of a text."""
        for begin, end in self._pieces(text, size, parse_special):
            yield end, self._tokenized("encode", text[begin:end], False, parse_special)

    def _pieces(self, text, size, parse_special):
        """(begin, end) of pieces of about `size` characters. ModelError 53400 for a piece above the limit piece_mb."""
        if len(text) <= size:
            yield 0, len(text)
            return
        most = ceilings.allowed("piece_mb")
        longest = len(text) if most is None else most * ceilings.MEGABYTE
        for begin, end in self.tokenizer.pieces(text, size, longest, parse_special):
            if end - begin > LONG_TEXT:
                piece = f"the text from character {begin + 1} on, which has no place to cut,"
                ceilings.require_bytes("piece_mb", ceilings.utf8_size(text[begin:end]), piece)
            yield begin, end
            interrupts.checkpoint()

    def _tokenized(self, method, text, *options):
        tokenizer = self.tokenizer
        if len(text) < LONG_TEXT:
            return getattr(tokenizer, method)(text, *options)
        del self.tokenizer  # after an interrupt the thread still uses it; the next call makes another
        result = Background(getattr(tokenizer, method), text, *options).result()
        self.tokenizer = tokenizer
        return result

    @property
    def _compiled(self):
        now = time.monotonic()
        if now - self._used > SECONDS_BETWEEN_TOUCHES:
            self._used = now
            engines.modules().shared_weights.touch(self.weights.tensors())
        kv_type = settings.choice("kv_type")
        engine = self._engines.get(kv_type)
        if engine is None:
            engine = self._engines[kv_type] = self._compiled_engine(kv_type)
        engine.threads, engine.batch_threads = admission.threads()
        return engine

    @functools.cached_property
    def _packed(self):
        return engines.modules().shared_weights.attach(self.weights.tensors(), self.name, self.hash)

    def _compiled_engine(self, kv_type):
        modules, cancel = engines.modules(), interrupts.cancel_addresses()
        if not self.is_encoder:
            kept_as = None if kv_type == "auto" else kv_type
            kind = modules.decoder.CompiledEngine
            return kind(self.architecture, self._packed, kv_type=kept_as, interrupts=cancel)
        position_rows = self.weights["position_embd.weight"] + self.weights["token_types.weight"][0]
        return modules.encoder.CompiledEncoder(self.architecture, self._packed, position_rows, interrupts=cancel)


def _with_its_space(token, following=(None, None)):
    """The characters of a piece's first token, including the space before the piece, which belongs to it.

    If the next token begins where the piece does, the first token is only that space.
    """
    return -1, 0 if following[0] == 0 else token[1]


def too_long(detail):
    """The error for a prompt that is longer than the context."""
    return errors.limit_exceeded("the prompt is longer than the model's context", detail, "Shorten the prompt.")
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__model() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__model() IS
'A loaded model: its architecture and weights, and, made at first use, its engines and tokenizer.';

CREATE OR REPLACE FUNCTION llm_runtime.session__models()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Finds the model of a call, and keeps loaded models for the session.

Every call looks the model up by name, with the caller's rights. Loaded models are cached by the hash of their content.
So a model that was edited in a transaction is another one, ROLLBACK brings the old one back, and a role only reaches
models that it may see.
"""

from collections import OrderedDict

from ..server import arguments, database, errors, statement_clock
from ..weights import tensors
from . import engines
from .model import Model

DECODER, ENCODER = "decoder", "encoder"  # llm_store.model.kind
SEE_MODELS = "The models of this database are listed in llm.models."
MODELS_KEPT = 3  # the most recently used, such as a model, its draft and one for embeddings

MODEL_COLUMNS = "m.id, m.name, m.hash, m.tokenizer_id, m.architecture, pg_catalog.quote_ident(current_user) AS role"
MODEL_BY_NAME = database.Query(f"SELECT {MODEL_COLUMNS} FROM llm_store.model AS m WHERE m.name = $1", "text")
DEFAULT_MODEL = database.Query(
    f"""SELECT d.kind, {MODEL_COLUMNS}
    FROM llm_store.default_model AS d LEFT JOIN llm_store.model AS m ON m.id = d.model_id
    WHERE d.kind = ANY ($1) ORDER BY pg_catalog.array_position($1, d.kind) LIMIT 1""",
    "text[]",
)
MODEL_BY_HASH = database.Query("SELECT m.id FROM llm_store.model AS m WHERE m.hash = $1 LIMIT 1", "bytea")
ROLE = database.Query("SELECT pg_catalog.quote_ident(current_user) AS role")

_models = OrderedDict()  # by hash, the most recently used last
_current = (None, {})  # a moment (statement_clock), and the models that names meant then


def resolve(name=None):
    """The Model of a name, for the caller. None is the default decoder, or else, if there never was one, the encoder.

    Raises ModelError 42704 if there is none.
    """
    return _loaded(_find(name))


def decoder(name=None):
    """As `resolve`, but only a decoder; None is the default decoder. ModelError 0A000 for an encoder."""
    model = _loaded(_find(name, DECODER))
    model.require_decoder()
    return model


def embedder(name=None):
    """As `resolve`, for embeddings: None is the default encoder, or, if there never was one, the default decoder."""
    return _loaded(_find(name, ENCODER, DECODER))


def current(name=None):
    """As `resolve`, with one look-up in the tables for each moment. Makes no engine, so packs nothing."""
    return _loaded(_row_now(name))


def at_this_moment(name=None):
    """(Model, role, operators): the model as from `current`, the caller, and the model's operators. A query calls this
    hundreds of times."""
    known = _current[1] if _current[0] == statement_clock.now() else _known_now()
    found = known.get(name)
    if found is None:
        row = _row_now(name)
        model = _loaded(row)
        found = known[name] = (model, row["role"], model.operators)
    return found


def swiglu():
    """The one operator that needs no model, of the current engine."""
    known = _known_now()
    found = known.get(swiglu)
    if found is None:
        found = known[swiglu] = engines.swiglu()
    return found


def role():
    """The current role."""
    return ROLE.one()["role"]


def reset():
    """Forget every model of the session."""
    global _current  # noqa: PLW0603 - one interpreter serves one session
    _current = (None, {})
    _models.clear()


def architecture(name=None):
    """The architecture of a model as a JSON object."""
    return _loaded(_row_now(name)).description


def identity(name=None):
    """(hash, name) of the model of a name, for the caller; does not load it."""
    row = _find(name)
    return row["hash"], row["name"]


def weights_of(hash):
    """The Weights of a model by the hash of its content. Raises ModelError 42704 where there is none."""
    row = MODEL_BY_HASH.one(hash)
    if row is None:
        raise errors.undefined_object("no model has this content", hash.hex())
    return tensors.Weights(row["id"])


def _known_now():
    """The cache of look-ups for the current moment."""
    global _current  # noqa: PLW0603 - one interpreter serves one session
    now = statement_clock.now()
    if _current[0] != now:
        _current = (now, {})
    return _current[1]


def _row_now(name):
    """The row of a model, looked up once for each moment."""
    known = _known_now()
    row = known.get((_find, name))
    if row is None:
        row = known[_find, name] = _find(name)
    return row


def _find(name, *kinds):
    """The row of a model by name. None: the default of the first of the kinds that ever had one."""
    if name is None:
        return _default(kinds or (DECODER, ENCODER))
    row = MODEL_BY_NAME.one(arguments.name("model", name, SEE_MODELS))
    if row is None:
        raise errors.undefined_object(
            f'model "{arguments.shown_name(name)}" does not exist',
            hint=SEE_MODELS,
        )
    return row


def _default(kinds):
    """The row of a default model. If that was dropped, no other model takes its place."""
    row = DEFAULT_MODEL.one(list(kinds))
    if row is None:
        kind = "model" if len(kinds) > 1 else kinds[0]
        raise errors.undefined_object(f"there is no {kind}", hint="Load one: hartonomous load PATH --name NAME.")
    if row["id"] is None:
        raise errors.undefined_object(
            f"no model is named, and there is no default {row['kind']}",
            "The default was dropped, or this role may not see it.",
            "Name one of llm.models, or choose one with llm.set_default_model.",
        )
    return row


def _loaded(row):
    """The Model of a row: the cached one if its content is the same, with the name by which this call knows it."""
    model = _models.pop(row["hash"], None) or Model(row)
    model.name = row["name"]
    _models[row["hash"]] = model
    while len(_models) > MODELS_KEPT:
        _models.popitem(last=False)
    return model
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__models() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__models() IS
'Finds the model of a call, and keeps loaded models for the session.';

CREATE OR REPLACE FUNCTION llm_runtime.session__prefixes()
RETURNS void
LANGUAGE plpython3u
AS $python$"""What a session keeps between calls, other than models: KV caches of finished texts, figures of the last call."""

from dataclasses import astuple, dataclass

from ..generate import scheduler
from ..generate.prefix_cache import PrefixCache
from ..server import connection, settings
from . import kv_handles, models, search_matrices

_prefixes = PrefixCache()
_last = {}  # Stats of the last call, by role
paces = {}  # what drafts gained lately, see session/drafts


@dataclass
class Stats:
    """Figures of a call that generates, in tokens: of prompts, computed and reused; generated; guessed, and accepted.
    milliseconds: from the call to its last row, without the client's time."""

    prefilled: int = 0
    reused: int = 0
    generated: int = 0
    guessed: int = 0
    accepted: int = 0
    milliseconds: float = 0.0


class Prefixes:
    """The session's prefix cache for one call: for its model, engine and role, within its setting."""

    def __init__(self, model, engine):
        self.memory = settings.megabytes("kv_cache_mb")
        self._usable = self.memory > 0 and scheduler.batches(engine)
        self._key = (model.hash, models.role(), engine.kv_dtype) if self._usable else None

    def fork(self, tokens):
        """A KV cache of a prefix of the tokens, or None."""
        return _prefixes.fork(self._key, tokens) if self._usable else None

    def keep(self, tokens, cache):
        """Keep the KV cache of a finished text."""
        if self._usable:
            _prefixes.keep(self._key, tokens, cache, self.memory)
        else:
            _prefixes.shrink(self.memory)


def begin():
    """New Stats for a call of the current role."""
    connection.mark_session()
    stats = _last[models.role()] = Stats()
    return stats


def stats():
    """The figures of the current role's last call, as a row; None before the first."""
    last = _last.get(models.role())
    return None if last is None else astuple(last)


def forget():
    """Forget what belongs to the client: figures, KV caches. Loaded models stay: they contain nothing of the client."""
    _last.clear()
    paces.clear()
    _prefixes.clear()
    kv_handles.reset()


connection.when_forgotten(forget)


def reset():
    """Free everything that the session holds: models, KV caches, matrices, figures."""
    forget()
    models.reset()
    search_matrices.reset()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__prefixes() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__prefixes() IS
'What a session keeps between calls, other than models: KV caches of finished texts, figures of the last call.';

CREATE OR REPLACE FUNCTION llm_runtime.session__search_matrices()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Matrices of embedding columns that a session searched; the longest unused are dropped first."""

import functools
from collections import OrderedDict

import numpy as np

from ..kernels.cosine import ArrayTable
from ..server import interrupts

_matrices = OrderedDict()  # by embedding_columns.Column.key, the most recently used last


class Matrix:
    """The vectors of the row versions of a table that are visible in a snapshot.

    tids: int64[n], block << 16 | line, ascending. writers: uint32[n], the versions' xmin; 0 for rows of a transaction
    that is still running. rows: f32[n, width].
    table: the rows in the form that is searched. snapshot: the last one in which it was valid, or None.
    """

    def __init__(self, tids, writers, rows):
        self.tids, self.writers, self.rows = tids, writers, rows
        self.table = ArrayTable(rows, interrupts.checkpoint)
        self.snapshot = None

    @functools.cached_property
    def counts(self):
        """(writers, how many versions each has), ascending."""
        return np.unique(self.writers, return_counts=True)


def find(key):
    """The Matrix of a column, or None."""
    matrix = _matrices.get(key)
    if matrix is not None:
        _matrices.move_to_end(key)
    return matrix


def keep(key, matrix, memory):
    """Keep a column's matrix, and as many of the others as fit in so many bytes with it."""
    _matrices[key] = matrix
    _matrices.move_to_end(key)
    held = sum(other.rows.nbytes for other in _matrices.values())
    while held > memory and len(_matrices) > 1:
        held -= _matrices.popitem(last=False)[1].rows.nbytes


def drop(key):
    """Forget a column's matrix."""
    _matrices.pop(key, None)


def reset():
    """Forget them all."""
    _matrices.clear()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.session__search_matrices() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.session__search_matrices() IS
'Matrices of embedding columns that a session searched; the longest unused are dropped first.';

COMMIT;
