"""How the tables of the kinds are written down, drawn from and filled in.

A seed must always give the same values: every function draws from left to right, and nothing that it does not need;
the order of a table's entries counts.
"""

import re
import string

SLOT = re.compile(r"#|\{(\w+)(?:\+(\d+))?(?::(\w+))?\}")


def listed(text: str) -> tuple[str, ...]:
    """The entries of a table, between bars and ends of lines. One that stands there twice is drawn twice as often."""
    return tuple(re.split(r"\s*[|\n]\s*", text.strip()))


def spaced(*lines: str) -> tuple[str, ...]:
    """The entries between bare bars, with the spaces that belong to them."""
    return tuple("|".join(lines).split("|"))


def meant(text: str) -> tuple[tuple[str, str], ...]:
    """The (written, meant) pairs of a table whose lines are `meant = written | written`."""
    lines = (line.strip().partition(" = ") for line in text.strip().splitlines())
    return tuple((written, meaning) for meaning, _, several in lines for written in listed(several))


def rolled(rng, *shares: tuple[float, object]):
    """What one roll of [0, 1) chooses of (bound, choice) pairs with rising bounds: the first that the roll is below."""
    roll = rng.random()
    return next(choice for bound, choice in shares if roll < bound)


def fill(rng, form: str, **slots) -> str:
    """The form with its slots filled: `{n}`, `{n+5}`, `{n:02}`, and `#` for any digit.

    A string or a number is shown as it is, a function of rng is called, and of a table or a range one entry is drawn,
    which may be a form again. Nothing is drawn for a slot that the form does not have.
    """

    def shown(slot: re.Match) -> str:
        if slot[0] == "#":
            return rng.choice(string.digits)
        name, more, layout = slot.groups(default="")
        value = slots[name]
        if callable(value):
            value = value(rng)
        elif not isinstance(value, str | int):
            value = rng.choice(value)
            value = fill(rng, value, **slots) if isinstance(value, str) else value
        return format(value + int(more) if more else value, layout)

    return SLOT.sub(shown, form)
