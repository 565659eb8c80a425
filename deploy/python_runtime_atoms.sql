-- Deploy hartonomous:python_runtime_atoms to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/atoms/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__atom_rows()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Stores rows of llm_store.atom, whole vocabularies at once: by COPY if all are new, else by INSERT of missing ones.

COPY fills a page at a time and logs it as one, which takes a third less time than INSERT. It reads a file: here an
unnamed one in memory, which disappears with its descriptor, also when the session is killed.
"""

import hashlib
import itertools
import os

import numpy as np

from ..server import database
from . import geometry, sql_literals

COPY = database.Query("SELECT llm_store.copy_atoms($1) AS stored", "integer")
# OFFSET 0: otherwise the planner would inline the arrays as texts and parse them again for each row.
INSERT_MISSING = database.Query(
    """INSERT INTO llm_store.atom (h_xy, h_yz, h_zm, geom, modality, content_hash, content)
    SELECT
        a.h_xy[a.i],
        a.h_yz[a.i],
        a.h_zm[a.i],
        public.st_geomfromewkb(substring(a.points FROM 41 * (a.i - 1) + 1 FOR 41)),
        a.modality,
        substring(a.hashes FROM 32 * (a.i - 1) + 1 FOR 32),
        substring(a.content FROM a.starts[a.i] FOR a.starts[a.i + 1] - a.starts[a.i])
    FROM (
        SELECT p.*, generate_series(1, array_length(p.h_xy, 1)) AS i
        FROM (
            SELECT $1::bigint[] AS h_xy, $2::bigint[] AS h_yz, $3::bigint[] AS h_zm, $4 AS points, $5 AS hashes,
                $6 AS content, $7::integer[] AS starts, $8 AS modality
            OFFSET 0
        ) AS p
    ) AS a
    ON CONFLICT DO NOTHING""",
    *("text", "text", "text", "bytea", "bytea", "bytea", "text", "text"),
)


def store(points, content, lengths, modality, expected_new=False):
    """Store distinct ascending contents, given joined, with their lengths and points (steps [n, 4]).

    expected_new: probably none of them is stored yet.
    """
    if not len(points):
        return
    keys = geometry.keys(points)
    order = np.argsort(keys[0], kind="stable")
    keys, points = keys[:, order], sql_literals.points(points[order])
    content, lengths = sql_literals.taken(content, lengths, order)
    ends = np.cumsum(lengths).tolist()
    contents = [content[start:end] for start, end in itertools.pairwise([0, *ends])]
    hashes = b"".join([hashlib.sha256(content).digest() for content in contents])
    if not (expected_new and _copied(keys, points, hashes, contents, modality)):
        starts = sql_literals.array([1, *(end + 1 for end in ends)])
        INSERT_MISSING.all(*map(sql_literals.array, keys), points, hashes, content, starts, modality)


def _copied(keys, points, hashes, contents, modality):
    """Store the rows by COPY. Returns whether it did: all of them or none."""
    columns = [
        *keys,
        np.frombuffer(points, "V41"),
        np.full(len(contents), modality.encode()),
        np.frombuffer(hashes, "V32"),
    ]
    descriptor = os.memfd_create("atoms")
    with os.fdopen(descriptor, "wb") as file:
        file.write(sql_literals.copied(columns, contents))
        file.flush()
        return COPY.one(descriptor)["stored"]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__atom_rows() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__atom_rows() IS
'Stores rows of llm_store.atom, whole vocabularies at once: by COPY if all are new, else by INSERT of missing '
'ones.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__atom_runs()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Runs of atoms, for nearest-neighbour search: pieces of a vocabulary along the four-dimensional Hilbert curve.

An index entry for each atom would cost as much as everything else about it. A run is one row and one index entry for
points that are close to each other. Its distance to a point is a lower bound of the distances of its points.
"""

import numpy as np

from ..server import database
from . import geometry, hilbert, sql_literals

POINTS = 32  # a row stays below 2 kB, from where PostgreSQL would compress it
RUN_AXIS_BITS = 8  # a finer curve gives the same runs
STORE_RUNS = database.Query(
    """INSERT INTO llm_store.atom_run (tokenizer_id, part, number, content, starts, geom)
    SELECT $1, $2, i, substring(p.content FROM p.first[i] FOR p.first[i + 1] - p.first[i]),
        p.starts[p.points * (i - 1) + 1:p.points * i],
        public.st_geomfromewkb(substring(p.point_bytes FROM p.size * (i - 1) + 1 FOR p.size))
    FROM
        (SELECT $3 AS content, $4::integer[] AS first, $5::integer[] AS starts, $6 AS point_bytes,
            $7 AS points, 13 + 37 * $7 AS size OFFSET 0) AS p,
        generate_series(1, array_length(p.first, 1) - 1) AS i""",
    *("integer", "integer", "bytea", "text", "text", "bytea", "integer"),
)


def store(tokenizer_id, part, points, content, lengths):
    """Store the runs of a part of a tokenizer's atoms, given as contents (joined), lengths and points."""
    if not len(points):
        return
    order = np.argsort(hilbert.encode(points >> geometry.AXIS_BITS - RUN_AXIS_BITS, RUN_AXIS_BITS), kind="stable")
    content, lengths = sql_literals.taken(content, lengths, order)
    starts = np.cumsum(lengths) - lengths
    first = starts[::POINTS]
    starts = starts - np.repeat(first, POINTS)[: starts.size] + 1
    STORE_RUNS.all(
        *(
            tokenizer_id,
            part,
            content,
            sql_literals.array(np.append(first, len(content)) + 1),
            sql_literals.array(starts),
        ),
        *(sql_literals.multipoints(points[order], POINTS), POINTS),
    )
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__atom_runs() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__atom_runs() IS
'Runs of atoms, for nearest-neighbour search: pieces of a vocabulary along the four-dimensional Hilbert curve.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__atoms()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Stores the atoms of a model: its bytes, tokens and weight codes as rows, and how often each occurs.

