-- Deploy hartonomous:python_runtime_store to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/store/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.store__embedding_columns()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A column of embeddings in a user's table: the row versions that a snapshot shows, and their vectors.

A vector is bytea (little-endian float32), real[], or pgvector's type if that extension is installed. The server
aggregates vectors in their binary form into pieces of some megabytes; row by row takes ten times as long. The caller's
rights and policies decide what is read.
"""

import numpy as np

from ..server import errors
from ..server.database import Query

COLUMN = Query(
    """
    SELECT c.oid::bigint AS relation, c.relkind::text AS relkind, a.attnum, t.oid::bigint AS type,
        t.typname::text AS type_name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_shown,
        pg_catalog.pg_relation_filenode(c.oid)::bigint AS filenode,
        pg_catalog.row_security_active(c.oid) AS hides_rows,
        pg_catalog.format('%I.%I', n.nspname, c.relname) AS source,
        pg_catalog.quote_ident(a.attname) AS column, a.attname::text AS name,
        pg_catalog.format('%I.%I', s.nspname, p.proname) AS send
    FROM pg_catalog.pg_class AS c
    INNER JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    INNER JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid
    INNER JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
    INNER JOIN pg_catalog.pg_proc AS p ON p.oid = t.typsend
    INNER JOIN pg_catalog.pg_namespace AS s ON s.oid = p.pronamespace
    WHERE c.oid = $1::pg_catalog.regclass AND a.attname = $2 AND a.attnum > 0 AND NOT a.attisdropped
    """,
    *("text", "text"),
)
TABLES = ("r", "m")  # ordinary tables and materialised views
OTHERS = {
    "v": "a view",
    "p": "a partitioned table, whose partitions can be searched one by one",
    "f": "a foreign table",
    "i": "an index",
    "I": "an index",
    "S": "a sequence",
    "c": "a composite type",
    "t": "a TOAST table",
}
TID = np.dtype([("block", ">u4"), ("line", ">u2")])
FETCH_SOME = 5000


def _bytea(raw, count, width):
    return raw.view("<f4").reshape(count, width)


def _real_array(raw, count, width):
    """array_send: dimensions, flags, type, length and first index, then a length and a big-endian float each."""
    rows = raw.reshape(count, 20 + 8 * width)
    if np.any(rows[:, :8] != (0, 0, 0, 1, 0, 0, 0, 0)):
        raise errors.invalid_parameter("an embedding is an array of more than one dimension, or has NULL elements")
    elements = rows[:, 20:]
    return np.ascontiguousarray(elements).view(">f4").reshape(count, width, 2)[:, :, 1]


def _pgvector(raw, count, width):
    """vector_send: dimensions, unused, then big-endian floats."""
    return np.ascontiguousarray(raw.reshape(count, 4 + 4 * width)[:, 4:]).view(">f4").reshape(count, width)


# name of the type -> (decoder of its binary form, bytes before the numbers, bytes of each)
VECTOR_DECODERS = {"bytea": (_bytea, 0, 4), "_float4": (_real_array, 20, 8), "vector": (_pgvector, 4, 4)}


def find_column(source, name):
    """The Column `name` of the table `source` (the text of a regclass). ModelError for what cannot be searched."""
    row = COLUMN.one(source, name)
    if row is None:
        raise errors.undefined_object(
            f'table {source} has no column "{name}"', hint="Name the column of embeddings: embedding_column => '...'."
        )
    if row["relkind"] not in TABLES:
        raise errors.not_supported(
            f"{source} is not an ordinary table or materialised view", f"it is {OTHERS[row['relkind']]}"
        )
    if row["type_name"] not in VECTOR_DECODERS:
        raise errors.invalid_parameter(
            f'column "{name}" of {source} has type {row["type_shown"]}', "embeddings are bytea, real[] or vector"
        )
    return Column(row)


class Column:
    """A column as it is in the catalogue now.

    key: while it is equal, equal tids and writers are equal row versions. A rewrite of the table (VACUUM FULL, CLUSTER,
    ALTER TABLE) moves rows and gives the table another file, which is part of the key.
    hides_rows: row-level policies apply, and they may depend on anything.
    """

    def __init__(self, row):
        self.source, self.name, self._column = row["source"], row["name"], row["column"]
        self.key = row["relation"], row["filenode"], row["attnum"], row["type"]
        self.hides_rows = row["hides_rows"]
        self._decode, self._before, self._each = VECTOR_DECODERS[row["type_name"]]
        is_bytes = row["type_name"] == "bytea"
        self._vector = f"t.{self._column}" if is_bytes else f"{row['send']}(t.{self._column})"
        self._from = f"FROM ONLY {self.source} AS t WHERE t.{self._column} IS NOT NULL"

    def versions(self):
        """(tids, writers) of the visible row versions, ascending by tid: int64[n], uint32[n]."""
        row = self._one(
            "SELECT pg_catalog.string_agg(pg_catalog.tidsend(t.ctid), '') AS tids, "
            f"pg_catalog.string_agg(pg_catalog.xidsend(t.xmin), '') AS writers {self._from}"
        )
        tids, writers = _tids_of(row["tids"]), np.frombuffer(row["writers"] or b"", ">u4").astype(np.uint32)
        order = _order(tids)
        return (tids, writers) if order is None else (tids[order], writers[order])

    def writers(self):
        """(writers, number of visible versions of each), ascending: uint32[n], int64[n]. Faster than `versions`."""
        row = self._one(
            "SELECT pg_catalog.string_agg(pg_catalog.xidsend(w.writer), '') AS writers, "
            "pg_catalog.string_agg(pg_catalog.int8send(w.versions), '') AS counts "
            f"FROM (SELECT t.xmin AS writer, pg_catalog.count(*) AS versions {self._from} GROUP BY t.xmin) AS w"
        )
        writers = np.frombuffer(row["writers"] or b"", ">u4").astype(np.uint32)
        counts = np.frombuffer(row["counts"] or b"", ">i8").astype(np.int64)
        order = np.argsort(writers)
        return writers[order], counts[order]

    def pieces(self, tids, count, width):
        """The vectors of all tids, in order, in pieces of about `count` rows: (tids, f32[n, width])."""
        sql = f"{self._aggregated()} AND t.ctid >= $1 AND t.ctid < $2"
        query = Query(sql, "tid", "tid")
        try:
            begin = 0
            while begin < len(tids):
                end = min(begin + count, len(tids))
                after = (int(tids[end - 1]) >> 16) + 1  # whole blocks
                end = int(np.searchsorted(tids, after << 16))
                row = query.one(f"({int(tids[begin]) >> 16},0)", f"({after},0)")
                yield self._decoded(row, tids[begin:end], width)
                begin = end
        finally:
            query.forget()

    def some(self, tids, width):
        """The vectors of some tids: f32[n, width]."""
        query = Query(f"{self._aggregated()} AND t.ctid = ANY($1)", "tid[]")
        try:
            rows = np.empty((len(tids), width), np.float32)
            for begin in range(0, len(tids), FETCH_SOME):
                part = tids[begin : begin + FETCH_SOME]
                rows[begin : begin + len(part)] = self._decoded(query.one(_tid_texts(part)), part, width)[1]
            return rows
        finally:
            query.forget()

    def contents(self, tids):
        """{tid: the row as JSON without the column} of some tids. PostgreSQL checks the right to read."""
        query = Query(
            f"SELECT pg_catalog.tidsend(t.ctid) AS tid, (pg_catalog.to_jsonb(t.*) - $2)::text AS content "
            f"FROM ONLY {self.source} AS t WHERE t.ctid = ANY($1)",
            *("tid[]", "text"),
        )
        try:
            rows = query.all(_tid_texts(tids), self.name)
        finally:
            query.forget()
        return {int(_tids_of(row["tid"])[0]): row["content"] for row in rows}

    def wrong_width(self, found, wanted):
        """The error for vectors of another length than the query's: `found` numbers, or a description."""
        return errors.invalid_parameter(
            f'column "{self.name}" of {self.source} does not hold vectors of {wanted} numbers',
            f"it has one of {found}",
            "The query must be embedded by the model that embedded the rows: model => '...'.",
        )

    def _aggregated(self):
        return (
            f"SELECT pg_catalog.string_agg(pg_catalog.tidsend(t.ctid), '') AS tids, "
            f"pg_catalog.string_agg({self._vector}, '') AS vectors, "
            f"min(pg_catalog.octet_length({self._vector})) AS shortest, "
            f"max(pg_catalog.octet_length({self._vector})) AS longest {self._from}"
        )

    def _decoded(self, row, tids, width):
        """(tids, f32[n, width]) of an aggregated row, in the order of the tids, which must be all of its tids."""
        expected = self._before + self._each * width
        for size in (row["shortest"], row["longest"]):
            if size is not None and size != expected:
                raise self.wrong_width(self._described(size), width)
        found = _tids_of(row["tids"])
        order = _order(found)
        if order is not None:
            found = found[order]
        if not np.array_equal(found, tids):
            raise errors.corrupt_data(f"the rows of {self.source} changed within one snapshot")
        vectors = self._decode(np.frombuffer(row["vectors"] or b"", np.uint8), len(found), width)
        return tids, vectors if order is None else vectors[order]

    def _described(self, size):
        """How many numbers a vector of so many bytes has, or a description of bytes that are no vector."""
        numbers, rest = divmod(max(size - self._before, 0), self._each)  # an empty array has no dimensions either
        if not rest:
            return numbers
        return "NULL elements" if self._decode is _real_array else f"{size} bytes"

    def _one(self, sql):
        query = Query(sql)
        try:
            return query.one()
        finally:
            query.forget()


