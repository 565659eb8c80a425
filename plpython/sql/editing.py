"""Models as data: forks, edits of weights, copies in another encoding.

Everything is rows in the caller's transaction. Tensors are immutable and stored by content. An edit stores the tiles
that differ and points the model's row at the new tensor. So a fork is a few hundred small rows, other sessions see the
old weights until COMMIT, and ROLLBACK undoes an edit. Edits of one model wait for each other; readers never wait.

An edit keeps a tensor's type and shape, so the model's files can still be exported, with the edited tensors in them. A
merged or quantised model never was a file.
"""

import math
import re

import numpy as np

from ..model import mixes
from ..model.finite import LARGEST_FLOAT32
from ..server import arguments, database, errors
from ..store import models, tensor_writer

COPY_TENSORS = database.Query(
    """INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
    SELECT $2, mt.ordinal, mt.name, mt.tensor_hash FROM llm_store.model_tensor AS mt WHERE mt.model_id = $1""",
    *("integer", "integer"),
)
COPY_FILES = database.Query(
    """INSERT INTO llm_store.file_segment (model_id, path, ordinal, tensor_name, tile_hash)
    SELECT $2, f.path, f.ordinal, f.tensor_name, f.tile_hash FROM llm_store.file_segment AS f WHERE f.model_id = $1""",
    *("integer", "integer"),
)


def fork(model, new):
    """The id of a copy of a model that shares every tensor and file."""
    source = models.found(model)
    copy = models.new_model(source, new)
    COPY_TENSORS.all(source["id"], copy)
    COPY_FILES.all(source["id"], copy)
    models.finish(copy, "fork", {}, [model], source["hash"])
    return copy


def set_tensor(model, tensor, numbers):
    """Replace a tensor's values (little-endian f32 in its shape). Returns the largest rounding error."""
    target, stored = _editable(model, tensor)
    values = models.floats("numbers", numbers, math.prod(stored.shape)).reshape(-1, stored.shape[-1])
    hash, error = tensor_writer.rewrite(stored, lambda old, first: values[first : first + len(old)])
    models.change_tensors(target, "set_tensor", {"tensor": tensor, "error": error}, {tensor: hash})
    return error


def set_row(model, tensor, row_number, numbers):
    """Replace one row of a tensor, from 0 (little-endian f32). Returns the largest rounding error."""
    target, stored = _editable(model, tensor)
    row_number = arguments.integer("row_number", row_number, None, 0, math.prod(stored.shape[:-1]) - 1)
    values = models.floats("numbers", numbers, stored.shape[-1])
    hash, error = tensor_writer.replace_row(stored, row_number, values)
    details = {"tensor": tensor, "row_number": row_number, "error": error}
    models.change_tensors(target, "set_row", details, {tensor: hash})
    return error


def scale_tensor(model, tensor, factor):
    """Multiply a tensor by a number. Returns the largest rounding error."""
    target, stored = _editable(model, tensor)
    factor = models.number("factor", factor, -LARGEST_FLOAT32, LARGEST_FLOAT32)
    with np.errstate(over="ignore"):  # encoding refuses the infinity of an overflow
        hash, error = tensor_writer.rewrite(stored, lambda old, _: old * np.float32(factor))
    details = {"tensor": tensor, "factor": factor, "error": error}
    models.change_tensors(target, "scale_tensor", details, {tensor: hash})
    return error


def prune(model, threshold, tensors):
    """Set weights below a magnitude to 0 in matrices whose names are LIKE `tensors`. Returns how many became 0."""
    threshold = models.number("threshold", threshold, 0.0, LARGEST_FLOAT32)
    if tensors is None:
        raise arguments.ill("tensors", tensors, "a pattern as LIKE has it")
    target = models.owned(model)
    pattern = _like(tensors)
    chosen = [t for t in models.tensors(target).values() if len(t.shape) > 1 and pattern.fullmatch(t.name)]
    if not chosen:
        raise errors.undefined_object(
            f'no matrix of model "{model}" has a name LIKE "{tensors}"', hint=models.SEE_TENSORS
        )
    for stored in chosen:
        models.check_encodable(target, stored)
    zeroed = 0

    def without_small(old, _):
        nonlocal zeroed
        small = (np.abs(old) < threshold) & (old != 0)
        zeroed += int(small.sum())
        return np.where(small, np.float32(0), old)

    hashes = {stored.name: tensor_writer.rewrite(stored, without_small)[0] for stored in chosen}
    details = {"threshold": threshold, "tensors": tensors, "zeroed": zeroed}
    models.change_tensors(target, "prune", details, hashes)
    return zeroed


def quantize(model, new, type):
    """A copy of a model whose matrices have the encodings of mixes.types. Returns the largest rounding error."""
    source = models.found(model)
    if type is None or type.upper() not in mixes.NAMES:
        raise arguments.ill("type", type, f"one of {', '.join(mixes.NAMES)}")
    type = type.upper()
    copy = models.new_model(source, new)
    stored = models.tensors(source)
    wanted = mixes.types(type, {name: tensor.shape for name, tensor in stored.items()})
    hashes, largest = {}, 0.0
    for name, tensor in stored.items():
        if wanted[name] in (None, tensor.type):
            hashes[name] = tensor.hash
            continue
        hashes[name], error = tensor_writer.convert(tensor, wanted[name])
        largest = max(largest, error)
    models.add_tensors(copy, hashes)
    models.finish(copy, "quantize", {"type": type, "error": largest}, [model], source["hash"])
    return largest


def _editable(model, tensor):
    """(row of the model, Tensor) of a tensor that the caller may change and that can be written."""
    target = models.owned(model)
    stored = models.tensor_of(target, tensor)
    models.check_encodable(target, stored)
    return target, stored


def _like(pattern):
    """A LIKE pattern as a regular expression: % is any text, _ one character, a backslash takes the next literally."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
