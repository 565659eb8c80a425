"""The tokenizer of a Hugging Face folder: tokenizer.json as it is, or a SentencePiece tokenizer.model converted.

Which tokens stand around a text is asked of the tokenizer itself, unless tokenizer_config.json says so; which ids end a
text is generation_config.json's word before config.json's, as in transformers.
"""

import json
from pathlib import Path

from tokenizers import Tokenizer as Library

from .errors import SourceError
from .fields import Fields, parse_json, read_json, read_text
from .sentencepiece_model import read_sentencepiece
from .tokenizer_json import (
    AROUND,
    Piece,
    check_tokenizer,
    definition_of,
    sentencepiece_document,
    wordpiece_document,
    wordpiece_vocabulary,
)


def read_tokenizer(folder: Path, config: Fields, vocabulary_size: int, is_encoder: bool = False) -> tuple[str, dict]:
    """(definition, settings). Raises SourceError when there is no tokenizer, or one that does not fit.

    An encoder's configuration names no ids: what stands around its texts is what its tokenizer puts there.
    """
    own = _optional(folder, "tokenizer_config.json")
    generation = _optional(folder, "generation_config.json")
    if (folder / "tokenizer.json").is_file():
        definition = _marked_control(read_text(folder / "tokenizer.json"))
        before, after = _surroundings(definition)
    elif (folder / "tokenizer.model").is_file():
        pieces, scores, space_prefix = read_sentencepiece(folder / "tokenizer.model", _added(folder, own))
        definition = definition_of(sentencepiece_document(pieces, scores, space_prefix))
        before, after = True, False
    elif is_encoder and (folder / "vocab.txt").is_file():
        pieces = wordpiece_vocabulary(read_text(folder / "vocab.txt"))
        definition = definition_of(wordpiece_document(pieces, own.flag("do_lower_case", True)))
        before, after = (_number(pieces, name) for name in AROUND)
    else:
        raise SourceError(f"{folder} has neither tokenizer.json nor tokenizer.model")
    sources = (generation, config) if not is_encoder else ()
    settings = {
        "bos_id": next(iter(_ids(sources, "bos_token_id")), before if type(before) is int else None),
        "eos_ids": _ids(sources, "eos_token_id") or ([after] if is_encoder and type(after) is int else []),
        "add_bos": own.flag("add_bos_token", before is not False),
        "add_eos": own.flag("add_eos_token", after is not False),
        "vocabulary_size": vocabulary_size,
        "chat_template": _chat_template(folder, own),
    }
    check_tokenizer(definition, settings)
    return definition, settings


def _number(pieces: list[Piece], name: str) -> int:
    numbers = [number for number, piece in enumerate(pieces) if piece.text == name]
    if not numbers:
        raise SourceError(f"vocab.txt has no {name}")
    return numbers[0]


def _optional(folder: Path, name: str) -> Fields:
    return Fields(name, read_json(folder / name) if (folder / name).is_file() else {})


def _marked_control(definition: str) -> str:
    """The definition with every added token of the form <|…|> special.

    Some files leave a few unmarked (Qwen's <|fim_prefix|>); text must become none of them, in this container as in
    GGUF, whose converter marks them the same way.
    """
    document = parse_json(definition, "tokenizer.json")
    added = document.get("added_tokens")
    if not isinstance(added, list) or not all(isinstance(t, dict) and isinstance(t.get("content"), str) for t in added):
        raise SourceError('tokenizer.json "added_tokens" is not a list of tokens')
    unmarked = [t for t in added if not t.get("special") and _looks_like_control(t["content"])]
    for token in unmarked:
        token["special"] = True
    definition = json.dumps(document, ensure_ascii=False, separators=(",", ":")) if unmarked else definition
    _check_ids(definition, added)
    return definition


def _looks_like_control(content: str) -> bool:
    return len(content) > 4 and content.startswith("<|") and content.endswith("|>")


def _check_ids(definition: str, added: list[dict]) -> None:
    """The library numbers added tokens itself; the file must mean the same."""
    library = _library(definition)
    for token in added:
        number = library.token_to_id(token["content"])
        if number != token.get("id"):
            name = token["content"][:40]
            raise SourceError(f"tokenizer.json numbers {name!r} {token.get('id')}, the library {number}")


def _library(definition: str) -> Library:
    try:
        library = Library.from_str(definition)
    except Exception as problem:  # the library raises nothing more precise
        reason = str(problem).partition("\n")[0]
        raise SourceError(f"tokenizer.json cannot be read: {reason}") from None
    library.no_truncation()
    library.no_padding()
    return library


def _surroundings(definition: str) -> tuple[int | bool, int | bool]:
    """What the tokenizer puts before and after a text: a token id, or False for nothing."""
    library = _library(definition)
    bare = library.encode("a", add_special_tokens=False).ids
    dressed = library.encode("a").ids
    extra = len(dressed) - len(bare)
    if extra > 2:
        raise SourceError(f"tokenizer.json puts {extra} tokens around a text, at most two are supported")
    before = dressed[0] if dressed[: len(bare)] != bare else False
    after = dressed[-1] if len(dressed) > len(bare) + (before is not False) else False
    return before, after


def _ids(sources: tuple[Fields, ...], name: str) -> list[int]:
    """The ids of the first source that has any: a number or a list of them."""
    for source in sources:
        value = source.values.get(name)
        ids = value if isinstance(value, list) else [] if value is None else [value]
        if not all(type(item) is int for item in ids):
            raise SourceError(f'{source.source} "{name}" is not a token id or a list of them')
        if ids:
            return ids
    return []


def _chat_template(folder: Path, own: Fields) -> str | None:
    """chat_template.jinja, else tokenizer_config's: one template, or the one called "default" of several."""
    if (folder / "chat_template.jinja").is_file():
        return read_text(folder / "chat_template.jinja")
    several = own.values.get("chat_template")
    if not isinstance(several, list):
        return own.text("chat_template", None)
    return next((t.get("template") for t in several if isinstance(t, dict) and t.get("name") == "default"), None)


def _added(folder: Path, own: Fields) -> dict[int, tuple[str, bool]]:
    """{id: (content, whether it is control)} of the tokens that were added beside a SentencePiece model."""
    older = {number: (content, True) for content, number in _optional(folder, "added_tokens.json").values.items()}
    newer = {}
    for number, token in own.nested("added_tokens_decoder").values.items():
        if not number.isdecimal() or not isinstance(token, dict) or not isinstance(token.get("content"), str):
            raise SourceError('tokenizer_config.json "added_tokens_decoder" is not a table of tokens')
        newer[int(number)] = (token["content"], bool(token.get("special")) or _looks_like_control(token["content"]))
    return older | newer
