"""Stores the atoms of a model: its bytes, tokens and weight codes as rows, and how often each occurs.

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
