"""Phone numbers, answered in E.164."""

from .forms import fill, listed

# fmt: off
COUNTRIES = {  # code: (fewest, most) digits behind it
    "49": (9, 11), "44": (10, 10), "33": (9, 9), "34": (9, 9), "39": (8, 10), "41": (9, 9), "43": (8, 11), "31": (9, 9),
    "32": (8, 9), "45": (8, 8), "46": (7, 9), "47": (8, 8), "48": (9, 9), "351": (9, 9), "353": (7, 9), "358": (7, 10),
    "420": (9, 9), "30": (10, 10), "61": (9, 9), "64": (8, 9), "81": (9, 10), "86": (11, 11), "91": (10, 10),
    "55": (10, 11), "52": (10, 10), "27": (9, 9), "90": (10, 10), "7": (10, 10), "82": (9, 10), "65": (8, 8),
    "971": (9, 9), "972": (9, 9), "380": (9, 9), "36": (8, 9), "40": (9, 9), "54": (10, 10), "56": (9, 9),
    "57": (10, 10), "234": (10, 10), "254": (9, 9),
}
# fmt: on
LABELS = listed("""
    tel | tel. | phone | ph | mobile | cell | home | office | fax | call | T | telefon | mob | work | phone no | contact
""")
KNOWN = frozenset(listed("phone | mobile | telefon"))
AMERICAN = listed("""
    ({a}) {o}-{l} | ({a}) {o}-{l} | ({a}){o}-{l} | {a}-{o}-{l} | {a}-{o}-{l} | {a}.{o}.{l} | {a} {o} {l} | {a}{o}{l}
    {a}/{o}-{l} | ({a}) {o} {l} | {a} {o}-{l} | [{a}] {o}-{l} | ({a}) {o}.{l} | {a}-{o} {l} | {a} - {o} - {l}
    ({a}) {o} {m} {n} | {a} {o} {m} {n} | ({a}){o} {m} {n}
""")
ONE = ("1-", "1 ", "+1 ", "+1-", "+1", "1.", "+1.", "001 ", "1", "(1) ", "+1 ")
TAILS = (" ext. {x}", " ext {x}", " x{x}", "x{x}", " extension {x}", ", ext. {x}", " ext.{x}")
FIRST, AREA_FIRST = tuple("123456789"), tuple("23456789")
NOTES = (" (home)", " (work)", " (cell)", " mobile", " home", " work", " (office)", " cell")
# Rule 2: seven digits, a national 0, letters as digits, two numbers; a first digit of 0 or 1, and other lengths.
NONE = listed("""
    ###-#### | ### #### | {short}
    0{national}{grouped} | 0{national}##/{subscriber} | (0{national}##) ######
    1-800-{vanity} | ({area}) {area}-{letters}
    {one} / {other} | {one} or {other} | {one}, {other} | {one}; {other}
    {low}##-###-#### | ({low}##) ###-####
    +{country} {few} | +{two} {many} | {high}{wrong} | {area}-{area}-### | {area}-{area}-#####
    {month}-{day}-{year} | ext. ### | x### | {user}@{host} | 911 | + | {excuse}
""")
VANITY = listed("FLOWERS | CALL-NOW | GET-HELP | LAWYERS | BUY-THIS | CONTACTS | COLLECT | PIZZA-ME")
EXCUSES = listed("""
    none | no phone | call me | call the office | private | unlisted | same as above | email only | do not call
    withheld | disconnected | skype: john.smith | www.example.com | ask reception | no number | see card
    xxx-xxx-xxxx | 555-CALL
""")


def _digits(rng, n: int) -> str:
    return fill(rng, "#" * n)


def _between(fewest: int, most: int):
    """What draws a number of digits, and them."""
    return lambda rng: _digits(rng, rng.randint(fewest, most))


def _groups(rng, digits: str) -> str:
    """The digits in groups of two to four, with one kind of mark."""
    mark = rng.choice((" ", " ", " ", "-", ".", "", "/", " "))
    groups = []
    while len(digits) > 4:
        size = rng.choice((2, 2, 3, 3, 4))
        groups.append(digits[:size])
        digits = digits[size:]
    return mark.join([*groups, digits])


SLOTS = {  # of the forms in NONE
    "short": _between(1, 7),
    "few": _between(1, 4),
    "subscriber": _between(5, 7),
    "many": _between(15, 17),
    "wrong": lambda rng: _digits(rng, rng.choice((7, 8, 11, 12))),
    "grouped": lambda rng: _groups(rng, _digits(rng, rng.randint(6, 9))),
    "national": FIRST,
    "high": AREA_FIRST,
    "low": ("0", "1"),
    "area": range(200, 1000),
    "country": range(1, 100),
    "two": range(10, 100),
    "month": range(1, 13),
    "day": range(1, 29),
    "year": range(1950, 2031),
    "vanity": VANITY,
    "letters": listed("HELP | CARS | TAXI | FOOD"),
    "user": listed("john | mary | info | sales"),
    "host": listed("example.com | mail.org | foo.net"),
    "excuse": EXCUSES,
}


def american(rng) -> tuple[str, str]:
    """Ten digits in every usual shape, with or without 1."""
    area, office, line = (fill(rng, form, first=AREA_FIRST) for form in ("{first}##", "{first}##", "####"))
    text = rng.choice(AMERICAN).format(a=area, o=office, l=line, m=line[:2], n=line[2:])
    if rng.random() < 0.35:
        text = rng.choice(ONE) + text
    return text, f"+1{area}{office}{line}"


def international(rng) -> tuple[str, str]:
    """A country's code behind +, 00 or 011, and its digits."""
    code = rng.choice(tuple(COUNTRIES))
    digits = rng.choice(FIRST) + _digits(rng, rng.randint(*COUNTRIES[code]) - 1)
    prefix = rng.choice(("+", "+", "+", "+", "00", "00", "011 ", "(+", "011-"))
    grouped = digits if rng.random() < 0.12 else _groups(rng, digits)
    zero = rng.choice((" (0)", " (0) ", "(0)")) if rng.random() < 0.15 else ""
    middle = zero or (rng.choice((" ", " ", "-", ".", "")) if grouped != digits or rng.random() < 0.4 else "")
    close = ")" if prefix == "(+" else ""
    return f"{prefix}{code}{close}{middle}{grouped}", f"+{code}{digits}"


def none(rng) -> tuple[str, str]:
    """Too short, too long, national, with letters, or two numbers."""
    one, other = american(rng)[0], american(rng)[0]
    return fill(rng, rng.choice(NONE), one=one, other=other, **SLOTS), "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a phone number."""
    roll = rng.random()
    if roll < 0.15:
        return none(rng)
    text, answer = american(rng) if roll < 0.60 else international(rng)
    if rng.random() < 0.10:
        text += rng.choice(TAILS).format(x=_digits(rng, rng.choice((1, 2, 3, 3, 4))))
    elif rng.random() < 0.05:
        text += rng.choice(NOTES)
    return text, answer
