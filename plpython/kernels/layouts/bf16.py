"""BF16: the upper halves of float32, widened in the register."""

from ...simd.memory import load_bf16
from ..floats import floats

LAYOUT = floats("bf16", 4, "u16", load_bf16)