`llm_store.atomise` calls this for what is new in a model. numpy computes whole vocabularies and tensors, and SQL makes
rows from arrays. Atoms are stored in one order, by parts of the tokens and then by (h_xy, content), so that two loads
of the same atoms wait for each other but cannot deadlock.
"""

import numpy as np

from ..model import encodings, finite
from ..model.decoder import ROPE_DIVISORS
from ..server import database, errors, interrupts
from . import atom_rows, atom_runs, geometry, sql_literals

# Tokens of two bytes or more are stored in two parts, by their first byte (spaces, digits and punctuation; letters), so
# that two sessions can share the work. The parts must not depend on the vocabulary. The partitions of llm_store.atom
# are cut at the same byte.
BOUNDS = (
    b"\x00",
    b"@",
    b"\xff" * 2700,
)  # the last is above every token, because an entry of its index holds 2,704 bytes
PARTS = len(BOUNDS) - 1
PART_TOKENS = database.Query(
    """SELECT string_agg(t.bytes, ''::bytea) AS content,
        string_agg(int4send(octet_length(t.bytes)), ''::bytea) AS lengths,
        string_agg(int4send(t.times), ''::bytea) AS times
    FROM (
        SELECT k.bytes, count(*)::integer AS times
        FROM llm_store.token AS k
        WHERE k.tokenizer_id = $1 AND k.bytes >= $2 AND k.bytes < $3
        GROUP BY k.bytes
        ORDER BY k.bytes
    ) AS t""",
    *("integer", "bytea", "bytea"),
)
CLAIM_PART = database.Query(
    """INSERT INTO llm_store.atom_part (tokenizer_id, part, tokens, counts, steps)
    VALUES ($1, $2, $3, $4::bigint[], $5::bigint[])
    ON CONFLICT DO NOTHING RETURNING part""",
    *("integer", "integer", "bigint", "text", "text"),
)
PART_TOTALS = database.Query(
    """SELECT p.part, p.tokens, p.counts::text, p.steps::text
    FROM llm_store.atom_part AS p WHERE p.tokenizer_id = $1""",
    "integer",
)
HAS_OTHERS = database.Query(
    "SELECT EXISTS (SELECT FROM llm_store.atom_part AS p WHERE p.tokenizer_id <> $1) AS has", "integer"
)
STORE_BYTE_COUNTS = database.Query(
    """INSERT INTO llm_store.atom_byte_count (tokenizer_id, counts, geom)
    VALUES ($1, $2::bigint[], public.st_geomfromewkb($3))
    ON CONFLICT DO NOTHING RETURNING tokenizer_id""",
    *("integer", "text", "bytea"),
)
STORE_CODE_COUNTS = database.Query(
    """INSERT INTO llm_store.atom_code_count (tensor_hash, codes, counts, code_bits)
    VALUES ($1, $2::integer[], $3::bigint[], $4::bit varying)
    ON CONFLICT DO NOTHING""",
    *("bytea", "text", "text", "text"),
)
CODE_COUNTS = database.Query(
    """SELECT n.codes::text AS codes, n.counts::text AS counts
    FROM llm_store.atom_code_count AS n WHERE n.tensor_hash = $1""",
    "bytea",
)
# The tiles at which two tensors differ: sign 1 for those of the first, -1 for those of the second.
DIFFERENT_TILES = database.Query(
    """SELECT d.sign, t.content
    FROM llm_store.tensor_tile AS u
    INNER JOIN llm_store.tensor_tile AS v ON v.ordinal = u.ordinal AND v.tile_hash <> u.tile_hash
    CROSS JOIN LATERAL (VALUES (1, u.tile_hash), (-1, v.tile_hash)) AS d (sign, hash)
    INNER JOIN llm_store.tile AS t ON t.hash = d.hash
    WHERE u.tensor_hash = $1 AND v.tensor_hash = $2""",
    *("bytea", "bytea"),
)
TENSOR_FORM = database.Query(
    "SELECT t.type, t.shape, t.rows_per_tile FROM llm_store.tensor AS t WHERE t.hash = $1", "bytea"
)
TILE_CONTENTS = database.Query(
    """SELECT t.content FROM llm_store.tensor_tile AS u INNER JOIN llm_store.tile AS t ON t.hash = u.tile_hash
    WHERE u.tensor_hash = $1 ORDER BY u.ordinal""",
    "bytea",
)


# The tiles of a tensor that no other tensor of its type has; tiles of others were checked. For tiles of whole rows.
NEW_TILES = database.Query(
    """SELECT u.ordinal, t.content
    FROM llm_store.tensor_tile AS u
    INNER JOIN llm_store.tile AS t ON t.hash = u.tile_hash
    WHERE
        u.tensor_hash = $1
        AND NOT EXISTS (
            SELECT FROM llm_store.tensor_tile AS v
            INNER JOIN llm_store.tensor AS w ON w.hash = v.tensor_hash
            WHERE v.tile_hash = u.tile_hash AND w.hash <> $1 AND w.type = $2 AND w.rows_per_tile > 0
        )
    ORDER BY u.ordinal""",
    *("bytea", "text"),
)


def store_tokenizer(tokenizer_id):
    """Store the missing tokens and bytes of a tokenizer. Returns how many tokens it has."""
    there = {total["part"] for total in PART_TOTALS.all(tokenizer_id)}
    for part in range(PARTS):
        if part not in there:
            store_part(tokenizer_id, part)
    totals = PART_TOTALS.all(tokenizer_id)
    tokens = sum(total["tokens"] for total in totals)
    counts = sum(sql_literals.integers(total["counts"]) for total in totals)
    mean = sum(sql_literals.integers(total["steps"]) for total in totals) // max(1, tokens)
    if STORE_BYTE_COUNTS.one(tokenizer_id, sql_literals.array(counts), sql_literals.points(mean[None])) is None:
        return 0  # another load has stored all of it meanwhile
    letters = np.flatnonzero(counts)
    content, lengths = bytes(letters.tolist()), np.ones(letters.size, np.int64)
    points = geometry.byte_points(content, lengths)
    atom_rows.store(points, content, lengths, "discrete")
    atom_runs.store(tokenizer_id, PARTS, points, content, lengths)
    return tokens


def store_part(tokenizer_id, part):
    """Store one part of a tokenizer's tokens, unless it is stored. Returns how many tokens are in it."""
    vocabulary = PART_TOKENS.one(tokenizer_id, BOUNDS[part], BOUNDS[part + 1])
    content = vocabulary["content"] or b""
    lengths, times = (np.frombuffer(vocabulary[name] or b"", ">i4").astype(np.int64) for name in ("lengths", "times"))
    points = geometry.byte_points(content, lengths)
    tokens = int(times.sum())
    counts = np.bincount(np.frombuffer(content, np.uint8), np.repeat(times, lengths), 256).astype(np.int64)
    steps = (points * times[:, None]).sum(axis=0)
    if CLAIM_PART.one(tokenizer_id, part, tokens, sql_literals.array(counts), sql_literals.array(steps)) is None:
        return 0  # another load has stored all of it meanwhile
    longer = np.flatnonzero(lengths > 1)  # a token of one byte is the atom of that byte
    content, _ = sql_literals.taken(content, lengths, longer)
    points, lengths = points[longer], lengths[longer]
    atom_rows.store(points, content, lengths, "compositional", expected_new=not HAS_OTHERS.one(tokenizer_id)["has"])
    atom_runs.store(tokenizer_id, part, points, content, lengths)
    return tokens


