"""Refuses infinity and NaN in weights, logits and embeddings, with an error that says where.

Weights are checked when they come in: from a file, from a client or by an edit, at the speed of memory (see
encodings.Floats). Computed numbers are checked too, because they can overflow float32, and because a superuser can
write to the tables.
"""

import math

import numpy as np

from ..server import errors
from . import encodings
from .decoder import SMALLEST_DIVISOR, first_ill_divisor

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
ALWAYS_HELD = 65504.0  # the largest number of half precision: every type of encodings.ENCODED can hold it
SEE_VERIFY = "SELECT * FROM llm.verify(model) tells whether its weights are those that were loaded."


def checked_blocks(name, type, columns, pieces, first_row=0):
    """encodings.whole_blocks of a tensor's rows, from number first_row on, each checked before it is yielded.

    Raises ModelError 22023 that names the tensor and the first row with infinity or NaN.
    """
    blocks_of_row, before = columns // encodings.BLOCKS[type][0], 0
    for blocks in encodings.whole_blocks(type, pieces):
        if not math.isfinite(encodings.largest_bound(type, blocks)):
            raise not_finite(name, first_row + (before + encodings.first_not_finite(type, blocks)) // blocks_of_row)
        before += len(blocks)
        yield blocks


def check_rows(name, type, columns, pieces, first_row=0):
    """Check all blocks: raises the errors of checked_blocks."""
    for _ in checked_blocks(name, type, columns, pieces, first_row):
        pass


def check_divisors(name, type, pieces):
    """Raise ModelError 22023 unless all divisors of rope in a tensor are finite and above 0."""
    before = 0
    for blocks in encodings.whole_blocks(type, pieces):
        values = encodings.decode(type, blocks, (len(blocks), encodings.BLOCKS[type][0]))
        index = first_ill_divisor(values)
        if index is not None:
            raise errors.invalid_parameter(
                f'tensor "{name}" holds a number that rope cannot divide by',
                f"number {before + index}, counted from 0, is {values.reshape(-1)[index]:g}; "
                f"expected finite and at least {SMALLEST_DIVISOR:g}",
            )
        before += values.size


def encoded(name, type, values, rows):
    """(uint8[bytes], the decoded values) of f32[n, columns] in a type. rows: the row number of each of the n.

    Raises ModelError 22023 with tensor and row if the type cannot hold a value: NaN, infinity, or a number that is too
    large, such as one above 65504 in F16.
    """
    ill = _first_ill(values)
    if ill is not None:
        raise not_finite(name, rows[ill])
    with np.errstate(over="ignore", invalid="ignore"):  # the check below names what the type cannot hold
        raw = encodings.encode(type, values)
        stored = encodings.decode(type, raw, values.shape)
    ill = _first_ill(stored)
    if ill is not None:
        raise errors.invalid_parameter(
            f'tensor "{name}" is {type}, which cannot hold the values of row {rows[ill]}',
            f"the largest is {float(np.abs(values[ill]).max()):g}",
            "Copy the model into a wider type first: SELECT llm.quantize(model, new, 'F32').",
        )
    return raw, stored


def check_logits(logits, position, model=None):
    """Raise ModelError XX001 unless f32[vocabulary] are all finite; position: of the token that they are for."""
    _check_computed("the logits are not finite", logits, f"for position {position}", model)


def check_embedding(vector, model=None):
    """Raise ModelError XX001 unless all numbers of an embedding are finite."""
    _check_computed("the embedding is not finite", vector, "for the text", model)


def check_result(x, weight, model=None):
    """Raise ModelError XX001 unless the result of an operator with a weight is all finite."""
    _check_computed(f'the result of "{weight}" is not finite', x, "from what it was given", model)


def not_finite(name, row):
    """The ModelError of a tensor with infinity or NaN in a row, counted from 0."""
    return errors.invalid_parameter(
        f'tensor "{name}" holds NaN or infinity in row {row}',
        "a weight must be a finite number; rows are counted from 0",
    )


def _check_computed(message, x, what, model):
    low, high = float(x.min()), float(x.max())  # NaN where one number is
    if not (math.isfinite(low) and math.isfinite(high)):
        computes = "the model" if model is None else f'model "{model}"'
        raise errors.corrupt_data(message, f"{computes} computes numbers from {low} to {high} {what}", SEE_VERIFY)


def _first_ill(values):
    """The first row of f32[n, columns] with infinity or NaN; None if there is none."""
    ill = ~np.isfinite(values)
    return int(ill.any(axis=1).argmax()) if ill.any() else None
