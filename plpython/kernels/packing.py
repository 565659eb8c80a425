"""Tensors as the kernels read them: vectors as f32, matrices in the layout that their type has.

What each type of a file becomes, and the error of a weight against what the type's decoder gives:

    a layout of its own (model/encodings.py)    exact; IQ4_NL in Q8's: its values are integers of 8 bits
    every other type                            F16, rounded to half precision: 2^-11 of its size, at least 2^-25;
                                                clipped at 65,504

Packing is a pure function of type, shape and bytes: equal tensors pack to equal bytes.
"""

import numpy as np

from ..model import encodings
from ..server import errors
from .dispatch import BY_NAME, BY_NUMBER
from .groups import GROUP, VECTOR, group_count

ROUNDED = BY_NAME["f16"]
LAYOUT_OF = {e.name: BY_NAME[e.layout].number for e in encodings.ENCODINGS if e.layout}  # of types that stay exact

# IQ4_NL: the sixteen values that its 4 bits stand for
IQ4_NL_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8)
LARGEST_HALF = np.float32(65504)


def layout_of(type, shape):
    """The number of a tensor's layout.

    ModelError 0A000 for a type that is not known or a shape that is no vector or matrix.
    """
    encodings.row_bytes(type, shape[-1] if shape else 1)
    if len(shape) not in (1, 2):
        raise errors.not_supported(f"a tensor of {len(shape)} dimensions cannot be packed", f"its shape is {shape}")
    return VECTOR if len(shape) == 1 else LAYOUT_OF.get(type, ROUNDED.number)


def packed_bytes(type, shape):
    """How many bytes `pack_tensor` makes of a tensor."""
    return layout_bytes(layout_of(type, shape), 1 if len(shape) == 1 else shape[0], shape[-1])


def layout_bytes(layout, rows, columns):
    """How many bytes a matrix takes in the layout of that number; a vector is one row."""
    if layout == VECTOR:
        return group_count(columns) * GROUP * 4
    return group_count(rows) * BY_NUMBER[layout].group_bytes(columns)


def pack_tensor(raw, type, shape):
    """The packed bytes of a tensor: its bytes in the file (uint8 array or buffer) -> uint8[packed_bytes].

    Raises ModelError XX001 when the bytes are not as many as type and shape need.
    """
    out = np.zeros(packed_bytes(type, shape), np.uint8)
    pack_rows(raw, type, shape, 0, out)
    return out


def pack_rows(raw, type, shape, first_row, out):
    """Pack some rows of a tensor, from `first_row` on, into their places in `out`, the zeroed uint8[packed_bytes].

    So a tensor can be packed tile by tile, and the caller can look for an interrupt between tiles. Multiples of 16
    rows are fastest. A vector is one row.
    """
    raw = np.frombuffer(raw, np.uint8)
    layout, columns = layout_of(type, shape), shape[-1]
    row_bytes = encodings.row_bytes(type, columns)
    rows = raw.size // row_bytes
    if raw.size != rows * row_bytes or first_row + rows > (1 if layout == VECTOR else shape[0]):
        raise errors.corrupt_data(
            f"{raw.size} bytes are not rows of a {type} tensor",
            f"a row takes {row_bytes} bytes, the shape is {list(shape)}, the first row {first_row}",
        )
    if rows == 0:
        return
    if layout == VECTOR:
        out.view(np.float32)[:columns] = encodings.decode(type, raw, (columns,))
    else:
        BY_NUMBER[layout].pack(_as_its_layout(raw, type, (rows, columns)), columns, first_row, out)


def _as_its_layout(raw, type, shape):
    """Rows of a type as rows of the type that its layout packs."""
    if type == "IQ4_NL":
        return _iq4_nl_as_q8_0(raw)
    return raw if type in LAYOUT_OF else _rounded(encodings.decode(type, raw, shape))


def _rounded(values):
    """Half precision, as uint8. What is too large is the largest number of it, but infinity must not pass for one."""
    near = np.clip(values, -LARGEST_HALF, LARGEST_HALF)
    return np.where(np.isinf(values), values, near).astype(np.float16).reshape(-1).view(np.uint8)


def _iq4_nl_as_q8_0(raw):
    """f16 scale, 32 x 4 bits -> f16 scale, int8."""
    blocks = raw.reshape(-1, 18)
    values = IQ4_NL_VALUES[np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)]
    return np.concatenate([blocks[:, :2], values.view(np.uint8)], axis=1).reshape(-1)
