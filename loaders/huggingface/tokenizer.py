"""The tokenizer of a Hugging Face folder: tokenizer.json as it is, or a tokenizer.model or vocab.txt converted.

Which tokens stand around a text is tokenizer.json's word (its post-processor), as in transformers 5.24, which does not
read add_bos_token and add_eos_token beside that file; for a tokenizer.model it is theirs. Which ids end a text is
generation_config.json's word before config.json's.

The steps of tokenizer.json are followed as they stand, whatever `tokenizer_class` is, as the tokenizers library,
SentencePiece and llama.cpp do. transformers 5.24 builds the steps of some classes (Llama, GPT2, Qwen2) anew from the
class, which changes ids only where the file's steps are not those of its class. BERT's class is compared with the file,
because its options are in tokenizer_config.json; a difference is refused.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from gguf import TokenType
from tokenizers import Tokenizer as Library

from plpython.model.tokenizer import PANIC

from ..errors import SourceError
from ..source.fields import Fields, parse_json, read_optional, read_text, shown, storable
from ..source.known_keys import Keys, check_keys
from ..tokenizers.definition import (
    BERT_CONTROL,
    Piece,
    check_tokenizer,
    definition_of,
    same_as,
    sentencepiece_document,
    wordpiece_document,
    wordpiece_vocabulary,
)
from ..tokenizers.sentencepiece_model import read_sentencepiece
from ..tokenizers.special_tokens import (
    AREA,
    EXTRA,
    TOKENIZER_CONFIG,
    SpecialTokens,
    add_special_tokens,
    read_special_tokens,
)
from ..tokenizers.steps import added_tokens, around, check_steps, model_type, steps
from .generation_config import check_generation, token_ids

NAMED_IN = f"{TOKENIZER_CONFIG} or special_tokens_map.json"
TEMPLATE, TEMPLATES = "chat_template.jinja", "additional_chat_templates"
# Classes that take tokenizer.json as it is, and those that transformers reads as BertTokenizer.
AS_THE_FILE_SAYS = ("PreTrainedTokenizer", "PreTrainedTokenizerFast", "TokenizersBackend")
BERT_CLASSES = tuple(
    f"{model}Tokenizer{fast}"
    for model in ("Bert", "Electra", "Lxmert", "MobileBert", "SqueezeBert")
    for fast in ("", "Fast")
)
BERT_NAMES = dict(zip(("cls_token", "sep_token", "unk_token", "pad_token", "mask_token"), BERT_CONTROL, strict=True))
AROUND_NAMES = ("cls_token", "sep_token")
# What transformers' class makes of a BERT's text, by the key of tokenizer_config.json; absent is the default here.
BERT_NORMALIZER = {
    "do_lower_case": ("lowercase", True),
    "strip_accents": ("strip_accents", None),
    "tokenize_chinese_chars": ("handle_chinese_chars", True),
}
# What else the class builds, whatever tokenizer.json says: the types of its steps, and values without an option.
BERT_STEPS = {"normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer", "model": "WordPiece"}
BERT_VALUES = (("normalizer", "clean_text", True), ("model", "max_input_chars_per_word", 100))
BERT_HINT = 'With "tokenizer_class" PreTrainedTokenizerFast transformers follows tokenizer.json.'
CONFIG_KEYS = Keys(
    used=(
        *("add_bos_token", "add_eos_token", "add_prefix_space", "added_tokens_decoder", "chat_template"),
        *(*BERT_NORMALIZER, *EXTRA, "model_max_length", "max_len", "tokenizer_class"),
    ),
    harmless_at={"fix_mistral_regex": (False,), "split_special_tokens": (False,), "sp_model_kwargs": ({},)}
    | {"wordpieces_prefix": ("##",)},
    harmless=(
        # what transformers 5.24 does not read, or reads for decoding, for padding or for the slow classes alone
        *("clean_up_tokenization_spaces", "spaces_between_special_tokens", "errors", "legacy", "clean_text"),
        *("do_basic_tokenize", "never_split", "padding", "padding_side", "pad_to_multiple_of", "pad_token_type_id"),
        *("max_length", "stride", "truncation", "truncation_side", "truncation_strategy", "model_input_names"),
        *("return_token_type_ids", "use_default_system_prompt", "use_fast", "from_slow", "backend", "keep_accents"),
        *("remove_space", "trim_offsets", "do_lowercase_and_remove_accent", "processor_class"),
        *("response_schema", "response_template", "chat_control_tokens", "model_specific_special_tokens"),
        # where the file came from
        *("auto_map", "name_or_path", "_name_or_path", "special_tokens_map_file", "tokenizer_file", "vocab_file"),
        *("merges_file", "full_tokenizer_file", "fast_tokenizer_files", "is_local", "local_files_only"),
        *("cache_dir", "_commit_hash"),
        *("revision", "trust_remote_code", "token", "device_map", "slow_tokenizer_class", "files_loaded", "verbose"),
        *("init_inputs", "transformers_version", "tokenizer_type", "model_type", "vocab_size", "unk_id"),
        *("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "cls_token_id", "sep_token_id"),
        "mask_token_id",
    ),
)

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Read:
    """A tokenizer as its files say: the definition, the ids around a text, and ids that have the text of another."""

    definition: str
    before: list[int]
    after: list[int]
    same_as: list[list[int]]


def read_tokenizer(folder: Path, config: Fields, vocabulary_size: int, is_encoder: bool = False) -> tuple[str, dict]:
    """(definition, settings). Raises SourceError when there is no tokenizer, or one that does not fit.

    An encoder's configuration names no ids: what stands around its texts is what its tokenizer puts there.
    """
    own = read_optional(folder, TOKENIZER_CONFIG)
    generation = read_optional(folder, "generation_config.json")
    _check_config(own, is_encoder)
    check_generation(generation)
    if is_encoder:
        _check_class(own, config)
    read = _read(folder, own, config, vocabulary_size, is_encoder)
    if is_encoder:
        bos, eos = read.before[:1], read.after[:1]
    else:
        bos = token_ids(generation, config, "bos_token_id", vocabulary_size)
        eos = token_ids(generation, config, "eos_token_id", vocabulary_size)
    templates = _chat_templates(folder, own)
    settings = {
        "bos_id": next(iter((*bos, *read.before)), None),
        "eos_ids": eos,
        "before": read.before,
        "after": read.after,
        "vocabulary_size": vocabulary_size,
        "chat_template": templates.get("default"),
    }
    settings |= {"tool_chat_template": templates["tool_use"]} if "tool_use" in templates else {}
    settings |= {"same_as": read.same_as} if read.same_as else {}
    check_tokenizer(read.definition, settings)
    return read.definition, settings


def _read(folder: Path, own: Fields, config: Fields, rows: int, is_encoder: bool) -> _Read:
    if (folder / "tokenizer.json").is_file():
        return _tokenizer_json(folder, own, config, rows, is_encoder)
    if (folder / "tokenizer.model").is_file():
        return _sentencepiece(folder, own, rows)
    if is_encoder and (folder / "vocab.txt").is_file():
        return _wordpiece(folder, own, rows)
    raise SourceError(f"{folder} has neither tokenizer.json nor tokenizer.model")


def _check_config(own: Fields, is_encoder: bool) -> None:
    """Refuse keys that are not known. Names of tokens are free, as transformers has them."""
    tokens = tuple(name for name in own.values if name.endswith("_token"))
    check_keys(own, CONFIG_KEYS | Keys(used=tokens))
    if is_encoder:
        _check_cut(own, "truncation_side")


def _check_cut(fields: Fields, key: str) -> None:
    """Refuse an encoder that keeps the end of a text that is too long: its beginning is kept here."""
    side = fields.text(key, "right")
    if side.lower() != "right":
        raise SourceError(f'{fields.source} "{key}" is {shown(side)}, which is not supported', "Supported is right.")


def _check_class(own: Fields, config: Fields) -> None:
    """Refuse an encoder whose tokenizer transformers would build from a class that is not BERT's."""
    tokenizer_class = _class(own, config)
    if tokenizer_class not in (None, *AS_THE_FILE_SAYS, *BERT_CLASSES):
        raise SourceError(
            f'{TOKENIZER_CONFIG} "tokenizer_class" is {shown(tokenizer_class)}, which is not supported for an encoder',
            "Supported are BertTokenizer and PreTrainedTokenizerFast.",
        )


