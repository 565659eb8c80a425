"""The names of `tokenizer.ggml.pre`: how a byte-level tokenizer cuts text into words before it merges.

Names are llama.cpp's (src/llama-vocab.cpp); the patterns are those of the models' own tokenizer.json, from which
llama.cpp's were derived, in the regular expressions of `tokenizers`. Several patterns cut one after the other.
"""

from dataclasses import dataclass

from ..errors import SourceError

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
SYMBOLS = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED_WORD = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*"


@dataclass(frozen=True)
class PreTokenizer:
    """patterns: applied in order, each to the pieces of the one before. nfc: normalise first, as the model's own does.
    ignore_merges: a word that is a token needs no merges. add_bos: unless the file says otherwise."""

    patterns: tuple[str, ...]
    nfc: bool = False
    ignore_merges: bool = False
    add_bos: bool = False


_GPT2 = PreTokenizer((GPT2,))
_DIGITS = PreTokenizer((r"\p{N}", GPT2))
_LLAMA3 = PreTokenizer((rf"{CONTRACTIONS}|{WORD}|\p{{N}}{{1,3}}|{SYMBOLS}|{SPACES}",), ignore_merges=True, add_bos=True)
_QWEN2 = PreTokenizer((rf"{CONTRACTIONS}|{WORD}|\p{{N}}|{SYMBOLS}|{SPACES}",), nfc=True)
_TEKKEN = PreTokenizer(
    (rf"{CASED_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{SPACES}",), ignore_merges=True, add_bos=True
)
_SEED = PreTokenizer((rf"{CONTRACTIONS}|{WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{SPACES}",))
_DEFAULT = PreTokenizer((r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"))

PRE_TOKENIZERS = {
    "default": _DEFAULT,
    "gpt-2": _GPT2,
    "phi-2": _GPT2,
    "mpt": _GPT2,
    "olmo": _GPT2,
    "llama3": _LLAMA3,
    "llama-v3": _LLAMA3,
    "llama-bpe": _LLAMA3,
    "falcon3": _LLAMA3,
    "smaug-bpe": PreTokenizer(_LLAMA3.patterns),
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": PreTokenizer(_QWEN2.patterns),  # Qwen2's without its normalizer
    "megrez": _QWEN2,
    "stablelm2": PreTokenizer(_QWEN2.patterns),
    "tekken": _TEKKEN,
    "seed-coder": _SEED,
    "smollm": _DIGITS,
    "starcoder": _DIGITS,
    "refact": _DIGITS,
    "command-r": _DIGITS,
}


def named(name: str) -> PreTokenizer:
    """The pre-tokenizer of that name. Raises SourceError for one that is not known."""
    if name not in PRE_TOKENIZERS:
        known = ", ".join(PRE_TOKENIZERS)
        raise SourceError(f'tokenizer pre "{name}" is not supported', f"Supported are {known}.")
    return PRE_TOKENIZERS[name]
