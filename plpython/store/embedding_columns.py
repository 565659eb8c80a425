"""A column of embeddings in a user's table: the row versions that a snapshot shows, and their vectors.

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
