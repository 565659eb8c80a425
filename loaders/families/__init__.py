"""The model families that can be loaded. Every file here but two is one, and is found by its name.

A family states how it differs from Llama; the list of them is the folder itself.
"""

import importlib
import pkgutil

from ..errors import LoaderError, SourceError
from ..source.fields import quoted
from .base import EncoderFamily, Family

NO_FAMILIES = ("base", "class_defaults")


def _found() -> list[Family | EncoderFamily]:
    """The FAMILY of each file, in the order of the files' names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in NO_FAMILIES)
    return [importlib.import_module(f".{name}", __name__).FAMILY for name in names]


_FOUND = _found()
FAMILIES: tuple[Family, ...] = tuple(family for family in _FOUND if isinstance(family, Family))
ENCODERS: tuple[EncoderFamily, ...] = tuple(family for family in _FOUND if isinstance(family, EncoderFamily))


def of_gguf(architecture: str) -> Family | EncoderFamily:
    """The family of a GGUF's general.architecture."""
    return _of_file("gguf_name", architecture)


def of_config(model_type: str) -> Family | EncoderFamily:
    """The family of a config.json's model_type."""
    return _of_file("model_type", model_type)


def of_decoder(name: str) -> Family:
    """The family of a stored decoder. Raises LoaderError for one that this version of the loader does not have."""
    known = {family.name: family for family in FAMILIES}
    if name not in known:
        raise LoaderError(f"family {quoted(name)} is not known to this loader", f"Known are {', '.join(known)}.")
    return known[name]


def _of_file(attribute: str, name: str) -> Family | EncoderFamily:
    known = {getattr(family, attribute): family for family in (*FAMILIES, *ENCODERS) if getattr(family, attribute)}
    if name not in known:
        raise SourceError(f"architecture {quoted(name)} is not supported", f"Supported are {', '.join(known)}.")
    return known[name]
