"""Continuous batching: texts that share each pass over the weights, and join and leave it as they begin and finish.

A pass takes one token of every text that is being written and fills up with the prompts of those that just joined. A
text whose prompt begins as another's does waits until that one has computed the common part, and forks its KV cache.
When the caches outgrow their memory the text that joined last gives its own back, and computes it again later: the same
bits, so every text is what it would be alone. Knows engines by their interface, and no server.

An engine that is no BatchEngine (numpy's bits depend on what is computed together) writes the texts one by one.
"""

from collections import deque

from ..server import errors
from .interfaces import BatchEngine
from .prefix_cache import SHORTEST, common_prefix, unique_bytes

ROWS = 32  # texts at once: beyond it a pass over block-quantised weights gains little
PAGE = 64  # positions of a page of a KV cache
PASS_TOKENS = 256  # tokens of a pass, the compiled engine's largest


def batches(engine):
    """Whether an engine gives the same bits in whatever batch, so that texts may share passes, prefixes and guesses."""
    return isinstance(engine, BatchEngine)


class Row:
    """A text in the making: its key, its Continuation, the pieces of its text, and its KV cache while it takes part.

    leader: the row whose cache this one forks at `shared` positions, once they are there.
    """

    def __init__(self, key, continuation):
        self.key, self.continuation = key, continuation
        self.pieces = []
        self.cache = self.leader = None
        self.shared = 0

    @property
    def fresh(self):
        """The tokens that are not in the cache yet."""
        return self.continuation.history[self.cache.length :]


class Scheduler:
    """Writes the texts of `rows`, an iterator of (key, Continuation, or a ModelError), read as there is room.

    memory: bytes that the KV caches of the texts being written may take; one text is always written. known(tokens)
    gives a cache that holds a beginning of the tokens, or None. stats: counts prefilled, reused and generated tokens.
    """

    def __init__(self, engine, rows, checkpoint, memory, stats, known=lambda tokens: None):
        self._engine, self._rows, self._checkpoint = engine, iter(rows), checkpoint
        self._memory, self._stats, self._known = memory, stats, known
        self._together = batches(engine)
        self._width = ROWS if self._together else 1
        self._active = []  # leaders before those that follow them
        self._returned = deque()  # rows that gave back their memory, or found none
        self.last = None  # the row that finished last: its cache holds what the next prompts may begin with

    def run(self):
        """Yields (key, Continuation or None, text, ModelError or None) of each row as it finishes."""
        while True:
            yield from self._join()
            if not self._active:
                return
            self._give_back()
            yield from self._step()

    def _join(self):
        """Let rows in while there is room. Yields those that are finished before they begin."""
        while len(self._active) < self._width:
            row = self._returned.popleft() if self._returned else None
            if row is None:
                following = next(self._rows, None)
                if following is None:
                    return
                key, continuation = following
                if isinstance(continuation, errors.ModelError):
                    yield key, None, None, continuation
                    continue
                row = Row(key, continuation)
                if continuation.finish_reason is not None:
                    yield key, continuation, "", None
                    continue
            if self._active and self._together and not self._fits(row):
                self._returned.appendleft(row)
                return
            self._begin(row)
            self._active.append(row)

    def _fits(self, row):
        """Whether there is memory for a row's tokens, and a page for each row to grow."""
        pages = len(row.continuation.history) // PAGE + 1 + len(self._active)
        return self._used() + pages * self._active[0].cache.page_bytes <= self._memory

    def _begin(self, row):
        """Give a row its cache: a fork of what is there of its prompt, or an empty one."""
        tokens = row.continuation.history
        row.leader, row.shared = None, 0
        if self._together:
            leaders = [*self._active, *([self.last] if self.last else [])]
            shares = [(common_prefix(leader.continuation.history, tokens), leader) for leader in leaders]
            shared, leader = max(shares, key=lambda share: share[0], default=(0, None))
            shared = min(shared, len(tokens) - 1)
            known = self._known(tokens)
            if known is not None and known.length >= shared:
                row.cache = known
                self._stats.reused += known.length
                return
            if shared >= SHORTEST:
                row.leader, row.shared = leader, shared
        row.cache = self._engine.new_cache()
        self._follow(row)

    def _follow(self, row):
        """Fork the leader's cache when it is far enough; until then the row waits."""
        if row.leader is not None and row.leader.cache.length >= row.shared:
            row.cache = row.leader.cache.fork(row.shared)
            self._stats.reused += row.shared
            row.leader = None

    def _give_back(self):
        """Take the caches of rows that joined last while all together are too large."""
        while self._together and len(self._active) > 1 and self._used() > self._memory:
            row = self._active.pop()
            row.cache = row.leader = None
            self._returned.appendleft(row)

    def _used(self):
        """Bytes of the caches; pages that several share count once, which is only looked at when it matters."""
        caches = [row.cache for row in self._active]
        most = sum(cache.bytes for cache in caches)
        return most if most <= self._memory // 2 else unique_bytes(caches)

    def _step(self):
        """One pass. Yields the rows that it finishes."""
        shares = self._shares()
        logits = self._forward(shares)
        for (row, tokens), scores in zip(shares, logits, strict=True):
            if len(row.continuation.history) == row.continuation.prompt_tokens or len(tokens) > 1:
                self._stats.prefilled += len(tokens)
            if row.cache.length < len(row.continuation.history):
                continue  # its prompt goes on in the next pass
            error = self._accept(row, scores)
            if error is not None or row.continuation.finish_reason is not None:
                yield self._finished(row, error)
        for row in self._active:
            self._follow(row)

    def _shares(self):
        """The (row, tokens) of the next pass: one token of each text being written, then prompts as far as they fit."""
        ready = [(row, row.fresh) for row in self._active if row.leader is None]
        if not self._together:
            return ready
        writing = [share for share in ready if len(share[1]) == 1]
        room = PASS_TOKENS - len(writing)
        shares = []
        for row, fresh in ready:
            if len(fresh) == 1:
                shares.append((row, fresh))
            elif room > 0:
                shares.append((row, fresh[:room]))
                room -= min(room, len(fresh))
        return shares

    def _forward(self, shares):
        pairs = [(tokens, row.cache) for row, tokens in shares]
        if self._together:
            return self._engine.forward_batch(pairs, checkpoint=self._checkpoint)
        return [self._engine.forward(tokens, cache, checkpoint=self._checkpoint)[-1] for tokens, cache in pairs]

    def _accept(self, row, logits):
        """Choose the row's next token; what is wrong with its logits is the row's error and nobody else's."""
        before = len(row.continuation.history)
        try:
            row.pieces.append(row.continuation.accept(logits))
        except errors.ModelError as error:
            return error
        self._stats.generated += len(row.continuation.history) - before
        return None

    def _finished(self, row, error):
        for other in self._active:
            self._follow(other)
        self._active.remove(row)
        if error is not None:
            return row.key, None, None, error
        self.last = row
        return row.key, row.continuation, "".join(row.pieces), None
