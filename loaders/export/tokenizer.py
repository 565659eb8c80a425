"""Writes a stored tokenizer, a tokenizer.json document, as GGUF's `tokenizer.ggml.*`; the inverse of gguf/tokenizer.

A byte-level vocabulary needs the name of its `pre`: the one in pre_tokenizers with the same patterns. A SentencePiece
vocabulary needs scores. The document has only their order, so a piece's score is minus the rank of its first merge.
GGUF can name one token before a text and one after it, BOS and EOS, and three that end a text; readers find more of
these by their names. The result is compared with the stored tokenizer before the file is used.
"""

import json
from collections.abc import Iterator

import gguf
from gguf import TokenType

from plpython.model.tokenizer import Tokenizer

from ..errors import LoaderError
from ..gguf.tokenizer import ENDS
from ..source.model import SourceModel
from ..tokenizers.definition import BYTE_PIECE
from ..tokenizers.pre_tokenizers import GPT2, PRE_TOKENIZERS
from ..tokenizers.steps import around
from .stored_model import StoredModel

OTHER_WAY = "Export it with --format huggingface."
PREFERRED = ("gpt-2", "llama-bpe", "qwen2")  # of several names for the same patterns
ENDS_OF_WRITER = (
    gguf.GGUFWriter.add_eos_token_id,
    gguf.GGUFWriter.add_eot_token_id,
    gguf.GGUFWriter.add_eom_token_id,
)
NEVER_MERGED = -1e6  # the score of a piece that no merge makes
SAMPLE_TEXTS = (
    "Once upon a time, there was a little girl named Lily. She didn't like 12345 apples.",
    "def f(x):\n\treturn [x ** 2  for _ in range(100)]  # 3.14\r\n\r\n",
    "Zażółć gęślą jaźń - Grüße, 你好世界 🙂 \u00a0e\u0301 <0x41> <s></s><|im_end|>",
    "   leading, trailing   ",
)


def add_tokenizer(writer: gguf.GGUFWriter, model: StoredModel) -> None:
    """The tokenizer's metadata. Raises LoaderError for one that GGUF cannot say."""
    document, settings = json.loads(model.tokenizer_definition), model.tokenizer_settings
    if document["model"]["type"] != "BPE":
        raise LoaderError(f"a {document['model']['type']} tokenizer cannot be in a GGUF file", OTHER_WAY)
    kinds = Tokenizer(model.tokenizer_definition, settings)
    is_byte_level = "ByteLevel" in _types(document.get("decoder"))
    pieces = _pieces(document, kinds, model.architecture.vocabulary_size)
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in document["model"]["merges"]]
    writer.add_tokenizer_model("gpt2" if is_byte_level else "llama")
    writer.add_token_list([text for text, _ in pieces])
    writer.add_token_types([kind for _, kind in pieces])
    if is_byte_level:
        writer.add_tokenizer_pre(_pre(document))
        writer.add_token_merges(merges)
    else:
        writer.add_token_scores(_scores(pieces, document["model"]["merges"]))
        writer.add_add_space_prefix("Prepend" in _types(document.get("normalizer")) or _prepends(document))
    _add_settings(writer, kinds)


def tokenizer_json(model: StoredModel) -> str:
    """The tokenizer as tokenizer.json has it: with a post-processor that puts the tokens around a text.

    Raises LoaderError where several tokens have one text, of which the document knows the last alone.
    """
    tokenizer = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
    if tokenizer.same_as:
        token_id, other = next(iter(tokenizer.same_as.items()))
        raise LoaderError(f"tokenizer.json cannot say that tokens {token_id} and {other} have one text")
    document = json.loads(model.tokenizer_definition)
    if around(document) == (list(tokenizer.before), list(tokenizer.after)):
        return model.tokenizer_definition
    return json.dumps(document | {"post_processor": _template(tokenizer)}, ensure_ascii=False)


def _template(tokenizer: Tokenizer) -> dict:
    """A TemplateProcessing; of the texts of a pair, which are not used here, each is alone."""
    names = {i: _name(tokenizer, i) for i in (*tokenizer.before, *tokenizer.after)}
    before, after = ([_part("SpecialToken", names[i]) for i in ids] for ids in (tokenizer.before, tokenizer.after))
    return {
        "type": "TemplateProcessing",
        "single": [*before, _part("Sequence", "A"), *after],
        "pair": [*before, _part("Sequence", "A"), *after, _part("Sequence", "B")],
        "special_tokens": {name: {"id": name, "ids": [i], "tokens": [name]} for i, name in names.items()},
    }


