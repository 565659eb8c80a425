"""Continuous batching: sequences that share each pass over the weights, and join and leave it as they begin and finish.

A pass takes one token of every sequence that decodes, and fills up with prompts of those in prefill. A sequence whose
prompt begins like another's waits until that one has computed the common prefix, and forks its KV cache. When the
caches outgrow their memory, the sequence that was admitted last is preempted: it frees its cache and computes it again
later, with the same bits. So every text is what it would be alone. Knows engines by their interface, and no server.

With an engine that is no BatchEngine (numpy's bits depend on what is computed together) sequences run one by one.
"""

from collections import deque

from ..server import errors
from .interfaces import PAGE, PASS_TOKENS, BatchEngine
from .prefix_cache import SHORTEST, common_prefix, unique_bytes

MOST_SEQUENCES = 32  # in a pass: with more, one over block-quantised weights gains little


def batches(engine):
    """Whether an engine gives the same bits in whatever batch, so that texts may share passes, prefixes and guesses."""
    return isinstance(engine, BatchEngine)


class Sequence:
    """One text that takes part in passes: its key, its Continuation, the pieces of its text, and its KV cache.

    leader: the sequence whose cache this one forks at `shared` positions, as soon as it has computed them.
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
    """Writes the texts of `arriving`, an iterator of (key, Continuation, or a ModelError), read when one more can run.

    memory: bytes that the KV caches of the running sequences may take; one sequence always runs. known(tokens) gives a
    cache that holds a beginning of the tokens, or None. stats: counts prefilled, reused and generated tokens.
    """

    def __init__(self, engine, arriving, checkpoint, memory, stats, known=lambda tokens: None):
        self._engine, self._arriving, self._checkpoint = engine, iter(arriving), checkpoint
        self._memory, self._stats, self._known = memory, stats, known
        self._together = batches(engine)
        self._width = MOST_SEQUENCES if self._together else 1
        self._running = []  # leaders before those that follow them
        self._waiting = deque()  # preempted, or not admitted for lack of memory
        self.last = None  # the sequence that finished last: the next prompts may begin with what its cache holds

    def run(self):
        """Yields (key, Continuation or None, text, ModelError or None) of each sequence as it finishes."""
        while True:
            yield from self._admit()
            if not self._running:
                return
            self._preempt()
            yield from self._step()

    def _admit(self):
        """Let sequences run while width and memory allow. Yields those that are finished before they begin."""
        while len(self._running) < self._width:
            sequence = self._waiting.popleft() if self._waiting else None
            if sequence is None:
                following = next(self._arriving, None)
                if following is None:
                    return
                key, continuation = following
                if isinstance(continuation, errors.ModelError):
                    yield key, None, None, continuation
                    continue
                sequence = Sequence(key, continuation)
                if continuation.finish_reason is not None:
                    yield key, continuation, "", None
                    continue
            if self._running and self._together and not self._fits(sequence):
                self._waiting.appendleft(sequence)
                return
            self._begin(sequence)
            self._running.append(sequence)

    def _fits(self, sequence):
        """Whether there is memory for a sequence's tokens, and for each sequence to grow by a page."""
        pages = len(sequence.continuation.history) // PAGE + 1 + len(self._running)
        return self._used() + pages * self._running[0].cache.page_bytes <= self._memory

    def _begin(self, sequence):
        """Give a sequence its cache: a fork of one with a prefix of its prompt, or an empty one."""
        tokens = sequence.continuation.history
        sequence.leader, sequence.shared = None, 0
        if self._together:
            leaders = [*self._running, *([self.last] if self.last else [])]
            shares = [(common_prefix(leader.continuation.history, tokens), leader) for leader in leaders]
            shared, leader = max(shares, key=lambda share: share[0], default=(0, None))
            shared = min(shared, len(tokens) - 1)
            known = self._known(tokens)
            if known is not None and known.length >= shared:
                sequence.cache = known
                self._stats.reused += known.length
                return
            if shared >= SHORTEST:
                sequence.leader, sequence.shared = leader, shared
        sequence.cache = self._engine.new_cache()
        self._follow(sequence)

    def _follow(self, sequence):
        """Fork the leader's cache when it holds the common prefix; until then the sequence takes no part in passes."""
        if sequence.leader is not None and sequence.leader.cache.length >= sequence.shared:
            sequence.cache = sequence.leader.cache.fork(sequence.shared)
            self._stats.reused += sequence.shared
            sequence.leader = None

    def _preempt(self):
        """Free the caches of the sequences that were admitted last while all together are too large."""
        while self._together and len(self._running) > 1 and self._used() > self._memory:
            sequence = self._running.pop()
            sequence.cache = sequence.leader = None
            self._waiting.appendleft(sequence)

    def _used(self):
        """Bytes of the caches; pages that several share count once, which is only looked at when it matters."""
        caches = [sequence.cache for sequence in self._running]
        most = sum(cache.bytes for cache in caches)
        return most if most <= self._memory // 2 else unique_bytes(caches)

    def _step(self):
        """One pass. Yields the sequences that it finishes."""
        shares = self._shares()
        logits = self._forward(shares)
        for (sequence, tokens), scores in zip(shares, logits, strict=True):
            if len(sequence.continuation.history) == sequence.continuation.prompt_tokens or len(tokens) > 1:
                self._stats.prefilled += len(tokens)
            if sequence.cache.length < len(sequence.continuation.history):
                continue  # its prompt goes on in the next pass
            error = self._accept(sequence, scores)
            if error is not None or sequence.continuation.finish_reason is not None:
                yield self._finished(sequence, error)
        for sequence in self._running:
            self._follow(sequence)

    def _shares(self):
        """The (sequence, tokens) of the next pass: one token of each that decodes, then prompts up to the budget."""
        ready = [(sequence, sequence.fresh) for sequence in self._running if sequence.leader is None]
        if not self._together:
            return ready
        budget = PASS_TOKENS - sum(len(fresh) == 1 for _, fresh in ready)
        shares = []
        for sequence, fresh in ready:
            if len(fresh) == 1:
                shares.append((sequence, fresh))
            elif budget > 0:
                shares.append((sequence, fresh[:budget]))
                budget -= min(budget, len(fresh))
        return shares

    def _forward(self, shares):
        pairs = [(tokens, sequence.cache) for sequence, tokens in shares]
        if self._together:
            return self._engine.forward_batch(pairs, checkpoint=self._checkpoint)
        return [self._engine.forward(tokens, cache, checkpoint=self._checkpoint)[-1] for tokens, cache in pairs]

    def _accept(self, sequence, logits):
        """Choose the sequence's next token. Returns the error where its logits are wrong: the others go on."""
        before = len(sequence.continuation.history)
        try:
            sequence.pieces.append(sequence.continuation.accept(logits))
        except errors.ModelError as error:
            return error
        self._stats.generated += len(sequence.continuation.history) - before
        return None

    def _finished(self, sequence, error):
        for other in self._running:
            self._follow(other)
        self._running.remove(sequence)
        if error is not None:
            return sequence.key, None, None, error
        self.last = sequence
        return sequence.key, sequence.continuation, "".join(sequence.pieces), None
