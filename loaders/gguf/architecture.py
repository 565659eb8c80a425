"""A GGUF's metadata as an Architecture. Keys: docs/gguf.md of ggml; defaults: llama.cpp's where the key is optional."""

import re

from gguf import PoolingType

from plpython.model.decoder import LARGEST_SIZES, Architecture
from plpython.model.encoder import EncoderArchitecture
from plpython.server.errors import ModelError

from .. import families
from ..errors import SourceError
from ..source.fields import Fields
from ..source.known_keys import check_keys
from .encoder import read_encoder
from .keys import (
    DECODER_KEYS,
    architecture_of,
    check_equal,
    check_general,
    check_outside,
    of_all_layers,
    vocabulary_size,
)

NO_SCALING, LINEAR = "none", "linear"
OF_A_LAYER = re.compile(r"blk\.[\w.]+")


def family_of(metadata: Fields) -> families.Family | families.EncoderFamily:
    """The family that the file says it is of. Raises SourceError for a file of another kind, or of no family here."""
    check_general(metadata)
    return families.of_gguf(metadata.text("general.architecture"))


def read_architecture(metadata: Fields, shapes: dict[str, tuple[int, ...]]) -> Architecture | EncoderArchitecture:
    """The architecture, checked against the tensors, {name here: shape}.

    Raises SourceError or ModelError that names what does not fit, as the file calls it.
    """
    family = family_of(metadata)
    check_outside(metadata, family.gguf_name)
    if not shapes:
        raise SourceError("the file has no tensor data")
    own = Fields(metadata.source, metadata.values, f"{family.gguf_name}.")
    own = of_all_layers(own, own.integer("block_count"))
    if isinstance(family, families.EncoderFamily):
        return read_encoder(own, shapes, family.name)
    try:
        return _read_decoder(own, shapes, family)
    except ModelError as problem:
        message = OF_A_LAYER.sub(lambda found: family.renamed(found[0]), problem.message)
        raise ModelError(problem.sqlstate, message, problem.detail, problem.hint) from None


def _read_decoder(own: Fields, shapes: dict, family: families.Family) -> Architecture:
    check_keys(own, DECODER_KEYS)
    config = _sizes(own, shapes)
    _check_pooling(own)
    config |= {
        "family": family.name,
        "rope_interleaved": family.gguf_interleaves,
        "rope_scaling": _rope_scaling(own),
        "windows": _windows(own, config["layers"]),
        "attention_bias": "blk.0.attn_q.bias" in shapes,
        "attention_output_bias": "blk.0.attn_output.bias" in shapes,
        "tied_embeddings": "output.weight" not in shapes,
    }
    return architecture_of(own, Architecture, config | family.always, shapes)


def _sizes(own: Fields, shapes: dict) -> dict:
    rows = vocabulary_size(shapes)
    hidden_size, heads = own.integer("embedding_length"), own.integer("attention.head_count")
    head_dim = own.integer("attention.key_length", hidden_size // heads if heads > 0 else 0)
    rope_theta = own.number("rope.freq_base", 10_000.0)
    check_equal(
        own,
        {
            "vocab_size": ("the number of rows of the embedding", rows),
            "embedding_length_out": ("embedding_length", hidden_size),
            "attention.value_length": ("the head size", head_dim),
            "attention.key_length_swa": ("the head size", head_dim),
            "attention.value_length_swa": ("the head size", head_dim),
            "rope.dimension_count": ("the head size", head_dim),
            "rope.dimension_count_swa": ("the head size", head_dim),
            "rope.freq_base_swa": ("rope.freq_base", rope_theta),
        },
    )
    return {
        "vocabulary_size": rows,
        "hidden_size": hidden_size,
        "layers": own.integer("block_count"),
        "heads": heads,
        "kv_heads": own.integer("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "ffn_size": own.integer("feed_forward_length"),
        "context_length": own.integer("context_length"),
        "norm_epsilon": own.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": rope_theta,
    }


def _check_pooling(own: Fields) -> None:
    """A decoder has no pooling, or the one that llm.embed has by default; attention is causal."""
    number = own.integer("pooling_type", int(PoolingType.NONE))
    if number not in (PoolingType.NONE, PoolingType.MEAN):
        raise SourceError(
            f'{own.source} "{own.prefix}pooling_type" is {number}, which is not supported', "0 and 1 are."
        )
    if not own.flag("attention.causal", True):
        raise SourceError(f'{own.source} "{own.prefix}attention.causal" is false, which is not supported')


def _rope_scaling(own: Fields) -> dict | None:
    factor = own.number("rope.scaling.factor", own.number("rope.scale_linear", 0.0))
    kind = own.text("rope.scaling.type", LINEAR)
    if kind not in (NO_SCALING, LINEAR):
        what = f'{own.source} "{own.prefix}rope.scaling.type" is "{kind}", which is not supported'
        raise SourceError(what, "Supported are none and linear, and what Llama 3 has, as the tensor rope_freqs.weight.")
    return None if kind == NO_SCALING or factor in (0.0, 1.0) else {"type": LINEAR, "factor": factor}


def _windows(own: Fields, layers: int) -> list[int] | None:
    """The window of every layer; one as long as the context is none."""
    window = own.integer("attention.sliding_window", 0)
    if window == 0 or window >= own.integer("context_length"):
        return None
    return [window] * min(layers, LARGEST_SIZES["layers"])
