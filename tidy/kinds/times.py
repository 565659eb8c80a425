"""Times of day."""

from . import numbers
from .forms import fill, listed, meant, rolled, spaced

LABELS = listed("time | at | start | starts at | um | opens | uhrzeit | departure | arrives")
KNOWN = frozenset(numbers.ONES[1:] + numbers.TENS[2:]) | frozenset(
    listed("""
        half | past | quarter | noon | midnight | midday | morning | afternoon | evening | night | clock | before
        after | halb | viertel | mittag | minutes
    """)
)
BEFORE, AFTER = ("to", "to", "before", "til"), ("past", "past", "after")
ZONES = spaced(" CET| EST| GMT| UTC| PST| CEST| Z|Z| +02:00|+01| ET| local| (CET)| EDT")
AM = ("am", " am", "a.m.", " a.m.", " AM", "AM", "a", " a.m", " in the morning")
PM = ("pm", " pm", "p.m.", " p.m.", " PM", "PM", "p", " p.m", " pm")
O_CLOCK = (" o'clock", " o clock", " oclock", " o\u2019clock", "o'clock")
HOURS = (" Uhr", "h", " h", " uhr", " heures", "Uhr", " hrs", " hours", "H")  # behind an hour alone
NAMED = meant("""
    12:00 = noon | midday
    00:00 = midnight
    12:00 = 12 noon
    00:00 = 12 midnight
    12:00 = high noon | Mittag
    00:00 = Mitternacht
    12:00 = midi
    00:00 = minuit
""")
QUARTERS = meant("""
    15 = quarter past | a quarter past
    -15 = quarter to | a quarter to | quarter before
    15 = quarter after
    -15 = 1/4 to
""")
GERMAN_HOURS = listed("eins | zwei | drei | vier | fünf | sechs | sieben | acht | neun | zehn | elf | zwölf")
GERMAN = meant("""
    -30 = halb | halb
    15 = viertel nach
    -15 = viertel vor
    10 = zehn nach
    -5 = fünf vor
    -10 = zehn vor
    20 = zwanzig nach
""")
# Rules 2, 4 and 5: hours are 0 to 23, a bare hour says too little, minutes have two digits. Ranges and bounds.
NONE = listed("""
    {late}:{minute:02} | {hour}:{sixty} | {hour:02}:{minute:02}:{sixty} | {day_hour}h{half_hour}
    {afternoon}:{minute:02} am | {teens}{am} | {bare} | at {hour} | {late}{minute:02} | {hour}{sixty}
    {hour}-{hour+1}pm | {hour}:00 - {hour+2}:30 | {hour}am to {hour}pm | {hour} or {hour+1} pm | before {hour}pm
    after {hour}:{minute:02} | between {hour} and {hour+2} pm
    {hour}:{digit} | {hour}: | :{minute:02} | 24:00 | {hour}:{minute:02} / {hour+1}:{minute:02} | {hour}.{digit}
    {hour}:{minute:02}:{digit} | until {hour}pm | {vague} | {words}
    {oclock} o'clock | {serial} | -{hour}:{minute:02} | {minute} to
""")
VAGUE = listed("""
    morning | evening | afternoon | night | in the morning | early | late | now | soon | tonight | lunchtime | sunset
    dawn | after work | all day | daily | anytime | open | closed | in 5 minutes | abends | pm | am | o'clock
    half past | quarter to | breakfast | later | dusk | 24/7 | afternoons
""")
SLOTS = {  # of the forms in NONE
    "late": range(24, 100),
    "sixty": range(60, 100),
    "day_hour": range(24, 61),
    "half_hour": ("", "00", "30"),
    "afternoon": range(13, 24),
    "teens": range(13, 20),
    "am": AM[:-1],
    "bare": range(100),
    "digit": range(10),
    "words": lambda rng: numbers.words(rng, rng.randint(1, 40)),
    "oclock": range(25, 61),
    "serial": range(10_000, 100_000),
    "vague": VAGUE,
}


