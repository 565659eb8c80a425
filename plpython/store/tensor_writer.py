"""Writes tensors: encodes new values in a tensor's encoding, and stores only the tiles that differ.

A block whose values do not change keeps its bytes. For quantised types encoding is not the inverse of decoding, so
unchanged blocks must not be encoded again. The server computes all hashes; hashes here only avoid storing tiles twice.
"""

import hashlib
import json

import numpy as np

from ..model import encodings, finite
from ..server import database, errors, interrupts
from ..weights import tensors
from . import manifest

STORE_TILE = database.Query("SELECT llm_store.store_tile($1) AS hash", "bytea")
ATOMISE_EDITED = database.Query("SELECT llm_store.atomise_edited($1, $2)", "bytea", "bytea")
STORE_TENSOR = database.Query("SELECT s.hash FROM llm_store.store_tensors($1::jsonb) AS s", "text")
TILE_HASHES = database.Query(
    "SELECT tt.tile_hash FROM llm_store.tensor_tile AS tt WHERE tt.tensor_hash = $1 ORDER BY tt.ordinal", "bytea"
)
SOME_TILES = database.Query(
    """
    SELECT tt.tile_hash, t.content
    FROM llm_store.tensor_tile AS tt INNER JOIN llm_store.tile AS t ON t.hash = tt.tile_hash
    WHERE tt.tensor_hash = $1 AND tt.ordinal >= $2 AND tt.ordinal < $3
    ORDER BY tt.ordinal
    """,
    *("bytea", "integer", "integer"),
)


class TileWriter:
    """Writes the tiles of a tensor in order. known: hashes of tiles that are stored already."""

    def __init__(self, name, type, shape, known=()):
        self._name, self._type, self._shape = name, type, shape
        row_bytes = encodings.row_bytes(type, shape[-1])
        self._sizes = iter(manifest.tile_sizes(int(np.prod(shape[:-1], dtype=np.int64)), row_bytes))
        self._size = next(self._sizes)
        self._known = set(known)
        self._rest = b""
        self._tiles = []

    def write(self, raw):
        """The next bytes of the tensor, any number of them."""
        self._rest = self._rest + raw if self._rest else bytes(raw)
        while self._size and len(self._rest) >= self._size:
            tile, self._rest = self._rest[: self._size], self._rest[self._size :]
            self._store(tile)
            self._size = next(self._sizes, 0)
            interrupts.checkpoint()

    def finish(self):
        """Store the tensor and return its hash."""
        if self._size or self._rest:
            raise errors.corrupt_data(f'tensor "{self._name}" was not written to its end')
        return _store_tensor(self._name, self._type, self._shape, self._tiles)

    def _store(self, tile):
        digest = hashlib.sha256(tile).digest()
        if digest not in self._known:
            STORE_TILE.one(tile)
            self._known.add(digest)
        self._tiles.append(digest)


def rewrite(tensor, change):
    """Store the tensor with new values: change(f32[rows, columns], number of the first row) returns them.

    Returns (hash of the new tensor, largest rounding error).
    """
    writer = TileWriter(tensor.name, tensor.type, tensor.shape, tile_hashes(tensor))
    largest, first = 0.0, 0
    for raw, old in row_pieces(tensor):
        new = np.asarray(change(old, first), np.float32)
        fresh, error = reencoded(tensor, raw, old, new, first)
        writer.write(fresh)
        largest, first = max(largest, error), first + len(old)
    return writer.finish(), largest


