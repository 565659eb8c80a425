"""The transformer's operators as loops over register blocks, for activations and packed weights in flat arrays.

Everything is a flat array and an index into it; `stride` is the distance between tokens. Widths are padded to
multiples of 16 with zeros, which every kernel keeps zero. The matrix products are in `matrix`, attention in
`attention`.
"""

import math
from collections import namedtuple

import numpy as np

from ..simd.memory import load, load_first, store, store_first
from ..simd.registers import (
    bits,
    compiled,
    f32,
    fill,
    fma,
    lane,
    lanes,
    larger_or_nan,
    ldexp,
    magnitude,
    max_lanes,
    max_lanes_or_nan,
    maximum,
    minimum,
    rint,
    sum_lanes,
    sum_lanes_i32,
    to_f32,
    to_i32,
    where_before,
    where_less,
)
from .dispatch import OFFSETS
from .groups import BLOCK, Codes

# Added to a small number it leaves the nearest whole number, ties to even, in the low bits: one addition for two steps.
ROUNDER = np.float32(1.5 * 2**23)
# exp2: x = n + r, a polynomial of least relative error, 2e-9, for 2^r
EXP2_LOWEST = np.float32(-126.0)
# exp: x = n ln 2 + r, the polynomial of Cephes' expf for e^r; largest relative error 2 units in the last place
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
SQRT_HALF = np.float32(math.sqrt(0.5))
EXP_LOWEST, EXP_HIGHEST = np.float32(-87.0), np.float32(88.0)
# What a layer norm ends with: an array, and where in it the weights begin and the bias.
Affine = namedtuple("Affine", "weights weights_at bias_at")
# likeliest: it looks for the largest number run by run
RUN = 1024
NO_TOKEN = -1
NOTHING = np.float32(-np.inf)


@compiled
def exp(x):
    """e^x in every lane; 0 below -87, where it is 1.6e-38, so that a masked score weighs nothing; above 88 e^88."""
    y = minimum(maximum(x, EXP_LOWEST), EXP_HIGHEST)
    n = rint(y * LOG2_E)
    r = fma(n, 0.0 - LN2_LOW, fma(n, 0.0 - LN2_HIGH, y))
    p = fma(fill(1.9875691500e-4, f32), r, 1.3981999507e-3)
    p = fma(p, r, 8.3334519073e-3)
    p = fma(p, r, 4.1665795894e-2)
    p = fma(p, r, 1.6666665459e-1)
    p = fma(p, r, 5.0000001201e-1)
    return where_less(x, EXP_LOWEST, 0.0, ldexp(fma(r * r, p, r) + 1.0, to_i32(n)))


@compiled
def exp2(x):
    """2^x in every lane, for x up to 127; 0 below -126, where it is 1.2e-38; NaN for infinity and NaN."""
    n = x + ROUNDER
    r = x - (n - ROUNDER)
    p = fma(fill(1.5345802e-4, f32), r, 1.3399932e-3)
    p = fma(p, r, 9.6184891e-3)
    p = fma(p, r, 5.5503286e-2)
    p = fma(p, r, 2.4022643e-1)
    p = fma(p, r, 6.9314718e-1)
    p = fma(p, r, 1.0)
    power = fma(x, 0.0, ldexp(p, bits(n)))  # ldexp makes a number of some NaNs; of a number, 0 changes nothing
    return where_less(x, EXP2_LOWEST, 0.0, power)


@compiled
def rms_norm(x, at, width, weights, weights_at, epsilon, out, out_at):
    """x / sqrt(mean(x^2) + epsilon) * weight for one vector of any width; `out` may be `x`."""
    squares = fill(0.0, f32)
    for i in range(0, width, 16):
        v = load_first(width - i, x, at + i)
        squares = fma(v, v, squares)
    mean = lane(sum_lanes(squares), 0) / np.float32(width)
    scale = np.float32(1.0) / np.float32(math.sqrt(mean + np.float32(epsilon)))
    for i in range(0, width, 16):
        v = load_first(width - i, x, at + i) * scale * load_first(width - i, weights, weights_at + i)
        store_first(width - i, out, out_at + i, v)


