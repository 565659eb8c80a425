"""What the tests of editing read back from the tables, past the functions that they test."""

import numpy as np

from plpython.model import encodings
from tests.database.models import call

PROMPT = "Once upon a time"


def tensor(connection, model: str, name: str) -> np.ndarray:
    """The stored values of a tensor, decoded here."""
    kind, shape, content = connection.execute(
        """
        SELECT t.type, t.shape, string_agg(c.content, ''::bytea ORDER BY u.ordinal)
        FROM llm.tensors AS t
        INNER JOIN llm_store.tensor_tile AS u ON u.tensor_hash = t.hash
        INNER JOIN llm_store.tile AS c ON c.hash = u.tile_hash
        WHERE t.model = %s AND t.name = %s GROUP BY t.type, t.shape
        """,
        (model, name),
    ).fetchone()
    return encodings.decode(kind, content, tuple(shape)).copy()


def model_hash(connection, model: str) -> bytes:
    return call(connection, "SELECT hash FROM llm.models WHERE name = %s", model)


def hashes(connection, model: str) -> dict[str, bytes]:
    return dict(connection.execute("SELECT name, hash FROM llm.tensors WHERE model = %s", (model,)).fetchall())


def stored(superuser) -> tuple[int, int]:
    """(tiles, bytes) that something refers to."""
    superuser.execute("CALL llm.collect('0 seconds')")
    query = "SELECT count(*), coalesce(sum(octet_length(content)), 0)::bigint FROM llm_store.tile"
    return superuser.execute(query).fetchone()


def changed(connection, before: str, after: str) -> list[tuple]:
    """What llm.diff says of tensors that are not equal."""
    return connection.execute("SELECT * FROM llm.diff(%s, %s) WHERE change <> 'none'", (before, after)).fetchall()


def next_token(connection, model: str) -> tuple[int, float]:
    query = "SELECT token_id, logit FROM llm.next_tokens(%s, 1, %s)"
    return connection.execute(query, (PROMPT, model)).fetchone()
