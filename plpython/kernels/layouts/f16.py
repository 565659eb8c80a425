"""F16: half precision, widened in the register."""

from ...simd.memory import load
from ..floats import floats

LAYOUT = floats("f16", 3, "u16", load)
