"""How two models differ, tensor by tensor: llm.diff. Equal tensors cost nothing, because their hashes are equal.

The same model can come from different files. Rows of q and k that the files have in different orders are compared in
the order of `b`. A rope_freqs.weight that says the same as the other model's configuration is no difference.
"""

import json
from dataclasses import dataclass

import numpy as np

from ..model import encoder, encodings, rope_rows
from ..model.decoder import ROPE_DIVISORS
from ..store import manifest, models, tensor_writer
from ..weights import tensors as weights


@dataclass(frozen=True)
class Described:
    """A stored model: its architecture and {name: Tensor}."""

    architecture: object
    tensors: dict

    def frequencies(self):
        """f32[head_dim / 2], the frequencies of rope; None for an encoder, which has no rope."""
        divisors = self.tensors.get(ROPE_DIVISORS)
        return self.architecture.rope_frequencies(None if divisors is None else weights.decoded(divisors))


def described(model):
    """The Described of a row of `store.models.found`."""
    architecture = encoder.of_config(json.loads(model["architecture"]))
    return Described(architecture, models.tensors(model))


def same_rotation(one, other):
    """Whether two models rotate q and k by the same angles, up to float32: a GGUF has them, or their divisors, so."""
    here, there = one.frequencies(), other.frequencies()
    if here is None or there is None:
        return here is there
    return here.shape == there.shape and np.allclose(here, there, rtol=1e-6, atol=0)


def diff(a, b):
    """Rows (tensor, change, tiles, tiles_changed, norm) from model `a` to model `b`, in the order of b, then of a.

    change: none, values, type, shape, added or removed. tiles: those of b's tensor, of a's when it was removed.
    norm: the square root of the sum of squared differences of the values; None where there is nothing to subtract.
    """
    return list(_differences(*(described(models.found(model)) for model in (a, b))))


def _differences(before, after):
    for name, tensor in after.tensors.items():
        if name in before.tensors:
            yield _compared(before, after, before.tensors[name], tensor)
        else:
            yield _of_one(before, after, tensor, "added")
    for name, tensor in before.tensors.items():
        if name not in after.tensors:
            yield _of_one(before, after, tensor, "removed")


def _of_one(before, after, tensor, change):
    """The row of a tensor that only one of the models has."""
    tiles = len(tensor_writer.tile_hashes(tensor))
    if tensor.name == ROPE_DIVISORS and same_rotation(before, after):
        return tensor.name, "none", tiles, 0, 0.0
    return tensor.name, change, tiles, None, None


def _compared(before, after, old, new):
    heads = rope_rows.moved_heads(new.name, before.architecture, after.architecture)
    if old.shape == new.shape and heads is not None:
        return _compared_in_one_order(after.architecture, heads, old, new)
    tiles = tensor_writer.tile_hashes(new)
    if old.hash == new.hash:
        return new.name, "none", len(tiles), 0, 0.0
    if old.shape != new.shape:
        return new.name, "shape", len(tiles), None, None
    if old.type != new.type:
        return new.name, "type", len(tiles), len(tiles), _norm(weights.decoded(new) - weights.decoded(old))
    changed = [
        n for n, pair in enumerate(zip(tensor_writer.tile_hashes(old), tiles, strict=True)) if pair[0] != pair[1]
    ]
    return new.name, "values", len(tiles), len(changed), _norm_of_tiles(old, new, changed)


def _compared_in_one_order(architecture, heads, old, new):
    """The row of a tensor whose rows `old` has in another order: compared in that of `architecture`, b's."""
    order = heads, architecture.head_dim, architecture.rope_interleaved
    raw_old, raw_new = rope_rows.rearranged(weights.raw(old), *order), weights.raw(new)
    norm = _norm(encodings.decode(new.type, raw_new, new.shape) - encodings.decode(old.type, raw_old, old.shape))
    sizes = manifest.tile_sizes(int(np.prod(new.shape[:-1])), encodings.row_bytes(new.type, new.shape[-1]))
    if old.type != new.type:
        return new.name, "type", len(sizes), len(sizes), norm
    begins = np.cumsum((0, *sizes[:-1]))
    changed = int(np.count_nonzero(np.logical_or.reduceat(raw_old != raw_new, begins)))
    return new.name, "values" if changed else "none", len(sizes), changed, norm


def _norm_of_tiles(old, new, changed):
    """The norm of the difference; reads only tiles that differ."""
    if new.rows_per_tile == 0:
        return _norm(weights.decoded(new) - weights.decoded(old))
    norms = [_norm(tensor_writer.tile_values(new, n) - tensor_writer.tile_values(old, n)) for n in changed]
    return _norm(np.array(norms))


def _norm(difference):
    return float(np.sqrt(np.sum(np.square(difference, dtype=np.float64))))
