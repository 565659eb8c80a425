"""What the dot products of a block begin with: integers are stored plus an offset, so that they are unsigned.

A dot product is then too large by the offset times the sum of the codes, which is the same for all rows. Its negative
is computed once, when activations are quantised, see groups.Codes.
"""

from ..simd.memory import spread
from ..simd.registers import fill, halved, inlined
from .groups import HALF_OFFSET, HALF_STARTS, OFFSETS


def starts(offset, X):
    """Make (codes, block, blocks) -> what the dot products of a block begin with.

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


def half_starts(offset, X):
    """Make (codes, block, blocks) -> what the dot products of both halves of a block begin with, as `starts`."""
    if offset == 0:

        @inlined
        def start(codes, block, blocks):
            return fill(0, X), fill(0, X)

    else:
        scaled = _scaled(offset)

        @inlined
        def start(codes, block, blocks):
            at = HALF_STARTS * len(codes.scales) + 2 * block
            one, two = spread(codes.starts, at, X, 2 * blocks), spread(codes.starts, at + 1, X, 2 * blocks)
            return scaled(one), scaled(two)

    return start


def _scaled(offset):
    """Make (starts of HALF_OFFSET) -> those of another power of two."""
    up, down = offset // HALF_OFFSET, HALF_OFFSET // offset
    assert max(up, down).bit_count() == 1
    times = max(up, down).bit_length() - 1
    if times == 0:

        @inlined
        def scaled(x):
            return x

    elif up:

        @inlined
        def scaled(x):
            return x << times

    else:

        @inlined
        def scaled(x):
            return halved(x, times)

    return scaled
