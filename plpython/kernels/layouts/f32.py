"""F32: plain float32."""

from ...simd.memory import load
from ..floats import floats

layout = floats("f32", 2, "f32", load)
