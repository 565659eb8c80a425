"""Random blocks of GGUF's encodings and what the gguf package decodes them to; every pattern of F16 and BF16."""

from pathlib import Path

import numpy as np
from gguf import GGML_QUANT_SIZES, GGMLQuantizationType, quants

BLOCKS = {"Q8_0": 96, "Q4_0": 96, "Q4_K": 48, "Q6_K": 48}
HALVES = {"Q8_0": (0,), "Q4_0": (0,), "Q4_K": (0, 2), "Q6_K": (208,)}  # where a block's half precision scales lie


def write(folder: Path) -> None:
    for kind in BLOCKS:
        raw = random_blocks(kind)
        raw.tofile(folder / f"{kind}.raw")
        quants.dequantize(raw, GGMLQuantizationType[kind]).astype("<f4").tofile(folder / f"{kind}.f32")
    patterns = np.arange(1 << 16, dtype="<u2")
    for kind, values in (("F16", patterns.view("<f2").astype("<f4")), ("BF16", patterns.astype("<u4") << 16)):
        patterns.tofile(folder / f"{kind}.raw")
        values.tofile(folder / f"{kind}.f32")


def random_blocks(kind: str) -> np.ndarray:
    """Any bytes, u8[blocks, size], but that scales are finite: 0, subnormal, negative, up to the largest."""
    rng = np.random.default_rng(list(kind.encode()))
    raw = rng.integers(0, 256, (BLOCKS[kind], GGML_QUANT_SIZES[GGMLQuantizationType[kind]][1]), np.uint8)
    for at in HALVES[kind]:
        scales = rng.integers(0, 0x7C00, len(raw)).astype("<u2") | rng.integers(0, 2, len(raw)).astype("<u2") << 15
        scales[:4] = (0, 0x8000, 1, 0x7BFF)
        raw[:, at : at + 2] = scales.view(np.uint8).reshape(-1, 2)
    return raw
