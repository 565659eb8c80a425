"""Generated training values for `tidy`: a kind, what someone typed, and the one right answer by RULES.md.

Everything is a pure function of a seed. The handwritten list is never read here. A value whose hash falls into one
bucket of 32 is `held_out`: training skips it, so that evaluation is on values never trained on.

    python tidy/data.py --count 20 --seed 1 [--kind date]
"""

import argparse
import functools
import hashlib
import random
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kinds import booleans, dates, durations, forms, money, noise, percents, phones, quantities, times

UNKNOWN = "unknown"
LONGEST = 56  # characters of a value


class Kind(NamedTuple):
    """How values of a kind are generated: share of the data, generator, words, and noise."""

    share: float
    generate: Callable[[random.Random], tuple[str, str]]
    words: object
    fillers: bool = True
    quotes: bool = True
    strangers: tuple[str, ...] = ()  # kinds whose values are `unknown` here, whatever they are


KINDS = {
    "date": Kind(
        0.145,
        functools.partial(dates.generate, order=None),
        dates,
        strangers=("time", "money", "quantity", "percent", "boolean"),
    ),
    "date_us": Kind(
        0.10,
        functools.partial(dates.generate, order="us"),
        dates,
        strangers=("time", "money", "quantity", "percent", "boolean"),
    ),
    "date_eu": Kind(
        0.10,
        functools.partial(dates.generate, order="eu"),
        dates,
        strangers=("time", "money", "quantity", "percent", "boolean"),
    ),
    "time": Kind(0.125, times.generate, times, strangers=("money", "boolean", "quantity", "named")),
    "money": Kind(0.145, money.generate, money, strangers=("time", "boolean", "percent", "named", "quantity", "phone")),
    "duration": Kind(
        0.13, durations.generate, durations, quotes=False, strangers=("money", "boolean", "percent", "named", "phone")
    ),
    "quantity": Kind(
        0.12, quantities.generate, quantities, quotes=False, strangers=("money", "boolean", "percent", "named", "time")
    ),
    "percent": Kind(0.065, percents.generate, percents, strangers=("money", "quantity", "time", "named")),
    "boolean": Kind(
        0.04, booleans.generate, booleans, fillers=False, strangers=("money", "quantity", "named", "time", "percent")
    ),
    "phone": Kind(
        0.07, phones.generate, phones, fillers=False, strangers=("money", "boolean", "time", "named", "percent")
    ),
}
STRANGERS = {  # kind: the form of its values among those of another
    "named": "{named}",
    "phone": "{phone}",
    "percent": "{n}{percent}",
    "boolean": "{boolean}",
    "quantity": "{n} {unit}",
    "time": "{hour}:{minute} {half}",
    "money": "{sign}{amount}",
}
STRANGERS_SLOTS = {  # of these forms
    "named": lambda rng: dates.named(rng)[0],
    "phone": lambda rng: phones.american(rng)[0],
    "n": range(1, 100),
    "percent": ("%", " %", " percent"),
    "boolean": ("yes", "no", "true", "false", "y", "n", "TRUE", "nope"),
    "unit": ("kg", "km", "cm", "lbs", "liters", "ml", "miles", "mm"),
    "hour": range(1, 13),
    "minute": range(10, 60),
    "half": ("am", "pm"),
    "sign": ("$", "€", "£"),
    "amount": range(1, 10_000),
}


class Example(NamedTuple):
    kind: str
    text: str
    answer: str

    @property
    def prompt(self) -> str:
        """The prompt for the model."""
        return f"{self.kind}: {self.text}"


def _stranger(rng: random.Random, kind: str) -> str:
    """A value of another kind that cannot be read as this one."""
    return forms.fill(rng, STRANGERS[rng.choice(KINDS[kind].strangers)], **STRANGERS_SLOTS)


def example(rng: random.Random, kind: str | None = None, roughness: float = 1.0) -> Example:
    """One value. roughness: from 0, clean values, to 1, the full share of typos, labels, odd spaces and nonsense."""
    kind = kind or rng.choices(tuple(KINDS), [k.share for k in KINDS.values()])[0]
    spec = KINDS[kind]
    while True:
        roll = rng.random()
        if roll < 0.015 * roughness:
            text, answer = noise.nonsense(rng), UNKNOWN
        elif roll < 0.035 * roughness:
            text, answer = _stranger(rng, kind), UNKNOWN
        else:
            text, answer = spec.generate(rng)
        if rng.random() < 0.10 * roughness:
            text = noise.typo(rng, text, spec.words.KNOWN)
        if rng.random() < 0.7 * roughness:
            text = noise.dress(rng, noise.recase(rng, text), spec.words.LABELS, spec.fillers, spec.quotes)
        if len(text) <= LONGEST:
            return Example(kind, text, answer)


def held_out(item: Example) -> bool:
    """Whether this value is held out of training. Short values are not, because there are too few."""
    return len(item.text) >= 6 and hashlib.blake2b(item.prompt.encode(), digest_size=1).digest()[0] < 8


def training(seed: int, count: int, roughness: float = 1.0, kinds: tuple[str, ...] | None = None) -> Iterator[Example]:
    """count training values, of all kinds in their shares, or evenly of some kinds."""
    rng = random.Random(f"tidy training {seed}")
    while count:
        item = example(rng, rng.choice(kinds) if kinds else None, roughness)
        if not held_out(item):
            count -= 1
            yield item


def unseen(seed: int, count: int, kinds: tuple[str, ...] | None = None) -> list[Example]:
    """count distinct held-out values, of all kinds in their shares, or evenly of some kinds."""
    rng = random.Random(f"tidy unseen {seed}")
    found: dict[str, Example] = {}
    while len(found) < count:
        item = example(rng, rng.choice(kinds) if kinds else None)
        if held_out(item):
            found.setdefault(item.prompt, item)
    return list(found.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=KINDS)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    for _ in range(options.count):
        item = example(rng, options.kind)
        print(f"{item.prompt!r:70} {item.answer}")


if __name__ == "__main__":
    main()
