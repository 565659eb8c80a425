"""The map of a model's tokens that llm_atoms.project stores, and which tokens of it can be labelled.

The map shows only part of the variance, which the pictures state. Tokens that are close on it need not be close in
meaning.
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
import psycopg

from ..errors import ServerError
from ..export.stored_model import read_stored

MAP_QUERY = "SELECT explained FROM llm_atoms.projections WHERE model = %s"
MAKE = "SELECT llm_atoms.project(%s)"
POSITIONS = """
    SELECT public.st_x(geom), public.st_y(geom), public.st_z(geom), public.st_m(geom), token
    FROM llm_atoms.token_positions
    WHERE model = %s AND kind IN ('normal', 'added') ORDER BY token_id
"""
LONGEST_LABEL = 14


@dataclass(frozen=True)
class TokenMap:
    """positions: f64[n, 4]; explained: the share of the variance of each component; texts: of the tokens."""

    model: str
    positions: np.ndarray
    explained: np.ndarray
    texts: list[str]


def read_token_map(connection: psycopg.Connection, name: str) -> TokenMap:
    """The map of a model's normal tokens; made now if there is none.

    Raises ServerError for a model that is not there, has too few tokens, or has no map that the caller may make.
    """
    read_stored(connection, name)  # raises for a model that is not there
    explained = connection.execute(MAP_QUERY, (name,)).fetchone()
    if explained is None:
        try:
            explained = connection.execute(MAKE, (name,)).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            hint = f"A member of llm_loader makes it once: SELECT llm_atoms.project('{name}')."
            raise ServerError(f'model "{name}" has no map yet', hint) from None
    rows = connection.execute(POSITIONS, (name,)).fetchall()
    if len(rows) < 5:
        raise ServerError(f'model "{name}" has {len(rows)} tokens, too few for a map')
    positions = np.array([row[:4] for row in rows])
    return TokenMap(name, positions, np.array(explained[0]), [row[4] for row in rows])


def cells(positions: np.ndarray, bits: int) -> np.ndarray:
    """The first two directions as cells of a square of 2^bits steps a side -> i64[n, 2]."""
    plane = positions[:, :2]
    low, high = plane.min(axis=0), plane.max(axis=0)
    steps = (plane - low) / np.where(high > low, high - low, 1) * ((1 << bits) - 1)
    return np.rint(steps).astype(np.int64)


def label(text: str) -> str | None:
    """The label of a token, with a leading space as an open box; None if it has no letters to show."""
    shown = text.replace(" ", "\u2423")
    if not 1 <= len(shown) <= LONGEST_LABEL or not shown.isprintable():
        return None
    letters = shown.strip("\u2423")
    is_latin = all("LATIN" in unicodedata.name(c, "") or c.isascii() for c in letters)
    return shown if letters and is_latin else None


def chosen_labels(
    positions: np.ndarray, texts: list[str], most: int, label_size: tuple[float, float]
) -> list[tuple[int, str]]:
    """(index, label) of tokens, chosen so that labels do not overlap.

    Words that begin with a space come first, then the rest, and lower ids before higher ones, because those are more
    frequent. `label_size` is the width and height of a label of one character, as fractions of the map.
    """
    plane = positions[:, :2]
    low, high = plane.min(axis=0), plane.max(axis=0)
    at = (plane - low) / np.where(high > low, high - low, 1)
    candidates = [(n, shown) for n, text in enumerate(texts) if (shown := label(text)) is not None]
    candidates.sort(key=lambda candidate: (not candidate[1].strip("\u2423").isalpha(), len(candidate[1]) < 3))
    taken: list[tuple[float, float, float]] = []
    labels = []
    for number, shown in candidates:
        x, y = at[number]
        width = label_size[0] * (len(shown) + 1)
        if any(abs(y - other_y) < label_size[1] and x < end and other_x < x + width for other_x, other_y, end in taken):
            continue
        taken.append((x, y, x + width))
        labels.append((number, shown))
        if len(labels) == most:
            break
    return labels
