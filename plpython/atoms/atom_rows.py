"""Stores rows of llm_store.atom, whole vocabularies at once: by COPY if all are new, else by INSERT of missing ones.

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
