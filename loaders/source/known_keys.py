"""Tables of known keys: which the loader uses, and which have no effect on results. All others are refused by name.

Each kind of file that comes with a model (config.json, tokenizer_config.json, GGUF metadata, …) has one `Keys` table,
beside the code that reads it. A key that is not in the table may change what the model computes: the file is refused.
"""

from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np

from ..errors import SourceError
from .fields import Fields, quoted, shown

UNKNOWN_KEY_HINT = "If you know that the model does not depend on it, remove it from the file and load again."


@dataclass(frozen=True)
class Keys:
    """The known keys of one file or object.

    used: the loader reads the key and checks its value there.
    harmless_at: {key: values}. The key has no effect at these values, nor as null. Any other value is refused.
    harmless: the key has no effect on results, whatever its value. "general.*": all keys that begin with "general.".
    """

    used: tuple[str, ...] = ()
    harmless_at: dict[str, tuple] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()

    def __or__(self, other: "Keys") -> "Keys":
        return Keys(self.used + other.used, self.harmless_at | other.harmless_at, self.harmless + other.harmless)

    def knows(self, name: str) -> bool:
        """Whether the table says anything about a key."""
        if name in self.used or name in self.harmless_at or name in self.harmless:
            return True
        return any(fnmatchcase(name, pattern) for pattern in self.harmless if pattern.endswith("*"))


def check_keys(fields: Fields, keys: Keys) -> None:
    """Raise SourceError for the first key that is unknown, or whose value is not supported.

    Only keys with the prefix of `fields` are checked. A null counts as absent.
    """
    for full_name, value in fields.values.items():
        if value is None or not full_name.startswith(fields.prefix):
            continue
        name = full_name.removeprefix(fields.prefix)
        if not keys.knows(name):
            raise SourceError(
                f"{fields.source} {quoted(full_name)} is not known here and may change results", UNKNOWN_KEY_HINT
            )
        if name in keys.harmless_at and not _is_one_of(value, keys.harmless_at[name]):
            hint = f"Supported is {' or '.join(map(shown, keys.harmless_at[name])) or 'null'}."
            raise SourceError(f'{fields.source} "{full_name}" is {shown(value)}, which is not supported', hint)


def _is_one_of(value, values: tuple) -> bool:
    """Whether the value equals one of them and is of its kind: in Python True equals 1. An array never does."""
    if isinstance(value, np.ndarray):
        return False
    return any(isinstance(value, bool) == isinstance(known, bool) and value == known for known in values)
