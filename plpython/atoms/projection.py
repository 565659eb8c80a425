"""A matrix on the four directions along which its rows differ most, and a place on the map for each row.

Principal component analysis (Pearson 1901) by the eigenvectors of the covariance, in float64. The sign of a direction
is free, so it is fixed: the row that lies farthest out, the lowest of equals, lies on the positive side.

A place is in the square of the map that `geometry` has for atoms, all four axes in the same proportion: distances on
the map are distances among the four components, up to one number, `units`.
"""

from collections import namedtuple

import numpy as np

from . import geometry

DIRECTIONS = 4
ROWS_A_PIECE = 4096  # rows at a time: some milliseconds
AXIS_STEPS = (1 << geometry.AXIS_BITS) - 1

# components f64[n, 4]; explained f64[4], the part of the variance in each direction; mean f64[d]; axes f64[4, d]
Projection = namedtuple("Projection", "components explained mean axes")


def principal(rows, checkpoint=lambda: None):
    """The Projection of f32[n, d]; directions beyond d, or without variance, are zero.

    The covariance is summed in blocks of rows, each in float64, in one order: the same rows give the same places.
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


def places(components):
    """(steps i64[n, 4] on the axes of the map, units): the middle of the map is 0, the outermost component its edge.

    units: how many units of the map a component of 1 takes.
    """
    extent = float(np.abs(components).max(initial=0.0)) or 1.0
    steps = np.rint((components / extent + 1) / 2 * AXIS_STEPS).astype(np.int64)
    return steps, AXIS_STEPS / 2 * geometry.STEP_SIZE / extent