def _tids_of(tids):
    """Concatenated tids in binary form -> int64[n], block << 16 | line."""
    fields = np.frombuffer(tids or b"", TID)
    return fields["block"].astype(np.int64) << 16 | fields["line"]


def _order(tids):
    """The order that sorts tids, None if they are sorted. (A scan may start in the middle, where another one is.)"""
    return None if np.all(tids[1:] > tids[:-1]) else np.argsort(tids)


def _tid_texts(tids):
    return [f"({int(tid) >> 16},{int(tid) & 0xFFFF})" for tid in tids]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.store__embedding_columns() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.store__embedding_columns() IS
'A column of embeddings in a user''s table: the row versions that a snapshot shows, and their vectors.';

CREATE OR REPLACE FUNCTION llm_runtime.store__manifest()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Checks of llm_store.publish: is the manifest a valid model, which tiles do its tensors need, what is its vocabulary.

A manifest is the loader's description of a model whose tiles it has uploaded:

    {"architecture": {...}, "tokenizer_settings": {...}, "container": "gguf",
     "tensors": [{"name": "token_embd.weight", "type": "Q8_0", "shape": [rows, columns], "tiles": ["hex", ...]}, ...],
     "files": [{"path": "model.gguf", "segments": [{"tile": "hex"}, {"tensor": "token_embd.weight"}, ...]}]}

