"""The transformer's operators except matrix products (`matrix`) and attention (`attention`).

A vector is a flat float32 array and an index into it (`at`). Widths are padded to multiples of 16 with zeros; every
function here keeps the padding zero.
"""

import math
from collections import namedtuple

import numpy as np

from ..generate.candidates import LN2_HIGH, LN2_LOW, LOG2_E
from ..model.encodings import BLOCK
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
from .groups import HALF_OFFSET, OFFSETS, START_ARRAYS, Codes

# x + ROUNDER has the integer nearest to x, ties to even, in its low bits: rounding and conversion in one addition.
ROUNDER = np.float32(1.5 * 2**23)
EXP2_LOWEST = np.float32(-126.0)  # exp2 gives 0 below this
EXP_LOWEST, EXP_HIGHEST = np.float32(-87.0), np.float32(88.0)  # exp gives 0 below, e^88 above
SQRT_HALF = np.float32(math.sqrt(0.5))
# The weights and the bias of a layer norm: an array, and where each begins in it.
Affine = namedtuple("Affine", "weights weights_at bias_at")
FINE_BLOCKS = 8  # blocks that share the scale of their fine codes: those of a superblock
LARGEST_FINE = np.float32(32767)
ARGMAX_RUN = 1024  # argmax takes the maximum of so many numbers at a time
NO_TOKEN = -1  # argmax of numbers that are not all finite
MINUS_INFINITY = np.float32(-np.inf)


