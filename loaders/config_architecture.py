"""A Hugging Face config.json as an Architecture. Names and defaults are those of transformers' classes."""

from plpython.architecture import Architecture

from . import families
from .errors import SourceError
from .fields import Fields

# What no family here uses, with the values that mean "not used". A null means so too.
NEUTRAL = {
    "hidden_act": ("silu", "swish"),
    "mlp_bias": (False,),
    "partial_rotary_factor": (1, 1.0),
    "logit_scale": (1, 1.0),
    "attn_logit_softcapping": (),
    "final_logit_softcapping": (),
    "quantization_config": (),
}


def family_of(config: Fields) -> families.Family | families.EncoderFamily:
    """The family by `model_type`, or by `architectures` in the oldest files, which have nothing else."""
    if "model_type" in config:
        return families.of_config(config.text("model_type"))
    names = config.texts("architectures", [])
    if not names:
        raise SourceError('config.json has no "model_type"')
    return families.of_config(names[0].removesuffix("ForCausalLM").removesuffix("Model").lower())


def read_architecture(config: Fields) -> Architecture:
    """The architecture. Raises SourceError or ModelError that names what is unsupported or ill."""
    family = family_of(config)
    for name, neutral in NEUTRAL.items():
        if name in config and config.values[name] not in neutral:
            raise SourceError(f'config.json "{name}" is {str(config.values[name])[:60]}, which is not supported')
    hidden_size, heads = config.integer("hidden_size"), config.integer("num_attention_heads")
    theta, scaling = _rope(config)
    values = {
        "family": family.name,
        "vocabulary_size": config.integer("vocab_size"),
        "hidden_size": hidden_size,
        "layers": config.integer("num_hidden_layers"),
        "heads": heads,
        "kv_heads": config.integer("num_key_value_heads", heads),
        "head_dim": config.integer("head_dim", hidden_size // heads if heads > 0 else 0),
        "ffn_size": config.integer("intermediate_size"),
        "context_length": config.integer("max_position_embeddings"),
        "norm_epsilon": config.number("rms_norm_eps", 1e-6),
        "rope_theta": theta,
        "rope_interleaved": False,
        "rope_scaling": scaling,
        "tied_embeddings": config.flag("tie_word_embeddings", False),
    }
    Architecture.from_config(values)  # sizes are believed before a family counts layers with them
    return Architecture.from_config(values | family.always | family.from_config(config))


def _rope(config: Fields) -> tuple[float, dict | None]:
    """(theta, scaling) of `rope_parameters`, or of `rope_theta` and `rope_scaling` as older files have them."""
    newer = config.nested("rope_parameters")
    older = config.nested("rope_scaling")
    theta = newer.number("rope_theta", config.number("rope_theta", 10_000.0))
    scaling = newer if newer.values else older
    if scaling.number("partial_rotary_factor", 1.0) != 1.0:
        raise SourceError(f'{scaling.source} "partial_rotary_factor" is not supported')
    kind = scaling.text("rope_type", scaling.text("type", "default"))
    if kind == "default":
        return theta, None
    if kind == "linear":
        return theta, {"type": "linear", "factor": scaling.number("factor")}
    if kind == "llama3":
        names = ("factor", "low_freq_factor", "high_freq_factor")
        original = scaling.number("original_max_position_embeddings")
        return theta, {"type": "llama3", "original_context_length": original} | {n: scaling.number(n) for n in names}
    raise SourceError(f'rope scaling "{kind}" is not supported', "Supported are linear and llama3.")
