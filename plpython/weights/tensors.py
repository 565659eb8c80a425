"""A model's tensors as arrays, read from their tiles on demand and kept for the session.

Every tile's SHA-256 is checked as it is read, so a wrong byte is an error with the tensor's name and never an answer.
What is kept is keyed by the hash of the tensor: models that share a tensor share its array, and an edited model shares
what the edit left alone. Which models a role may use is decided by its rights when a `Weights` is made.
"""

import hashlib
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..model import encodings
from ..server import database, errors, interrupts

TENSORS = database.Query(
    """
    SELECT mt.name, mt.tensor_hash, t.type, t.shape, t.rows_per_tile, t.bytes
    FROM llm_store.model_tensor AS mt
    INNER JOIN llm_store.tensor AS t ON t.hash = mt.tensor_hash
    WHERE mt.model_id = $1
    ORDER BY mt.ordinal
    """,
    "integer",
)
TILES = database.Query(
    """
    SELECT tt.tile_hash, t.content
    FROM llm_store.tensor_tile AS tt
    LEFT JOIN llm_store.tile AS t ON t.hash = tt.tile_hash
    WHERE tt.tensor_hash = $1
    ORDER BY tt.ordinal
    """,
    "bytea",
)


@dataclass(frozen=True)
class Tensor:
    """A stored tensor: what it is, and how its rows lie in tiles (rows_per_tile 0: a row spans tiles)."""

    name: str
    hash: bytes
    type: str
    shape: tuple
    rows_per_tile: int
    bytes: int


class ArrayCache:
    """f32 arrays by tensor hash, up to a limit of bytes; the longest unused leave first.

    An array is not kept if that would cost one that the same model needs: a model larger than the limit is read in the
    same order again and again, and would never find anything in a cache that always drops the oldest.
    """

    def __init__(self, limit):
        self.limit = limit
        self.bytes = 0
        self._arrays = OrderedDict()

    def get(self, key):
        array = self._arrays.get(key)
        if array is not None:
            self._arrays.move_to_end(key)
        return array

    def put(self, key, array, needed=()):
        """Keep the array, unless it takes the place of an array whose key is in `needed`."""
        for oldest in list(self._arrays):
            if self.bytes + array.nbytes <= self.limit or oldest in needed:
                break
            self.bytes -= self._arrays.pop(oldest).nbytes
        if self.bytes + array.nbytes <= self.limit:
            self._arrays[key] = array
            self.bytes += array.nbytes

    def clear(self):
        self._arrays.clear()
        self.bytes = 0


def _default_limit():
    """Half of the machine's memory, at most 4 GiB."""
    return min(4 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


cache = ArrayCache(_default_limit())


class Weights(Mapping):
    """{tensor name: f32 array, read-only, in numpy's shape} of one model, each read when it is first asked for."""

    def __init__(self, model_id):
        self._tensors = {
            row["name"]: Tensor(
                row["name"], row["tensor_hash"], row["type"], tuple(row["shape"]), row["rows_per_tile"], row["bytes"]
            )
            for row in TENSORS.all(model_id)
        }
        self._hashes = {tensor.hash for tensor in self._tensors.values()}

    def __getitem__(self, name):
        """The tensor's values. Raises KeyError for an unknown name, ModelError XX001 for wrong bytes."""
        tensor = self._tensors[name]
        array = cache.get(tensor.hash)
        if array is None:
            array = decoded(tensor)
            array.flags.writeable = False
            cache.put(tensor.hash, array, needed=self._hashes)
        return array

    def __iter__(self):
        return iter(self._tensors)

    def __len__(self):
        return len(self._tensors)

    def __contains__(self, name):
        return name in self._tensors

    def tensors(self):
        """What is stored about all tensors, in the model's order."""
        return list(self._tensors.values())

    def tensor(self, name):
        """What is stored about a tensor. Raises KeyError for an unknown name."""
        return self._tensors[name]


def tiles(tensor):
    """The tensor's bytes, tile by tile, each checked. Raises ModelError XX001 for a missing or changed tile."""
    for ordinal, row in enumerate(TILES.stream(tensor.hash)):
        if row["content"] is None:
            raise corrupt(tensor, f"tile {ordinal} is missing: {row['tile_hash'].hex()}")
        actual = hashlib.sha256(row["content"]).digest()
        if actual != row["tile_hash"]:
            raise corrupt(tensor, f"tile {ordinal} hashes to {actual.hex()}, expected {row['tile_hash'].hex()}")
        yield row["content"]


def raw(tensor):
    """The tensor's bytes as they stood in the file -> uint8[bytes]."""
    content = np.empty(tensor.bytes, np.uint8)
    filled = 0
    for tile in tiles(tensor):
        if filled + len(tile) > tensor.bytes:
            raise corrupt(tensor, f"its tiles hold more than {tensor.bytes} bytes")
        content[filled : filled + len(tile)] = np.frombuffer(tile, np.uint8)
        filled += len(tile)
    if filled != tensor.bytes:
        raise corrupt(tensor, f"its tiles hold {filled} bytes, expected {tensor.bytes}")
    return content


def decoded(tensor):
    """The tensor's values -> f32 of its shape; tile by tile, so that its bytes are never all in memory beside them."""
    if tensor.rows_per_tile == 0 or len(tensor.shape) == 1:
        return encodings.decode(tensor.type, raw(tensor), tensor.shape, checkpoint=interrupts.checkpoint)
    columns = tensor.shape[-1]
    values = np.empty(tensor.shape, np.float32)
    rows = values.reshape(-1, columns)
    filled = 0
    for tile in tiles(tensor):
        count = min(tensor.rows_per_tile, len(rows) - filled)
        if count == 0:
            raise corrupt(tensor, f"its tiles hold more than {len(rows)} rows")
        rows[filled : filled + count] = encodings.decode(tensor.type, tile, (count, columns))
        filled += count
        interrupts.checkpoint()
    if filled != len(rows):
        raise corrupt(tensor, f"its tiles hold {filled} rows, expected {len(rows)}")
    return values


def corrupt(tensor, detail):
    """ModelError XX001 that names the tensor."""
    return errors.corrupt_data(
        f'tensor "{tensor.name}" is corrupt',
        detail,
        "llm.verify(model) lists every tensor that is; load the model again, or restore the database from a backup.",
    )
