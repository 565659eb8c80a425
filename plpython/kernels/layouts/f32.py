"""F32: float32 as they are."""

import numpy as np

from ...simd.memory import load
from ...simd.registers import inlined
from ..floats import floats


@inlined
def array_of(weights):
    return weights.f32


LAYOUT = floats("f32", 2, np.float32, array_of, load)
