"""The first four principal components of a matrix's rows, and a position on the map for each row.

Principal component analysis (Pearson 1901) by the eigenvectors of the covariance, in float64. The sign of a component
is arbitrary, so it is fixed: the row farthest out, of equal ones the first, is on the positive side.

The map is the domain of atoms (`geometry`). All four axes have the same scale: distances on the map are distances
between components times `units`.
"""

from collections import namedtuple

import numpy as np

from . import geometry

DIRECTIONS = 4
ROWS_A_PIECE = 4096  # between checkpoints: some milliseconds
AXIS_STEPS = (1 << geometry.AXIS_BITS) - 1

# components f64[n, 4]; explained f64[4], the part of the variance in each direction; mean f64[d]; axes f64[4, d]
Projection = namedtuple("Projection", "components explained mean axes")


def principal(rows, checkpoint=lambda: None):
    """The Projection of f32[n, d]; directions beyond d, or without variance, are zero.

    The covariance is summed in blocks of rows, in float64 and in one order, so the same rows give the same result.
    """
    count, columns = rows.shape
    mean = rows.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((columns, columns))
    for start in range(0, count, ROWS_A_PIECE):
        centred = rows[start : start + ROWS_A_PIECE] - mean
        covariance += centred.T @ centred
        checkpoint()
    variances, vectors = np.linalg.eigh(covariance)
    axes = np.zeros((DIRECTIONS, columns))
    found = min(DIRECTIONS, columns)
    axes[:found] = vectors[:, ::-1][:, :found].T
    total = variances.sum()
    explained = np.zeros(DIRECTIONS)
    if total > 0:
        explained[:found] = np.maximum(variances[::-1][:found], 0) / total
    axes[explained == 0] = 0
    components = np.concatenate([(rows[i : i + ROWS_A_PIECE] - mean) @ axes.T for i in range(0, count, ROWS_A_PIECE)])
    farthest = np.abs(components).argmax(axis=0)
    signs = np.where(components[farthest, np.arange(DIRECTIONS)] < 0, -1.0, 1.0)
    return Projection(components * signs, explained, mean, axes * signs[:, None])


def map_steps(components):
    """(steps i64[n, 4] on the axes of the map, units). 0 is the middle of the map, the largest component its edge.

    units: units of the map for a component of 1.
    """
    extent = float(np.abs(components).max(initial=0.0)) or 1.0
    steps = np.rint((components / extent + 1) / 2 * AXIS_STEPS).astype(np.int64)
    return steps, AXIS_STEPS / 2 * geometry.STEP_SIZE / extent
