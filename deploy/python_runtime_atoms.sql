-- Deploy hartonomous:python_runtime_atoms to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/atoms.py by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.atoms()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Atoms of a model: its bytes, tokens and weight codes as rows, and how often each is used.

`llm_store.atomise` calls this, once for what is new in a model. Whole vocabularies and tensors go through numpy; rows
are made in SQL from arrays, which PostgreSQL reads from text faster than PL/Python converts a list. Atoms are stored in
the order of (h_xy, content), so that two loads that bring the same ones wait for each other but never in a circle.
"""

import numpy as np

from . import database, errors, geometry

SRID = 3857
POINT_ZM = 0xE0000001  # EWKB's number of a point with z, m and an SRID
EWKB = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("xyzm", "<f8", 4)])

TOKENS = database.Query(
    """SELECT string_agg(t.bytes, ''::bytea ORDER BY t.bytes) AS content,
        array_agg(octet_length(t.bytes) ORDER BY t.bytes)::text AS lengths
    FROM llm_store.token AS t WHERE t.tokenizer_id = $1 AND t.bytes <> ''""",
    "integer",
)
# OFFSET 0: the planner must not carry the arrays themselves through a join or sort.
STORE = database.Query(
    """INSERT INTO llm_store.atom (h_xy, h_yz, h_zm, geom, modality, content_hash, content)
    SELECT a.h_xy, a.h_yz, a.h_zm, public.st_geomfromewkb(a.point),
        coalesce($8, CASE octet_length(a.content) WHEN 1 THEN 'discrete' ELSE 'compositional' END),
        sha256(a.content), a.content
    FROM (
        SELECT p.h_xy[i] AS h_xy, p.h_yz[i] AS h_yz, p.h_zm[i] AS h_zm,
            substring(p.points FROM 41 * (i - 1) + 1 FOR 41) AS point,
            substring(p.content FROM p.starts[i] FOR p.lengths[i]) AS content
        FROM
            (SELECT $1::bigint[] AS h_xy, $2::bigint[] AS h_yz, $3::bigint[] AS h_zm, $4 AS points,
                $5 AS content, $6::integer[] AS starts, $7::integer[] AS lengths OFFSET 0) AS p,
            generate_series(1, array_length(p.h_xy, 1)) AS i
        OFFSET 0
    ) AS a
    ON CONFLICT DO NOTHING""",
    *("text", "text", "text", "bytea", "bytea", "text", "text", "text"),
)
STORE_BYTE_COUNTS = database.Query(
    """INSERT INTO llm_store.atom_byte_count (tokenizer_id, counts, geom)
    VALUES ($1, $2::bigint[], public.st_geomfromewkb($3))
    ON CONFLICT DO NOTHING RETURNING tokenizer_id""",
    *("integer", "text", "bytea"),
)
STORE_CODE_COUNTS = database.Query(
    """INSERT INTO llm_store.atom_code_count (tensor_hash, codes, counts) VALUES ($1, $2::integer[], $3::bigint[])
    ON CONFLICT DO NOTHING""",
    *("bytea", "text", "text"),
)
COUNTS = database.Query(
    """SELECT n.codes::text AS codes, n.counts::text AS counts
    FROM llm_store.atom_code_count AS n WHERE n.tensor_hash = $1""",
    "bytea",
)
# The tiles that one of two tensors has and the other has not in the same place; 1 of the first, -1 of the second.
DIFFERENT_TILES = database.Query(
    """SELECT d.sign, t.content
    FROM llm_store.tensor_tile AS u
    INNER JOIN llm_store.tensor_tile AS v ON v.ordinal = u.ordinal AND v.tile_hash <> u.tile_hash
    CROSS JOIN LATERAL (VALUES (1, u.tile_hash), (-1, v.tile_hash)) AS d (sign, hash)
    INNER JOIN llm_store.tile AS t ON t.hash = d.hash
    WHERE u.tensor_hash = $1 AND v.tensor_hash = $2""",
    *("bytea", "bytea"),
)
TENSOR = database.Query("SELECT t.type FROM llm_store.tensor AS t WHERE t.hash = $1", "bytea")
TILES = database.Query(
    """SELECT t.content FROM llm_store.tensor_tile AS u INNER JOIN llm_store.tile AS t ON t.hash = u.tile_hash
    WHERE u.tensor_hash = $1 ORDER BY u.ordinal""",
    "bytea",
)


def store_tokenizer(tokenizer_id):
    """Rows for the bytes and tokens of a tokenizer and the bytes' counts. Returns how many tokens it has."""
    vocabulary = TOKENS.one(tokenizer_id)
    content = vocabulary["content"] or b""
    lengths = integers(vocabulary["lengths"] or "{}")
    points = geometry.byte_points(content, lengths)
    counts = np.bincount(np.frombuffer(content, np.uint8), minlength=256)
    mean = points.sum(axis=0) // max(1, len(points))
    if STORE_BYTE_COUNTS.one(tokenizer_id, array(counts), ewkb(mean[None])) is None:
        return 0  # another load was faster, and has stored all of it
    letters = np.flatnonzero(counts)
    store_atoms(geometry.byte_points(bytes(letters.tolist()), np.ones(letters.size)), bytes(letters.tolist()), None)
    store_atoms(points, content, lengths)
    return len(points)