def check_weights(tensor_hash, name, is_new):
    """Raise ModelError 22023 with tensor and row if a stored tensor has weights that are not finite.

    Tensors that are not new were checked before, and store_codes checks those whose codes it counts. The divisors of
    rope are always checked, because other names allow other values.
    """
    tensor = TENSOR_FORM.one(tensor_hash)
    if is_new and tensor["type"] not in geometry.CODES:
        _check_tiles(tensor_hash, name, tensor)
    if name == ROPE_DIVISORS:
        finite.check_divisors(name, tensor["type"], tiles(tensor_hash))


def _check_tiles(tensor_hash, name, tensor):
    type, columns, rows_per_tile = tensor["type"], tensor["shape"][-1], tensor["rows_per_tile"]
    if rows_per_tile == 0:  # a row spans tiles, and a block may too
        finite.check_rows(name, type, columns, tiles(tensor_hash))
        return
    for tile in NEW_TILES.stream(tensor_hash, type):
        interrupts.checkpoint()
        finite.check_rows(name, type, columns, [tile["content"]], tile["ordinal"] * rows_per_tile)


def store_edited_codes(tensor_hash, base_hash):
    """Count the weight codes of an edited tensor, from those of its base and the tiles that differ.

    Both have the same type and shape and tiles of whole blocks, and the base has been counted.
    """
    encoding = TENSOR_FORM.one(tensor_hash)["type"]
    before = CODE_COUNTS.one(base_hash)
    counts = np.zeros(1 << geometry.CODES[encoding].codes.bits, np.int64)
    counts[sql_literals.integers(before["codes"])] = sql_literals.integers(before["counts"])
    fresh = np.zeros_like(counts)
    for tile in DIFFERENT_TILES.stream(tensor_hash, base_hash):
        interrupts.checkpoint()
        found = geometry.count_codes(encoding, encodings.whole_blocks(encoding, [tile["content"]]))
        counts += tile["sign"] * found
        if tile["sign"] > 0:
            fresh += found
    _store_counts(tensor_hash, counts)
    _store_code_atoms(encoding, fresh)


def store_codes(tensor_hashes, names):
    """Count the weight codes of new tensors, and store the codes as atoms. Returns how many weights were counted.

    This reads new tensors as a whole, so it also checks them: ModelError 22023 names one with infinity or NaN.
    """
    weights = 0
    seen = {}
    for tensor_hash, name in zip(tensor_hashes, names, strict=True):
        encoding, shape = _counted(tensor_hash)
        blocks = finite.checked_blocks(name, encoding, shape[-1], tiles(tensor_hash))
        counts = geometry.count_codes(encoding, blocks)
        _store_counts(tensor_hash, counts)
        seen[encoding] = counts + seen.get(encoding, 0)
        weights += int(counts.sum())
    for encoding in sorted(seen):
        _store_code_atoms(encoding, seen[encoding])
    return weights


def _store_counts(tensor_hash, counts):
    codes = np.flatnonzero(counts)
    STORE_CODE_COUNTS.all(
        tensor_hash, sql_literals.array(codes), sql_literals.array(counts[codes]), sql_literals.bits(counts > 0)
    )


def _store_code_atoms(encoding, counts):
    """Store the codes of an encoding whose count is not 0 as atoms."""
    codes = np.flatnonzero(counts)
    if codes.size:
        contents = geometry.code_contents(encoding, codes)
        lengths = np.full(codes.size, len(contents[0]))
        atom_rows.store(geometry.code_points(encoding, codes), b"".join(contents), lengths, "continuous")


def _counted(tensor_hash):
    """(encoding, shape) of a stored tensor whose codes are atoms. Raises ModelError 0A000 for any other."""
    tensor = TENSOR_FORM.one(tensor_hash)
    if tensor is None or tensor["type"] not in geometry.CODES:
        raise errors.not_supported(
            "the tensor has no weight codes that are atoms", f"known are {', '.join(geometry.CODES)}"
        )
    return tensor["type"], tensor["shape"]


