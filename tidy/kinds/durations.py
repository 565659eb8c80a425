"""Lengths of time, answered in the units they were written in."""

from fractions import Fraction

from . import numbers
from .forms import fill, listed, meant, rolled

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
WEIGHTS = (9, 9, 10, 16, 24, 22, 14, 4)
MOST = dict(zip(ORDER, (30, 36, 52, 120, 72, 180, 300, 5000), strict=True))
LABELS = listed("duration | length | takes | for | took | time | Dauer | lasts | runtime | elapsed")
KNOWN = frozenset(
    [
        *numbers.WORDS,
        *(name.lower() for spellings in UNITS.values() for names in spellings for name in names),
        *listed("fortnight | fortnights | decade | decades | halfs | eine | zwei | drei | sechs | sieben | quarter"),
    ]
)
MINUTE_MARKS, SECOND_MARKS = ("'", "\u2032"), ('"', "\u2033", "''")
NAMED = meant("""
    2 weeks = a fortnight | one fortnight | fortnight
    10 years = a decade | a decade
    2 {name}s = a couple of {name}s | a couple {name}s | couple of {name}s
    4 weeks = two fortnights
    20 years = 2 decades | two decades
    1 day = a full day
    1 week = a whole week
""")
GERMAN = listed("eine | zwei | drei | vier | fünf | sechs | sieben | acht | neun | zehn | zwölf")
GERMAN = dict(zip((*range(1, 11), 12), GERMAN, strict=True))
PARTS = listed("""
    half {a} {name} | half {a} {name} | half {name} | {a} half {name} | half-{name}
    a quarter of {a} {name} | quarter of {a} {name} | quarter {name} | three quarters of {a} {name}
    1/2 {name} | ½ {name} | 1/4 {name} | 3/4 {name} | 3/4 of {a} {name} | ¼ {name} | ¾ {name}
""")
AND_A_HALF = listed("""
    {a} {name} and a half | one {name} and a half | one and a half {name}s
    1 {name} and a half | 1 and a half {name}s | {a} {name} and half
""")
MIXED = listed("and a half | and a half | 1/2 | ½ | 1/4 | 3/4 | ¼ | and a quarter | and three quarters | and half")
# Rule 4: a number without a unit is unknown. So are ranges, bounds, vague numbers, other units and points in time.
NONE = listed("""
    {n} | {words} | {n}.5
    {n}-{n+1} {spelled} | {n} - {n+2} {name}s | {n} to {n+2} {name}s | {n} or {n+1} {name}s
    between {n} and {n+5} {name}s | > {n} {spelled} | <{n}{spelled} | at least {n} {name}s | at most {n} {spelled}
    more than {n} {name}s | less than {n} {name}s | up to {n} {name}s | over {n} {spelled} | under {n} {spelled}
    max {n} {spelled} | {n}+ {name}s
    a few {name}s | several {name}s | some {name}s | many {name}s | {name}s | few {name}s | one or two {name}s
    {n} {other} | every {n} {name}s | {n} {name}s ago | until {n}pm | {vague}
""")
OTHER_UNITS = listed("""
    times | pages | people | steps | laps | x | moons | lightyears | sprints | shifts | sessions | semesters
""")
VAGUE = listed("""
    forever | a while | ages | overnight | all day | long | short | soon | quick | instant | permanent | unlimited
    lifetime | eternity | temporary | a moment | the weekend | briefly | indefinitely | ongoing | daily | weekly
    half | a minute or two | a long time | an age | until friday | season
""")


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


def _said(*counted: tuple[int, str]) -> str:
    """The answer of counts and their units: zero parts are left out unless nothing else is there."""
    return " ".join(unit(str(count), name) for count, name in counted if count) or unit("0", counted[-1][1])


def _carried(value: Fraction, name: str) -> str:
    """The answer of a fraction: seconds keep it, other units carry it."""
    return unit(numbers.plain(value), name) if name == "second" else carry(value, name) or "unknown"


def _count(rng, name: str) -> int:
    return numbers.sized(rng, (1, 2, range(1, 10), range(1, 13), range(1, 61), range(1, MOST[name] + 1)))


def _spelling(rng, name: str) -> str:
    return rng.choice(UNITS[name][rng.random() < 0.09])


def _article(name: str) -> str:
    return "an" if name == "hour" else "a"


