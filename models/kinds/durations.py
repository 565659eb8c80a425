"""Lengths of time, answered in the units they were written in."""

from fractions import Fraction

from . import numbers

UNITS = {  # unit: (usual spellings, German)
    "year": (("years", "year", "yrs", "yr", "y"), ("Jahre", "Jahr", "Jahren")),
    "month": (("months", "month", "mos", "mo", "mths", "mth"), ("Monate", "Monat", "Monaten")),
    "week": (("weeks", "week", "wks", "wk", "w"), ("Wochen", "Woche")),
    "day": (("days", "day", "d", "dys"), ("Tage", "Tag", "Tagen")),
    "hour": (("hours", "hour", "hrs", "hr", "h", "h", "hrs."), ("Stunden", "Stunde", "Std", "Std.")),
    "minute": (("minutes", "minute", "mins", "min", "m", "min.", "min"), ("Minuten", "Minute", "Min")),
    "second": (("seconds", "second", "secs", "sec", "s", "s", "sec."), ("Sekunden", "Sekunde", "Sek")),
    "millisecond": (("milliseconds", "ms", "ms", "millisecond", "msec"), ("Millisekunden",)),
}
NEXT = {
    "year": ("month", 12),
    "month": ("day", 30),
    "week": ("day", 7),
    "day": ("hour", 24),
    "hour": ("minute", 60),
    "minute": ("second", 60),
}
ORDER = tuple(UNITS)
LABELS = ("duration", "length", "takes", "for", "took", "time", "Dauer", "lasts", "runtime", "elapsed")
KNOWN = frozenset(
    [
        *numbers.WORDS,
        *(name.lower() for spellings in UNITS.values() for names in spellings for name in names),
        "fortnight",
        "fortnights",
        "decade",
        "decades",
        "halfs",
        "eine",
        "zwei",
        "drei",
        "sechs",
        "sieben",
        "quarter",
    ]
)
MINUTE_MARKS, SECOND_MARKS = ("'", "\u2032"), ('"', "\u2033", "''")
OTHER_UNITS = [
    "times",
    "pages",
    "people",
    "steps",
    "laps",
    "x",
    "moons",
    "lightyears",
    "sprints",
    "shifts",
    "sessions",
    "semesters",
]
WEIGHTS = (9, 9, 10, 16, 24, 22, 14, 4)


def unit(count: str, name: str) -> str:
    """`1 hour`, `2 hours`, `2.5 seconds`."""
    return f"{count} {name}{'' if count == '1' else 's'}"


def carry(value: Fraction, name: str) -> str | None:
    """The value in whole units, its fraction carried into smaller ones; None when it does not come out even."""
    parts = []
    while name in NEXT:
        whole = int(value)
        if whole:
            parts.append(unit(str(whole), name))
        value -= whole
        if not value:
            break
        name, size = NEXT[name]
        value *= size
    else:
        if value and (value * 1000).denominator != 1:
            return None
        if value:
            parts.append(unit(numbers.plain(value), name))
    return " ".join(parts) or None


def _count(rng, name: str) -> int:
    top = {
        "year": 30,
        "month": 36,
        "week": 52,
        "day": 120,
        "hour": 72,
        "minute": 180,
        "second": 300,
        "millisecond": 5000,
    }[name]
    return rng.choice((1, 2, rng.randint(1, 9), rng.randint(1, 12), rng.randint(1, 60), rng.randint(1, top)))


def _spelling(rng, name: str) -> str:
    return rng.choice(UNITS[name][rng.random() < 0.09])


def one(rng) -> tuple[str, str]:
    """One number and one unit."""
    name = rng.choices(ORDER, WEIGHTS)[0]
    count = 0 if rng.random() < 0.015 else _count(rng, name)
    answer = unit(str(count), name)
    if rng.random() < 0.25:
        shown = numbers.words(rng, count)
        if count == 1 and rng.random() < 0.5:
            shown = "an" if name == "hour" else "a"
        spelled = rng.choice((name, name + "s", name + "s")) if count != 1 else name
        return f"{shown}{rng.choice(('-', ' ', ' ', ' ', ' '))}{spelled}", answer
    roll = rng.random()
    if roll < 0.06:
        return rng.choice(
            (
                ("a fortnight", "2 weeks"),
                ("one fortnight", "2 weeks"),
                ("fortnight", "2 weeks"),
                ("a decade", "10 years"),
                ("a decade", "10 years"),
                (f"a couple of {name}s", unit("2", name)),
                (f"a couple {name}s", unit("2", name)),
                (f"couple of {name}s", unit("2", name)),
                ("two fortnights", "4 weeks"),
                ("2 decades", "20 years"),
                ("two decades", "20 years"),
                ("a full day", "1 day"),
                ("a whole week", "1 week"),
            )
        )
    if roll < 0.10 and name != "millisecond":
        german = {
            1: "eine",
            2: "zwei",
            3: "drei",
            4: "vier",
            5: "fünf",
            6: "sechs",
            7: "sieben",
            8: "acht",
            9: "neun",
            10: "zehn",
            12: "zwölf",
        }
        count = rng.choice(tuple(german))
        return f"{german[count]} {rng.choice(UNITS[name][1][:1] if count > 1 else UNITS[name][1][1:2])}", unit(
            str(count), name
        )
    return f"{count:0{rng.choice((1, 1, 1, 1, 2))}}{rng.choice(('', ' ', ' ', ' '))}{_spelling(rng, name)}", answer


