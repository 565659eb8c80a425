"""Weights of many kinds to compare quantisers on, f32[64, 256]: the same wherever they are made."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from gguf import GGUFReader, quants

SHAPE = (64, 256)
SEED = 18


def with_zero_rows(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(SHAPE) * (np.arange(64) % 2)[:, None]


def with_outliers(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(SHAPE) * np.where(rng.random(SHAPE) < 0.003, 1.0, 0.02)


def sparse(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(SHAPE) * (rng.random(SHAPE) < 0.1)


KINDS: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "normal": lambda rng: rng.standard_normal(SHAPE) * 0.02,
    "rows of all sizes": lambda rng: rng.standard_normal(SHAPE) * np.exp(rng.standard_normal((64, 1))),
    "columns of all sizes": lambda rng: rng.standard_normal(SHAPE) * np.exp(rng.standard_normal((1, 256))),
    "Student's t with 3 degrees of freedom": lambda rng: rng.standard_t(3, SHAPE) * 0.02,
    "Student's t with 1.5 degrees of freedom": lambda rng: rng.standard_t(1.5, SHAPE) * 0.02,
    "Laplace": lambda rng: rng.laplace(size=SHAPE) * 0.02,
    "with outliers": with_outliers,
    "sparse": sparse,
    "uniform": lambda rng: rng.uniform(-1, 1, SHAPE),
    "from 0 to 1": lambda rng: rng.uniform(0, 1, SHAPE),
    "from 1 to 2": lambda rng: rng.uniform(1, 2, SHAPE),
    "from -2 to -1": lambda rng: rng.uniform(-2, -1, SHAPE),
    "exponential": lambda rng: rng.exponential(size=SHAPE),
    "large": lambda rng: rng.standard_normal(SHAPE) * 1e4,
    "tiny": lambda rng: rng.standard_normal(SHAPE) * 1e-5,
    "too small for any scale": lambda rng: rng.standard_normal(SHAPE) * 1e-20,
    "one positive number": lambda rng: np.full(SHAPE, 0.37),
    "one negative number": lambda rng: np.full(SHAPE, -0.37),
    "a number for each row": lambda rng: np.repeat(rng.standard_normal((64, 1)), 256, axis=1),
    "1 and -1": lambda rng: rng.choice([-1.0, 1.0], SHAPE),
    "whole numbers": lambda rng: rng.integers(-8, 8, SHAPE).astype(float),
    "with rows of zeros": with_zero_rows,
    "zeros": lambda rng: np.zeros(SHAPE),
}


def made(kind: str) -> np.ndarray:
    """The weights of a kind."""
    return KINDS[kind](np.random.default_rng(SEED)).astype(np.float32)


def of_model(path: Path) -> np.ndarray:
    """All matrices of a GGUF file, one after the other, in rows of 256: f32[rows, 256]."""
    matrices = [quants.dequantize(t.data, t.tensor_type) for t in GGUFReader(path).tensors if len(t.shape) > 1]
    weights = np.concatenate([matrix.reshape(-1) for matrix in matrices]).astype(np.float32)
    return weights[: weights.size // 256 * 256].reshape(-1, 256)


def relative_error(weights: np.ndarray, stored: np.ndarray) -> float:
    """Root mean square of the errors over that of the weights; of zeros, that of what is stored for them."""
    size = np.linalg.norm(weights.astype(float)) or 1.0
    return float(np.linalg.norm(stored.astype(float) - weights) / size)
