"""F16: half precision, widened in the register."""

import numpy as np

from ...simd.memory import load
from ...simd.registers import inlined
from ..floats import floats


@inlined
def array_of(weights):
    return weights.u16


LAYOUT = floats("f16", 3, np.uint16, array_of, load)
