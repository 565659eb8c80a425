"""BF16: the upper 16 bits of a float32, widened when loaded."""

from ...simd.memory import load_bf16
from ..floats import floats

layout = floats("bf16", 4, "u16", load_bf16)
