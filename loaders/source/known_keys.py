"""Which keys of a file the loader uses, which have no effect on results, and a refusal by name for every other.

A file that a model brings (config.json, tokenizer_config.json, GGUF metadata, …) has one `Keys` table beside the code
that reads it. A key that is in no part of the table may change what the model computes, so the file is refused.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from ..errors import SourceError
from .fields import Fields, quoted, shown

HINT = "If you know that the model does not depend on it, remove it from the file and load again."


@dataclass(frozen=True)
class Keys:
    """The known keys of one file or object.

    used: read by the loader, each value checked where it is read.
    neutral: {key: values}: not supported, but without effect at one of these values. A null is always accepted.
    harmless: no effect on results whatever the value is. "general.*" stands for all keys that begin with "general.".
    """

    used: tuple[str, ...] = ()
    neutral: dict[str, tuple] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()

    def __or__(self, other: "Keys") -> "Keys":
        return Keys(self.used + other.used, self.neutral | other.neutral, self.harmless + other.harmless)

    def knows(self, name: str) -> bool:
        """Whether the table says anything about a key."""
        if name in self.used or name in self.neutral or name in self.harmless:
            return True
        return any(fnmatchcase(name, pattern) for pattern in self.harmless if pattern.endswith("*"))


def check_keys(fields: Fields, keys: Keys) -> None:
    """Raise SourceError for the first key that is unknown, or that is not supported at its value.

    Only keys that begin with the prefix of `fields` are looked at; a null says nothing and is passed over.
    """
    for full_name, value in fields.values.items():
        if value is None or not full_name.startswith(fields.prefix):
            continue
        name = full_name.removeprefix(fields.prefix)
        if not keys.knows(name):
            raise SourceError(f"{fields.source} {quoted(full_name)} is not known here and may change results", HINT)
        if name in keys.neutral and not _is_one_of(value, keys.neutral[name]):
            hint = f"Supported is {' or '.join(map(shown, keys.neutral[name])) or 'null'}."
            raise SourceError(f'{fields.source} "{full_name}" is {shown(value)}, which is not supported', hint)


def _is_one_of(value, values: tuple) -> bool:
    """Equal to one of them, and of its kind: in Python true equals 1. An array never is."""
    if isinstance(value, np.ndarray):
        return False
    return any(isinstance(value, bool) == isinstance(known, bool) and value == known for known in values)