@compiled
def layer_norm(x, at, width, affine, epsilon, out, out_at):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias for one vector of any width; `out` may be `x`."""
    weights, weights_at, bias_at = affine
    total = fill(0.0, f32)
    for i in range(0, width, 16):
        total = total + load_first(width - i, x, at + i)
    mean = lane(sum_lanes(total), 0) / np.float32(width)
    squares = fill(0.0, f32)
    for i in range(0, width, 16):
        centered = where_before(lanes(), np.int32(width - i), load_first(width - i, x, at + i) - mean, 0.0)
        squares = fma(centered, centered, squares)
    variance = lane(sum_lanes(squares), 0) / np.float32(width)
    scale = np.float32(1.0) / np.float32(math.sqrt(variance + np.float32(epsilon)))
    for i in range(0, width, 16):
        centered = (load_first(width - i, x, at + i) - mean) * scale
        y = fma(centered, load_first(width - i, weights, weights_at + i), load_first(width - i, weights, bias_at + i))
        store_first(width - i, out, out_at + i, y)


@compiled
def largest_magnitude(x, at, width):
    """The largest |x| of a vector of any width, in every lane; NaN where one of its numbers is NaN."""
    largest = fill(0.0, f32)
    for i in range(0, width, 16):
        largest = larger_or_nan(largest, magnitude(load_first(width - i, x, at + i)))
    return max_lanes_or_nan(largest)


def new_codes(size):
    """Codes for so many numbers."""
    blocks = -(-size // BLOCK)
    starts = np.zeros(len(OFFSETS) * blocks, np.int32)
    return Codes(np.zeros(blocks * BLOCK, np.int8), np.zeros(blocks, np.float32), starts)


@compiled
def quantize_block(low, high, codes, block):
    """Quantise the two registers of a block as `quantize` says; what the codes leave of them.

    Codes cannot be infinite or NaN: the scale is, where a number of the block is.
    """
    largest = max_lanes_or_nan(larger_or_nan(magnitude(low), magnitude(high)))
    inverse = fill(127.0, f32) / maximum(1e-30, largest)
    low_codes, high_codes = to_i32(rint(low * inverse)), to_i32(rint(high * inverse))
    store(codes.codes, block * BLOCK, low_codes)
    store(codes.codes, block * BLOCK + 16, high_codes)
    total, scale = lane(sum_lanes_i32(low_codes + high_codes), 0), largest * np.float32(1 / 127)
    codes.scales[block] = lane(scale, 0)
    for number in range(len(OFFSETS)):
        codes.starts[number * len(codes.scales) + block] = -OFFSETS[number] * total
    return low - to_f32(low_codes) * scale, high - to_f32(high_codes) * scale


@compiled
def quantize(x, at, width, codes, first):
    """One vector in blocks of 32: int8 codes and a scale each, x = code * scale with an error below scale / 2.

    Its blocks are those from `first` on. The packed weights are unsigned, larger by their layout's offset. Where a
    block's dot product must start to make up for it, minus the offset times the sum of the codes, is the same for every
    row of the matrix, so it is here.
    """
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        quantize_block(low, high, codes, first + i)


@compiled
def quantize_twice(x, at, width, codes, first, low_first):
    """The same, and from another block on the codes of what those leave: together they hold 15 bits."""
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        low, high = quantize_block(low, high, codes, first + i)
        quantize_block(low, high, codes, low_first + i)


@compiled
def swiglu(gate, up, at, width):
    """up = silu(gate) * up in place, silu(g) = g / (1 + exp(-g)); the width a multiple of 16."""
    for i in range(at, at + width, 16):
        g = load(gate, i, f32)
        store(up, i, g / (exp(fill(0.0, f32) - g) + 1.0) * load(up, i, f32))


@compiled
def erf(x):
    """The error function in every lane: the rational approximation of Eigen, within 3 units in the last place of 1."""
    y = minimum(maximum(x, -4.0), 4.0)
    s = y * y
    p = fma(fill(-2.72614225801306e-10, f32), s, 2.77068142495902e-08)
    p = fma(p, s, -2.10102402082508e-06)
    p = fma(p, s, -5.69250639462346e-05)
    p = fma(p, s, -7.34990630326855e-04)
    p = fma(p, s, -2.95459980854025e-03)
    p = fma(p, s, -1.60960333262415e-02)
    q = fma(fill(-1.45660718464996e-05, f32), s, -2.13374055278905e-04)
    q = fma(q, s, -1.68282697438203e-03)
    q = fma(q, s, -7.37332916720468e-03)
    q = fma(q, s, -1.42647390514189e-02)
    return y * p / q


@compiled
def gelu(x, at, width):
    """x * (1 + erf(x / sqrt(2))) / 2 in place; the width a multiple of 16."""
    for i in range(at, at + width, 16):
        v = load(x, i, f32)
        store(x, i, v * 0.5 * (erf(v * SQRT_HALF) + 1.0))


@compiled
def likeliest(x, width):
    """The first place of the largest of x[0 .. width - 1]; NO_TOKEN when one of them is not a finite number."""
    whole, largest, place, odd = width // RUN * RUN, NOTHING, 0, fill(0.0, f32)
    for begin in range(0, whole, RUN):
        top = fill(NOTHING, f32)
        for i in range(begin, begin + RUN, 16):
            v = load(x, i, f32)
            top, odd = maximum(top, v), fma(v, 0.0, odd)
        top = lane(max_lanes(top), 0)
        if top > largest:
            largest, place = top, begin
    remainder = lane(sum_lanes(odd), 0)
    for i in range(whole, width):
        remainder += x[i] * np.float32(0.0)
        if x[i] > largest:
            largest, place = x[i], i
    if remainder != 0.0:  # NaN, which infinity times 0 is too
        return NO_TOKEN
    while x[place] != largest:
        place += 1
    return place


@compiled
def add(x, at, y, y_at, width):
    """x += y; the width a multiple of 16."""
    for i in range(0, width, 16):
        store(x, at + i, load(x, at + i, f32) + load(y, y_at + i, f32))


@compiled
def rope(x, at, head_dim, cosines, sines, angles_at, interleaved):
    """Rotate the pairs of one head in place, (2i, 2i + 1) or (i, i + head_dim / 2), by the angles of its position."""
    half = head_dim // 2
    step, distance = (2, 1) if interleaved else (1, half)
    for i in range(half):
        first, second = at + i * step, at + i * step + distance
        a, b, c, s = x[first], x[second], cosines[angles_at + i], sines[angles_at + i]
        x[first], x[second] = a * c - b * s, b * c + a * s