def several(rng) -> tuple[str, str]:
    """Neighbouring units, with every link between them."""
    start = rng.choices(range(7), (12, 5, 5, 14, 34, 20, 10))[0]
    names = ORDER[start : start + rng.choices((2, 3), (80, 20))[0]]
    if start == 0 and len(names) > 1 and rng.random() < 0.3:
        names = (names[0], rng.choice(("day", "week")))
    if len(names) < 2 or ("millisecond" in names and rng.random() < 0.8):
        names = ("hour", "minute")
    counts = [rng.randint(0, 59) if rng.random() < 0.1 else max(1, _count(rng, name) % 60) for name in names]
    if not any(counts):
        counts[0] = 1
    worded, space, link = (
        rng.random() < 0.15,
        rng.choice(("", " ", " ")),
        rng.choice((" ", " ", "", ", ", " and ", " & ", ",")),
    )
    long = rng.random() < 0.5
    pieces = []
    for count, name in zip(counts, names, strict=True):
        spelled = (name + ("" if count == 1 else "s")) if long or worded else rng.choice(UNITS[name][0])
        pieces.append(f"{numbers.words(rng, count)} {spelled}" if worded else f"{count}{space}{spelled}")
    if worded and not link.strip(","):
        link = " "
    text = link.join(pieces)
    if len(pieces) == 3 and rng.random() < 0.6:
        text = f"{pieces[0]}, {pieces[1]}{rng.choice((' and ', ', ', ', and ', ' & ', ' '))}{pieces[2]}"
    return text, " ".join(unit(str(count), name) for count, name in zip(counts, names, strict=True) if count)


def fraction(rng) -> tuple[str, str]:
    """`1.5 h`, `two and a half days`, `half an hour`, `three quarters of an hour`."""
    name = rng.choices(("year", "month", "week", "day", "hour", "minute", "second"), (10, 5, 8, 14, 40, 12, 11))[0]
    whole = rng.choice((0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 24))
    article = "an" if name == "hour" else "a"
    plural = name + "s"
    roll = rng.random()
    if roll < 0.48:
        decimals = rng.choice(
            (
                "5",
                "5",
                "5",
                "25",
                "75",
                "50",
                "0",
                str(rng.randint(1, 9)),
                f"{rng.randint(1, 99):02}" if name == "second" else "5",
            )
        )
        value = Fraction(f"{whole}.{decimals}")
        shown = ("" if whole == 0 and rng.random() < 0.2 else str(whole)) + rng.choice(".,.") + decimals
        if name == "second":
            answer = unit(f"{whole}.{decimals}", "second")
        else:
            answer = carry(value, name) or ("unknown" if value else unit("0", name))
        return f"{shown}{rng.choice(('', ' ', ' '))}{_spelling(rng, name)}", answer
    if roll < 0.62:
        text, value = rng.choice(
            (
                (f"half {article} {name}", 0.5),
                (f"half {article} {name}", 0.5),
                (f"half {name}", 0.5),
                (f"{article} half {name}", 0.5),
                (f"half-{name}", 0.5),
                (f"a quarter of {article} {name}", 0.25),
                (f"quarter of {article} {name}", 0.25),
                (f"quarter {name}", 0.25),
                (f"three quarters of {article} {name}", 0.75),
                (f"1/2 {name}", 0.5),
                (f"½ {name}", 0.5),
                (f"1/4 {name}", 0.25),
                (f"3/4 {name}", 0.75),
                (f"3/4 of {article} {name}", 0.75),
                (f"¼ {name}", 0.25),
                (f"¾ {name}", 0.75),
            )
        )
        value = Fraction(value)
    elif roll < 0.70:
        value = 1 + Fraction(1, 2)
        text = rng.choice(
            (
                f"{article} {name} and a half",
                f"one {name} and a half",
                f"one and a half {plural}",
                f"1 {name} and a half",
                f"1 and a half {plural}",
                f"{article} {name} and half",
            )
        )
    else:
        whole = max(whole, 1)
        half, value = rng.choice(
            (
                ("and a half", 0.5),
                ("and a half", 0.5),
                ("1/2", 0.5),
                ("½", 0.5),
                ("1/4", 0.25),
                ("3/4", 0.75),
                ("¼", 0.25),
                ("and a quarter", 0.25),
                ("and three quarters", 0.75),
                ("and half", 0.5),
            )
        )
        value = whole + Fraction(value)
        digits = "/" in half or not half[0].isalpha() or rng.random() < 0.3
        shown = str(whole) if digits else numbers.words(rng, whole)
        gap = "" if half in "½¼¾" and rng.random() < 0.6 else " "
        text = f"{shown}{gap}{half} {rng.choice((plural, plural, plural, rng.choice(UNITS[name][0])))}"
    if name == "second":
        return text, unit(numbers.plain(value), "second")
    return text, carry(value, name) or "unknown"


