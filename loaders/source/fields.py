"""Typed access to GGUF metadata and JSON configurations: a wrong type is an error that names the field."""

import json
import math
import re
from pathlib import Path

import numpy as np

from plpython.server.errors import ModelError

from ..errors import SourceError

ARCHITECTURE_VALUE = re.compile(r'architecture value "(\w+)"')
LONGEST_NUMBER = 4000  # digits; Python's own limit is a little higher
LARGEST_JSON = 256 << 20
REQUIRED = object()


class Fields:
    """Named values of a file. Accessors return `default` for an absent or null field, or raise if there is no default.

    `prefix` is put before every name: GGUF's keys begin with the architecture's name.
    """

    def __init__(self, source: str, values: dict, prefix: str = ""):
        self.source = source
        self.values = values
        self.prefix = prefix

    def __contains__(self, name: str) -> bool:
        return self.values.get(self.prefix + name) is not None

    def integer(self, name: str, default=REQUIRED) -> int:
        return self._typed(name, default, "an integer", lambda value: type(value) is int)

    def count(self, name: str, largest: int, default=REQUIRED, smallest: int = 1) -> int:
        """An integer from `smallest` to `largest`."""
        expected = f"an integer from {smallest} to {largest}"
        return self._typed(name, default, expected, lambda value: type(value) is int and smallest <= value <= largest)

    def number(self, name: str, default=REQUIRED) -> float:
        return self._typed(name, default, "a finite number", _is_number)

    def flag(self, name: str, default=REQUIRED) -> bool:
        return self._typed(name, default, "true or false", lambda value: type(value) is bool)

    def text(self, name: str, default=REQUIRED) -> str:
        value = self._typed(name, default, "a string", lambda value: isinstance(value, (str, bytes)))
        return self._decoded(name, value) if isinstance(value, bytes) else value

    def texts(self, name: str, default=REQUIRED) -> list[str]:
        value = self._typed(name, default, "an array of strings", _is_texts)
        return [self._decoded(name, item) if isinstance(item, bytes) else item for item in value]

    def array(self, name: str, element: str, length: int) -> np.ndarray:
        """A GGUF array of `length` numbers of the numpy type `element`, None if absent."""
        value = self._typed(name, None, "an array of numbers", lambda value: isinstance(value, np.ndarray))
        if value is None:
            return None
        if value.dtype.name != element:
            raise SourceError(f'{self.source} "{name}" is an array of {value.dtype.name}, expected {element}')
        if len(value) != length:
            raise SourceError(f'{self.source} "{name}" has {len(value)} elements, expected {length}')
        return value

    def nested(self, name: str) -> "Fields":
        """The object `name` inside, empty if absent."""
        value = self._typed(name, {}, "an object", lambda value: isinstance(value, dict))
        return Fields(f"{self.source} {name}", value)

    def _typed(self, name: str, default, expected: str, fits):
        value = self.values.get(self.prefix + name)
        if value is None:
            if default is not REQUIRED:
                return default
            if self.prefix + name in self.values:
                raise SourceError(f'{self.source} "{self.prefix}{name}" is null, expected {expected}')
            raise SourceError(f'{self.source} has no "{self.prefix}{name}"')
        if not fits(value):
            raise SourceError(f'{self.source} "{self.prefix}{name}" is {shown(value)}, expected {expected}')
        return value

    def _decoded(self, name: str, value: bytes) -> str:
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise SourceError(f'{self.source} "{name}" is not UTF-8: {shown(value)}') from None


def in_its_words(file: Fields, problem: ModelError, keys: dict[str, str]) -> SourceError:
    """An error of an architecture, rewritten in the terms of the file. keys: {architecture value: key of the file}."""

    def key(found: re.Match) -> str:
        return quoted(file.prefix + keys[found[1]]) if found[1] in keys else found[0]

    return SourceError(f"{file.source} {ARCHITECTURE_VALUE.sub(key, str(problem))}", problem.hint)


def storable(text: str, where: str) -> str:
    """The text, if PostgreSQL can store it. where: the file and the key, for the error."""
    for position, character in enumerate(text):
        if character == "\0" or "\ud800" <= character <= "\udfff":
            kind = "U+0000" if character == "\0" else "half a surrogate pair"
            raise SourceError(f"{where} has {kind} at character {position + 1}, which PostgreSQL cannot store")
    return text


def read_json(path: Path, source: str | None = None) -> dict:
    """The object in a JSON file. Raises SourceError for anything else. source: the name of the file in errors."""
    return parse_json(read_text(path, source), source or path.name)


def read_optional(folder: Path, name: str) -> Fields:
    """The object in a JSON file of a folder as Fields; empty if there is no such file."""
    return Fields(name, read_json(folder / name, name) if (folder / name).is_file() else {})


def read_text(path: Path, source: str | None = None, newline: str | None = None) -> str:
    """The text of a file, up to LARGEST_JSON bytes. newline: as for open()."""
    source = source or path.name
    if path.stat().st_size > LARGEST_JSON:
        raise SourceError(f"{source} has {path.stat().st_size} bytes, at most {LARGEST_JSON} are read")
    try:
        with path.open(encoding="utf-8", newline=newline) as file:
            return file.read()
    except UnicodeDecodeError as problem:
        raise SourceError(f"{source} is not UTF-8, at byte {problem.start}") from None


def parse_json(text: str, source: str) -> dict:
    try:
        document = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, source), parse_int=_integer)
    except RecursionError:
        raise SourceError(f"{source} is nested too deeply") from None
    except ValueError as problem:
        raise SourceError(f"{source} is not JSON: {problem}") from None
    if not isinstance(document, dict):
        raise SourceError(f"{source} is {shown(document)}, expected an object")
    return document


def _integer(digits: str) -> int | float:
    """A whole number; infinity for one with more digits than Python reads."""
    return int(digits) if len(digits) <= LONGEST_NUMBER else float(digits)


def _object(pairs: list, source: str) -> dict:
    document = dict(pairs)
    if len(document) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for n, name in enumerate(names) if name in names[:n])
        raise SourceError(f"{source} has {quoted(twice)} twice")
    return document


def _is_number(value) -> bool:
    """A number that a float can hold: not 10^400, not NaN."""
    try:
        return type(value) in (int, float) and math.isfinite(value)
    except OverflowError:
        return False


def _is_texts(value) -> bool:
    return isinstance(value, list) and all(isinstance(item, (str, bytes)) for item in value)


def shown(value) -> str:
    """A value for an error message, in one short line."""
    if isinstance(value, np.ndarray):
        return f"an array of {len(value)} {value.dtype.name}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    text = repr(value.decode(errors="replace") if isinstance(value, bytes) else value)
    return text if len(text) <= 60 else text[:60] + "…"


def quoted(name: str) -> str:
    """A name from a file for an error message: quoted, in one line, with unprintable characters escaped."""
    text = json.dumps(name)
    return text if len(text) <= 100 else text[:100] + "…"
