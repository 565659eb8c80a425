"""Amounts with their currency."""

from . import numbers
from .forms import fill, listed, rolled

CURRENCIES = {  # code: (signs, names, names of hundredths)
    "USD": (
        ("$", "$", "$", "US$", "US $", "USD$"),
        ("dollars", "dollar", "bucks", "US dollars", "dollars"),
        ("cents", "cent"),
    ),
    "EUR": (("€", "€", "€"), ("euros", "euro", "Euro", "Euros"), ("cents", "cent")),
    "GBP": (("£", "£"), ("pounds", "pound", "quid", "pounds sterling", "quid"), ("pence", "p")),
    "JPY": (("¥", "¥"), ("yen", "japanese yen"), ()),
    "INR": (("₹", "Rs.", "Rs ", "Rs", "Rs. "), ("rupees", "rupee", "indian rupees"), ()),
    "CHF": (("Fr.", "Fr. ", "SFr. "), ("francs", "swiss francs", "Franken"), ()),
    "PLN": (("zł", "zl"), ("zloty", "złoty"), ()),
    "BRL": (("R$", "R$ "), ("reais",), ()),
    "CAD": (("C$", "CA$", "CAD$", "C$ ", "Can$"), ("canadian dollars",), ()),
    "AUD": (("A$", "AU$", "A$ ", "AUD$"), ("australian dollars", "aussie dollars"), ()),
    "SEK": ((), ("swedish kronor", "swedish krona"), ()),
    "NOK": ((), ("norwegian kroner", "norwegian krone"), ()),
    "DKK": ((), ("danish kroner", "danish krone"), ()),
    "CNY": (("CN¥",), ("yuan", "chinese yuan", "renminbi", "RMB"), ()),
}
CODES = tuple(CURRENCIES)
WEIGHTS = (24, 24, 15, 6, 6, 7, 4, 3, 4, 4, 3, 2, 2, 3)
SIGN_FIRST = {"EUR": 0.4, "PLN": 0.05}  # how often the sign stands before the digits, if not 0.85
LABELS = listed("""
    price | total | cost | amount | sum | only | Preis | fee | budget | paid | approx | invoice total | salary
""")
KNOWN = frozenset(numbers.ONES + numbers.TENS[2:]) | frozenset(
    listed("""
        dollars | dollar | euros | euro | pounds | pound | quid | bucks | rupees | rupee | francs | zloty | yuan
        cents | cent | pence | reais | kroner | kronor | swiss | swedish | norwegian | danish | canadian | australian
        japanese | million | thousand | hundred
    """)
)
SIZES = (
    *(range(10), range(1, 100), range(10, 1000), range(100, 10_000), range(1000, 100_000)),
    *(range(100, 10_000, 100), range(1000, 10_000), range(10_000, 10_000_000), range(1000, 1_000_000, 1000)),
    *(range(1_000_000, 10_000_000, 100_000), range(1_000_000, 200_000_000, 1_000_000)),
    range(10_000_000, 1_000_000_000),
)
WORDED_SIZES = (
    *(range(1, 21), range(1, 100), range(10, 100, 10), range(100, 1000, 100), range(100, 1000)),
    *(range(1000, 100_000, 1000), range(1000, 100_000), range(1_000_000, 21_000_000, 1_000_000)),
)
SCALES = (
    (3, ("k", "K", " k", "k", " thousand", "k")),
    (6, ("m", "M", "mn", " mio", " Mio.", " million", " million", "m", " m", " mn")),
)
EVEN = (",-", ".-", "/-", ",--", ".\u2013", ",\u2013")  # behind an amount without hundredths
# Rule 1: a currency is needed; `kr` is of three countries. Ranges and bounds, and rule 2: more than two decimals.
NONE = listed("""
    {shown} | {shown} | {shown} kr | kr {shown} | {shown}kr. | {whole} cents | {whole}c | {whole}¢
    {sign}{whole}-{whole+10} | {whole} - {whole+50} EUR | {sign}{whole} to {sign}{whole+5}
    > {sign}{whole} | under {sign}{whole} | over {whole} euros | at least {whole} USD | max {whole} €
    from {sign}{whole} | up to {sign}{whole} | {whole} or {whole+5} dollars | {sign}{whole} + {sign}{tip}
    {whole}.{four} {code} | {whole},{long} {sign}
    {whole}k | {code} | {sign} | {whole} credits | {whole} points | {whole} each | {whole} BTC | {whole} XYZ
    {whole} tokens | {words} | {whole}% | {sign}{two},{two},{three} | {sign}1.{two}.{two} | {vague}
""")
VAGUE = listed("""
    free | gratis | priceless | expensive | cheap | on request | call for price | negotiable | VB | a lot | some money
    half | kostenlos | included | zero | broke | sold out | a few bucks | several euros
""")


def _code(rng) -> str:
    return rng.choices(CODES, WEIGHTS)[0]


def _place(rng, digits: str, code: str) -> str:
    """The currency before or behind the digits, as sign, code or name."""
    signs, names, _ = CURRENCIES[code]
    roll = rng.random()
    if signs and roll < 0.5:
        sign = rng.choice(signs)
        if rng.random() < SIGN_FIRST.get(code, 0.85):
            return f"{sign}{rng.choice(('', '', ' '))}{digits}"
        return f"{digits}{rng.choice(('', ' ', ' '))}{sign.strip()}"
    if roll < 0.85:
        if rng.random() < 0.6:
            return f"{digits}{rng.choice(('', ' ', ' ', ' '))}{code}"
        return f"{code}{rng.choice(('', ' ', ' ', ': '))}{digits}"
    return f"{digits}{rng.choice((' ', ' ', ' ', ''))}{rng.choice(names)}"


