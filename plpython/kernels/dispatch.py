"""Which layouts there are, and the table of their kernels, from which compiled code takes the one that it calls.

A new layout is a file of `layouts` and its word here and in model/encodings.py.
"""

import numpy as np

from ..simd.registers import compiled
from .groups import ABSENT, KERNELS, VECTOR
from .layouts import bf16, f16, f32, q4, q5, q8

MODULES = (f32, f16, bf16, q8, q4, q5)
LAYOUTS = tuple(module.LAYOUT for module in MODULES)
BY_NAME = {layout.name: layout for layout in LAYOUTS}
BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
NAMES = {ABSENT: "absent", VECTOR: "vector", **{layout.number: layout.name for layout in LAYOUTS}}
# What the layouts of blocks are larger by, in the order of their numbers from FIRST_OF_BLOCKS on.
OFFSETS = tuple(layout.offset for layout in sorted(LAYOUTS, key=lambda layout: layout.number) if layout.offset)


# The addresses of the layouts' kernels, int64: those of layout number n begin at n * len(KERNELS), in the order of
# KERNELS. They are 0 until `load`.
ADDRESSES = np.zeros((max(BY_NUMBER) + 1) * len(KERNELS), np.int64)
PRODUCT_OF, ROW_OF, SQUARES_OF = range(len(KERNELS))


def load(number):
    """Have the kernels of a layout in ADDRESSES; they are compiled where they are not yet."""
    first = number * len(KERNELS)
    if number in BY_NUMBER and not ADDRESSES[first]:
        kernels = BY_NUMBER[number].kernels
        ADDRESSES[first : first + len(KERNELS)] = [kernels[part].address() for part in KERNELS]


def _group_bytes():
    """For compiled code: (the number of a layout, columns) -> bytes of a group. It is a choice among LAYOUTS."""
    *others, last = LAYOUTS
    lines = [f"    if layout == {layout.number}: return {layout.name}(columns)" for layout in others]
    source = "\n".join(["def group_bytes(layout, columns):", *lines, f"    return {last.name}(columns)"])
    names = {"__name__": __name__} | {layout.name: layout.group_bytes for layout in LAYOUTS}
    exec(source, names)
    return compiled(names["group_bytes"])


group_bytes = _group_bytes()
