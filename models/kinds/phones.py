"""Phone numbers, answered in E.164."""

COUNTRIES = {
    "49": (9, 11),
    "44": (10, 10),
    "33": (9, 9),
    "34": (9, 9),
    "39": (8, 10),
    "41": (9, 9),
    "43": (8, 11),
    "31": (9, 9),
    "32": (8, 9),
    "45": (8, 8),
    "46": (7, 9),
    "47": (8, 8),
    "48": (9, 9),
    "351": (9, 9),
    "353": (7, 9),
    "358": (7, 10),
    "420": (9, 9),
    "30": (10, 10),
    "61": (9, 9),
    "64": (8, 9),
    "81": (9, 10),
    "86": (11, 11),
    "91": (10, 10),
    "55": (10, 11),
    "52": (10, 10),
    "27": (9, 9),
    "90": (10, 10),
    "7": (10, 10),
    "82": (9, 10),
    "65": (8, 8),
    "971": (9, 9),
    "972": (9, 9),
    "380": (9, 9),
    "36": (8, 9),
    "40": (9, 9),
    "54": (10, 10),
    "56": (9, 9),
    "57": (10, 10),
    "234": (10, 10),
    "254": (9, 9),
}
LABELS = (
    "tel",
    "tel.",
    "phone",
    "ph",
    "mobile",
    "cell",
    "home",
    "office",
    "fax",
    "call",
    "T",
    "telefon",
    "mob",
    "work",
    "phone no",
    "contact",
)
VANITY = ["FLOWERS", "CALL-NOW", "GET-HELP", "LAWYERS", "BUY-THIS", "CONTACTS", "COLLECT", "PIZZA-ME"]
KNOWN = frozenset(("phone", "mobile", "telefon"))
TAILS = (" ext. {x}", " ext {x}", " x{x}", "x{x}", " extension {x}", ", ext. {x}", " ext.{x}")
NOTES = (" (home)", " (work)", " (cell)", " mobile", " home", " work", " (office)", " cell")


def _digits(rng, n: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(n))


def _groups(rng, digits: str) -> str:
    """The digits in groups of two to four, with one kind of mark."""
    mark = rng.choice((" ", " ", " ", "-", ".", "", "/", " "))
    groups = []
    while len(digits) > 4:
        size = rng.choice((2, 2, 3, 3, 4))
        groups.append(digits[:size])
        digits = digits[size:]
    return mark.join([*groups, digits])


def american(rng) -> tuple[str, str]:
    """Ten digits in every usual shape, with or without 1."""
    area, office, line = (
        rng.choice("23456789") + _digits(rng, 2),
        rng.choice("23456789") + _digits(rng, 2),
        _digits(rng, 4),
    )
    text = rng.choice(
        (
            "({a}) {o}-{l}",
            "({a}) {o}-{l}",
            "({a}){o}-{l}",
            "{a}-{o}-{l}",
            "{a}-{o}-{l}",
            "{a}.{o}.{l}",
            "{a} {o} {l}",
            "{a}{o}{l}",
            "{a}/{o}-{l}",
            "({a}) {o} {l}",
            "{a} {o}-{l}",
            "[{a}] {o}-{l}",
            "({a}) {o}.{l}",
            "{a}-{o} {l}",
            "{a} - {o} - {l}",
            "({a}) {o} {m} {n}",
            "{a} {o} {m} {n}",
            "({a}){o} {m} {n}",
        )
    ).format(a=area, o=office, l=line, m=line[:2], n=line[2:])
    if rng.random() < 0.35:
        text = rng.choice(("1-", "1 ", "+1 ", "+1-", "+1", "1.", "+1.", "001 ", "1", "(1) ", "+1 ")) + text
    return text, f"+1{area}{office}{line}"


def international(rng) -> tuple[str, str]:
    """A country's code behind +, 00 or 011, and its digits."""
    code = rng.choice(tuple(COUNTRIES))
    digits = rng.choice("123456789") + _digits(rng, rng.randint(*COUNTRIES[code]) - 1)
    prefix = rng.choice(("+", "+", "+", "+", "00", "00", "011 ", "(+", "011-"))
    grouped = digits if rng.random() < 0.12 else _groups(rng, digits)
    zero = rng.choice((" (0)", " (0) ", "(0)")) if rng.random() < 0.15 else ""
    middle = zero or (rng.choice((" ", " ", "-", ".", "")) if grouped != digits or rng.random() < 0.4 else "")
    close = ")" if prefix == "(+" else ""
    shape = f"{prefix}{code}{close}{middle}{grouped}"
    return shape, f"+{code}{digits}"


def none(rng) -> tuple[str, str]:
    """Too short, too long, national, with letters, or two numbers."""
    one, other = american(rng)[0], american(rng)[0]
    text = rng.choice(
        (
            lambda: f"{_digits(rng, 3)}-{_digits(rng, 4)}",
            lambda: f"{_digits(rng, 3)} {_digits(rng, 4)}",
            lambda: _digits(rng, rng.randint(1, 7)),
            lambda: "0" + rng.choice("123456789") + _groups(rng, _digits(rng, rng.randint(6, 9))),
            lambda: f"0{rng.choice('123456789')}{_digits(rng, 2)}/{_digits(rng, rng.randint(5, 7))}",
            lambda: f"(0{rng.choice('123456789')}{_digits(rng, 2)}) {_digits(rng, 6)}",
            lambda: f"1-800-{rng.choice(VANITY)}",
            lambda: f"({rng.randint(200, 999)}) {rng.randint(200, 999)}-{rng.choice(('HELP', 'CARS', 'TAXI', 'FOOD'))}",
            lambda: f"{one} / {other}",
            lambda: f"{one} or {other}",
            lambda: f"{one}, {other}",
            lambda: f"{one}; {other}",
            lambda: f"{rng.choice('01')}{_digits(rng, 2)}-{_digits(rng, 3)}-{_digits(rng, 4)}",
            lambda: f"({rng.choice('01')}{_digits(rng, 2)}) {_digits(rng, 3)}-{_digits(rng, 4)}",
            lambda: f"+{rng.randint(1, 99)} {_digits(rng, rng.randint(1, 4))}",
            lambda: f"+{rng.randint(10, 99)} {_digits(rng, rng.randint(15, 17))}",
            lambda: rng.choice("23456789") + _digits(rng, rng.choice((7, 8, 11, 12))),
            lambda: f"{rng.randint(200, 999)}-{rng.randint(200, 999)}-{_digits(rng, 3)}",
            lambda: f"{rng.randint(200, 999)}-{rng.randint(200, 999)}-{_digits(rng, 5)}",
            lambda: f"{rng.randint(1, 12)}-{rng.randint(1, 28)}-{rng.randint(1950, 2030)}",
            lambda: f"ext. {_digits(rng, 3)}",
            lambda: f"x{_digits(rng, 3)}",
            lambda: (
                f"{rng.choice(('john', 'mary', 'info', 'sales'))}@{rng.choice(('example.com', 'mail.org', 'foo.net'))}"
            ),
            lambda: "911",
            lambda: "+",
            lambda: rng.choice(
                (
                    "none",
                    "no phone",
                    "call me",
                    "call the office",
                    "private",
                    "unlisted",
                    "same as above",
                    "email only",
                    "do not call",
                    "withheld",
                    "disconnected",
                    "skype: john.smith",
                    "www.example.com",
                    "ask reception",
                    "no number",
                    "see card",
                    "xxx-xxx-xxxx",
                    "555-CALL",
                )
            ),
        )
    )()
    return text, "unknown"


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