def _clock(minutes: int) -> str:
    """Minutes after midnight, on the 24-hour clock."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _part_of_day(rng, hour: int) -> tuple[int, str]:
    """The hour on the twelve-hour clock and the words that say which half is meant."""
    if hour < 12:
        return hour or 12, rng.choice(AM[:-1] if hour == 0 else AM)
    words = [" in the afternoon"] if 12 <= hour < 18 else []
    words += [" in the evening"] if hour >= 17 else []
    words += [" at night"] if 18 <= hour <= 23 else []
    return (hour - 12) or 12, rng.choice(words if rng.random() < 0.2 else PM)


def _apart(half: str) -> str:
    return half if half[0] == " " else " " + half


def _seconds(rng) -> str:
    """`:09`, and some with a fraction, which the answer leaves out."""
    seconds = f":{rng.randint(0, 59):02}"
    if rng.random() < 0.25:
        seconds += fill(rng, rng.choice((".", ",")) + "#" * rng.choice((1, 2, 3, 3, 6)))
    return seconds


def _twelve_hours(rng, hour: int, minutes: str, full: bool) -> str:
    """On the twelve-hour clock; a full hour mostly goes without its minutes."""
    shown, half = _part_of_day(rng, hour)
    shown = f"{shown:02}" if rng.random() < 0.2 else str(shown)
    return f"{shown}{'' if full and rng.random() < 0.6 else minutes}{half}"


def _twenty_four_hours(rng, hour: int, minutes: str) -> str:
    """On the 24-hour clock, some with a word for hours, some with a pm that changes nothing."""
    text = (str(hour) if rng.random() < 0.4 else f"{hour:02}") + minutes
    roll = rng.random()
    if roll < 0.06:
        return text + rng.choice((" Uhr", "h", " h", " hrs", " hours", " Uhr", " uur"))
    return text + rng.choice(PM) if roll < 0.09 and hour >= 13 else text


def clock(rng) -> tuple[str, str]:
    """Digits, with or without seconds, on either clock."""
    hour, minute = rng.randint(0, 23), numbers.sized(rng, (0, 0, 15, 30, 45, range(60), range(60), range(60)))
    mark = rng.choices((":", ".", ";", " : ", ": ", ":"), (70, 14, 3, 2, 2, 9))[0]
    seconds = _seconds(rng) if rng.random() < 0.18 else ""
    minutes = f"{':' if seconds else mark}{minute:02}{seconds}"
    if rng.random() < 0.45:
        text = _twelve_hours(rng, hour, minutes, full=minute == 0 and not seconds)
    else:
        text = _twenty_four_hours(rng, hour, minutes)
    if rng.random() < 0.07:
        text += rng.choice(ZONES)
    return text, f"{hour:02}:{minute:02}{seconds[:3]}"


def _digits(rng, hour: int, minute: int) -> tuple[str, str]:
    """`1530`, `930`: three or four digits alone are a clock's digits."""
    padded = hour < 1 or rng.random() < 0.5
    tail = rng.choice(("", "", "", " hours", " hrs", "h", " Uhr", "Z"))
    return f"{hour:02}{minute:02}{tail}" if padded else f"{hour}{minute:02}{tail}", _clock(hour * 60 + minute)


def _digits_and_half(rng, hour: int, minute: int) -> tuple[str, str]:
    """`930 pm`."""
    shown, half = _part_of_day(rng, hour)
    return f"{shown}{minute:02}{half}", _clock(hour * 60 + minute)


def _h(rng, hour: int, minute: int) -> tuple[str, str]:
    """`15h30`."""
    return f"{hour}{rng.choice(('h', 'H', ' h ', 'h', 'u'))}{minute:02}", _clock(hour * 60 + minute)


def _uhr(rng, hour: int, minute: int) -> tuple[str, str]:
    """`7 Uhr 30`; minutes have two digits."""
    if not minute:
        return _hour(rng, hour, minute)
    text = f"{hour} {rng.choice(('Uhr', 'uhr', 'heures', 'uur'))} {minute}"
    return text, _clock(hour * 60 + minute) if minute >= 10 else "unknown"


def _hour(rng, hour: int, _minute: int) -> tuple[str, str]:
    """`7 Uhr`, `15h`."""
    return f"{hour}{rng.choice(HOURS)}", f"{hour:02}:00"


