"""Runs of atoms, for nearest-neighbour search: pieces of a vocabulary along the four-dimensional Hilbert curve.

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
