"""Special tokens from tokenizer_config.json, special_tokens_map.json and added_tokens.json.

They are added as transformers 5.24 adds them (tokenization_utils_base.py, tokenization_utils_tokenizers.py): the table
`added_tokens_decoder` first, or where there is none special_tokens_map.json and added_tokens.json; then the tokens with
a name (bos_token, …) and the extra ones that are not among them. The library numbers them itself, so a table that
numbers them otherwise is refused.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tokenizers import AddedToken
from tokenizers import Tokenizer as Library

from ..errors import SourceError
from ..source.fields import Fields, read_optional, shown, storable
from ..source.known_keys import Keys, check_keys

TOKENIZER_CONFIG, SPECIAL_TOKENS_MAP, ADDED_TOKENS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
EXTRA = ("additional_special_tokens", "extra_special_tokens")
AREA = ("single_word", "lstrip", "rstrip")  # flags that change where a token matches in a text, and how much it takes
ID = re.compile("[0-9]{1,9}")
FLAGS = (*AREA, "normalized", "special")
TOKEN = Keys(used=("content", *FLAGS), harmless=("__type", "id"))


@dataclass(frozen=True)
class Flagged:
    """A flag of AREA that a file gives a token. where: the file and the key."""

    where: str
    text: str
    flag: str


@dataclass(frozen=True)
class SpecialTokens:
    """named: {name: text}; numbered: {id: token} as files number them; extra: texts of further special tokens.

    flagged: the flags of AREA that files give named and extra tokens.
    """

    named: dict[str, str] = field(default_factory=dict)
    numbered: dict[int, AddedToken] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    flagged: tuple[Flagged, ...] = ()

    def with_defaults(self, names: dict[str, str]) -> "SpecialTokens":
        """As the above; a name that is in no file has the default text."""
        return replace(self, named=names | self.named)

    def texts(self) -> set[str]:
        """The texts of all that are special."""
        numbered = {token.content for token in self.numbered.values() if token.special}
        return numbered | set(self.named.values()) | set(self.extra)


def read_special_tokens(folder: Path, own: Fields, known: Collection[int] = ()) -> SpecialTokens:
    """What the files say. own: tokenizer_config.json; known: ids of tokenizer.json's added tokens.

    What tokenizer.json says of a token comes before added_tokens.json. Raises SourceError for what is no token.
    """
    named, extra = _named_and_extra(own)
    flagged = tuple(_flagged(own))
    if "added_tokens_decoder" in own:
        return SpecialTokens(named, _numbered(own), extra, flagged)
    token_map = read_optional(folder, SPECIAL_TOKENS_MAP)
    map_named, map_extra = _named_and_extra(token_map)
    _check_map_keys(token_map, map_named)
    named, extra = named | map_named, tuple(dict.fromkeys((*extra, *map_extra)))
    older = _older(read_optional(folder, ADDED_TOKENS), {*named.values(), *extra})
    numbered = {number: token for number, token in older.items() if number not in known}
    return SpecialTokens(named, numbered, extra, (*flagged, *_flagged(token_map)))


def add_special_tokens(library: Library, special: SpecialTokens, rows: int) -> bool:
    """Add to a tokenizer those that it lacks or has with other flags. Returns whether there were any.

    A special token that would get an id beyond the model's `rows` is left out: no text is encoded as it.
    Raises SourceError where a file numbers a token otherwise than the library, or gives it another flag of AREA.
    """
    before = _described(library)
    there = set(before.values())
    library.add_tokens([token for _, token in sorted(special.numbered.items()) if repr(token) not in there])
    known = {token.content for token in library.get_added_tokens_decoder().values()}
    for text in dict.fromkeys((*special.named.values(), *special.extra)):
        if text not in known and (library.token_to_id(text) is not None or library.get_vocab_size() < rows):
            library.add_tokens([AddedToken(text, special=True, normalized=False)])
    for number, token in special.numbered.items():
        if library.token_to_id(token.content) != number:
            found = library.token_to_id(token.content)
            name = token.content[:40]
            raise SourceError(f"{TOKENIZER_CONFIG} or {ADDED_TOKENS} numbers {name!r} {number}, the tokenizer {found}")
    _check_flags(library, special.flagged)
    return _described(library) != before


def _check_flags(library: Library, flagged: Collection[Flagged]) -> None:
    added = {token.content: token for token in library.get_added_tokens_decoder().values()}
    for said in flagged:
        if said.text in added and not getattr(added[said.text], said.flag):
            raise SourceError(
                f'{said.where} says "{said.flag}" is true, for the added token {said.text[:40]!r} it is false'
            )


def _described(library: Library) -> dict[int, str]:
    return {number: repr(token) for number, token in library.get_added_tokens_decoder().items()}


def _named_and_extra(fields: Fields) -> tuple[dict[str, str], tuple[str, ...]]:
    """Named tokens, with a usual name (bos_token) or the model's own (image_token), and the others."""
    names = _names(fields)
    named = {name: _text(fields, name, fields.values[name]) for name in names if fields.values[name] is not None}
    extra = []
    for key in EXTRA:
        value = fields.values.get(key)
        if isinstance(value, dict) and "content" not in value:
            named |= {name: _text(fields, key, token) for name, token in value.items()}
        elif value is not None:
            if not isinstance(value, list):
                raise SourceError(f'{fields.source} "{key}" is {shown(value)}, expected a list of tokens')
            extra += [_text(fields, key, token) for token in value]
    return named, tuple(extra)


