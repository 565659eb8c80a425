"""Keys and values of the positions already computed, in pages of 64 positions that several caches may share.

Growing adds pages and copies nothing. A cache that forks from another shares its pages; a shared page that is written
again is copied first, so a fork behaves like a copy.

Pages that are made together lie interleaved, so that each kv head's keys, and its values, are one run of memory over
all of them: attention over a long context reads runs several times as fast as single pages.
"""

import numpy as np

from ..kernels.kv_pages import PAGE, PAGE_FIELDS, head_bytes
from ..server import errors

ALIGNMENT = 64  # bytes
MOST_AHEAD = 32  # pages: a cache grows by as much as it has, up to this; memory that is not touched is not taken


class _Page:
    """One page: its keys and its values, uint8 [layers * kv_heads][bytes], and how many caches hold it."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values
        self.holders = 1

    @property
    def fields(self):
        """What the kernels need to know: see kv_pages.PAGE_FIELDS."""
        return self.keys.ctypes.data, self.values.ctypes.data, self.keys.strides[0]


def _new_pages(count, heads, key_bytes, value_bytes):
    """Pages in one allocation, [head]{keys of all pages, values of all pages}; numpy asks for huge pages if large."""
    memory = np.empty(heads * count * (key_bytes + value_bytes) + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    both = memory[begin : begin + memory.size - ALIGNMENT].reshape(heads, -1)
    keys, values = np.split(both, [count * key_bytes], axis=1)
    return [
        _Page(keys[:, at * key_bytes : (at + 1) * key_bytes], values[:, at * value_bytes : (at + 1) * value_bytes])
        for at in range(count)
    ]


class KVCache:
    """The positions 0 .. length - 1 of one sequence. dtype float32, or int16 for codes (see kv_pages)."""

    def __init__(self, architecture, dtype):
        self.length = 0
        self.dtype = np.dtype(dtype)
        self.architecture = architecture
        self._heads = architecture.layers * architecture.kv_heads
        self._key_bytes, self._value_bytes = head_bytes(architecture.head_dim, self.dtype)
        self._pages = []
        self.pages = np.zeros((0, PAGE_FIELDS), np.int64)  # for the kernels; may have more rows than there are pages

    @property
    def page_bytes(self):
        """Memory of one page."""
        return self._heads * (self._key_bytes + self._value_bytes)

    @property
    def bytes(self):
        """Memory of all the pages, shared ones included."""
        return len(self._pages) * self.page_bytes

    @property
    def addresses(self):
        """Where each page begins, int64 [at least the number of pages]: the same in caches that share it."""
        return self.pages[:, 0]

    def reserve(self, tokens):
        """Make pages for `tokens` more positions, this cache's own. ModelError 53400 beyond the context length."""
        self.architecture.require_room(self.length, tokens)
        for place in range(self.length // PAGE, len(self._pages)):
            if self._pages[place].holders > 1:
                self._own(place)
        missing = -(-(self.length + tokens) // PAGE) - len(self._pages)
        if missing > 0:
            ahead = max(missing, min(len(self._pages), MOST_AHEAD))
            for page in _new_pages(ahead, self._heads, self._key_bytes, self._value_bytes):
                self._append(page)

    def truncate(self, length):
        """Forget the positions from `length` on. The pages stay, for what comes next."""
        if not 0 <= length <= self.length:
            raise errors.invalid_parameter(f"cannot truncate a cache of {self.length} positions to {length}")
        self.length = length

    def fork(self, length=None):
        """A cache with the first `length` positions (default all), which shares the pages."""
        length = self.length if length is None else length
        if not 0 <= length <= self.length:
            raise errors.invalid_parameter(f"cannot fork {length} of the {self.length} positions of a cache")
        other = KVCache(self.architecture, self.dtype)
        for page in self._pages[: -(-length // PAGE)]:
            page.holders += 1
            other._append(page)
        other.length = length
        return other

    def __del__(self):
        for page in self._pages:
            page.holders -= 1

    def _append(self, page):
        if len(self._pages) == len(self.pages):
            more = np.zeros((max(8, len(self._pages)), PAGE_FIELDS), np.int64)
            self.pages = np.concatenate([self.pages, more])
        self.pages[len(self._pages)] = page.fields
        self._pages.append(page)

    def _own(self, place):
        shared = self._pages[place]
        shared.holders -= 1
        copy = _new_pages(1, self._heads, self._key_bytes, self._value_bytes)[0]
        copy.keys[:], copy.values[:] = shared.keys, shared.values
        self._pages[place] = copy
        self.pages[place] = copy.fields
