"""Products of layouts of blocks: the loops over groups and tokens, around a layout's own products of a few tokens.

A product keeps its sums in registers: a lane is a row of the group, a register is a token. Each register of weights is
used for all tokens. There are products of one group with 1, 2 and 4 tokens; many tokens are multiplied in panels.
"""

from collections import namedtuple

from ..model.encodings import BLOCK
from ..simd.kernels import caller
from ..simd.memory import array_on_stack, prefetch, spread_bytes, store
from ..simd.registers import dot4, inlined
from .groups import (
    CACHE_LINE,
    COLUMNS,
    GROUP,
    LAYOUT,
    OFFSET,
    PER_LAYOUT,
    TILE_OF,
    Activations,
    Rows,
    token_block,
)
from .panels import (
    PANEL_BLOCKS,
    PANEL_BYTES,
    PANEL_FLOATS,
    PANEL_PAIRS,
    TILE_STRUCT,
    TILE_TOKENS,
    Panel,
    Tile,
)
from .prefetching import FOUR_TOKENS, ONE_TOKEN, TWO_TOKENS

LEAST_TILED_TOKENS = 8  # with fewer tokens panels gain nothing
_call_tile = caller(TILE_STRUCT)

# A layout's parts of a product.
#   group      (tokens) -> the product of one group with so many tokens: (weights, at, columns, ahead, given, to);
#              `at` is where the group begins, in bytes; it prefetches `ahead` bytes past what it reads
#   unpack     (weights, at, blocks, panel, number) -> None: unpacks so many blocks at weights.u8[at] into a Panel, as
#              its group `number`
#   panel_bytes  (blocks) -> the packed bytes of so many blocks, from a multiple of PANEL_BLOCKS on
Parts = namedtuple("Parts", "group unpack panel_bytes")


@inlined
def prefetch_lines(u8, at, size):
    """Prefetch `size` bytes."""
    for line in range(0, size, CACHE_LINE):
        prefetch(u8, at + line)


def dots_of(registers, X):
    """Make the dot products of a block with tokens of the register block type X.

    registers: (u8, at) -> the block at u8[at] as eight registers; number k holds columns 4k .. 4k + 3, a byte each.
    The dot products: (u8, at, sums, codes, column, columns) -> sums, i32, plus those of the block with each token's
    codes; token t's are codes[column + t * columns ...].
    """

    @inlined
    def dots(u8, at, sums, codes, column, columns):
        a, b, c, d, e, f, g, h = registers(u8, at)
        sums = dot4(sums, a, spread_bytes(codes, column, X, columns))
        sums = dot4(sums, b, spread_bytes(codes, column + 4, X, columns))
        sums = dot4(sums, c, spread_bytes(codes, column + 8, X, columns))
        sums = dot4(sums, d, spread_bytes(codes, column + 12, X, columns))
        sums = dot4(sums, e, spread_bytes(codes, column + 16, X, columns))
        sums = dot4(sums, f, spread_bytes(codes, column + 20, X, columns))
        sums = dot4(sums, g, spread_bytes(codes, column + 24, X, columns))
        return dot4(sums, h, spread_bytes(codes, column + 28, X, columns))

    return dots


def half_dots_of(registers, X):
    """Make the dot products of both halves of a block: as dots_of, with a pair of sums."""

    @inlined
    def dots(u8, at, halves, codes, column, columns):
        one, two = halves
        a, b, c, d, e, f, g, h = registers(u8, at)
        one = dot4(one, a, spread_bytes(codes, column, X, columns))
        one = dot4(one, b, spread_bytes(codes, column + 4, X, columns))
        one = dot4(one, c, spread_bytes(codes, column + 8, X, columns))
        one = dot4(one, d, spread_bytes(codes, column + 12, X, columns))
        two = dot4(two, e, spread_bytes(codes, column + 16, X, columns))
        two = dot4(two, f, spread_bytes(codes, column + 20, X, columns))
        two = dot4(two, g, spread_bytes(codes, column + 24, X, columns))
        return one, dot4(two, h, spread_bytes(codes, column + 28, X, columns))

    return dots


