"""Dates: named months in five languages, numeric forms in three orders, and what is no date."""

import datetime

from . import numbers

MONTHS = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
}
MONTHS = {language: names.split() for language, names in MONTHS.items()}
SHORT = {
    "en": ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    "de": ["jan", "feb", "mrz", "apr", "mai", "jun", "jul", "aug", "sep", "okt", "nov", "dez"],
    "fr": ["janv", "févr", "mars", "avr", "mai", "juin", "juil", "août", "sept", "oct", "nov", "déc"],
    "es": ["ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic"],
    "it": ["gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic"],
}
SPELLINGS = {
    "märz": ("maerz", "märz", "marz"),
    "février": ("fevrier",),
    "août": ("aout",),
    "décembre": ("decembre",),
    "sep": ("sept", "sep"),
    "févr": ("fev", "fév", "fevr"),
    "déc": ("dec",),
    "mrz": ("mär", "mrz"),
}
WEEKDAYS = {
    "en": "monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun tues thurs",
    "de": "montag dienstag mittwoch donnerstag freitag samstag sonntag mo di mi do fr sa so",
    "fr": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "it": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
}
LABELS = ("date", "on", "dated", "born", "born on", "geb.", "dob", "due", "as of", "signed", "datum", "invoice date")
KNOWN = frozenset(name for names in MONTHS.values() for name in names) | frozenset(" ".join(WEEKDAYS.values()).split())
KNOWN |= {
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
}
KNOWN |= {numbers.ONES[n] + "th" for n in range(13, 20)} | {
    "twenty",
    "thirty",
    "twentieth",
    "thirtieth",
    "seventh",
    "sixth",
}
ENGLISH = (
    "{d} {m} {y}",
    "{d} {m} {y}",
    "{m} {d}, {y}",
    "{m} {d} {y}",
    "{m} {d},{y}",
    "{o} {m} {y}",
    "{o} of {m} {y}",
    "{o} {m}, {y}",
    "{m} {o} {y}",
    "{m} {o}, {y}",
    "{m} {o},{y}",
    "{m} the {o} {y}",
    "{m} the {o}, {y}",
    "the {o} of {m} {y}",
    "the {o} of {m}, {y}",
    "{d}-{m}-{y}",
    "{d}/{m}/{y}",
    "{d}.{m}.{y}",
    "{m}-{d}-{y}",
    "{m}/{d}/{y}",
    "{d}{m}{y}",
    "{d} {m}. {y}",
    "{m}. {d}, {y}",
    "{d} {m}, {y}",
    "the {w} of {m} {y}",
    "{w} of {m}, {y}",
    "{m} {w}, {y}",
    "{m} {w} {y}",
    "{d} of {m} {y}",
    "the {o} {m} {y}",
)
YEAR_FIRST = ("{Y}-{m}-{d}", "{Y} {m} {d}", "{Y}, {m} {d}", "{Y}/{m}/{d}", "{Y} {m} {o}", "{Y}.{m}.{d}")
OTHERS = {
    "de": (
        "{d}. {m} {y}",
        "{d}. {m} {y}",
        "{d}.{m} {y}",
        "{d} {m} {y}",
        "{d}.{m}.{y}",
        "{d}. {m}. {y}",
        "den {d}. {m} {y}",
        "am {d}. {m} {y}",
    ),
    "fr": ("{d} {m} {y}", "{d} {m} {y}", "le {d} {m} {y}", "{d} {m}. {y}", "{f} {m} {y}", "le {f} {m} {y}"),
    "es": (
        "{d} de {m} de {y}",
        "{d} de {m} de {y}",
        "{d} {m} {y}",
        "{d} de {m} {y}",
        "el {d} de {m} de {y}",
        "{d} de {m} del {y}",
    ),
    "it": ("{d} {m} {y}", "{d} {m} {y}", "il {d} {m} {y}", "{d} {m}, {y}", "{d}° {m} {y}"),
}
TIMES = (
    " 14:30",
    " 08:15:00",
    ", 3pm",
    " at 15:30",
    " 9:30 am",
    " 23:59:59 GMT",
    " 14:00 Uhr",
    " 10:00 UTC",
    ", 17h30",
    " noon",
    " 00:00:00",
    " 12:45 PM",
)


def _answer(year: int, month: int, day: int) -> str | None:
    try:
        return datetime.date(year, month, day).isoformat() if 1500 <= year <= 2199 else None
    except ValueError:
        return None


def _year(rng) -> int:
    roll = rng.random()
    return (
        rng.randint(1990, 2030) if roll < 0.55 else rng.randint(1930, 2069) if roll < 0.85 else rng.randint(1500, 2199)
    )