Everything is checked here except what only the tables can tell: whether the tiles are stored, and their sizes. Each
problem is a ModelError that names the tensor, file or value. No hash is trusted: the server computes all of them.
"""

import json
import re
from dataclasses import dataclass

from ..model import encodings
from ..model.encoder import of_config
from ..model.tokenizer import Tokenizer
from ..server import errors

TILE_BYTES = 1 << 20
CONTAINERS = ("gguf", "huggingface")
MANIFEST_KEYS = ("architecture", "tokenizer_settings", "container", "tensors", "files")
TENSOR_KEYS = ("name", "type", "shape", "tiles")
LONGEST_NAME = 200
LONGEST_PATH = 1000
LONGEST_CHARACTER = 4  # bytes of UTF-8
LONGEST_TOKEN = 2000  # bytes; an entry of a B-tree index holds 2,704
LARGEST_TENSOR = 1 << 40  # bytes
HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Layout:
    """A tensor of a manifest and how it lies in tiles; rows_per_tile 0: a row is longer than a tile."""

    name: str
    type: str
    shape: tuple
    rows_per_tile: int
    bytes: int
    tiles: tuple
    tile_bytes: tuple


def check_manifest(manifest):
    """Check a manifest (JSON) as far as it can be without the tables.

    Returns JSON with the architecture in its canonical form and the tokenizer's settings with the vocabulary's size.
    Raises ModelError: 22023 for what is missing, unknown or out of range, 0A000 for what is not supported.
    """
    manifest = _object("the manifest", json.loads(manifest), MANIFEST_KEYS)
    architecture = of_config(manifest["architecture"])
    if manifest["container"] not in CONTAINERS:
        raise errors.invalid_parameter(
            f"container {_shown(manifest['container'])} is not known", f"known are {', '.join(CONTAINERS)}"
        )
    shapes = {tensor.name: tensor.shape for tensor in _layouts(manifest["tensors"])}
    architecture.check_tensors(shapes)
    _check_files(manifest["files"], shapes)
    settings = _settings(manifest["tokenizer_settings"], architecture.vocabulary_size)
    return json.dumps({"architecture": architecture.to_config(), "tokenizer_settings": settings})


def tensor_layout(tensors):
    """Rows (ordinal, name, type, shape, rows_per_tile, bytes, tiles, tile_bytes) of a manifest's tensors (JSON)."""
    return [
        (
            ordinal,
            tensor.name,
            tensor.type,
            list(tensor.shape),
            tensor.rows_per_tile,
            tensor.bytes,
            [bytes.fromhex(tile) for tile in tensor.tiles],
            list(tensor.tile_bytes),
        )
        for ordinal, tensor in enumerate(_layouts(json.loads(tensors)))
    ]


