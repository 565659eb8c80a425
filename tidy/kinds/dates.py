"""Dates: named months in five languages, numeric forms in three orders, and what is no date."""

import calendar
import datetime

from . import numbers
from .forms import fill, listed, rolled, spaced

MONTHS = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "it": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
}
MONTHS = {language: names.split() for language, names in MONTHS.items()}
SHORT = {
    "en": "jan feb mar apr may jun jul aug sep oct nov dec",
    "de": "jan feb mrz apr mai jun jul aug sep okt nov dez",
    "fr": "janv févr mars avr mai juin juil août sept oct nov déc",
    "es": "ene feb mar abr may jun jul ago sep oct nov dic",
    "it": "gen feb mar apr mag giu lug ago set ott nov dic",
}
SHORT = {language: names.split() for language, names in SHORT.items()}
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
WEEKDAYS = {language: names.split() for language, names in WEEKDAYS.items()}
LABELS = listed("date | on | dated | born | born on | geb. | dob | due | as of | signed | datum | invoice date")
KNOWN = frozenset(
    [
        *(name for table in (MONTHS, WEEKDAYS) for names in table.values() for name in names),
        *listed(
            "first | second | third | fourth | fifth | sixth | seventh | eighth | ninth | tenth | eleventh | twelfth"
        ),
        *(name + "th" for name in numbers.ONES[13:]),
        *listed("twenty | twentieth | thirty | thirtieth"),
    ]
)
# Slots: d day, o ordinal, w ordinal in words, f French (1er), m month, y year of two or four digits, Y of four.
FORMS = {
    "en": listed("""
        {d} {m} {y} | {d} {m} {y} | {m} {d}, {y} | {m} {d} {y} | {m} {d},{y}
        {o} {m} {y} | {o} of {m} {y} | {o} {m}, {y} | {m} {o} {y} | {m} {o}, {y} | {m} {o},{y}
        {m} the {o} {y} | {m} the {o}, {y} | the {o} of {m} {y} | the {o} of {m}, {y}
        {d}-{m}-{y} | {d}/{m}/{y} | {d}.{m}.{y} | {m}-{d}-{y} | {m}/{d}/{y} | {d}{m}{y}
        {d} {m}. {y} | {m}. {d}, {y} | {d} {m}, {y}
        the {w} of {m} {y} | {w} of {m}, {y} | {m} {w}, {y} | {m} {w} {y} | {d} of {m} {y} | the {o} {m} {y}
    """),
    "de": listed("""
        {d}. {m} {y} | {d}. {m} {y} | {d}.{m} {y} | {d} {m} {y} | {d}.{m}.{y} | {d}. {m}. {y}
        den {d}. {m} {y} | am {d}. {m} {y}
    """),
    "fr": listed("{d} {m} {y} | {d} {m} {y} | le {d} {m} {y} | {d} {m}. {y} | {f} {m} {y} | le {f} {m} {y}"),
    "es": listed("""
        {d} de {m} de {y} | {d} de {m} de {y} | {d} {m} {y} | {d} de {m} {y} | el {d} de {m} de {y} | {d} de {m} del {y}
    """),
    "it": listed("{d} {m} {y} | {d} {m} {y} | il {d} {m} {y} | {d} {m}, {y} | {d}° {m} {y}"),
}
YEAR_FIRST = listed("{Y}-{m}-{d} | {Y} {m} {d} | {Y}, {m} {d} | {Y}/{m}/{d} | {Y} {m} {o} | {Y}.{m}.{d}")
TIMES = spaced(
    " 14:30| 08:15:00|, 3pm| at 15:30| 9:30 am| 23:59:59 GMT",
    " 14:00 Uhr| 10:00 UTC|, 17h30| noon| 00:00:00| 12:45 PM",
)
ISO_TIMES = listed("T14:30:00Z | T08:00 | T23:59:59+02:00 | T00:00:00.000Z | T12:00:00") + TIMES
MARKS = spaced("/|-|.| |,|\\| / |. | - | . ")
MARK_WEIGHTS = (40, 22, 20, 5, 2, 2, 3, 3, 2, 1)
# Rule 5: day, month and year are all needed. Then ranges, bounds and choices, what is relative, and impossible days.
NONE = listed("""
    {name} {year} | {name} {nth} | {day} {name} | {year} | {month}/{year} | {day}.{month}. | {year}-{month:02}
    {day}/{month} | {nth} of {name} | {name} '{short} | {name} | the {nth} | {month:02}.{year}
    {day} {name} - {day+2} {other} {year} | {name} {day}-{day+3}, {year} | {year}-{month:02}-{day:02} to {year}-12-31
    {day}.-{day+2}.{month}.{year} | between {day} {name} {year} and {day} {other} {year}
    {day} {name}-{day} {other} {year} | before {name} {day}, {year} | after {day} {name} {year}
    {day} or {day+1} {name} {year}
    {relative} | {period} | {feast}{of_year} | {serial}
    {day:02}{month:02}{year} | {day:02}{wrong_month}{year} | {day}/{month}/{digit} | {day}-{month}-{three}
    {year}-{month_13}-{day:02} | {weekday} | {day} {no_month} {year} | {day}/{month}/{year}/{month}
    {no_day} {name} {year} | {day}.{month}.{year}, {day+1}.{month}.{year}
""")
RELATIVE = listed("""
    yesterday | today | tomorrow | now | next week | last monday | next may | 3 days ago | in two weeks | last year
    this morning | heute | gestern | morgen | hier | demain | mañana | ayer | oggi | domani | next friday | a month ago
    last summer | eom | asap | end of month | soon
""")
PERIODS = listed("""
    Q{q} {year} | Q{q}/{year} | {q}Q{year} | H1 {year} | week {w} {year} | {year}-W{w} | KW {w}/{year} | w{w} {year}
    {year} Q{q} | FY{year}
""")
FEASTS = listed("""
    christmas | easter | xmas | new year's eve | thanksgiving | labor day | spring | summer | mid {name} | early | late
    fall
""")
SLOTS = {  # of the forms in NONE
    "relative": RELATIVE,
    "feast": FEASTS,
    "of_year": ("", " {year}"),
    "weekday": WEEKDAYS["en"],
    "serial": range(30_000, 60_001),
    "digit": range(1, 10),
    "three": range(100, 1000),
    "wrong_month": range(13, 32),
    "month_13": range(13, 20),
    "no_month": ("foo", "abc", "xyz", "Monat", "mon"),
    "no_day": [numbers.ordinal(n) for n in range(32, 51)],
}


