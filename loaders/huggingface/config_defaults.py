"""config.json as the model's class in transformers reads it: an absent key has the class's default, a null is null."""

from ..errors import SourceError
from ..families.class_defaults import ROWS
from ..source.fields import Fields
from ..source.known_keys import Keys


def completed(config: Fields, family: str, keys: Keys) -> Fields:
    """The configuration with the defaults of a family's class.

    Raises SourceError for a null where the class takes none. For a key of `harmless_at` without a class default, null
    means that the feature is off.
    """
    rows = {key: (default, takes_null) for name, key, default, takes_null in ROWS if name == family}
    for name in (*keys.used, *(name for name in keys.harmless_at if name in rows)):
        _, takes_null = rows.get(name, (None, False))
        if name in config.values and config.values[name] is None and not takes_null:
            raise SourceError(f'{config.source} "{name}" is null, which is not supported')
    return Fields(config.source, {name: default for name, (default, _) in rows.items()} | config.values)


def class_default(family: str | None, key: str):
    """What the class of a family has for an absent key, None where the table has no such row."""
    return next((default for name, row_key, default, _ in ROWS if (name, row_key) == (family, key)), None)