def _class(own: Fields, config: Fields) -> str | None:
    return own.text("tokenizer_class", None) or config.text("tokenizer_class", None)


def _tokenizer_json(folder: Path, own: Fields, config: Fields, rows: int, is_encoder: bool) -> _Read:
    definition = read_text(folder / "tokenizer.json")
    document = parse_json(definition, "tokenizer.json")
    if is_encoder and "truncation_side" not in own:
        _check_cut(Fields("tokenizer.json", document).nested("truncation"), "direction")
    added = added_tokens(document)
    check_steps(document)
    library = _library(definition)
    _check_ids(library, added)
    special = read_special_tokens(folder, own, [token["id"] for token in added])
    _check_agreement(document, special, own, config)
    if add_special_tokens(library, special, rows):
        definition = library.to_str()
        document = parse_json(definition, "tokenizer.json")
    before, after = around(document)
    _check_around(library, before, after)
    return _Read(_marked_control(definition, document), before, after, [])


def _check_agreement(document: dict, special: SpecialTokens, own: Fields, config: Fields) -> None:
    """Refuse a file beside tokenizer.json that says otherwise, where transformers would build the tokenizer from it."""
    tokenizer_class = _class(own, config)
    if tokenizer_class in AS_THE_FILE_SAYS:
        return
    if config.values.get("model_type") == "bert":
        _check_bert(document, special.with_defaults(BERT_NAMES).named, own)
    if tokenizer_class is not None and "add_prefix_space" in own:
        _refuse_difference(
            {"add_prefix_space": own.flag("add_prefix_space")}, {"add_prefix_space": _begins_with_space(document)}
        )