def code_counts(tensor_hash):
    """Rows (code, count) of a stored tensor, counted from its tiles."""
    encoding, _ = _counted(tensor_hash)
    counts = geometry.count_codes(encoding, encodings.whole_blocks(encoding, tiles(tensor_hash)))
    return [(int(code), int(counts[code])) for code in np.flatnonzero(counts)]


def tiles(tensor_hash):
    """The bytes of a tensor, tile by tile, with a checkpoint for each."""
    for tile in TILE_CONTENTS.stream(tensor_hash):
        interrupts.checkpoint()
        yield tile["content"]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__atoms() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__atoms() IS
'Stores the atoms of a model: its bytes, tokens and weight codes as rows, and how often each occurs.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__geometry()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Points of atoms in four dimensions, a pure function of their content.

An axis has 2^31 steps. `llm_atoms.atom_point` is the same function of bytes in SQL, one value a call. docs/atoms.md
says what x, y, z and m mean for each modality. Near tokens are spelt alike and near weight codes have nearly equal
values; nearness says nothing about meaning.
"""

import numpy as np

from ..model.encodings import ENCODINGS
from ..server import errors
from . import hilbert_plane

AXIS_BITS = 31
STEP_SIZE = 1 / 256  # of an axis, in the units of the map
LOWEST_COORDINATE = float(1 << 23)  # where step 0 begins

# The encodings whose codes are atoms.
CODES = {encoding.name: encoding for encoding in ENCODINGS if encoding.codes}
# The rank of a code's value among all codes, in straight lines: from a first to a last code it is
# intercept + slope * code. `half` is half the number of codes. [(first, last, intercept, slope), ...]
LINES = {
    "unsigned": lambda half: [(0, 2 * half - 1, 0, 1)],
    "two's complement": lambda half: [(0, half - 1, half, 1), (half, 2 * half - 1, -half, 1)],
    "sign and magnitude": lambda half: [(0, half - 1, half, 1), (half, 2 * half - 1, 2 * half - 1, -1)],
}


def byte_points(content, lengths):
    """Steps [n, 4] (int64) of n byte strings, given joined, with their lengths (each at least 1).

    x: the first four bytes, y: the last four read backwards, m: four bytes from the middle on, each as a big-endian
    number of which the top 31 bits count; z: the length, on a scale of binary logarithms. Missing bytes are 0.
    """
    lengths = np.asarray(lengths, np.int64)
    content = np.frombuffer(content, np.uint8)
    if (lengths.size and lengths.min() < 1) or lengths.sum() != content.size:
        raise errors.invalid_parameter("the lengths are not those of the byte strings")
    ends = np.cumsum(lengths)
    starts = ends - lengths
    middle = lengths // 2
    return np.stack(
        [
            _four_bytes(content, starts, 1, lengths),
            _four_bytes(content, ends - 1, -1, lengths),
            log_steps(lengths),
            _four_bytes(content, starts + middle, 1, lengths - middle),
        ],
        axis=1,
    )


def _four_bytes(content, first, direction, available):
    """31 bits of four bytes from `first` on, in that direction; 0 stands for those beyond `available`."""
    number = np.zeros(first.size, np.int64)
    for i in range(4):
        there = i < available
        number = number << 8 | np.where(there, content[np.where(there, first + direction * i, 0)], 0)
    return number >> 1


def log_steps(numbers):
    """log2 of integers from 1 to 2^31, times 2^26, linear between powers of two: 1, 2, 3, 4 -> 0, 1, 1.5, 2."""
    numbers = np.asarray(numbers, np.int64)
    doublings = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    return np.minimum((doublings << 26) + ((numbers - (1 << doublings) << 26) >> doublings), (1 << AXIS_BITS) - 1)


def code_points(encoding, codes):
    """Steps [n, 4] (int64) of weight codes of an encoding, unsigned integers as they are stored.

    x: the rank of the code's value; y: the code itself; z: its bits; m: the encoding's GGUF number.
    """
    bits = CODES[encoding].codes.bits
    codes = np.asarray(codes, np.int64)
    points = np.empty((codes.size, 4), np.int64)
    points[:, 0] = _value_order(encoding, codes) << AXIS_BITS - bits
    points[:, 1] = codes << AXIS_BITS - bits
    points[:, 2] = log_steps(bits)
    points[:, 3] = CODES[encoding].number << 24
    return points


def code_lines(encoding):
    """The straight lines on which an encoding's codes lie: [(first code, last code, intercept, slope), ...]."""
    codes = CODES[encoding].codes
    return LINES[codes.order](1 << codes.bits - 1)


def _value_order(encoding, codes):
    """The ranks of codes among all codes of the encoding, by value."""
    order = np.empty_like(codes)
    for first, last, intercept, slope in code_lines(encoding):
        here = (first <= codes) & (codes <= last)
        order[here] = intercept + slope * codes[here]
    return order


def code_contents(encoding, codes):
    """The content of weight codes, which is hashed: the encoding's name, a zero byte, the code little-endian."""
    size = CODES[encoding].codes.bits // 8 or 1
    return [encoding.encode() + b"\0" + int(code).to_bytes(size, "little") for code in codes]


def codes_in_order(encoding, raw):
    """The code of each weight of whole blocks, in the order of the weights: bytes as stored -> unsigned integers.

    If two codes share a byte, the low halves of a run of bytes come first, then the high halves.
    """
    codes = CODES[encoding].codes
    content = np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(-1, CODES[encoding].size)[:, codes.first :])
    if codes.bits != 4:
        return content.view(np.uint16 if codes.bits == 16 else np.uint8).ravel()
    runs = content.reshape(-1, codes.run)
    return np.concatenate([runs & 15, runs >> 4], axis=1).ravel()