def vocabulary(definition, settings):
    """The vocabulary of a tokenizer in order of ids, as three lists: bytes, text, kind.

    Raises ModelError for a definition that is not a tokenizer, or settings that do not fit it.
    """
    contents, texts, kinds = [], [], []
    for token_id, content, text, kind in Tokenizer(definition, json.loads(settings)).vocabulary():
        _check_length(token_id, content)
        contents.append(content)
        texts.append(text)
        kinds.append(kind)
    return contents, texts, kinds


def check_vocabulary(tokenizer):
    """Raise ModelError for a token that `vocabulary` would refuse, or that has no row in the model. Fast."""
    for piece, token_id in tokenizer.spellings().items():
        if token_id >= tokenizer.vocabulary_size:
            raise errors.invalid_parameter(
                "the tokenizer does not fit the model's vocabulary",
                f"{piece[:40]!r} is token {token_id}, the model has {tokenizer.vocabulary_size} rows",
            )
        if len(piece) * LONGEST_CHARACTER > LONGEST_TOKEN:
            _check_length(token_id, tokenizer.token_bytes(token_id))


def _check_length(token_id, content):
    if len(content) > LONGEST_TOKEN:
        raise errors.limit_exceeded(
            f"token {token_id} is too long", f"it has {len(content)} bytes, the limit is {LONGEST_TOKEN}"
        )


def _layouts(tensors):
    """The checked tensors of a manifest."""
    layouts, names = [], set()
    for number, tensor in enumerate(_list("tensors", tensors)):
        layout = _layout(_object(f"tensor {number}", tensor, TENSOR_KEYS))
        if layout.name in names:
            raise errors.invalid_parameter(f'tensor "{layout.name}" is there twice')
        names.add(layout.name)
        layouts.append(layout)
    return layouts


def _layout(tensor):
    name, type, shape, tiles = (tensor[key] for key in TENSOR_KEYS)
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise errors.invalid_parameter(f"tensor name {_shown(name)} is not 1 to {LONGEST_NAME} characters long")
    if not isinstance(type, str):
        raise errors.invalid_parameter(f'tensor "{name}": the type is {_shown(type)}, expected a name')
    rows, row_bytes = _rows(name, type, shape)
    sizes = tile_sizes(rows, row_bytes)
    if len(_list(f'tensor "{name}": tiles', tiles)) != len(sizes):
        raise errors.invalid_parameter(
            f'tensor "{name}" has the wrong number of tiles',
            f"{type} of shape {shape} takes {rows * row_bytes} bytes in {len(sizes)} tiles, there are {len(tiles)}",
        )
    for tile in tiles:
        _check_hash(f'tensor "{name}"', tile)
    rows_per_tile = TILE_BYTES // row_bytes
    return Layout(name, type, tuple(shape), rows_per_tile, rows * row_bytes, tuple(tiles), sizes)


