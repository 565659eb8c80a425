"""KV caches that a session keeps after a text is finished, for the next prompt that begins the same way.

Kept by what the text was computed with (a model's hash) and for whom (a role): nobody's prompt is ever answered from
what another role computed. Least recently used ones go when all together outgrow their memory; pages that several
share count once. Only for engines whose bits do not depend on what was computed together: a reused prefix changes no
answer.
"""

from collections import namedtuple

SHORTEST = 8  # tokens; a shorter common beginning is not worth the copy of a page

Entry = namedtuple("Entry", "key tokens cache")


class PrefixCache:
    """The kept caches, the most recently used last."""

    def __init__(self):
        self._entries = []

    @property
    def bytes(self):
        """Memory of all that is kept."""
        return unique_bytes([entry.cache for entry in self._entries])

    def fork(self, key, tokens):
        """A cache with as much of the tokens as any that is kept for the key begins with; None when that is too little.

        At least the last token is left to compute: its logits are not kept.
        """
        shares = [
            (min(common_prefix(entry.tokens, tokens), entry.cache.length, len(tokens) - 1), index)
            for index, entry in enumerate(self._entries)
            if entry.key == key
        ]
        shared, index = max(shares, default=(0, None))
        if shared < SHORTEST:
            return None
        entry = self._entries.pop(index)
        self._entries.append(entry)
        return entry.cache.fork(shared)

    def keep(self, key, tokens, cache, memory):
        """Keep a cache that holds a beginning of the tokens, and what else fits into `memory` bytes with it.

        What the new one begins with, or is the beginning of, is kept once.
        """
        tokens = list(tokens[: cache.length])
        if len(tokens) < SHORTEST:
            return
        shares = [(entry, common_prefix(entry.tokens, tokens)) for entry in self._entries if entry.key == key]
        if any(shared == len(tokens) for _, shared in shares):
            return
        covered = {id(entry) for entry, shared in shares if shared == len(entry.tokens)}
        self._entries = [entry for entry in self._entries if id(entry) not in covered]
        self._entries.append(Entry(key, tokens, cache))
        self.shrink(memory)

    def shrink(self, memory):
        """Free those used least recently until all together take no more than `memory` bytes."""
        while self._entries and self.bytes > memory:
            self._entries.pop(0)

    def clear(self):
        """Free them all."""
        self._entries.clear()


def common_prefix(one, other):
    """How many tokens two lists have in common from their beginning on: by halves, since comparing lists is fast."""
    same, different = 0, min(len(one), len(other))
    if one[:different] == other[:different]:
        return different
    while different - same > 1:
        middle = (same + different) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            different = middle
    return same


def unique_bytes(caches):
    """Bytes of the pages of caches, of which several may share some."""
    sizes = {}
    for cache in caches:
        held = cache.addresses[: cache.bytes // cache.page_bytes]
        sizes.update(dict.fromkeys(held.tolist(), cache.page_bytes))
    return sum(sizes.values())