def store_atoms(points, content, lengths, modality=None):
    """Rows of llm_store.atom for ascending contents, given joined, with their lengths (None: 1 each) and points."""
    lengths = np.ones(len(points), np.int64) if lengths is None else lengths
    if not len(points):
        return
    starts = np.cumsum(lengths) - lengths + 1
    keys = geometry.keys(points)
    order = np.argsort(keys[0], kind="stable")
    h_xy, h_yz, h_zm = (array(key[order]) for key in keys)
    STORE.all(*(h_xy, h_yz, h_zm, ewkb(points[order])), content, array(starts[order]), array(lengths[order]), modality)


def store_edited_codes(tensor_hash, base_hash):
    """Counts of the weight codes of an edited tensor: those of the one before, and what differs between their tiles.

    Both have one type and shape, and tiles of whole blocks; the one before has been counted.
    """
    encoding = TENSOR.one(tensor_hash)["type"]
    before = COUNTS.one(base_hash)
    counts = np.zeros(1 << geometry.CODES[encoding][1], np.int64)
    counts[integers(before["codes"])] = integers(before["counts"])
    fresh = np.zeros_like(counts)
    for tile in DIFFERENT_TILES.stream(tensor_hash, base_hash):
        database.checkpoint()
        found = geometry.count_codes(encoding, [tile["content"]])
        counts += tile["sign"] * found
        if tile["sign"] > 0:
            fresh += found
    _store_counts(tensor_hash, counts)
    _store_code_atoms(encoding, fresh)


def store_codes(tensor_hashes):
    """Counts of the weight codes of tensors that have none yet, and rows for the codes. Returns how many weights."""
    weights = 0
    seen = {}
    for tensor_hash in tensor_hashes:
        encoding, counts = count_codes(tensor_hash)
        _store_counts(tensor_hash, counts)
        seen[encoding] = counts + seen.get(encoding, 0)
        weights += int(counts.sum())
    for encoding in sorted(seen):
        _store_code_atoms(encoding, seen[encoding])
    return weights


def _store_counts(tensor_hash, counts):
    codes = np.flatnonzero(counts)
    STORE_CODE_COUNTS.all(tensor_hash, array(codes), array(counts[codes]))


def _store_code_atoms(encoding, counts):
    """Rows for the codes of an encoding that are counted at all."""
    codes = np.flatnonzero(counts)
    if codes.size:
        contents = geometry.code_contents(encoding, codes)
        lengths = np.full(codes.size, len(contents[0]))
        store_atoms(geometry.code_points(encoding, codes), b"".join(contents), lengths, "continuous")


def count_codes(tensor_hash):
    """The encoding of a stored tensor and how often each code is in it: (name, int64 [codes]), from its tiles."""
    tensor = TENSOR.one(tensor_hash)
    if tensor is None or tensor["type"] not in geometry.CODES:
        raise errors.not_supported(
            "the tensor has no weight codes that are atoms", f"known are {', '.join(geometry.CODES)}"
        )
    return tensor["type"], geometry.count_codes(tensor["type"], tiles(tensor_hash))


def code_counts(tensor_hash):
    """Rows (code, count) of a stored tensor, counted from its tiles."""
    _, counts = count_codes(tensor_hash)
    return [(int(code), int(counts[code])) for code in np.flatnonzero(counts)]


def tiles(tensor_hash):
    """The bytes of a tensor, tile by tile; the work can be interrupted between two."""
    for tile in TILES.stream(tensor_hash):
        database.checkpoint()
        yield tile["content"]


def array(numbers):
    """Integers as the text of an SQL array."""
    return "{" + ",".join(map(str, numbers.tolist())) + "}"


def integers(text):
    """The integers of an SQL array's text."""
    return np.array(text[1:-1].split(",") if len(text) > 2 else [], np.int64)


def ewkb(points):
    """Points [n, 4] in steps as n EWKB values of 41 bytes each."""
    rows = np.empty(len(points), EWKB)
    rows["order"], rows["type"], rows["srid"] = 1, POINT_ZM, SRID
    rows["xyzm"] = geometry.coordinates(points)
    return rows.tobytes()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms() IS
'Atoms of a model: its bytes, tokens and weight codes as rows, and how often each is used.';

COMMIT;
