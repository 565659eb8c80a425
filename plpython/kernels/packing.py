"""Packs tensors for the kernels: vectors as float32, matrices in the layout of their type.

    types with a layout (model/encodings.py)    exact
    all other types                             F16: weights are rounded to half precision, with an error of at most
                                                2^-11 of their size or 2^-25, and clipped at 65,504

Packing is a pure function of type, shape and bytes: equal tensors pack to equal bytes.
"""

import numpy as np

from ..model import encodings
from ..server import errors
from ..simd.kernels import caller
from ..simd.registers import entry
from .dispatch import LAYOUT_BY_NAME, LAYOUT_BY_NUMBER, PACKER_OF, load
from .groups import GROUP, PACK_STRUCT, VECTOR, Pack, group_count

ROUNDED = LAYOUT_BY_NAME["f16"]
LAYOUT_OF = {
    e.name: LAYOUT_BY_NAME[e.layout].number for e in encodings.ENCODINGS if e.layout
}  # {type: layout number}, exact

LARGEST_HALF = np.float32(65504)
TRIAL_COLUMNS = 256  # columns of a matrix of any encoding: a multiple of all block sizes
_prepared = set()  # types

_pack = caller(PACK_STRUCT)


@entry
def call(address, raw, columns, first_row, out):
    """Call the kernel at the address; see groups.Pack."""
    _pack(address, Pack(raw, columns, first_row, out))


def is_prepared(type):
    """Whether `prepare` has been called with the type in this process."""
    return type in _prepared


def prepare(type):
    """Compile what packs the matrices of a type and what computes with them; load it, if that has been done before."""
    shape = 1, TRIAL_COLUMNS
    load(layout_of(type, shape))
    pack_tensor(bytes(encodings.row_bytes(type, TRIAL_COLUMNS)), type, shape)
    _prepared.add(type)


def layout_of(type, shape):
    """The layout number of a tensor.

    Raises ModelError 0A000 for an unknown type, or a shape of other than one or two dimensions.
    """
    encodings.row_bytes(type, shape[-1] if shape else 1)
    if len(shape) not in (1, 2):
        raise errors.not_supported(f"a tensor of {len(shape)} dimensions cannot be packed", f"its shape is {shape}")
    return VECTOR if len(shape) == 1 else LAYOUT_OF.get(type, ROUNDED.number)


def is_searchable(type):
    """Whether similarity.PackedTable can search matrices of a type: they are exact, and their blocks have no minima.

    With minima a row can be the small difference of large parts, so its length does not bound the error of a product.
    """
    return type in LAYOUT_OF and not LAYOUT_BY_NUMBER[LAYOUT_OF[type]].minima


def packed_bytes(type, shape):
    """The bytes of a packed tensor."""
    return layout_bytes(layout_of(type, shape), 1 if len(shape) == 1 else shape[0], shape[-1])


def layout_bytes(layout, rows, columns):
    """The bytes of a packed matrix in the layout of that number; a vector is one row."""
    if layout == VECTOR:
        return group_count(columns) * GROUP * 4
    return group_count(rows) * LAYOUT_BY_NUMBER[layout].group_bytes(columns)


def pack_tensor(raw, type, shape):
    """Pack a tensor: its bytes in the file (uint8 array or buffer) -> uint8[packed_bytes].

    Raises ModelError XX001 if the number of bytes is not that of type and shape.
    """
    out = np.zeros(packed_bytes(type, shape), np.uint8)
    pack_rows(raw, type, shape, 0, out)
    return out


def pack_rows(raw, type, shape, first_row, out):
    """Pack consecutive rows of a tensor, the first of which is row `first_row`.

    raw: their bytes in the file. out: the whole packed tensor, uint8[packed_bytes], zeroed before the first call. So a
    tensor can be packed tile by tile, with checkpoints in between; multiples of 16 rows are fastest. A vector is one
    row. Raises ModelError XX001 for bytes that are not whole rows, or rows beyond the tensor's last.
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
    elif type in PACKER_OF:
        PACKER_OF[type].pack(raw, columns, first_row, out)
    else:
        exact = raw if type in LAYOUT_OF else _rounded(encodings.decode(type, raw, (rows, columns)))
        call(LAYOUT_BY_NUMBER[layout].kernels["pack"].address(), exact, columns, first_row, out)


def _rounded(values):
    """Values as half precision, as uint8. Finite values are clipped to the largest half; infinity stays infinity."""
    near = np.clip(values, -LARGEST_HALF, LARGEST_HALF)
    return np.where(np.isinf(values), values, near).astype(np.float16).reshape(-1).view(np.uint8)
