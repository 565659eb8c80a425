"""The known metadata keys of a GGUF: used ones, and those without effect on results. All others are refused.

The names are llama.cpp's (LLM_KV_NAMES in src/llama-arch.cpp) and those that its converter and people who publish
files add. Keys under "tokenizer." have their table in gguf/tokenizer.py. A key that llama.cpp reads only for other
architectures is refused too, because a file with such a key needs something that is not computed here.
"""

import numpy as np

from plpython.model.decoder import Architecture
from plpython.model.encoder import EncoderArchitecture
from plpython.server.errors import ModelError, invalid_parameter

from ..errors import SourceError
from ..source.fields import Fields, in_its_words, shown
from ..source.known_keys import Keys, check_keys

# The key of each value of an architecture.
KEY_OF_VALUE = {
    "hidden_size": "embedding_length",
    "layers": "block_count",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "head_dim": "embedding_length",
    "ffn_size": "feed_forward_length",
    "context_length": "context_length",
    "rope_theta": "rope.freq_base",
    "rope_scaling": "rope.scaling.factor",
    "windows": "attention.sliding_window",
}
# The type of the file, and descriptions. An adapter, a projector or an imatrix is no model.
GENERAL_KEYS = Keys(
    used=("architecture", "alignment"),
    harmless_at={"type": (b"model",), "quantization_version": (2,)},  # of the layout of blocks: always 2 in GGUF files
    harmless=(
        *("name", "author", "version", "organization", "finetune", "basename", "description", "summary"),
        *("quantized_by", "converted_by", "size_label", "parameter_count", "parameter_size", "file_type"),
        *("license", "license.*", "url", "doi", "uuid", "repo_url", "hub_id", "tags", "languages", "datasets"),
        *("source.*", "base_model.*", "base_models", "base_models.*", "dataset.*"),
        "sampling.*",  # what its makers suggest to callers
    ),
)

# Keys that are not about the model: how it was split, quantised, trained and published.
OUTSIDE_KEYS = Keys(
    used=("split.no", "split.count", "split.tensors.count"),
    harmless=(
        *("general.*", "tokenizer.*"),  # have tables of their own
        *("quantize.*", "imatrix.*", "training.*", "mergekit.*"),
        *("mradermacher.*", "unsloth.*", "bartowski.*", "lmstudio.*", "ollama.*", "llamafile.*", "huggingface.*"),
    ),
)

# Keys of the architecture that a decoder and an encoder have in common.
COMMON_KEYS = Keys(
    used=(
        *("block_count", "context_length", "embedding_length", "embedding_length_out", "feed_forward_length"),
        *("vocab_size", "attention.head_count", "attention.head_count_kv", "attention.causal", "pooling_type"),
        *("attention.key_length", "attention.value_length"),
    ),
    harmless_at={
        "attention.clamp_kqv": (0.0,),
        "attention.max_alibi_bias": (0.0,),
        "attention.output_scale": (0.0, 1.0),
        "attention.scale": (0.0,),
        "attention.shared_kv_layers": (0,),
        "attention.temperature_length": (0,),
        "attention.temperature_scale": (0.0,),
        "attention.value_scale": (0.0, 1.0),
        "attn_logit_softcapping": (0.0,),
        "embedding_scale": (0.0, 1.0),
        "expert_count": (0,),
        "expert_group_count": (0,),
        "expert_group_used_count": (0,),
        "expert_shared_count": (0,),
        "expert_used_count": (0,),
        "final_logit_softcapping": (0.0,),
        "leading_dense_block_count": (0,),
        "logit_scale": (0.0, 1.0),
        "n_deepstack_layers": (0,),
        "nextn_predict_layers": (0,),
        "residual_scale": (0.0, 1.0),
        "swin_norm": (False,),
        "use_parallel_residual": (False,),
    },
)

