"""How often `tidy` is right: exact answers by kind with 95% Wilson intervals, from the GGUF file, in the numpy engine.

    python tidy/evaluate.py tidy/tidy.gguf [--count 2000] [--seed 1] [--dsn postgresql://...] [--failures]
                              [--without 500000]

Four lists: values of tidy/data.py that training never saw, tidy/handwritten.tsv, the 29th of February of a
hundred years, and round amounts of millions. Some handwritten values are so common that the generator makes them too:
--without leaves those out that are among so many generated ones. Plain greedy decoding of the prompt
`<kind>: <value>`. With --dsn every answer but `unknown` is cast to its SQL type by that server.
"""

import argparse
import calendar
import csv
import math
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import data  # noqa: E402

from loaders.reader import read_model  # noqa: E402
from plpython.model import encodings  # noqa: E402
from plpython.model.tokenizer import Tokenizer  # noqa: E402
from plpython.reference.decoder import NumpyEngine  # noqa: E402

HANDWRITTEN = HERE / "handwritten.tsv"
LIMIT = 32  # tokens of an answer
CASTS = {
    "date": "SELECT %s::text::date",
    "date_us": "SELECT %s::text::date",
    "date_eu": "SELECT %s::text::date",
    "time": "SELECT %s::text::time",
    "duration": "SELECT %s::text::interval",
    "percent": "SELECT %s::text::numeric",
    "boolean": "SELECT %s::text::boolean",
    "money": "SELECT split_part(a, ' ', 1)::numeric, split_part(a, ' ', 2)::char(3) FROM (SELECT %s::text AS a) q",
    "quantity": "SELECT split_part(a, ' ', 1)::numeric, split_part(a, ' ', 2)::text FROM (SELECT %s::text AS a) q",
    "phone": r"SELECT 1 / (a ~ '^\+[1-9][0-9]{7,14}$')::int FROM (SELECT %s::text AS a) q",
}


class Cleaner:
    """The model of a GGUF file, run by the numpy engine."""

    def __init__(self, path: Path):
        source = read_model(path)
        weights = {t.name: encodings.decode(t.type, np.frombuffer(t.data, np.uint8), t.shape) for t in source.tensors}
        self.engine = NumpyEngine(source.architecture, weights)
        self.tokenizer = Tokenizer(source.tokenizer_definition, source.tokenizer_settings)

    def answer(self, prompt: str) -> str:
        """The greedy continuation of a prompt."""
        fresh, said, cache = self.tokenizer.encode(prompt), [], self.engine.new_cache()
        while len(said) < LIMIT:
            token = int(self.engine.forward(fresh, cache)[-1].argmax())
            if token in self.tokenizer.eos_ids:
                break
            said.append(token)
            fresh = [token]
        return self.tokenizer.decode(said)


def handwritten() -> list[data.Example]:
    """The values that were written by hand before the generator existed."""
    with HANDWRITTEN.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [data.Example(row["kind"], row["input"], row["answer"]) for row in rows]


def uncommon(items: list[data.Example], count: int) -> list[data.Example]:
    """The values that are not, letter for letter, among `count` training values."""
    made = {item.prompt for item in data.training(1, count)}
    return [item for item in items if item.prompt not in made]


def leap_days() -> list[data.Example]:
    """The 29th of February of a hundred years, in four forms: one in four is a day."""
    forms = "29 Feb {}", "February 29, {}", "{}-02-29", "29.02.{}"
    return [
        data.Example("date", form.format(year), f"{year}-02-29" if calendar.isleap(year) else data.UNKNOWN)
        for year in range(1960, 2060)
        for form in forms
    ]


def round_amounts() -> list[data.Example]:
    """Amounts of one to ten millions with many zeros, which are easily miscounted."""
    forms = {"${:,}": "USD", "{:,} USD": "USD", "{:,} EUR": "EUR", "EUR {}": "EUR"}
    return [
        data.Example("money", form.format(amount), f"{amount}.00 {code}")
        for amount in range(1_000_000, 10_000_000, 300_000)
        for form, code in forms.items()
    ]


def wilson(hits: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    share, square = hits / trials, z * z
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    half = z / (1 + square / trials) * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    return middle - half, middle + half


def uncastable(dsn: str, said: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The (kind, answer) pairs that PostgreSQL cannot cast."""
    import psycopg

    bad = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for kind, answer in sorted(set(said)):
            if answer != data.UNKNOWN:
                try:
                    connection.execute(CASTS[kind], (answer,))
                except psycopg.DataError:
                    bad.append((kind, answer))
    return bad


def table(items: list[data.Example], said: list[str]) -> str:
    """Markdown: values, right ones, share and interval by kind."""
    lines = ["| kind | values | right | share | 95% interval |", "|---|---|---|---|---|"]
    for kind in ("all", *(kind for kind in data.KINDS if any(item.kind == kind for item in items))):
        hits = [item.answer == answer for item, answer in zip(items, said, strict=True) if kind in ("all", item.kind)]
        low, high = wilson(sum(hits), len(hits))
        lines.append(f"| {kind} | {len(hits)} | {sum(hits)} | {sum(hits) / len(hits):.1%} | {low:.1%} to {high:.1%} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dsn", help="a PostgreSQL server that casts every answer")
    parser.add_argument("--without", type=int, default=0, help="leave handwritten values out that are so common")
    parser.add_argument("--failures", action="store_true", help="list the wrong answers")
    options = parser.parse_args()
    cleaner, everything = Cleaner(options.model), []
    lists = {
        "unseen": data.unseen(options.seed, options.count),
        "handwritten": uncommon(handwritten(), options.without),
        "29 February": leap_days(),
        "round amounts": round_amounts(),
    }
    for name, items in lists.items():
        said = [cleaner.answer(item.prompt) for item in items]
        everything += [(item.kind, answer) for item, answer in zip(items, said, strict=True)]
        print(f"\n{name}\n\n{table(items, said)}")
        if options.failures:
            for item, answer in zip(items, said, strict=True):
                if answer != item.answer:
                    print(f"  {item.prompt!r}: said {answer!r}, right is {item.answer!r}")
    if options.dsn:
        bad = uncastable(options.dsn, everything)
        print(f"\nanswers that do not cast: {len(bad)} {bad[:20]}")
        return 1 if bad else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
