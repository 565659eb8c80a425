"""The interfaces of engines and KV caches, and the sizes that both sides of them know."""

from typing import Protocol, runtime_checkable

PAGE = 64  # positions of a page of a KV cache
PASS_TOKENS = 256  # most tokens of a pass: more gain nothing, and their activations take tens of MB


class Cache(Protocol):
    """Keys and values of the positions 0 .. length - 1 of one sequence."""

    length: int

    def truncate(self, length):
        """Forget the positions from `length` on."""


class SharedCache(Cache, Protocol):
    """A cache of pages that caches with a common beginning share."""

    page_bytes: int  # of one page
    bytes: int  # of all its pages, shared ones included
    addresses: object  # int64 [at least the number of pages]: where each begins, the same in caches that share it

    def fork(self, length=None):
        """A cache with the first `length` positions, which shares their pages."""


class Engine(Protocol):
    """Computes the logits of one sequence at a time."""

    def new_cache(self) -> Cache:
        """An empty one for its model."""

    def forward(self, tokens, cache, last_only=True, checkpoint=None):
        """Logits after `tokens`, which follow the cache's: int[n] -> f32 [1, vocabulary], or [n, ...] if not last_only.

        The cache grows at the very end: after an exception, of `checkpoint` too, it holds what it held.
        """


@runtime_checkable
class BatchEngine(Engine, Protocol):
    """One that gives the same bits in whatever batch, so that texts may share passes, prefixes and guesses.

    Its caches are SharedCaches.
    """

    def forward_batch(self, rows, last_only=True, checkpoint=None):
        """`forward` of several sequences in shared passes: [(tokens, cache), ...], each with a cache of its own."""


@runtime_checkable
class DecodingEngine(Engine, Protocol):
    """One that decodes greedily by itself: several passes in a call, each for the argmax of the one before."""

    def decode(self, token, cache, most, ends=(), checkpoint=None):
        """(tokens chosen after `token`, fewer than `most` and none of `ends`; the logits after the last of them)."""


class Chooser(Protocol):
    """Chooses the tokens of a text that has been written up to some position."""

    ends: frozenset  # tokens that end the text
    is_argmax: bool  # whether each token is the one with the largest logit

    def choose(self, logits, guessed=()):
        """The token that would follow if the guessed ones followed first, by its logits: f32[vocabulary] -> int."""


class Guesser(Protocol):
    """Guesses tokens of a text, which the model then verifies. A history is the whole text so far; it only grows."""

    def prepare(self, history, remaining):
        """Whether it can guess now. What this takes is not counted as the cost of a guess.

        remaining: how many tokens may still follow.
        """

    def guess(self, history, most):
        """The tokens that it expects next, at most `most`. Called right after a `prepare` that returned True."""
