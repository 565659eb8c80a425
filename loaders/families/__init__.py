"""The model families that can be loaded, each one small file that states how it differs from Llama."""

from ..errors import SourceError
from ..source.fields import quoted
from . import bert, llama, mistral, qwen2, qwen3
from .base import EncoderFamily, Family

FAMILIES: tuple[Family, ...] = (llama.FAMILY, mistral.FAMILY, qwen2.FAMILY, qwen3.FAMILY)

ENCODERS: tuple[EncoderFamily, ...] = (bert.FAMILY,)


def of_gguf(architecture: str) -> Family | EncoderFamily:
    """The family of a GGUF's general.architecture."""
    return _named("gguf_name", architecture)


def of_config(model_type: str) -> Family | EncoderFamily:
    """The family of a config.json's model_type."""
    return _named("model_type", model_type)


def _named(attribute: str, name: str) -> Family | EncoderFamily:
    known = {getattr(family, attribute): family for family in (*FAMILIES, *ENCODERS) if getattr(family, attribute)}
    if name not in known:
        raise SourceError(f"architecture {quoted(name)} is not supported", f"Supported are {', '.join(known)}.")
    return known[name]