def _check_bert(document: dict, names: dict[str, str], own: Fields) -> None:
    """Refuse steps that are not those of BERT's class. names: {name: text} of its tokens."""
    _check_bert_steps(document)
    said = {key: own.values.get(key, default) for key, (_, default) in BERT_NORMALIZER.items()}
    normalizer = document["normalizer"]
    _refuse_difference(said, {key: normalizer.get(name) for key, (name, _) in BERT_NORMALIZER.items()})
    found = dict(zip(AROUND_NAMES, around(document), strict=True))
    for name, ids in _bert_around(document, names).items():
        if ids != found[name]:
            text = names[name][:40]
            raise SourceError(
                f'{NAMED_IN} "{name}" is {text!r}, {ids}; tokenizer.json puts {found[name][:8]} in its place'
            )
    _refuse_difference({"unk_token": names["unk_token"]}, {"unk_token": document["model"].get("unk_token")}, NAMED_IN)


def _check_bert_steps(document: dict) -> None:
    for kind, expected in BERT_STEPS.items():
        found = model_type(document) if kind == "model" else (document.get(kind) or {}).get("type")
        _refuse_other_than_bert(kind, found, expected)
    for kind, key, expected in BERT_VALUES:
        _refuse_other_than_bert(f"{kind}.{key}", document[kind].get(key, expected), expected)


def _refuse_other_than_bert(key: str, found, expected) -> None:
    if found != expected:
        message = f'tokenizer.json "{key}" is {shown(found)}, the class BertTokenizer has {shown(expected)}'
        raise SourceError(message, BERT_HINT)


def _bert_around(document: dict, names: dict[str, str]) -> dict[str, list[int]]:
    """{name: ids} of the tokens that transformers' class puts around a text, whatever the post-processor says."""
    numbers = {token["content"]: token.get("id") for token in added_tokens(document)}
    numbers |= Fields("tokenizer.json model", document["model"]).nested("vocab").values
    return {name: [numbers[names[name]]] if names[name] in numbers else [] for name in AROUND_NAMES}


def _refuse_difference(said: dict, found: dict, source: str = TOKENIZER_CONFIG) -> None:
    for key, value in said.items():
        if value != found[key]:
            raise SourceError(f'{source} "{key}" is {shown(value)}, in tokenizer.json it is {shown(found[key])}')