def one(rng) -> tuple[str, str]:
    """One number and one unit."""
    name = rng.choices(ORDER, WEIGHTS)[0]
    count = 0 if rng.random() < 0.015 else _count(rng, name)
    answer = unit(str(count), name)
    if rng.random() < 0.25:
        return _worded(rng, count, name), answer
    roll = rng.random()
    if roll < 0.06:
        return tuple(text.format(name=name) for text in rng.choice(NAMED))
    if roll < 0.10 and name != "millisecond":
        return _german(rng, name)
    digits = f"{count:0{rng.choice((1, 1, 1, 1, 2))}}"
    return f"{digits}{rng.choice(('', ' ', ' ', ' '))}{_spelling(rng, name)}", answer


def _worded(rng, count: int, name: str) -> str:
    """`two hours`, `twenty-minutes`, `an hour`."""
    shown = numbers.words(rng, count)
    if count == 1 and rng.random() < 0.5:
        shown = _article(name)
    spelled = name if count == 1 else rng.choice((name, name + "s", name + "s"))
    return f"{shown}{rng.choice(('-', ' ', ' ', ' ', ' '))}{spelled}"


def _german(rng, name: str) -> tuple[str, str]:
    """`zwei Stunden`, `eine Stunde`."""
    count = rng.choice(tuple(GERMAN))
    plural, singular = UNITS[name][1][:2]
    spelled = rng.choice((plural,) if count > 1 else (singular,))  # a choice of one: kept for what it draws
    return f"{GERMAN[count]} {spelled}", unit(str(count), name)


def _neighbours(rng) -> tuple[str, ...]:
    """Two or three units beside each other; years also with days or weeks."""
    start = rng.choices(range(7), (12, 5, 5, 14, 34, 20, 10))[0]
    names = ORDER[start : start + rng.choices((2, 3), (80, 20))[0]]
    if start == 0 and len(names) > 1 and rng.random() < 0.3:
        names = (names[0], rng.choice(("day", "week")))
    if len(names) < 2 or ("millisecond" in names and rng.random() < 0.8):
        names = ("hour", "minute")
    return names


def several(rng) -> tuple[str, str]:
    """Neighbouring units, with every link between them."""
    names = _neighbours(rng)
    counts = [rng.randint(0, 59) if rng.random() < 0.1 else max(1, _count(rng, name) % 60) for name in names]
    if not any(counts):
        counts[0] = 1
    counted = tuple(zip(counts, names, strict=True))
    worded = rng.random() < 0.15
    space = rng.choice(("", " ", " "))
    link = rng.choice((" ", " ", "", ", ", " and ", " & ", ","))
    long = rng.random() < 0.5
    pieces = []
    for count, name in counted:
        spelled = name + ("" if count == 1 else "s") if long or worded else rng.choice(UNITS[name][0])
        pieces.append(f"{numbers.words(rng, count)} {spelled}" if worded else f"{count}{space}{spelled}")
    text = (link if link.strip(",") or not worded else " ").join(pieces)
    if len(pieces) == 3 and rng.random() < 0.6:
        text = f"{pieces[0]}, {pieces[1]}{rng.choice((' and ', ', ', ', and ', ' & ', ' '))}{pieces[2]}"
    return text, _said(*counted)


def _decimal(rng, name: str, whole: int) -> tuple[str, str]:
    """`1.5 h`, `,5 min`: seconds keep the digits as they were written."""
    digit = str(rng.randint(1, 9))
    hundredths = f"{rng.randint(1, 99):02}" if name == "second" else "5"
    decimals = rng.choice(("5", "5", "5", "25", "75", "50", "0", digit, hundredths))
    value = Fraction(f"{whole}.{decimals}")
    shown = ("" if whole == 0 and rng.random() < 0.2 else str(whole)) + rng.choice(".,.") + decimals
    text = f"{shown}{rng.choice(('', ' ', ' '))}{_spelling(rng, name)}"
    if name == "second":
        return text, unit(f"{whole}.{decimals}", name)
    return text, _carried(value, name) if value else unit("0", name)


def _part(rng, name: str, _whole: int) -> tuple[str, str]:
    """`half an hour`, `three quarters of an hour`, `¼ hour`."""
    form = rng.choice(PARTS)
    return form.format(a=_article(name), name=name), _carried(numbers.part(form), name)


def _and_a_half(rng, name: str, _whole: int) -> tuple[str, str]:
    """`an hour and a half`, `one and a half hours`."""
    return rng.choice(AND_A_HALF).format(a=_article(name), name=name), _carried(Fraction(3, 2), name)


