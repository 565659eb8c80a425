"""Pages of keys and values, 64 positions each, as attention reads them and as a token's are stored.

A page holds, for every layer and kv head (a "head" here), with head_dim padded to whole registers of 16 for values,

    float32    keys    [64 / 16][head_dim][16]             one register is one dimension of 16 positions
               values  [head_dim / 16][64][16]             one register is 16 dimensions of one position
    int16      keys    [64 / 16][head_dim / 2][16][2]      one register is two dimensions of 16 positions
               values  [head_dim / 16][64 / 2][16][2]      one register is 16 dimensions of two positions
               and after each the scales of the positions, float32 [64]

so that no sum runs across lanes, and a register serves all the queries of its head. An int16 page holds 14 bits a
number, in steps of a 8,191th of the largest of its vector: as much as half precision gives the largest of them. With
queries and weights of 13 bits a sum of 64 products just fits into 32 bits, so int16 attention is exact but for these
roundings, and takes half the multiplications of float32.

A table, int64 [pages][3], says where: the address of head 0's keys, the address of its values, and how many bytes
further those of the next head are.
"""

from collections import namedtuple

import numpy as np

from ..simd.memory import array_at, load_first, store
from ..simd.registers import compiled, f32, fill, inlined, lane, maximum, rint, to_i32
from .elementwise import largest_magnitude

# Where the key and the value of a position and a head go: a row of the table of pages, and the head's number in a page.
Place = namedtuple("Place", "pages page head head_dim position")

PAGE = 64  # positions
PAGE_FIELDS = 3
KEPT_LARGEST = 8191  # the largest code of a key or a value
SEEN_LARGEST = 4095  # the largest code of a query or a weight: 64 products with the above stay below 2^31


@compiled
def padded(width):
    """The width rounded up to whole registers."""
    return (width + 15) // 16 * 16


@compiled
def key_numbers(head_dim):
    """Numbers of one head's keys in a page, without the scales."""
    return PAGE * (head_dim + head_dim % 2)


@compiled
def value_numbers(head_dim):
    """Numbers of one head's values in a page, without the scales."""
    return PAGE * padded(head_dim)


def head_bytes(head_dim, dtype):
    """Bytes of the keys, and of the values, of one head in a page of float32 or int16."""
    itemsize, scales = np.dtype(dtype).itemsize, 0 if dtype == np.float32 else PAGE * 4
    return key_numbers(head_dim) * itemsize + scales, value_numbers(head_dim) * itemsize + scales


@inlined
def page_keys(pages, page, head, head_dim, like):
    """One head's keys in a page, as an array of the dtype of `like`."""
    return array_at(pages[page, 0] + head * pages[page, 2], key_numbers(head_dim), like)


@inlined
def page_values(pages, page, head, head_dim, like):
    """One head's values in a page, as an array of the dtype of `like`."""
    return array_at(pages[page, 1] + head * pages[page, 2], value_numbers(head_dim), like)


@inlined
def page_scales(codes, pages, page, field, head, like):
    """The scales behind the int16 keys (field 0) or values (1) of a head, float32 as `like`."""
    return array_at(pages[page, field] + head * pages[page, 2] + 2 * codes, PAGE, like)


@compiled
def store_floats(place, x, k_at, v_at):
    """Put one position's key and value, x[k_at ...] and x[v_at ...], into its Place in a page of float32."""
    pages, page, head, head_dim, position = place
    keys, values = page_keys(pages, page, head, head_dim, x), page_values(pages, page, head, head_dim, x)
    row = position % PAGE
    tile = row // 16 * head_dim * 16 + row % 16
    for d in range(head_dim):
        keys[tile + d * 16] = x[k_at + d]
    for d in range(0, head_dim, 16):
        store(values, (d * PAGE) + row * 16, load_first(head_dim - d, x, v_at + d))


@compiled
def quantize_vector(x, at, width, largest_code, codes, codes_at):
    """One vector as int16: codes of at most `largest_code`, then zeros up to whole registers. -> the scale.

    Codes cannot be infinite or NaN: the scale is, where a number of the vector is.
    """
    largest = largest_magnitude(x, at, width)
    inverse = fill(np.float32(largest_code), f32) / maximum(1e-30, largest)
    for d in range(0, width, 16):
        store(codes, codes_at + d, to_i32(rint(load_first(width - d, x, at + d) * inverse)))
    return lane(largest, 0) / np.float32(largest_code)


@compiled
def store_codes(place, x, k_at, v_at, codes):
    """The same into a page of int16. `codes` is int16 scratch for a head."""
    pages, page, head, head_dim, position = place
    keys, values = page_keys(pages, page, head, head_dim, codes), page_values(pages, page, head, head_dim, codes)
    key_scales = page_scales(key_numbers(head_dim), pages, page, 0, head, x)
    value_scales = page_scales(value_numbers(head_dim), pages, page, 1, head, x)
    row = position % PAGE
    key_scales[row] = quantize_vector(x, k_at, head_dim, KEPT_LARGEST, codes, 0)
    pairs = (head_dim + 1) // 2
    tile = (row // 16 * pairs * 16 + row % 16) * 2
    for d in range(2 * pairs):
        keys[tile + d // 2 * 32 + d % 2] = codes[d]
    value_scales[row] = quantize_vector(x, v_at, head_dim, KEPT_LARGEST, codes, 0)
    pair = row // 2 * 32 + row % 2
    for d in range(padded(head_dim)):
        values[d // 16 * 16 * PAGE + pair + d % 16 * 2] = codes[d]
