"""A number and a unit of length, mass, volume, area, speed or energy."""

from . import numbers
from .forms import fill, listed, rolled, spaced

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
MARKS = "'\"\u2033\u2032"  # units that are no words
LABELS = listed("""
    weight | length | height | width | size | volume | net | qty | Gewicht | distance | depth | net wt | weighs | total
    area | speed
""")
KNOWN = frozenset([*numbers.WORDS, *(name.lower() for names in UNITS.values() for name in names), "square", "kilowatt"])
OTHER_UNITS = listed("""
    boxes | pcs | pieces | units | bottles | cups | cup | tbsp | tsp | bags | people | dozen | pallets | items | rolls
    sheets | pairs | stone | acres | apples | eggs | spoons | slices | cans | hp | px | rpm | dB | V | bar | GB
    packs | tablets | bunches
""")
TAILS = spaced(" tall| long| wide| net| high| deep| total| thick| gross| heavy")
SIZES = (
    *(range(10), range(1, 21), range(1, 100), range(10, 1000), range(50, 1001, 50)),
    *(range(1000, 100_000), range(100, 10_000), range(100_000, 10_000_000)),
)
WORDED_SIZES = (
    *(range(1, 13), range(1, 21), range(1, 100), range(100, 1000, 100), range(100, 1000)),
    *(range(1000, 20_001, 1000), range(1000, 20_001)),
)
PARTS = listed("1/2 | 1/2 | 1/4 | 3/4 | ½ | ¼ | ¾ | half | half | quarter | three quarters")
# No unit, ranges and bounds, and rule 2: two units together, multiples, and units that are not in the list.
NONE = (
    *listed("""
        {shown} | {n} | {alone}
        {n}-{n+5} {name} | {n} - {n+5}{name} | {n} to {n+5} {spelled} | {n} or {n+1} {spelled}
        between {n} and {n+1} {name} | > {n} {name} | <{n}{name} | at least {n} {name} | max {n} {name}
        up to {n} {spelled} | over {n} {spelled} | under {n} {name} | more than {n} {name} | less than {n} {spelled}
        {feet} ft {inches} in | {feet}'{inches}" | {feet}' {inches}" | {n} lb {ounces} oz | {n} lbs {ounces} oz
        {n} kg {tenfold} g | {feet} feet {inches} inches | {n} m {n} cm | {n} km {tenfold} m
        {times} x {shown} {name} | {times}x{n}{name} | {n} x {n+10} {name} | {n}x{n+5}x{n+9} {name}
        {n} * {n} {name} | {n}{name} + {n}{name}
        {n} {other} | a few {spelled} | several {spelled} | some {spelled}
    """),
    "{name} ",
    *listed("{words} | a dozen {counted} | {n} {no_unit} | {vague}"),
)
VAGUE = listed("""
    heavy | light | large | small | XL | L-XL | medium | full | empty | half | a lot | plenty | a handful | a pinch
    one size | oversized | tall | big | tiny | to taste | a bit | double | life-size
""")


def _number(rng) -> tuple[int, str]:
    return numbers.sized(rng, SIZES), numbers.decimals(rng, 42, 27, 17, 12, 2)


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
    close = (spelled in MARKS and rng.random() < 0.9) or rng.random() < 0.4
    return f"{text}{'' if close else ' '}{spelled}{tail}", answer


def _an(spelled: str) -> str:
    return "an" if spelled[0] in "aeiou" else "a"


def _gap(rng, part: str, closed: float) -> str:
    """Nothing, in a share of the cases, beside ½, ¼ and ¾."""
    return "" if part in "½¼¾" and rng.random() < closed else " "


def spelled_out(rng, spelled: str, whole: int) -> tuple[str, str]:
    """`an inch`, `two hundred grams`."""
    shown = rng.choice(("a", _an(spelled), "one")) if whole == 1 else numbers.words(rng, whole)
    return f"{shown} {spelled}", str(whole)


def pointed(rng, spelled: str, _whole: int) -> tuple[str, str]:
    """`three point five liters`."""
    whole, decimal = rng.randint(0, 20), rng.randint(1, 9)
    return f"{numbers.words(rng, whole)} point {numbers.ONES[decimal]} {spelled}", f"{whole}.{decimal}"


def part(rng, spelled: str, _whole: int) -> tuple[str, str]:
    """`½ kg`, `half a mile`, `three quarters of a pound`."""
    name = rng.choice(PARTS)
    value = numbers.plain(numbers.part(name))
    if name == "half":
        name += " " + rng.choice(("a", _an(spelled), "of a"))
    elif name[0].isalpha():
        name = ("a " if name == "quarter" and rng.random() < 0.6 else "") + name + " of a"
    return f"{name}{_gap(rng, name, 0.4)}{spelled}", value


def mixed(rng, spelled: str, _whole: int) -> tuple[str, str]:
    """`2 1/2 kg`, `two and a half miles`."""
    name, whole = rng.choice(PARTS), rng.randint(1, 30)
    value = numbers.plain(whole + numbers.part(name))
    shown = str(whole)
    if name[0].isalpha():
        shown = numbers.words(rng, whole) if rng.random() < 0.7 else shown
        return f"{shown} and {'' if name == 'three quarters' else 'a '}{name} {spelled}", value
    gap = "-" if "/" in name and rng.random() < 0.15 else _gap(rng, name, 0.6)
    return f"{shown}{gap}{name} {spelled}", value


def worded(rng) -> tuple[str, str]:
    """Numbers in words, and halves, quarters and mixed fractions."""
    name, spelled = _unit(rng)
    if spelled in MARKS:
        spelled = name
    whole = numbers.sized(rng, WORDED_SIZES)
    form = rolled(rng, (0.45, spelled_out), (0.55, pointed), (0.78, part), (1, mixed))
    text, value = form(rng, spelled, whole)
    return text, f"{value} {name}"


def none(rng) -> tuple[str, str]:
    """No unit, an unlisted unit, two units, a range, a bound, a multiple."""
    shown = numbers.write(rng, *_number(rng))
    name, spelled = _unit(rng)
    n = rng.randint(1, 99)
    slots = {
        "shown": shown,
        "name": name,
        "spelled": spelled,
        "alone": spelled if spelled.isalpha() else name,
        "n": n,
        "tenfold": n * 10,
        "feet": n % 8 + 1,
        "inches": n % 12,
        "ounces": n % 16,
        "times": n % 9 + 1,
        "words": lambda rng: numbers.words(rng, n),
        "other": OTHER_UNITS,
        "counted": ("eggs", "roses", "cans"),
        "no_unit": ("°C", "degrees", "%", "°", "days", "hours", "min"),
        "vague": VAGUE,
    }
    return fill(rng, rng.choice(NONE), **slots), "unknown"


def generate(rng) -> tuple[str, str]:
    """One value that was meant as a quantity."""
    return rolled(rng, (0.12, none), (0.72, digits), (1, worded))(rng)