def write(name, type, shape, values):
    """Store f32 values as a tensor of a type. Returns (hash, largest rounding error)."""
    writer = TileWriter(name, type, shape)
    rows = values.reshape(-1, shape[-1])
    step = max(1, manifest.TILE_BYTES // encodings.row_bytes(type, shape[-1]))
    largest = 0.0
    for first in range(0, len(rows), step):
        raw, error = encoded(name, type, rows[first : first + step], first)
        writer.write(raw)
        largest = max(largest, error)
    return writer.finish(), largest


def convert(tensor, type):
    """Store the tensor's values in another type. Returns (hash, largest rounding error)."""
    writer = TileWriter(tensor.name, type, tensor.shape)
    largest, first = 0.0, 0
    for _, values in row_pieces(tensor):
        raw, error = encoded(tensor.name, type, values, first)
        writer.write(raw)
        largest, first = max(largest, error), first + len(values)
    return writer.finish(), largest


def replace_row(tensor, number, values):
    """Store the tensor with a new row; reads only the row's tiles. Returns (hash, largest rounding error)."""
    row_bytes = encodings.row_bytes(tensor.type, tensor.shape[-1])
    first, count, offset = row_place(tensor, number)
    hashes = tile_hashes(tensor)
    content = b"".join(_tiles_between(tensor, first, count))
    raw = content[offset : offset + row_bytes]
    old = encodings.decode(tensor.type, raw, (1, tensor.shape[-1]))
    fresh, error = reencoded(tensor, raw, old, values.reshape(1, -1), number)
    content = content[:offset] + fresh + content[offset + row_bytes :]
    size = manifest.TILE_BYTES if tensor.rows_per_tile == 0 else len(content)
    hashes[first : first + count] = [
        STORE_TILE.one(content[i : i + size])["hash"] for i in range(0, len(content), size)
    ]
    edited = _store_tensor(tensor.name, tensor.type, tensor.shape, hashes)
    ATOMISE_EDITED.all(edited, tensor.hash)
    return edited, error


def row_place(tensor, number):
    """(first tile, how many tiles, offset of the row in them) of a row."""
    row_bytes = encodings.row_bytes(tensor.type, tensor.shape[-1])
    if tensor.rows_per_tile == 0:
        pieces = -(-row_bytes // manifest.TILE_BYTES)
        return number * pieces, pieces, 0
    return number // tensor.rows_per_tile, 1, number % tensor.rows_per_tile * row_bytes


def row_pieces(tensor):
    """(bytes, f32[rows, columns]) of the tensor in order: of a tile, or of a row that spans several tiles.

    Raises ModelError 42704 if tiles at the end are missing.
    """
    columns = tensor.shape[-1]
    row_bytes = encodings.row_bytes(tensor.type, columns)
    rest, read = b"", 0
    for tile in tensors.tiles(tensor):
        read += len(tile)
        rest = rest + tile if rest else tile
        if len(rest) % row_bytes == 0:
            yield rest, encodings.decode(tensor.type, rest, (len(rest) // row_bytes, columns))
            rest = b""
        interrupts.checkpoint()
    if read < tensor.bytes:
        raise _removed(tensor)


def reencoded(tensor, raw, old, new, first):
    """(bytes, largest rounding error) of rows `new`, from number `first` on; `raw` are the bytes of rows `old`."""
    elements, size = encodings.BLOCKS[tensor.type]
    changed = (old != new).reshape(-1, elements).any(axis=1)
    if not changed.any():
        return raw, 0.0
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, size).copy()
    rows, values = first + np.flatnonzero(changed) // (new.shape[-1] // elements), new.reshape(-1, elements)[changed]
    fresh, stored = finite.encoded(tensor.name, tensor.type, values, rows)
    blocks[changed] = fresh.reshape(-1, size)
    return blocks.tobytes(), _largest_difference(stored, values)


def encoded(name, type, values, first):
    """(bytes, largest rounding error) of f32[rows, columns] in a type, from row `first` on; see finite.encoded."""
    raw, stored = finite.encoded(name, type, values, range(first, first + len(values)))
    return raw.tobytes(), _largest_difference(stored, values)


def _largest_difference(stored, values):
    return float(np.abs(stored - values).max(initial=0.0))


def tile_values(tensor, number):
    """f32[rows, columns]: the rows in one tile of a tensor whose tiles hold whole rows."""
    content = b"".join(_tiles_between(tensor, number, 1))
    if not content:
        raise _removed(tensor)
    columns = tensor.shape[-1]
    rows = len(content) // encodings.row_bytes(tensor.type, columns)
    return encodings.decode(tensor.type, content, (rows, columns))


def tile_hashes(tensor):
    """The hashes of the tensor's tiles in order."""
    return [row["tile_hash"] for row in TILE_HASHES.all(tensor.hash)]


def _tiles_between(tensor, first, count):
    for row in SOME_TILES.all(tensor.hash, first, first + count):
        if hashlib.sha256(row["content"]).digest() != row["tile_hash"]:
            raise errors.corrupt_data(
                f'tensor "{tensor.name}" is corrupt', hint="llm.verify(model) lists every tensor that is."
            )
        yield row["content"]


def _removed(tensor):
    """The error for missing tiles. Tensors of a model never lose tiles, so no model has this tensor any more."""
    return errors.undefined_object(
        f'tensor "{tensor.name}" was removed meanwhile',
        "Its model was dropped or edited, and llm.collect ran.",
        "Try again; if the model is as it was, SELECT * FROM llm.verify(model) tells what is wrong with it.",
    )


def _store_tensor(name, type, shape, tiles):
    tensor = {"name": name, "type": type, "shape": list(shape), "tiles": [tile.hex() for tile in tiles]}
    return STORE_TENSOR.one(json.dumps([tensor]))["hash"]
