"""A model as the database has it: what it is, what its tensors are, and their bytes as a stream.

Bytes come by binary COPY, a tile at a time, and each tile is compared with its hash: what was damaged on the way, or in
the database, is never written to a file.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from plpython.model.decoder import Architecture
from plpython.model.encoder import EncoderArchitecture, of_config
from plpython.model.encodings import row_bytes

from ..errors import ServerError

MODEL_QUERY = """
    SELECT m.container, m.architecture, k.definition, k.settings
    FROM llm_store.model AS m INNER JOIN llm_store.tokenizer AS k ON k.id = m.tokenizer_id
    WHERE m.name = %s
"""
TENSORS_QUERY = "SELECT name, type, shape, bytes, hash FROM llm.tensors WHERE model = %s ORDER BY ordinal"
FILES_QUERY = "SELECT path, bytes FROM llm.files WHERE model = %s ORDER BY path"
COPY_FILE_PIECES = """
    COPY (SELECT hash, content FROM llm_store.file_pieces WHERE model = {} AND path = {} ORDER BY segment, piece)
    TO STDOUT (FORMAT BINARY)
"""
COPY_TENSOR_TILES = """
    COPY (
        SELECT u.tile_hash, t.content FROM llm_store.tensor_tile AS u
        LEFT JOIN llm_store.tile AS t ON t.hash = u.tile_hash
        WHERE u.tensor_hash = {} ORDER BY u.ordinal
    ) TO STDOUT (FORMAT BINARY)
"""


@dataclass(frozen=True)
class StoredTensor:
    """A tensor of a stored model: type as in plpython.model.encodings, shape in numpy's order."""

    name: str
    type: str
    shape: tuple[int, ...]
    bytes: int
    hash: bytes

    @property
    def row_bytes(self) -> int:
        return row_bytes(self.type, self.shape[-1])


@dataclass(frozen=True)
class StoredModel:
    """What is stored about a model, without its weights. `files` is {path: bytes}, empty for one that was made here."""

    name: str
    container: str
    architecture: Architecture | EncoderArchitecture
    tokenizer_definition: str
    tokenizer_settings: dict
    tensors: tuple[StoredTensor, ...]
    files: dict[str, int]


def read_stored(connection: psycopg.Connection, name: str) -> StoredModel:
    """The model called `name`. Raises ServerError if there is none."""
    found = connection.execute(MODEL_QUERY, (name,)).fetchone()
    if found is None:
        raise ServerError(f'model "{name}" does not exist', "hartonomous list shows the models of the database.")
    container, architecture, definition, settings = found
    tensors = connection.execute(TENSORS_QUERY, (name,)).fetchall()
    return StoredModel(
        name=name,
        container=container,
        architecture=of_config(architecture),
        tokenizer_definition=definition,
        tokenizer_settings=settings,
        tensors=tuple(StoredTensor(n, t, tuple(shape), size, bytes(h)) for n, t, shape, size, h in tensors),
        files=dict(connection.execute(FILES_QUERY, (name,)).fetchall()),
    )


def file_pieces(connection: psycopg.Connection, model: str, path: str) -> Iterator[bytes]:
    """The bytes of a loaded file in order, each piece checked."""
    return _checked(connection, COPY_FILE_PIECES, (model, path), f'file "{path}"')


def tensor_tiles(connection: psycopg.Connection, tensor: StoredTensor) -> Iterator[bytes]:
    """The bytes of a tensor in order, each tile checked."""
    return _checked(connection, COPY_TENSOR_TILES, (tensor.hash,), f'tensor "{tensor.name}"')


def tensor_rows(connection: psycopg.Connection, tensor: StoredTensor) -> Iterator[bytes]:
    """The bytes of a tensor in order, in pieces of whole rows."""
    rest = b""
    for tile in tensor_tiles(connection, tensor):
        rest = rest + tile if rest else tile
        whole = len(rest) - len(rest) % tensor.row_bytes
        if whole:
            yield rest[:whole]
            rest = rest[whole:]


def _checked(connection: psycopg.Connection, query: str, values: tuple, what: str) -> Iterator[bytes]:
    statement = psycopg.sql.SQL(query).format(*map(psycopg.sql.Literal, values))
    with connection.cursor().copy(statement) as copy:
        copy.set_types(["bytea", "bytea"])
        for number, (expected, content) in enumerate(copy.rows()):
            if expected is None:
                continue  # an empty file
            if content is None or hashlib.sha256(content).digest() != expected:
                raise ServerError(f"{what} is damaged in its tile {number}", "llm.verify(model) lists what is damaged.")
            yield content
