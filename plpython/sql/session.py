"""A session's own state as SQL sees it: version, engine, figures of the last call, KV caches."""

from ..server.connection import version
from ..server.settings import rows as settings
from ..session.engines import description as engine
from ..session.kv_handles import free as free_kv_cache
from ..session.kv_handles import new as new_kv_cache
from ..session.models import architecture
from ..session.prefixes import reset, stats

__all__ = ["architecture", "engine", "free_kv_cache", "new_kv_cache", "reset", "settings", "stats", "version"]