def _rows(name, type, shape):
    """How many rows a tensor has, and how many bytes each."""
    sizes = _list(f'tensor "{name}": shape', shape)
    if not 1 <= len(sizes) <= 4 or not all(_is_size(size) for size in sizes):
        raise errors.invalid_parameter(f'tensor "{name}": the shape is {_shown(shape)}, expected 1 to 4 sizes above 0')
    rows = 1
    for size in sizes[:-1]:
        rows *= size
    try:
        row_bytes = encodings.row_bytes(type, sizes[-1])
    except errors.ModelError as problem:
        raise errors.ModelError(problem.sqlstate, f'tensor "{name}": {problem.message}', problem.detail) from None
    if rows * row_bytes > LARGEST_TENSOR:
        raise errors.limit_exceeded(f'tensor "{name}" is too large', f"it has {rows * row_bytes} bytes")
    return rows, row_bytes


def tile_sizes(rows, row_bytes):
    """Bytes of each tile: whole rows, as many as fit into 1 MiB. A longer row is tiles of 1 MiB and a shorter one."""
    if row_bytes > TILE_BYTES:
        return _pieces(row_bytes, TILE_BYTES) * rows
    return _pieces(rows * row_bytes, TILE_BYTES // row_bytes * row_bytes)


def _pieces(total, size):
    whole, rest = divmod(total, size)
    return (size,) * whole + ((rest,) if rest else ())


def _check_files(files, tensors):
    paths = set()
    for number, file in enumerate(_list("files", files)):
        _object(f"file {number}", file, ("path", "segments"))
        path = file["path"]
        if not _is_path(path):
            raise errors.invalid_parameter(
                f"file {number}: the path {_shown(path)} is not allowed",
                "A path is relative, has / between its parts, and no part is empty, . or ..",
            )
        if path in paths:
            raise errors.invalid_parameter(f'file "{path}" is there twice')
        paths.add(path)
        for segment in _list(f'file "{path}": segments', file["segments"]):
            _check_segment(path, segment, tensors)


def _check_segment(path, segment, tensors):
    if not isinstance(segment, dict) or set(segment) not in ({"tensor"}, {"tile"}):
        raise errors.invalid_parameter(f'file "{path}": a segment is {{"tensor": name}} or {{"tile": hash}}')
    if "tile" in segment:
        _check_hash(f'file "{path}"', segment["tile"])
    elif not isinstance(segment["tensor"], str) or segment["tensor"] not in tensors:
        raise errors.invalid_parameter(f'file "{path}": the model has no tensor {_shown(segment["tensor"])}')


def _settings(settings, vocabulary_size):
    if not isinstance(settings, dict):
        raise errors.invalid_parameter(f"tokenizer_settings is {_shown(settings)}, expected an object")
    given = settings.get("vocabulary_size")
    if given is not None and given != vocabulary_size:
        raise errors.invalid_parameter(
            "the tokenizer does not fit the model's vocabulary",
            f"its settings say {_shown(given)} tokens, the architecture {vocabulary_size}",
        )
    return settings | {"vocabulary_size": vocabulary_size}


def _object(what, value, keys):
    """`value`, if it is an object with exactly these keys."""
    if not isinstance(value, dict):
        raise errors.invalid_parameter(f"{what} is {_shown(value)}, expected an object")
    for key in keys:
        if key not in value:
            raise errors.invalid_parameter(f'{what} has no "{key}"', f"it needs {', '.join(keys)}")
    for key in value:
        if key not in keys:
            raise errors.invalid_parameter(f'{what} has an unknown key "{key}"', f"known are {', '.join(keys)}")
    return value


def _list(what, value):
    if not isinstance(value, list):
        raise errors.invalid_parameter(f"{what} is {_shown(value)}, expected a list")
    return value


def _check_hash(what, value):
    if not isinstance(value, str) or not HASH.fullmatch(value):
        raise errors.invalid_parameter(f"{what}: {_shown(value)} is not a SHA-256 in lower-case hexadecimal")


def _is_size(value):
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 48


def _is_path(path):
    if not isinstance(path, str) or not 0 < len(path) <= LONGEST_PATH or "\\" in path or not path.isprintable():
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))