def _answer(year: int, month: int, day: int) -> str | None:
    """The day by the calendar, from 1500 to 2199."""
    try:
        return datetime.date(year, month, day).isoformat() if 1500 <= year <= 2199 else None
    except ValueError:
        return None


def _year(rng) -> int:
    return rng.choice(rolled(rng, (0.55, range(1990, 2031)), (0.85, range(1930, 2070)), (1, range(1500, 2200))))


def _pick(rng) -> tuple[int, int, int]:
    """A day, mostly a real one; impossible ones and 29 February more often than chance."""
    roll = rng.random()
    year, month = _year(rng), rng.randint(1, 12)
    if roll < 0.10:
        # As many in years that four divides as in those that only two does, and as in odd ones: that most years have no
        # such day is learnt sooner than which.
        return year - year % 4 + rng.choice((0, 0, 1, 2, 2, 3)), 2, rng.choice((29, 29, 29, 29, 28, 30))
    if roll < 0.125:
        return year, rng.choice((4, 6, 9, 11)), 31
    if roll < 0.14:
        return year, month, rng.choice((0, 32, 33, 35, 40, 45, 99))
    if roll < 0.16:
        return year, month, rng.choice((30, 31))
    if roll < 0.17:
        return rng.choice((rng.randint(1000, 1499), rng.randint(2200, 2999))), month, rng.randint(1, 28)
    return year, month, rng.randint(1, 28 if month == 2 else calendar.monthrange(year, month)[1])


def _two_digits(rng, year: int) -> str | None:
    return rng.choice(("'", "", "", "\u2019")) + f"{year % 100:02}" if 1970 <= year <= 2069 else None


def _padded(rng, n: int) -> str:
    return f"{n:02}" if rng.random() < 0.5 else str(n)


def _capitalized(rng, name: str, share: float) -> str:
    return name.capitalize() if rng.random() < share else name


