"""BF16: the upper halves of float32, widened in the register."""

import numpy as np

from ...simd.memory import load_bf16
from ...simd.registers import inlined
from ..floats import floats


@inlined
def array_of(weights):
    return weights.u16


LAYOUT = floats("bf16", 4, np.uint16, array_of, load_bf16)
