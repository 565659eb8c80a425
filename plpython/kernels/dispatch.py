"""Which layouts there are, and the code of each part chosen by a matrix's layout.

A new layout is a file of `layouts` and its word here and in model/encodings.py.
"""

from ..simd.registers import inlined
from .groups import ABSENT, VECTOR
from .layouts import bf16, f16, f32, q4, q5, q8

MODULES = (f32, f16, bf16, q8, q4, q5)
LAYOUTS = tuple(module.LAYOUT for module in MODULES)
BY_NAME = {layout.name: layout for layout in LAYOUTS}
BY_NUMBER = {layout.number: layout for layout in LAYOUTS}
NAMES = {ABSENT: "absent", VECTOR: "vector", **{layout.number: layout.name for layout in LAYOUTS}}
# What the layouts of blocks are larger by, in the order of their numbers from FIRST_OF_BLOCKS on.
OFFSETS = tuple(layout.offset for layout in sorted(LAYOUTS, key=lambda layout: layout.number) if layout.offset)


def chosen(part):
    """A part for compiled code to call with any layout: (the number of a layout, the part's argument).

    It chooses among LAYOUTS alone; PackedModel.entry lets no other through. It is one flat function, written here:
    numba copies what is nested anew at each depth.
    """
    *others, last = LAYOUTS
    lines = [f"    if layout == {layout.number}: return {layout.name}(argument)" for layout in others]
    source = "\n".join(["def choose(layout, argument):", *lines, f"    return {last.name}(argument)"])
    names = {layout.name: getattr(layout, part) for layout in LAYOUTS}
    exec(source, names)
    return inlined(names["choose"])
