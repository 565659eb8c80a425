"""A column of embeddings in somebody's table: which row versions a snapshot shows, and their vectors.

A vector is bytea (little-endian float32), real[], or pgvector's type where that extension is there. All come in the
binary form of their type, aggregated by the server into pieces of some megabytes: a row at a time takes ten times as
long. The caller's own rights and policies decide what is read.
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
    """A column as the catalogue has it now. key: equal as long as equal places hold equal versions of one column.

    A rewrite of the table (VACUUM FULL, CLUSTER, ALTER TABLE) moves rows about, and gives it another file.
    hides_rows: policies decide, by what they like, which rows the caller sees.
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
        """(places, writers) of the row versions that are seen, ascending: int64[n], uint32[n]."""
        row = self._one(
            "SELECT pg_catalog.string_agg(pg_catalog.tidsend(t.ctid), '') AS tids, "
            f"pg_catalog.string_agg(pg_catalog.xidsend(t.xmin), '') AS writers {self._from}"
        )
        places, writers = _places(row["tids"]), np.frombuffer(row["writers"] or b"", ">u4").astype(np.uint32)
        order = _order(places)
        return (places, writers) if order is None else (places[order], writers[order])

    def writers(self):
        """(writers, how many versions that are seen each wrote), ascending: uint32[n], int64[n]; sooner."""
        row = self._one(
            "SELECT pg_catalog.string_agg(pg_catalog.xidsend(w.writer), '') AS writers, "
            "pg_catalog.string_agg(pg_catalog.int8send(w.versions), '') AS counts "
            f"FROM (SELECT t.xmin AS writer, pg_catalog.count(*) AS versions {self._from} GROUP BY t.xmin) AS w"
        )
        writers = np.frombuffer(row["writers"] or b"", ">u4").astype(np.uint32)
        counts = np.frombuffer(row["counts"] or b"", ">i8").astype(np.int64)
        order = np.argsort(writers)
        return writers[order], counts[order]

    def pieces(self, places, count, width):
        """The vectors of all places in pieces of about `count` rows: (places, f32[n, width]), in their order."""
        sql = f"{self._aggregated()} AND t.ctid >= $1 AND t.ctid < $2"
        query = Query(sql, "tid", "tid")
        try:
            begin = 0
            while begin < len(places):
                end = min(begin + count, len(places))
                after = (int(places[end - 1]) >> 16) + 1  # whole blocks
                end = int(np.searchsorted(places, after << 16))
                row = query.one(f"({int(places[begin]) >> 16},0)", f"({after},0)")
                yield self._decoded(row, places[begin:end], width)
                begin = end
        finally:
            query.forget()

    def some(self, places, width):
        """The vectors of some places: f32[n, width]."""
        query = Query(f"{self._aggregated()} AND t.ctid = ANY($1)", "tid[]")
        try:
            rows = np.empty((len(places), width), np.float32)
            for begin in range(0, len(places), FETCH_SOME):
                part = places[begin : begin + FETCH_SOME]
                rows[begin : begin + len(part)] = self._decoded(query.one(_tids(part)), part, width)[1]
            return rows
        finally:
            query.forget()

    def contents(self, places):
        """{place: the row as JSON without the column} of some places. It is an error for who may not read the table."""
        query = Query(
            f"SELECT pg_catalog.tidsend(t.ctid) AS tid, (pg_catalog.to_jsonb(t.*) - $2)::text AS content "
            f"FROM ONLY {self.source} AS t WHERE t.ctid = ANY($1)",
            *("tid[]", "text"),
        )
        try:
            rows = query.all(_tids(places), self.name)
        finally:
            query.forget()
        return {int(_places(row["tid"])[0]): row["content"] for row in rows}

    def wrong_width(self, found, wanted):
        """The error of vectors of another length than the query's: `found` numbers, or what else it holds."""
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

    def _decoded(self, row, places, width):
        """(places, f32[n, width]) of an aggregated row, in the order of the places, which it must have."""
        expected = self._before + self._each * width
        for size in (row["shortest"], row["longest"]):
            if size is not None and size != expected:
                raise self.wrong_width(self._described(size), width)
        found = _places(row["tids"])
        order = _order(found)
        if order is not None:
            found = found[order]
        if not np.array_equal(found, places):
            raise errors.corrupt_data(f"the rows of {self.source} changed within one snapshot")
        vectors = self._decode(np.frombuffer(row["vectors"] or b"", np.uint8), len(found), width)
        return places, vectors if order is None else vectors[order]

    def _described(self, size):
        """How many numbers a vector of so many bytes has; no number has another size."""
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


def _places(tids):
    """Concatenated tids in their binary form as int64[n]."""
    fields = np.frombuffer(tids or b"", TID)
    return fields["block"].astype(np.int64) << 16 | fields["line"]


def _order(places):
    """What sorts the places, None when they are sorted: a scan begins where another one is."""
    return None if np.all(places[1:] > places[:-1]) else np.argsort(places)


def _tids(places):
    return [f"({int(place) >> 16},{int(place) & 0xFFFF})" for place in places]