def _shown(value):
    """A value in an error message: short, as JSON."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
$python$;

REVOKE ALL ON FUNCTION llm_runtime.store__manifest() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.store__manifest() IS
'Checks of llm_store.publish: is the manifest a valid model, which tiles do its tensors need, what is its '
'vocabulary.';

CREATE OR REPLACE FUNCTION llm_runtime.store__merge_methods()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Arithmetic of merging: one tensor of several models of the same architecture to one tensor.

All functions take and return f32 arrays of the same shape.
    linear            model soups: Wortsman et al. 2022, arXiv 2203.05482
    slerp             spherical interpolation: Shoemake 1985, "Animating rotation with quaternion curves"
    task_arithmetic   Ilharco et al. 2022, arXiv 2212.04089
    ties              Yadav et al. 2023, arXiv 2306.01708: trim, elect a sign, merge what agrees with it
"""

import numpy as np

PARALLEL = 0.9995  # above this cosine an arc is interpolated linearly, because the sine of the angle has no digits left


def linear(tensors, weights):
    """The weighted sum: sum of w_i t_i. With weights that add up to 1 it is the average of a model soup."""
    total = np.zeros_like(tensors[0])
    for tensor, weight in zip(tensors, weights, strict=True):
        total += np.float32(weight) * tensor
    return total


def slerp(first, second, t):
    """Interpolate from `first` (t = 0) to `second` (t = 1) along an arc; the whole tensor is one vector.

    Parallel, opposite and zero vectors have no arc: they are interpolated linearly.
    """
    cosine = _cosine(first, second)
    if abs(cosine) > PARALLEL:
        return linear((first, second), (1.0 - t, t))
    angle = np.arccos(cosine)
    return linear((first, second), np.sin([(1.0 - t) * angle, t * angle]) / np.sin(angle))


def task_arithmetic(base, tensors, weights, scale):
    """The base plus scale times the weighted sum of the task vectors t_i - base."""
    return base + np.float32(scale) * linear([tensor - base for tensor in tensors], weights)


def ties(base, tensors, weights, density, scale):
    """The base plus scale times the merged task vectors t_i - base.

    1. Trim: of each task vector keep the `density` part that is largest in magnitude, set the rest to 0.
    2. Elect: the sign of a weight is that of the weighted sum; if the sum is 0, the sign of most weights of the tensor.
    3. Merge: the weighted mean of the values with the elected sign. Equal weights give the paper's mean.
    """
    vectors = [trimmed(tensor - base, density) for tensor in tensors]
    sign = elected(linear(vectors, weights))
    total, weight_sum = np.zeros_like(base), np.zeros_like(base)
    for vector, weight in zip(vectors, weights, strict=True):
        agrees = vector * sign > 0
        total += np.where(agrees, np.float32(weight) * vector, 0)
        weight_sum += np.where(agrees, np.float32(weight), 0)
    merged = np.divide(total, weight_sum, out=np.zeros_like(base), where=weight_sum != 0)
    return base + np.float32(scale) * merged


def trimmed(vector, density):
    """`vector` with only the largest `density` part of its numbers, the others 0; ties at the border are all kept."""
    count = round(density * vector.size)
    if count >= vector.size:
        return vector
    if count == 0:
        return np.zeros_like(vector)
    magnitudes = np.abs(vector)
    border = np.partition(magnitudes, vector.size - count, axis=None)[vector.size - count]
    return np.where(magnitudes >= border, vector, 0)


def elected(total):
    """The sign of each number, 1 or -1; for 0 the sign of the majority, and 1 if there is none."""
    sign = np.sign(total)
    majority = np.float32(1 if sign.sum(dtype=np.float64) >= 0 else -1)
    return np.where(sign == 0, majority, sign)


def _cosine(first, second):
    """The cosine of the angle between two tensors as vectors; 1 if one of them is all 0."""
    a, b = (tensor.reshape(-1).astype(np.float64) for tensor in (first, second))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(a @ b / norms, -1.0, 1.0)) if norms else 1.0
$python$;

REVOKE ALL ON FUNCTION llm_runtime.store__merge_methods() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.store__merge_methods() IS
'Arithmetic of merging: one tensor of several models of the same architecture to one tensor.';

CREATE OR REPLACE FUNCTION llm_runtime.store__models()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Models as rows, for functions that edit and derive models: finds, creates, changes and records them.

