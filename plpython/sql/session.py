"""What a session tells about itself, and what it keeps for its queries: versions, engine, counters, KV caches."""

from ..server.connection import version
from ..session.engines import description as engine
from ..session.kv_handles import free as free_kv_cache
from ..session.kv_handles import new as new_kv_cache
from ..session.models import architecture
from ..session.prefixes import reset, stats

__all__ = ["architecture", "engine", "free_kv_cache", "new_kv_cache", "reset", "stats", "version"]