def clock(rng) -> tuple[str, str]:
    """`1:30`, `1:02:03`, `1h30`, ISO 8601, and marks for minutes and seconds."""
    hours, minutes, seconds = (
        rng.choice((0, 1, 2, rng.randint(0, 9), rng.randint(0, 30))),
        rng.choice((0, 15, 30, 45, rng.randint(0, 59))),
        rng.randint(0, 59),
    )
    roll = rng.random()

    def said(*pairs):
        return " ".join(unit(str(count), name) for count, name in pairs if count) or unit("0", pairs[-1][1])

    if roll < 0.28:
        return (
            f"{hours:0{rng.choice((1, 1, 2))}}:{minutes:02}{rng.choice(('', '', '', ' h', ' hrs', 'h', ' hours'))}",
            said((hours, "hour"), (minutes, "minute")),
        )
    if roll < 0.45:
        return f"{hours:0{rng.choice((1, 2))}}:{minutes:02}:{seconds:02}", said(
            (hours, "hour"), (minutes, "minute"), (seconds, "second")
        )
    if roll < 0.62:
        return f"{hours}{rng.choice(('h', 'h', 'H', ' h ', 'hr'))}{minutes:02}", said(
            (hours, "hour"), (minutes, "minute")
        )
    if roll < 0.70:
        return (
            f"{minutes}{rng.choice(MINUTE_MARKS)}{rng.choice(('', ' '))}{seconds}{rng.choice(SECOND_MARKS)}",
            said((minutes, "minute"), (seconds, "second")),
        )
    dates = [(rng.randint(1, 12), name) for name in ("year", "month", "week", "day") if rng.random() < 0.3]
    times = [(rng.randint(1, 59), name) for name in ("hour", "minute", "second") if rng.random() < 0.55]
    if not dates and not times:
        times = [(hours or 2, "hour")]
    text = (
        "P"
        + "".join(f"{n}{name[0].upper()}" for n, name in dates)
        + ("T" + "".join(f"{n}{name[0].upper()}" for n, name in times) if times else "")
    )
    return text, said(*dates, *times)


def none(rng) -> tuple[str, str]:
    """No unit, a range, a bound, or vague."""
    name = rng.choices(ORDER, WEIGHTS)[0]
    n = _count(rng, name)
    spelled = rng.choice(UNITS[name][0][:4])
    text = rng.choice(
        (
            lambda: str(n),
            lambda: numbers.words(rng, n),
            lambda: f"{n}.5",
            lambda: f"{n}-{n + 1} {spelled}",
            lambda: f"{n} - {n + 2} {name}s",
            lambda: f"{n} to {n + 2} {name}s",
            lambda: f"{n} or {n + 1} {name}s",
            lambda: f"between {n} and {n + 5} {name}s",
            lambda: f"> {n} {spelled}",
            lambda: f"<{n}{spelled}",
            lambda: f"at least {n} {name}s",
            lambda: f"at most {n} {spelled}",
            lambda: f"more than {n} {name}s",
            lambda: f"less than {n} {name}s",
            lambda: f"up to {n} {name}s",
            lambda: f"over {n} {spelled}",
            lambda: f"under {n} {spelled}",
            lambda: f"max {n} {spelled}",
            lambda: f"{n}+ {name}s",
            lambda: f"a few {name}s",
            lambda: f"several {name}s",
            lambda: f"some {name}s",
            lambda: f"many {name}s",
            lambda: f"{name}s",
            lambda: f"few {name}s",
            lambda: f"one or two {name}s",
            lambda: f"{n} {rng.choice(OTHER_UNITS)}",
            lambda: f"every {n} {name}s",
            lambda: f"{n} {name}s ago",
            lambda: f"until {n}pm",
            lambda: rng.choice(
                (
                    "forever",
                    "a while",
                    "ages",
                    "overnight",
                    "all day",
                    "long",
                    "short",
                    "soon",
                    "quick",
                    "instant",
                    "permanent",
                    "unlimited",
                    "lifetime",
                    "eternity",
                    "temporary",
                    "a moment",
                    "the weekend",
                    "briefly",
                    "indefinitely",
                    "ongoing",
                    "daily",
                    "weekly",
                    "half",
                    "a minute or two",
                    "a long time",
                    "an age",
                    "until friday",
                    "season",
                )
            ),
        )
    )()
    return text, "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a duration."""
    roll = rng.random()
    return (
        none(rng)
        if roll < 0.12
        else one(rng)
        if roll < 0.42
        else several(rng)
        if roll < 0.62
        else fraction(rng)
        if roll < 0.80
        else clock(rng)
    )
