"""Models as rows, for functions that edit and derive models: finds, creates, changes and records them.

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
