"""What a session keeps between calls, other than models: KV caches of finished texts, figures of the last call."""

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