def _names(fields: Fields) -> list[str]:
    return [name for name in fields.values if name.endswith("_token") and not name.startswith("add_")]


def _flagged(fields: Fields) -> Iterator[Flagged]:
    """The flags of AREA of all tokens that one file names or lists."""
    for key in (*_names(fields), *EXTRA):
        for token in _objects(fields.values.get(key)):
            described = Fields(f"{fields.source} {key}", token)
            for flag in AREA:
                if described.flag(flag, False):
                    yield Flagged(f'{fields.source} "{key}"', token["content"], flag)


def _objects(value) -> list[dict]:
    """The tokens that are objects: the value itself, or those of a list or of a table."""
    if isinstance(value, dict) and "content" in value:
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [part for part in parts if isinstance(part, dict)]


def _text(fields: Fields, name: str, value) -> str:
    text = value.get("content") if isinstance(value, dict) else value
    if not isinstance(text, str) or not text:
        raise SourceError(f'{fields.source} "{name}" is {shown(value)}, expected a token')
    return storable(text, f'{fields.source} "{name}"')


def _check_map_keys(fields: Fields, named: dict[str, str]) -> None:
    check_keys(fields, Keys(used=(*named, *EXTRA)))


def _numbered(own: Fields) -> dict[int, AddedToken]:
    numbered = {}
    for number, token in own.nested("added_tokens_decoder").values.items():
        if not ID.fullmatch(number) or not isinstance(token, dict):
            raise SourceError(f'{TOKENIZER_CONFIG} "added_tokens_decoder" is not a table of tokens')
        described = Fields(f"{TOKENIZER_CONFIG} added_tokens_decoder {number}", token)
        check_keys(described, TOKEN)
        flags = {name: described.flag(name) for name in FLAGS if name in described}
        numbered[int(number)] = AddedToken(_text(own, "added_tokens_decoder", token), **flags)
    return numbered


def _older(fields: Fields, special: set[str]) -> dict[int, AddedToken]:
    """added_tokens.json, {text: id}: those that are named elsewhere are special."""
    numbered = {}
    for text, number in fields.values.items():
        if type(number) is not int or number < 0:
            raise SourceError(f'{ADDED_TOKENS} "{text[:40]}" is {shown(number)}, expected a token id')
        numbered[number] = AddedToken(text, normalized=text not in special, special=text in special)
    return numbered
