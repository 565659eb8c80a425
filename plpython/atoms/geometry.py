"""Where atoms lie: points in four dimensions as a pure function of what an atom is, and nothing else.

An axis has 2^31 steps. `llm.atom_point` is the same function of bytes in SQL, one value a call; docs/atoms.md says what
x, y, z and m mean for each modality. Near means spelt alike or weighing alike: it does not mean alike in meaning.
"""

import numpy as np

from ..server import errors
from . import hilbert_plane

AXIS_BITS = 31
STEP = 1 / 256  # of an axis, in the units of the map
LOWEST = float(1 << 23)  # where step 0 begins

# encoding: (GGUF's number of the type, bits of a weight's code); the codes that are atoms
CODES = {
    "F16": (1, 16),
    "Q4_0": (2, 4),
    "Q4_1": (3, 4),
    "Q8_0": (8, 8),
    "Q4_K": (12, 4),
    "IQ4_NL": (20, 4),
    "IQ4_XS": (23, 4),
    "BF16": (30, 16),
}
# encoding: (bytes of a block, bytes before its codes); two codes of four bits share a byte
CODE_BLOCKS = {
    "F16": (2, 0),
    "Q4_0": (18, 2),
    "Q4_1": (20, 4),
    "Q8_0": (34, 2),
    "Q4_K": (144, 16),
    "IQ4_NL": (18, 2),
    "IQ4_XS": (136, 8),
    "BF16": (2, 0),
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
    """2^26 steps for each doubling of an integer from 1 to 2^31, straight in between: 1, 2, 3, 4 -> 0, 1, 1.5, 2."""
    numbers = np.asarray(numbers, np.int64)
    doublings = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    return np.minimum((doublings << 26) + ((numbers - (1 << doublings) << 26) >> doublings), (1 << AXIS_BITS) - 1)


def code_points(encoding, codes):
    """Steps [n, 4] (int64) of weight codes of an encoding, unsigned integers as they are stored.

    x: the order of the values that the codes stand for; y: the code itself; z: its bits; m: the encoding's GGUF number.
    """
    number, bits = CODES[encoding]
    codes = np.asarray(codes, np.int64)
    points = np.empty((codes.size, 4), np.int64)
    points[:, 0] = _value_order(encoding, codes) << AXIS_BITS - bits
    points[:, 1] = codes << AXIS_BITS - bits
    points[:, 2] = log_steps(bits)
    points[:, 3] = number << 24
    return points


def _value_order(encoding, codes):
    """The place of codes among all codes of the encoding, by value."""
    if encoding == "Q8_0":  # two's complement
        return codes ^ 0x80
    if encoding in ("F16", "BF16"):  # sign and magnitude
        return np.where(codes & 0x8000, 0xFFFF - codes, codes | 0x8000)
    return codes


def code_contents(encoding, codes):
    """What a weight code's identity is the hash of: the encoding's name, a zero byte, the code little-endian."""
    size = CODES[encoding][1] // 8 or 1
    return [encoding.encode() + b"\0" + int(code).to_bytes(size, "little") for code in codes]


def codes_in_order(encoding, raw):
    """The code of each weight of whole blocks, in the order of the weights: bytes as stored -> unsigned integers.

    Where two codes share a byte, the low four bits of a run of bytes come first and then the high ones: a run is all
    of a block's, in Q4_K 32 bytes and in IQ4_XS 16.
    """
    size, before = CODE_BLOCKS[encoding]
    content = np.ascontiguousarray(np.frombuffer(raw, np.uint8).reshape(-1, size)[:, before:])
    if CODES[encoding][1] != 4:
        return content.view(np.uint16 if CODES[encoding][1] == 16 else np.uint8).ravel()
    runs = content.reshape(-1, 32 if encoding == "Q4_K" else 16)
    return np.concatenate([runs & 15, runs >> 4], axis=1).ravel()


def count_codes(encoding, pieces):
    """How often each code is in a tensor: int64 [2^bits]. pieces: uint8[blocks, bytes], as quant.whole_blocks."""
    counts = np.zeros(1 << max(CODES[encoding][1], 8), np.int64)
    for blocks in pieces:
        counts += _byte_or_word_counts(encoding, blocks)
    if CODES[encoding][1] == 4:
        halves = counts.reshape(16, 16)
        return halves.sum(axis=0) + halves.sum(axis=1)
    return counts


def _byte_or_word_counts(encoding, blocks):
    _, before = CODE_BLOCKS[encoding]
    # Pairs of bytes: counting costs by the element, and one count of 65,536 folds into two of 256.
    words = np.ascontiguousarray(blocks[:, before:]).view(np.uint16).ravel()
    counts = np.bincount(words, minlength=1 << 16)
    if CODES[encoding][1] == 16:
        return counts
    pairs = counts.reshape(256, 256)
    return pairs.sum(axis=0) + pairs.sum(axis=1)


def keys(points):
    """Hilbert keys of the planes (x, y), (y, z) and (z, m), int64 [3, n], of steps [n, 4]."""
    planes = (hilbert_plane.encode(points[:, i], points[:, i + 1], AXIS_BITS) for i in range(3))
    return np.stack([keys.astype(np.int64) for keys in planes])


def coordinates(points):
    """Steps as coordinates of the map: the middle of each, exactly.

    PostGIS's GiST index rounds coordinates to single precision outwards. From 2^23 to 2^24 that is to whole numbers,
    and no middle is one: so the index never takes two atoms to be further apart than they are, not by a rounding
    error either, which would end a search for neighbours with "index returned tuples in wrong order".
    """
    return (points + 0.5) * STEP + LOWEST
