"""Which ids begin and end a text: generation_config.json's word before config.json's.

Where generation_config.json is there and says nothing, config.json counts, as in vLLM. transformers 5.24 asks no second
file: there such a model ends no text by itself.
"""

from ..errors import SourceError
from ..source.fields import Fields, shown
from ..source.known_keys import check_keys
from .config_defaults import class_default
from .config_keys import GENERATION_CONFIG


def token_ids(generation: Fields, config: Fields, name: str, rows: int) -> list[int]:
    """The ids of the first file that has any, a number or a list of them; else those of the configuration's class."""
    for source in (generation, config):
        value = source.values.get(name)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(item) is int for item in ids):
            raise SourceError(f'{source.source} "{name}" is not a token id or a list of them')
        if any(not 0 <= item < rows for item in ids):
            raise SourceError(f'{source.source} "{name}" is {shown(value)}, the vocabulary has {rows} tokens')
        if ids:
            return list(dict.fromkeys(ids))
    if name in generation.values or name in config.values:
        return []
    default = class_default(config.text("model_type", None), name)
    return [default] if default is not None and default < rows else []


def check_generation(generation: Fields) -> None:
    """Raise SourceError for a key of generation_config.json that is not known, or not supported at its value."""
    check_keys(generation, GENERATION_CONFIG)
