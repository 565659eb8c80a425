"""Products of layouts of blocks: the loops over groups and tokens, around a layout's own products of a few tokens.

A product keeps its sums in registers: a lane is a row of the group, a register is a token. Each register of weights is
used for all tokens. There are products of one group with 1, 2 and 4 tokens. With many tokens, a register tile of two
groups and four tokens uses each register of activations twice as well: with one group, loads would be the bottleneck.
"""

from collections import namedtuple

from ..model.encodings import BLOCK
from ..simd.memory import prefetch, spread
from ..simd.registers import f32, fill, i32, inlined
from .groups import CACHE_LINE, COLUMNS, GROUP, OFFSET, OFFSETS, Activations, Rows, token_block
from .prefetching import FOUR_TOKENS, ONE_TOKEN, TWO_TOKENS

NEVER = 1 << 62
LEAST_TILED_TOKENS = 8  # with fewer tokens register tiles gain nothing
TILE_F32, TILE_I32 = f32[4], i32[4]  # the sums of one group in a register tile: four tokens
LOW_NIBBLES = 0x0F0F0F0F  # masks the lower four bits of each byte

# A layout's products of a few tokens.
#   group    (tokens) -> the product of one group with so many tokens:
#            (weights, at, columns, ahead, given, to); `at` is where the group begins, in bytes; it prefetches `ahead`
#            bytes past what it reads
#   tile     the product of two groups with four tokens: (weights, pair, columns, ahead, given, to, second_at); the
#            results of the second group go to to.x[second_at ...]
Parts = namedtuple("Parts", "group tile")
# The two groups of a register tile, where they begin in bytes.
Pair = namedtuple("Pair", "at second")
# What a register tile prefetches: `distance` bytes past its own groups, the blocks `first`, `first + every`, and so on.
# The tiles of the same groups share the work: each prefetches other blocks.
Ahead = namedtuple("Ahead", "distance first every")


def starts(offset, X):
    """Make (codes, block, blocks) -> what the dot products of a block begin with, for integers stored + offset.

    X: the register block type of the tokens, of `blocks` blocks each.
    """
    if offset == 0:

        @inlined
        def start(codes, block, blocks):
            return fill(0, X)

    else:
        array = OFFSETS.index(offset)

        @inlined
        def start(codes, block, blocks):
            return spread(codes.starts, array * len(codes.scales) + block, X, blocks)

    return start


@inlined
def prefetch_lines(u8, at, size):
    """Prefetch `size` bytes."""
    for line in range(0, size, CACHE_LINE):
        prefetch(u8, at + line)


@inlined
def _no_tile(weights, pair, columns, ahead, given, to, second_at):
    pass


def product_of(group_bytes, parts):
    """Make the product of any groups of a matrix with any number of tokens: (Product) -> None.

    It multiplies two groups at a time with all tokens. With enough tokens it does so in register tiles, which prefetch
    the next two groups; the tokens that are left over are multiplied with one group after the other.
    """
    one, two, four = (parts.group(tokens) for tokens in (1, 2, 4))
    tile, tiled_from = parts.tile or _no_tile, LEAST_TILED_TOKENS if parts.tile else NEVER

    @inlined
    def product(p):
        weights, given, tokens, to = p.weights, p.given, p.tokens, p.to
        columns, distances = p.matrix[COLUMNS], p.weights.distances
        blocks, width = columns // BLOCK, group_bytes(columns)
        near, middle, far = distances[ONE_TOKEN], distances[TWO_TOKENS], distances[FOUR_TOKENS]
        tiles = tokens // 4 if tokens >= tiled_from else 0
        tiled = 4 * tiles
        for pair in range(p.begin, p.end, 2):
            after = min(pair + 2, p.end)
            # The second group is the same as the first for a last, single group.
            w, second = p.matrix[OFFSET] + pair * width, p.matrix[OFFSET] + (after - 1) * width
            for t in range(0, tiled, 4):
                now = Activations(given.rows, given.codes, given.first + t * blocks)
                out = Rows(to.x, to.at + pair * GROUP + t * to.stride, to.stride)
                other = out.at if second == w else out.at + GROUP
                tile(weights, Pair(w, second), columns, Ahead(2 * width, t // 4, tiles), now, out, other)
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
