"""Amounts with their currency."""

from . import numbers

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
LABELS = (
    "price",
    "total",
    "cost",
    "amount",
    "sum",
    "only",
    "Preis",
    "fee",
    "budget",
    "paid",
    "approx",
    "invoice total",
    "salary",
)
KNOWN = frozenset(
    [
        "dollars",
        "dollar",
        "euros",
        "euro",
        "pounds",
        "pound",
        "quid",
        "bucks",
        "rupees",
        "rupee",
        "francs",
        "zloty",
        "yuan",
        "cents",
        "cent",
        "pence",
        "million",
        "thousand",
        "hundred",
        "reais",
        "kroner",
        "kronor",
        "swiss",
        "swedish",
        "norwegian",
        "danish",
        "canadian",
        "australian",
        "japanese",
        *numbers.ONES,
        *numbers.TENS[2:],
    ]
)


def _amount(rng) -> int:
    return rng.choice(
        (
            rng.randint(0, 9),
            rng.randint(1, 99),
            rng.randint(10, 999),
            rng.randint(100, 9999),
            rng.randint(1000, 99999),
            rng.randint(1, 99) * 100,
            rng.randint(1000, 9999),
            rng.randint(10000, 9999999),
            rng.randint(1, 999) * 1000,
        )
    )


def _place(rng, digits: str, code: str) -> str:
    """The currency before or behind the digits, as sign, code or name."""
    signs, names, _ = CURRENCIES[code]
    roll = rng.random()
    if signs and roll < 0.5:
        sign = rng.choice(signs)
        before = 0.85 if code not in ("EUR", "PLN") else 0.4 if code == "EUR" else 0.05
        return (
            f"{sign}{rng.choice(('', '', ' '))}{digits}"
            if rng.random() < before
            else f"{digits}{rng.choice(('', ' ', ' '))}{sign.strip()}"
        )
    if roll < 0.85:
        return (
            f"{digits}{rng.choice(('', ' ', ' ', ' '))}{code}"
            if rng.random() < 0.6
            else f"{code}{rng.choice(('', ' ', ' ', ': '))}{digits}"
        )
    return f"{digits}{rng.choice((' ', ' ', ' ', ''))}{rng.choice(names)}"


def _signed(rng, text: str, answer: str) -> tuple[str, str]:
    roll = rng.random()
    if answer == "unknown" or roll > 0.11:
        return text, answer
    if roll < 0.03:
        return f"({text})", "-" + answer
    return rng.choice(("-", "-", "- ", "minus ", "\u2212")) + text, "-" + answer


def digits(rng) -> tuple[str, str]:
    """Plain amounts, signs and marks of every habit, and the rule of three digits."""
    code = rng.choices(CODES, WEIGHTS)[0]
    whole = _amount(rng)
    decimals = rng.choices(
        (
            "",
            f"{rng.randint(0, 99):02}",
            rng.choice(("00", "50", "95", "99")),
            str(rng.randint(0, 9)),
            f"{rng.randint(0, 99999):0{rng.choice((3, 4, 5))}}",
        ),
        (40, 32, 16, 8, 4),
    )[0]
    text = numbers.write(rng, whole, decimals)
    value = numbers.read(text, lone_point_is_thousands=True)
    if value is None or len(value[1]) > 2:
        return _place(rng, text, code), "unknown"
    answer = f"{value[0]}.{value[1]:0<2} {code}"
    if not value[1] and rng.random() < 0.12:
        text += rng.choice((",-", ".-", "/-", ",--", ".\u2013", ",\u2013"))
    text = _place(rng, text, code)
    if rng.random() < 0.04:
        text = text.replace(code, code + " ", 1)
    text, answer = _signed(rng, text, answer)
    signs = CURRENCIES[code][0]
    if signs and answer[0] != "-" and rng.random() < 0.03:
        shown = numbers.write(rng, whole, "")
        return rng.choice(
            (f"{rng.choice(signs).strip()}-{shown}", f"{rng.choice(signs).strip()} -{shown}")
        ), f"-{whole}.00 {code}"
    return text, answer


def scaled(rng) -> tuple[str, str]:
    """`$5k`, `1.2 million euros`, `EUR 3 mio`."""
    code = rng.choices(CODES, WEIGHTS)[0]
    power, names = rng.choice(
        (
            (3, ("k", "K", " k", "k", " thousand", "k")),
            (6, ("m", "M", "mn", " mio", " Mio.", " million", " million", "m", " m", " mn")),
        )
    )
    whole = rng.choice((rng.randint(1, 9), rng.randint(1, 99), rng.randint(1, 999)))
    decimals = rng.choice(("", "", str(rng.randint(1, 9)), str(rng.randint(1, 9)), f"{rng.randint(1, 99):02}"))
    text = f"{whole}{rng.choice('.,.') + decimals if decimals else ''}{rng.choice(names)}"
    answer = f"{whole}{decimals:0<{power}}.00 {code}"
    return _signed(rng, _place(rng, text, code), answer)


