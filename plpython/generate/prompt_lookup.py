"""Guesses at the next tokens, by looking up what followed the last few where they stood before in the text.

Texts that repeat themselves or their prompt (code, tables, quotations) are guessed well, others hardly. The model then
verifies several tokens in one pass over its weights, which costs little more than one.
Prompt lookup decoding (Saxena 2023); verified exactly, so the text does not change.
"""

SIZES = (3, 2)  # of the runs of tokens that are looked up, the longest first


class PromptLookup:
    """Guesses at most `most` tokens. Remembers where each run of tokens stood last, so a guess takes no search."""

    def __init__(self, most):
        self._most = most
        self._after = {}  # run -> the index of the token that followed it last
        self._seen = 0  # how many tokens of the history are in there

    def prepare(self, history, remaining):
        """Whether the last run of the history stood there before. A history only ever grows."""
        return self._place(history) is not None

    def guess(self, history, most):
        """The tokens that followed the last run of the history; `most` limits them too."""
        after = self._place(history)
        return [] if after is None else history[after : after + max(0, min(self._most, most))]

    def _place(self, history):
        """The index of the token that followed the last run when it stood there before, or None."""
        for end in range(max(self._seen, 1), len(history)):
            for size in SIZES:
                if end >= size:
                    self._after[tuple(history[end - size : end])] = end
        self._seen = len(history)
        places = (self._after.get(tuple(history[-size:])) for size in SIZES if len(history) >= size)
        return next((place for place in places if place is not None), None)