def count_codes(encoding, pieces):
    """How often each code is in a tensor: int64 [2^bits]. pieces: uint8[blocks, bytes], as encodings.whole_blocks."""
    bits = CODES[encoding].codes.bits
    counts = np.zeros(1 << max(bits, 8), np.int64)
    for blocks in pieces:
        counts += _byte_or_word_counts(encoding, blocks)
    if bits == 4:
        halves = counts.reshape(16, 16)
        return halves.sum(axis=0) + halves.sum(axis=1)
    return counts


def _byte_or_word_counts(encoding, blocks):
    codes = CODES[encoding].codes
    # Count pairs of bytes, because bincount costs per element; then fold the 65,536 counts into 256.
    words = np.ascontiguousarray(blocks[:, codes.first :]).view(np.uint16).ravel()
    counts = np.bincount(words, minlength=1 << 16)
    if codes.bits == 16:
        return counts
    pairs = counts.reshape(256, 256)
    return pairs.sum(axis=0) + pairs.sum(axis=1)


def keys(points):
    """Hilbert keys of the planes (x, y), (y, z) and (z, m), int64 [3, n], of steps [n, 4]."""
    planes = (hilbert_plane.encode(points[:, i], points[:, i + 1], AXIS_BITS) for i in range(3))
    return np.stack([keys.astype(np.int64) for keys in planes])


def coordinates(points):
    """Steps as coordinates of the map: the middle of each, exactly.

    PostGIS's GiST index rounds coordinates outwards to single precision, which from 2^23 to 2^24 are whole numbers. No
    middle of a step is a whole number, so every box of the index is larger than its point, and no rounding error can
    make the index's distance larger than the true one. That would end a search with "index returned tuples in wrong
    order".
    """
    return (points + 0.5) * STEP_SIZE + LOWEST_COORDINATE
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__geometry() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__geometry() IS
'Points of atoms in four dimensions, a pure function of their content.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__hilbert()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Hilbert curves in 2 to 8 dimensions, in bulk: coordinates to keys and back.

John Skilling, "Programming the Hilbert curve", AIP Conference Proceedings 707 (2004) 381-387. Keys from 0 to
2^(dimensions x bits) - 1 visit every cell of the grid [0, 2^bits)^dimensions once, each a neighbour of the one before.
`llm_atoms.hilbert_encode` and `llm_atoms.hilbert_decode` are the same curves in SQL, one value a call.
"""

import numpy as np

from ..server import errors

MINIMUM_DIMENSIONS, MAXIMUM_DIMENSIONS = 2, 8
MAXIMUM_BITS = 63  # a coordinate is an SQL bigint: 63 bits and a sign
ROWS_AT_ONCE = 16_384  # every array of one batch stays in the second-level cache


def encode(coordinates, bits):
    """Keys [n] of coordinates [n, dimensions], integers from 0 to 2^bits - 1.

    Keys are uint64 where dimensions x bits <= 64, else Python integers (dtype object).
    Raises ModelError 22023 for a shape, a number of bits or a coordinate out of range.
    """
    coordinates = np.asarray(coordinates)
    if coordinates.ndim != 2:
        raise errors.invalid_parameter("coordinates are not a table [n, dimensions]", f"Shape: {coordinates.shape}.")
    dimensions = coordinates.shape[1]
    check_grid(dimensions, bits)
    axes = integers(coordinates, bits, "coordinate").astype(np.uint64).T
    keys = np.empty(axes.shape[1], key_type(dimensions, bits))
    for rows in batches(keys.size):
        keys[rows] = interleave(axes_to_transpose(axes[:, rows].copy(), bits), bits)
    return keys


def decode(keys, dimensions, bits):
    """Coordinates [n, dimensions] (int64) of keys [n], integers from 0 to 2^(dimensions x bits) - 1.

    Raises ModelError 22023 for a number of dimensions or bits or a key out of range.
    """
    check_grid(dimensions, bits)
    keys = integers(np.asarray(keys), dimensions * bits, "key").astype(key_type(dimensions, bits))
    coordinates = np.empty((keys.size, dimensions), np.int64)
    for rows in batches(keys.size):
        coordinates[rows] = transpose_to_axes(deinterleave(keys[rows], dimensions, bits), bits).T
    return coordinates


def axes_to_transpose(x, bits):
    """Coordinates [dimensions, n] to the transposed key of the paper, in place."""
    for bit in range(bits - 1, 0, -1):
        undo_turn(x, bit, range(len(x)))
    for i in range(1, len(x)):
        x[i] ^= x[i - 1]
    x ^= gray_correction(x[-1])
    return x


def transpose_to_axes(x, bits):
    """The transposed key [dimensions, n] to coordinates, in place."""
    last = x[-1] >> np.uint64(1)
    for i in range(len(x) - 1, 0, -1):
        x[i] ^= x[i - 1]
    x[0] ^= last
    for bit in range(1, bits):
        undo_turn(x, bit, range(len(x) - 1, -1, -1))
    return x


def undo_turn(x, bit, order):
    """Below `bit`: inverts axis 0 where axis i has the bit, else exchanges the two. Reverse order undoes it."""
    low = np.uint64((1 << bit) - 1)
    for i in order:
        below = np.negative(x[i] >> np.uint64(bit) & np.uint64(1)) & low  # what to invert: `low` or nothing
        x[0] ^= below
        if i > 0:
            exchange = (x[0] ^ x[i]) & (below ^ low)
            x[0] ^= exchange
            x[i] ^= exchange


def gray_correction(last):
    """Every bit is the parity of the last axis's bits above it."""
    parity = last >> np.uint64(1)
    for step in (1, 2, 4, 8, 16, 32):
        parity ^= parity >> np.uint64(step)
    return parity


