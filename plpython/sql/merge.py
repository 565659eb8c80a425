"""Merges several stored models into a new one: llm.merge. `store/merge_methods` has the arithmetic.

The models must have the same architecture, tensors and vocabulary. It does not matter which file a model came from: a
folder and a GGUF have the rows of q and k in different orders, and rope's frequencies as numbers or as a tensor.
"""

import json

import numpy as np

from ..model import rope_rows
from ..model.decoder import ROPE_DIVISORS
from ..server import arguments, database, errors
from ..store import merge_methods, tensor_writer
from ..store import models as stored_models
from ..weights import tensors
from . import diff

METHODS = ("linear", "slerp", "task_arithmetic", "ties")
WITH_BASE = ("task_arithmetic", "ties")
LARGEST_WEIGHT = 1e6  # a larger weight is a mistake
MOST_MODELS = 64

FIRST_OTHER_TOKEN = database.Query(
    """SELECT coalesce(a.id, b.id) AS id
    FROM (SELECT t.id, t.bytes FROM llm_store.token AS t WHERE t.tokenizer_id = $1) AS a
    FULL JOIN (SELECT t.id, t.bytes FROM llm_store.token AS t WHERE t.tokenizer_id = $2) AS b ON b.id = a.id
    WHERE a.bytes IS DISTINCT FROM b.bytes
    ORDER BY 1 LIMIT 1""",
    *("integer", "integer"),
)


def merge(models, new, factors, method, base, density, scale):
    """A new model of several, tensor by tensor. Returns the largest rounding error of encoding it.

    One tensor of each model is in memory at a time, as f32. Tensors get the first model's types and its order of the
    rows of q and k; those that are equal in all models are shared. Rope rotates by the same angles in all models.
    """
    names = _names(models)
    factors, method = _recipe(len(names), factors, method, base)
    density = arguments.number("density", density, 0.2, 0.0, 1.0)
    scale = arguments.number("scale", scale, 1.0, -LARGEST_WEIGHT, LARGEST_WEIGHT)
    parents = names if base is None else [*names, base]
    found = {name: stored_models.found(name) for name in dict.fromkeys(parents)}
    sources = [found[name] for name in parents]
    kinds = [diff.described(source) for source in sources]
    _check_same_kind(sources, kinds)
    for tensor in kinds[0].tensors.values():
        stored_models.check_encodable(sources[0], tensor)
    copy = stored_models.new_model(sources[0], new)
    keeps_equal = method != "linear" or abs(sum(factors) - 1.0) < 1e-9
    hashes, largest = {}, 0.0
    for name, first in kinds[0].tensors.items():
        if name == ROPE_DIVISORS or (keeps_equal and _is_shared(name, kinds)):
            hashes[name] = first.hash
            continue
        try:
            with np.errstate(over="raise", invalid="raise"):
                values = _merged([_values(name, kind, kinds[0]) for kind in kinds], factors, method, density, scale)
        except FloatingPointError:
            raise errors.invalid_parameter(
                f'tensor "{name}" cannot be merged', "its weights, or their sum, overflow float32"
            ) from None
        hashes[name], error = tensor_writer.write(name, first.type, first.shape, values)
        largest = max(largest, error)
    stored_models.add_tensors(copy, hashes)
    details = {"method": method, "weights": factors, "error": largest}
    if base is not None:
        details |= {"base": base, "scale": scale} | ({"density": density} if method == "ties" else {})
    stored_models.finish(copy, "merge", details, parents, sources[0]["hash"])
    return largest


def _merged(arrays, factors, method, density, scale):
    """The merged values of one tensor; if the method has a base, it is the last of `arrays`.

    Raises FloatingPointError if a sum or a difference overflows float32; ties would treat it as no change.
    """
    match method:
        case "linear":
            return merge_methods.linear(arrays, factors)
        case "slerp":
            return merge_methods.slerp(*arrays, factors[1] / sum(factors))
        case "task_arithmetic":
            return merge_methods.task_arithmetic(arrays[-1], arrays[:-1], factors, scale)
        case "ties":
            return merge_methods.ties(arrays[-1], arrays[:-1], factors, density, scale)


