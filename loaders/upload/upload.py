"""Uploads a SourceModel into a database: tiles by COPY, then one call that makes the model visible.

The server computes every hash itself and trusts none from here. Hashes here only ask which tiles are stored already
(`llm_store.missing_tiles`), so that nothing is sent twice, neither within a file nor after an interruption. Tiles are
committed in batches that no view shows; `llm_store.publish` checks the model and makes it visible in one transaction.
An interrupted upload leaves only tiles, which the next try reuses or `llm.collect` removes.

Weights go from the mapped file to the socket without a copy in Python. Meanwhile a thread hashes the next batch, and
`background_uploads` stores what does not need all tiles.
"""

import hashlib
import json
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

import psycopg

from plpython.atoms.sql_literals import COPY_BEGIN, COPY_END
from plpython.store.manifest import TILE_BYTES, check_manifest

from ..source.files import let_go
from ..source.model import Segment, SourceModel, SourceTensor, cut
from .background_uploads import Ahead

BATCH_BYTES = 64 << 20
NO_HASH = "0" * 64
Progress = Callable[[int], None]  # called with the number of further bytes that are stored


@dataclass
class Batch:
    """Tiles to ask for and send together, {hash: content}, and the bytes that earlier ones repeat.

    tensors: those of the manifest whose last tiles are in this batch or an earlier one, and in no batch's list before.
    """

    tiles: dict[bytes, memoryview] = field(default_factory=dict)
    bytes: int = 0
    repeated_bytes: int = 0
    tensors: list[dict] = field(default_factory=list)


@dataclass(frozen=True)
class Upload:
    """The result of a load: the model's id, bytes of the source, bytes that were sent."""

    model_id: int
    bytes: int
    sent_bytes: int


def upload(
    connection: psycopg.Connection,
    model: SourceModel,
    name: str,
    replace: bool = False,
    progress: Progress = lambda _: None,
    ahead: Ahead | None = None,
) -> Upload:
    """Load `model` as `name`; `connection` must be in autocommit mode.

    ahead: stores the tokenizer and the tensors while a model of more than one batch is sent.
    Raises SourceError for weights that no model may have, ModelError for what the server would refuse of the
    manifest, and psycopg.Error for what it refuses of the name: all before anything is sent.
    """
    connection.execute("SELECT llm_store.check_model_name(%s, %s)", (name, replace))
    model.check_weights()
    hashes = _Hashes(model)
    check_manifest(json.dumps(hashes.outline()))
    if model.bytes() <= BATCH_BYTES:
        ahead = None
    if ahead:
        ahead.tokenizer(model.tokenizer_definition, model.complete_tokenizer_settings())
    sent_bytes = 0
    for batch in _prepared(hashes.batches()):
        sent_bytes += _send(connection, batch, progress)
        if ahead:
            ahead.tensors(batch.tensors)
            ahead.check()
    if ahead:
        ahead.wait()
    model_id = _publish(connection, name, hashes.manifest(), model.tokenizer_definition, replace)
    return Upload(model_id, model.bytes(), sent_bytes)


def _prepared(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches, each hashed in a thread while the one before is sent."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


class _Hashes:
    """The tiles of a model in batches, and the manifest that names them once all have been seen."""

    def __init__(self, model: SourceModel):
        self._model = model
        self._seen: set[bytes] = set()
        self._of_tensor: dict[str, list[str]] = {}
        self._of_literal: dict[int, list[str]] = {}

    def batches(self) -> Iterator[Batch]:
        batch = Batch()
        for tensor, known_as, tiles in self._sources():
            for tile in tiles:
                digest = hashlib.sha256(tile).digest()
                known_as.append(digest.hex())
                if digest in self._seen:
                    batch.repeated_bytes += len(tile)
                    continue
                self._seen.add(digest)
                batch.tiles[digest] = tile
                batch.bytes += len(tile)
                if batch.bytes >= BATCH_BYTES:
                    yield batch
                    batch = Batch()
            if tensor is not None:
                batch.tensors.append(self._tensor(tensor))
        yield batch

    def manifest(self) -> dict:
        """The manifest for llm_store.publish; complete after the end of `batches`."""
        return self._described([self._tensor(tensor) for tensor in self._model.tensors], self._segment)

    def outline(self) -> dict:
        """The manifest before hashing, for checks: the right number of tiles, all with the same hash."""
        tensors = [
            {"name": t.name, "type": t.type, "shape": list(t.shape), "tiles": [NO_HASH] * t.tile_count()}
            for t in self._model.tensors
        ]
        return self._described(tensors, lambda segment: [{"tensor": segment.tensor}] if segment.tensor else [])

    def _described(self, tensors: list[dict], rows: Callable[[Segment], list[dict]]) -> dict:
        return {
            "architecture": self._model.architecture.to_config(),
            "tokenizer_settings": self._model.tokenizer_settings,
            "container": self._model.container,
            "tensors": tensors,
            "files": [
                {"path": file.path, "segments": [row for segment in file.segments for row in rows(segment)]}
                for file in self._model.files
            ],
        }

    def _sources(self) -> Iterator[tuple[SourceTensor | None, list[str], Iterator[memoryview]]]:
        for _, of_one_file in groupby(self._model.tensors, key=lambda tensor: id(tensor.data.obj)):
            for tensor in of_one_file:
                yield tensor, self._of_tensor.setdefault(tensor.name, []), tensor.tiles()
            let_go(tensor.data)  # so that a model in several files takes the memory of one
        for segment in (segment for file in self._model.files for segment in file.segments):
            if segment.literal is not None:
                yield None, self._of_literal.setdefault(id(segment), []), cut(segment.literal, TILE_BYTES)
                let_go(segment.literal)

    def _tensor(self, tensor: SourceTensor) -> dict:
        tiles = self._of_tensor[tensor.name]
        return {"name": tensor.name, "type": tensor.type, "shape": list(tensor.shape), "tiles": tiles}

    def _segment(self, segment: Segment) -> list[dict]:
        if segment.literal is None:
            return [{"tensor": segment.tensor}]
        return [{"tile": tile} for tile in self._of_literal[id(segment)]]


def _send(connection: psycopg.Connection, batch: Batch, progress: Progress) -> int:
    """Send the tiles of a batch that are not stored yet, in one transaction. Returns the bytes sent."""
    progress(batch.repeated_bytes)
    hashes = list(batch.tiles)
    rows = connection.execute("SELECT llm_store.missing_tiles(%b)", (hashes,)) if hashes else ()
    missing = {bytes(row[0]) for row in rows}
    progress(sum(len(tile) for digest, tile in batch.tiles.items() if digest not in missing))
    if not missing:
        return 0
    sent = [tile for digest, tile in batch.tiles.items() if digest in missing]
    with (
        connection.transaction(),
        connection.cursor().copy("COPY llm_store.upload (content) FROM STDIN BINARY") as copy,
    ):
        copy.write(COPY_BEGIN)
        for tile in sent:
            copy.write(struct.pack("!hi", 1, len(tile)))
            copy.write(tile)
            progress(len(tile))
        copy.write(COPY_END)
    return sum(map(len, sent))


def _publish(connection: psycopg.Connection, name: str, manifest: dict, tokenizer: str, replace: bool) -> int:
    row = connection.execute(
        "SELECT llm_store.publish(name => %s, manifest => %s::jsonb, tokenizer => %s, replace => %s)",
        (name, json.dumps(manifest), tokenizer, replace),
    ).fetchone()
    return row[0]
