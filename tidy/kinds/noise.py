"""Noise of typing that does not change the meaning of a value."""

import string

from .forms import listed, spaced

NOTHING = (
    "",
    " ",
    *listed("""
        - | -- | ? | ?? | ??? | n/a | N/A | na | none | null | NULL | nil | tbd | TBD | t.b.d.
        unknown | unspecified | not given | not available | missing | see notes | see above | pending
        xxx | . | ... | * | / | # | #REF! | #N/A | NaN | undefined
        nothing | no idea | ask | later | k.A. | unbekannt | keine | error | test | blank | empty | same | ditto
        varies | depends | to be confirmed | tbc | not sure | various
    """),
)
WORDS = listed("""
    lorem | ipsum | dolor | banana | invoice | customer | street | paris | berlin | order | monitor | green | apple
    quickly | report | final | draft | hello | world | client | meeting | table | river | contract | lemon | office
    garden | paper | window | house | music | bottle | heavy | large | small | long | short | cheap | expensive
    old | new | good | bad | soon | nowhere | sometimes | often | many | lots | plenty | some | any | enough | too
    much | blue | red | yellow | john | mary | smith | london | room | floor | box | boxes | pieces | units | items
    me@example.com | www.example.com | foo | bar | baz
""")
KEYS = listed("qwertyuiop | asdfghjkl | zxcvbnm")
FILLERS = spaced("about |approx. |approx |ca. |ca |~|~ |around |roughly |circa |= |is ")


def nonsense(rng) -> str:
    """Nothing, random words or random keys: `unknown` for every kind."""
    roll = rng.random()
    if roll < 0.5:
        return rng.choice(NOTHING)
    if roll < 0.85:
        return " ".join(rng.choice(WORDS) for _ in range(rng.choice((1, 1, 2, 2, 3))))
    return "".join(rng.choice(rng.choice(KEYS)) for _ in range(rng.randint(4, 9)))


def _edits(word: str, rng) -> str:
    """The word with one typo."""
    i = rng.randrange(len(word) - 1)
    slip = rng.choice(("swap", "drop", "double", "near", "add"))
    if slip == "swap":
        return word[:i] + word[i + 1] + word[i] + word[i + 2 :]
    if slip == "drop":
        return word[: i + 1] + word[i + 2 :]
    if slip == "double":
        return word[:i] + word[i] + word[i:]
    row = next((row for row in KEYS if word[i].lower() in row), string.ascii_lowercase)
    near = row[max(0, min(len(row) - 1, row.find(word[i].lower()) + rng.choice((-1, 1))))]
    return word[:i] + near + word[i + (slip == "near") :]


def within_one(a: str, b: str) -> bool:
    """Whether one insertion, deletion, replacement or swap of neighbours turns a into b."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return a == b
    pairs = enumerate(zip(a, b, strict=False))  # where the shorter one ends they differ at the latest
    i = next((i for i, (x, y) in pairs if x != y), min(len(a), len(b)))
    swapped = a[:i] + a[i + 1 : i + 2] + a[i : i + 1] + a[i + 2 :]
    return a[i + 1 :] == b[i:] or a[i:] == b[i + 1 :] or a[i + 1 :] == b[i + 1 :] or swapped == b


def typo(rng, text: str, known: frozenset[str]) -> str:
    """One typo in a word of five letters or more, unless another known word is as close as the original."""
    parts = text.split(" ")
    long = [i for i, part in enumerate(parts) if len(part) >= 4 and part.isalpha() and part.isascii()]
    if not long:
        return text
    i = rng.choice(long)
    meant = parts[i].lower()
    slipped = _edits(parts[i], rng)
    if any(word != meant and within_one(slipped.lower(), word) for word in known):
        return text
    parts[i] = slipped
    return " ".join(parts)


def recase(rng, text: str) -> str:
    """Case does not matter to any rule."""
    roll = rng.random()
    if roll < 0.62:
        return text
    if roll < 0.80:
        return text.lower()
    if roll < 0.93:
        return text.upper() if "ß" not in text else text
    return text.title() if "'" not in text else text.capitalize()


def dress(rng, text: str, labels: tuple[str, ...], fillers: bool, quotes: bool) -> str:
    """Labels, fillers, spaces, closing marks and quotes around a value."""
    roll = rng.random()
    if roll < 0.05 and labels:
        text = rng.choice(labels) + rng.choice((": ", " ", ":", " = ")) + text
    elif fillers and roll < 0.09:
        text = rng.choice(FILLERS) + text
    if rng.random() < 0.05:
        text += rng.choice((".", "!", ";", ",", " .", "!!"))
    if rng.random() < 0.05 and " " in text:
        i = text.index(" ")
        text = text[:i] + "  " + text[i + 1 :]
    if rng.random() < 0.06:
        text = rng.choice((" ", "  ", "")) + text + rng.choice((" ", "  ", ""))
    if quotes and rng.random() < 0.02:
        mark = rng.choice(('""', "[]"))
        text = mark[0] + text + mark[1]
    return text