def parts(rng) -> tuple[str, str]:
    """`12 dollars and 50 cents`, `5€50`, `99p`, and words for numbers."""
    code = rng.choices(("USD", "EUR", "GBP"), (4, 4, 4))[0]
    signs, names, hundredths = CURRENCIES[code]
    whole, cents = rng.choice((rng.randint(1, 20), rng.randint(1, 99), rng.randint(1, 999))), rng.randint(1, 99)
    shape = rng.choice(("both", "both", "split", "pence", "words", "words", "words"))
    if shape == "both":
        a, b = (numbers.words(rng, whole), numbers.words(rng, cents)) if rng.random() < 0.4 else (whole, cents)
        names = names[:2] if rng.random() < 0.7 else names
        return (
            f"{a} {rng.choice(names)}{rng.choice((' and ', ' ', ', ', ' & '))}{b} {rng.choice(hundredths)}",
            f"{whole}.{cents:02} {code}",
        )
    if shape == "split":
        return (
            f"{whole}{rng.choice((signs[0], signs[0], code, ' ' + signs[0] + ' '))}{cents:02}",
            f"{whole}.{cents:02} {code}",
        )
    if shape == "pence":
        return (
            numbers.words(rng, cents) + " pence"
            if rng.random() < 0.3
            else str(cents) + rng.choice(("p", " p", " pence", "p")),
            f"0.{cents:02} GBP",
        )
    code = rng.choices(CODES, WEIGHTS)[0]
    whole = rng.choice(
        (
            rng.randint(1, 20),
            rng.randint(1, 99),
            rng.randint(1, 9) * 10,
            rng.randint(1, 9) * 100,
            rng.randint(100, 999),
            rng.randint(1, 99) * 1000,
            rng.randint(1000, 99999),
            rng.randint(1, 20) * 1_000_000,
        )
    )
    name = rng.choice((code, *CURRENCIES[code][1]))
    spelled = numbers.words(rng, whole)
    if whole == 1 and rng.random() < 0.5:
        spelled = "a"
    return f"{spelled} {name}", f"{whole}.00 {code}"


def none(rng) -> tuple[str, str]:
    """No currency, an unknown one, a range, a bound, or too many decimals."""
    whole = _amount(rng)
    shown = numbers.write(rng, whole, rng.choice(("", f"{rng.randint(0, 99):02}")))
    sign = rng.choice("$€£")
    text = rng.choice(
        (
            lambda: shown,
            lambda: shown,
            lambda: f"{shown} kr",
            lambda: f"kr {shown}",
            lambda: f"{shown}kr.",
            lambda: f"{whole} cents",
            lambda: f"{whole}c",
            lambda: f"{whole}¢",
            lambda: f"{sign}{whole}-{whole + 10}",
            lambda: f"{whole} - {whole + 50} EUR",
            lambda: f"{sign}{whole} to {sign}{whole + 5}",
            lambda: f"> {sign}{whole}",
            lambda: f"under {sign}{whole}",
            lambda: f"over {whole} euros",
            lambda: f"at least {whole} USD",
            lambda: f"max {whole} €",
            lambda: f"from {sign}{whole}",
            lambda: f"up to {sign}{whole}",
            lambda: f"{whole} or {whole + 5} dollars",
            lambda: f"{sign}{whole} + {sign}{rng.randint(1, 20)}",
            lambda: f"{whole}.{rng.randint(1000, 9999)} {rng.choice(CODES)}",
            lambda: f"{whole},{rng.randint(1000, 99999)} {sign}",
            lambda: f"{whole}k",
            lambda: f"{rng.choice(CODES)}",
            lambda: sign,
            lambda: f"{whole} credits",
            lambda: f"{whole} points",
            lambda: f"{whole} each",
            lambda: f"{whole} BTC",
            lambda: f"{whole} XYZ",
            lambda: f"{whole} tokens",
            lambda: numbers.words(rng, whole),
            lambda: f"{whole}%",
            lambda: f"{sign}{rng.randint(10, 99)},{rng.randint(10, 99)},{rng.randint(100, 999)}",
            lambda: f"{sign}1.{rng.randint(10, 99)}.{rng.randint(10, 99)}",
            lambda: rng.choice(
                (
                    "free",
                    "gratis",
                    "priceless",
                    "expensive",
                    "cheap",
                    "on request",
                    "call for price",
                    "negotiable",
                    "VB",
                    "a lot",
                    "some money",
                    "half",
                    "kostenlos",
                    "included",
                    "zero",
                    "broke",
                    "sold out",
                    "a few bucks",
                    "several euros",
                )
            ),
        )
    )()
    return text, "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as money."""
    roll = rng.random()
    return none(rng) if roll < 0.12 else digits(rng) if roll < 0.70 else scaled(rng) if roll < 0.80 else parts(rng)
