"""From logits to the next token.

The steps and their order are those of Hugging Face transformers' logits processors: repetition penalty, temperature,
top-k, top-p, min-p, and a draw from what is left (llama.cpp has the same steps and puts temperature last). Where they
leave ties open, the lowest token id wins. The random number is a function of (seed, position) alone, so the same seed
gives the same token whatever else was computed before, in whatever batch, by whatever engine (`candidates` says how).
"""

import math
import secrets
from dataclasses import dataclass

import numpy as np

from ..server import errors
from .candidates import Candidates

# The range of each setting, both ends included; a temperature of 0 is greedy.
RANGES = {
    "temperature": (0.0, 100.0),
    "top_k": (0, 2**31 - 1),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repeat_penalty": (0.01, 100.0),
    "seed": (-(2**63), 2**63 - 1),
}
INTEGERS = ("top_k", "seed")
RANDOM_BITS = 53
SMALLEST_TEMPERATURE = 1e-6  # above 0; below it float32 logits would overflow


@dataclass(frozen=True)
class Settings:
    """How to choose; the defaults are greedy. Raises ModelError 22023 that names the value out of its range.

    temperature divides the logits; 0 takes the largest. top_k keeps the k largest, 0 all. top_p keeps the fewest tokens
    whose probabilities reach top_p (1904.09751), always one. min_p keeps tokens with at least min_p times the largest
    probability (2407.01082). repeat_penalty divides positive and multiplies negative logits of tokens in the history
    (1909.05858), 1 does nothing.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repeat_penalty: float = 1.0
    seed: int = 0

    def __post_init__(self):
        for name, (smallest, largest) in RANGES.items():
            _check(name, getattr(self, name), smallest, largest)
        if 0 < self.temperature < SMALLEST_TEMPERATURE:
            raise _ill("temperature", self.temperature, f"0 or {SMALLEST_TEMPERATURE:.6f} to 100")


def settings(**given):
    """Settings of what is not None; without a seed one is drawn, so that every call differs."""
    given = {name: value for name, value in given.items() if value is not None}
    return Settings(**{"seed": secrets.randbits(63), **given})


def next_token(logits, history, settings, position, weigh=Candidates):
    """The token after `history`: f32[vocabulary], int[...], Settings, the position to fill -> int.

    history is what repeat_penalty looks at, normally the prompt and what was generated; a token counts once. weigh
    makes the candidates; all that can give the same token. Raises ModelError XX001 when the logits hold NaN or
    +infinity; -infinity excludes a token.
    """
    logits = penalised(logits, history, settings.repeat_penalty)
    largest = logits.max()
    if not math.isfinite(largest):
        raise errors.corrupt_data(
            "the logits are not finite",
            f"the largest is {largest}",
            "When a model computed them, llm.verify tells whether its weights are those that were loaded.",
        )
    if settings.temperature == 0:
        return int(logits.argmax())
    candidates = weigh(logits, largest, settings.temperature)
    cut = kept(candidates, settings)
    return candidates.draw(cut, random_bits(settings.seed, position) * int(cut.mass) >> RANDOM_BITS)


def kept(candidates, settings):
    """The Cut of what top-k leaves, of that what top-p, and of that what min-p."""
    cut = candidates.all()
    if settings.top_k > 0:
        cut = candidates.top_k(settings.top_k)
    if settings.top_p < 1:
        cut = cut.shorter(candidates.top_p(settings.top_p, cut.mass))
    if settings.min_p > 0:
        cut = cut.shorter(candidates.min_p(settings.min_p))
    return cut


def penalised(logits, history, penalty):
    """The logits with those of the tokens in history moved towards less likely; the same array when penalty is 1."""
    if penalty == 1 or len(history) == 0:
        return logits
    seen = np.asarray(history, np.int64)
    smallest, largest = seen.min(), seen.max()
    if smallest < 0 or largest >= len(logits):
        outside = smallest if smallest < 0 else largest
        raise errors.invalid_parameter(
            f"token {outside} is outside the vocabulary", f"token ids are 0 to {len(logits) - 1}"
        )
    scores = logits[seen]
    logits = logits.copy()
    logits[seen] = np.where(scores > 0, scores / np.float32(penalty), scores * np.float32(penalty))  # of twins the same
    return logits


def random_bits(seed, position):
    """A whole number below 2^53: Philox4x64-10 (Salmon et al. 2011), key = seed, counter = position + 1."""
    bits = np.random.Philox(key=seed % 2**64, counter=position).random_raw()  # numpy steps the counter first
    return int(bits) >> 11


def _check(name, value, smallest, largest):
    kinds = int if name in INTEGERS else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not smallest <= value <= largest:  # NaN is neither
        raise _ill(name, value, f"{smallest} to {largest}")


def _ill(name, value, allowed):
    shown = "null" if value is None else repr(value)
    return errors.invalid_parameter(f"{name} is out of range", f"{name} is {shown}, allowed is {allowed}")
