"""F32: float32 as they are."""

from ...simd.memory import load
from ..floats import floats

LAYOUT = floats("f32", 2, "f32", load)
