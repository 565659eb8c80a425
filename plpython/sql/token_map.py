"""The map of a model's tokens, as llm.project makes it."""

from ..atoms.token_map import store

__all__ = ["store"]
