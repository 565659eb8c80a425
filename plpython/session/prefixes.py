"""What a session keeps between its calls beside models: KV caches of finished texts, and figures of the last call."""

from dataclasses import astuple, dataclass

from ..generate import scheduler
from ..generate.prefix_cache import PrefixCache
from ..server import connection, settings
from . import kv_handles, models, search_matrices

DEFAULT_KV_CACHE_MB = 256

_prefixes = PrefixCache()
_last = {}  # Stats of the last call, by role


@dataclass
class Stats:
    """Figures of a call that generates. Tokens: of prompts computed, of prompts that were there already, written;
    guessed, and guessed rightly. Then milliseconds from the call to its last row, without the client's time."""

    prefilled: int = 0
    reused: int = 0
    generated: int = 0
    guessed: int = 0
    accepted: int = 0
    milliseconds: float = 0.0


class Prefixes:
    """The session's kept caches, as one call sees them: its model and engine, its role, its setting."""

    def __init__(self, model, engine):
        self.memory = settings.megabytes("kv_cache_mb", DEFAULT_KV_CACHE_MB, 0)
        self._usable = self.memory > 0 and scheduler.batches(engine)
        self._key = (model.hash, models.role(), engine.kv_dtype) if self._usable else None

    def fork(self, tokens):
        """A cache with a beginning of the tokens, or None."""
        return _prefixes.fork(self._key, tokens) if self._usable else None

    def keep(self, tokens, cache):
        """Keep what a finished text computed."""
        if self._usable:
            _prefixes.keep(self._key, tokens, cache, self.memory)
        else:
            _prefixes.shrink(self.memory)


def begin():
    """The Stats of a call of the current role's that begins now."""
    connection.mark_session()
    stats = _last[models.role()] = Stats()
    return stats


def stats():
    """The figures of the current role's last call in the session, as a row; None before the first."""
    last = _last.get(models.role())
    return None if last is None else astuple(last)


def forget():
    """Forget what the session keeps for its client: figures, KV caches. Loaded models stay: they say nothing of it."""
    _last.clear()
    _prefixes.clear()
    kv_handles.reset()


def reset():
    """Free all that the session holds: models, KV caches, matrices, figures. What comes next loads anew."""
    forget()
    models.reset()
    search_matrices.reset()