def _month(rng, language: str, month: int) -> str:
    """The month's name, whole or short, in one of its spellings."""
    name = rng.choice((MONTHS, SHORT))[language][month - 1]
    if name in SPELLINGS and rng.random() < 0.6:
        name = rng.choice(SPELLINGS[name])
    return _capitalized(rng, name, 0.55)


def named(rng) -> tuple[str, str]:
    """A date with its month's name: every order reads it alike."""
    year, month, day = _pick(rng)
    language = rng.choices(("en", "de", "fr", "es", "it"), (60, 12, 10, 10, 8))[0]
    name = _month(rng, language, month)
    form = rng.choice(YEAR_FIRST if rng.random() < 0.06 else FORMS[language])
    short = _two_digits(rng, year) if rng.random() < 0.28 else None
    if short and form == "{d}{m}{y}":
        short = short[-2:]
    text = form.format(
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
    """A weekday in front and a time of day behind, which the answer leaves out."""
    if rng.random() < 0.10:
        day = _capitalized(rng, rng.choice(WEEKDAYS[language]), 0.6)
        text = day + rng.choice((" ", ", ", ". ", " the " if language == "en" else " ")) + text
    if rng.random() < 0.08:
        text += rng.choice(TIMES)
    return text


def year_first(rng) -> tuple[str, str]:
    """ISO and its relatives: year, month, day, and eight digits in a row."""
    year, month, day = _pick(rng)
    if rng.random() < 0.05:
        month = rng.choice((0, 13, 14, 15, 17, 20, 24, 30))
    answer = _answer(year, month, day) or "unknown"
    roll = rng.random()
    if roll < 0.12:
        return f"{year}{month:02}{day:02}", answer
    mark = rng.choice("---//. ")
    shown = (_padded(rng, month), _padded(rng, day)) if roll < 0.5 else (f"{month:02}", f"{day:02}")
    text = mark.join((str(year), *shown))
    return text + rng.choice(ISO_TIMES) if rng.random() < 0.15 else text, answer


def _ordered(rng, order: str | None, month: int, day: int) -> tuple[int, int]:
    """Month and day as they are written: mostly in the order, and sometimes the same number twice."""
    american = (order == "us") == (rng.random() < 0.93)
    if order is None:
        american = rng.random() < 0.4
        if rng.random() < 0.04:
            month = day = min(month, day)
    return (month, day) if american else (day, month)


def _read(order: str | None, mark: str, year: int, first: int, second: int) -> str | None:
    """The one day that the order allows; without an order, dots say day first, and other marks leave no choice."""
    us, eu = _answer(year, first, second), _answer(year, second, first)
    if order or "." in mark:
        return us if order == "us" else eu
    return (us or eu) if us == eu or not (us and eu) else None


def numeric(rng, order: str | None) -> tuple[str, str]:
    """Two numbers and the year; order is "us", "eu" or None (never guess)."""
    year, month, day = _pick(rng)
    if rng.random() < 0.08:
        month = rng.randint(0, 19)
    first, second = _ordered(rng, order, month, day)
    mark = rng.choices(MARKS, MARK_WEIGHTS)[0]
    short = _two_digits(rng, year) if rng.random() < 0.35 else None
    padded = (f"{first:02}", f"{second:02}")
    shown = padded if rng.random() < 0.45 else (_padded(rng, first), _padded(rng, second))
    text = mark.join((*shown, short or str(year)))
    return _around(rng, text), _read(order, mark, year, first, second) or "unknown"


def _period(rng, year: int) -> str:
    """A quarter, a week or a year of accounts."""
    return fill(rng, rng.choice(PERIODS), q=rng.randint(1, 4), year=year, w=rng.randint(1, 52))


def none(rng) -> tuple[str, str]:
    """Partial, relative, ranged or otherwise no date; the eight digits that happen to be one give way to another."""
    year, month, day = _year(rng), rng.randint(1, 12), rng.randint(1, 28)
    slots = {
        "year": year,
        "short": f"{year % 100:02}",
        "month": month,
        "name": rng.choice((MONTHS, SHORT))["en"][month - 1].capitalize(),
        "other": rng.choice(SHORT["en"]).capitalize(),
        "day": day,
        "nth": numbers.ordinal(day),
        "period": lambda rng: _period(rng, year),
    }
    text = fill(rng, rng.choice(NONE), **slots, **SLOTS)
    return year_first(rng) if _compact_date(text) else (text, "unknown")


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
