"""From logits to the next token.

The steps and their order are those of Hugging Face transformers' logits processors: repetition penalty, temperature,
top-k, top-p, min-p, and a draw from what is left (llama.cpp has the same steps and puts temperature last). Where they
leave ties open, the lowest token id wins. The random number is a function of (seed, position) alone, so the same seed
gives the same token whatever else was computed before, in whatever batch.
"""

import math
from dataclasses import dataclass

import numpy as np

from . import errors

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


def next_token(logits, history, settings, position):
    """The token after `history`: f32[vocabulary], int[...], Settings, the position to fill -> int.

    history is what repeat_penalty looks at, normally the prompt and what was generated; a token counts once.
    Raises ModelError XX001 when the logits hold NaN or +infinity; -infinity excludes a token.
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
    ids, weights = candidates((logits - largest) / np.float32(settings.temperature), settings)
    cumulative = np.cumsum(weights, dtype=np.float64)
    drawn = np.searchsorted(cumulative, uniform(settings.seed, position) * cumulative[-1], side="right")
    return int(ids[drawn])


def penalised(logits, history, penalty):
    """The logits with those of the tokens in history moved towards less likely; the same array when penalty is 1."""
    if penalty == 1 or len(history) == 0:
        return logits
    seen = np.unique(np.asarray(history, np.int64))
    if seen[0] < 0 or seen[-1] >= len(logits):
        outside = seen[0] if seen[0] < 0 else seen[-1]
        raise errors.invalid_parameter(
            f"token {outside} is outside the vocabulary", f"token ids are 0 to {len(logits) - 1}"
        )
    logits = logits.copy()
    scores = logits[seen]
    logits[seen] = np.where(scores > 0, scores / np.float32(penalty), scores * np.float32(penalty))
    return logits


def candidates(scaled, settings):
    """What top-k, top-p and min-p leave: f32[vocabulary] with maximum 0 -> ids ascending, their exp(scaled)."""
    ids = np.arange(len(scaled)) if settings.top_k == 0 else top_k(scaled, settings.top_k)
    weights = np.exp(scaled[ids])
    if settings.top_p < 1:
        kept = top_p(weights, settings.top_p)
        ids, weights = ids[kept], weights[kept]
    if settings.min_p > 0:
        kept = weights >= settings.min_p  # the largest weight is exp(0) = 1
        ids, weights = ids[kept], weights[kept]
    return ids, weights


def top_k(scores, k):
    """Indices of the k largest, ascending; of equal scores the lowest indices."""
    if k >= len(scores):
        return np.arange(len(scores))
    smallest = np.partition(scores, len(scores) - k)[len(scores) - k]
    above = np.flatnonzero(scores > smallest)
    equal = np.flatnonzero(scores == smallest)[: k - len(above)]
    return np.sort(np.concatenate([above, equal]))


def top_p(weights, p):
    """Indices, ascending, of the fewest largest weights whose sum reaches p of the whole; at least one.

    A quickselect by mass: split the undecided at their mean, keep the upper part whole if it does not reach p, else
    look inside it. Only the few that remain around the limit are sorted.
    """
    wanted = p * np.sum(weights, dtype=np.float64)
    kept = np.zeros(len(weights), bool)
    kept_mass = 0.0
    undecided = np.arange(len(weights))
    while len(undecided) > 256:
        values = weights[undecided]
        upper = values >= np.mean(values, dtype=np.float64)
        if upper.all() or not upper.any():  # all equal
            break
        mass = np.sum(values[upper], dtype=np.float64)
        if kept_mass + mass >= wanted:
            undecided = undecided[upper]
        else:
            kept[undecided[upper]] = True
            kept_mass += mass
            undecided = undecided[~upper]
    order = undecided[np.argsort(-weights[undecided], kind="stable")]
    sums = kept_mass + np.cumsum(weights[order], dtype=np.float64)
    kept[order[: np.searchsorted(sums, wanted, side="left") + 1]] = True
    return np.flatnonzero(kept)


def uniform(seed, position):
    """A number in [0, 1), 53 random bits: Philox4x64-10 (Salmon et al. 2011), key = seed, counter = position + 1."""
    bits = np.random.Philox(key=seed % 2**64, counter=position).random_raw()  # numpy steps the counter first
    return (int(bits) >> 11) * 2.0**-53


def _check(name, value, smallest, largest):
    kinds = int if name in INTEGERS else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not smallest <= value <= largest:  # NaN is neither
        raise _ill(name, value, f"{smallest} to {largest}")


def _ill(name, value, allowed):
    shown = "null" if value is None else repr(value)
    return errors.invalid_parameter(f"{name} is out of range", f"{name} is {shown}, allowed is {allowed}")
