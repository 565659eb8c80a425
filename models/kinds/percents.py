"""Percentages, answered as the number before the sign."""

from . import numbers

SIGNS = (
    "%",
    "%",
    "%",
    " %",
    " %",
    " percent",
    " per cent",
    " pct",
    "pct",
    " Prozent",
    " pour cent",
    " por ciento",
    " percent",
    " PCT",
    " %",
    " per cento",
)
LABELS = (
    "rate",
    "share",
    "discount",
    "tax",
    "vat",
    "growth",
    "margin",
    "interest",
    "score",
    "Rabatt",
    "yield",
    "change",
)
KNOWN = frozenset(
    [
        *numbers.WORDS,
        "percent",
        "prozent",
        "ciento",
        "cent",
        "cento",
        "fifth",
        "fifths",
        "tenth",
        "tenths",
        "basis",
        "points",
        "minus",
        "plus",
        "quarter",
        "quarters",
    ]
)


def digits(rng) -> tuple[str, str]:
    """Digits with or without a sign."""
    whole = rng.choice(
        (
            rng.randint(0, 9),
            rng.randint(0, 99),
            rng.randint(0, 99),
            rng.randint(10, 100),
            100,
            rng.randint(100, 999),
            rng.randint(1000, 9999),
        )
    )
    decimals = rng.choices(
        (
            "",
            str(rng.randint(0, 9)),
            f"{rng.randint(0, 99):02}",
            f"{rng.randint(0, 999):03}",
            f"{rng.randint(0, 9999):04}",
        ),
        (46, 30, 16, 6, 2),
    )[0]
    text = numbers.write(rng, whole, decimals)
    value = numbers.read(text, lone_point_is_thousands=False)
    if value is None:
        return f"{text}%", "unknown"
    answer = f"{value[0]}.{value[1] or '0'}"
    roll = rng.random()
    minus = roll < 0.10
    if minus:
        text, answer = rng.choice(("-", "-", "- ", "minus ", "\u2212", "negative ")) + text, "-" + answer
    elif roll < 0.15:
        text = rng.choice(("+", "+ ", "plus ")) + text
    roll = rng.random()
    if roll < 0.20:
        return text, answer
    if roll < 0.24 and not minus:
        return f"%{rng.choice(('', ' '))}{text}", answer
    return text + rng.choice(SIGNS), answer


def worded(rng) -> tuple[str, str]:
    """Words, fractions and basis points."""
    roll = rng.random()
    if roll < 0.42:
        whole = rng.choice(
            (
                rng.randint(0, 20),
                rng.randint(1, 100),
                rng.randint(2, 19) * 5,
                rng.choice((100, 150, 200, 300, 110, 125)),
            )
        )
        half = rng.random() < 0.15
        shown = numbers.words(rng, whole) + (" and a half" if half else "")
        if not half and rng.random() < 0.15:
            decimal = rng.randint(1, 9)
            return (
                f"{shown} point {numbers.ONES[decimal]}{rng.choice((' percent', ' per cent', ' pct', ' %'))}",
                f"{whole}.{decimal}",
            )
        return (
            f"{shown}{rng.choice((' percent', ' percent', ' per cent', ' pct', ' %', '', ' Prozent'))}",
            f"{whole}.{5 if half else 0}",
        )
    if roll < 0.55:
        return rng.choice(
            (
                ("half", "50.0"),
                ("a half", "50.0"),
                ("one half", "50.0"),
                ("a quarter", "25.0"),
                ("one quarter", "25.0"),
                ("quarter", "25.0"),
                ("three quarters", "75.0"),
                ("three-quarters", "75.0"),
                ("a fifth", "20.0"),
                ("one fifth", "20.0"),
                ("two fifths", "40.0"),
                ("three fifths", "60.0"),
                ("four fifths", "80.0"),
                ("a tenth", "10.0"),
                ("one tenth", "10.0"),
                ("three tenths", "30.0"),
                ("seven tenths", "70.0"),
                ("nine tenths", "90.0"),
                ("½", "50.0"),
                ("¼", "25.0"),
                ("¾", "75.0"),
                ("half of it", "50.0"),
                ("a quarter of it", "25.0"),
                ("one in two", "50.0"),
                ("one in four", "25.0"),
                ("one in five", "20.0"),
                ("one in ten", "10.0"),
                ("½ %", "0.5"),
                ("half a percent", "0.5"),
                ("1/2 %", "0.5"),
                ("half a per cent", "0.5"),
                ("a quarter percent", "0.25"),
                ("quarter of a percent", "0.25"),
                ("1/4 %", "0.25"),
                ("3/4%", "0.75"),
            )
        )
    if roll < 0.80:
        below = rng.choice((2, 4, 5, 10))
        above = rng.randint(1, below)
        link = rng.choice(("/", "/", " / ", " in ", " in ", " out of ", " of ", " out of "))
        return f"{above}{link}{below}", f"{100 * above // below}.0"
    points = rng.choice(
        (rng.randint(1, 99), rng.choice((25, 50, 75, 100, 10, 5, 150, 200, 250, 125)), rng.randint(100, 999))
    )
    return (
        f"{points}{rng.choice((' bps', 'bps', ' bp', 'bp', ' basis points', ' bps'))}",
        f"{points // 100}.{points % 100:02}".removesuffix("0")
        if points % 100 % 10 == 0
        else f"{points // 100}.{points % 100:02}",
    )


def none(rng) -> tuple[str, str]:
    """Ranges, bounds, endless fractions and other things."""
    n = rng.randint(1, 95)
    text = rng.choice(
        (
            lambda: f"{n}-{n + 5}%",
            lambda: f"{n} - {n + 5} %",
            lambda: f"{n}% to {n + 5}%",
            lambda: f"{n} to {n + 5} percent",
            lambda: f">{n}%",
            lambda: f"> {n} %",
            lambda: f"<{n}%",
            lambda: f"≥ {n}%",
            lambda: f"at least {n}%",
            lambda: f"more than {n}%",
            lambda: f"under {n} %",
            lambda: f"over {n}%",
            lambda: f"up to {n}%",
            lambda: f"less than {n} percent",
            lambda: f"between {n} and {n + 5}%",
            lambda: f"{n}% or {n + 5}%",
            lambda: f"max {n}%",
            lambda: f"{n}%/{n + 1}%",
            lambda: f"${n}",
            lambda: f"€{n}",
            lambda: f"{n} EUR",
            lambda: f"{n} kg",
            lambda: f"{n} people",
            lambda: f"{n} points",
            lambda: f"{n}+%",
            lambda: "%",
            lambda: " percent",
            lambda: rng.choice(
                (
                    "a third",
                    "1/3",
                    "two thirds",
                    "2/3",
                    "1 in 3",
                    "1 in 7",
                    "one third",
                    "1 in 6",
                    "5/6",
                    "1/7",
                    "2 out of 3",
                    "most",
                    "all",
                    "some",
                    "majority",
                    "few",
                    "many",
                    "a lot",
                    "high",
                    "low",
                    "nearly all",
                    "one in three",
                    "a bit",
                    "minority",
                    "everyone",
                    "half-ish or more",
                    "double",
                    "a sixth",
                )
            ),
        )
    )()
    return text, "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a percentage."""
    roll = rng.random()
    return none(rng) if roll < 0.13 else digits(rng) if roll < 0.72 else worded(rng)
