"""F16: half precision, widened when loaded."""

from ...simd.memory import load
from ..floats import floats

layout = floats("f16", 3, "u16", load)
