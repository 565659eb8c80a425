"""A number and a unit of length, mass, volume, area, speed or energy."""

from . import numbers

UNITS = {
    "mm": ("mm", "mm", "millimeters", "millimetres", "millimeter"),
    "cm": ("cm", "cm", "cm", "centimeters", "centimetres", "centimeter", "cms"),
    "m": ("m", "m", "m", "meters", "metres", "meter", "metre", "Meter", "mtr"),
    "km": ("km", "km", "kms", "kilometers", "kilometres", "kilometer", "klicks"),
    "in": ("in", '"', "inches", "inch", "in.", "\u2033"),
    "ft": ("ft", "'", "feet", "foot", "ft.", "\u2032"),
    "yd": ("yd", "yds", "yards", "yard"),
    "mi": ("mi", "miles", "mile", "mi."),
    "mg": ("mg", "mg", "milligrams", "milligram"),
    "g": ("g", "g", "grams", "gram", "gr", "grammes", "gms", "Gramm"),
    "kg": ("kg", "kg", "kg", "kgs", "kilos", "kilo", "kilograms", "kilogram", "Kilo", "kilogrammes"),
    "t": ("t", "tons", "tonnes", "tonne", "ton", "Tonnen"),
    "oz": ("oz", "oz", "ounces", "ounce", "ozs", "oz."),
    "lb": ("lb", "lbs", "pounds", "pound", "lbs.", "lb."),
    "ml": ("ml", "ml", "mL", "milliliters", "millilitres", "milliliter"),
    "cl": ("cl", "cl", "centiliters", "centilitres"),
    "dl": ("dl", "deciliters", "dL"),
    "l": ("l", "L", "liters", "litres", "liter", "litre", "Liter", "ltr"),
    "gal": ("gal", "gallons", "gallon", "gals", "gal."),
    "m2": ("m2", "m²", "sqm", "sq m", "square meters", "square metres", "qm", "sq. m", "m^2"),
    "km/h": ("km/h", "kmh", "kph", "km/hr", "kilometers per hour", "kmph", "km/h"),
    "mph": ("mph", "mph", "miles per hour", "mi/h", "m.p.h."),
    "kWh": ("kWh", "kWh", "kilowatt hours", "kilowatt-hours", "kwh"),
}
NAMES = tuple(UNITS)
WEIGHTS = (5, 8, 8, 6, 6, 6, 2, 5, 3, 7, 12, 4, 5, 7, 6, 2, 1.5, 7, 3, 5, 4, 3, 3)
LABELS = (
    "weight",
    "length",
    "height",
    "width",
    "size",
    "volume",
    "net",
    "qty",
    "Gewicht",
    "distance",
    "depth",
    "net wt",
    "weighs",
    "total",
    "area",
    "speed",
)
KNOWN = frozenset([*numbers.WORDS, *(name.lower() for names in UNITS.values() for name in names), "square", "kilowatt"])
OTHER_UNITS = [
    "boxes",
    "pcs",
    "pieces",
    "units",
    "bottles",
    "cups",
    "cup",
    "tbsp",
    "tsp",
    "bags",
    "people",
    "dozen",
    "pallets",
    "items",
    "rolls",
    "sheets",
    "pairs",
    "stone",
    "acres",
    "apples",
    "eggs",
    "spoons",
    "slices",
    "cans",
    "hp",
    "px",
    "rpm",
    "dB",
    "V",
    "bar",
    "GB",
    "packs",
    "tablets",
    "bunches",
]
TAILS = (" tall", " long", " wide", " net", " high", " deep", " total", " thick", " gross", " heavy")


def _number(rng) -> tuple[int, str]:
    whole = rng.choice(
        (
            rng.randint(0, 9),
            rng.randint(1, 20),
            rng.randint(1, 99),
            rng.randint(10, 999),
            rng.randint(1, 20) * 50,
            rng.randint(1000, 99999),
            rng.randint(100, 9999),
            rng.randint(100000, 9999999),
        )
    )
    decimals = rng.choices(
        (
            "",
            str(rng.randint(0, 9)),
            f"{rng.randint(0, 99):02}",
            f"{rng.randint(0, 999):03}",
            f"{rng.randint(0, 9999):04}",
        ),
        (42, 27, 17, 12, 2),
    )[0]
    return whole, decimals


def _unit(rng) -> tuple[str, str]:
    name = rng.choices(NAMES, WEIGHTS)[0]
    return name, rng.choice(UNITS[name])


def digits(rng) -> tuple[str, str]:
    """Digits and a unit; the rule of three digits decides what a lone mark is."""
    name, spelled = _unit(rng)
    text = numbers.write(rng, *_number(rng))
    value = numbers.read(text, lone_point_is_thousands=False)
    if value is None:
        return f"{text} {spelled}", "unknown"
    answer = f"{value[0]}{'.' if value[1] else ''}{value[1]} {name}"
    roll = rng.random()
    if roll < 0.05 and spelled[0].isalpha():
        return f"{spelled}{rng.choice((' ', ' ', ': '))}{text}", answer
    tail = rng.choice(TAILS) if roll > 0.95 else ""
    close = (spelled in "'\"\u2033\u2032" and rng.random() < 0.9) or rng.random() < 0.4
    return f"{text}{'' if close else ' '}{spelled}{tail}", answer


