"""The list of layouts, and the table of their kernels' addresses, through which compiled code calls them.

To add a layout, write its file in `layouts`, and add its name here and in model/encodings.py.
"""

import numpy as np

from ..simd.registers import compiled
from .groups import ABSENT, KERNELS, VECTOR
from .layouts import (
    bf16,
    f16,
    f32,
    iq1,
    iq2,
    iq3s,
    iq3xxs,
    iq4,
    iq4xs,
    mxfp4,
    q2k,
    q3k,
    q4,
    q4_1,
    q4k,
    q5,
    q5_1,
    q5k,
    q6k,
    q8,
)

LAYOUT_MODULES = (
    *(f32, f16, bf16),
    *(q8, q4, q5, q4_1, q5_1, iq4, mxfp4),
    *(q4k, q5k, q6k, iq4xs, q3k, q2k, iq2, iq1, iq3s, iq3xxs),
)
LAYOUTS = tuple(module.layout for module in LAYOUT_MODULES)
PACKER_OF = {
    type: packer for module in LAYOUT_MODULES for type, packer in getattr(module, "PACKERS", {}).items()
}  # see kernels/packers
LAYOUT_BY_NAME = {layout.name: layout for layout in LAYOUTS}
LAYOUT_BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
LAYOUT_NAMES = {ABSENT: "absent", VECTOR: "vector", **{layout.number: layout.name for layout in LAYOUTS}}

# The kernels' addresses, int64. Those of layout number n are at n * len(KERNELS), in the order of KERNELS; 0 until
# `load` is called with n.
ADDRESSES = np.zeros((max(LAYOUT_BY_NUMBER) + 1) * len(KERNELS), np.int64)


def load(number):
    """Put the addresses of a layout's kernels into ADDRESSES. Compiles them if that has not been done."""
    first = number * len(KERNELS)
    if number in LAYOUT_BY_NUMBER and not ADDRESSES[first]:
        kernels = LAYOUT_BY_NUMBER[number].kernels
        ADDRESSES[first : first + len(KERNELS)] = [
            kernels[part].address() if part in kernels else 0 for part in KERNELS
        ]


def _group_bytes():
    """Write and compile group_bytes(layout number, columns) -> bytes of a group: a chain of ifs over LAYOUTS."""
    *others, last = LAYOUTS
    lines = [f"    if layout == {layout.number}: return {layout.name}(columns)" for layout in others]
    source = "\n".join(["def group_bytes(layout, columns):", *lines, f"    return {last.name}(columns)"])
    names = {"__name__": __name__} | {layout.name: layout.group_bytes for layout in LAYOUTS}
    exec(source, names)
    return compiled(names["group_bytes"])


group_bytes = _group_bytes()
