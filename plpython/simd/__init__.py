"""A small SIMD vocabulary for numba, and threads inside one compiled call."""
