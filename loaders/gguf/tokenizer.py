"""The tokenizer in a GGUF's metadata: `tokenizer.ggml.*` as a tokenizer.json document and settings.

Defaults and rules are llama.cpp's (src/llama-vocab.cpp): SentencePiece vocabularies get BOS and a leading space unless
the file says otherwise, byte-level ones neither, unless their `pre` does. A vocabulary whose file names no BOS or EOS
has those of its kind.
"""

import numpy as np
from gguf import TokenType

from ..errors import SourceError
from ..source.fields import Fields, storable
from ..source.known_keys import Keys, check_keys
from ..tokenizers.definition import (
    BERT_AROUND,
    SPACE_MARK,
    WORD_GOES_ON,
    Piece,
    byte_level_document,
    check_tokenizer,
    definition_of,
    same_as,
    sentencepiece_document,
    wordpiece_document,
)
from ..tokenizers.pre_tokenizers import named

DEEPSEEKS_END = "<\uff5cend\u2581of\u2581sentence\uff5c>"
# Control tokens that end a text, whatever eos_token_id says: a GGUF can name three ids, chat models have more.
ENDS = (
    *("<|eot_id|>", "<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>", "<|end|>", "<end_of_turn>"),
    *("</s>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<eos>", "<end_of_utterance>", DEEPSEEKS_END),
)
NO_SUCH_TOKEN = 0xFFFFFFFF  # some converters write this for "no such token"; it counts as absent
DEFAULT_IDS = {"llama": {"bos": 1, "eos": 2}, "gpt2": {"bos": 11, "eos": 11}, "bert": {}}
WORDPIECE_CONTROL = ("cls", "seperator", "unknown", "padding", "mask", "bos", "eos")  # the keys' own spelling
WHOLE = (TokenType.CONTROL, TokenType.UNKNOWN, TokenType.USER_DEFINED)  # split out of a text before any merge
TOKEN_TYPES = {int(kind): kind for kind in TokenType}
KEY_PREFIX = "tokenizer."
TOKENIZER_KEYS = Keys(
    used=(
        *(
            "chat_template",
            "chat_template.tool_use",
            "ggml.model",
            "ggml.pre",
            "ggml.tokens",
            "ggml.scores",
            "ggml.token_type",
            "ggml.merges",
        ),
        *(f"ggml.{name}_token_id" for name in (*WORDPIECE_CONTROL, "eot", "eom")),
        *("ggml.add_bos_token", "ggml.add_eos_token", "ggml.add_space_prefix", "ggml.remove_extra_whitespaces"),
        *("ggml.normalizer.lowercase", "ggml.normalizer.strip_accents"),
    ),
    harmless_at={"ggml.escape_whitespaces": (True,), "ggml.treat_whitespace_as_suffix": (False,)},
    harmless=(
        # llama.cpp adds [SEP] after a BERT's text whatever add_sep_token says, and after no other model's text
        *("ggml.add_sep_token", "ggml.token_type_count", "ggml.added_tokens", "ggml.separator_token_id"),
        *("chat_templates", "chat_template.*", "huggingface.json", "hub.*"),
        # for fill-in-the-middle prompts, which the caller writes
        *(f"ggml.{name}_token_id" for name in ("prefix", "suffix", "middle")),
        *(f"ggml.fim_{name}_token_id" for name in ("pre", "suf", "mid", "pad", "rep", "sep")),
    ),
)


