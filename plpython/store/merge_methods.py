"""Arithmetic of merging: one tensor of several models of the same architecture to one tensor.

All functions take and return f32 arrays of the same shape.
    linear            model soups: Wortsman et al. 2022, arXiv 2203.05482
    slerp             spherical interpolation: Shoemake 1985, "Animating rotation with quaternion curves"
    task_arithmetic   Ilharco et al. 2022, arXiv 2212.04089
    ties              Yadav et al. 2023, arXiv 2306.01708: trim, elect a sign, merge what agrees with it
"""

import numpy as np

PARALLEL = 0.9995  # above this cosine an arc is interpolated linearly, because the sine of the angle has no digits left


def linear(tensors, weights):
    """The weighted sum: sum of w_i t_i. With weights that add up to 1 it is the average of a model soup."""
    total = np.zeros_like(tensors[0])
    for tensor, weight in zip(tensors, weights, strict=True):
        total += np.float32(weight) * tensor
    return total


def slerp(first, second, t):
    """Interpolate from `first` (t = 0) to `second` (t = 1) along an arc; the whole tensor is one vector.

    Parallel, opposite and zero vectors have no arc: they are interpolated linearly.
    """
    cosine = _cosine(first, second)
    if abs(cosine) > PARALLEL:
        return linear((first, second), (1.0 - t, t))
    angle = np.arccos(cosine)
    return linear((first, second), np.sin([(1.0 - t) * angle, t * angle]) / np.sin(angle))


def task_arithmetic(base, tensors, weights, scale):
    """The base plus scale times the weighted sum of the task vectors t_i - base."""
    return base + np.float32(scale) * linear([tensor - base for tensor in tensors], weights)


def ties(base, tensors, weights, density, scale):
    """The base plus scale times the merged task vectors t_i - base.

    1. Trim: of each task vector keep the `density` part that is largest in magnitude, set the rest to 0.
    2. Elect: the sign of a weight is that of the weighted sum; if the sum is 0, the sign of most weights of the tensor.
    3. Merge: the weighted mean of the values with the elected sign. Equal weights give the paper's mean.
    """
    vectors = [trimmed(tensor - base, density) for tensor in tensors]
    sign = elected(linear(vectors, weights))
    total, weight_sum = np.zeros_like(base), np.zeros_like(base)
    for vector, weight in zip(vectors, weights, strict=True):
        agrees = vector * sign > 0
        total += np.where(agrees, np.float32(weight) * vector, 0)
        weight_sum += np.where(agrees, np.float32(weight), 0)
    merged = np.divide(total, weight_sum, out=np.zeros_like(base), where=weight_sum != 0)
    return base + np.float32(scale) * merged


def trimmed(vector, density):
    """`vector` with only the largest `density` part of its numbers, the others 0; ties at the border are all kept."""
    count = round(density * vector.size)
    if count >= vector.size:
        return vector
    if count == 0:
        return np.zeros_like(vector)
    magnitudes = np.abs(vector)
    border = np.partition(magnitudes, vector.size - count, axis=None)[vector.size - count]
    return np.where(magnitudes >= border, vector, 0)


def elected(total):
    """The sign of each number, 1 or -1; for 0 the sign of the majority, and 1 if there is none."""
    sign = np.sign(total)
    majority = np.float32(1 if sign.sum(dtype=np.float64) >= 0 else -1)
    return np.where(sign == 0, majority, sign)


def _cosine(first, second):
    """The cosine of the angle between two tensors as vectors; 1 if one of them is all 0."""
    a, b = (tensor.reshape(-1).astype(np.float64) for tensor in (first, second))
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    return float(np.clip(a @ b / norms, -1.0, 1.0)) if norms else 1.0