def _pick(rng) -> tuple[int, int, int]:
    """A day, mostly a real one; impossible ones and 29 February more often than chance."""
    roll = rng.random()
    year, month = _year(rng), rng.randint(1, 12)
    if roll < 0.05:
        return year, 2, rng.choice((29, 29, 29, 28, 30))
    if roll < 0.075:
        return year, rng.choice((4, 6, 9, 11)), 31
    if roll < 0.09:
        return year, month, rng.choice((0, 32, 33, 35, 40, 45, 99))
    if roll < 0.11:
        return year, month, rng.choice((30, 31))
    if roll < 0.12:
        return rng.choice((rng.randint(1000, 1499), rng.randint(2200, 2999))), month, rng.randint(1, 28)
    return year, month, rng.randint(1, 28 if month == 2 else 30)


def _two_digits(rng, year: int) -> str | None:
    return rng.choice(("'", "", "", "\u2019")) + f"{year % 100:02}" if 1970 <= year <= 2069 else None


def _padded(rng, n: int) -> str:
    return f"{n:02}" if rng.random() < 0.5 else str(n)


def named(rng) -> tuple[str, str]:
    """A date with its month's name: every order reads it alike."""
    year, month, day = _pick(rng)
    language = rng.choices(("en", "de", "fr", "es", "it"), (60, 12, 10, 10, 8))[0]
    name = rng.choice((MONTHS, SHORT))[language][month - 1]
    if name in SPELLINGS and rng.random() < 0.6:
        name = rng.choice(SPELLINGS[name])
    if rng.random() < 0.55:
        name = name.capitalize()
    shape = (
        rng.choice(YEAR_FIRST) if rng.random() < 0.06 else rng.choice(ENGLISH if language == "en" else OTHERS[language])
    )
    short = _two_digits(rng, year) if rng.random() < 0.28 else None
    if short and shape == "{d}{m}{y}":
        short = short[-2:]
    text = shape.format(
        d=_padded(rng, day) if rng.random() < 0.3 else day,
        m=name,
        y=short or year,
        Y=year,
        o=numbers.ordinal(day),
        f="1er" if day == 1 else day,
        w=numbers.ordinal_words(rng, day) if 0 < day < 32 else numbers.ordinal(day),
    )
    return _around(rng, text, language), _answer(year, month, day) or "unknown"


def _around(rng, text: str, language: str = "en") -> str:
    if rng.random() < 0.10:
        day = rng.choice(WEEKDAYS[language].split())
        text = (
            (day.capitalize() if rng.random() < 0.6 else day)
            + rng.choice((" ", ", ", ". ", " the " if language == "en" else " "))
            + text
        )
    if rng.random() < 0.08:
        text += rng.choice(TIMES)
    return text


def year_first(rng) -> tuple[str, str]:
    """ISO and its relatives."""
    year, month, day = _pick(rng)
    if rng.random() < 0.05:
        month = rng.choice((0, 13, 14, 15, 17, 20, 24, 30))
    roll = rng.random()
    if roll < 0.12:
        text = f"{year}{month:02}{day:02}"
    else:
        mark = rng.choice("---//. ")
        text = mark.join(
            (str(year), _padded(rng, month), _padded(rng, day))
            if roll < 0.5
            else (str(year), f"{month:02}", f"{day:02}")
        )
        if rng.random() < 0.15:
            text += rng.choice(("T14:30:00Z", "T08:00", "T23:59:59+02:00", "T00:00:00.000Z", "T12:00:00", *TIMES))
    return text, _answer(year, month, day) or "unknown"


def numeric(rng, order: str | None) -> tuple[str, str]:
    """Two numbers and the year; order is "us", "eu" or None (never guess)."""
    year, month, day = _pick(rng)
    if rng.random() < 0.08:
        month = rng.randint(0, 19)
    first, second = (month, day) if (order == "us") == (rng.random() < 0.93) else (day, month)
    if order is None:
        first, second = (month, day) if rng.random() < 0.4 else (day, month)
        if rng.random() < 0.04:
            first = second = min(month, day)
    mark = rng.choices(("/", "-", ".", " ", ",", "\\", " / ", ". ", " - ", " . "), (40, 22, 20, 5, 2, 2, 3, 3, 2, 1))[0]
    short = _two_digits(rng, year) if rng.random() < 0.35 else None
    a, b = (f"{first:02}", f"{second:02}") if rng.random() < 0.45 else (_padded(rng, first), _padded(rng, second))
    text = mark.join((a, b, short or str(year)))
    us, eu = _answer(year, first, second), _answer(year, second, first)
    if order is None and "." not in mark:
        answer = us if eu is None or us == eu else eu if us is None else None
    else:
        answer = us if order == "us" else eu
    return _around(rng, text), answer or "unknown"