Everything runs as the caller, so row-level security decides what is allowed. The checks here give better messages.
"""

import json

import numpy as np

from ..model import encodings
from ..server import arguments, database, errors
from ..weights.tensors import Weights

NOT_THE_OWNER = "42501"
SEE_TENSORS = "The tensors of a model are listed in llm.tensors."

STORED_MODEL = database.Query(
    """SELECT m.id, m.name, m.hash, m.architecture, m.tokenizer_id, m.owner::text AS owner,
        pg_catalog.pg_has_role(current_user, m.owner, 'USAGE') AS mine
    FROM llm_store.model AS m WHERE m.name = $1""",
    "text",
)
LOCK = database.Query(
    "SELECT pg_catalog.pg_advisory_xact_lock('llm_store.model'::pg_catalog.regclass::oid::bigint << 32 | $1)", "bigint"
)
CHECK_NAME = database.Query("SELECT llm_store.check_model_name($1)", "text")
NEW_MODEL = database.Query(
    """SELECT llm_store.add_model($2, m.architecture, m.tokenizer_id, m.container) AS id
    FROM llm_store.model AS m WHERE m.id = $1""",
    *("integer", "text"),
)
ADD_TENSORS = database.Query(
    """INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
    SELECT $1, u.ordinality - 1, u.name, u.hash
    FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY AS u (name, hash, ordinality)""",
    *("integer", "text[]", "bytea[]"),
)
CHANGE_TENSORS = database.Query(
    """UPDATE llm_store.model_tensor AS mt SET tensor_hash = u.hash
    FROM ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3)) AS u (name, hash)
    WHERE mt.model_id = $1 AND mt.name = u.name AND mt.tensor_hash <> u.hash
    RETURNING mt.name""",
    *("integer", "text[]", "bytea[]"),
)
ATOMISE = database.Query("SELECT llm_store.atomise($1)", "integer")
RECORD = database.Query(
    """INSERT INTO llm_store.operation (model_id, operation, details, parents, hash_before, hash_after)
    SELECT m.id, $2, $3::jsonb, $4, $5, m.hash FROM llm_store.model AS m WHERE m.id = $1""",
    *("integer", "text", "text", "text[]", "bytea"),
)


def found(name):
    """The row of a model by its name. Raises ModelError 42704 without one."""
    row = STORED_MODEL.one(arguments.name("model", name))
    if row is None:
        raise errors.undefined_object(
            "no model is named" if name is None else f'model "{arguments.shown_name(name)}" does not exist',
            hint="The models of this database are listed in llm.models.",
        )
    return row


def owned(name):
    """The row of a model that the caller may change, locked against edits and drops until the transaction ends.

    While it waited for the lock, the name may have come to mean another model. So it looks again until the row that it
    found is the row that it locked.
    """
    locked, row = None, found(name)
    while row["id"] != locked:
        if not row["mine"]:
            raise errors.ModelError(
                NOT_THE_OWNER,
                f'must be owner of model "{name}"',
                f"It belongs to {row['owner']}.",
                "Make a copy of your own, which shares all weights: SELECT llm.fork(model, new).",
            )
        LOCK.all(row["id"])
        locked, row = row["id"], found(name)
    return row


def tensors(model):
    """{name: Tensor} of a model's row, in the model's order."""
    return {tensor.name: tensor for tensor in Weights(model["id"]).tensors()}


def tensor_of(model, name):
    """The tensor of that name. Raises ModelError 42704 without one."""
    tensor = tensors(model).get(arguments.name("tensor", name))
    if tensor is None:
        shown = "NULL" if name is None else f'"{arguments.shown_name(name)}"'
        raise errors.undefined_object(f'model "{model["name"]}" has no tensor {shown}', hint=SEE_TENSORS)
    return tensor


def check_encodable(model, tensor):
    """Raise ModelError 0A000 for a tensor of a type that can only be read."""
    if tensor.type not in encodings.ENCODED:
        name = model["name"]
        raise errors.not_supported(
            f'tensor "{tensor.name}" is {tensor.type}, which can be read but not written',
            f"Written can be {', '.join(encodings.ENCODED)}.",
            f"Quantize a copy first: SELECT llm.quantize('{name}', '{name}-q8', 'Q8_0').",
        )


def new_model(source, name):
    """The id of a new model of the caller, with the source's architecture and tokenizer and without tensors."""
    CHECK_NAME.all(name)
    made = NEW_MODEL.one(source["id"], name)
    if made is None:
        raise errors.undefined_object(f'model "{source["name"]}" was dropped meanwhile')
    return made["id"]


