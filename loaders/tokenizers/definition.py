"""Pieces of a vocabulary as a tokenizer.json document, the form in which a tokenizer is stored.

Pieces come from GGUF metadata or a SentencePiece model; both number their kinds alike. All pieces stand in the model's
vocabulary, the added ones too: the library numbers added tokens itself when they do not. A text that several
normal pieces have is encoded as the last of them, as transformers does and llama.cpp did while it accepted such
vocabularies; `same_as` tells the others.
"""

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from gguf import TokenType

from plpython.model.tokenizer import BYTE_PIECE, SPACE_MARK, WORD_GOES_ON, Tokenizer
from plpython.server.errors import ModelError
from plpython.store.manifest import check_vocabulary

from ..errors import SourceError
from .pre_tokenizers import PreTokenizer

# The characters that Rust's str::trim_end removes; transformers' tokenizer reads a vocab.txt with it.
RUST_WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
BERT_AROUND = ("[CLS]", "[SEP]")  # before and after a text
BERT_CONTROL = (*BERT_AROUND, "[UNK]", "[PAD]", "[MASK]")
SPELLED_AS_NAMES = (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.BYTE)  # kinds whose spelling is a name, not a text
LONGEST_PIECE = 512  # characters; SentencePiece trains at most 16. Every split of a piece is tried as a merge


@dataclass(frozen=True)
class Piece:
    """A row of a vocabulary: its spelling and its kind."""

    text: str
    kind: TokenType


def byte_level_document(pieces: Sequence[Piece], merges: Sequence[str], pre: PreTokenizer) -> dict:
    """A byte-level BPE. `merges` are "left right", in the order of their rank."""
    splits = [_split(pattern) for pattern in pre.patterns]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    model = {"unk_token": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": pre.ignore_merges}
    return _document(
        pieces,
        model | {"merges": [_halves(merge) for merge in merges]},
        normalizer={"type": "NFC"} if pre.nfc else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [*splits, byte_level]},
        decoder=byte_level,
    )


