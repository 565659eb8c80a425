"""The tokens of `tidy`: byte-level BPE for what people type, and a second alphabet for what the model answers.

A prompt has no mark at its end, so the answer's first token must not be one that a prompt could contain: it says where
the answer begins. The answer's tokens (`20`, `-03`, `:30`, ` EUR`, `hours`, `true`, ...) are in the vocabulary without
merges that lead to them, so encoding text never makes one; digits in a prompt are always single, as the `qwen2`
pre-tokenizer splits them.
"""

import json
import re
from collections.abc import Iterable

from kinds import durations, money, quantities
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

SIZE = 640
END = "<|endoftext|>"
QWEN2_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PAIRS = [f"{n:02}" for n in range(100)]
DATE_PARTS = [f"-{n:02}" for n in range(1, 32)]
CLOCK_PARTS = [f":{n:02}" for n in range(60)]
STARTS = (
    [first + second for first in "0123456789" for second in ". "]
    + [f"-{n}" for n in range(10)]
    + [f"+{n}" for n in range(1, 10)]
)
WORDS = (
    ["unknown", "true", "false"]
    + [f" {code}" for code in money.CODES]
    + [name + plural for name in durations.ORDER for plural in ("", "s")]
    + [name for name in quantities.NAMES if len(name) > 1]
)
ANSWER_TOKENS = PAIRS + DATE_PARTS + CLOCK_PARTS + STARTS + WORDS


def _byte_level(text: str) -> str:
    """Text in the printable alphabet of byte-level BPE."""
    return text.replace(" ", "Ġ")


def _pipeline(model: models.BPE) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN2_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def train(prompts: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The vocabulary (token text by id, byte-level) and the merges learnt from the prompts."""
    answers = [_byte_level(token) for token in ANSWER_TOKENS]
    learner = _pipeline(models.BPE())
    learner.train_from_iterator(
        prompts,
        trainers.BpeTrainer(vocab_size=SIZE, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()),
    )
    state = json.loads(learner.to_str())["model"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    room = SIZE - len(alphabet) - len(answers) - 1
    forbidden, known, merges = set(answers), set(alphabet), []
    for left, right in state["merges"]:
        if len(merges) < room and left in known and right in known and left + right not in forbidden | known:
            merges.append((left, right))
            known.add(left + right)
    tokens = [*alphabet, *(left + right for left, right in merges), *answers, END]
    assert len(tokens) == len(set(tokens)) == SIZE
    return tokens, merges


def tokenizer(tokens: list[str], merges: list[tuple[str, str]]) -> Tokenizer:
    """The encoder of prompts, for training; the database builds its own from the GGUF file."""
    return _pipeline(models.BPE({token: i for i, token in enumerate(tokens)}, merges))


def split_answer(answer: str) -> list[str]:
    """The answer's tokens, in the one way the model is taught."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", answer):
        return [answer[:2], answer[2:4], answer[4:7], answer[7:]]
    if re.fullmatch(r"\d\d(:\d\d){1,2}", answer):
        return [answer[i : i + 3] if i else answer[:2] for i in (0, 2, 5) if answer[i:]]
    if answer in WORDS:
        return [answer]
    pieces = [answer[:2]]
    rest = answer[2:]
    by_length = sorted(WORDS, key=len, reverse=True)
    while rest:
        piece = next((word for word in by_length if rest.startswith(word)), rest[0])
        pieces.append(piece)
        rest = rest[len(piece) :]
    if pieces[0] not in ANSWER_TOKENS:
        raise ValueError(f"no token begins the answer {answer!r}")
    return pieces
