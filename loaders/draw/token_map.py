"""Where the tokens of a model lie: the map that llm.project stores, and which of its tokens can be labelled.

Four directions hold only a part of the differences, which the pictures state; what is near on the map is not therefore
near in meaning.
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
import psycopg

from ..errors import ServerError
from ..export.stored_model import read_stored

MAP_QUERY = "SELECT explained FROM llm.projections WHERE model = %s"
MAKE = "SELECT llm.project(%s)"
PLACES = """
    SELECT public.st_x(geom), public.st_y(geom), public.st_z(geom), public.st_m(geom), token FROM llm.token_positions
    WHERE model = %s AND kind IN ('normal', 'added') ORDER BY token_id
"""
LONGEST_LABEL = 14


@dataclass(frozen=True)
class TokenMap:
    """places: f64[n, 4]; explained: the part of the variance in each direction; texts: what the tokens say."""

    model: str
    places: np.ndarray
    explained: np.ndarray
    texts: list[str]


def read_token_map(connection: psycopg.Connection, name: str) -> TokenMap:
    """The map of a model's normal tokens, made now if it is not there.

    Raises ServerError for a model that is not there, has too few tokens, or has no map that the caller may make.
    """
    read_stored(connection, name)  # raises for a model that is not there
    explained = connection.execute(MAP_QUERY, (name,)).fetchone()
    if explained is None:
        try:
            explained = connection.execute(MAKE, (name,)).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            hint = f"A member of llm_loader makes it once: SELECT llm.project('{name}')."
            raise ServerError(f'model "{name}" has no map yet', hint) from None
    rows = connection.execute(PLACES, (name,)).fetchall()
    if len(rows) < 5:
        raise ServerError(f'model "{name}" has {len(rows)} tokens, too few for a map')
    places = np.array([row[:4] for row in rows])
    return TokenMap(name, places, np.array(explained[0]), [row[4] for row in rows])


def cells(places: np.ndarray, bits: int) -> np.ndarray:
    """The first two directions as cells of a square of 2^bits steps a side -> i64[n, 2]."""
    plane = places[:, :2]
    low, high = plane.min(axis=0), plane.max(axis=0)
    steps = (plane - low) / np.where(high > low, high - low, 1) * ((1 << bits) - 1)
    return np.rint(steps).astype(np.int64)


def label(text: str) -> str | None:
    """How a token is written on a map: a leading space as an open box; None for what has no letters to show."""
    shown = text.replace(" ", "\u2423")
    if not 1 <= len(shown) <= LONGEST_LABEL or not shown.isprintable():
        return None
    letters = shown.strip("\u2423")
    is_latin = all("LATIN" in unicodedata.name(c, "") or c.isascii() for c in letters)
    return shown if letters and is_latin else None


def chosen_labels(places: np.ndarray, texts: list[str], most: int, room: tuple[float, float]) -> list[tuple[int, str]]:
    """(index, label) of tokens that can be labelled without labels lying on each other.

    Words that begin with a space come first, then the rest, and early tokens before late ones: they are the frequent
    ones. `room` is the width and height that a label of one character takes, as parts of the map.
    """
    plane = places[:, :2]
    low, high = plane.min(axis=0), plane.max(axis=0)
    at = (plane - low) / np.where(high > low, high - low, 1)
    candidates = [(n, shown) for n, text in enumerate(texts) if (shown := label(text)) is not None]
    candidates.sort(key=lambda candidate: (not candidate[1].strip("\u2423").isalpha(), len(candidate[1]) < 3))
    taken: list[tuple[float, float, float]] = []
    labels = []
    for number, shown in candidates:
        x, y = at[number]
        width = room[0] * (len(shown) + 1)
        if any(abs(y - other_y) < room[1] and x < end and other_x < x + width for other_x, other_y, end in taken):
            continue
        taken.append((x, y, x + width))
        labels.append((number, shown))
        if len(labels) == most:
            break
    return labels
