"""Rows of stored tensors as numbers, for llm.weight_matrices, llm.token_embeddings and their functions.

A row is read as a slice of its tile, through the view llm_store.tensor_row and with the caller's rights. The hash
covers the whole tile, so a single row is not checked; llm.matrix, which reads all tiles, does check them.
"""

import functools

import numpy as np

from ..atoms import geometry, sql_literals
from ..model import encodings
from ..server import arguments, database, errors
from ..session import models
from ..store import tokens
from ..store.models import SEE_TENSORS
from ..weights import tensors

EMBEDDING = "token_embd.weight"
MOST_VALUE_BYTES = (1 << 30) - 1024  # of a value in PostgreSQL, less its header

# By the tensor's hash, not by the model's name: models that share a tensor share its rows.
STORED_ROW = database.Query(
    """SELECT r.type, r.content FROM llm_store.tensor_row AS r
    WHERE r.tensor_hash = $1 AND r.row_number = $2 LIMIT 1""",
    *("bytea", "integer"),
)


def decoded(type, content):
    """A stored row, bytes in a type's encoding -> little-endian float32 as bytes."""
    return encodings.decode(type, content, (_columns(type, content),)).tobytes()


def decoded_array(type, content):
    """A stored row as the text of a real[], exactly."""
    return sql_literals.reals(encodings.decode(type, content, (_columns(type, content),)))


def atom_keys(type, content, plane):
    """The Hilbert key of each number's weight atom in one plane (0: xy, 1: yz, 2: zm), as the text of a bigint[].

    None for a type whose codes are not atoms.
    """
    if type not in geometry.CODES:
        return None
    return _array(_keys_by_code(type)[plane][geometry.codes_in_order(type, content)])


def weight(matrix, row, column, model=None):
    """One number of a tensor; None for NULL. A vector is one row. Raises ModelError 42704 and 22023."""
    if matrix is None or row is None or column is None:
        return None
    model = models.current(model)
    tensor = stored_tensor(model, matrix)
    rows = 1 if len(tensor.shape) == 1 else tensor.shape[0]
    row = arguments.integer("row_idx", row, None, 0, rows - 1)
    column = arguments.integer("col_idx", column, None, 0, tensor.shape[-1] - 1)
    return float(row_numbers(tensor, row)[column])


def matrix(name, model=None):
    """All numbers of a tensor, row after row, as bytes of little-endian float32, from tiles whose hashes are checked.

    Raises ModelError 42704 for an unknown tensor, 53400 for one that a value of PostgreSQL cannot hold, XX001 for wrong
    bytes.
    """
    if name is None:
        return None
    model = models.current(model)
    shape = stored_tensor(model, name).shape
    size = 4 * int(np.prod(shape))
    if size > MOST_VALUE_BYTES:
        raise errors.limit_exceeded(
            f'tensor "{name}" does not fit in one value',
            f"its {' x '.join(map(str, shape))} numbers take {size} bytes, a value holds {MOST_VALUE_BYTES}",
            "llm.weight_matrices has it by rows and columns.",
        )
    return model.weights[name].tobytes()


def embedding(token, model=None):
    """The row of one token of the token embedding, as bytes of little-endian float32. token: an id, or a text."""
    if token is None:
        return None
    model = models.current(model)
    return row_numbers(stored_tensor(model, EMBEDDING), tokens.token_id(model, token)).tobytes()


def row_numbers(tensor, row):
    """A row of a tensor -> f32[columns]. Raises ModelError 42704 when no model has the tensor any more, XX001 for a row
    whose tile is missing."""
    found = STORED_ROW.one(tensor.hash, row)
    if found is None:
        raise errors.undefined_object(f'tensor "{tensor.name}" was changed by another session', hint="Try again.")
    if found["content"] is None:
        raise tensors.corrupt(tensor, f"the tile of row {row} is missing")
    return encodings.decode(found["type"], found["content"], (_columns(found["type"], found["content"]),))


def stored_tensor(model, name):
    """The Tensor of a model by its name. ModelError 42704 if the model has none of that name."""
    if arguments.name("tensor", name) not in model.weights:
        shown = arguments.shown_name(name)
        raise errors.undefined_object(f'model "{model.name}" has no tensor "{shown}"', hint=SEE_TENSORS)
    return model.weights.tensor(name)


def _array(texts):
    return f"{{{','.join(texts)}}}"


def _columns(type, content):
    encodings.row_bytes(type, 0)  # raises for a type that is not known
    elements, size = encodings.BLOCKS[type]
    return len(content) // size * elements


@functools.cache
def _keys_by_code(type):
    """Keys of all codes of an encoding, as text: str[3, codes]."""
    keys = geometry.keys(geometry.code_points(type, np.arange(1 << geometry.CODES[type].codes.bits)))
    return [np.array([str(key) for key in plane], object) for plane in keys]
