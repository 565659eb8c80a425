"""A GGUF's metadata as an EncoderArchitecture. Keys: docs/gguf.md of ggml; what they leave open is llama.cpp's rule.

A GGUF does not say whether embeddings are normalised, nor how much of a text is read: llama.cpp's programs normalise,
and read as many tokens as there are positions.
"""

from gguf import PoolingType

from plpython.encoder_architecture import EncoderArchitecture

from .errors import SourceError
from .fields import Fields
from .gguf_container import Container

POOLINGS = {PoolingType.MEAN: "mean", PoolingType.CLS: "cls"}


def read_encoder(container: Container, name: str) -> EncoderArchitecture:
    """The encoder, checked against the tensors. Raises SourceError or ModelError that names what does not fit."""
    own = Fields("metadata", container.metadata, f"{name}.")
    if own.flag("attention.causal", False):
        raise SourceError(f'metadata "{name}.attention.causal" is true, which is not supported for an encoder')
    shapes = {tensor.name: tensor.shape for tensor in container.tensors}
    context_length = own.integer("context_length")
    architecture = EncoderArchitecture.from_config(
        {
            "family": name,
            "vocabulary_size": shapes.get("token_embd.weight", (0,))[0],
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
    )
    architecture.check_tensors(shapes)
    return architecture


def _pooling(own: Fields) -> str:
    number = own.integer("pooling_type", int(PoolingType.MEAN))
    if number not in POOLINGS:
        raise SourceError(f'metadata "{own.prefix}pooling_type" is {number}, which is not supported', "1 and 2 are.")
    return POOLINGS[number]
