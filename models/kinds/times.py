"""Times of day."""

from . import numbers

LABELS = ("time", "at", "start", "starts at", "um", "opens", "uhrzeit", "departure", "arrives")
KNOWN = frozenset(
    [
        *numbers.ONES[1:],
        *numbers.TENS[2:],
        "half",
        "past",
        "quarter",
        "noon",
        "midnight",
        "midday",
        "morning",
        "afternoon",
        "evening",
        "night",
        "clock",
        "before",
        "after",
        "halb",
        "viertel",
        "mittag",
        "minutes",
    ]
)
BEFORE, AFTER = ("to", "to", "before", "til"), ("past", "past", "after")
ZONES = (
    " CET",
    " EST",
    " GMT",
    " UTC",
    " PST",
    " CEST",
    " Z",
    "Z",
    " +02:00",
    "+01",
    " ET",
    " local",
    " (CET)",
    " EDT",
)
AM = ("am", " am", "a.m.", " a.m.", " AM", "AM", "a", " a.m", " in the morning")
PM = ("pm", " pm", "p.m.", " p.m.", " PM", "PM", "p", " p.m", " pm")


def _part_of_day(rng, hour: int) -> tuple[int, str]:
    """The hour on the twelve-hour clock and the words that say which half is meant."""
    if hour < 12:
        return hour or 12, rng.choice(AM[:-1] if hour == 0 else AM)
    words = [" in the afternoon"] if 12 <= hour < 18 else []
    words += [" in the evening"] if hour >= 17 else []
    words += [" at night"] if 18 <= hour <= 23 else []
    return (hour - 12) or 12, rng.choice(words if rng.random() < 0.2 else PM)


def clock(rng) -> tuple[str, str]:
    """Digits, with or without seconds, on either clock."""
    hour, minute = (
        rng.randint(0, 23),
        rng.choice((0, 0, 15, 30, 45, rng.randint(0, 59), rng.randint(0, 59), rng.randint(0, 59))),
    )
    answer = f"{hour:02}:{minute:02}"
    mark = rng.choices((":", ".", ";", " : ", ": ", ":"), (70, 14, 3, 2, 2, 9))[0]
    seconds = ""
    if rng.random() < 0.18:
        second = rng.randint(0, 59)
        seconds, answer, mark = f":{second:02}", f"{answer}:{second:02}", ":"
        if rng.random() < 0.25:
            seconds += rng.choice((".", ",")) + "".join(
                rng.choice("0123456789") for _ in range(rng.choice((1, 2, 3, 3, 6)))
            )
    if rng.random() < 0.45:
        shown, half = _part_of_day(rng, hour)
        shown = f"{shown:02}" if rng.random() < 0.2 else str(shown)
        if minute == 0 and not seconds and rng.random() < 0.6:
            text = shown + half
        else:
            text = f"{shown}{mark}{minute:02}{seconds}{half}"
    else:
        shown = str(hour) if rng.random() < 0.4 else f"{hour:02}"
        text = f"{shown}{mark}{minute:02}{seconds}"
        roll = rng.random()
        if roll < 0.06:
            text += rng.choice((" Uhr", "h", " h", " hrs", " hours", " Uhr", " uur"))
        elif roll < 0.09 and hour >= 13:
            text += rng.choice(PM)
    if rng.random() < 0.07:
        text += rng.choice(ZONES)
    return text, answer


