"""Numbers that are no numbers: weights, logits and embeddings that are infinite or NaN are refused, and named.

Weights are looked at where they come in, from a file, from a client or by an edit, at the speed of memory: see
encodings.Floats. What a model computes is looked at before anything is chosen from it, for numbers can also grow beyond
float32, and a table can be written by a superuser.
"""

import math

import numpy as np

from ..server import errors
from . import encodings
from .decoder import SMALLEST_DIVISOR, first_ill_divisor

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
ALWAYS_HELD = 65504.0  # the largest number of half precision: every type of encodings.ENCODED can hold no less
SEE_VERIFY = "SELECT * FROM llm.verify(model) tells whether its weights are those that were loaded."


def checked_blocks(name, type, columns, pieces, first_row=0):
    """encodings.whole_blocks of a tensor's rows, from number first_row on, each looked at before it is given.

    Raises ModelError 22023 that names the tensor and the first row with infinity or NaN.
    """
    blocks_of_row, before = columns // encodings.BLOCKS[type][0], 0
    for blocks in encodings.whole_blocks(type, pieces):
        if not math.isfinite(encodings.largest_bound(type, blocks)):
            raise not_finite(name, first_row + (before + encodings.first_not_finite(type, blocks)) // blocks_of_row)
        before += len(blocks)
        yield blocks


def check_rows(name, type, columns, pieces, first_row=0):
    """Look at all of them: raise what checked_blocks raises."""
    for _ in checked_blocks(name, type, columns, pieces, first_row):
        pass


def check_divisors(name, type, pieces):
    """Raise ModelError 22023 unless the numbers of a tensor by which rope divides are finite and above 0."""
    before = 0
    for blocks in encodings.whole_blocks(type, pieces):
        values = encodings.decode(type, blocks, (len(blocks), encodings.BLOCKS[type][0]))
        place = first_ill_divisor(values)
        if place is not None:
            raise errors.invalid_parameter(
                f'tensor "{name}" holds a number that rope cannot divide by',
                f"number {before + place}, counted from 0, is {values.reshape(-1)[place]:g}; "
                f"expected finite and at least {SMALLEST_DIVISOR:g}",
            )
        before += values.size


def encoded(name, type, values, rows):
    """(uint8[bytes], what they decode to) of f32[n, columns] in a type; rows: the number of the row of each of the n.

    Raises ModelError 22023 that names tensor and row where the type cannot hold a value: NaN, infinity, or what is too
    large, such as a number beyond 65504 in F16.
    """
    ill = _first_ill(values)
    if ill is not None:
        raise not_finite(name, rows[ill])
    with np.errstate(over="ignore", invalid="ignore"):  # what the type cannot hold is named below
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
    """Raise ModelError XX001 unless what an operator made of its input and a weight is all finite."""
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
    """The first of f32[n, columns] with infinity or NaN; None without."""
    ill = ~np.isfinite(values)
    return int(ill.any(axis=1).argmax()) if ill.any() else None
