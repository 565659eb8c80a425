"""The steps of a tokenizer.json: their known types and keys, and the tokens that they add around a text.

Types and keys are those of the `tokenizers` library 0.23, which ignores unknown keys. Decoders are limited to what
plpython/model/tokenizer.py can decode: byte-level, SentencePiece and WordPiece.
"""

from collections.abc import Iterator

from plpython.model.tokenizer import SPACE_MARK

from ..errors import SourceError
from ..source.fields import Fields, shown
from ..source.known_keys import Keys, check_keys

FILE = "tokenizer.json"

DOCUMENT = Keys(
    used=("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model", "truncation"),
    harmless=("version", "padding"),
)
ADDED_TOKEN = Keys(used=("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"))
NO_KEYS = Keys()
BYTE_LEVEL = Keys(used=("add_prefix_space", "use_regex"), harmless=("trim_offsets",))
METASPACE = Keys(
    used=("prepend_scheme", "split", "add_prefix_space"),
    harmless_at={"replacement": (SPACE_MARK,)},
    harmless=("str_rep",),
)
NORMALIZER_TYPES = {
    "BertNormalizer": Keys(used=("clean_text", "handle_chinese_chars", "strip_accents", "lowercase")),
    "ByteLevel": NO_KEYS,
    "Lowercase": NO_KEYS,
    "NFC": NO_KEYS,
    "NFD": NO_KEYS,
    "NFKC": NO_KEYS,
    "NFKD": NO_KEYS,
    "Nmt": NO_KEYS,
    "Precompiled": Keys(used=("precompiled_charsmap",)),
    "Prepend": Keys(used=("prepend",)),
    "Replace": Keys(used=("pattern", "content")),
    "Sequence": Keys(used=("normalizers",)),
    "Strip": Keys(used=("strip_left", "strip_right")),
    "StripAccents": NO_KEYS,
}
PRE_TOKENIZER_TYPES = {
    "BertPreTokenizer": NO_KEYS,
    "ByteLevel": BYTE_LEVEL,
    "CharDelimiterSplit": Keys(used=("delimiter",)),
    "Digits": Keys(used=("individual_digits",)),
    "FixedLength": Keys(used=("length",)),
    "Metaspace": METASPACE,
    "Punctuation": Keys(used=("behavior",)),
    "Sequence": Keys(used=("pretokenizers",)),
    "Split": Keys(used=("pattern", "behavior", "invert")),
    "UnicodeScripts": NO_KEYS,
    "Whitespace": NO_KEYS,
    "WhitespaceSplit": NO_KEYS,
}
POST_PROCESSOR_TYPES = {
    "BertProcessing": Keys(used=("cls", "sep")),
    "ByteLevel": Keys(harmless=("add_prefix_space", "trim_offsets", "use_regex")),  # changes only offsets
    "RobertaProcessing": Keys(used=("cls", "sep"), harmless=("add_prefix_space", "trim_offsets")),
    "Sequence": Keys(used=("processors",)),
    "TemplateProcessing": Keys(used=("single", "special_tokens"), harmless=("pair",)),
}
DECODER_TYPES = {
    "ByteFallback": NO_KEYS,
    "ByteLevel": Keys(harmless=("add_prefix_space", "trim_offsets", "use_regex")),
    "Fuse": NO_KEYS,
    "Metaspace": METASPACE,
    "Replace": Keys(harmless_at={"pattern": ({"String": SPACE_MARK},), "content": (" ",)}),
    "Sequence": Keys(used=("decoders",)),
    "Strip": Keys(used=("start",), harmless_at={"content": (" ",), "stop": (0,)}),
    "WordPiece": Keys(harmless_at={"prefix": ("##",)}, harmless=("cleanup",)),  # decoding keeps the spaces of all words
}
BPE = Keys(
    used=("vocab", "merges", "unk_token", "fuse_unk", "byte_fallback", "ignore_merges"),
    harmless_at={"dropout": (0, 0.0), "continuing_subword_prefix": ("",), "end_of_word_suffix": ("",)},
)
WORDPIECE = Keys(
    used=("vocab", "unk_token", "max_input_chars_per_word"), harmless_at={"continuing_subword_prefix": ("##",)}
)
MODEL_TYPES = {
    "BPE": BPE,
    "Unigram": Keys(used=("vocab", "unk_id", "byte_fallback")),
    "WordLevel": Keys(used=("vocab", "unk_token")),
    "WordPiece": WORDPIECE,
}
STEPS = {  # kind of step: (its types, the key of a sequence's parts)
    "normalizer": (NORMALIZER_TYPES, "normalizers"),
    "pre_tokenizer": (PRE_TOKENIZER_TYPES, "pretokenizers"),
    "post_processor": (POST_PROCESSOR_TYPES, "processors"),
    "decoder": (DECODER_TYPES, "decoders"),
}


