"""A KV cache: keys and values of the positions already computed, in pages of 64 positions that caches may share.

A cache grows by adding pages; nothing is copied. A fork shares the pages of its cache, and a shared page is copied
before it is written (copy on write), so a fork behaves like a copy.

Pages that are allocated together are interleaved: the keys of a kv head are contiguous over all of these pages, and so
are its values. Attention reads a long context several times as fast as it would from single pages.
"""

import numpy as np

from ..kernels.groups import CACHE_LINE
from ..kernels.kv_pages import PAGE, PAGE_FIELDS, head_bytes
from ..server import errors

MOST_AHEAD = 32  # most pages allocated in advance: a cache doubles up to this. Untouched memory takes no RAM


class _Page:
    """A page: keys and values, uint8 [layers * kv_heads][bytes], and its reference count, `holders`."""

    def __init__(self, keys, values):
        self.keys, self.values = keys, values
        self.holders = 1

    @property
    def fields(self):
        """Its row of the page table, see kv_pages."""
        return self.keys.ctypes.data, self.values.ctypes.data, self.keys.strides[0]


def _new_pages(count, heads, key_bytes, value_bytes):
    """Allocate pages together, [head]{keys of all pages, values of all pages}; numpy asks for huge pages if large."""
    memory = np.empty(heads * count * (key_bytes + value_bytes) + CACHE_LINE, np.uint8)
    begin = -memory.ctypes.data % CACHE_LINE
    both = memory[begin : begin + memory.size - CACHE_LINE].reshape(heads, -1)
    keys, values = np.split(both, [count * key_bytes], axis=1)
    return [
        _Page(keys[:, at * key_bytes : (at + 1) * key_bytes], values[:, at * value_bytes : (at + 1) * value_bytes])
        for at in range(count)
    ]


class KVCache:
    """Keys and values of the positions 0 .. length - 1 of one sequence. dtype: float32 or int16, see kv_pages."""

    def __init__(self, architecture, dtype):
        self.length = 0
        self.dtype = np.dtype(dtype)
        self.architecture = architecture
        self._heads = architecture.layers * architecture.kv_heads
        self._key_bytes, self._value_bytes = head_bytes(architecture.head_dim, self.dtype)
        self._pages = []
        self.pages = np.zeros((0, PAGE_FIELDS), np.int64)  # the page table; may have more rows than pages

    @property
    def page_bytes(self):
        """Bytes of one page."""
        return self._heads * (self._key_bytes + self._value_bytes)

    @property
    def bytes(self):
        """Bytes of all pages, shared ones included."""
        return len(self._pages) * self.page_bytes

    @property
    def addresses(self):
        """The address of each page, int64 [at least the number of pages]; caches that share a page have the same."""
        return self.pages[:, 0]

    def reserve(self, tokens):
        """Allocate pages for `tokens` more positions, and copy shared pages that will be written.

        Raises ModelError 53400 beyond the context length.
        """
        self.architecture.require_room(self.length, tokens)
        for number in range(self.length // PAGE, len(self._pages)):
            if self._pages[number].holders > 1:
                self._copy(number)
        missing = -(-(self.length + tokens) // PAGE) - len(self._pages)
        if missing > 0:
            ahead = max(missing, min(len(self._pages), MOST_AHEAD))
            for page in _new_pages(ahead, self._heads, self._key_bytes, self._value_bytes):
                self._append(page)

    def truncate(self, length):
        """Forget the positions from `length` on; their pages are kept for new ones. Raises ModelError 22023."""
        if not 0 <= length <= self.length:
            raise errors.invalid_parameter(f"cannot truncate a cache of {self.length} positions to {length}")
        self.length = length

    def fork(self, length=None):
        """A cache with the first `length` positions (default: all), which shares the pages. Raises ModelError 22023."""
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

    def _copy(self, number):
        """Replace a shared page by a copy of its own."""
        shared = self._pages[number]
        shared.holders -= 1
        copy = _new_pages(1, self._heads, self._key_bytes, self._value_bytes)[0]
        copy.keys[:], copy.values[:] = shared.keys, shared.values
        self._pages[number] = copy
        self.pages[number] = copy.fields