def add_tensors(model_id, hashes):
    """Give a new model its tensors, {name: hash} in order."""
    ADD_TENSORS.all(model_id, list(hashes), list(hashes.values()))


def change_tensors(model, operation, details, hashes):
    """Replace tensors of a model, {name: hash}, and record the operation if any has changed."""
    if CHANGE_TENSORS.all(model["id"], list(hashes), list(hashes.values())):
        finish(model["id"], operation, details, None, model["hash"])


def finish(model_id, operation, details, parents, hash_before):
    """The end of every change: store new atoms, and add a row of history."""
    ATOMISE.all(model_id)
    RECORD.all(model_id, operation, json.dumps(details), parents, hash_before)


def floats(name, content, count):
    """`count` little-endian f32 from bytes -> f32[count]. Raises ModelError 22023 for another number of them."""
    if content is None or len(content) != 4 * count:
        given = "null" if content is None else f"{len(content)} bytes"
        raise errors.invalid_parameter(
            f"{name} has the wrong size",
            f"{name} is {given}, expected are {count} numbers, {4 * count} bytes of little-endian float32",
            "llm.bytes(array) makes them from numbers.",
        )
    return np.frombuffer(content, "<f4").astype(np.float32)


def number(name, value, smallest, largest):
    """A number that must be given, as arguments.number checks it."""
    if value is None:
        raise arguments.ill(name, value, f"a number from {smallest:g} to {largest:g}")
    return arguments.number(name, value, None, smallest, largest)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.store__models() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.store__models() IS
'Models as rows, for functions that edit and derive models: finds, creates, changes and records them.';

CREATE OR REPLACE FUNCTION llm_runtime.store__tensor_writer()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Writes tensors: encodes new values in a tensor's encoding, and stores only the tiles that differ.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.store__tensor_writer() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.store__tensor_writer() IS
'Writes tensors: encodes new values in a tensor''s encoding, and stores only the tiles that differ.';

CREATE OR REPLACE FUNCTION llm_runtime.store__tokens()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Looks up tokens of a model's vocabulary by id or by text, with the caller's rights."""

from ..server import arguments, database, errors

BY_BYTES = database.Query(
    """SELECT t.id FROM llm_store.token AS t
    WHERE t.tokenizer_id = $1 AND t.bytes = pg_catalog.convert_to($2, 'UTF8') AND t.kind <> 'unused'
    ORDER BY t.kind <> 'normal', t.id LIMIT 1""",
    *("integer", "text"),
)
TEXTS = database.Query(
    """SELECT t.id, t.text FROM llm_store.token AS t WHERE t.tokenizer_id = $1 AND t.id = ANY ($2)""",
    *("integer", "integer[]"),
)


def token_id(model, token):
    """The id of a token, given as its id or exact text. Of several with one text: normal ones first, then the lowest.

    Raises ModelError 22023 for an id outside of the vocabulary, 42704 for a text that is no token.
    """
    if not isinstance(token, str):
        return arguments.integer("token", token, None, 0, model.architecture.vocabulary_size - 1)
    found = BY_BYTES.one(model.tokenizer_id, arguments.name("token", token))
    if found is None:
        raise errors.undefined_object(
            f'model "{model.name}" has no token "{arguments.shown_name(token)}"', hint=_hint(model, token)
        )
    return found["id"]


def texts(model, ids):
    """The texts of tokens, {id: text}."""
    return {row["id"]: row["text"] for row in TEXTS.all(model.tokenizer_id, ids)}


def _hint(model, token):
    other = token[1:] if token.startswith(" ") else f" {token}"
    if other and BY_BYTES.one(model.tokenizer_id, other) is not None:
        return f'There is a token "{other}": a space before a word belongs to the token.'
    return "llm.tokenize shows the tokens of a text, llm.tokens lists all of them."
$python$;

REVOKE ALL ON FUNCTION llm_runtime.store__tokens() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.store__tokens() IS
'Looks up tokens of a model''s vocabulary by id or by text, with the caller''s rights.';

COMMIT;
