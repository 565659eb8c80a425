"""What llm.project calls: the map of a model's tokens."""

from ..atoms.token_map import store

__all__ = ["store"]
