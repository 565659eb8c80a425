"""Selects the engine: compiled code over shared packed weights if that is ready, else numpy.

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
