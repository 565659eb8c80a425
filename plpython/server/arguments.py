"""Checks the arguments of SQL callers: every value has a range, NULL is the default, an error names the argument.

All raise ModelError 22023 (invalid parameter value).
"""

import json

import numpy as np

from . import ceilings, errors

MOST_SHOWN = 200  # characters of a value in an error
MOST_OF_A_NAME = 1000  # characters of the name of a model, tensor or token
MOST_OF_A_NAME_SHOWN = 100
MOST_DIGITS = 4000  # of a whole number; Python's own limit is a little higher
MOST_OPTIONS = 1 << 20  # characters of an object of options
KIND_NAMES = {  # of an option's value
    bool: "true or false",
    list: "an array",
    dict: "an object",
    int: "an integer",
    float: "a number",
    str: "a string",
}


def integer(name, value, default, smallest, largest):
    """`value`, or `default` for None; an integer from smallest to largest. Without a default None is an error."""
    if value is None and default is not None:
        return default
    allowed = f"an integer from {smallest} to {largest}"
    if not is_integer(value):
        raise ill(name, value, allowed)
    if not smallest <= value <= largest:
        raise out_of_range(name, value, allowed)
    return value


def number(name, value, default, smallest, largest):
    """`value` as a float, or `default` for None; smallest <= value <= largest, so never NaN."""
    if value is None:
        return default
    if not smallest <= value <= largest:
        raise out_of_range(name, value, f"a number from {smallest:g} to {largest:g}")
    return float(value)


def name(what, value, hint=None):
    """The name of a model, tensor or token, or None. ModelError 42704 for one that is too long to exist."""
    if value is not None and len(value) > MOST_OF_A_NAME:
        raise errors.undefined_object(
            f'{what} "{shown_name(value)}" does not exist',
            f"the name has {len(value)} characters, allowed are {MOST_OF_A_NAME}",
            hint,
        )
    return value


def shown_name(name):
    """The part of a name that an error shows."""
    return name[:MOST_OF_A_NAME_SHOWN]


def strings(name, value):
    """A one-dimensional array of non-empty strings as a tuple; None is no strings."""
    value = () if value is None else tuple(value)
    for string in value:
        if not isinstance(string, str) or not string:
            raise ill(name, string, "an array of strings that are neither NULL nor empty")
    return value


def indices(name, value, size):
    """A one-dimensional array of integers from 0 to size - 1, without NULL, as a list."""
    if value is None:
        raise ill(name, value, "an array of integers")
    ceilings.require_elements(value, name)
    allowed = f"integers from 0 to {size - 1}, in one dimension"
    for number in value:
        if not is_integer(number):
            raise ill(name, number, allowed)
        if not 0 <= number < size:
            raise out_of_range(name, number, allowed)
    return list(value)


def positions(name, value, context):
    """Consecutive positions within a context of that size, as an array: int[n], n >= 1."""
    positions = indices(name, value, context)
    if not positions or positions != list(range(positions[0], positions[0] + len(positions))):
        raise ill(name, positions, "positions that follow each other, at least one")
    return np.asarray(positions)


def _whole(digits):
    """A whole number of JSON; infinity for one with more digits than Python reads."""
    return int(digits) if len(digits) <= MOST_DIGITS else float(digits)


def options(value, known):
    """A jsonb object (as text, None for NULL) as a dict. known: {key: (type, description)} of all allowed keys."""
    if value is not None and len(value) > MOST_OPTIONS:
        raise described("options", f"{len(value)} characters", f"an object of {MOST_OPTIONS} characters at most")
    try:
        given = {} if value is None else json.loads(value, parse_int=_whole)
    except RecursionError:
        raise described("options", "nested too deeply", "an object that is nested less") from None
    if not isinstance(given, dict):
        raise ill("options", given, "an object")
    for key, content in given.items():
        if key not in known:
            raise errors.invalid_parameter(
                f'unknown option "{key}"',
                hint="Options are " + "; ".join(f"{name}: {text}" for name, (_, text) in known.items()) + ".",
            )
        kind = known[key][0]
        if not _is_of_kind(content, kind):
            raise ill(f"options.{key}", content, KIND_NAMES[kind])
    return given


def _is_of_kind(value, kind):
    """Whether a value of JSON is of a kind; every integer is a number too."""
    return is_integer(value) or isinstance(value, float) if kind is float else type(value) is kind


def is_integer(value):
    """Whether `value` is an integer and not a boolean, which Python takes for one."""
    return isinstance(value, int) and not isinstance(value, bool)


def ill(name, value, allowed):
    """The error for an argument of the wrong kind, shape or size."""
    return described(name, shown(value), allowed)


def described(name, description, allowed):
    """The same error with a description of the value, such as "12 numbers"."""
    kind = "setting" if name.startswith("llm.") else "argument"
    return errors.invalid_parameter(f"{kind} {name} does not fit", f"{name} is {description}, allowed is {allowed}")


def out_of_range(name, value, allowed):
    """The error for a number that is too small or too large."""
    return errors.invalid_parameter(f"{name} is out of range", f"{name} is {shown(value)}, allowed is {allowed}")


def shown(value):
    """A value as Python writes it, truncated to 200 characters; None is null."""
    if value is None:
        return "null"
    text = repr(value if not isinstance(value, (str, bytes, list)) else value[: MOST_SHOWN + 1])
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}\u2026"
