"""The cells of the decoder matrix: contradictions, absences and extremes of a Hugging Face folder.

A cell is a small model of `BASES` whose config.json or weights are changed. `tests/fixtures/huggingface_matrix/make.py`
asks transformers what each means; `test_decoder_matrix.py` asks the loader.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

ABSENT = ...  # a key that is taken out of config.json; None stays in as null
Files = dict[str, dict[str, np.ndarray]]

COMMON = {
    "vocab_size": 44,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 100.0,
    "tie_word_embeddings": False,
    "num_hidden_layers": 2,
    "intermediate_size": 24,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SMALL = {"hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2}
WINDOW = {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1}
BASES = {
    "llama": COMMON | SMALL | {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
    "mistral": COMMON
    | {"hidden_size": 32, "num_attention_heads": 8, "num_key_value_heads": 8, "sliding_window": 5}
    | {"model_type": "mistral", "architectures": ["MistralForCausalLM"]},
    "qwen2": COMMON | SMALL | WINDOW | {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]},
    "qwen2_wide": COMMON
    | {"hidden_size": 16, "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 2}
    | {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]},
    "qwen3": COMMON
    | {"hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 128}
    | {"num_hidden_layers": 1, "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]},
    "seed_oss": COMMON
    | {"hidden_size": 16, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "num_hidden_layers": 1}
    | {"attention_out_bias": True, "model_type": "seed_oss", "architectures": ["SeedOssForCausalLM"]},
}


@dataclass(frozen=True)
class Cell:
    """One question: `base` with `config` changed.

    files: the weights -> {file name: tensors}. index: what is true, {tensor: file}, -> the weight_map of an index.
    refusal: what our refusal says, where transformers computes something.
    """

    base: str
    name: str
    config: dict
    files: Callable[[dict], Files] | None = None
    index: Callable[[dict], dict] | None = None
    refusal: str | None = None

    @property
    def id(self) -> str:
        return f"{self.base}: {self.name}"

    def configuration(self) -> dict:
        """What config.json says."""
        joined = BASES[self.base] | self.config
        return {key: value for key, value in joined.items() if value is not ABSENT}

    def layout(self, weights: dict) -> Files:
        """{file name: tensors}."""
        return self.files(weights) if self.files else {"model.safetensors": weights}


def cells(base: str, **named: dict) -> list[Cell]:
    return [Cell(base, name.replace("_", " "), config) for name, config in named.items()]


LINEAR = {"rope_type": "linear", "factor": 4.0}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
ORIGINAL = {"original_max_position_embeddings": 32}
ELSEWHERE = {"rope_type": "default", "rope_theta": 5000.0}
NO_THETA = {"rope_theta": ABSENT}

ROPE = cells(
    "llama",
    rope_as_it_is={},
    rope_scaling_beside_rope_parameters=NO_THETA | {"rope_scaling": LINEAR, "rope_parameters": ELSEWHERE},
    rope_scaling_beside_rope_parameters_and_theta={"rope_scaling": LINEAR, "rope_parameters": ELSEWHERE},
    an_empty_rope_scaling_beside_rope_parameters={"rope_scaling": {}, "rope_parameters": ELSEWHERE},
    a_null_rope_scaling_beside_rope_parameters={"rope_scaling": None, "rope_parameters": ELSEWHERE},
    theta_in_rope_scaling=NO_THETA | {"rope_scaling": LINEAR | {"rope_theta": 5000.0}},
    theta_in_rope_scaling_and_outside={"rope_scaling": LINEAR | {"rope_theta": 5000.0}},
    theta_in_rope_parameters_and_outside={"rope_parameters": ELSEWHERE},
    theta_in_rope_parameters_of_linear=NO_THETA | {"rope_parameters": LINEAR | {"rope_theta": 5000.0}},
    theta_outside_rope_parameters={"rope_parameters": LINEAR},
    theta_nowhere=NO_THETA,
    theta_nowhere_with_scaling=NO_THETA | {"rope_scaling": LINEAR},
    theta_null={"rope_theta": None},
    theta_null_in_rope_parameters={"rope_parameters": {"rope_type": "default", "rope_theta": None}},
    theta_null_in_rope_scaling={"rope_scaling": LINEAR | {"rope_theta": None}},
    theta_an_integer={"rope_theta": 5000},
    theta_below_one={"rope_theta": 0.5},
    theta_zero={"rope_theta": 0.0},
    theta_a_string={"rope_theta": "5000"},
    theta_true={"rope_theta": True},
    by_layer_type={"layer_types": ["full_attention"] * 2, "rope_parameters": {"full_attention": ELSEWHERE}},
    by_layer_type_without_layer_types={"rope_parameters": {"full_attention": ELSEWHERE}},
    type_alone={"rope_scaling": {"type": "linear", "factor": 4.0}},
    type_against_rope_type={"rope_scaling": {"type": "dynamic", "rope_type": "linear", "factor": 4.0}},
    rope_type_against_type={"rope_scaling": {"rope_type": "default", "type": "linear", "factor": 4.0}},
    rope_type_null={"rope_scaling": {"rope_type": None, "type": "linear", "factor": 4.0}},
    type_default={"rope_scaling": {"type": "default"}},
    type_unheard_of={"rope_scaling": {"rope_type": "spiral", "factor": 4.0}},
    type_a_list={"rope_scaling": {"rope_type": ["linear"], "factor": 4.0}},
    factor_absent={"rope_scaling": {"rope_type": "linear"}},
    factor_null={"rope_scaling": {"rope_type": "linear", "factor": None}},
    factor_zero={"rope_scaling": {"rope_type": "linear", "factor": 0.0}},
    factor_one={"rope_scaling": {"rope_type": "linear", "factor": 1}},
    factor_below_one={"rope_scaling": {"rope_type": "linear", "factor": 0.5}},
    rope_scaling_a_list={"rope_scaling": [LINEAR]},
    rope_scaling_a_string={"rope_scaling": "linear"},
    linear_with_original_length={"rope_scaling": LINEAR | ORIGINAL},
    llama3={"rope_scaling": LLAMA3 | ORIGINAL},
    llama3_in_rope_parameters=NO_THETA | {"rope_parameters": LLAMA3 | ORIGINAL | {"rope_theta": 5000.0}},
    llama3_without_original_length={"rope_scaling": LLAMA3},
    llama3_with_original_length_outside={"rope_scaling": LLAMA3, "original_max_position_embeddings": 16},
    llama3_with_two_original_lengths={"rope_scaling": LLAMA3 | ORIGINAL, "original_max_position_embeddings": 16},
    llama3_longer_than_the_context={"rope_scaling": LLAMA3 | {"original_max_position_embeddings": 512}},
    llama3_without_low={"rope_scaling": {k: v for k, v in (LLAMA3 | ORIGINAL).items() if k != "low_freq_factor"}},
    llama3_with_equal_bounds={"rope_scaling": LLAMA3 | ORIGINAL | {"low_freq_factor": 4.0}},
    partial_rotary_factor_of_one={"partial_rotary_factor": 1.0, "rope_scaling": LINEAR},
    partial_rotary_factor={"partial_rotary_factor": 0.5, "rope_scaling": LINEAR},
    partial_rotary_factor_inside={"rope_scaling": LINEAR | {"partial_rotary_factor": 0.5}},
    yarn={"rope_scaling": {"rope_type": "yarn", "factor": 2.0} | ORIGINAL},
    dynamic={"rope_scaling": {"type": "dynamic", "factor": 2.0}},
)

LLAMA = cells(
    "llama",
    kv_heads_that_do_not_fit={"num_key_value_heads": 4},
    kv_heads_absent={"num_key_value_heads": ABSENT},
    kv_heads_null={"num_key_value_heads": None},
    heads_null={"num_attention_heads": None},
    head_dim_null={"head_dim": None},
    head_dim_stated={"head_dim": 8},
    head_dim_that_does_not_fit={"head_dim": 16},
    epsilon_absent={"rms_norm_eps": ABSENT},
    epsilon_null={"rms_norm_eps": None},
    epsilon_large={"rms_norm_eps": 0.5},
    epsilon_a_string={"rms_norm_eps": "1e-5"},
    context_absent={"max_position_embeddings": ABSENT},
    context_null={"max_position_embeddings": None},
    activation_absent={"hidden_act": ABSENT},
    activation_null={"hidden_act": None},
    activation_swish={"hidden_act": "swish"},
    activation_gelu={"hidden_act": "gelu"},
    attention_bias_absent={"attention_bias": ABSENT},
    attention_bias_null={"attention_bias": None},
    attention_bias_without_biases={"attention_bias": "yes"},
    mlp_bias_null={"mlp_bias": None},
    vocabulary_absent={"vocab_size": ABSENT},
    hidden_size_absent={"hidden_size": ABSENT},
    hidden_size_a_string={"hidden_size": "32"},
    hidden_size_a_float={"hidden_size": 32.0},
    layers_absent={"num_hidden_layers": ABSENT},
    tied_null={"tie_word_embeddings": None},
    tied_absent={"tie_word_embeddings": ABSENT},
    tensor_parallel={"pretraining_tp": 2},
    dropout={"attention_dropout": 0.5},
    two_dtypes={"torch_dtype": "bfloat16", "dtype": "float16"},
    a_window_that_llama_has_not={"sliding_window": 5},
    a_null_window={"sliding_window": None},
    all_layers_full={"layer_types": ["full_attention", "full_attention"]},
    layers_that_slide={"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 5},
    layer_types_too_short={"layer_types": ["full_attention"]},
    layer_types_unheard_of={"layer_types": ["full_attention", "half_attention"]},
    not_causal={"is_causal": False},
    per_layer_config={"per_layer_config": {"0": {"num_key_value_heads": 4}}},
    model_type_of_another_family={"model_type": "qwen3"},
    model_type_a_list={"model_type": ["llama"]},
    architectures_of_another_family={"architectures": ["BloomForCausalLM"]},
)

HEADS = {"head_dim": 4}  # transformers takes a mistral with layer_types for a ministral, whose class needs it
MISTRAL = cells(
    "mistral",
    as_it_is={},
    kv_heads_absent={"num_key_value_heads": ABSENT},
    kv_heads_null={"num_key_value_heads": None},
    window_absent={"sliding_window": ABSENT},
    window_null={"sliding_window": None},
    window_zero={"sliding_window": 0},
    window_a_float={"sliding_window": 5.0},
    window_and_use_sliding_window_false={"use_sliding_window": False},
    window_and_use_sliding_window_true={"use_sliding_window": True},
    context_absent={"max_position_embeddings": ABSENT},
    epsilon_absent={"rms_norm_eps": ABSENT},
    theta_absent={"rope_theta": ABSENT},
    head_dim_null={"head_dim": None},
    all_layers_slide=HEADS | {"layer_types": ["sliding_attention", "sliding_attention"]},
    layer_types_against_the_window=HEADS | {"layer_types": ["full_attention", "sliding_attention"]},
    full_layers_against_the_window=HEADS | {"layer_types": ["full_attention", "full_attention"]},
    full_layers_and_the_default_window=HEADS | {"layer_types": ["full_attention"] * 2, "sliding_window": ABSENT},
    sliding_layers_and_no_window=HEADS | {"layer_types": ["sliding_attention"] * 2, "sliding_window": None},
    null_layer_types=HEADS | {"layer_types": None},
    too_many_layer_types=HEADS | {"layer_types": ["full_attention"] * 3},
    max_window_layers={"max_window_layers": 1},
    tied_absent={"tie_word_embeddings": ABSENT},
)

QWEN2 = cells(
    "qwen2",
    as_it_is={},
    window_absent={"sliding_window": ABSENT},
    window_null={"sliding_window": None},
    use_sliding_window_absent={"use_sliding_window": ABSENT},
    use_sliding_window_false={"use_sliding_window": False},
    use_sliding_window_null={"use_sliding_window": None},
    max_window_layers_absent={"max_window_layers": ABSENT},
    max_window_layers_null={"max_window_layers": None},
    max_window_layers_zero={"max_window_layers": 0},
    max_window_layers_all={"max_window_layers": 2},
    layer_types={"layer_types": ["sliding_attention", "full_attention"]},
    layer_types_null={"layer_types": None},
    layer_types_empty={"layer_types": []},
    layer_types_full={"layer_types": ["full_attention", "full_attention"]},
    layer_types_too_long={"layer_types": ["full_attention", "full_attention", "sliding_attention"]},
    layer_types_slide_without_a_window={
        "layer_types": ["sliding_attention", "full_attention"],
        "use_sliding_window": False,
    },
    layer_types_full_without_a_window={"layer_types": ["full_attention"] * 2, "use_sliding_window": False},
    layer_types_a_string={"layer_types": "full_attention"},
    kv_heads_absent={"num_key_value_heads": ABSENT},
    attention_bias_false={"attention_bias": False},
    use_mrope_false={"use_mrope": False},
    epsilon_absent={"rms_norm_eps": ABSENT},
    context_absent={"max_position_embeddings": ABSENT},
    head_dim_null={"head_dim": None},
) + cells(
    "qwen2_wide",
    as_it_is={},
    kv_heads_absent={"num_key_value_heads": ABSENT},
    kv_heads_null={"num_key_value_heads": None},
)

QWEN3 = cells(
    "qwen3",
    as_it_is={},
    head_dim_absent={"head_dim": ABSENT},
    head_dim_null={"head_dim": None},
    head_dim_of_the_heads={"head_dim": 8},
    kv_heads_absent={"num_key_value_heads": ABSENT},
    kv_heads_null={"num_key_value_heads": None},
    attention_bias_absent={"attention_bias": ABSENT},
    attention_bias_true={"attention_bias": True},
    window={"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0},
    window_absent={"use_sliding_window": True, "max_window_layers": 0},
    not_causal={"is_causal": False},
    theta_absent={"rope_theta": ABSENT},
    tied_absent={"tie_word_embeddings": ABSENT},
)

SEED_OSS = cells(
    "seed_oss",
    as_it_is={},
    head_dim_absent={"head_dim": ABSENT},
    head_dim_null={"head_dim": None},
    kv_heads_absent={"num_key_value_heads": ABSENT},
    kv_heads_null={"num_key_value_heads": None},
    attention_bias_absent={"attention_bias": ABSENT},
    attention_bias_false={"attention_bias": False},
    attention_bias_null={"attention_bias": None},
    attention_out_bias_absent={"attention_out_bias": ABSENT},
    attention_out_bias_false={"attention_out_bias": False},
    attention_out_bias_a_string={"attention_out_bias": "no"},
    mlp_bias_false={"mlp_bias": False},
    mlp_bias_true={"mlp_bias": True},
    residual_dropout={"residual_dropout": 0.5},
    a_window_that_seed_oss_has_not={"sliding_window": 5},
    all_layers_full={"layer_types": ["full_attention"]},
    theta_absent={"rope_theta": ABSENT},
    rope_scaling_default={"rope_scaling": {"rope_type": "default"}},
    rope_scaling_linear={"rope_scaling": LINEAR},
    model_type_of_another_family={"model_type": "qwen3"},
)


def head(change: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[dict], Files]:
    """The weights with a head that is a change of the embedding, or none."""

    def files(weights: dict) -> Files:
        changed = change(weights["model.embed_tokens.weight"])
        rest = {name: tensor for name, tensor in weights.items() if name != "lm_head.weight"}
        return {"model.safetensors": rest if changed is None else rest | {"lm_head.weight": changed}}

    return files


def without_the_embedding(weights: dict) -> Files:
    return {"model.safetensors": {n: t for n, t in weights.items() if n != "model.embed_tokens.weight"}}


def beside_shards(weights: dict) -> Files:
    """The weights in one file, beside a shard where the norm is another."""
    return {
        "model.safetensors": weights,
        "model-00001-of-00001.safetensors": weights | {"model.norm.weight": -weights["model.norm.weight"]},
    }


def in_two_shards(weights: dict) -> Files:
    names = sorted(weights)
    return {
        "model-00001-of-00002.safetensors": {name: weights[name] for name in names[::2]},
        "model-00002-of-00002.safetensors": {name: weights[name] for name in names[1::2]},
    }


def a_norm_in_a_shard_that_is_not_named(weights: dict) -> Files:
    shards = in_two_shards(weights)
    shards["model-00003-of-00003.safetensors"] = {"model.norm.weight": -weights["model.norm.weight"]}
    return shards


FIRST = "model-00001-of-00002.safetensors"


def named_shards(where: dict) -> dict:
    return {name: file for name, file in where.items() if "of-00002" in file}


def one_swapped(where: dict) -> dict:
    name = max(name for name, file in where.items() if file != FIRST)
    return where | {name: FIRST}


def a_part(where: dict) -> dict:
    return {name: file for name, file in where.items() if "norm" in name or "embed" in name}


def one_that_is_nowhere(where: dict) -> dict:
    return where | {"model.layers.0.self_attn.q_proj.bias": FIRST}


TIED = {"tie_word_embeddings": True}
WEIGHTS = [
    Cell("llama", "tied, no head stored", TIED, head(lambda rows: None)),
    Cell("llama", "tied, the same head stored", TIED, head(lambda rows: rows)),
    Cell("llama", "tied, a head of zeros stored", TIED, head(np.zeros_like)),
    Cell("llama", "tied, another head stored", TIED, head(lambda rows: rows[::-1].copy())),
    Cell("llama", "tied, the same head stored as float32", TIED, head(lambda rows: rows.astype(np.float32))),
    Cell("llama", "tied, only the head stored", TIED, without_the_embedding),
    Cell("llama", "tied absent, no head stored", {"tie_word_embeddings": ABSENT}, head(lambda rows: None)),
    Cell("qwen3", "tied, another head stored", TIED, head(lambda rows: rows[::-1].copy())),
    Cell("llama", "single weights beside an index", {}, beside_shards, dict),
    Cell("llama", "a shard that the index does not name", {}, a_norm_in_a_shard_that_is_not_named, named_shards),
    Cell("llama", "shards as their index says", {}, in_two_shards, dict),
    Cell("llama", "an index that lists a tensor in another shard", {}, in_two_shards, one_swapped),
    Cell("llama", "an index that lists a part of the tensors", {}, in_two_shards, a_part),
    Cell("llama", "an index that lists a tensor which is nowhere", {}, in_two_shards, one_that_is_nowhere),
]

# Where transformers computes something, and we refuse by name: it computes what the file does not say, or what we lack.
REFUSALS = {
    "llama: theta true": '"rope_theta" is True',
    "llama: by layer type": '"full_attention" is not known',
    "llama: by layer type without layer types": '"full_attention" is not known',
    "llama: rope type against type": 'rope_scaling "factor" is not known',
    "llama: llama3 with equal bounds": "high_freq_factor",
    "llama: yarn": 'rope scaling "yarn" is not supported',
    "llama: dynamic": 'rope scaling "dynamic" is not supported',
    "llama: activation gelu": '"hidden_act" is',
    "llama: a window that llama has not": '"sliding_window" is 5',
    "llama: layers that slide": '"sliding_window" is 5',
    "seed_oss: a window that seed oss has not": '"sliding_window" is 5',
    "llama: not causal": '"is_causal" is False',
    "qwen3: not causal": '"is_causal" is False',
    "llama: architectures of another family": '"architectures" names "BloomForCausalLM"',
    "llama: tied, only the head stored": '"token_embd.weight" is missing',
    "llama: an index that lists a tensor in another shard": "which does not have it",
    "llama: an index that lists a tensor which is nowhere": "which does not have it",
}
CELLS = [
    replace(cell, refusal=REFUSALS.get(cell.id))
    for cell in (*ROPE, *LLAMA, *MISTRAL, *QWEN2, *QWEN3, *SEED_OSS, *WEIGHTS)
]


def write_folder(cell: Cell, weights: dict[str, np.ndarray], folder: Path) -> None:
    """The cell as a Hugging Face folder, without a tokenizer."""
    (folder / "config.json").write_text(json.dumps(cell.configuration()))
    layout = cell.layout(weights)
    for name, tensors in layout.items():
        save_file(tensors, folder / name, {"format": "pt"})
    if cell.index:
        where = {tensor: name for name, tensors in layout.items() for tensor in tensors}
        index = {"metadata": {"total_size": 0}, "weight_map": cell.index(where)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
