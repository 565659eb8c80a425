"""Hilbert curves in 2 to 8 dimensions, in bulk: coordinates to keys and back.

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
