"""For tests: call functions of compiled code from Python, run code for another processor, compare bits."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from numba import njit

from plpython.simd.registers import NJIT_OPTIONS

CHECKOUT = Path(__file__).resolve().parents[2]

# Targets for numba, processor and features, which this machine must have; each selects one variant of simd/processors.
BASE = "+sse2,+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt"
AVX2 = BASE + ",+avx,+avx2,+fma,+f16c,+bmi,+bmi2"
AVX512 = AVX2 + ",+avx512f,+avx512bw,+avx512dq,+avx512vl"
TARGETS = {
    "portable": ("x86-64", BASE),
    "avx2": ("x86-64-v3", AVX2),
    "avx512": ("x86-64-v4", AVX512),
    "avxvnni": ("x86-64-v4", AVX512 + ",+avx512vnni,+prefer-256-bit"),
    "avx512vnni": ("x86-64-v4", AVX512 + ",+avx512vnni"),
}


@functools.cache
def callable_from_python(function):
    """A function that only compiled code can call, as one that Python can call."""
    return njit(**NJIT_OPTIONS)(getattr(function, "py_func", function))


def targets_here():
    """The names of TARGETS whose features this machine has."""
    from llvmlite import binding

    here = {name for name, present in binding.get_host_cpu_features().items() if present} | {"prefer-256-bit"}
    return [name for name, (_, text) in TARGETS.items() if {part[1:] for part in text.split(",")} <= here]


def run_for(target, code, cache):
    """The output of a Python snippet in a process that compiles for a target."""
    cpu, features = TARGETS[target]
    environment = os.environ | {
        "NUMBA_CPU_NAME": cpu,
        "NUMBA_CPU_FEATURES": features,
        "NUMBA_CACHE_DIR": str(cache),
        "PYTHONPATH": str(CHECKOUT),
    }
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def same_bits(a, b):
    """Two arrays of float32 are equal in every bit."""
    np.testing.assert_array_equal(np.ascontiguousarray(a).view(np.uint32), np.ascontiguousarray(b).view(np.uint32))
