"""A sentence-transformers folder, or a plain BERT one, as an EncoderArchitecture.

config.json says the encoder; modules.json says what follows it (pooling, normalisation), each in a folder of its own;
sentence_bert_config.json says how much of a text is read. Without modules.json the rules are those of
sentence-transformers for a plain encoder: the mean of the tokens, not normalised.
"""

from pathlib import Path, PurePosixPath

from plpython.model.decoder import LARGEST_SIZES
from plpython.model.encoder import CONTROL_TOKENS, POOLINGS, EncoderArchitecture
from plpython.server.errors import ModelError

from ..errors import SourceError
from ..source.fields import Fields, in_its_words, parse_json, quoted, read_json, read_optional, read_text
from ..source.files import can_be_a_file
from ..source.known_keys import Keys, check_keys
from .config_defaults import completed
from .config_keys import CONFIG_KEY_OF_SIZE, PRETRAINED

# An architecture's sizes, and what config.json calls them.
ENCODER_CONFIG = PRETRAINED | Keys(
    used=(*CONFIG_KEY_OF_SIZE.values(), "type_vocab_size", "layer_norm_eps"),
    harmless_at={
        "hidden_act": ("gelu",),
        "position_embedding_type": ("absolute",),
        "is_causal": (False,),
        "directionality": ("bidi",),
    },
    # The head of BERT's training and the pooler make no embedding.
    harmless=(
        "tie_word_embeddings",
        "pooler_fc_size",
        "pooler_num_attention_heads",
        "pooler_num_fc_layers",
        "pooler_size_per_head",
        "pooler_type",
        "sentence_transformers",
    ),
)

