"""The models that are measured: files in the state folder, made once, and loaded into the server under their names."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import synthetic_model
from places import CHECKOUT, DATA, STATE


@dataclass(frozen=True)
class Model:
    """A model file and the name that it has in the server."""

    name: str
    path: Path

    def load(self, dsn: str) -> None:
        """Load it unless it is there, and pack it."""
        with psycopg.connect(dsn, autocommit=True) as connection:
            found = "SELECT FROM llm.models WHERE name = %s"
            if not connection.execute(found, [self.name]).fetchall():
                print(f"loading {self.path.name} as {self.name}", file=sys.stderr)
                command = [sys.executable, "-m", "loaders.cli", "load", self.path, "--name", self.name, "--dsn", dsn]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            connection.execute("SELECT llm.pack(%s)", [self.name])


def of_shape(type: str) -> Model:
    """Qwen2.5-0.5B's shape with random weights, of a type of GGUF's: as fast as the model itself."""
    return _made("", type)


def _made(variant: str, type: str, **variation: int) -> Model:
    path = STATE / f"qwen2.5-0.5b-shape-{variant}{type.lower()}.gguf"
    if not path.exists():
        print(f"making {path.name}", file=sys.stderr)
        beside = path.with_suffix(".partial")
        synthetic_model.write(beside, type, **variation)
        beside.rename(path)
    return Model(f"bench-{variant}{type.lower()}", path)


AUDIBLE = 2  # layers of the drafts


def drafted() -> Model:
    """The same shape, where only the first layers add something to a token's activations: as slow as any."""
    return _made("drafted-", "Q8_0", audible=AUDIBLE)


def right_draft() -> Model:
    """These first layers alone: it always says what the whole model says."""
    return _made("right-", "Q8_0", layers=AUDIBLE)


def wrong_draft() -> Model:
    """As many layers of other random weights: it hardly ever does."""
    return _made("wrong-", "Q8_0", layers=AUDIBLE, seed=1)


def stories() -> Model:
    """A model so small that its time is overhead alone: 260,000 weights (karpathy/tinyllamas)."""
    return Model("bench-stories", next((DATA / "stories260K").glob("*.gguf")))


def stories_draft() -> Model:
    """The same in Q4_0."""
    return Model("bench-stories-q4_0", next((DATA / "stories260K-quant-derived").glob("*Q4_0.gguf")))


def tidy() -> Model:
    """The bundled model."""
    return Model("bench-tidy", CHECKOUT / "tidy" / "tidy.gguf")


# The models of the benchmarks by name; a call makes the file where it is not there.
SUBJECTS = {
    **{f"bench-{type.lower()}": partial(of_shape, type) for type in ("Q8_0", "Q4_0", "F16")},
    "bench-stories": stories,
    "bench-stories-q4_0": stories_draft,
    "bench-drafted-q8_0": drafted,
    "bench-right-q8_0": right_draft,
    "bench-wrong-q8_0": wrong_draft,
    "bench-tidy": tidy,
}


@contextmanager
def taken_away(dsn: str) -> Iterator[None]:
    """Without these models in the server and what only they have there; those that were there come back after it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = "SELECT name, llm.drop_model(name) FROM llm.models WHERE name = ANY (%s)"
        there = {name for name, *_ in connection.execute(query, [list(SUBJECTS)]).fetchall()}
        connection.execute("CALL llm.collect('0 seconds')")
    try:
        yield
    finally:
        for name, model in SUBJECTS.items():
            if name in there:
                model().load(dsn)


def prompt_of(tokens: int, first: int = 0) -> str:
    """A text of so many tokens in the vocabulary of `of_shape`: a space and a letter each."""
    return "".join(f" {chr(ord('a') + (first + i) % 26)}" for i in range(tokens))
