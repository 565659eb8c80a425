"""A GGUF's metadata as an Architecture. Keys: docs/gguf.md of ggml; defaults: llama.cpp's where the key is optional."""

from plpython.architecture import LARGEST, Architecture
from plpython.encoder_architecture import EncoderArchitecture

from . import families
from .errors import SourceError
from .fields import Fields
from .gguf_container import Container
from .gguf_encoder import read_encoder

# Keys that change the arithmetic, which no family here uses, with the value that means "not used".
NEUTRAL = {
    "expert_count": 0,
    "expert_used_count": 0,
    "attention.scale": 0.0,
    "attention.clamp_kqv": 0.0,
    "attention.temperature_scale": 0.0,
    "attention.causal": True,
    "attn_logit_softcapping": 0.0,
    "final_logit_softcapping": 0.0,
    "logit_scale": 0.0,
    "residual_scale": 0.0,
    "embedding_scale": 0.0,
    "use_parallel_residual": False,
}
NO_SCALING, LINEAR = "none", "linear"


def read_architecture(container: Container) -> Architecture | EncoderArchitecture:
    """The architecture, checked against the tensors. Raises SourceError or ModelError that names what does not fit."""
    metadata = Fields("metadata", container.metadata)
    name = metadata.text("general.architecture")
    family = families.of_gguf(name)
    if not container.has_data:
        raise SourceError("the file has no tensor data")
    if isinstance(family, families.EncoderFamily):
        return read_encoder(container, family.name)
    shapes = {tensor.name: tensor.shape for tensor in container.tensors}
    own = Fields("metadata", container.metadata, f"{name}.")
    _refuse_what_is_not_neutral(own)
    config = _sizes(own, shapes)
    config |= {
        "family": family.name,
        "rope_interleaved": family.gguf_interleaves,
        "rope_scaling": _rope_scaling(own),
        "windows": _windows(own, config["layers"]),
        "attention_bias": "blk.0.attn_q.bias" in shapes,
        "attention_output_bias": "blk.0.attn_output.bias" in shapes,
        "tied_embeddings": "output.weight" not in shapes,
    }
    architecture = Architecture.from_config(config | family.always)
    architecture.check_tensors(shapes)
    return architecture


def _sizes(own: Fields, shapes: dict) -> dict:
    hidden_size, heads = own.integer("embedding_length"), own.integer("attention.head_count")
    head_dim = own.integer("attention.key_length", hidden_size // heads if heads > 0 else 0)
    for key in ("attention.value_length", "rope.dimension_count"):
        size = own.integer(key, head_dim)
        if size != head_dim:
            raise SourceError(f'metadata "{own.prefix}{key}" is {size}, only the head size {head_dim} is supported')
    return {
        "vocabulary_size": shapes.get("token_embd.weight", (0,))[0],
        "hidden_size": hidden_size,
        "layers": own.integer("block_count"),
        "heads": heads,
        "kv_heads": own.integer("attention.head_count_kv", heads),
        "head_dim": head_dim,
        "ffn_size": own.integer("feed_forward_length"),
        "context_length": own.integer("context_length"),
        "norm_epsilon": own.number("attention.layer_norm_rms_epsilon"),
        "rope_theta": own.number("rope.freq_base", 10_000.0),
    }


def _rope_scaling(own: Fields) -> dict | None:
    factor = own.number("rope.scaling.factor", own.number("rope.scale_linear", 0.0))
    kind = own.text("rope.scaling.type", LINEAR)
    if kind not in (NO_SCALING, LINEAR):
        raise SourceError(f'rope scaling "{kind}" is not supported', "Supported are linear, and llama3 as rope_freqs.")
    return None if kind == NO_SCALING or factor in (0.0, 1.0) else {"type": LINEAR, "factor": factor}


def _windows(own: Fields, layers: int) -> list[int] | None:
    """The window of every layer; one as long as the context is none."""
    window = own.integer("attention.sliding_window", 0)
    if window == 0 or window >= own.integer("context_length"):
        return None
    return [window] * min(layers, LARGEST["layers"])


def _refuse_what_is_not_neutral(own: Fields) -> None:
    for key, neutral in NEUTRAL.items():
        value = own.flag(key, neutral) if isinstance(neutral, bool) else own.number(key, neutral)
        if value != neutral:
            raise SourceError(f'metadata "{own.prefix}{key}" is {value}, which is not supported')
