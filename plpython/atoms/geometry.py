"""Points of atoms in four dimensions, a pure function of their content.

An axis has 2^31 steps. `llm_atoms.atom_point` is the same function of bytes in SQL, one value a call. docs/atoms.md
says what x, y, z and m mean for each modality. Near tokens are spelt alike and near weight codes have nearly equal
values; nearness says nothing about meaning.
"""

import numpy as np

from ..model.encodings import ENCODINGS
from ..server import errors
from . import hilbert_plane

AXIS_BITS = 31
STEP_SIZE = 1 / 256  # of an axis, in the units of the map
LOWEST_COORDINATE = float(1 << 23)  # where step 0 begins

# The encodings whose codes are atoms.
CODES = {encoding.name: encoding for encoding in ENCODINGS if encoding.codes}
# The rank of a code's value among all codes, in straight lines: from a first to a last code it is
# intercept + slope * code. `half` is half the number of codes. [(first, last, intercept, slope), ...]
LINES = {
    "unsigned": lambda half: [(0, 2 * half - 1, 0, 1)],
    "two's complement": lambda half: [(0, half - 1, half, 1), (half, 2 * half - 1, -half, 1)],
    "sign and magnitude": lambda half: [(0, half - 1, half, 1), (half, 2 * half - 1, 2 * half - 1, -1)],
}


def byte_points(content, lengths):
    """Steps [n, 4] (int64) of n byte strings, given joined, with their lengths (each at least 1).

    x: the first four bytes, y: the last four read backwards, m: four bytes from the middle on, each as a big-endian
    number of which the top 31 bits count; z: the length, on a scale of binary logarithms. Missing bytes are 0.
    """
    lengths = np.asarray(lengths, np.int64)
    content = np.frombuffer(content, np.uint8)
    if (lengths.size and lengths.min() < 1) or lengths.sum() != content.size:
        raise errors.invalid_parameter("the lengths are not those of the byte strings")
    ends = np.cumsum(lengths)
    starts = ends - lengths
    middle = lengths // 2
    return np.stack(
        [
            _four_bytes(content, starts, 1, lengths),
            _four_bytes(content, ends - 1, -1, lengths),
            log_steps(lengths),
            _four_bytes(content, starts + middle, 1, lengths - middle),
        ],
        axis=1,
    )


def _four_bytes(content, first, direction, available):
    """31 bits of four bytes from `first` on, in that direction; 0 stands for those beyond `available`."""
    number = np.zeros(first.size, np.int64)
    for i in range(4):
        there = i < available
        number = number << 8 | np.where(there, content[np.where(there, first + direction * i, 0)], 0)
    return number >> 1


def log_steps(numbers):
    """log2 of integers from 1 to 2^31, times 2^26, linear between powers of two: 1, 2, 3, 4 -> 0, 1, 1.5, 2."""
    numbers = np.asarray(numbers, np.int64)
    doublings = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    return np.minimum((doublings << 26) + ((numbers - (1 << doublings) << 26) >> doublings), (1 << AXIS_BITS) - 1)


def code_points(encoding, codes):
    """Steps [n, 4] (int64) of weight codes of an encoding, unsigned integers as they are stored.

    x: the rank of the code's value; y: the code itself; z: its bits; m: the encoding's GGUF number.
    """
    bits = CODES[encoding].codes.bits
    codes = np.asarray(codes, np.int64)
    points = np.empty((codes.size, 4), np.int64)
    points[:, 0] = _value_order(encoding, codes) << AXIS_BITS - bits
    points[:, 1] = codes << AXIS_BITS - bits
    points[:, 2] = log_steps(bits)
    points[:, 3] = CODES[encoding].number << 24
    return points


def code_lines(encoding):
    """The straight lines on which an encoding's codes lie: [(first code, last code, intercept, slope), ...]."""
    codes = CODES[encoding].codes
    return LINES[codes.order](1 << codes.bits - 1)


def _value_order(encoding, codes):
    """The ranks of codes among all codes of the encoding, by value."""
    order = np.empty_like(codes)
    for first, last, intercept, slope in code_lines(encoding):
        here = (first <= codes) & (codes <= last)
        order[here] = intercept + slope * codes[here]
    return order


def code_contents(encoding, codes):
    """The content of weight codes, which is hashed: the encoding's name, a zero byte, the code little-endian."""
    size = CODES[encoding].codes.bits // 8 or 1
    return [encoding.encode() + b"\0" + int(code).to_bytes(size, "little") for code in codes]


def codes_in_order(encoding, raw):
    """The code of each weight of whole blocks, in the order of the weights: bytes as stored -> unsigned integers.

    If two codes share a byte, the low halves of a run of bytes come first, then the high halves.
    """
    codes = CODES[encoding].codes
    content = np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(-1, CODES[encoding].size)[:, codes.first :])
    if codes.bits != 4:
        return content.view(np.uint16 if codes.bits == 16 else np.uint8).ravel()
    runs = content.reshape(-1, codes.run)
    return np.concatenate([runs & 15, runs >> 4], axis=1).ravel()


def count_codes(encoding, pieces):
    """How often each code is in a tensor: int64 [2^bits]. pieces: uint8[blocks, bytes], as encodings.whole_blocks."""
    bits = CODES[encoding].codes.bits
    counts = np.zeros(1 << max(bits, 8), np.int64)
    for blocks in pieces:
        counts += _byte_or_word_counts(encoding, blocks)
    if bits == 4:
        halves = counts.reshape(16, 16)
        return halves.sum(axis=0) + halves.sum(axis=1)
    return counts


def _byte_or_word_counts(encoding, blocks):
    codes = CODES[encoding].codes
    # Count pairs of bytes, because bincount costs per element; then fold the 65,536 counts into 256.
    words = np.ascontiguousarray(blocks[:, codes.first :]).view(np.uint16).ravel()
    counts = np.bincount(words, minlength=1 << 16)
    if codes.bits == 16:
        return counts
    pairs = counts.reshape(256, 256)
    return pairs.sum(axis=0) + pairs.sum(axis=1)


def keys(points):
    """Hilbert keys of the planes (x, y), (y, z) and (z, m), int64 [3, n], of steps [n, 4]."""
    planes = (hilbert_plane.encode(points[:, i], points[:, i + 1], AXIS_BITS) for i in range(3))
    return np.stack([keys.astype(np.int64) for keys in planes])


def coordinates(points):
    """Steps as coordinates of the map: the middle of each, exactly.

    PostGIS's GiST index rounds coordinates outwards to single precision, which from 2^23 to 2^24 are whole numbers. No
    middle of a step is a whole number, so every box of the index is larger than its point, and no rounding error can
    make the index's distance larger than the true one. That would end a search with "index returned tuples in wrong
    order".
    """
    return (points + 0.5) * STEP_SIZE + LOWEST_COORDINATE
