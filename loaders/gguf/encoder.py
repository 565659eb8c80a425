"""A GGUF's metadata as an EncoderArchitecture. Keys: docs/gguf.md of ggml; what they leave open is llama.cpp's rule.

A GGUF does not say whether embeddings are normalised, nor how much of a text is read: llama.cpp's programs normalise,
and read as many tokens as there are positions.
"""

from gguf import PoolingType

from plpython.model.encoder import EncoderArchitecture

from ..errors import SourceError
from ..source.fields import Fields
from ..source.known_keys import check_keys
from .keys import ENCODER_KEYS, architecture_of, check_equal, vocabulary_size

POOLING_OF_TYPE = {PoolingType.MEAN: "mean", PoolingType.CLS: "cls"}


def read_encoder(own: Fields, shapes: dict[str, tuple[int, ...]], name: str) -> EncoderArchitecture:
    """The encoder, checked against the tensors. Raises SourceError or ModelError that names what does not fit."""
    check_keys(own, ENCODER_KEYS)
    if own.flag("attention.causal"):
        raise SourceError(f'{own.source} "{name}.attention.causal" is true, which is not supported for an encoder')
    _check_sizes(own, shapes)
    context_length = own.integer("context_length")
    values = {
        "family": name,
        "vocabulary_size": vocabulary_size(shapes),
        "hidden_size": own.integer("embedding_length"),
        "layers": own.integer("block_count"),
        "heads": own.integer("attention.head_count"),
        "ffn_size": own.integer("feed_forward_length"),
        "context_length": context_length,
        "longest_text": context_length,
        "token_types": shapes.get("token_types.weight", (0,))[0],
        "norm_epsilon": own.number("attention.layer_norm_epsilon"),
        "pooling": _pooling(own),
        "normalize": True,
    }
    return architecture_of(own, EncoderArchitecture, values, shapes)


def _check_sizes(own: Fields, shapes: dict) -> None:
    heads, hidden_size = own.integer("attention.head_count"), own.integer("embedding_length")
    head_dim = hidden_size // heads if heads > 0 else 0
    check_equal(
        own,
        {
            "vocab_size": ("the number of rows of the embedding", vocabulary_size(shapes)),
            "embedding_length_out": ("embedding_length", hidden_size),
            "attention.head_count_kv": ("attention.head_count", heads),
            "attention.key_length": ("the head size", head_dim),
            "attention.value_length": ("the head size", head_dim),
        },
    )


def _pooling(own: Fields) -> str:
    number = own.integer("pooling_type", int(PoolingType.MEAN))
    if number not in POOLING_OF_TYPE:
        raise SourceError(
            f'{own.source} "{own.prefix}pooling_type" is {number}, which is not supported', "1 and 2 are."
        )
    return POOLING_OF_TYPE[number]