def compact(rng) -> tuple[str, str]:  # noqa: PLR0911 - one return a shape
    """`1530`, `930 pm`, `15h30`, `7 Uhr`, `8 o'clock`."""
    hour, minute = rng.randint(0, 23), rng.choice((0, 15, 30, 45, rng.randint(0, 59)))
    answer = f"{hour:02}:{minute:02}"
    shape = rng.choice(("digits", "digits", "half", "h", "h", "uhr", "clock", "hour"))
    if shape == "digits":
        padded = hour < 1 or rng.random() < 0.5
        text = (
            (f"{hour:02}" if padded else str(hour))
            + f"{minute:02}"
            + rng.choice(("", "", "", " hours", " hrs", "h", " Uhr", "Z"))
        )
        return text, answer
    if shape == "half":
        shown, half = _part_of_day(rng, hour)
        return f"{shown}{minute:02}{half}", answer
    if shape == "h":
        return f"{hour}{rng.choice(('h', 'H', ' h ', 'h', 'u'))}{minute:02}", answer
    if shape == "uhr" and minute:
        return f"{hour} {rng.choice(('Uhr', 'uhr', 'heures', 'uur'))} {minute}", answer if minute >= 10 else "unknown"
    answer = f"{hour:02}:00"
    if shape in ("uhr", "hour"):
        return f"{hour}{rng.choice((' Uhr', 'h', ' h', ' uhr', ' heures', 'Uhr', ' hrs', ' hours', 'H'))}", answer
    shown, half = _part_of_day(rng, hour)
    oclock = rng.choice((" o'clock", " o clock", " oclock", " o\u2019clock", "o'clock"))
    shown = numbers.ONES[shown] if rng.random() < 0.4 else shown
    if hour and rng.random() < 0.5:
        return (f"{shown}{oclock}", f"{hour:02}:00") if hour <= 12 else (f"{shown}{oclock}", f"{hour - 12:02}:00")
    return f"{shown}{oclock}{half if half[0] == ' ' else ' ' + half}", answer