def _begins_with_space(document: dict) -> bool:
    """Whether a text gets a space before it."""
    return any(
        step["type"] == "Prepend"
        or (step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never")
        or (step["type"] == "ByteLevel" and step.get("add_prefix_space") is True)
        for kind in ("normalizer", "pre_tokenizer")
        for step in steps(document, kind)
    )


def _check_ids(library: Library, added: list[dict]) -> None:
    """The library numbers added tokens itself; the file must mean the same."""
    for token in added:
        number = library.token_to_id(token["content"])
        if number != token.get("id"):
            name = token["content"][:40]
            raise SourceError(f"tokenizer.json numbers {name!r} {token.get('id')}, the library {number}")


def _check_around(library: Library, before: list[int], after: list[int]) -> None:
    """The post-processor as it was read here must be what the library does."""
    bare = _guarded(lambda: library.encode("", add_special_tokens=False).ids)
    dressed = _guarded(lambda: library.encode("").ids)
    if dressed != [*before, *bare, *after]:
        raise SourceError(
            f"tokenizer.json puts {dressed} around an empty text, its post_processor says {before + after}"
        )


def _library(definition: str) -> Library:
    library = _guarded(lambda: Library.from_str(definition))
    library.no_truncation()
    library.no_padding()
    return library


def _guarded(call: Callable[[], Result]) -> Result:
    """What a call of the library gives. All that it raises, its panics too, is a SourceError."""
    try:
        return call()
    except BaseException as problem:  # nothing more precise than Exception, and panics
        if not isinstance(problem, Exception) and type(problem).__name__ != PANIC:
            raise
        reason = str(problem).partition("\n")[0]
        raise SourceError(f"tokenizer.json cannot be read: {reason}") from None


def _marked_control(definition: str, document: dict) -> str:
    """The definition with every added token of the form <|…|> special.

    Some files leave a few unmarked (Qwen's <|fim_prefix|>); text must become none of them, in this container as in
    GGUF, whose converter marks them the same way.
    """
    unmarked = [t for t in document["added_tokens"] if not t.get("special") and _looks_like_control(t["content"])]
    for token in unmarked:
        token["special"] = True
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) if unmarked else definition


def _looks_like_control(content: str) -> bool:
    return len(content) > 4 and content.startswith("<|") and content.endswith("|>")


def _sentencepiece(folder: Path, own: Fields, rows: int) -> _Read:
    """A tokenizer.model. Without add_bos_token a text begins with <s>, as in Llama's own code and llama.cpp."""
    special = read_special_tokens(folder, own)
    _refuse_area_flags(special)
    numbered = special.numbered.items()
    beside = {n: (t.content, t.special or _looks_like_control(t.content)) for n, t in numbered}
    pieces, scores, space_prefix = read_sentencepiece(folder / "tokenizer.model", beside)
    _check_beside_pieces(special, pieces, rows)
    _check_prefix(own, space_prefix)
    added = {content for content, _ in beside.values()}
    whole = [p for p in pieces if p.kind == TokenType.USER_DEFINED and p.text not in added]
    document = sentencepiece_document(pieces, scores, space_prefix, whole)
    before = _added(own, "add_bos_token", True, pieces, special.named.get("bos_token", "<s>"))
    after = _added(own, "add_eos_token", False, pieces, special.named.get("eos_token", "</s>"))
    return _Read(definition_of(document), before, after, [])


def _added(own: Fields, flag: str, default: bool, pieces: list[Piece], text: str) -> list[int]:
    """The id of a token that a flag puts around a text; none where it is off, or not said and there is no such piece.

    Raises SourceError where the flag asks for a token that is no piece.
    """
    if not own.flag(flag, default):
        return []
    numbers = _number(pieces, text)
    if flag in own and not numbers:
        raise SourceError(f'{TOKENIZER_CONFIG} "{flag}" is true, but {text[:40]!r} is no piece of tokenizer.model')
    return numbers