@compiled
def exp(x):
    """e^x in every lane, within 2 units in the last place; 0 below -87, where e^x is 1.6e-38; above 88 it is e^88.

    x = n ln 2 + r, and e^r is the polynomial of Cephes' expf.
    """
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
    """2^x in every lane, for x up to 127; 0 below -126, where 2^x is 1.2e-38; NaN for infinity and NaN.

    x = n + r, and 2^r is a minimax polynomial with a relative error of 2e-9.
    """
    n = x + ROUNDER
    r = x - (n - ROUNDER)
    p = fma(fill(1.5345802e-4, f32), r, 1.3399932e-3)
    p = fma(p, r, 9.6184891e-3)
    p = fma(p, r, 5.5503286e-2)
    p = fma(p, r, 2.4022643e-1)
    p = fma(p, r, 6.9314718e-1)
    p = fma(p, r, 1.0)
    power = fma(x, 0.0, ldexp(p, bits(n)))  # ldexp turns some NaNs into numbers; adding x * 0 makes them NaN again
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
    """Zeroed Codes for `size` numbers."""
    blocks = -(-size // BLOCK)
    codes, scales = np.zeros(blocks * BLOCK, np.int8), np.zeros(blocks, np.float32)
    starts = np.zeros(START_ARRAYS * blocks, np.int32)
    return Codes(codes, scales, starts, np.zeros(2 * blocks, np.float32), np.zeros(3 * blocks, np.int16))


@compiled
def quantize_block(low, high, codes, block):
    """Quantise the two registers of a block into block number `block`; returns x - code * scale of both.

    If a number is infinite or NaN, so is the scale: codes cannot be.
    """
    largest = max_lanes_or_nan(larger_or_nan(magnitude(low), magnitude(high)))
    inverse = fill(127.0, f32) / maximum(1e-30, largest)
    low_codes, high_codes = to_i32(rint(low * inverse)), to_i32(rint(high * inverse))
    store(codes.codes, block * BLOCK, low_codes)
    store(codes.codes, block * BLOCK + 16, high_codes)
    scale = largest * np.float32(1 / 127)
    _store_sums(codes, block, lane(sum_lanes_i32(low_codes), 0), lane(sum_lanes_i32(high_codes), 0), lane(scale, 0))
    return low - to_f32(low_codes) * scale, high - to_f32(high_codes) * scale


@compiled
def _store_sums(codes, block, low, high, scale):
    """Store all of a block's Codes that follow from its scale and the sums of the codes of its halves."""
    blocks, total = len(codes.scales), low + high
    codes.scales[block] = scale
    codes.sums[block] = scale * np.float32(total)
    for number in range(len(OFFSETS)):
        codes.starts[number * blocks + block] = -OFFSETS[number] * total
    halves = len(OFFSETS) * blocks + 2 * block
    codes.starts[halves], codes.starts[halves + 1] = -HALF_OFFSET * low, -HALF_OFFSET * high
    codes.fine[blocks + 2 * block], codes.fine[blocks + 2 * block + 1] = low, high


@compiled
def _store_fine(codes, block):
    """Store the fine codes of eight blocks, whose Codes are stored otherwise."""
    sums = where_before(lanes(), FINE_BLOCKS, load(codes.sums, block, f32), 0.0)
    largest = max_lanes_or_nan(magnitude(sums))
    fine = to_i32(rint(sums * (fill(LARGEST_FINE, f32) / maximum(1e-30, largest))))
    for b in range(FINE_BLOCKS):
        codes.fine[block + b] = lane(fine, b)
    codes.sums[len(codes.scales) + block] = lane(largest, 0) / LARGEST_FINE


@compiled
def _store_all_fine(codes, first, width):
    """Store the fine codes of a vector's whole superblocks, for layouts of superblocks."""
    for block in range(first, first + width // BLOCK // FINE_BLOCKS * FINE_BLOCKS, FINE_BLOCKS):
        _store_fine(codes, block)


@compiled
def quantize(x, at, width, codes, first):
    """Quantise a vector in blocks of 32, from block number `first` on: x = code * scale, with an error below scale / 2.

    See groups.Codes for what is stored beside the codes.
    """
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        quantize_block(low, high, codes, first + i)
    _store_all_fine(codes, first, width)


@compiled
def quantize_twice(x, at, width, codes, first, low_first):
    """Quantise a vector, and from block `low_first` on quantise the errors of the first codes: 15 bits together."""
    for i in range(width // BLOCK):
        low, high = load(x, at + i * BLOCK, f32), load(x, at + i * BLOCK + 16, f32)
        low, high = quantize_block(low, high, codes, first + i)
        quantize_block(low, high, codes, low_first + i)
    _store_all_fine(codes, first, width)
    _store_all_fine(codes, low_first, width)


@compiled
def swiglu(gate, up, at, width):
    """up *= silu(gate), silu(g) = g / (1 + exp(-g)); width: a multiple of 16."""
    for i in range(at, at + width, 16):
        g = load(gate, i, f32)
        store(up, i, g / (exp(fill(0.0, f32) - g) + 1.0) * load(up, i, f32))


@compiled
def erf(x):
    """The error function in every lane: Eigen's rational approximation, within 3 units in the last place of 1."""
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
    """x *= (1 + erf(x / sqrt(2))) / 2; width: a multiple of 16."""
    for i in range(at, at + width, 16):
        v = load(x, i, f32)
        store(x, i, v * 0.5 * (erf(v * SQRT_HALF) + 1.0))


@compiled
def argmax(x, width):
    """The first index of the largest of x[0 .. width - 1]; NO_TOKEN if one of them is infinite or NaN."""
    whole, largest, index, not_finite = width // ARGMAX_RUN * ARGMAX_RUN, MINUS_INFINITY, 0, fill(0.0, f32)
    for begin in range(0, whole, ARGMAX_RUN):
        top = fill(MINUS_INFINITY, f32)
        for i in range(begin, begin + ARGMAX_RUN, 16):
            v = load(x, i, f32)
            top, not_finite = maximum(top, v), fma(v, 0.0, not_finite)
        top = lane(max_lanes(top), 0)
        if top > largest:
            largest, index = top, begin
    finite_check = lane(sum_lanes(not_finite), 0)
    for i in range(whole, width):
        finite_check += x[i] * np.float32(0.0)
        if x[i] > largest:
            largest, index = x[i], i
    if finite_check != 0.0:  # NaN, since infinity * 0 and NaN * 0 are NaN
        return NO_TOKEN
    while x[index] != largest:
        index += 1
    return index


@compiled
def add(x, at, y, y_at, width):
    """x += y; width: a multiple of 16."""
    for i in range(0, width, 16):
        store(x, at + i, load(x, at + i, f32) + load(y, y_at + i, f32))


@compiled
def rope(x, at, head_dim, cosines, sines, angles_at, interleaved):
    """Rotate one head in place by its angles: the pairs (2i, 2i + 1) if interleaved, else (i, i + head_dim / 2)."""
    half = head_dim // 2
    step, distance = (2, 1) if interleaved else (1, half)
    for i in range(half):
        first, second = at + i * step, at + i * step + distance
        a, b, c, s = x[first], x[second], cosines[angles_at + i], sines[angles_at + i]
        x[first], x[second] = a * c - b * s, b * c + a * s
