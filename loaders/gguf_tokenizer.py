"""The tokenizer in a GGUF's metadata: `tokenizer.ggml.*` as a tokenizer.json document and settings.

Defaults and rules are llama.cpp's (src/llama-vocab.cpp): SentencePiece vocabularies get BOS and a leading space unless
the file says otherwise, byte-level ones neither, unless their `pre` does.
"""

import numpy as np
from gguf import TokenType

from .errors import SourceError
from .fields import Fields
from .pre_tokenizers import named
from .tokenizer_json import (
    AROUND,
    SPACE_MARK,
    WORD_GOES_ON,
    Piece,
    byte_level_document,
    check_tokenizer,
    definition_of,
    sentencepiece_document,
    wordpiece_document,
)

# Control tokens that end a turn whatever eos_token_id says: a GGUF has room for one id, chat models have several.
ENDS = ("<|eot_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "<|end|>", "<end_of_turn>")
ABSENT = 0xFFFFFFFF  # what some converters write for "no such token"
WORDPIECE_CONTROL = ("cls", "seperator", "unknown", "padding", "mask", "bos", "eos")  # the keys' own spelling
KINDS = {int(kind): kind for kind in TokenType}


def read_tokenizer(metadata: Fields, vocabulary_size: int) -> tuple[str, dict]:
    """(definition, settings). Raises SourceError for an unknown model or `pre`, and for vocabularies that are ill."""
    model = metadata.text("tokenizer.ggml.model")
    if model not in ("gpt2", "llama", "bert"):
        raise SourceError(f'tokenizer model "{model}" is not supported', "Supported are gpt2, llama and bert.")
    pieces = _pieces(metadata)
    if len(pieces) > vocabulary_size:
        raise SourceError(f"the tokenizer has {len(pieces)} tokens, the embedding {vocabulary_size} rows")
    if model == "bert":
        return _wordpiece(metadata, pieces, vocabulary_size)
    if model == "gpt2":
        document, add_bos = _byte_level(metadata, pieces)
    else:
        document, add_bos = _sentencepiece(metadata, pieces), True
    definition, settings = definition_of(document), _settings(metadata, pieces, add_bos, vocabulary_size)
    check_tokenizer(definition, settings)
    return definition, settings


def _byte_level(metadata: Fields, pieces: list[Piece]) -> tuple[dict, bool]:
    if "tokenizer.ggml.pre" not in metadata:
        raise SourceError(
            'metadata has no "tokenizer.ggml.pre"', "Without it, text is cut wrongly. Convert the model again."
        )
    pre = named(metadata.text("tokenizer.ggml.pre"))
    return byte_level_document(pieces, metadata.texts("tokenizer.ggml.merges"), pre), pre.add_bos


def _sentencepiece(metadata: Fields, pieces: list[Piece]) -> dict:
    if metadata.flag("tokenizer.ggml.remove_extra_whitespaces", False):
        raise SourceError('metadata "tokenizer.ggml.remove_extra_whitespaces" is true, which is not supported')
    scores = metadata.array("tokenizer.ggml.scores", "float32", len(pieces))
    if scores is None:
        raise SourceError('metadata has no "tokenizer.ggml.scores"')
    if not np.isfinite(scores).all():
        raise SourceError('metadata "tokenizer.ggml.scores" holds a value that is not finite')
    space_prefix = metadata.flag("tokenizer.ggml.add_space_prefix", True)
    return sentencepiece_document(pieces, scores.tolist(), space_prefix)


def _wordpiece(metadata: Fields, pieces: list[Piece], vocabulary_size: int) -> tuple[str, dict]:
    """BERT's. A GGUF spells a piece that begins a word with U+2581 before it, and leaves ## out of all others."""
    control = {_token_id(metadata, f"{key}_token_id", len(pieces)) for key in WORDPIECE_CONTROL}
    kinds = [TokenType.CONTROL if number in control else piece.kind for number, piece in enumerate(pieces)]
    spelled = [Piece(_as_wordpiece(piece.text, kind), kind) for piece, kind in zip(pieces, kinds, strict=True)]
    ids = [_token_id(metadata, f"{key}_token_id", len(pieces)) for key in ("cls", "bos", "seperator", "eos")]
    before, after = (next((i for i in pair if i is not None), None) for pair in (ids[:2], ids[2:]))
    before, after = _named_if_absent(spelled, before, AROUND[0]), _named_if_absent(spelled, after, AROUND[1])
    definition = definition_of(wordpiece_document(spelled, metadata.flag("tokenizer.ggml.normalizer.lowercase", True)))
    settings = {
        "bos_id": before,
        "eos_ids": [after],
        "add_bos": True,
        "add_eos": True,
        "vocabulary_size": vocabulary_size,
        "chat_template": None,
    }
    check_tokenizer(definition, settings)
    return definition, settings


def _as_wordpiece(text: str, kind: TokenType) -> str:
    if kind == TokenType.CONTROL or (text.startswith("[") and text.endswith("]") and len(text) > 2):
        return text
    return text[1:] if text.startswith(SPACE_MARK) else WORD_GOES_ON + text


def _named_if_absent(pieces: list[Piece], token_id: int | None, name: str) -> int:
    found = [number for number, piece in enumerate(pieces) if piece.text == name] if token_id is None else [token_id]
    if not found:
        raise SourceError(f"the vocabulary has no {name}")
    return found[0]


def _pieces(metadata: Fields) -> list[Piece]:
    texts = metadata.texts("tokenizer.ggml.tokens")
    numbers = metadata.array("tokenizer.ggml.token_type", "int32", len(texts))
    kinds = [TokenType.NORMAL] * len(texts) if numbers is None else [_kind(n) for n in numbers.tolist()]
    for key in ("bos", "eos"):  # old converters left these normal; text must never become one
        token_id = _token_id(metadata, f"{key}_token_id", len(texts))
        if token_id is not None and kinds[token_id] == TokenType.NORMAL:
            kinds[token_id] = TokenType.CONTROL
    return [Piece(text, kind) for text, kind in zip(texts, kinds, strict=True)]


def _kind(number: int) -> TokenType:
    if number not in KINDS:
        raise SourceError(f'metadata "tokenizer.ggml.token_type" has an unknown type, {number}')
    return KINDS[number]


def _settings(metadata: Fields, pieces: list[Piece], add_bos: bool, vocabulary_size: int) -> dict:
    named_ids = [_token_id(metadata, f"{key}_token_id", len(pieces)) for key in ("eos", "eot", "eom")]
    control = {piece.text: n for n, piece in enumerate(pieces) if piece.kind == TokenType.CONTROL}
    ends = [token_id for token_id in named_ids if token_id is not None] + [control[e] for e in ENDS if e in control]
    return {
        "bos_id": _token_id(metadata, "bos_token_id", len(pieces)),
        "eos_ids": list(dict.fromkeys(ends)),
        "add_bos": metadata.flag("tokenizer.ggml.add_bos_token", add_bos),
        "add_eos": metadata.flag("tokenizer.ggml.add_eos_token", False),
        "vocabulary_size": vocabulary_size,
        "chat_template": metadata.text("tokenizer.chat_template", None),
    }


def _token_id(metadata: Fields, key: str, size: int) -> int | None:
    token_id = metadata.integer(f"tokenizer.ggml.{key}", None)
    if token_id is None or token_id == ABSENT:
        return None
    if not 0 <= token_id < size:
        raise SourceError(f'metadata "tokenizer.ggml.{key}" is {token_id}, the vocabulary has {size} tokens')
    return token_id
