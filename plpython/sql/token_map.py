"""The map of a model's tokens, as llm_atoms.project makes it."""

from ..atoms.token_map import store

__all__ = ["store"]