def interleave(x, bits):
    """The key [n]: from the highest bit down, that bit of every axis in turn."""
    keys = np.zeros(x.shape[1], key_type(len(x), bits))
    for bit in range(bits - 1, -1, -1):
        digit = x[0] >> np.uint64(bit) & np.uint64(1)
        for axis in x[1:]:
            digit = digit << np.uint64(1) | axis >> np.uint64(bit) & np.uint64(1)
        keys = keys << len(x) | digit.astype(keys.dtype)
    return keys


def deinterleave(keys, dimensions, bits):
    """The transposed key [dimensions, n] of keys [n]."""
    x = np.zeros((dimensions, keys.size), np.uint64)
    for bit in range(bits - 1, -1, -1):
        digit = (keys >> dimensions * bit & (1 << dimensions) - 1).astype(np.uint64)
        for i in range(dimensions):
            x[i] = x[i] << np.uint64(1) | digit >> np.uint64(dimensions - 1 - i) & np.uint64(1)
    return x


def key_type(dimensions, bits):
    return np.dtype(np.uint64 if dimensions * bits <= 64 else object)


def batches(rows):
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, rows, ROWS_AT_ONCE))


def integers(values, bits, name):
    """`values` when each is an integer from 0 to 2^bits - 1."""
    if values.size == 0:
        return values
    if values.dtype.kind not in "iu" and not (values.dtype == object and all_integers(values)):
        raise errors.invalid_parameter(f"a {name} is not an integer", f"Type: {values.dtype}.")
    smallest, largest = values.min(), values.max()
    if smallest < 0 or int(largest) >> bits:
        raise errors.invalid_parameter(
            f"{name} out of range",
            f"{smallest if smallest < 0 else largest} is not between 0 and 2^{bits} - 1.",
        )
    return values


def all_integers(values):
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values.flat)


def check_grid(dimensions, bits):
    """Raises ModelError 22023 unless there is such a curve."""
    for name, value, smallest, largest in (
        ("dimensions", dimensions, MINIMUM_DIMENSIONS, MAXIMUM_DIMENSIONS),
        ("bits", bits, 1, MAXIMUM_BITS),
    ):
        if value is None or not smallest <= value <= largest:
            raise errors.invalid_parameter(f"{name} out of range", f"{value} is not between {smallest} and {largest}.")
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__hilbert() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__hilbert() IS
'Hilbert curves in 2 to 8 dimensions, in bulk: coordinates to keys and back.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__hilbert_plane()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The plane's Hilbert curve by a table, four bits of each axis at a time: the keys of `hilbert`, five times as fast.

The curve crosses a cell of a coarse grid in one of four directions. Within the cell it is the whole curve, rotated or
mirrored. So a direction and the next four bits of x and y give eight bits of the key and the next direction.
"""

import numpy as np

from . import hilbert

BITS_A_STEP = 4  # bits of each axis at once
SIDE = 1 << BITS_A_STEP
MAXIMUM_PLANE_BITS = 32
CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])


def _table():
    """uint16 [direction, x << 4 | y]: next direction << 8 | eight bits of the key; 0 is the whole plane's direction."""
    cells = np.stack(np.divmod(np.arange(SIDE * SIDE), SIDE), axis=1)
    keys = hilbert.encode(cells, BITS_A_STEP).astype(np.int64)
    # the order in which the curve passes the quarters of each cell, and those of the plane
    orders = (
        hilbert.encode((2 * cells[:, None] + CORNERS).reshape(-1, 2), BITS_A_STEP + 1).reshape(-1, 4).astype(int) & 3
    )
    whole = hilbert.encode(CORNERS, 1).tolist()
    directions = sorted(np.unique(orders, axis=0).tolist(), key=lambda order: order != whole)
    table = np.empty((len(directions), SIDE * SIDE), np.uint16)
    for direction, order in enumerate(directions):
        exchanged, inverted = _turn(whole, order)
        turned = _turned(cells, SIDE, exchanged, inverted) @ [SIDE, 1]
        quarters = _turned(CORNERS, 2, exchanged, inverted) @ [2, 1]
        onward = [directions.index(order) for order in orders[turned][:, quarters].tolist()]
        table[direction] = np.array(onward) << 8 | keys[turned]
    return table


def _turn(whole, order):
    """(whether to exchange the axes, whether to invert them) to turn a curve of this order into the whole plane's."""
    for exchanged in (False, True):
        for inverted in (False, True):
            if [whole[quarter] for quarter in _turned(CORNERS, 2, exchanged, inverted) @ [2, 1]] == order:
                return exchanged, inverted
    raise AssertionError(order)


def _turned(cells, side, exchanged, inverted):
    cells = cells[:, ::-1] if exchanged else cells
    return side - 1 - cells if inverted else cells


TABLE = _table()


