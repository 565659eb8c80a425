"""Random valid blocks of GGUF's encodings: finite numbers of mean 0, with the deviation that a model's weights have.

Nothing is quantised. Codes are random bits and only the floats of a block are chosen, so gigabytes take seconds.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import gguf
import numpy as np

BLOCKS = 1_000_003  # a prime: rows of a tensor that is cut from these, one behind the other, are all different
SAMPLE = 4096  # blocks that are decoded to see how far values scatter


@dataclass(frozen=True)
class Floats:
    """The F16 numbers of a block: (the byte where each begins, what it is times the block's scale).

    both_signs: codes have another mean than 0, and there is no minimum that mends it, so half of the scales are
    negative. exponent: the scale is not F16 but a power of two, in a byte.
    """

    at: tuple[tuple[int, float], ...] = ((0, 1.0),)
    both_signs: bool = False
    exponent: bool = False


FLOATS = {
    "Q8_0": Floats(),
    "Q4_0": Floats(both_signs=True),
    "Q5_0": Floats(both_signs=True),
    "IQ4_NL": Floats(both_signs=True),
    "Q4_1": Floats(((0, 1.0), (2, -7.5))),
    "Q5_1": Floats(((0, 1.0), (2, -15.5))),
    "Q2_K": Floats(((80, 1.0), (82, 1.5))),
    "Q3_K": Floats(((108, 1.0),), both_signs=True),
    "Q4_K": Floats(((0, 1.0), (2, 7.5))),
    "Q5_K": Floats(((0, 1.0), (2, 15.5))),
    "Q6_K": Floats(((208, 1.0),)),
    "IQ4_XS": Floats(both_signs=True),
    "MXFP4": Floats(exponent=True),
}


class Source:
    """Weights without end, in an encoding and for rows of so many columns; each call of `tensor` goes on."""

    def __init__(self, encoding: str, columns: int, seed: int):
        self._encoding = gguf.GGMLQuantizationType[encoding]
        self._block, self._size = gguf.GGML_QUANT_SIZES[self._encoding]
        random = np.random.default_rng([seed, self._encoding, columns])
        deviation = columns**-0.5  # keeps activations of all layers in a sane range
        make = _numbers if encoding in ("F32", "F16", "BF16") else _blocks
        self._blocks = make(encoding, self._size, deviation, random)
        self._at = 0

    def tensor(self, rows: int, columns: int) -> np.ndarray:
        """uint8[rows, bytes of a row]."""
        return np.concatenate(list(self._pieces(rows * columns // self._block))).reshape(rows, -1)

    def _pieces(self, count: int) -> Iterator[np.ndarray]:
        while count:
            piece = self._blocks[self._at : self._at + count]
            yield piece
            count, self._at = count - len(piece), (self._at + len(piece)) % BLOCKS


def _numbers(encoding: str, size: int, deviation: float, random) -> np.ndarray:
    values = random.standard_normal(BLOCKS, np.float32) * np.float32(deviation)
    return gguf.quants.quantize(values, gguf.GGMLQuantizationType[encoding]).view(np.uint8).reshape(BLOCKS, size)


def _blocks(encoding: str, size: int, deviation: float, random) -> np.ndarray:
    """uint8[BLOCKS, size]: scales first of about 1, then of what gives values the deviation."""
    blocks = np.frombuffer(random.bytes(BLOCKS * size), np.uint8).reshape(BLOCKS, size).copy()
    CODES.get(encoding, lambda blocks: None)(blocks)
    scales = random.uniform(0.5, 1.5, BLOCKS).astype(np.float32)
    if FLOATS[encoding].both_signs:
        scales *= random.choice(np.array([-1, 1], np.float32), BLOCKS)
    sample = blocks[:SAMPLE]
    _set_scales(encoding, sample, scales[:SAMPLE])
    spread = gguf.quants.dequantize(sample, gguf.GGMLQuantizationType[encoding]).std()
    _set_scales(encoding, blocks, scales * np.float32(deviation / spread))
    return blocks


def _set_scales(encoding: str, blocks: np.ndarray, scales: np.ndarray) -> None:
    floats = FLOATS[encoding]
    if floats.exponent:
        blocks[:, 0] = np.rint(np.log2(scales)) + 128  # of a code's half: codes are twice the numbers
        return
    for at, factor in floats.at:
        blocks[:, at : at + 2] = (scales * np.float32(factor)).astype(np.float16).view(np.uint8).reshape(-1, 2)


def _symmetric(blocks: np.ndarray) -> None:
    """Q8_0: no code is -128, as quantisers never write it."""
    codes = blocks[:, 2:].view(np.int8)
    np.maximum(codes, -127, out=codes)


def _minima_of_scales(blocks: np.ndarray) -> None:
    """Q4_K, Q5_K: each minimum's six bits are its scale's, so that the mean of a group is 0."""
    blocks[:, 8:12] = blocks[:, 4:8]
    blocks[:, 12:16] = blocks[:, 12:16] & 15 | blocks[:, 12:16] << 4


def _minima_of_scales_q2(blocks: np.ndarray) -> None:
    """Q2_K: the same in four bits."""
    blocks[:, :16] = blocks[:, :16] & 15 | blocks[:, :16] << 4


CODES = {"Q8_0": _symmetric, "Q4_K": _minima_of_scales, "Q5_K": _minima_of_scales, "Q2_K": _minima_of_scales_q2}