def worded(rng) -> tuple[str, str]:
    """Numbers in words, and halves, quarters and mixed fractions."""
    name, spelled = _unit(rng)
    if spelled in "'\"\u2033\u2032":
        spelled = name
    whole = rng.choice(
        (
            rng.randint(1, 12),
            rng.randint(1, 20),
            rng.randint(1, 99),
            rng.randint(1, 9) * 100,
            rng.randint(100, 999),
            rng.randint(1, 20) * 1000,
            rng.randint(1000, 20000),
        )
    )
    roll = rng.random()
    if roll < 0.45:
        shown = (
            rng.choice(("a", "an" if spelled[0] in "aeiou" else "a", "one"))
            if whole == 1
            else numbers.words(rng, whole)
        )
        return f"{shown} {spelled}", f"{whole} {name}"
    if roll < 0.55:
        whole, decimal = rng.randint(0, 20), rng.randint(1, 9)
        return f"{numbers.words(rng, whole)} point {numbers.ONES[decimal]} {spelled}", f"{whole}.{decimal} {name}"
    part, decimals = rng.choice(
        (
            ("1/2", "5"),
            ("1/2", "5"),
            ("1/4", "25"),
            ("3/4", "75"),
            ("½", "5"),
            ("¼", "25"),
            ("¾", "75"),
            ("half", "5"),
            ("half", "5"),
            ("quarter", "25"),
            ("three quarters", "75"),
        )
    )
    if roll < 0.78:
        if part[0].isalpha():
            article = (
                rng.choice(("a ", "an " if spelled[0] in "aeiou" else "a ", "of a ")) if part == "half" else "of a "
            )
            part = ("a " if part == "quarter" and rng.random() < 0.6 else "") + part + " " + article.strip()
        gap = "" if part in "½¼¾" and rng.random() < 0.4 else " "
        return f"{part}{gap}{spelled}", f"0.{decimals} {name}"
    whole = rng.randint(1, 30)
    if part[0].isalpha():
        part = "and " + ("a " if part in ("half", "quarter") else "") + part
        shown = numbers.words(rng, whole) if rng.random() < 0.7 else str(whole)
    else:
        shown = str(whole)
    gap = "" if part in "½¼¾" and rng.random() < 0.6 else "-" if "/" in part and rng.random() < 0.15 else " "
    return f"{shown}{gap}{part} {spelled}", f"{whole}.{decimals} {name}"


def none(rng) -> tuple[str, str]:
    """No unit, an unlisted unit, two units, a range, a bound, a multiple."""
    whole, decimals = _number(rng)
    shown = numbers.write(rng, whole, decimals)
    name, spelled = _unit(rng)
    n = rng.randint(1, 99)
    text = rng.choice(
        (
            lambda: shown,
            lambda: str(n),
            lambda: spelled if spelled.isalpha() else name,
            lambda: f"{n}-{n + 5} {name}",
            lambda: f"{n} - {n + 5}{name}",
            lambda: f"{n} to {n + 5} {spelled}",
            lambda: f"{n} or {n + 1} {spelled}",
            lambda: f"between {n} and {n + 1} {name}",
            lambda: f"> {n} {name}",
            lambda: f"<{n}{name}",
            lambda: f"at least {n} {name}",
            lambda: f"max {n} {name}",
            lambda: f"up to {n} {spelled}",
            lambda: f"over {n} {spelled}",
            lambda: f"under {n} {name}",
            lambda: f"more than {n} {name}",
            lambda: f"less than {n} {spelled}",
            lambda: f"{n % 8 + 1} ft {n % 12} in",
            lambda: f"{n % 8 + 1}'{n % 12}\"",
            lambda: f"{n % 8 + 1}' {n % 12}\"",
            lambda: f"{n} lb {n % 16} oz",
            lambda: f"{n} lbs {n % 16} oz",
            lambda: f"{n} kg {n * 10} g",
            lambda: f"{n % 8 + 1} feet {n % 12} inches",
            lambda: f"{n} m {n} cm",
            lambda: f"{n} km {n * 10} m",
            lambda: f"{n % 9 + 1} x {shown} {name}",
            lambda: f"{n % 9 + 1}x{n}{name}",
            lambda: f"{n} x {n + 10} {name}",
            lambda: f"{n}x{n + 5}x{n + 9} {name}",
            lambda: f"{n} * {n} {name}",
            lambda: f"{n}{name} + {n}{name}",
            lambda: f"{n} {rng.choice(OTHER_UNITS)}",
            lambda: f"a few {spelled}",
            lambda: f"several {spelled}",
            lambda: f"some {spelled}",
            lambda: f"{name} ",
            lambda: numbers.words(rng, n),
            lambda: f"a dozen {rng.choice(('eggs', 'roses', 'cans'))}",
            lambda: f"{n} {rng.choice(('°C', 'degrees', '%', '°', 'days', 'hours', 'min'))}",
            lambda: rng.choice(
                (
                    "heavy",
                    "light",
                    "large",
                    "small",
                    "XL",
                    "L-XL",
                    "medium",
                    "full",
                    "empty",
                    "half",
                    "a lot",
                    "plenty",
                    "a handful",
                    "a pinch",
                    "one size",
                    "oversized",
                    "tall",
                    "big",
                    "tiny",
                    "to taste",
                    "a bit",
                    "double",
                    "life-size",
                )
            ),
        )
    )()
    return text, "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a quantity."""
    roll = rng.random()
    return none(rng) if roll < 0.12 else digits(rng) if roll < 0.72 else worded(rng)
