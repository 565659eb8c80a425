"""Numbers as people write them, and the rules of tidy/RULES.md that read them."""

import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

from .forms import listed

ONES = listed("""
    zero | one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve | thirteen | fourteen
    fifteen | sixteen | seventeen | eighteen | nineteen
""")
TENS = listed("- | - | twenty | thirty | forty | fifty | sixty | seventy | eighty | ninety")
ORDINALS = {1: "first", 2: "second", 3: "third", 5: "fifth", 8: "eighth", 9: "ninth", 12: "twelfth"}
WORDS = [*ONES, *TENS[2:], "hundred", "thousand", "million", "half", "quarter", "quarters", "point", "couple"]
MINUS = ("-", "-", "- ", "minus ", "\u2212")
THOUSANDS_MARKS = ",.' \u00a0_\u2019"
PARTS = {  # what stands in a text: the part of one that it names, the longer names first
    "three quarters": Fraction(3, 4),
    "quarter": Fraction(1, 4),
    "half": Fraction(1, 2),
    "3/4": Fraction(3, 4),
    "1/4": Fraction(1, 4),
    "1/2": Fraction(1, 2),
    "¾": Fraction(3, 4),
    "¼": Fraction(1, 4),
    "½": Fraction(1, 2),
}


def read(text: str, lone_point_is_thousands: bool) -> tuple[str, str] | None:
    """The digits (whole, decimals) of an unsigned number, by the rules; None if it breaks them."""
    text = re.sub(r"(?<=\d)[ '\u00a0_\u2019](?=\d{3}(?!\d))", "", text)
    if not re.fullmatch(r"[\d.,]*\d", text):
        return None
    marks = [mark for mark in text if mark in ".,"]
    if not marks:
        return str(int(text)), ""
    last = marks[-1]
    whole, decimals = text.rsplit(last, 1)
    lone = len(marks) == 1
    three = len(decimals) == 3 and re.fullmatch(r"[1-9]\d{0,2}", whole) is not None
    if (len(marks) > 1 and len(set(marks)) == 1) or (lone and three and (last == "," or lone_point_is_thousands)):
        return (re.sub("[.,]", "", text), "") if re.fullmatch(r"[1-9]\d{0,2}([.,]\d{3})+", text) else None
    if not lone:
        other = "." if last == "," else ","
        if last in whole or not re.fullmatch(rf"[1-9]\d{{0,2}}({re.escape(other)}\d{{3}})+", whole):
            return None
        whole = whole.replace(other, "")
    return str(int(whole or "0")), decimals


def write(rng, whole: int, decimals: str) -> str:
    """One way to write the number; `read` defines its value."""
    digits = str(whole)
    if whole >= 1000 and rng.random() < 0.6:
        mark = rng.choices(THOUSANDS_MARKS, (10, 6, 2, 4, 1, 0.3, 0.7))[0]
        digits = f"{whole:,}".replace(",", mark)
    else:
        mark = ""
    if not decimals:
        return digits
    point = rng.choice({",": ".", ".": ","}.get(mark, ".,,.."))
    return ("" if whole == 0 and rng.random() < 0.25 else digits) + point + decimals


def sized(rng, sizes: Iterable[int | Sequence[int]]) -> int:
    """A number of one size: one is drawn of each size that is a range or a table, then one of them all."""
    return rng.choice([size if isinstance(size, int) else rng.choice(size) for size in sizes])


def decimals(rng, *weights: float) -> str:
    """No digits behind the point, or one, two, ... of them, by the weights of these lengths."""
    drawn = [f"{rng.choice(range(10**length)):0{length}}" for length in range(1, len(weights))]
    return rng.choices(("", *drawn), weights)[0]


def part(text: str) -> Fraction:
    """The half, quarter or three quarters that a text names."""
    return next(value for name, value in PARTS.items() if name in text)


def words(rng, n: int) -> str:
    """English words of 0 <= n < 1,000,000,000, in one of the usual forms."""
    if n < 20:
        return ONES[n]
    if n < 100:
        return TENS[n // 10] + (rng.choice("-- ") + ONES[n % 10] if n % 10 else "")
    for size, name in ((1_000_000, "million"), (1000, "thousand"), (100, "hundred")):
        if n >= size:
            head, rest = divmod(n, size)
            start = "a" if head == 1 and rng.random() < 0.5 else words(rng, head)
            if not rest:
                return f"{start} {name}"
            link = " and " if rest < 100 and rng.random() < 0.65 else " "
            return f"{start} {name}{link}{words(rng, rest)}"


def ordinal(n: int) -> str:
    """`3rd`, `21st`."""
    return f"{n}{'th' if n % 100 in (11, 12, 13) else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def ordinal_words(rng, n: int) -> str:
    """`third`, `twenty-first`."""
    if n > 20 and n % 10:
        return TENS[n // 10] + rng.choice("-- ") + ordinal_words(rng, n % 10)
    if n >= 20:
        return TENS[n // 10][:-1] + "ieth"
    return ORDINALS.get(n) or ONES[n] + "th"


def plain(value: Fraction) -> str:
    """A finite decimal without exponent or needless zeros."""
    digits = f"{float(value):.6f}".rstrip("0").rstrip(".")
    assert Fraction(digits) == value, value
    return digits
