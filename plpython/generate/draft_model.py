"""Guesses at the next tokens by a draft model: one with the same tokens that computes faster than the one that writes.

The draft chooses a token for each position as the model will: with the same samplers, and with the random number of
that position. So its guess is right wherever both give about the same probabilities, also when tokens are sampled.
Speculative decoding (2211.17192, 2302.01318), but verified exactly: the text does not change.

The draft need not have read what the model has read, as that only makes guesses worse. It reads no more than is worth
it for what may still follow; of a longer history it reads the end.
"""

from collections import namedtuple

import numpy as np

from ..server import errors
from .interfaces import DecodingEngine
from .prefix_cache import common_prefix

READ = 2  # most tokens that a draft of the model's size reads for each that may follow; a smaller one reads more
LEAST_READ = 64  # tokens; with a shorter end of the history guesses would be poor. As much is read after a rest

# What a draft may use. positions: of its KV cache. vocabulary: tokens from 0 that both models have. smaller: how many
# times as many parameters the model has.
Limits = namedtuple("Limits", "positions vocabulary smaller")


class DraftModel:
    """A guesser with an engine of the draft. chooser: a Chooser, of the text.

    cache: of the engine; holds a beginning of the history, at least a token less. limits: Limits.
    checkpoint: as in Engine.forward.
    """

    def __init__(self, engine, chooser, cache, limits, checkpoint=None):
        self._engine, self._chooser, self._checkpoint = engine, chooser, checkpoint
        self._cache, self._limits = cache, limits
        self._begin = 0  # the first token of the history that is in the cache
        self._guessed, self._at = [], 0  # the last guesses, and how long the history was before them
        self._runs = chooser.is_argmax and isinstance(engine, DecodingEngine)

    def prepare(self, history, remaining):
        """Read what was written meanwhile. Returns whether the draft can guess, and is worth the reading."""
        self._forget_wrong(history)
        missing = len(history) - self._held
        worth = int((min(READ * remaining, LEAST_READ) if self._at else READ * remaining) * self._limits.smaller)
        if missing > worth or self._cache.length + missing > self._limits.positions:
            missing = self._begin_anew(history, min(worth, self._limits.positions // 2))
        if not missing or max(history[-missing:]) >= self._limits.vocabulary:
            return False
        if missing > 2:  # after right guesses two are missing, after wrong ones one
            self._engine.forward(history[-missing:-1], self._cache, checkpoint=self._checkpoint)
        return True

    def guess(self, history, most):
        """The tokens that the draft would write, at most `most`, none of those that end a text."""
        fresh = history[self._held :]
        most = min(most, self._limits.positions - self._cache.length - len(fresh) + 1)
        guessed = self._guessed = []
        self._at = len(history)
        logits = self._engine.forward(fresh, self._cache, checkpoint=self._checkpoint)[-1]
        while (token := self._chosen(logits, guessed)) is not None:
            guessed.append(token)
            if len(guessed) >= most:
                break
            run, logits = self._computed(token, most - len(guessed), logits.size)
            guessed += run
        return guessed

    def reusable(self, history):
        """The KV cache, which now holds a beginning of the history, or None if it holds another part of it."""
        self._forget_wrong(history)
        return self._cache if self._begin == 0 else None

    @property
    def _held(self):
        """How many tokens of the history the cache makes it unnecessary to compute."""
        return self._begin + self._cache.length

    def _forget_wrong(self, history):
        """Leave of the last guesses in the cache those that the model has written."""
        computed = self._guessed[: max(0, self._held - self._at)]
        right = common_prefix(computed, history[self._at : self._at + len(computed)])
        self._cache.truncate(self._cache.length - (len(computed) - right))
        self._guessed = []

    def _begin_anew(self, history, count):
        """Forget all, to read the last `count` tokens. Returns how many are missing then; 0: too few to guess from."""
        count = min(count, len(history))
        if count < min(LEAST_READ, len(history)):
            return 0
        self._cache, self._begin = self._engine.new_cache(), len(history) - count
        return count

    def _computed(self, token, most, vocabulary):
        """(tokens chosen after `token` without looking at their logits, fewer than `most`; logits after the last)."""
        if not self._runs:
            return [], self._engine.forward([token], self._cache, checkpoint=self._checkpoint)[-1]
        ends = np.array([*self._chooser.ends, *range(self._limits.vocabulary, vocabulary)], np.int64)
        run, logits = self._engine.decode(token, self._cache, most, ends, self._checkpoint)
        return run.tolist(), logits

    def _chosen(self, logits, guessed):
        """The token to guess next, or None: the text would end, or the draft's logits are not finite."""
        try:
            token = self._chooser.choose(logits[: self._limits.vocabulary], guessed)
        except errors.ModelError:  # the model that writes may do well all the same
            return None
        return None if token in self._chooser.ends else token
