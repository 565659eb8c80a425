"""A Hugging Face config.json as an Architecture. Names and defaults are those of transformers' classes."""

import re

import numpy as np

from plpython.model.decoder import LARGEST_SIZES, Architecture
from plpython.server.errors import ModelError

from .. import families
from ..errors import SourceError
from ..source.fields import Fields, in_its_words, quoted
from ..source.known_keys import Keys, check_keys
from .config_defaults import completed
from .config_keys import CONFIG_KEY_OF_SIZE, PRETRAINED

# The key in config.json of each value of an architecture.
CONFIG_KEY_OF_VALUE = CONFIG_KEY_OF_SIZE | {
    "kv_heads": "num_key_value_heads",
    "head_dim": "hidden_size",
    "norm_epsilon": "rms_norm_eps",
    "tied_embeddings": "tie_word_embeddings",
    "windows": "sliding_window",
    "rope_theta": "rope_theta",
    "rope_scaling": "rope_scaling",
}
DECODER_CONFIG = PRETRAINED | Keys(
    used=(
        *CONFIG_KEY_OF_SIZE.values(),
        "num_key_value_heads",
        "head_dim",
        "rms_norm_eps",
        "rope_theta",
        "rope_scaling",
        "rope_parameters",
        "original_max_position_embeddings",
        "tie_word_embeddings",
        "layer_types",
    ),
    harmless_at={
        "hidden_act": ("silu", "swish"),
        "is_causal": (True,),
        "partial_rotary_factor": (1, 1.0),
        "logit_scale": (1, 1.0),
        "attn_logit_softcapping": (),
        "final_logit_softcapping": (),
    },
)
# The numbers of each rope scaling.
SCALINGS = {
    "default": (),
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor"),
}
ROPE = Keys(
    used=("rope_type", "type", "rope_theta", "original_max_position_embeddings"),
    harmless_at={"partial_rotary_factor": (1, 1.0)},
    harmless=("finetuned",),
)


def family_of(config: Fields) -> families.Family | families.EncoderFamily:
    """The family by `model_type`, or by `architectures` in the oldest files, which have nothing else.

    Raises SourceError if the two name different families: one of them is wrong.
    """
    classes = config.texts("architectures", [])
    if "model_type" not in config and not classes:
        raise SourceError('config.json has no "model_type"')
    named = [re.sub(r"(For[A-Z].*|LMHeadModel|Model)$", "", name).lower() for name in classes]
    family = families.of_config(config.text("model_type", None) or named[0])
    if named and family.model_type.replace("_", "") not in named:
        reason = f'"architectures" names {quoted(classes[0])}'
        raise SourceError(f'config.json "model_type" is "{family.model_type}", but {reason}', "Correct one of them.")
    return family


def read_architecture(config: Fields) -> Architecture:
    """The architecture. Raises SourceError that names what is unsupported or invalid."""
    family = family_of(config)
    keys = DECODER_CONFIG | family.keys
    check_keys(config, keys)
    config = completed(config, family.name, keys)
    values = {ours: config.count(theirs, LARGEST_SIZES[ours]) for ours, theirs in CONFIG_KEY_OF_SIZE.items()}
    values |= {"family": family.name, "rope_interleaved": False} | _heads(config) | _rope(config)
    values |= {
        "norm_epsilon": config.number("rms_norm_eps"),
        "tied_embeddings": config.flag("tie_word_embeddings"),
    }
    try:
        architecture = Architecture.from_config(values | family.always | family.from_config(config))
    except ModelError as problem:
        raise in_its_words(
            config, problem, CONFIG_KEY_OF_VALUE | ({"head_dim": "head_dim"} if "head_dim" in config else {})
        ) from None
    _check_frequencies(config, architecture)
    return architecture


def _heads(config: Fields) -> dict:
    heads = config.integer("num_attention_heads")
    return {
        "kv_heads": config.count("num_key_value_heads", LARGEST_SIZES["kv_heads"], heads),
        "head_dim": config.count("head_dim", LARGEST_SIZES["head_dim"], config.integer("hidden_size") // heads),
    }


def _rope(config: Fields) -> dict:
    """`rope_theta` and `rope_scaling` of an architecture.

    As in transformers: `rope_scaling` hides `rope_parameters` unless it is empty, and a theta inside the one that
    counts hides the one outside.
    """
    parameters = config.nested("rope_scaling")
    if not parameters.values:
        parameters = config.nested("rope_parameters")
    kind = _rope_type(parameters)
    check_keys(parameters, ROPE | Keys(used=SCALINGS[kind]))
    theta = parameters if "rope_theta" in parameters.values else config
    return {"rope_theta": theta.number("rope_theta"), "rope_scaling": _scaling(config, parameters, kind)}


def _rope_type(parameters: Fields) -> str:
    key = "rope_type" if "rope_type" in parameters.values or "type" not in parameters.values else "type"
    kind = parameters.text(key) if key in parameters.values else "default"
    if kind not in SCALINGS:
        raise SourceError(f"rope scaling {quoted(kind)} is not supported", "Supported are linear and llama3.")
    return kind


def _scaling(config: Fields, parameters: Fields, kind: str) -> dict | None:
    if kind == "default":
        return None
    scaling = {"type": kind} | {name: parameters.number(name) for name in SCALINGS[kind]}
    if kind == "llama3":
        scaling["original_context_length"] = _original_length(config, parameters)
    return scaling


def _original_length(config: Fields, parameters: Fields) -> int:
    """The context that llama3 scales from. As in transformers: outside before inside, else the context itself."""
    name = "original_max_position_embeddings"
    given = [place for place in (config, parameters) if name in place.values]
    return given[0].count(name, LARGEST_SIZES["context_length"]) if given else config.integer("max_position_embeddings")


def _check_frequencies(config: Fields, architecture: Architecture) -> None:
    """Raise SourceError if theta and factors, although finite, give infinite frequencies."""
    with np.errstate(all="ignore"):
        frequencies = architecture.rope_frequencies()
    if not np.isfinite(frequencies).all():
        raise SourceError(
            f'{config.source} "rope_theta" {architecture.rope_theta} gives frequencies that are not finite'
        )