def read_tokenizer(metadata: Fields, vocabulary_size: int) -> tuple[str, dict]:
    """(definition, settings). Raises SourceError for an unknown model or `pre`, and for invalid vocabularies."""
    model = metadata.text("tokenizer.ggml.model")
    if model not in ("gpt2", "llama", "bert"):
        raise SourceError(f'tokenizer model "{model}" is not supported', "Supported are gpt2, llama and bert.")
    check_keys(Fields(metadata.source, metadata.values, KEY_PREFIX), TOKENIZER_KEYS)
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
    before, after = _named_if_absent(spelled, before, BERT_AROUND[0]), _named_if_absent(spelled, after, BERT_AROUND[1])
    lowercase = metadata.flag("tokenizer.ggml.normalizer.lowercase", True)
    strip_accents = metadata.flag("tokenizer.ggml.normalizer.strip_accents", None)
    unknown = _token_id(metadata, "unknown_token_id", len(pieces))
    names = {} if unknown is None else {"unknown": spelled[unknown].text}
    definition = definition_of(wordpiece_document(spelled, lowercase, strip_accents, **names))
    settings = {
        "bos_id": before,
        "eos_ids": [after],
        "before": [before],
        "after": [after],
        "vocabulary_size": vocabulary_size,
        "chat_template": None,
    } | _repeated(spelled)
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
    if number not in TOKEN_TYPES:
        raise SourceError(f'metadata "tokenizer.ggml.token_type" has an unknown type, {number}')
    return TOKEN_TYPES[number]


def _settings(metadata: Fields, pieces: list[Piece], add_bos: bool, vocabulary_size: int) -> dict:
    ids = {key: _token_id(metadata, f"{key}_token_id", len(pieces)) for key in ("bos", "eos", "eot", "eom")}
    defaults = DEFAULT_IDS[metadata.text("tokenizer.ggml.model")]
    ids |= {key: number for key, number in defaults.items() if ids[key] is None and number < len(pieces)}
    bos, eos = ([] if ids[key] is None else [ids[key]] for key in ("bos", "eos"))
    named_ends = [ids[key] for key in ("eos", "eot", "eom") if ids[key] is not None]
    tools = _chat_template(metadata, ".tool_use")
    control = {piece.text: n for n, piece in enumerate(pieces) if piece.kind == TokenType.CONTROL}
    ends = [*named_ends, *(control[text] for text in ENDS if text in control)]
    return {
        "bos_id": ids["bos"],
        "eos_ids": list(dict.fromkeys(ends)),
        "before": bos if metadata.flag("tokenizer.ggml.add_bos_token", add_bos) else [],
        "after": eos if metadata.flag("tokenizer.ggml.add_eos_token", False) else [],
        "vocabulary_size": vocabulary_size,
        "chat_template": _chat_template(metadata),
        **({} if tools is None else {"tool_chat_template": tools}),
    } | _repeated(pieces)


def _repeated(pieces: list[Piece]) -> dict:
    """The setting `same_as`, if there are ids with the text of another."""
    pairs = same_as(pieces)
    for pair in pairs:
        _refuse_a_shared_name(pieces, *pair)
    return {"same_as": pairs} if pairs else {}


def _refuse_a_shared_name(pieces: list[Piece], first: int, last: int) -> None:
    """Raise SourceError if a token that is split out of a text as a whole shares its text with another."""
    for number in (first, last):
        if pieces[first].kind != TokenType.UNUSED and pieces[number].kind in WHOLE:
            kind = pieces[number].kind.name.lower()
            raise SourceError(
                f'metadata "tokenizer.ggml.tokens" {first} and {last} are both {pieces[first].text[:40]!r}, '
                f"{number} is of the kind {kind}"
            )


def _chat_template(metadata: Fields, name: str = "") -> str | None:
    key = f"tokenizer.chat_template{name}"
    template = metadata.text(key, None)
    return None if template is None else storable(template, f'metadata "{key}"')


def _token_id(metadata: Fields, key: str, size: int) -> int | None:
    token_id = metadata.integer(f"tokenizer.ggml.{key}", None)
    if token_id is None or token_id == NO_SUCH_TOKEN:
        return None
    if not 0 <= token_id < size:
        raise SourceError(f'metadata "tokenizer.ggml.{key}" is {token_id}, the vocabulary has {size} tokens')
    return token_id