def _refuse_area_flags(special: SpecialTokens) -> None:
    """SentencePiece cuts tokens out of a text as they are."""
    for said in special.flagged:
        raise SourceError(f'{said.where} has "{said.flag}", which is not supported beside tokenizer.model')
    for number, token in special.numbered.items():
        for flag in AREA:
            if getattr(token, flag):
                raise SourceError(
                    f'{TOKENIZER_CONFIG} added_tokens_decoder {number} "{flag}" is true, which is not supported beside '
                    "tokenizer.model"
                )


def _check_beside_pieces(special: SpecialTokens, pieces: list[Piece], rows: int) -> None:
    """Refuse a token that transformers would give an id of its own, or cut out of a text that it is merged in here."""
    kinds = {piece.text: piece.kind for piece in pieces}
    named = special.named.values()
    for text in (*special.extra, *(named if len(pieces) < rows else ())):
        if text not in kinds:
            raise SourceError(f"{NAMED_IN} has the token {text[:40]!r}, which is no piece of tokenizer.model")
    for text in (*special.extra, *named, *(token.content for token in special.numbered.values())):
        if kinds.get(text) == TokenType.NORMAL:
            raise SourceError(f"{NAMED_IN} has the token {text[:40]!r}, which is a normal piece of tokenizer.model")


def _check_prefix(own: Fields, space_prefix: bool) -> None:
    if own.flag("add_prefix_space", space_prefix) != space_prefix:
        said = shown(own.values["add_prefix_space"])
        raise SourceError(
            f'{TOKENIZER_CONFIG} "add_prefix_space" is {said}, in tokenizer.model it is {shown(space_prefix)}'
        )


def _number(pieces: list[Piece], text: str) -> list[int]:
    return [number for number, piece in enumerate(pieces) if piece.text == text][-1:]


def _wordpiece(folder: Path, own: Fields, rows: int) -> _Read:
    """A vocab.txt, as transformers' BertTokenizer reads it."""
    special = read_special_tokens(folder, own).with_defaults(BERT_NAMES)
    pieces = wordpiece_vocabulary(read_text(folder / "vocab.txt", newline=""), special.texts())
    document = wordpiece_document(
        pieces,
        own.flag("do_lower_case", True),
        own.flag("strip_accents", None),
        own.flag("tokenize_chinese_chars", True),
        special.named["unk_token"],
    )
    library = _library(definition_of(document))
    add_special_tokens(library, special, rows)
    before, after = (_id_of(library, special.named[name], rows) for name in AROUND_NAMES)
    return _Read(library.to_str(), [before], [after], same_as(pieces))


def _id_of(library: Library, text: str, rows: int) -> int:
    number = library.token_to_id(text)
    if number is None or number >= rows:
        raise SourceError(f"vocab.txt has no {text}")
    return number


def _chat_templates(folder: Path, own: Fields) -> dict[str, str]:
    """The templates that are used: the files', else tokenizer_config's: "default", and "tool_use" for tools."""
    files = dict(_template_files(folder))
    if files:
        return files
    given = own.values.get("chat_template")
    if isinstance(given, list):
        templates = [Fields(f'{TOKENIZER_CONFIG} "chat_template"', t if isinstance(t, dict) else {}) for t in given]
        given = {template.text("name"): template.text("template") for template in templates}
    if not isinstance(given, dict):
        given = {"default": given}
    said = {name: _template_text(given[name]) for name in ("default", "tool_use") if name in given}
    return {name: text for name, text in said.items() if text is not None}


def _template_text(given) -> str | None:
    template = Fields(TOKENIZER_CONFIG, {"chat_template": given}).text("chat_template", None)
    return None if template is None else storable(template, f'{TOKENIZER_CONFIG} "chat_template"')


def _template_files(folder: Path) -> Iterable[tuple[str, str]]:
    """(name, text) of each template that is a file of its own."""
    for path in sorted((folder / TEMPLATES).glob("*.jinja")):
        yield path.stem, storable(read_text(path), f"{TEMPLATES}/{path.name}")
    if (folder / TEMPLATE).is_file():
        yield "default", storable(read_text(folder / TEMPLATE), TEMPLATE)