def _names(models):
    names = list(arguments.strings("models", models))
    if not 1 <= len(names) <= MOST_MODELS:
        raise arguments.ill("models", models, f"an array of 1 to {MOST_MODELS} names")
    return names


def _recipe(count, factors, method, base):
    """(weights, method), checked against each other and the number of models."""
    if method not in METHODS:
        raise arguments.ill("method", method, f"one of {', '.join(METHODS)}")
    if (base is not None) != (method in WITH_BASE):
        expected = "the model that all of them were made from" if method in WITH_BASE else f"NULL for {method}"
        raise arguments.ill("base", base, expected)
    if method == "slerp" and count != 2:
        raise errors.invalid_parameter("slerp merges two models", f"there are {count}")
    if factors is None:
        factors = [1.0 if method in WITH_BASE else 1.0 / count] * count
    if len(factors) != count or None in factors:
        raise arguments.ill("weights", factors, f"{count} numbers, one for each model")
    factors = [arguments.number("weights", factor, None, -LARGEST_WEIGHT, LARGEST_WEIGHT) for factor in factors]
    if method == "slerp" and not (min(factors) >= 0 and sum(factors) > 0):
        raise arguments.ill("weights", factors, "two numbers from 0 on, one of them above 0, for slerp")
    return factors, method


def _is_shared(name, kinds):
    """Whether a tensor is the same in all models: equal bytes, in the same order of rows."""
    orders = {kind.architecture.rope_interleaved for kind in kinds if rope_rows.rotated_heads(name, kind.architecture)}
    return len(orders) <= 1 and len({kind.tensors[name].hash for kind in kinds}) == 1


def _values(name, kind, first):
    """A tensor's values -> f32 of its shape, the rows of q and k in the first model's order."""
    values = tensors.decoded(kind.tensors[name])
    heads = rope_rows.moved_heads(name, kind.architecture, first.architecture)
    if heads is None:
        return values
    return rope_rows.rearranged(values, heads, first.architecture.head_dim, first.architecture.rope_interleaved)


def _check_same_kind(sources, kinds):
    """Raise ModelError 22023 unless the models have the same architecture, tensors and vocabulary."""
    for source, kind in zip(sources[1:], kinds[1:], strict=True):
        difference = (
            _other_value(kinds[0].architecture.comparable(), kind.architecture.comparable())
            or _other_tensor(kinds[0], kind)
            or _other_rotation(kinds[0], kind)
            or _other_token(sources[0]["tokenizer_id"], source["tokenizer_id"])
        )
        if difference:
            raise errors.invalid_parameter(
                f'models "{sources[0]["name"]}" and "{source["name"]}" cannot be merged',
                difference,
                "Merge models that were trained from one another.",
            )


def _other_value(here, there):
    """Says which value of the architecture differs; None if none does."""
    for field in (*here, *(field for field in there if field not in here)):
        if here.get(field) != there.get(field):
            return f"{field} is {json.dumps(here.get(field))} in one, {json.dumps(there.get(field))} in the other"
    return None


def _other_tensor(here, there):
    """Says which tensor only one of the models has; None if none. Rope's frequencies are compared elsewhere."""
    names = (here.tensors.keys() ^ there.tensors.keys()) - {ROPE_DIVISORS}
    return f'tensor "{min(names)}" is in one of them only' if names else None


def _other_rotation(here, there):
    """Says why the models rotate by different angles; None if they do not."""
    if diff.same_rotation(here, there):
        return None
    if ROPE_DIVISORS in here.tensors or ROPE_DIVISORS in there.tensors:
        return f'tensor "{ROPE_DIVISORS}" makes one turn q and k by other angles than the other'
    config = here.architecture.to_config(), there.architecture.to_config()
    return _other_value(*({name: values[name] for name in ("rope_theta", "rope_scaling")} for values in config))


def _other_token(here, there):
    """Says which token id stands for different bytes in two tokenizers; None if none does."""
    found = None if here == there else FIRST_OTHER_TOKEN.one(here, there)
    return None if found is None else f"their tokenizers differ: token {found['id']} is not the same in both"