MODULES = "modules.json"
MODULE = Keys(used=("type", "path", "name"), harmless_at={"kwargs": ([],)}, harmless=("idx",))
# What a folder may have after the encoder, in this order; without Pooling there is no embedding of a text.
ORDERS = (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"])

# How the encoder is called: the first of these files that says anything counts.
TRANSFORMER_FILES = tuple(
    f"sentence_{kind}_config.json"
    for kind in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
TRANSFORMER = Keys(
    used=("max_seq_length", "do_lower_case"),
    harmless_at={
        "transformer_task": ("feature-extraction",),
        "modality_config": ({"text": {"method": "forward", "method_output_name": "last_hidden_state"}},),
        "module_output_name": ("token_embeddings",),
        "tokenizer_name_or_path": (),
        "query_length": (),
        "document_length": (),
        "query_expansion": (),
    }
    | {
        f"{what}_{form}": ({},)
        for what, form in (
            ("model", "args"),
            ("model", "kwargs"),
            ("tokenizer", "args"),
            ("processor", "kwargs"),
            ("config", "args"),
            ("config", "kwargs"),
            ("processing", "kwargs"),
        )
    },
    harmless=("unpad_inputs",),
)

# What holds for the whole. Prompts are put before a text only where a call or `default_prompt_name` says which;
# `similarity_fn_name` is how two embeddings are compared, which calls here say themselves.
SENTENCE_TRANSFORMERS_FILE = "config_sentence_transformers.json"
SENTENCE_TRANSFORMERS = Keys(
    harmless_at={"model_type": ("SentenceTransformer",), "default_prompt_name": (), "truncate_dim": ()},
    harmless=("__version__", "prompts", "similarity_fn_name", "requirements"),
)

# Older files have one key for each way of pooling.
POOLING_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
POOLING = Keys(
    used=("pooling_mode", *POOLING_MODES, "word_embedding_dimension", "embedding_dimension"),
    harmless_at={"include_prompt": (True,)},
)
NORMALIZE = Keys(harmless_at=dict.fromkeys(("module_input_name", "module_output_name"), ("sentence_embedding",)))


def read_encoder(folder: Path, config: Fields, name: str) -> EncoderArchitecture:
    """The encoder `name` in the folder. Raises SourceError that names what is unsupported or ill."""
    check_keys(config, ENCODER_CONFIG)
    config = completed(config, name, ENCODER_CONFIG)
    check_keys(read_optional(folder, SENTENCE_TRANSFORMERS_FILE), SENTENCE_TRANSFORMERS)
    values = {ours: config.count(theirs, LARGEST_SIZES[ours]) for ours, theirs in CONFIG_KEY_OF_SIZE.items()}
    context_length = values["context_length"]
    pooling, normalize = _after_the_encoder(folder, values["hidden_size"])
    values |= {
        "family": name,
        "longest_text": min(_longest_text(folder, context_length), context_length),
        "token_types": config.count("type_vocab_size", LARGEST_SIZES["heads"]),
        "norm_epsilon": config.number("layer_norm_eps"),
        "pooling": pooling,
        "normalize": normalize,
    }
    try:
        return EncoderArchitecture.from_config(values)
    except ModelError as problem:
        raise in_its_words(config, problem, CONFIG_KEY_OF_SIZE | {"token_types": "type_vocab_size"}) from None


def companions(folder: Path) -> list[Path]:
    """The configurations that modules.json names in folders of their own."""
    paths = [folder / path / "config.json" for _, path in _modules(folder) if path]
    return [path for path in paths if path.is_file()]


def _after_the_encoder(folder: Path, width: int) -> tuple[str, bool]:
    """(pooling, normalize) of the modules."""
    if not (folder / MODULES).is_file():
        return "mean", False
    modules = _modules(folder)
    kinds, paths = [kind for kind, _ in modules], dict(modules)
    if kinds not in ORDERS:
        hint = "Supported are Transformer, Pooling and then Normalize or nothing."
        raise SourceError(f"{MODULES} has the modules {', '.join(kinds) or 'none'}, which are not supported", hint)
    if paths["Transformer"]:
        raise SourceError(f"{MODULES} has its Transformer in {quoted(paths['Transformer'])}, not in the folder itself")
    normalize = "Normalize" in kinds
    if normalize:
        check_keys(read_optional(folder, f"{paths['Normalize']}/config.json".lstrip("/")), NORMALIZE)
    return _pooling(folder, f"{paths['Pooling']}/config.json".lstrip("/"), width), normalize


def _modules(folder: Path) -> list[tuple[str, str]]:
    """(kind, its folder) of each module, in the order of the list."""
    if not (folder / MODULES).is_file():
        return []
    listed = parse_json(f'{{"modules": {read_text(folder / MODULES)}}}', MODULES)["modules"]
    if not isinstance(listed, list) or not all(isinstance(module, dict) for module in listed):
        raise SourceError(f"{MODULES} is not a list of modules")
    modules = [Fields(MODULES, module) for module in listed]
    for module in modules:
        check_keys(module, MODULE)
    names = [module.text("name", str(number)) for number, module in enumerate(modules)]
    if len(set(names)) < len(names):
        raise SourceError(f'{MODULES} has a "name" twice')
    return [(_kind(module.text("type")), _inside(module.text("path", ""))) for module in modules]


def _kind(type_name: str) -> str:
    """The class of a module. One that does not come with sentence-transformers computes what nobody here knows."""
    package, _, kind = type_name.rpartition(".")
    if package.partition(".")[0] != "sentence_transformers":
        raise SourceError(f"{MODULES} has a module of type {quoted(type_name)}, which is not supported")
    return kind


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if ".." in parts or not all(map(can_be_a_file, parts)):
        raise SourceError(f"{MODULES} names {quoted(path)}, which is not in the folder")
    return "/".join(parts)


def _pooling(folder: Path, file: str, width: int) -> str:
    """One of POOLINGS: `pooling_mode`, or the modes that are true in older files, or the mean if nothing is said."""
    if not (folder / file).is_file():
        raise SourceError(f"{MODULES} names {file}, which is not a file of the folder")
    config = Fields(file, read_json(folder / file, file))
    check_keys(config, POOLING)
    for name in ("word_embedding_dimension", "embedding_dimension"):
        if config.integer(name, width) != width:
            raise SourceError(f'{file} "{name}" is {config.integer(name)}, but config.json "hidden_size" is {width}')
    modes = [mode for key, mode in POOLING_MODES.items() if config.flag(key, False)] or ["mean"]
    if "pooling_mode" in config.values:
        is_list = isinstance(config.values["pooling_mode"], list)
        modes = config.texts("pooling_mode") if is_list else [config.text("pooling_mode")]
    if len(modes) != 1 or modes[0] not in POOLINGS:
        raise SourceError(
            f"{file} pools by {' and '.join(map(quoted, modes)) or 'nothing'}, which is not supported",
            f"Supported are {' and '.join(POOLINGS)}, one of them.",
        )
    return modes[0]


def _transformer(folder: Path) -> Fields:
    """How sentence-transformers calls the encoder; without modules.json it does not look."""
    listed = [read_optional(folder, name) for name in TRANSFORMER_FILES] if (folder / MODULES).is_file() else []
    own = next((fields for fields in listed if fields.values), Fields(TRANSFORMER_FILES[0], {}))
    check_keys(own, TRANSFORMER)
    return own


def check_lower_case(folder: Path, definition: str) -> None:
    """Raise SourceError if texts are to be in lower case, which the tokenizer `definition` does not do itself."""
    own = _transformer(folder)
    normalizer = parse_json(definition, "tokenizer.json").get("normalizer")
    if own.flag("do_lower_case", False) and not _lowers(normalizer):
        raise SourceError(f'{own.source} "do_lower_case" is true, but the tokenizer keeps upper case')


def _lowers(normalizer: dict | None) -> bool:
    normalizer = normalizer or {}
    inner = normalizer.get("normalizers") or []
    return normalizer.get("type") == "Lowercase" or bool(normalizer.get("lowercase")) or any(map(_lowers, inner))


def _longest_text(folder: Path, context_length: int) -> int:
    """Tokens of the longest text: sentence-transformers' own limit, else the tokenizer's."""
    own = _transformer(folder)
    if "max_seq_length" in own:
        return own.count("max_seq_length", LARGEST_SIZES["context_length"], smallest=CONTROL_TOKENS + 1)
    tokenizer = read_optional(folder, "tokenizer_config.json")
    key = "model_max_length" if "model_max_length" in tokenizer.values else "max_len"  # the older name
    return int(min(tokenizer.number(key, context_length), context_length))