def _o_clock(rng, hour: int, _minute: int) -> tuple[str, str]:
    """`8 o'clock`, on the 24-hour clock where nothing says which half is meant."""
    shown, half = _part_of_day(rng, hour)
    oclock = rng.choice(O_CLOCK)
    shown = numbers.ONES[shown] if rng.random() < 0.4 else shown
    if hour and rng.random() < 0.5:
        return f"{shown}{oclock}", f"{hour if hour <= 12 else hour - 12:02}:00"
    return f"{shown}{oclock}{_apart(half)}", f"{hour:02}:00"


def compact(rng) -> tuple[str, str]:
    """`1530`, `930 pm`, `15h30`, `7 Uhr`, `8 o'clock`."""
    hour, minute = rng.randint(0, 23), numbers.sized(rng, (0, 15, 30, 45, range(60)))
    shape = rng.choice((_digits, _digits, _digits_and_half, _h, _h, _uhr, _o_clock, _hour))
    return shape(rng, hour, minute)


def _german(rng, hour: int) -> tuple[str, str]:
    """`halb acht` is half past seven."""
    name = GERMAN_HOURS[hour - 1] if rng.random() < 0.75 else str(hour)
    words, minutes = rng.choice(GERMAN)
    return f"{words} {name}", _clock(hour * 60 + int(minutes))


def _half_past(rng) -> tuple[str, int]:
    return rng.choice(("half past", "half past", "half", "half-past", "1/2 past")), 30


def _quarter(rng) -> tuple[str, int]:
    words, minutes = rng.choice(QUARTERS)
    return words, int(minutes)


def _minutes(rng) -> tuple[str, int]:
    """`ten past`, `7 minutes to`: minutes that are not a multiple of five are said to be minutes."""
    minute = numbers.sized(rng, (5, 10, 20, 25, 5, 10, 20, range(1, 30)))
    before = rng.random() < 0.5
    words = numbers.words(rng, minute) if rng.random() < 0.55 else str(minute)
    if minute % 5 or rng.random() < 0.2:
        words += rng.choice((" minutes", " mins", " min"))
    return f"{words} {rng.choice(BEFORE if before else AFTER)}", -minute if before else minute


def _read_out(rng, hour: int) -> tuple[str, int]:
    """`six thirty`, `six oh five`."""
    minute = numbers.sized(rng, (15, 30, 45, 10, 20, 40, 50, range(10, 60), range(1, 10)))
    spelled = rng.choice(("oh ", "o ", "oh-")) + numbers.ONES[minute] if minute < 10 else numbers.words(rng, minute)
    return f"{numbers.ONES[hour]}{rng.choice(' -')}{spelled}", minute


def _said_half(rng, hour: int) -> tuple[int, str]:
    """Some hours, all but twelve, with the half of the day that is meant: the hour of 24 and the words."""
    if rng.random() < 0.4 and hour < 12:
        hour += 12 if rng.random() < 0.5 else 0
        return hour, _apart(_part_of_day(rng, hour)[1])
    return hour, ""


def spoken(rng) -> tuple[str, str]:
    """`half past seven`, `quarter to 5 pm`, `ten past six`, `halb acht`, `six thirty`, `noon`."""
    hour = rng.randint(1, 12)
    roll = rng.random()
    if roll < 0.06:
        return rng.choice(NAMED)
    name = numbers.ONES[hour] if rng.random() < 0.6 else str(hour)
    if roll < 0.13:
        return _german(rng, hour)
    meant_hour, half = _said_half(rng, hour)
    if roll < 0.75:
        shape = _half_past if roll < 0.30 else _quarter if roll < 0.50 else _minutes
        words, minutes = shape(rng)
        return f"{words} {name}{half}", _clock(meant_hour * 60 + minutes)
    words, minutes = _read_out(rng, hour)
    return f"{words}{half}", _clock(meant_hour * 60 + minutes)


def none(rng) -> tuple[str, str]:
    """Impossible, bare, ranged or vague."""
    hour, minute = rng.randint(1, 12), rng.randint(0, 59)
    return fill(rng, rng.choice(NONE), hour=hour, minute=minute, **SLOTS), "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a time of day."""
    return rolled(rng, (0.12, none), (0.50, clock), (0.68, compact), (1, spoken))(rng)
