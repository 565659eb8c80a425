-- Deploy hartonomous:python_runtime_kv_cache to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/kv_cache.py by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.kv_cache()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Keys and values of the positions already computed, in pages of 64 positions that several caches may share.

Growing adds pages and copies nothing. A cache that forks from another shares its full pages; the first of them that is
written again is copied then, so a fork behaves like a copy.
"""

import numpy as np

from . import errors
from .attention_kernels import PAGE, head_elements

ALIGNMENT = 64  # bytes
MOST_AHEAD = 32  # pages: a cache grows by as much as it has, up to this; memory that is not touched is not taken


class _Page:
    """A piece of memory, and how many caches hold it."""

    def __init__(self, content):
        self.content = content
        self.address = content.ctypes.data
        self.holders = 1


def _new_pages(count, size):
    """Pages beside each other in one allocation: numpy asks for huge pages where it is large."""
    memory = np.empty(count * size + ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % ALIGNMENT
    return [_Page(memory[begin + page * size :][:size]) for page in range(count)]


class KVCache:
    """The positions 0 .. length - 1 of one sequence. dtype float32, or uint16 for half precision."""

    def __init__(self, architecture, dtype):
        self.length = 0
        self.dtype = np.dtype(dtype)
        self.architecture = architecture
        heads = architecture.layers * architecture.kv_heads
        self.page_bytes = heads * head_elements(architecture.head_dim) * self.dtype.itemsize
        self._pages = []
        self.addresses = np.zeros(0, np.int64)  # of the pages, for the kernels; may be longer than there are pages

    @property
    def bytes(self):
        """Memory of all the pages, shared ones included."""
        return len(self._pages) * self.page_bytes

    def reserve(self, tokens):
        """Make pages for `tokens` more positions, this cache's own. ModelError 53400 beyond the context length."""
        needed = self.length + tokens
        self.architecture.require_room(self.length, tokens)
        for place in range(self.length // PAGE, len(self._pages)):
            if self._pages[place].holders > 1:
                self._own(place)
        missing = -(-needed // PAGE) - len(self._pages)
        if missing > 0:
            for page in _new_pages(max(missing, min(len(self._pages), MOST_AHEAD)), self.page_bytes):
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
        if len(self._pages) == len(self.addresses):
            self.addresses = np.concatenate([self.addresses, np.zeros(max(8, len(self._pages)), np.int64)])
        self.addresses[len(self._pages)] = page.address
        self._pages.append(page)

    def _own(self, place):
        shared = self._pages[place]
        shared.holders -= 1
        copy = _new_pages(1, self.page_bytes)[0]
        copy.content[:] = shared.content
        self._pages[place] = copy
        self.addresses[place] = copy.address
$python$;

REVOKE ALL ON FUNCTION llm_runtime.kv_cache() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.kv_cache() IS
'Keys and values of the positions already computed, in pages of 64 positions that several caches may share.';

COMMIT;