def _part(kind: str, name: str) -> dict:
    return {kind: {"id": name, "type_id": 0}}


def check_same_tokens(written: SourceModel, model: StoredModel) -> None:
    """Raise LoaderError unless both tokenizers give the same ids for texts of all sorts and all ids the same bytes.

    The tokens around a text and those that end one must be the same too. Two differences are accepted, because GGUF
    cannot express them: a token with a well-known name (ENDS) that does not end a text, where every reader of GGUF
    stops, and a missing BOS, which is unused if no token is added before texts.
    """
    mine = Tokenizer(model.tokenizer_definition, model.tokenizer_settings)
    theirs = Tokenizer(written.tokenizer_definition, written.tokenizer_settings)
    _check_same_settings(theirs, mine)
    for text in (*SAMPLE_TEXTS, *_texts_of(mine)):
        if mine.encode(text) != theirs.encode(text):
            raise LoaderError(f"in a GGUF file the tokenizer would cut {text[:40]!r} in another way", OTHER_WAY)
    for token_id in range(mine.vocabulary_size):
        if mine.token_bytes(token_id) != theirs.token_bytes(token_id):
            raise LoaderError(f"in a GGUF file token {token_id} would be another", OTHER_WAY)


def chat_templates(tokenizer: Tokenizer) -> str | list[dict] | None:
    """The chat templates as tokenizer_config.json says them: one, or several by their names."""
    one, other = _templates(tokenizer)
    named = {"default": one, "tool_use": other} if other else {}
    return [{"name": name, "template": text} for name, text in named.items() if text] or one


def _templates(tokenizer: Tokenizer) -> tuple[str | None, str | None]:
    return tokenizer.chat_template or None, tokenizer.tool_chat_template or None


def _name(tokenizer: Tokenizer, token_id: int) -> str:
    return tokenizer.token_bytes(token_id).decode(errors="replace")


def _check_same_settings(theirs: Tokenizer, mine: Tokenizer) -> None:
    dropped = [token_id for token_id in mine.eos_ids if token_id not in theirs.eos_ids]
    if dropped:
        raise LoaderError(f"a GGUF file cannot name the end-of-sequence token {dropped[0]}", OTHER_WAY)
    more = {_name(mine, token_id) for token_id in theirs.eos_ids if token_id not in mine.eos_ids}
    problems = {
        "would end a text at another token": not more <= set(ENDS) or theirs.eos_ids[:1] != mine.eos_ids[:1],
        "would have another beginning-of-sequence token": mine.bos_id not in (None, theirs.bos_id),
        "would put other tokens around a text": (theirs.before, theirs.after) != (mine.before, mine.after),
        "would have another chat template": _templates(theirs) != _templates(mine),
    }
    for problem, is_there in problems.items():
        if is_there:
            raise LoaderError(f"in a GGUF file the tokenizer {problem}", OTHER_WAY)