def spoken(rng) -> tuple[str, str]:
    """`half past seven`, `quarter to 5 pm`, `ten past six`, `halb acht`, `six thirty`, `noon`."""
    hour = rng.randint(1, 12)
    half, add = "", 0
    roll = rng.random()
    if roll < 0.06:
        word, answer = rng.choice(
            (
                ("noon", "12:00"),
                ("midday", "12:00"),
                ("midnight", "00:00"),
                ("12 noon", "12:00"),
                ("12 midnight", "00:00"),
                ("high noon", "12:00"),
                ("Mittag", "12:00"),
                ("Mitternacht", "00:00"),
                ("midi", "12:00"),
                ("minuit", "00:00"),
            )
        )
        return word, answer
    name = numbers.ONES[hour] if rng.random() < 0.6 else str(hour)
    if roll < 0.13:
        german = ["ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"][
            hour - 1
        ]
        german = ("eins" if hour == 1 else german) if rng.random() < 0.75 else str(hour)
        minutes, words = rng.choice(
            (
                (-30, "halb"),
                (-30, "halb"),
                (15, "viertel nach"),
                (-15, "viertel vor"),
                (10, "zehn nach"),
                (-5, "fünf vor"),
                (-10, "zehn vor"),
                (20, "zwanzig nach"),
            )
        )
        total = (hour * 60 + minutes) % (24 * 60)
        if hour == 12 and minutes < 0:
            total = 12 * 60 + minutes
        return f"{words} {german}", f"{total // 60:02}:{total % 60:02}"
    if rng.random() < 0.4 and hour < 12:
        to_evening = rng.random() < 0.5
        hour24 = (hour % 12) + (12 if to_evening else 0)
        half, add = _part_of_day(rng, hour24)[1], hour24 - hour
        half = half if half[0] == " " else " " + half
    base = (hour + add) * 60
    if roll < 0.30:
        past = rng.choice(("half past ", "half past ", "half ", "half-past ", "1/2 past "))
        return f"{past}{name}{half}", _clock(base + 30)
    if roll < 0.50:
        minutes, words = rng.choice(
            (
                (15, "quarter past "),
                (15, "a quarter past "),
                (-15, "quarter to "),
                (-15, "a quarter to "),
                (-15, "quarter before "),
                (15, "quarter after "),
                (-15, "1/4 to "),
            )
        )
        return f"{words}{name}{half}", _clock(base + minutes)
    if roll < 0.75:
        minute = rng.choice((5, 10, 20, 25, 5, 10, 20, rng.randint(1, 29)))
        before = rng.random() < 0.5
        words = (numbers.words(rng, minute) if rng.random() < 0.55 else str(minute)) + (
            rng.choice((" minutes", " mins", " min")) if minute % 5 or rng.random() < 0.2 else ""
        )
        return (
            f"{words} {rng.choice(BEFORE if before else AFTER)} {name}{half}",
            _clock(base - minute if before else base + minute),
        )
    minute = rng.choice((15, 30, 45, 10, 20, 40, 50, rng.randint(10, 59), rng.randint(1, 9)))
    spelled = rng.choice(("oh ", "o ", "oh-")) + numbers.ONES[minute] if minute < 10 else numbers.words(rng, minute)
    return f"{numbers.ONES[hour]}{rng.choice(' -')}{spelled}{half}", _clock(base + minute)


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def none(rng) -> tuple[str, str]:
    """Impossible, bare, ranged or vague."""
    hour, minute = rng.randint(1, 12), rng.randint(0, 59)
    text = rng.choice(
        (
            lambda: f"{rng.randint(24, 99)}:{minute:02}",
            lambda: f"{hour}:{rng.randint(60, 99)}",
            lambda: f"{hour:02}:{minute:02}:{rng.randint(60, 99)}",
            lambda: f"{rng.randint(24, 60)}h{rng.choice(('', '00', '30'))}",
            lambda: f"{rng.randint(13, 23)}:{minute:02} am",
            lambda: f"{rng.randint(13, 19)}{rng.choice(AM[:-1])}",
            lambda: str(rng.randint(0, 99)),
            lambda: f"at {hour}",
            lambda: f"{rng.randint(24, 99)}{minute:02}",
            lambda: f"{hour}{rng.randint(60, 99)}",
            lambda: f"{hour}-{hour + 1}pm",
            lambda: f"{hour}:00 - {hour + 2}:30",
            lambda: f"{hour}am to {hour}pm",
            lambda: f"{hour} or {hour + 1} pm",
            lambda: f"before {hour}pm",
            lambda: f"after {hour}:{minute:02}",
            lambda: f"between {hour} and {hour + 2} pm",
            lambda: f"{hour}:{rng.randint(0, 9)}",
            lambda: f"{hour}:",
            lambda: f":{minute:02}",
            lambda: "24:00",
            lambda: f"{hour}:{minute:02} / {hour + 1}:{minute:02}",
            lambda: f"{hour}.{rng.randint(0, 9)}",
            lambda: f"{hour}:{minute:02}:{rng.randint(0, 9)}",
            lambda: f"until {hour}pm",
            lambda: rng.choice(
                (
                    "morning",
                    "evening",
                    "afternoon",
                    "night",
                    "in the morning",
                    "early",
                    "late",
                    "now",
                    "soon",
                    "tonight",
                    "lunchtime",
                    "sunset",
                    "dawn",
                    "after work",
                    "all day",
                    "daily",
                    "anytime",
                    "open",
                    "closed",
                    "in 5 minutes",
                    "abends",
                    "pm",
                    "am",
                    "o'clock",
                    "half past",
                    "quarter to",
                    "breakfast",
                    "later",
                    "dusk",
                    "24/7",
                    "afternoons",
                )
            ),
            lambda: numbers.words(rng, rng.randint(1, 40)),
            lambda: f"{rng.randint(25, 60)} o'clock",
            lambda: f"{rng.randint(10000, 99999)}",
            lambda: f"-{hour}:{minute:02}",
            lambda: f"{minute} to",
        )
    )()
    return text, "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a time of day."""
    roll = rng.random()
    return none(rng) if roll < 0.12 else clock(rng) if roll < 0.50 else compact(rng) if roll < 0.68 else spoken(rng)
