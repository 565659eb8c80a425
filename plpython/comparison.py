"""How two models differ, tensor by tensor: llm.diff. Equal tensors cost nothing, for their hashes are equal."""

import numpy as np

from . import rewriting, stored_models, weights


def diff(a, b):
    """Rows (tensor, change, tiles, tiles_changed, norm) from model `a` to model `b`, in the order of b, then of a.

    change: none, values, type, shape, added or removed. tiles: those of b's tensor, of a's when it was removed.
    norm: the square root of the sum of squared differences of the values; None where there is nothing to subtract.
    """
    return list(_differences(*(stored_models.tensors(stored_models.found(model)) for model in (a, b))))


def _differences(before, after):
    for name, tensor in after.items():
        if name not in before:
            yield name, "added", len(rewriting.tile_hashes(tensor)), None, None
        else:
            yield _compared(before[name], tensor)
    for name, tensor in before.items():
        if name not in after:
            yield name, "removed", len(rewriting.tile_hashes(tensor)), None, None


def _compared(old, new):
    tiles = rewriting.tile_hashes(new)
    if old.hash == new.hash:
        return new.name, "none", len(tiles), 0, 0.0
    if old.shape != new.shape:
        return new.name, "shape", len(tiles), None, None
    if old.type != new.type:
        return new.name, "type", len(tiles), len(tiles), _norm(weights.decoded(new) - weights.decoded(old))
    changed = [n for n, pair in enumerate(zip(rewriting.tile_hashes(old), tiles, strict=True)) if pair[0] != pair[1]]
    return new.name, "values", len(tiles), len(changed), _norm_of_tiles(old, new, changed)


def _norm_of_tiles(old, new, changed):
    """The norm of the difference, of which only tiles that differ are read."""
    if new.rows_per_tile == 0:
        return _norm(weights.decoded(new) - weights.decoded(old))
    norms = [_norm(rewriting.tile_values(new, n) - rewriting.tile_values(old, n)) for n in changed]
    return _norm(np.array(norms))


def _norm(difference):
    return float(np.sqrt(np.sum(np.square(difference, dtype=np.float64))))