def encode(x, y, bits):
    """Keys [n] (uint64) of n points of the plane, coordinates from 0 to 2^bits - 1, bits at most 32."""
    steps = -(-bits // BITS_A_STEP)
    spare = BITS_A_STEP * steps - bits  # keys of a coarser grid are prefixes of those of a finer one
    x, y = (np.asarray(axis).astype(np.int64) << spare for axis in (x, y))
    table = TABLE.ravel()
    keys, found = np.zeros(x.size, np.uint64), np.zeros(x.size, np.uint16)
    for step in range(steps - 1, -1, -1):
        cell = (x >> BITS_A_STEP * step & SIDE - 1) << BITS_A_STEP | y >> BITS_A_STEP * step & SIDE - 1
        found = table[cell | (found & 0xFF00)]
        keys = keys << np.uint64(2 * BITS_A_STEP) | (found & 0xFF)
    return keys >> np.uint64(2 * spare)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__hilbert_plane() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__hilbert_plane() IS
'The plane''s Hilbert curve by a table, four bits of each axis at a time: the keys of `hilbert`, five times as '
'fast.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__projection()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The first four principal components of a matrix's rows, and a position on the map for each row.

Principal component analysis (Pearson 1901) by the eigenvectors of the covariance, in float64. The sign of a component
is arbitrary, so it is fixed: the row farthest out, of equal ones the first, is on the positive side.

The map is the domain of atoms (`geometry`). All four axes have the same scale: distances on the map are distances
between components times `units`.
"""

from collections import namedtuple

import numpy as np

from . import geometry

DIRECTIONS = 4
ROWS_A_PIECE = 4096  # between checkpoints: some milliseconds
AXIS_STEPS = (1 << geometry.AXIS_BITS) - 1

# components f64[n, 4]; explained f64[4], the part of the variance in each direction; mean f64[d]; axes f64[4, d]
Projection = namedtuple("Projection", "components explained mean axes")


def principal(rows, checkpoint=lambda: None):
    """The Projection of f32[n, d]; directions beyond d, or without variance, are zero.

    The covariance is summed in blocks of rows, in float64 and in one order, so the same rows give the same result.
    """
    count, columns = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((columns, columns))
    for start in range(0, count, ROWS_A_PIECE):
        centred = rows[start : start + ROWS_A_PIECE] - mean
        covariance += centred.T @ centred
        checkpoint()
    variances, vectors = np.linalg.eigh(covariance)
    axes = np.zeros((DIRECTIONS, columns))
    found = min(DIRECTIONS, columns)
    axes[:found] = vectors[:, ::-1][:, :found].T
    total = variances.sum()
    explained = np.zeros(DIRECTIONS)
    if total > 0:
        explained[:found] = np.maximum(variances[::-1][:found], 0) / total
    axes[explained == 0] = 0
    components = np.concatenate([(rows[i : i + ROWS_A_PIECE] - mean) @ axes.T for i in range(0, count, ROWS_A_PIECE)])
    farthest = np.abs(components).argmax(axis=0)
    signs = np.where(components[farthest, np.arange(DIRECTIONS)] < 0, -1.0, 1.0)
    return Projection(components * signs, explained, mean, axes * signs[:, None])


def map_steps(components):
    """(steps i64[n, 4] on the axes of the map, units). 0 is the middle of the map, the largest component its edge.

    units: units of the map for a component of 1.
    """
    extent = float(np.abs(components).max(initial=0.0)) or 1.0
    steps = np.rint((components / extent + 1) / 2 * AXIS_STEPS).astype(np.int64)
    return steps, AXIS_STEPS / 2 * geometry.STEP_SIZE / extent
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__projection() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__projection() IS
'The first four principal components of a matrix''s rows, and a position on the map for each row.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__sql_literals()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Numbers, points and rows in formats that SQL reads in bulk: the text of an array, EWKB, COPY's binary format.

PL/Python converts a list item by item. PostgreSQL reads an array from text several times as fast, and SQL cuts points
and byte strings out of one bytea.
"""

import numpy as np

from . import geometry

SRID = 3857
POINT_ZM, MULTIPOINT_ZM = 0xC0000001, 0xC0000004  # EWKB's type numbers, with z and m
HAS_SRID = 0x20000000
POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("xyzm", "<f8", 4)])
POINT_OF_MANY = np.dtype([("order", "u1"), ("type", "<u4"), ("xyzm", "<f8", 4)])
MANY = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("points", "<u4")])

COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
COPY_END = b"\xff\xff"

DIGITS = 4  # that are written at once
SIGNS = np.frombuffer(b"+-", np.uint8)
HEXADECIMAL = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), "<u2")
EXPONENTS = np.frombuffer(b"".join(b"%+04d" % (max(exponent, 1) - 150) for exponent in range(256)), "<u4")
GROUPS = np.frombuffer(b"".join(b"%04d" % number for number in range(10**DIGITS)), "<u4")