def none(rng) -> tuple[str, str]:
    """Partial, relative, ranged or otherwise no date."""
    year, month, day = _year(rng), rng.randint(1, 12), rng.randint(1, 28)
    name = rng.choice((MONTHS, SHORT))["en"][month - 1].capitalize()
    other = rng.choice(SHORT["en"]).capitalize()
    text = rng.choice(
        (
            lambda: f"{name} {year}",
            lambda: f"{name} {numbers.ordinal(day)}",
            lambda: f"{day} {name}",
            lambda: f"{year}",
            lambda: f"{month}/{year}",
            lambda: f"{day}.{month}.",
            lambda: f"{year}-{month:02}",
            lambda: f"{day}/{month}",
            lambda: f"{numbers.ordinal(day)} of {name}",
            lambda: f"{name} '{year % 100:02}",
            lambda: name,
            lambda: f"the {numbers.ordinal(day)}",
            lambda: f"{month:02}.{year}",
            lambda: f"{day} {name} - {day + 2} {other} {year}",
            lambda: f"{name} {day}-{day + 3}, {year}",
            lambda: f"{year}-{month:02}-{day:02} to {year}-12-31",
            lambda: f"{day}.-{day + 2}.{month}.{year}",
            lambda: f"between {day} {name} {year} and {day} {other} {year}",
            lambda: f"{day} {name}-{day} {other} {year}",
            lambda: f"before {name} {day}, {year}",
            lambda: f"after {day} {name} {year}",
            lambda: f"{day} or {day + 1} {name} {year}",
            lambda: rng.choice(
                (
                    "yesterday",
                    "today",
                    "tomorrow",
                    "now",
                    "next week",
                    "last monday",
                    "next may",
                    "3 days ago",
                    "in two weeks",
                    "last year",
                    "this morning",
                    "heute",
                    "gestern",
                    "morgen",
                    "hier",
                    "demain",
                    "mañana",
                    "ayer",
                    "oggi",
                    "domani",
                    "next friday",
                    "a month ago",
                    "last summer",
                    "eom",
                    "asap",
                    "end of month",
                    "soon",
                )
            ),
            lambda: rng.choice(
                (
                    "Q{q} {y}",
                    "Q{q}/{y}",
                    "{q}Q{y}",
                    "H1 {y}",
                    "week {w} {y}",
                    "{y}-W{w}",
                    "KW {w}/{y}",
                    "w{w} {y}",
                    "{y} Q{q}",
                    "FY{y}",
                )
            ).format(q=rng.randint(1, 4), y=year, w=rng.randint(1, 52)),
            lambda: (
                rng.choice(
                    (
                        "christmas",
                        "easter",
                        "xmas",
                        "new year's eve",
                        "thanksgiving",
                        "labor day",
                        "spring",
                        "summer",
                        "mid " + name,
                        "early",
                        "late",
                        "fall",
                    )
                )
                + rng.choice(("", f" {year}"))
            ),
            lambda: str(rng.randint(30000, 60000)),
            lambda: f"{day:02}{month:02}{year}",
            lambda: f"{day:02}{rng.randint(13, 31)}{year}",
            lambda: f"{day}/{month}/{rng.randint(1, 9)}",
            lambda: f"{day}-{month}-{rng.randint(100, 999)}",
            lambda: f"{year}-{rng.randint(13, 19)}-{day:02}",
            lambda: f"{rng.choice(WEEKDAYS['en'].split())}",
            lambda: f"{day} {rng.choice(('foo', 'abc', 'xyz', 'Monat', 'mon'))} {year}",
            lambda: f"{day}/{month}/{year}/{month}",
            lambda: f"{numbers.ordinal(rng.randint(32, 50))} {name} {year}",
            lambda: f"{day}.{month}.{year}, {day + 1}.{month}.{year}",
        )
    )()
    return (text, "unknown") if not _compact_date(text) else year_first(rng)


def _compact_date(text: str) -> bool:
    return len(text) == 8 and text.isdigit() and _answer(int(text[:4]), int(text[4:6]), int(text[6:])) is not None


def generate(rng, order: str | None) -> tuple[str, str]:
    """One value that was meant as a date."""
    roll = rng.random()
    if roll < 0.10:
        return none(rng)
    share = 0.30 if order is None else 0.60
    if roll < 0.10 + share:
        return numeric(rng, order)
    return year_first(rng) if roll < 0.22 + share else named(rng)