def sentencepiece_document(
    pieces: Sequence[Piece], scores: Sequence[float], space_prefix: bool, whole: Sequence[Piece] = ()
) -> dict:
    """A SentencePiece BPE with byte fallback: spaces are U+2581, the text begins with one if `space_prefix`.

    whole: user-defined pieces that are cut out of a text after its beginning got that space, as SentencePiece does.
    Other user-defined pieces are cut out before, so that each stretch between them gets one, as in llama.cpp.
    """
    mark_spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARK}
    prefix = {"type": "Prepend", "prepend": SPACE_MARK}
    steps = [
        {"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
    unknown = next((piece.text for piece in pieces if piece.kind == TokenType.UNKNOWN), None)
    model = {"unk_token": unknown, "fuse_unk": True, "byte_fallback": True, "ignore_merges": bool(whole)}
    return _document(
        pieces,
        model | {"merges": merges_of_scores(pieces, scores)},
        normalizer={"type": "Sequence", "normalizers": [prefix, mark_spaces] if space_prefix else [mark_spaces]},
        pre_tokenizer=_cuts_around(whole, pieces) if whole else None,
        decoder={"type": "Sequence", "decoders": [*steps, strip] if space_prefix else steps},
        whole=whole,
    )


def _cuts_around(whole: Sequence[Piece], pieces: Sequence[Piece]) -> dict:
    """Splits before and after each whole piece, the longest that fits.

    A cut that is a token is encoded as it (`ignore_merges`). So the name of a control token or of a byte, which is only
    text, is cut once more, behind its first character.
    """
    longest_first = sorted((piece.text for piece in whole), key=len, reverse=True)
    names = [piece.text for piece in pieces if piece.kind in SPELLED_AS_NAMES and len(piece.text) > 1]
    first_of_name = "|".join(rf"{re.escape(name[0])}(?={re.escape(name[1:])}\z)" for name in names)
    patterns = ["|".join(map(re.escape, longest_first)), rf"\A(?:{first_of_name})"]
    return {"type": "Sequence", "pretokenizers": [_split(pattern) for pattern in patterns]}


def merges_of_scores(pieces: Sequence[Piece], scores: Sequence[float]) -> list[tuple[str, str]]:
    """The merges that SentencePiece's scores imply: every split of a piece into two others, best score first.

    Among equal scores the order is that of transformers' converter: longer left half, then longer right half first.
    """
    normal = {piece.text: n for n, piece in enumerate(pieces) if piece.kind == TokenType.NORMAL}
    merges = []
    for text, number in normal.items():
        if len(text) > LONGEST_PIECE:
            raise SourceError(f"token {number} is {len(text)} characters long, at most {LONGEST_PIECE} are supported")
        halves = [(text[:cut], text[cut:]) for cut in range(1, len(text))]
        known = [(left, right) for left, right in halves if left in normal and right in normal]
        known.sort(key=lambda pair: (normal[pair[0]], normal[pair[1]]))
        merges += [(scores[number], left, right) for left, right in known]
    merges.sort(key=lambda merge: (merge[0], len(merge[1]), len(merge[2])), reverse=True)
    return [(left, right) for _, left, right in merges]


def wordpiece_document(
    pieces: Sequence[Piece],
    lowercase: bool,
    strip_accents: bool | None = None,
    chinese_characters: bool = True,
    unknown: str = "[UNK]",
) -> dict:
    """BERT's WordPiece: ## begins a piece that continues a word.

    strip_accents: None is as `lowercase`. chinese_characters: each is a word. unknown: what a word without pieces is.
    """
    prefix = WORD_GOES_ON
    model = {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": prefix}
    model |= {"max_input_chars_per_word": 100}
    normalizer = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": chinese_characters}
    document = _document(
        pieces,
        {},
        normalizer=normalizer | {"strip_accents": strip_accents, "lowercase": lowercase},
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": prefix, "cleanup": True},
    )
    return document | {"model": model | {"vocab": document["model"]["vocab"]}}


def wordpiece_vocabulary(text: str, control: Collection[str] = BERT_CONTROL) -> list[Piece]:
    """The pieces of a vocab.txt, one a line, without white space behind it. control: texts of the control tokens."""
    lines = [line.rstrip(RUST_WHITE_SPACE) for line in text.removesuffix("\n").split("\n")]
    return [Piece(line, TokenType.CONTROL if line in control else TokenType.NORMAL) for line in lines]


def same_as(pieces: Sequence[Piece]) -> list[list[int]]:
    """[id, the id that its text is encoded as] of each piece whose text a later one has too."""
    if len({piece.text for piece in pieces}) == len(pieces):
        return []
    numbers = _numbers(pieces)
    return [[n, numbers[piece.text]] for n, piece in enumerate(pieces) if numbers.get(piece.text, n) != n]


def definition_of(document: dict) -> str:
    """The document as the text that is stored."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def check_tokenizer(definition: str, settings: dict) -> None:
    """Read the tokenizer as the server will. Raises SourceError where the server would refuse it."""
    try:
        check_vocabulary(Tokenizer(definition, settings))
    except ModelError as problem:
        raise SourceError(str(problem), problem.hint) from None


def _document(pieces: Sequence[Piece], model: dict, whole: Sequence[Piece] = (), **steps) -> dict:
    numbers = _numbers(pieces)
    added = [(n, piece) for n, piece in enumerate(pieces) if _is_added(piece) and numbers[piece.text] == n]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [_added(number, piece) for number, piece in added if piece not in whole],
        "normalizer": steps["normalizer"],
        "pre_tokenizer": steps["pre_tokenizer"],
        "post_processor": None,
        "decoder": steps["decoder"],
        "model": {"type": "BPE", "dropout": None, "continuing_subword_prefix": None, "end_of_word_suffix": None}
        | model
        | {"vocab": numbers},
    }


def _numbers(pieces: Sequence[Piece]) -> dict[str, int]:
    """{text: id} of the pieces that are used; of several with the same text the last."""
    for number, piece in enumerate(pieces):
        if piece.kind == TokenType.BYTE and not BYTE_PIECE.fullmatch(piece.text):
            raise SourceError(f"token {number} is a byte spelled {piece.text[:40]!r}, expected <0x00> to <0xFF>")
    return {piece.text: number for number, piece in enumerate(pieces) if _is_spelled(piece)}


def _is_spelled(piece: Piece) -> bool:
    return piece.kind != TokenType.UNUSED and piece.text != ""


def _is_added(piece: Piece) -> bool:
    return piece.text != "" and piece.kind in (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED)


def _added(number: int, piece: Piece) -> dict:
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    return {"id": number, "content": piece.text} | flags | {"special": piece.kind != TokenType.USER_DEFINED}


def _split(pattern: str) -> dict:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _halves(merge: str) -> tuple[str, str]:
    """The two halves of a merge, split at a space that is not the first character."""
    cut = merge.find(" ", 1)
    if cut < 0:
        raise SourceError(f"merge {merge[:40]!r} does not have two halves")
    return merge[:cut], merge[cut + 1 :]
