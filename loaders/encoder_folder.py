"""A sentence-transformers folder, or a plain BERT one, as an EncoderArchitecture.

config.json says the encoder; modules.json says what follows it (pooling, normalisation), each in a folder of its own;
sentence_bert_config.json says how much of a text is read. Without modules.json the rules are those of
sentence-transformers for a plain encoder: the mean of the tokens, not normalised.
"""

from pathlib import Path, PurePosixPath

from plpython.encoder_architecture import POOLINGS, EncoderArchitecture

from .errors import SourceError
from .fields import Fields, parse_json, read_json, read_text

MODULES = "modules.json"
LIMITS = ("sentence_bert_config.json", "sentence_roberta_config.json")
# What no encoder here has otherwise, with the values that mean so. A null means so too.
NEUTRAL = {
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "quantization_config": (),
}
NEUTRAL_TEXT = {"do_lower_case": (False,)}  # the tokenizer's own rule holds
NEUTRAL_PROMPTS = {"default_prompt_name": ()}  # words put before each text
PROMPTS = "config_sentence_transformers.json"
NEUTRAL_POOLING = {"include_prompt": (True,)}


def read_encoder(folder: Path, config: Fields, name: str) -> EncoderArchitecture:
    """The encoder `name` in the folder. Raises SourceError or ModelError that names what is unsupported or ill."""
    refuse_what_is_not_neutral(config, NEUTRAL)
    for file, neutral in (*((name, NEUTRAL_TEXT) for name in LIMITS), (PROMPTS, NEUTRAL_PROMPTS)):
        if (folder / file).is_file():
            refuse_what_is_not_neutral(Fields(file, read_json(folder / file)), neutral)
    pooling, normalize = _after_the_encoder(folder)
    context_length = config.integer("max_position_embeddings")
    return EncoderArchitecture.from_config(
        {
            "family": name,
            "vocabulary_size": config.integer("vocab_size"),
            "hidden_size": config.integer("hidden_size"),
            "layers": config.integer("num_hidden_layers"),
            "heads": config.integer("num_attention_heads"),
            "ffn_size": config.integer("intermediate_size"),
            "context_length": context_length,
            "longest_text": min(_longest_text(folder, context_length), context_length),
            "token_types": config.integer("type_vocab_size", 2),
            "norm_epsilon": config.number("layer_norm_eps", 1e-12),
            "pooling": pooling,
            "normalize": normalize,
        }
    )


def refuse_what_is_not_neutral(config: Fields, neutral: dict) -> None:
    """Raises SourceError for a value that changes the arithmetic and is not the one that is computed here."""
    for name, values in neutral.items():
        if name in config and config.values[name] not in values:
            raise SourceError(f'{config.source} "{name}" is {str(config.values[name])[:60]}, which is not supported')


def companions(folder: Path) -> list[Path]:
    """The configurations that modules.json names in folders of their own."""
    paths = [folder / path / "config.json" for _, path in _modules(folder) if path]
    return [path for path in paths if path.is_file()]


def _after_the_encoder(folder: Path) -> tuple[str, bool]:
    """(pooling, normalize) of the modules."""
    pooling, normalize = "mean", False
    for kind, path in _modules(folder):
        if kind == "Pooling":
            pooling = _pooling(Fields(f"{path}/config.json", read_json(folder / path / "config.json")))
        elif kind == "Normalize":
            normalize = True
        elif kind != "Transformer":
            raise SourceError(
                f'{MODULES} has a module of type "{kind}", which is not supported',
                "Supported are Transformer, Pooling and Normalize.",
            )
    return pooling, normalize


def _modules(folder: Path) -> list[tuple[str, str]]:
    """(the last part of its type, its folder) of each module."""
    if not (folder / MODULES).is_file():
        return []
    listed = parse_json(f'{{"modules": {read_text(folder / MODULES)}}}', MODULES)["modules"]
    if not isinstance(listed, list) or not all(isinstance(module, dict) for module in listed):
        raise SourceError(f"{MODULES} is not a list of modules")
    modules = [Fields(MODULES, module) for module in listed]
    return [(module.text("type").rpartition(".")[2], _inside(module.text("path", ""))) for module in modules]


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if path.startswith("/") or ".." in parts or "\\" in path:
        raise SourceError(f"{MODULES} names {path[:60]!r}, which is not in the folder")
    return "/".join(parts)


def _pooling(config: Fields) -> str:
    """One of POOLINGS: `pooling_mode`, or the one `pooling_mode_…` that is true, as older files say it."""
    refuse_what_is_not_neutral(config, NEUTRAL_POOLING)
    modes = [name for name in config.values if name.startswith("pooling_mode_") and config.flag(name)]
    names = [name.removeprefix("pooling_mode_").removesuffix("_token").removesuffix("_tokens") for name in modes]
    if "pooling_mode" in config:
        names = [config.text("pooling_mode")]
    if len(names) != 1 or names[0] not in POOLINGS:
        raise SourceError(
            f"{config.source} pools by {' and '.join(names) or 'nothing'}, which is not supported",
            f"Supported are {' and '.join(POOLINGS)}, one of them.",
        )
    return names[0]


def _longest_text(folder: Path, context_length: int) -> int:
    """Tokens of the longest text: sentence-transformers' own limit, else the tokenizer's."""
    for name in LIMITS:
        if (folder / name).is_file():
            limit = Fields(name, read_json(folder / name)).integer("max_seq_length", None)
            if limit is not None:
                return limit
    if not (folder / "tokenizer_config.json").is_file():
        return context_length
    own = Fields("tokenizer_config.json", read_json(folder / "tokenizer_config.json"))
    return int(min(own.number("model_max_length", context_length), context_length))
