"""From logits to the next token.

The samplers, rows of SAMPLERS, stand in the order of Hugging Face transformers: penalties change the logits, the
temperature divides them, the others drop tokens. Then one of the tokens that are left is drawn. (llama.cpp has the same
steps and puts the temperature last.) Where they leave ties open, the lowest token id wins. The random number is a
function of (seed, position) alone, so the same seed gives the same token whatever else was computed before, in whatever
batch, by whatever engine (`candidates` says how).
"""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from functools import cached_property

import numpy as np

from ..server import arguments, errors
from .candidates import Candidates

RANDOM_BITS = 53
SMALLEST_TEMPERATURE = 1e-6  # above 0; below it float32 logits would overflow


def repeat_penalty(logits, history, penalty):
    """Divide positive and multiply negative logits of the tokens in history (1909.05858); a token counts once."""
    if len(history) == 0:
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
    logits[seen] = np.where(
        scores > 0, scores / np.float32(penalty), scores * np.float32(penalty)
    )  # a repeated id is written twice with the same value
    return logits


def top_k(candidates, cut, k):
    """Keep the k most likely."""
    return candidates, cut.shorter(candidates.top_k(k))


def top_p(candidates, cut, p):
    """Keep the fewest most likely that reach the probability p, at least one (1904.09751)."""
    return candidates, cut.shorter(candidates.top_p(p, cut.mass))


def min_p(candidates, cut, p):
    """Keep those with at least p times the largest probability (2407.01082)."""
    return candidates, cut.shorter(candidates.min_p(p))


def typical_p(candidates, cut, p):
    """Sort by |information - entropy|; keep the first whose probabilities reach p, and ties of the last (2202.00666).

    The information of a token is minus the logarithm of its probability.
    """
    ids = candidates.ids(cut)
    weights = candidates.weights[ids].astype(np.float64)
    information = -candidates.log_probabilities(ids, cut)
    distances = np.abs(information - (weights * information).sum() / cut.mass)
    order = np.argsort(distances)
    reached = np.searchsorted(np.cumsum(weights[order]), p * cut.mass)
    only = candidates.only(ids[distances <= distances[order[reached]]])
    return only, only.all()


@dataclass(frozen=True)
class Sampler:
    """A row of SAMPLERS: a setting and what it does. Its range includes both ends; the neutral value changes nothing,
    all others are passed to its function.

    kind: int or float.
    penalise: a step before the temperature, (logits, history, value) -> logits.
    narrow: a step behind it, (candidates, cut, value) -> (candidates, the Cut of them that is kept).
    """

    name: str
    kind: type
    smallest: float
    largest: float
    neutral: float
    meaning: str
    penalise: Callable | None = None
    narrow: Callable | None = None

    def check(self, value, label=None):
        """Raise ModelError 22023 for a value of another kind or out of range; label: its name in the error."""
        kinds = int if self.kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not self.smallest <= value <= self.largest:
            raise arguments.out_of_range(label or self.name, value, f"{self.smallest} to {self.largest}")  # NaN too


# In the order of their steps. A temperature of 0 is greedy: then nothing is dropped or drawn.
SAMPLERS = (
    Sampler(
        "repeat_penalty", float, 0.01, 100.0, 1.0, "above 1, repeat tokens less; below 1, more", penalise=repeat_penalty
    ),
    Sampler(
        "temperature", float, 0.0, 100.0, 0.0, "0 picks the most likely token; above 0, the higher the more random"
    ),
    Sampler("top_k", int, 0, 2**31 - 1, 0, "keep the k most likely tokens; 0: all", narrow=top_k),
    Sampler("top_p", float, 0.0, 1.0, 1.0, "keep the fewest tokens that reach this probability", narrow=top_p),
    Sampler("min_p", float, 0.0, 1.0, 0.0, "keep tokens with this share of the largest probability", narrow=min_p),
    Sampler(
        "typical_p",
        float,
        0.0,
        1.0,
        1.0,
        "keep the fewest most typical tokens (2202.00666) that reach this probability",
        narrow=typical_p,
    ),
)
SEED = Sampler("seed", int, -(2**63), 2**63 - 1, 0, "the same seed draws the same tokens")


class CheckedSettings:
    """How to choose: a value of each sampler, and the seed. The defaults are greedy.

    Raises ModelError 22023 that names the value out of its range.
    """

    def __post_init__(self):
        for row in (*SAMPLERS, SEED):
            row.check(getattr(self, row.name))
        if 0 < self.temperature < SMALLEST_TEMPERATURE:
            raise arguments.out_of_range("temperature", self.temperature, f"0 or {SMALLEST_TEMPERATURE:.6f} to 100")

    @cached_property
    def penalties(self):
        """The steps before the temperature that change something: (function, value)."""
        return self._steps("penalise")

    @cached_property
    def narrowings(self):
        """The steps behind it that drop something: (function, value)."""
        return self._steps("narrow")

    @property
    def is_argmax(self):
        """Whether the next token is the one with the largest logit of the model."""
        return self.temperature == 0 and not self.penalties

    def _steps(self, step):
        values = [(getattr(row, step), getattr(self, row.name), row.neutral) for row in SAMPLERS]
        return [(function, value) for function, value, neutral in values if function and value != neutral]


Settings = make_dataclass(
    "Settings",
    [(row.name, row.kind, row.neutral) for row in (*SAMPLERS, SEED)],
    bases=(CheckedSettings,),
    frozen=True,
    kw_only=True,
)


def settings(**given):
    """Settings of what is not None; without a seed one is drawn, so that every call differs."""
    given = {name: value for name, value in given.items() if value is not None}
    return Settings(**{"seed": secrets.randbits(63), **given})


def next_token(logits, history, settings, position, weigh=Candidates):
    """The token after `history`: f32[vocabulary], int[...], Settings, the position to fill -> int.

    history is what penalties look at, normally the prompt and what was generated. weigh makes the candidates; all that
    can give the same token. Raises ModelError XX001 when the logits hold NaN or +infinity; -infinity excludes a token.
    """
    for penalise, value in settings.penalties:
        logits = penalise(logits, history, value)
    largest = logits.max()
    if not math.isfinite(largest):
        raise errors.corrupt_data(
            "the logits are not finite",
            f"the largest is {largest}",
            "When a model computed them, llm.verify tells whether its weights are those that were loaded.",
        )
    if settings.temperature == 0:
        return int(logits.argmax())
    candidates, cut = narrowed(weigh(logits, largest, settings.temperature), settings)
    return candidates.draw(cut, random_bits(settings.seed, position) * int(cut.mass) >> RANDOM_BITS)


def narrowed(candidates, settings):
    """(candidates, Cut) of what all samplers keep, each of what the ones before it kept."""
    cut = candidates.all()
    for narrow, value in settings.narrowings:
        candidates, cut = narrow(candidates, cut, value)
    return candidates, cut


def random_bits(seed, position):
    """A whole number below 2^53: Philox4x64-10 (Salmon et al. 2011), key = seed, counter = position + 1."""
    bits = np.random.Philox(key=seed % 2**64, counter=position).random_raw()  # numpy steps the counter first
    return int(bits) >> 11