def _signed(rng, text: str, answer: str) -> tuple[str, str]:
    """Some amounts made negative: a minus in front, or brackets around it all."""
    roll = rng.random()
    if answer == "unknown" or roll > 0.11:
        return text, answer
    if roll < 0.03:
        return f"({text})", "-" + answer
    return rng.choice(numbers.MINUS) + text, "-" + answer


def _decimals(rng) -> str:
    """Mostly none or two digits, sometimes one, or too many."""
    two, usual, one = f"{rng.randint(0, 99):02}", rng.choice(("00", "50", "95", "99")), str(rng.randint(0, 9))
    many = f"{rng.randint(0, 99999):0{rng.choice((3, 4, 5))}}"
    return rng.choices(("", two, usual, one, many), (40, 32, 16, 8, 4))[0]


def digits(rng) -> tuple[str, str]:
    """Plain amounts, signs and marks of every habit, and the rule of three digits."""
    code, whole = _code(rng), numbers.sized(rng, SIZES)
    text = numbers.write(rng, whole, _decimals(rng))
    value = numbers.read(text, lone_point_is_thousands=True)
    if value is None or len(value[1]) > 2:
        return _place(rng, text, code), "unknown"
    answer = f"{value[0]}.{value[1]:0<2} {code}"
    if not value[1] and rng.random() < 0.12:
        text += rng.choice(EVEN)
    text = _place(rng, text, code)
    if rng.random() < 0.04:
        text = text.replace(code, code + " ", 1)
    text, answer = _signed(rng, text, answer)
    if CURRENCIES[code][0] and answer[0] != "-" and rng.random() < 0.03:
        return _minus_inside(rng, whole, code)
    return text, answer


def _minus_inside(rng, whole: int, code: str) -> tuple[str, str]:
    """`$-12`, `$ -12`: the minus between the sign and the number."""
    shown = numbers.write(rng, whole, "")
    written = [f"{rng.choice(CURRENCIES[code][0]).strip()}{minus}{shown}" for minus in ("-", " -")]
    return rng.choice(written), f"-{whole}.00 {code}"


def scaled(rng) -> tuple[str, str]:
    """`$5k`, `1.2 million euros`, `EUR 3 mio`."""
    code = _code(rng)
    power, names = rng.choice(SCALES)
    whole = numbers.sized(rng, (range(1, 10), range(1, 100), range(1, 1000)))
    decimals = rng.choice(("", "", str(rng.randint(1, 9)), str(rng.randint(1, 9)), f"{rng.randint(1, 99):02}"))
    text = f"{whole}{rng.choice('.,.') + decimals if decimals else ''}{rng.choice(names)}"
    answer = f"{whole}{decimals:0<{power}}.00 {code}"
    return _signed(rng, _place(rng, text, code), answer)


def _both(rng, code: str, whole: int, cents: int) -> tuple[str, str]:
    """`12 dollars and 50 cents`."""
    _, names, hundredths = CURRENCIES[code]
    a, b = (numbers.words(rng, whole), numbers.words(rng, cents)) if rng.random() < 0.4 else (whole, cents)
    names = names[:2] if rng.random() < 0.7 else names
    link = (" and ", " ", ", ", " & ")
    text = f"{a} {rng.choice(names)}{rng.choice(link)}{b} {rng.choice(hundredths)}"
    return text, f"{whole}.{cents:02} {code}"


def _split(rng, code: str, whole: int, cents: int) -> tuple[str, str]:
    """`5€50`."""
    sign = CURRENCIES[code][0][0]
    return f"{whole}{rng.choice((sign, sign, code, f' {sign} '))}{cents:02}", f"{whole}.{cents:02} {code}"


def _pence(rng, _code: str, _whole: int, cents: int) -> tuple[str, str]:
    """`99p`: hundredths of a pound alone."""
    worded = rng.random() < 0.3
    text = numbers.words(rng, cents) + " pence" if worded else str(cents) + rng.choice(("p", " p", " pence", "p"))
    return text, f"0.{cents:02} GBP"


def _worded(rng, *_parts) -> tuple[str, str]:
    """`a thousand dollars`: a whole amount of any currency, in words."""
    code, whole = _code(rng), numbers.sized(rng, WORDED_SIZES)
    name = rng.choice((code, *CURRENCIES[code][1]))
    spelled = numbers.words(rng, whole)
    if whole == 1 and rng.random() < 0.5:
        spelled = "a"
    return f"{spelled} {name}", f"{whole}.00 {code}"


def parts(rng) -> tuple[str, str]:
    """`12 dollars and 50 cents`, `5€50`, `99p`, and words for numbers."""
    code = rng.choices(("USD", "EUR", "GBP"), (4, 4, 4))[0]
    whole = numbers.sized(rng, (range(1, 21), range(1, 100), range(1, 1000)))
    cents = rng.randint(1, 99)
    shape = rng.choice((_both, _both, _split, _pence, _worded, _worded, _worded))
    return shape(rng, code, whole, cents)


def none(rng) -> tuple[str, str]:
    """No currency, an unknown one, a range, a bound, or too many decimals."""
    whole = numbers.sized(rng, SIZES)
    slots = {
        "whole": whole,
        "shown": numbers.write(rng, whole, rng.choice(("", f"{rng.randint(0, 99):02}"))),
        "sign": rng.choice("$€£"),
        "words": lambda rng: numbers.words(rng, whole),
        "code": CODES,
        "tip": range(1, 21),
        "two": range(10, 100),
        "three": range(100, 1000),
        "four": range(1000, 10_000),
        "long": range(1000, 100_000),
        "vague": VAGUE,
    }
    return fill(rng, rng.choice(NONE), **slots), "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as money."""
    return rolled(rng, (0.12, none), (0.70, digits), (0.80, scaled), (1, parts))(rng)
