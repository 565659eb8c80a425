"""Two long texts, the same each time: made-up words in sentences, and our little stories."""

import itertools
import random
from pathlib import Path

from tests.fixtures.stories.sentences import stories

STARTS = ("", "b", "br", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "pr", "r", "s", "st", "t", "v", "w", "z")
VOWELS = ("a", "e", "i", "o", "u", "ai", "ou", "é", "ö")
ENDS = ("", "n", "r", "s", "t", "l", "nd", "ck")
SYLLABLES = ["".join(parts) for parts in itertools.product(STARTS, VOWELS, ENDS)]
COMMON = ("the", "and", "to", "of", "a", "he", "in", "that", "was", "his", "it", "with", "said", "don't", "she's", "I")
CLOSES = (".", ".", ".", "?", "!", ";", "...", ' 1,234."', ". 1812.", "\u2014", ", \u00abOh\u00bb.")


def write(folder: Path) -> None:
    (folder / "war-and-peace.txt").write_text(novel(30_000), encoding="utf-8")
    (folder / "tinyshakespeare.txt").write_text("\n\n".join(stories(2, 1500)) + "\n" + novel(3000), encoding="utf-8")


def novel(lines: int) -> str:
    rng = random.Random(lines)
    words = ["".join(rng.choices(SYLLABLES, k=rng.choice((1, 2, 2, 3)))) for _ in range(8000)]
    weights = list(itertools.accumulate(1 / (rank + 2000) for rank in range(len(words))))
    return "\n".join(line(rng, words, weights) for _ in range(lines)) + "\n"


def line(rng: random.Random, words: list[str], weights: list[float]) -> str:
    """A line of some twelve words; now and then none, an indented one, or one of capitals."""
    kind = rng.random()
    if kind < 0.08:
        return ""
    found = rng.choices(words, cum_weights=weights, k=rng.randint(3, 9)) + rng.choices(COMMON, k=rng.randint(2, 6))
    rng.shuffle(found)
    text = " ".join(found).capitalize() + rng.choice(CLOSES)
    return f"  {text}" if kind < 0.13 else text.upper() if kind < 0.16 else text