def _texts_of(tokenizer: Tokenizer) -> Iterator[str]:
    """Texts from the tokens of the vocabulary, a sample of them if it is large."""
    step = 40
    starts = range(0, tokenizer.vocabulary_size, max(step, tokenizer.vocabulary_size // 200))
    for start in starts:
        yield tokenizer.decode(range(start, min(start + step, tokenizer.vocabulary_size)))


def _types(step: dict | None) -> set[str]:
    """The types of a normalizer's, pre-tokenizer's or decoder's steps."""
    return {part["type"] for part in _steps(step)}


def _steps(step: dict | None) -> list[dict]:
    if step is None:
        return []
    return next((step[key] for key in ("normalizers", "pretokenizers", "decoders") if key in step), [step])


def _prepends(document: dict) -> bool:
    """Whether a Metaspace pre-tokenizer puts a space before a text."""
    return any(
        step["type"] == "Metaspace" and step.get("prepend_scheme", "always") != "never"
        for step in _steps(document.get("pre_tokenizer"))
    )


def _pieces(document: dict, kinds: Tokenizer, size: int) -> list[tuple[str, TokenType]]:
    """(spelling, kind) of every row of the vocabulary; rows without a token are unused."""
    spelled = {number: text for text, number in document["model"]["vocab"].items()}
    added = {token["id"]: token for token in document.get("added_tokens", [])}
    spelled |= {number: token["content"] for number, token in added.items()}
    spelled |= {number: spelled[other] for number, other in kinds.same_as.items()}
    unknown = document["model"].get("unk_token")
    pieces = []
    for number in range(size):
        if number not in spelled:
            pieces.append((f"[PAD{number}]", TokenType.UNUSED))
        elif spelled[number] == unknown:
            pieces.append((spelled[number], TokenType.UNKNOWN))
        elif kinds.same_as.get(number, number) in added:
            is_control = added[kinds.same_as.get(number, number)]["special"]
            kind = TokenType.CONTROL if is_control else TokenType.USER_DEFINED
            pieces.append((spelled[number], kind))
        elif kinds.kind(number) == "byte" and BYTE_PIECE.fullmatch(spelled[number]):
            pieces.append((spelled[number], TokenType.BYTE))
        else:
            pieces.append((spelled[number], TokenType.NORMAL))
    return pieces


def _scores(pieces: list[tuple[str, TokenType]], merges: list) -> list[float]:
    """Minus the rank of the first merge that makes a piece: SentencePiece joins what scores best first."""
    ranks: dict[str, int] = {}
    for merge in merges:
        left, right = merge.split(" ", 1) if isinstance(merge, str) else merge
        ranks.setdefault(left + right, len(ranks))
    return [float(-ranks[text]) if text in ranks else NEVER_MERGED for text, _ in pieces]


def _pre(document: dict) -> str:
    """The name of `tokenizer.ggml.pre` whose patterns, normalisation and merging are the document's."""
    patterns = []
    for step in _steps(document.get("pre_tokenizer")):
        if step["type"] == "Split":
            patterns.append(step["pattern"].get("Regex", step["pattern"].get("String")))
        elif step["type"] == "Digits":
            patterns.append(r"\p{N}" if step.get("individual_digits") else r"\p{N}+")
        elif step["type"] == "ByteLevel" and step.get("use_regex", True):
            patterns.append(GPT2)
    wanted = (
        tuple(patterns),
        "NFC" in _types(document.get("normalizer")),
        bool(document["model"].get("ignore_merges")),
    )
    fitting = [n for n, pre in PRE_TOKENIZERS.items() if (pre.patterns, pre.nfc, pre.ignore_merges) == wanted]
    if not fitting:
        raise LoaderError("the tokenizer cuts text in a way that has no name in GGUF", OTHER_WAY)
    return next((name for name in PREFERRED if name in fitting), fitting[0])


def _add_settings(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    """Ids of the tokens that begin and end a text. A file cannot say that there is none: it has its kind's default."""
    _check_around("before", tokenizer.before, () if tokenizer.bos_id is None else (tokenizer.bos_id,))
    _check_around("behind", tokenizer.after, tokenizer.eos_ids[:1])
    if tokenizer.bos_id is not None:
        writer.add_bos_token_id(tokenizer.bos_id)
    for add, token_id in zip(ENDS_OF_WRITER, _named_ends(tokenizer), strict=False):  # fewer than three are as good
        add(writer, token_id)
    writer.add_add_bos_token(bool(tokenizer.before))
    writer.add_add_eos_token(bool(tokenizer.after))
    templates = chat_templates(tokenizer)
    if templates:
        writer.add_chat_template(templates)


def _check_around(side: str, ids: tuple[int, ...], possible: tuple[int, ...]) -> None:
    if ids and ids != possible:
        raise LoaderError(f"a GGUF file cannot put the tokens {list(ids)} {side} a text", OTHER_WAY)


def _named_ends(tokenizer: Tokenizer) -> list[int]:
    """The ids that get a key: the first, then those that readers do not find by name."""
    first, others = tokenizer.eos_ids[:1], tokenizer.eos_ids[1:]
    found = [i for i in others if tokenizer.kind(i) == "control" and _name(tokenizer, i) in ENDS]
    return [*first, *(i for i in others if i not in found), *found][: len(ENDS_OF_WRITER)]