def array(numbers):
    """Integers from 0 to 10^20 - 1 that fit int64 as the text of an SQL array, with leading zeros."""
    rest = np.asarray(numbers, np.int64).ravel()
    groups = -(-len(str(rest.max(initial=0))) // DIGITS)
    text = np.empty((rest.size, DIGITS * groups + 1), np.uint8)
    text[:, -1] = ord(",")
    for group in range(groups - 1, -1, -1):
        rest, low = np.divmod(rest, 10**DIGITS) if group else (rest, rest)
        text[:, DIGITS * group : DIGITS * (group + 1)] = GROUPS[low].view(np.uint8).reshape(-1, DIGITS)
    return "{" + text.tobytes()[:-1].decode() + "}"


def integers(text):
    """The integers of an SQL array's text."""
    return np.array(text[1:-1].split(",") if len(text) > 2 else [], np.int64)


def reals(numbers):
    """float32 numbers as the text of a real[], exactly: +0xc00000p-022 is 3, as C writes hexadecimal floats.

    A float32 is such a whole number of 24 bits times a power of two, so nothing is rounded, here or when it is read.
    """
    raw = np.ascontiguousarray(numbers, "<f4").ravel().view(np.uint32)
    exponents = raw >> 23 & 255
    if (exponents == 255).any():  # infinite, or no number
        return f"{{{','.join(f'{number:.9g}' for number in raw.view('<f4').tolist())}}}"
    wholes = (raw & 0x7FFFFF | (exponents > 0).astype(np.uint32) << 23).astype(">u4").view(np.uint8).reshape(-1, 4)
    text = np.empty((raw.size, 15), np.uint8)
    text[:, 0] = SIGNS[raw >> 31]
    text[:, 1:3] = ord("0"), ord("x")
    text[:, 3:9] = HEXADECIMAL[wholes[:, 1:]].view(np.uint8)
    text[:, 9] = ord("p")
    text[:, 10:14] = EXPONENTS[exponents].view(np.uint8).reshape(-1, 4)
    text[:, 14] = ord(",")
    return "{" + text.tobytes()[:-1].decode() + "}"


def bits(flags):
    """Booleans, a multiple of 8 of them, as the text of a bit string."""
    return "x" + np.packbits(flags).tobytes().hex()


def points(steps):
    """Points [n, 4] in steps as n EWKB values of 41 bytes each."""
    rows = np.empty(len(steps), POINT)
    rows["order"], rows["type"], rows["srid"] = 1, POINT_ZM | HAS_SRID, SRID
    rows["xyzm"] = geometry.coordinates(steps)
    return rows.tobytes()


def multipoints(steps, size):
    """Points [n, 4] in steps as EWKB values of `size` points, the last perhaps of fewer: 13 + 37 bytes a point each."""
    rows = np.empty(-(-len(steps) // size), [("head", MANY), ("points", POINT_OF_MANY, size)])
    rows["head"] = 1, MULTIPOINT_ZM | HAS_SRID, SRID, size
    missing = len(rows) * size - len(steps)
    rows["head"]["points"][-1:] = size - missing
    rows["points"]["order"], rows["points"]["type"] = 1, POINT_ZM
    padded = np.concatenate([geometry.coordinates(steps), np.zeros((missing, 4))])
    rows["points"]["xyzm"] = padded.reshape(-1, size, 4)
    return rows.tobytes()[: rows.nbytes - missing * POINT_OF_MANY.itemsize]


def taken(content, lengths, order):
    """Byte strings, given joined with their lengths, in another order: joined, and their lengths."""
    starts, sizes = (np.cumsum(lengths) - lengths)[order], lengths[order]
    from_first = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.frombuffer(content, np.uint8)[np.repeat(starts, sizes) + from_first].tobytes(), sizes


def copied(columns, last):
    """Rows in COPY's binary format: columns of fixed size, arrays [n], and after them one of n byte strings."""
    types = [column.dtype.newbyteorder(">") for column in columns]
    fields = [field for i, type in enumerate(types) for field in ((f"size {i}", ">i4"), (f"column {i}", type))]
    rows = np.empty(len(last), [("columns", ">i2"), *fields, ("size", ">i4")])
    rows["columns"] = len(columns) + 1
    for i, column in enumerate(columns):
        rows[f"size {i}"], rows[f"column {i}"] = column.itemsize, column
    rows["size"] = [len(string) for string in last]
    pieces = [COPY_BEGIN, *[None] * (2 * len(last)), COPY_END]
    pieces[1:-1:2], pieces[2:-1:2] = rows.view(f"V{rows.itemsize}").tolist(), last
    return b"".join(pieces)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__sql_literals() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__sql_literals() IS
'Numbers, points and rows in formats that SQL reads in bulk: the text of an array, EWKB, COPY''s binary format.';

CREATE OR REPLACE FUNCTION llm_runtime.atoms__token_map()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The map of a model's tokens: the stored projection of its token embedding.

A map depends only on the tensor's content. So models that share an embedding share its map, and an edited embedding has
none until `llm_atoms.project` makes it.
"""

import numpy as np

from ..server import database, errors, interrupts
from ..weights import tensors
from . import geometry, projection, sql_literals

EMBEDDING_TENSOR = database.Query(
    """SELECT t.hash, t.type, t.shape, t.rows_per_tile, t.bytes FROM llm_store.tensor AS t WHERE t.hash = $1""", "bytea"
)
STORE_PROJECTION = database.Query(
    """INSERT INTO llm_store.projection (tensor_hash, explained, units) VALUES ($1, $2::double precision[], $3)
    ON CONFLICT DO NOTHING RETURNING tensor_hash""",
    *("bytea", "text", "double precision"),
)
# OFFSET 0: the planner must not carry the arrays themselves through a sort.
STORE_POSITIONS = database.Query(
    """INSERT INTO llm_store.token_position (tensor_hash, token_id, h_xy, h_yz, h_zm, geom)
    SELECT $1, i - 1, p.h_xy[i], p.h_yz[i], p.h_zm[i],
        public.st_geomfromewkb(substring(p.points FROM 41 * (i - 1) + 1 FOR 41))
    FROM
        (SELECT $2::bigint[] AS h_xy, $3::bigint[] AS h_yz, $4::bigint[] AS h_zm, $5 AS points OFFSET 0) AS p,
        generate_series(1, array_length(p.h_xy, 1)) AS i""",
    *("bytea", "text", "text", "text", "bytea"),
)


def store(tensor_hash):
    """Make the map of a stored matrix, if there is none yet. ModelError 22023 for other shapes, infinity and NaN."""
    row = EMBEDDING_TENSOR.one(tensor_hash)
    if row is None:
        raise errors.undefined_object("there is no such tensor")
    tensor = tensors.Tensor(
        "token_embd.weight", row["hash"], row["type"], tuple(row["shape"]), row["rows_per_tile"], row["bytes"]
    )
    if len(tensor.shape) != 2:
        raise errors.invalid_parameter("only a matrix has a map", f"the shape is {list(tensor.shape)}")
    values = tensors.decoded(tensor)
    if not np.isfinite(values).all():
        raise errors.invalid_parameter("the embedding holds numbers that are not finite", None, "It has no map.")
    found = projection.principal(values, interrupts.checkpoint)
    steps, units = projection.map_steps(found.components)
    explained = "{" + ",".join(map(repr, found.explained.tolist())) + "}"
    if STORE_PROJECTION.one(tensor_hash, explained, units) is None:
        return  # another session has stored it meanwhile
    keys = geometry.keys(steps)
    STORE_POSITIONS.all(tensor_hash, *(sql_literals.array(key) for key in keys), sql_literals.points(steps))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.atoms__token_map() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.atoms__token_map() IS
'The map of a model''s tokens: the stored projection of its token embedding.';

COMMIT;