def _mixed(rng, name: str, whole: int) -> tuple[str, str]:
    """`two and a half days`, `2 1/2 h`."""
    whole = max(whole, 1)
    part = rng.choice(MIXED)
    digits = "/" in part or not part[0].isalpha() or rng.random() < 0.3
    shown = str(whole) if digits else numbers.words(rng, whole)
    gap = "" if part in "½¼¾" and rng.random() < 0.6 else " "
    spelled = rng.choice((f"{name}s", f"{name}s", f"{name}s", rng.choice(UNITS[name][0])))
    return f"{shown}{gap}{part} {spelled}", _carried(whole + numbers.part(part), name)


def fraction(rng) -> tuple[str, str]:
    """`1.5 h`, `two and a half days`, `half an hour`, `three quarters of an hour`."""
    name = rng.choices(ORDER[:7], (10, 5, 8, 14, 40, 12, 11))[0]
    whole = rng.choice((0, 0, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 24))
    shape = rolled(rng, (0.48, _decimal), (0.62, _part), (0.70, _and_a_half), (1, _mixed))
    return shape(rng, name, whole)


def _hours_and_minutes(rng, hours: int, minutes: int, _seconds: int) -> tuple[str, str]:
    """`1:30`: hours and minutes."""
    shown = f"{hours:0{rng.choice((1, 1, 2))}}:{minutes:02}"
    return shown + rng.choice(("", "", "", " h", " hrs", "h", " hours")), _said((hours, "hour"), (minutes, "minute"))


def _with_seconds(rng, hours: int, minutes: int, seconds: int) -> tuple[str, str]:
    """`1:02:03`."""
    shown = f"{hours:0{rng.choice((1, 2))}}:{minutes:02}:{seconds:02}"
    return shown, _said((hours, "hour"), (minutes, "minute"), (seconds, "second"))


def _with_h(rng, hours: int, minutes: int, _seconds: int) -> tuple[str, str]:
    """`1h30`."""
    h = rng.choice(("h", "h", "H", " h ", "hr"))
    return f"{hours}{h}{minutes:02}", _said((hours, "hour"), (minutes, "minute"))


def _with_marks(rng, _hours: int, minutes: int, seconds: int) -> tuple[str, str]:
    """`5'30"`: minutes and seconds."""
    shown = f"{minutes}{rng.choice(MINUTE_MARKS)}{rng.choice(('', ' '))}{seconds}{rng.choice(SECOND_MARKS)}"
    return shown, _said((minutes, "minute"), (seconds, "second"))


def _iso(rng, hours: int, _minutes: int, _seconds: int) -> tuple[str, str]:
    """`P1DT12H`: ISO 8601."""
    dates = [(rng.randint(1, 12), name) for name in ORDER[:4] if rng.random() < 0.3]
    times = [(rng.randint(1, 59), name) for name in ORDER[4:7] if rng.random() < 0.55]
    if not dates and not times:
        times = [(hours or 2, "hour")]
    date, time = ("".join(f"{n}{name[0].upper()}" for n, name in part) for part in (dates, times))
    return f"P{date}T{time}" if time else f"P{date}", _said(*dates, *times)


def clock(rng) -> tuple[str, str]:
    """`1:30`, `1:02:03`, `1h30`, ISO 8601, and marks for minutes and seconds."""
    hours = numbers.sized(rng, (0, 1, 2, range(10), range(31)))
    minutes = numbers.sized(rng, (0, 15, 30, 45, range(60)))
    seconds = rng.randint(0, 59)
    shape = rolled(
        rng, (0.28, _hours_and_minutes), (0.45, _with_seconds), (0.62, _with_h), (0.70, _with_marks), (1, _iso)
    )
    return shape(rng, hours, minutes, seconds)


def none(rng) -> tuple[str, str]:
    """No unit, a range, a bound, or vague."""
    name = rng.choices(ORDER, WEIGHTS)[0]
    n = _count(rng, name)
    slots = {
        "n": n,
        "words": lambda rng: numbers.words(rng, n),
        "name": name,
        "spelled": rng.choice(UNITS[name][0][:4]),
        "other": OTHER_UNITS,
        "vague": VAGUE,
    }
    return fill(rng, rng.choice(NONE), **slots), "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a duration."""
    return rolled(rng, (0.12, none), (0.42, one), (0.62, several), (0.80, fraction), (1, clock))(rng)
