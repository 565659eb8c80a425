"""Pages of a KV cache, 64 positions each: their layout, and how a key and a value are stored.

For every layer and kv head (a "head" here) a page holds, with head_dim padded to whole registers of 16 for values,

    float32    keys    [64 / 16][head_dim][16]             one register is one dimension of 16 positions
               values  [head_dim / 16][64][16]             one register is 16 dimensions of one position
    int16      keys    [64 / 16][head_dim / 2][16][2]      one register is two dimensions of 16 positions
               values  [head_dim / 16][64 / 2][16][2]      one register is 16 dimensions of two positions
               and after the keys, and after the values, float32 [64]: a scale for each position

With this order no sum runs across lanes, and a register serves all the queries of its head. An int16 page holds 14
bits a number, in steps of 1 / 8,191 of the largest number of its vector, which is as precise as half precision is for
the largest. Queries and softmax weights have 13 bits, so that a sum of 64 products just fits into 32 bits: attention
over int16 pages is exact except for these roundings, with half the multiplications of float32.

A page table, int64 [pages][3], has for each page the address of head 0's keys, the address of its values, and the
distance in bytes from one head to the next.
"""

from collections import namedtuple

import numpy as np

from ..generate.interfaces import PAGE
from ..simd.memory import array_at, load_first, store
from ..simd.registers import compiled, f32, fill, inlined, lane, maximum, rint, to_i32
from .elementwise import largest_magnitude

# Where the key and the value of one position and head are stored: a row of the page table, a head of that page, and the
# position in the sequence.
KVAddress = namedtuple("KVAddress", "pages page head head_dim position")

PAGE_FIELDS = 3  # columns of a page table
LARGEST_KV_CODE = 8191  # the largest code of a key or a value
LARGEST_QUERY_CODE = 4095  # the largest code of a query or a weight: 64 products with a LARGEST_KV_CODE stay below 2^31


@compiled
def padded(width):
    """The width rounded up to whole registers."""
    return (width + 15) // 16 * 16


@compiled
def key_elements(head_dim):
    """Elements of one head's keys in a page, without the scales."""
    return PAGE * (head_dim + head_dim % 2)


@compiled
def value_elements(head_dim):
    """Elements of one head's values in a page, without the scales."""
    return PAGE * padded(head_dim)


def head_bytes(head_dim, dtype):
    """(bytes of the keys, bytes of the values) of one head in a page of float32 or int16, scales included."""
    itemsize, scales = np.dtype(dtype).itemsize, 0 if dtype == np.float32 else PAGE * 4
    return key_elements(head_dim) * itemsize + scales, value_elements(head_dim) * itemsize + scales


@inlined
def page_keys(pages, page, head, head_dim, like):
    """One head's keys in a page, a flat array of the dtype of `like`."""
    return array_at(pages[page, 0] + head * pages[page, 2], key_elements(head_dim), like)


@inlined
def page_values(pages, page, head, head_dim, like):
    """One head's values in a page, a flat array of the dtype of `like`."""
    return array_at(pages[page, 1] + head * pages[page, 2], value_elements(head_dim), like)


@inlined
def page_scales(codes, pages, page, field, head, like):
    """The 64 scales of a head's int16 keys (field 0) or values (field 1); `like` is a float32 array.

    codes: key_elements or value_elements.
    """
    return array_at(pages[page, field] + head * pages[page, 2] + 2 * codes, PAGE, like)


@compiled
def store_floats(address, x, k_at, v_at):
    """Store a key, x[k_at ...], and a value, x[v_at ...], at a KVAddress in a float32 page."""
    pages, page, head, head_dim, position = address
    keys, values = page_keys(pages, page, head, head_dim, x), page_values(pages, page, head, head_dim, x)
    row = position % PAGE
    tile = row // 16 * head_dim * 16 + row % 16
    for d in range(head_dim):
        keys[tile + d * 16] = x[k_at + d]
    for d in range(0, head_dim, 16):
        store(values, (d * PAGE) + row * 16, load_first(head_dim - d, x, v_at + d))


@compiled
def quantize_vector(x, at, width, largest_code, codes, codes_at):
    """Quantise a vector to int16 codes of at most `largest_code`, padded with zeros to whole registers. -> the scale.

    If a number is infinite or NaN, so is the scale: codes cannot be.
    """
    largest = largest_magnitude(x, at, width)
    inverse = fill(np.float32(largest_code), f32) / maximum(1e-30, largest)
    for d in range(0, width, 16):
        store(codes, codes_at + d, to_i32(rint(load_first(width - d, x, at + d) * inverse)))
    return lane(largest, 0) / np.float32(largest_code)


@compiled
def store_codes(address, x, k_at, v_at, codes):
    """The same in an int16 page. `codes` is scratch, int16[head_dim padded]."""
    pages, page, head, head_dim, position = address
    keys, values = page_keys(pages, page, head, head_dim, codes), page_values(pages, page, head, head_dim, codes)
    key_scales = page_scales(key_elements(head_dim), pages, page, 0, head, x)
    value_scales = page_scales(value_elements(head_dim), pages, page, 1, head, x)
    row = position % PAGE
    key_scales[row] = quantize_vector(x, k_at, head_dim, LARGEST_KV_CODE, codes, 0)
    pairs = (head_dim + 1) // 2
    tile = (row // 16 * pairs * 16 + row % 16) * 2
    for d in range(2 * pairs):
        keys[tile + d // 2 * 32 + d % 2] = codes[d]
    value_scales[row] = quantize_vector(x, v_at, head_dim, LARGEST_KV_CODE, codes, 0)
    pair = row // 2 * 32 + row % 2
    for d in range(padded(head_dim)):
        values[d // 16 * 16 * PAGE + pair + d % 16 * 2] = codes[d]
