"""The models that are measured: files in the state folder, made once, and loaded into the server under their names."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import mixes
import psycopg
import synthetic_model
from blocks import FLOATS
from places import CHECKOUT, DATA, STATE
from shapes import SHAPES, Shape

TYPES = (*dict.fromkeys((*mixes.MOST, *FLOATS, "F16")), *(f"all-{type}" for type in FLOATS))  # encodings and mixes


@dataclass(frozen=True)
class Model:
    """A model file, the name that it has in the server, and that in figures."""

    name: str
    path: Path
    label: str = ""

    def load(self, dsn: str) -> None:
        """Load it unless it is there, and pack it."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            found = "SELECT FROM llm.models WHERE name = %s"
            if not connection.execute(found, [self.name]).fetchall():
                print(f"loading {self.path.name} as {self.name}", file=sys.stderr)
                command = [sys.executable, "-m", "loaders.cli", "load", self.path, "--name", self.name, "--dsn", dsn]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            connection.execute("SELECT llm.pack(%s)", [self.name])


def of_shape(label: str) -> Model:
    """Random weights of a shape and an encoding, "1.5B Q4_K_M": as fast as such a model itself."""
    shape, encoding = label.split()
    return _made(label.lower().replace(" ", "-"), label, SHAPES[shape], encoding)


def _made(name: str, label: str, shape: Shape, encoding: str, **variation) -> Model:
    path = STATE / f"random-{name}.gguf"
    if not path.exists():
        print(f"making {path.name}", file=sys.stderr)
        beside = path.with_suffix(".partial")
        synthetic_model.write(beside, shape, encoding, **variation)
        beside.rename(path)
    return Model(f"bench-{name}", path, label)


AUDIBLE = 2  # layers of the drafts
DRAFTED, DRAFTED_ENCODING = SHAPES["1.5B"], "Q8_0"


def drafted() -> Model:
    """A large model of which only the first layers add something to a token's activations: as slow as any."""
    return _made("drafted", "", DRAFTED, DRAFTED_ENCODING, name="drafted", audible=AUDIBLE)


def right_draft() -> Model:
    """These first layers alone: it always says what the whole model says."""
    return _made("right-draft", "", replace(DRAFTED, layers=AUDIBLE), DRAFTED_ENCODING, name="drafted")


def wrong_draft() -> Model:
    """As many layers of other random weights: it hardly ever does."""
    return _made("wrong-draft", "", replace(DRAFTED, layers=AUDIBLE), DRAFTED_ENCODING, name="wrong")


def stories() -> Model:
    """A model so small that its time is overhead alone: 260,000 weights (karpathy/tinyllamas)."""
    return Model("bench-stories", next((DATA / "stories260K").glob("*.gguf")))


def stories_draft() -> Model:
    """The same in Q4_0."""
    return Model("bench-stories-q4_0", next((DATA / "stories260K-quant-derived").glob("*Q4_0.gguf")))


def tidy() -> Model:
    """The bundled model."""
    return Model("bench-tidy", CHECKOUT / "tidy" / "tidy.gguf")


# What `taken_away` knows, by the name in the server; a call makes the file where it is not there.
SUBJECTS = {
    **{f"bench-{shape}-{type}".lower(): partial(of_shape, f"{shape} {type}") for shape in SHAPES for type in TYPES},
    "bench-stories": stories,
    "bench-stories-q4_0": stories_draft,
    "bench-drafted": drafted,
    "bench-right-draft": right_draft,
    "bench-wrong-draft": wrong_draft,
    "bench-tidy": tidy,
}


def checked(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels of subjects, "8B-Q4_K_M" or "8B Q4_K_M", as of_shape takes them. Raises ValueError for an unknown one."""
    labels = tuple(label.replace("-", " ", 1) for label in labels)
    for label in labels:
        if f"bench-{label.replace(' ', '-', 1)}".lower() not in SUBJECTS:
            raise ValueError(f'"{label}" is no subject: shapes are {", ".join(SHAPES)}, encodings {", ".join(TYPES)}')
    return labels


@contextmanager
def for_a_while(label: str, dsn: str) -> Iterator[Model]:
    """A model of `of_shape`, loaded; afterwards neither the server nor the state folder has it any more."""
    model = of_shape(label)
    model.load(dsn)
    try:
        yield model
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SELECT llm.drop_model(%s)", [model.name])
            connection.execute("CALL llm.collect('0 seconds')")
        model.path.unlink()


@contextmanager
def taken_away(dsn: str) -> Iterator[None]:
    """Without these models in the server and what only they have there; those that were there come back after it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = "SELECT name, llm.drop_model(name) FROM llm.models WHERE name = ANY (%s)"
        there = [name for name, *_ in connection.execute(query, [list(SUBJECTS)]).fetchall()]
        connection.execute("CALL llm.collect('0 seconds')")
    try:
        yield
    finally:
        for name in there:
            SUBJECTS[name]().load(dsn)


def prompt_of(tokens: int, first: int = 0) -> str:
    """A text of so many tokens in the vocabulary of `of_shape`: a space and a letter each."""
    return "".join(f" {chr(ord('a') + (first + i) % 26)}" for i in range(tokens))
