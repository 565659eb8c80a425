"""The map of a model's tokens: the stored projection of its token embedding.

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
