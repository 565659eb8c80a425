"""Encoders of Q4_K, Q5_K, Q6_K and IQ4_NL: weights -> the bytes of blocks, as ggml-quants.h has them.

How scales are found is told in `scale_search`. The errors are no larger than those of llama.cpp's own quantiser, which
tests/fixtures/quantizers/ keeps.
"""

import numpy as np

from .scale_search import ROUNDS, Blocks, Format, columns_of, dot, half, quotient

Q4_K = Format(32, (0, 15), (0, 63), 63)
Q5_K = Format(32, (0, 31), (0, 63), 63)
Q6_K = Format(16, (-32, 31), (-127, 127))
IQ4_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
# The codes of numbers from -128 to 127.5, half by half: the borders between values are whole halves.
IQ4_CODES = np.abs(np.arange(-255.5, 256)[:, None] / 2 - IQ4_VALUES).argmin(axis=1).astype(np.uint8)
IQ4_NEAREST = IQ4_VALUES[IQ4_CODES]
# The values that the search gives to the largest weight of a block.
IQ4_PEAKS = np.outer(IQ4_VALUES[[0, -1]], (1, 0.95, 1.05, 0.9, 0.85)).astype(np.float32).ravel()


def encode_q4_k(weights, raw):
    """f32[super-blocks, 256] -> uint8[super-blocks, 144]."""
    codes = _encode_lines(weights, Q4_K, raw)
    raw[:, 16:] = _nibbles(codes, 32)


def encode_q5_k(weights, raw):
    """f32[super-blocks, 256] -> uint8[super-blocks, 176]."""
    codes = _encode_lines(weights, Q5_K, raw)
    raw[:, 16:48] = np.packbits((codes >> 4).reshape(-1, 8, 32), axis=1, bitorder="little")[:, 0]
    raw[:, 48:] = _nibbles(codes & 15, 32)


def encode_q6_k(weights, raw):
    """f32[super-blocks, 256] -> uint8[super-blocks, 210]."""
    blocks = Blocks(weights, Q6_K)
    best = blocks.best()
    codes = _rows(blocks.codes + 32, 256)
    raw[:, :128] = _nibbles(codes & 15, 64)
    high = (codes >> 4).reshape(-1, 2, 4, 32) << np.array([0, 2, 4, 6], np.uint8)[:, None]
    raw[:, 128:192] = np.bitwise_or.reduce(high, axis=2).reshape(-1, 64)
    raw[:, 192:208] = best.scale.astype(np.int8).view(np.uint8).reshape(-1, 16)
    raw[:, 208:] = _floats(best.unit[::16])


def encode_iq4_nl(weights, raw):
    """f32[blocks, 32] -> uint8[blocks, 18]."""
    columns = columns_of(weights, 32)
    scale = _best_iq4_scale(columns)
    raw[:, :2] = _floats(scale)
    raw[:, 2:] = _nibbles(_rows(IQ4_CODES[_half_steps(columns, scale)], 32), 16)


def _encode_lines(weights, format, raw):
    """Write the floats, scales and minima of Q4_K and Q5_K. Returns the codes, uint8[super-blocks, 256].

    The offset of a block cannot be above 0. So a super-block of positive numbers is encoded with the opposite sign, and
    its floats are negative.
    """
    low, high = weights.min(axis=1), weights.max(axis=1)
    sign = np.where((low > 0) & (high > low), np.float32(-1), np.float32(1))
    blocks = Blocks(weights * sign[:, None], format)
    best = blocks.best()
    raw[:, 0:2], raw[:, 2:4] = _floats(sign * best.unit[::8]), _floats(sign * best.low_unit[::8])
    raw[:, 4:16] = _six_bits(best.scale, best.minimum)
    return _rows(blocks.codes, 256)


def _six_bits(scale, minimum):
    """Scales and minima from 0 to 63, f32[blocks] -> uint8[super-blocks, 12].

    The first four scales and minima have a byte each. Of the other four, a byte has the low bits of a scale and a
    minimum, and the upper two bits of the former have their high bits.
    """
    scale, minimum = (x.astype(np.uint8).reshape(-1, 2, 4) for x in (scale, minimum))
    low = scale[:, 1] & 15 | (minimum[:, 1] & 15) << 4
    high = [x[:, 0] | x[:, 1] >> 4 << 6 for x in (scale, minimum)]
    return np.concatenate([*high, low], axis=1)


def _best_iq4_scale(columns):
    """f32[blocks]: the scale, in half precision, with the smallest error among some that least squares fit."""
    low, high = columns.min(axis=0), columns.max(axis=0)
    peak = np.where(high > -low, high, low)
    too_large = np.isinf(half(peak / IQ4_VALUES[0]))
    best = np.where(too_large, np.float32(np.inf), 0), np.zeros_like(peak)
    for value in IQ4_PEAKS:
        best = _better_iq4_scale(columns, peak / value, best)
    for _ in range(ROUNDS):
        best = _better_iq4_scale(columns, best[0], best)
    return best[0]


def _better_iq4_scale(columns, scale, best):
    """(scale, gain): the scale of least squares for the nearest codes of a scale, or the best until now."""
    values = IQ4_NEAREST.take(_half_steps(columns, scale))
    products, squares = dot(values, columns), dot(values, values)
    scale = half(quotient(products, squares))
    gain = scale * (2 * products - scale * squares)
    return tuple(np.where(gain > best[1], there, here) for there, here in zip((scale, gain), best, strict=True))


def _half_steps(columns, scale):
    """Where the weights of blocks lie in IQ4_CODES."""
    steps = columns * quotient(np.float32(2), scale)
    np.clip(steps, -256, 255, out=steps)
    np.floor(steps, out=steps)
    steps += 256
    return steps.astype(np.intp)


def _nibbles(codes, run):
    """Codes below 16 -> bytes: `run` codes are low halves, the next `run` the high halves of the same bytes."""
    pairs = codes.reshape(len(codes), -1, 2, run)
    return (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(len(codes), -1)


def _rows(columns, size):
    """Columns of blocks -> uint8[..., size], in the order of the weights."""
    return np.ascontiguousarray(columns.T, np.uint8).reshape(-1, size)


def _floats(x):
    """f32[blocks] -> the bytes of half precision, uint8[blocks, 2]."""
    return x.astype(np.float16).view(np.uint8).reshape(-1, 2)
