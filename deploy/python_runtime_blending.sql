-- Deploy hartonomous:python_runtime_blending to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/blending.py by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.blending()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Several stored models to one new: llm.merge. The arithmetic is in `merging`, the models must be of one kind."""

import json

import numpy as np

from . import arguments, errors, merging, rewriting, stored_models, weights

METHODS = ("linear", "slerp", "task_arithmetic", "ties")
WITH_BASE = ("task_arithmetic", "ties")
LARGEST = 1e6  # a weight beyond is a mistake
MOST_MODELS = 64


def merge(models, new, factors, method, base, density, scale):
    """A new model of several, tensor by tensor. Returns the largest rounding error of encoding it.

    One tensor of each model is in memory at a time, as f32. Tensors have the first model's types; those that are equal
    in all models are shared.
    """
    names = _names(models)
    factors, method = _recipe(len(names), factors, method, base)
    density = arguments.number("density", density, 0.2, 0.0, 1.0)
    scale = arguments.number("scale", scale, 1.0, -LARGEST, LARGEST)
    parents = names if base is None else [*names, base]
    found = {name: stored_models.found(name) for name in dict.fromkeys(parents)}
    sources = [found[name] for name in parents]
    _check_same_kind(sources)
    tensors = [stored_models.tensors(source) for source in sources]
    for tensor in tensors[0].values():
        stored_models.check_encodable(sources[0], tensor)
    copy = stored_models.new_model(sources[0], new)
    keeps_equal = method != "linear" or abs(sum(factors) - 1.0) < 1e-9
    hashes, largest = {}, 0.0
    for name, first in tensors[0].items():
        parts = [of_model[name] for of_model in tensors]
        if keeps_equal and all(part.hash == first.hash for part in parts):
            hashes[name] = first.hash
            continue
        try:
            with np.errstate(over="raise", invalid="raise"):
                values = _merged([weights.decoded(part) for part in parts], factors, method, density, scale)
        except FloatingPointError:
            raise errors.invalid_parameter(
                f'tensor "{name}" cannot be merged', "its weights or those of a sum grow beyond float32"
            ) from None
        hashes[name], error = rewriting.write(name, first.type, first.shape, values)
        largest = max(largest, error)
    stored_models.add_tensors(copy, hashes)
    details = {"method": method, "weights": factors, "error": largest}
    if base is not None:
        details |= {"base": base, "scale": scale} | ({"density": density} if method == "ties" else {})
    stored_models.finish(copy, "merge", details, parents, sources[0]["hash"])
    return largest


def _merged(arrays, factors, method, density, scale):
    """The merged values of one tensor; the base is the last of `arrays` where the method has one.

    Raises FloatingPointError where a sum or a difference grows beyond float32: ties would take it for no change.
    """
    match method:
        case "linear":
            return merging.linear(arrays, factors)
        case "slerp":
            return merging.slerp(*arrays, factors[1] / sum(factors))
        case "task_arithmetic":
            return merging.task_arithmetic(arrays[-1], arrays[:-1], factors, scale)
        case "ties":
            return merging.ties(arrays[-1], arrays[:-1], factors, density, scale)


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
    factors = [arguments.number("weights", factor, None, -LARGEST, LARGEST) for factor in factors]
    if method == "slerp" and not (min(factors) >= 0 and sum(factors) > 0):
        raise arguments.ill("weights", factors, "two numbers from 0 on, one of them above 0, for slerp")
    return factors, method


def _check_same_kind(sources):
    """Raise ModelError 22023 unless the models have one architecture and one tokenizer."""
    first = sources[0]
    kinds = [json.loads(source["architecture"]) for source in sources]
    for source, kind in zip(sources, kinds, strict=True):
        for field in kinds[0]:
            if kind.get(field) != kinds[0][field]:
                raise errors.invalid_parameter(
                    f'models "{first["name"]}" and "{source["name"]}" cannot be merged',
                    f"{field} is {json.dumps(kinds[0][field])} in one, {json.dumps(kind.get(field))} in the other",
                    "Merge models that were trained from one another.",
                )
        if source["tokenizer_id"] != first["tokenizer_id"]:
            raise errors.invalid_parameter(
                f'models "{first["name"]}" and "{source["name"]}" cannot be merged', "their tokenizers differ"
            )
$python$;

REVOKE ALL ON FUNCTION llm_runtime.blending() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.blending() IS
'Several stored models to one new: llm.merge. The arithmetic is in `merging`, the models must be of one kind.';

COMMIT;