def check_steps(document: dict) -> None:
    """Raise SourceError for an unknown type or key of the document, or a value that is not supported."""
    check_keys(Fields(FILE, document), DOCUMENT)
    for token in added_tokens(document):
        check_keys(Fields(f"{FILE} added_tokens", token), ADDED_TOKEN)
    for kind, (types, _) in STEPS.items():
        for step in steps(document, kind):
            _check_step(step, kind, types)
    _check_step({"type": model_type(document)} | Fields(FILE, document).nested("model").values, "model", MODEL_TYPES)


def added_tokens(document: dict) -> list[dict]:
    """The added tokens of a document, each with an id and a text."""
    added = document.get("added_tokens")
    if not isinstance(added, list) or not all(isinstance(t, dict) and isinstance(t.get("content"), str) for t in added):
        raise SourceError(f'{FILE} "added_tokens" is not a list of tokens')
    return added


def steps(document: dict, kind: str) -> Iterator[dict]:
    """All steps of a kind in order; a sequence is followed by its parts."""
    return _flat(document.get(kind), kind, STEPS[kind][1])


def _flat(step, kind: str, parts: str) -> Iterator[dict]:
    if step is None:
        return
    if not isinstance(step, dict) or not isinstance(step.get("type"), str):
        raise SourceError(f'{FILE} "{kind}" is {shown(step)}, expected an object with a type')
    yield step
    if step["type"] == "Sequence":
        for part in _list(step, parts, kind):
            yield from _flat(part, kind, parts)


def _check_step(step: dict, kind: str, types: dict[str, Keys]) -> None:
    if step["type"] not in types:
        raise SourceError(
            f'{FILE} "{kind}" has type "{step["type"]}", which is not supported', f"Supported are {', '.join(types)}."
        )
    check_keys(Fields(f"{FILE} {kind} {step['type']}", step), Keys(used=("type",)) | types[step["type"]])


def model_type(document: dict) -> str:
    """The model's type; files of 2019 do not name it."""
    model = Fields(FILE, document).nested("model").values
    found = model.get("type", "BPE" if "merges" in model else "WordPiece" if "unk_token" in model else "Unigram")
    if not isinstance(found, str):
        raise SourceError(f'{FILE} model "type" is {shown(found)}, expected a string')
    return found


def around(document: dict) -> tuple[list[int], list[int]]:
    """The ids that the post-processor adds (before, after) a single text."""
    before, behind = [], []
    for step in steps(document, "post_processor"):
        first, last = IDS_AROUND.get(step["type"], _nothing)(step)
        before, behind = first + before, behind + last  # a later step adds outside of an earlier one
    return before, behind


def _nothing(step: dict) -> tuple[list[int], list[int]]:
    return [], []


def _of_pair(step: dict) -> tuple[list[int], list[int]]:
    """BertProcessing's and RobertaProcessing's: each is [text, id]."""
    pairs = [step.get("cls"), step.get("sep")]
    if not all(isinstance(pair, list) and len(pair) == 2 and type(pair[1]) is int for pair in pairs):
        raise SourceError(f'{FILE} post_processor "cls" or "sep" is not a text and its id')
    return [pairs[0][1]], [pairs[1][1]]


def _of_template(step: dict) -> tuple[list[int], list[int]]:
    single = _list(step, "single", "post_processor")
    texts = [n for n, part in enumerate(single) if isinstance(part, dict) and "Sequence" in part]
    if any(Fields(FILE, single[n]).nested("Sequence").values.get("id") != "A" for n in texts):
        raise SourceError(f'{FILE} post_processor "single" has a text that is not "A"')
    if len(texts) != 1:
        raise SourceError(f'{FILE} post_processor "single" has the text {len(texts)} times, expected once')
    before, behind = single[: texts[0]], single[texts[0] + 1 :]
    return [i for part in before for i in _ids_of(part, step)], [i for part in behind for i in _ids_of(part, step)]


def _ids_of(part, step: dict) -> list[int]:
    token = Fields(FILE, part if isinstance(part, dict) else {}).nested("SpecialToken").values.get("id")
    said = Fields(FILE, step).nested("special_tokens").values.get(token) if isinstance(token, str) else None
    ids = said.get("ids") if isinstance(said, dict) else None
    if not isinstance(ids, list) or not ids or not all(type(item) is int for item in ids):
        raise SourceError(f"{FILE} post_processor has no ids for {shown(token)}")
    return ids


def _list(step: dict, key: str, kind: str) -> list:
    value = step.get(key)
    if not isinstance(value, list):
        raise SourceError(f'{FILE} {kind} "{key}" is {shown(value)}, expected a list')
    return value


IDS_AROUND = {"BertProcessing": _of_pair, "RobertaProcessing": _of_pair, "TemplateProcessing": _of_template}
