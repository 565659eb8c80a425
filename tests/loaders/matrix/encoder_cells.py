"""The cells of the encoder matrix: contradictions, absences and extremes of a sentence-transformers folder.

A cell is the encoder of tests/fixtures/encoders/cls with some of its files changed. `make.py` of the fixture
huggingface_matrix asks sentence-transformers what each embeds; `test_encoder_matrix.py` asks the loader.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

ABSENT = ...  # a key that is taken out of a file, or a file out of the folder; None stays in as null
BASE = Path(__file__).parents[2] / "fixtures" / "encoders" / "cls"
TEXTS = ("The cat sat on the mat.", "a", "the cat " * 40, "Hello, WORLD!")
MODULES, POOLING, CONFIG = "modules.json", "1_Pooling/config.json", "config.json"
TRANSFORMER, PROMPTS = "sentence_bert_config.json", "config_sentence_transformers.json"


@dataclass(frozen=True)
class EncoderCell:
    """One question: the base with the keys of its files changed, a list in place of a file, or other weights.

    refusal: what our refusal says, where sentence-transformers computes something.
    """

    name: str
    files: dict[str, object]
    weights: Callable[[dict], dict] | None = None
    refusal: str | None = None


def module(kind: str, path: str = "", **more: object) -> dict:
    return {"name": path or "0", "path": path, "type": f"sentence_transformers.models.{kind}"} | more


T, P, N = module("Transformer"), module("Pooling", "1_Pooling"), module("Normalize", "2_Normalize")
TWICE = module("Normalize", "3_Normalize")
NO_MODES = {f"pooling_mode_{mode}": ABSENT for mode in ("cls_token", "mean_tokens", "max_tokens")}
MEAN = {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}


def modules(name: str, *order: dict, refusal: str | None = None, **files: object) -> EncoderCell:
    return EncoderCell(name, {MODULES: [{"idx": n} | one for n, one in enumerate(order)]} | files, refusal=refusal)


def one(file: str, name: str, refusal: str | None = None, **values: object) -> EncoderCell:
    return EncoderCell(name, {file: values}, refusal=refusal)


ORDERS = [
    modules("as it is", T, P),
    modules("normalised", T, P, N),
    modules("normalised twice", T, P, N, TWICE, refusal="Normalize, Normalize"),
    modules("normalised before pooling", T, N, P, refusal="Transformer, Normalize, Pooling"),
    modules("without pooling", T),
    modules("normalised without pooling", T, N),
    modules("pooled twice", T, P, module("Pooling", "1_Pooling", name="2"), refusal="Pooling, Pooling"),
    modules("pooling before the encoder", P, T),
    modules("no module"),
    modules("an encoder twice", T, module("Transformer", "", name="1"), P, refusal="Transformer, Transformer"),
    modules("idx against the order", T | {"idx": 1}, P | {"idx": 0}),
    modules("a name twice", T, P | {"name": "0"}),
    modules("names that are not numbers", T | {"name": "encoder"}, P | {"name": "pooling"}),
    modules("a dropout", T, P, module("Dropout", "2_Dropout"), refusal="Dropout"),
    modules("a layer norm", T, P, module("LayerNorm", "2_LayerNorm")),
    modules("a class of its own", T, P | {"type": "own.Pooling"}),
    modules("newer classes", T | {"type": "sentence_transformers.base.modules.transformer.Transformer"}, P),
    modules("the encoder in a folder", T | {"path": "0_Transformer"}, P),
    modules("a pooling that is not there", T, P | {"path": "7_Pooling"}),
    modules("a path that leads out", T, P | {"path": "../1_Pooling"}),
    modules("kwargs of a module", T | {"kwargs": ["task"]}, P, refusal='"kwargs" is'),
    EncoderCell("no modules.json", {MODULES: ABSENT}),
    EncoderCell("a length without modules.json", {MODULES: ABSENT, TRANSFORMER: {"max_seq_length": 5}}),
    EncoderCell("modules.json is an object", {MODULES: {"modules": T}}),
]

POOLINGS = [
    one(POOLING, "mean", **MEAN),
    one(POOLING, "mean and cls", refusal="cls", pooling_mode_mean_tokens=True),
    one(POOLING, "max", refusal="max", pooling_mode_cls_token=False, pooling_mode_max_tokens=True),
    one(POOLING, "no mode is true", pooling_mode_cls_token=False),
    one(POOLING, "no mode is said", **NO_MODES),
    one(POOLING, "pooling_mode", **NO_MODES, pooling_mode="mean"),
    one(POOLING, "pooling_mode against older keys", pooling_mode="mean"),
    one(POOLING, "pooling_mode is a list", **NO_MODES, pooling_mode=["mean"]),
    one(POOLING, "pooling_mode is a list of two", refusal="mean", **NO_MODES, pooling_mode=["mean", "cls"]),
    one(POOLING, "pooling_mode is an empty list", **NO_MODES, pooling_mode=[]),
    one(POOLING, "pooling_mode is null", **NO_MODES, pooling_mode=None),
    one(POOLING, "pooling_mode is unheard of", **NO_MODES, pooling_mode="middle"),
    one(POOLING, "the last token", refusal="lasttoken", **NO_MODES, pooling_mode="lasttoken"),
    one(POOLING, "prompts left out", refusal='"include_prompt" is False', include_prompt=False),
    one(POOLING, "newer name of the width", word_embedding_dimension=ABSENT, embedding_dimension=36),
    one(POOLING, "another width", refusal='"word_embedding_dimension" is 72', word_embedding_dimension=72),
    one(POOLING, "a key of pooling unheard of", pooling_colour="red"),
]

KEEPS_CASE = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False}
CASED = {
    "tokenizer.json": {"normalizer": {"type": "BertNormalizer"} | KEEPS_CASE},
    "tokenizer_config.json": {"do_lower_case": False},
}
TRANSFORMERS = [
    EncoderCell("no sentence_bert_config.json", {TRANSFORMER: ABSENT}),
    one(TRANSFORMER, "length null", max_seq_length=None),
    one(TRANSFORMER, "length absent", max_seq_length=ABSENT),
    one(TRANSFORMER, "length short", max_seq_length=5),
    one(TRANSFORMER, "length a string", max_seq_length="20"),
    one(TRANSFORMER, "length zero", max_seq_length=0),
    one(TRANSFORMER, "lower case", do_lower_case=True),
    EncoderCell(
        "lower case where the tokenizer has both",
        {TRANSFORMER: {"do_lower_case": True}} | CASED,
        refusal='"do_lower_case" is true',
    ),
    EncoderCell("upper case where the tokenizer has both", CASED),
    one(TRANSFORMER, "not lower case", do_lower_case=False),
    one(TRANSFORMER, "model arguments", model_args={"attn_implementation": "eager"}, refusal='"model_args"'),
    one(TRANSFORMER, "no model arguments", model_args={}, tokenizer_args={}, config_args={}),
    one(TRANSFORMER, "tokenizer arguments", tokenizer_args={"model_max_length": 7}, refusal='"tokenizer_args"'),
    one(TRANSFORMER, "another task", transformer_task="fill-mask", refusal='"transformer_task"'),
    one(TRANSFORMER, "a key of the encoder unheard of", colour="red"),
    EncoderCell(
        "an older name of the file beside it",
        {TRANSFORMER: {"max_seq_length": 6}, "sentence_roberta_config.json": {"max_seq_length": 9}},
    ),
    EncoderCell(
        "an older name of the file beside an empty one",
        {TRANSFORMER: {"max_seq_length": ABSENT}, "sentence_roberta_config.json": {"max_seq_length": 9}},
    ),
    EncoderCell(
        "the oldest name of the file", {TRANSFORMER: ABSENT, "sentence_xlnet_config.json": {"max_seq_length": 9}}
    ),
    EncoderCell("the tokenizer's own length", {TRANSFORMER: ABSENT, "tokenizer_config.json": {"model_max_length": 11}}),
]

WHOLE = [
    one(PROMPTS, "prompts alone", prompts={"query": "query: ", "passage": "passage: "}),
    one(PROMPTS, "a default prompt", default_prompt_name="q", prompts={"q": "a "}, refusal='"default_prompt_name"'),
    one(PROMPTS, "a null default prompt", default_prompt_name=None, prompts={}),
    one(PROMPTS, "cut embeddings", truncate_dim=16, refusal='"truncate_dim" is 16'),
    one(PROMPTS, "null cut", truncate_dim=None),
    one(PROMPTS, "another similarity", similarity_fn_name="dot"),
    one(PROMPTS, "versions", __version__={"sentence_transformers": "2.0.0"}),
    one(PROMPTS, "its kind", model_type="SentenceTransformer"),
    one(PROMPTS, "a kind of model that is another", model_type="SparseEncoder", refusal='"model_type"'),
    one(PROMPTS, "a key unheard of", scale_by=2.0, refusal='"scale_by" is not known'),
]

CONFIGURATIONS = [
    one(CONFIG, "epsilon absent", layer_norm_eps=ABSENT),
    one(CONFIG, "epsilon large", layer_norm_eps=0.5),
    one(CONFIG, "epsilon null", layer_norm_eps=None),
    one(CONFIG, "token types absent", type_vocab_size=ABSENT),
    one(CONFIG, "token types null", type_vocab_size=None),
    one(CONFIG, "positions absent", max_position_embeddings=ABSENT),
    one(CONFIG, "activation absent", hidden_act=ABSENT),
    one(CONFIG, "activation null", hidden_act=None),
    one(CONFIG, "another activation", hidden_act="relu", refusal='"hidden_act"'),
    one(CONFIG, "dropout", hidden_dropout_prob=0.5, attention_probs_dropout_prob=0.5, classifier_dropout=0.5),
    one(CONFIG, "absolute positions", position_embedding_type="absolute"),
    one(CONFIG, "relative positions", position_embedding_type="relative_key", refusal='"position_embedding_type"'),
    one(CONFIG, "a decoder", is_decoder=True, refusal='"is_decoder" is True'),
    one(CONFIG, "heads null", num_attention_heads=None),
    one(CONFIG, "heads that do not divide", num_attention_heads=5),
    one(CONFIG, "a float for a size", hidden_size=36.0),
    one(CONFIG, "chunks", chunk_size_feed_forward=0),
    one(CONFIG, "tied or not", tie_word_embeddings=False),
    one(CONFIG, "code of its own", auto_map={"AutoModel": "own--modeling.Model"}, refusal='"auto_map"'),
    one(CONFIG, "architectures of a classifier", architectures=["BertForSequenceClassification"]),
    one(CONFIG, "architectures of another family", architectures=["RobertaModel"], refusal='"RobertaModel"'),
]


def old_names(tensors: dict) -> dict:
    return {renamed(name): tensor for name, tensor in tensors.items()}


def renamed(name: str) -> str:
    return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")


def without_prefix(tensors: dict) -> dict:
    return {name.removeprefix("bert."): tensor for name, tensor in tensors.items() if name.startswith("bert.")}


def both_names(tensors: dict) -> dict:
    return tensors | {name: np.zeros_like(tensor) for name, tensor in old_names(tensors).items() if name not in tensors}


WEIGHTS = [
    EncoderCell("gamma and beta", {}, old_names),
    EncoderCell("gamma and beta without the class", {}, lambda tensors: old_names(without_prefix(tensors))),
    EncoderCell("names without the class", {}, without_prefix),
    EncoderCell("gamma and beta beside weight and bias", {}, both_names, refusal="appears twice"),
]

ENCODER_CELLS = [*ORDERS, *POOLINGS, *TRANSFORMERS, *WHOLE, *CONFIGURATIONS, *WEIGHTS]


def write_encoder(cell: EncoderCell, folder: Path) -> None:
    """The cell as a folder, which must not exist."""
    shutil.copytree(BASE, folder)
    (folder / "expected.json").unlink()
    for name, change in cell.files.items():
        if change is ABSENT:
            (folder / name).unlink()
        else:
            (folder / name).write_text(json.dumps(_changed(folder / name, change)))
    if cell.weights:
        weights = folder / "model.safetensors"
        save_file(cell.weights(load_file(weights)), weights, {"format": "pt"})


def _changed(path: Path, change: object) -> object:
    if not isinstance(change, dict) or path.name == MODULES:
        return change
    before = json.loads(path.read_text()) if path.exists() else {}
    return {key: value for key, value in (before | change).items() if value is not ABSENT}
