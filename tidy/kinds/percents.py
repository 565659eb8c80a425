"""Percentages, answered as the number before the sign."""

from . import numbers
from .forms import fill, listed, meant, rolled, spaced

SIGNS = spaced(
    "%|%|%| %| %| percent| per cent| pct|pct",
    " Prozent| pour cent| por ciento| percent| PCT| %| per cento",
)
LABELS = listed("rate | share | discount | tax | vat | growth | margin | interest | score | Rabatt | yield | change")
KNOWN = frozenset(numbers.WORDS) | frozenset(
    listed("""
        percent | prozent | ciento | cent | cento | fifth | fifths | tenth | tenths | basis | points | minus | plus
    """)
)
MINUS, PLUS = (*numbers.MINUS, "negative "), ("+", "+ ", "plus ")
SIZES = (range(10), range(100), range(100), range(10, 101), 100, range(100, 1000), range(1000, 10_000))
WORDED_SIZES = (range(21), range(1, 101), range(10, 100, 5), (100, 150, 200, 300, 110, 125))
BASIS_POINTS = (range(1, 100), (25, 50, 75, 100, 10, 5, 150, 200, 250, 125), range(100, 1000))
FRACTIONS = meant("""
    50.0 = half | a half | one half
    25.0 = a quarter | one quarter | quarter
    75.0 = three quarters | three-quarters
    20.0 = a fifth | one fifth
    40.0 = two fifths
    60.0 = three fifths
    80.0 = four fifths
    10.0 = a tenth | one tenth
    30.0 = three tenths
    70.0 = seven tenths
    90.0 = nine tenths
    50.0 = ½
    25.0 = ¼
    75.0 = ¾
    50.0 = half of it
    25.0 = a quarter of it
    50.0 = one in two
    25.0 = one in four
    20.0 = one in five
    10.0 = one in ten
    0.5 = ½ % | half a percent | 1/2 % | half a per cent
    0.25 = a quarter percent | quarter of a percent | 1/4 %
    0.75 = 3/4%
""")
# Ranges, bounds and choices, other units, and a sign alone.
NONE = (
    *listed("""
        {n}-{n+5}% | {n} - {n+5} % | {n}% to {n+5}% | {n} to {n+5} percent
        >{n}% | > {n} % | <{n}% | ≥ {n}% | at least {n}% | more than {n}% | under {n} % | over {n}% | up to {n}%
        less than {n} percent | between {n} and {n+5}% | {n}% or {n+5}% | max {n}% | {n}%/{n+1}%
        ${n} | €{n} | {n} EUR | {n} kg | {n} people | {n} points | {n}+% | %
    """),
    " percent",
    "{vague}",
)
VAGUE = listed("""
    a third | 1/3 | two thirds | 2/3 | 1 in 3 | 1 in 7 | one third | 1 in 6 | 5/6 | 1/7 | 2 out of 3
    most | all | some | majority | few | many | a lot | high | low | nearly all | one in three | a bit | minority
    everyone | half-ish or more | double | a sixth
""")


def digits(rng) -> tuple[str, str]:
    """Digits with or without a sign."""
    text = numbers.write(rng, numbers.sized(rng, SIZES), numbers.decimals(rng, 46, 30, 16, 6, 2))
    value = numbers.read(text, lone_point_is_thousands=False)
    if value is None:
        return f"{text}%", "unknown"
    answer = f"{value[0]}.{value[1] or '0'}"
    roll = rng.random()
    minus = roll < 0.10
    if minus:
        text, answer = rng.choice(MINUS) + text, "-" + answer
    elif roll < 0.15:
        text = rng.choice(PLUS) + text
    roll = rng.random()
    if roll < 0.20:
        return text, answer
    if roll < 0.24 and not minus:
        return f"%{rng.choice(('', ' '))}{text}", answer
    return text + rng.choice(SIGNS), answer


def spelled(rng) -> tuple[str, str]:
    """`twelve percent`, `twelve and a half pct`, `twelve point five per cent`."""
    whole = numbers.sized(rng, WORDED_SIZES)
    half = rng.random() < 0.15
    shown = numbers.words(rng, whole) + (" and a half" if half else "")
    if not half and rng.random() < 0.15:
        decimal = rng.randint(1, 9)
        sign = rng.choice((" percent", " per cent", " pct", " %"))
        return f"{shown} point {numbers.ONES[decimal]}{sign}", f"{whole}.{decimal}"
    sign = rng.choice((" percent", " percent", " per cent", " pct", " %", "", " Prozent"))
    return f"{shown}{sign}", f"{whole}.{5 if half else 0}"


def fraction(rng) -> tuple[str, str]:
    """Halves, quarters, fifths and tenths by name."""
    return rng.choice(FRACTIONS)


def ratio(rng) -> tuple[str, str]:
    """`3/4`, `1 in 5`, `2 out of 5`: what comes out even."""
    below = rng.choice((2, 4, 5, 10))
    above = rng.randint(1, below)
    link = rng.choice(("/", "/", " / ", " in ", " in ", " out of ", " of ", " out of "))
    return f"{above}{link}{below}", f"{100 * above // below}.0"


def basis_points(rng) -> tuple[str, str]:
    """`25 bps`: hundredths of a percent."""
    points = numbers.sized(rng, BASIS_POINTS)
    unit = rng.choice((" bps", "bps", " bp", "bp", " basis points", " bps"))
    return f"{points}{unit}", f"{points // 100}.{points % 100:02}".removesuffix("0")


def none(rng) -> tuple[str, str]:
    """Ranges, bounds, endless fractions and other things."""
    n = rng.randint(1, 95)
    return fill(rng, rng.choice(NONE), n=n, vague=VAGUE), "unknown"


def worded(rng) -> tuple[str, str]:
    """Words, fractions and basis points."""
    return rolled(rng, (0.42, spelled), (0.55, fraction), (0.80, ratio), (1, basis_points))(rng)


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a percentage."""
    return rolled(rng, (0.13, none), (0.72, digits), (1, worded))(rng)
