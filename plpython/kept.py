"""What a session keeps between its calls beside models: KV caches of finished texts, and figures of the last call."""

from dataclasses import astuple, dataclass

from . import matrices, scheduling, session_caches, session_models, settings
from .prefix_cache import PrefixCache

DEFAULT_MEGABYTES = 256

_prefixes = PrefixCache()
_last = None


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
        self.memory = settings.megabytes("kv_cache_mb", DEFAULT_MEGABYTES, 0)
        self._usable = self.memory > 0 and scheduling.batches(engine)
        self._key = (model.hash, session_models.role(), engine.kv_dtype) if self._usable else None

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
    """The Stats of a call that begins now."""
    global _last  # noqa: PLW0603 - one interpreter serves one session
    _last = Stats()
    return _last


def stats():
    """The figures of the session's last call, as a row; None before the first."""
    return None if _last is None else astuple(_last)


def reset():
    """Free all that the session holds: models, KV caches, matrices, figures. What comes next loads anew."""
    global _last  # noqa: PLW0603 - one interpreter serves one session
    _last = None
    _prefixes.clear()
    session_models.reset()
    session_caches.reset()
    matrices.reset()