def unpacked(registers):
    """Make (u8, at, bytes, to) -> None: unpack the block at u8[at] to bytes[to ...], eight lines."""

    @inlined
    def unpack(u8, at, bytes, to):
        a, b, c, d, e, f, g, h = registers(u8, at)
        store(bytes, to, a)
        store(bytes, to + CACHE_LINE, b)
        store(bytes, to + 2 * CACHE_LINE, c)
        store(bytes, to + 3 * CACHE_LINE, d)
        store(bytes, to + 4 * CACHE_LINE, e)
        store(bytes, to + 5 * CACHE_LINE, f)
        store(bytes, to + 6 * CACHE_LINE, g)
        store(bytes, to + 7 * CACHE_LINE, h)

    return unpack


def product_of(group_bytes, parts):
    """Make the product of any groups of a matrix with any number of tokens: (Product) -> None.

    It multiplies two groups at a time with all tokens. With enough tokens it does so in panels; the tokens that are
    left over are multiplied with one group after the other.
    """
    one, two, four = (parts.group(tokens) for tokens in (1, 2, 4))
    in_panels = _in_panels(group_bytes, parts)

    @inlined
    def product(p):
        weights, given, tokens, to, distances = p.weights, p.given, p.tokens, p.to, p.weights.distances
        columns, width = p.matrix[COLUMNS], group_bytes(p.matrix[COLUMNS])
        blocks = columns // BLOCK
        near, middle, far = distances[ONE_TOKEN], distances[TWO_TOKENS], distances[FOUR_TOKENS]
        tiled = tokens // TILE_TOKENS * TILE_TOKENS if tokens >= LEAST_TILED_TOKENS else 0
        for pair in range(p.begin, p.end, 2):
            after = min(pair + 2, p.end)
            if tiled:
                in_panels(p, pair, after, tiled)
            for g in range(pair, after):
                w, t = p.matrix[OFFSET] + g * width, tiled
                while t < tokens:
                    block = token_block(tokens - t)
                    now = Activations(given.rows, given.codes, given.first + t * blocks)
                    out = Rows(to.x, to.at + g * GROUP + t * to.stride, to.stride)
                    if block == 4:
                        four(weights, w, columns, far, now, out)
                    elif block == 2:
                        two(weights, w, columns, middle, now, out)
                    else:
                        one(weights, w, columns, near, now, out)
                    t += block

    return product


def _in_panels(group_bytes, parts):
    """Make the product of one or two groups with so many tokens: (Product, first group, end of the groups, tokens).

    Of a last, single group both groups of a panel are the same. A panel prefetches the next one.
    """
    unpack, panel_bytes = parts.unpack, parts.panel_bytes

    @inlined
    def product(p, pair, after, tokens):
        columns, u8 = p.matrix[COLUMNS], p.weights.u8
        blocks, width = columns // BLOCK, group_bytes(columns)
        panel = Panel(
            array_on_stack(PANEL_BYTES, u8),
            array_on_stack(PANEL_FLOATS, p.to.x),
            array_on_stack(PANEL_PAIRS, p.given.codes.fine),
        )
        w, second = p.matrix[OFFSET] + pair * width, p.matrix[OFFSET] + (after - 1) * width
        to = Rows(p.to.x, p.to.at + pair * GROUP, p.to.stride)
        second_to = to.at + (after - 1 - pair) * GROUP
        for begin in range(0, blocks, PANEL_BLOCKS):
            count, at = min(PANEL_BLOCKS, blocks - begin), panel_bytes(begin)
            unpack(p.weights, w + at, count, panel, 0)
            unpack(p.weights, second + at, count, panel, 1)
            next = panel_bytes(begin + count) if begin + count < blocks else 2 * width
            tile = Tile(
                panel,
                p.given.codes,
                p.given.first + begin,
                count,
                blocks,
                tokens,
                to,
                second_to,
                int(begin == 0),
                u8,
                w + next,
                second + next,
                panel_bytes(PANEL_BLOCKS) // CACHE_LINE,
            )
            _call_tile(p.weights.kernels[p.matrix[LAYOUT] * PER_LAYOUT + TILE_OF], tile)

    return product