DECODER_KEYS = COMMON_KEYS | Keys(
    used=(
        *("attention.layer_norm_rms_epsilon", "attention.sliding_window"),
        *("attention.key_length_swa", "attention.value_length_swa"),
        *("rope.dimension_count", "rope.dimension_count_swa", "rope.freq_base", "rope.freq_base_swa"),
        *("rope.scaling.type", "rope.scaling.factor", "rope.scale_linear"),
    ),
    harmless_at={
        "attention.sliding_window_pattern": (True, 0),  # the window is every layer's
        "rope.scaling.alpha": (0.0,),
        "rope.scaling.attn_factor": (1.0,),
        "rope.scaling.yarn_attn_factor": (1.0,),
        "rope.scaling.yarn_ext_factor": (0.0, -1.0),
        "rope.scaling.yarn_log_multiplier": (0.0,),
        "tensor_data_layout": (b"Meta AI original pth",),  # the order of the rows of q and k that all files have
    },
    harmless=(
        "rope.scaling.finetuned",
        # What YaRN alone reads, which is refused as rope.scaling.type and as rope.scaling.yarn_ext_factor.
        *("rope.scaling.original_context_length", "rope.scaling.yarn_beta_fast", "rope.scaling.yarn_beta_slow"),
    ),
)

ENCODER_KEYS = COMMON_KEYS | Keys(used=("attention.layer_norm_epsilon",))

# Keys that have one number for all layers, or an array with one for each.
PER_LAYER_KEYS = (
    *("attention.head_count", "attention.head_count_kv", "attention.sliding_window_pattern"),
    *("expert_used_count", "feed_forward_length"),
)


def check_general(metadata: Fields) -> None:
    """Raise SourceError for a file that is no model, or that has an unknown key under "general."."""
    check_keys(Fields(metadata.source, metadata.values, "general."), GENERAL_KEYS)


def check_outside(metadata: Fields, architecture: str) -> None:
    """Raise SourceError for a key with an unknown prefix, such as another architecture's."""
    check_keys(metadata, OUTSIDE_KEYS | Keys(harmless=(f"{architecture}.*",)))


def of_all_layers(own: Fields, layers: int) -> Fields:
    """The fields with one number where an array has the same number for every layer.

    Raises SourceError for an array of another length than `layers` and for numbers that differ.
    """
    values = dict(own.values)
    for key in PER_LAYER_KEYS:
        value = values.get(own.prefix + key)
        if isinstance(value, np.ndarray):
            values[own.prefix + key] = _of_all_layers(f'{own.source} "{own.prefix}{key}"', value, layers)
    return Fields(own.source, values, own.prefix)


def _of_all_layers(what: str, array: np.ndarray, layers: int) -> int | float | bool:
    if len(array) != layers:
        raise SourceError(f"{what} has {len(array)} elements, expected {layers}, one for each layer")
    if layers == 0 or (array != array[0]).any():
        raise SourceError(f"{what} differs from layer to layer, which is not supported")
    return array[0].item()


def check_equal(own: Fields, facts: dict[str, tuple[str, int | float]]) -> None:
    """Raise SourceError if a key contradicts a value from elsewhere, {key: (description, value)}."""
    for key, (what, expected) in facts.items():
        value = own.integer(key, expected) if isinstance(expected, int) else own.number(key, expected)
        if value != expected:
            raise SourceError(
                f'{own.source} "{own.prefix}{key}" is {shown(value)}, which is not {what}, {expected}',
                "Both must be the same here.",
            )


def architecture_of(own: Fields, kind: type, values: dict, shapes: dict) -> Architecture | EncoderArchitecture:
    """The architecture of a kind with these values, checked against the tensors.

    Raises SourceError that names the key of a value that is out of range, and ModelError that names a tensor that does
    not fit.
    """
    try:
        architecture = kind.from_config(values)
    except ModelError as problem:
        raise in_its_words(own, problem, _keys(own)) from None
    architecture.check_tensors(shapes)
    return architecture


def _keys(own: Fields) -> dict[str, str]:
    """KEY_OF_VALUE; of two keys for one value, the key that the file has."""
    said = [("norm_epsilon", "attention.layer_norm_rms_epsilon"), ("norm_epsilon", "attention.layer_norm_epsilon")]
    said += [("head_dim", "attention.key_length")]
    return KEY_OF_VALUE | {value: key for value, key in said if key in own}


def vocabulary_size(shapes: dict) -> int:
    """The rows of the token embedding. Raises ModelError if there is none."""
    if "token_embd.weight" not in shapes:
        raise invalid_parameter('tensor "token_embd.weight" is missing')
    return shapes["token_embd.weight"][0]
