"""Where the tokens of a model lie: its embedding's four principal directions, and which of them can be labelled.

The map is the model's own: rows of token_embd.weight, centred, on the directions along which they differ most. Four
directions hold only a part of the differences, which the pictures state; what is near on the map is not therefore near
in meaning.
"""

import unicodedata
from dataclasses import dataclass

import numpy as np
import psycopg

from plpython import quant

from .errors import ServerError
from .stored_model import read_stored, tensor_rows

EMBEDDING = "token_embd.weight"
TOKENS = "SELECT id, text, kind FROM llm.tokens WHERE model = %s ORDER BY id"
MOST_ROWS_READ = 16_384  # at a time, while sums are taken
LONGEST_LABEL = 14


@dataclass(frozen=True)
class TokenMap:
    """places: f64[n, 4]; explained: the part of the variance in each direction; texts: what the tokens say."""

    model: str
    places: np.ndarray
    explained: np.ndarray
    texts: list[str]


def read_token_map(connection: psycopg.Connection, name: str) -> TokenMap:
    """The map of a model's used tokens. Raises ServerError for a model that is not there or has too few."""
    model = read_stored(connection, name)
    tokens = connection.execute(TOKENS, (name,)).fetchall()
    used = np.array([kind in ("normal", "added") for _, _, kind in tokens])
    tensor = next(tensor for tensor in model.tensors if tensor.name == EMBEDDING)
    columns = tensor.shape[-1]
    pieces = [
        quant.decode(tensor.type, raw, (len(raw) // tensor.row_bytes, columns))
        for raw in tensor_rows(connection, tensor)
    ]
    rows = np.concatenate(pieces)[used]
    if len(rows) < 5:
        raise ServerError(f'model "{name}" has {len(rows)} tokens, too few for a map')
    places, explained = principal(rows)
    return TokenMap(name, places, explained, [text for (_, text, _), use in zip(tokens, used, strict=True) if use])


def principal(rows: np.ndarray, directions: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Principal component analysis: f32[n, d] -> (f64[n, directions], part of the variance in each).

    A direction's sign is chosen so that the token that lies farthest out lies on its positive side.
    """
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), MOST_ROWS_READ):
        centred = rows[start : start + MOST_ROWS_READ] - mean
        covariance += centred.T @ centred
    variances, axes = np.linalg.eigh(covariance)
    axes = axes[:, ::-1][:, :directions]
    places = (rows - mean) @ axes
    farthest = np.abs(places).argmax(axis=0)
    places *= np.sign(places[farthest, np.arange(places.shape[1])])
    return places, variances[::-1][:directions] / variances.sum()


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
