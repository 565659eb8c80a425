"""An engine whose logits are a hash of all tokens before them: any token that is missed, doubled or misplaced shows."""

import zlib

import numpy as np

VOCABULARY = 258
PAGE = 64
PAGE_BYTES = 1000


class ToyCache:
    """As kv_cache.KVCache: what was computed, in pages with addresses that forks share."""

    page_bytes = PAGE_BYTES
    pages_made = 0

    def __init__(self, tokens=(), addresses=()):
        self.tokens, self._addresses = list(tokens), list(addresses)

    @property
    def length(self):
        return len(self.tokens)

    @property
    def bytes(self):
        return len(self._addresses) * PAGE_BYTES

    @property
    def addresses(self):
        return np.array([*self._addresses, 0], np.int64)

    def extend(self, tokens):
        if self.length % PAGE:
            self._addresses.pop()  # a page that may be shared is copied
        self.tokens += tokens
        while len(self._addresses) * PAGE < self.length:
            ToyCache.pages_made += 1
            self._addresses.append(ToyCache.pages_made)

    def fork(self, length):
        assert length <= self.length
        return ToyCache(self.tokens[:length], self._addresses[: -(-length // PAGE)])

    def truncate(self, length):
        assert 0 <= length <= self.length
        del self.tokens[length:]


class ToyEngine:
    """forward as any engine has it. `passes`: the numbers of tokens of each row of each pass."""

    def __init__(self, ill_after=None):
        self.passes = []
        self._ill_after = ill_after

    def new_cache(self):
        return ToyCache()

    def forward(self, tokens, cache, last_only=True, checkpoint=None):
        self.passes.append([len(tokens)])
        return self._computed(tokens, cache)[-1 if last_only else 0 :]

    def _computed(self, tokens, cache):
        cache.extend(tokens)
        begins = range(cache.length - len(tokens) + 1, cache.length + 1)
        return np.stack([self._logits(cache.tokens[:length]) for length in begins])

    def _logits(self, tokens):
        if self._ill_after is not None and tokens[-1] == self._ill_after:
            return np.full(VOCABULARY, np.nan, np.float32)
        generator = np.random.default_rng(zlib.crc32(np.array(tokens, np.int64).tobytes()))
        return generator.standard_normal(VOCABULARY, np.float32)


class ToyBatchEngine(ToyEngine):
    """With forward_batch, as engines have whose bits do not depend on the batch."""

    def forward_batch(self, rows, last_only=True, checkpoint=None):
        if checkpoint is not None:
            checkpoint()
        assert len({id(cache) for _, cache in rows}) == len(rows)
        self.passes.append([len(tokens) for tokens, _ in rows])
        return np.stack([self._computed(tokens, cache)[-1] for tokens, cache in rows])
