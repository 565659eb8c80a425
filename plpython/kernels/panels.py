"""Products with many tokens: two groups are unpacked, 256 columns at a time, and multiplied with all tokens.

A panel is what 256 columns of two groups become: their integers as bytes, as in the layout Q8, and their scales as
float32. It stays in the nearest cache while all tokens are multiplied with it, four at a time: a register tile of two
groups and four tokens uses each register of weights four times and each register of activations twice. The sums of a
tile begin with those of the columns before it.

All layouts of blocks share these kernels: those with the same kind of scales, offset and minima have the same tile.
Weights are unpacked once for all tokens, so that costs little however they are packed.
"""

import functools
from collections import namedtuple

import numpy as np

from ..model.encodings import BLOCK
from ..simd.frames import Array, Structure
from ..simd.kernels import kernel
from ..simd.memory import in_order, load, load_bytes, load_pairs, prefetch, spread, spread_bytes, spread_pairs, store
from ..simd.registers import dot2, dot4, f32, fill, fma, i32, inlined, to_f32
from .groups import CACHE_LINE, CODES_STRUCT, GROUP, HALF_SUMS, ROWS_STRUCT
from .starts import half_starts, starts

TILE_TOKENS = 4
TILE_F32, TILE_I32 = f32[TILE_TOKENS], i32[TILE_TOKENS]  # the sums of one group
PANEL_BLOCKS = 8  # blocks of a panel: those of a superblock
BLOCK_BYTES = BLOCK * GROUP
GROUP_BYTES = PANEL_BLOCKS * BLOCK_BYTES  # of `bytes` below
# Where in `floats` and `pairs` below the parts of a group begin
SCALES, MINIMA, SUPER_SCALES, SUPER_MINIMA, GROUP_FLOATS = (
    GROUP * n for n in (0, 2 * PANEL_BLOCKS, 3 * PANEL_BLOCKS, 3 * PANEL_BLOCKS + 1, 3 * PANEL_BLOCKS + 2)
)
GROUP_PAIRS = 2 * GROUP * PANEL_BLOCKS
PANEL_BYTES, PANEL_FLOATS, PANEL_PAIRS = 2 * GROUP_BYTES, 2 * GROUP_FLOATS, 2 * GROUP_PAIRS

# A panel of two groups:
#   bytes    uint8 [2][8 blocks][8 lines][16 rows][4]: the integers with their offset
#   floats   float32 [2]: scales [8][16] of blocks or [8][2][16] of halves, minima [8][16] of blocks, scales [16] of the
#            superblock, scales [16] of its minima
#   pairs    int16 [2]: the minima of the blocks of a superblock [4][16][2], or of halves [8][16][2]
Panel = namedtuple("Panel", "bytes floats pairs")
# Tile: to[t] += panel @ the codes of token t, for t < tokens, a multiple of four.
#   first         number of the first block of token 0; there are `blocks` blocks here, and `row_blocks` in a token
#   second_at     the sums of the second group go to to.x[second_at ...]
#   begins        whether the sums begin with zero
#   next, second_next    from where in u8 `lines` lines of cache are prefetched meanwhile
Tile = namedtuple("Tile", "panel codes first blocks row_blocks tokens to second_at begins u8 next second_next lines")

PANEL_STRUCT = Structure(Panel, bytes=Array(np.uint8), floats=Array(np.float32), pairs=Array(np.int16))
TILE_STRUCT = Structure(Tile, panel=PANEL_STRUCT, codes=CODES_STRUCT, to=ROWS_STRUCT, u8=Array(np.uint8))


@inlined
def _dots_of_two(bytes, at, lines, sums, codes, column, columns):
    """`sums` plus the dot products of so many lines at bytes[at] with four tokens; both groups, which begin alike."""
    second, second_sums = at + GROUP_BYTES, sums
    for k in range(lines):
        if k == 4:
            in_order()  # or LLVM would do all sixteen loads first, and run out of registers
        x = spread_bytes(codes, column + 4 * k, TILE_I32, columns)
        sums = dot4(sums, load_bytes(bytes, at + k * CACHE_LINE, i32), x)
        second_sums = dot4(second_sums, load_bytes(bytes, second + k * CACHE_LINE, i32), x)
    return sums, second_sums


@inlined
def _add_block(p, b, block, start, totals):
    """Add a block with one scale: the integer dot product times the scales of the weights and of the activations."""
    total, second_total = totals
    floats, codes, columns = p.panel.floats, p.codes, p.row_blocks * BLOCK
    sums, second_sums = _dots_of_two(p.panel.bytes, b * BLOCK_BYTES, 8, start, codes.codes, block * BLOCK, columns)
    x = spread(codes.scales, block, TILE_F32, p.row_blocks)
    total = fma(to_f32(sums), load(floats, SCALES + b * GROUP, f32) * x, total)
    second_total = fma(to_f32(second_sums), load(floats, GROUP_FLOATS + SCALES + b * GROUP, f32) * x, second_total)
    return total, second_total


@inlined
def _add_minimum(p, b, block, totals):
    """Add a block's minimum times the sum of its activations."""
    total, second_total = totals
    floats, x = p.panel.floats, spread(p.codes.sums, block, TILE_F32, p.row_blocks)
    total = fma(load(floats, MINIMA + b * GROUP, f32), x, total)
    return total, fma(load(floats, GROUP_FLOATS + MINIMA + b * GROUP, f32), x, second_total)


@inlined
def _subtract_fine_minima(p, first, totals):
    """Subtract the minima of a superblock, which are multiplied with the fine codes of the activations' sums."""
    total, second_total = totals
    pairs, floats, sums, second_sums = p.panel.pairs, p.panel.floats, fill(0, TILE_I32), fill(0, TILE_I32)
    for b in range(0, PANEL_BLOCKS, 2):
        x = spread_pairs(p.codes.fine, first + b, TILE_I32, p.row_blocks)
        sums = dot2(sums, load_pairs(pairs, b * GROUP, i32), x)
        second_sums = dot2(second_sums, load_pairs(pairs, GROUP_PAIRS + b * GROUP, i32), x)
    scale = spread(p.codes.sums, len(p.codes.scales) + first, TILE_F32, p.row_blocks)
    minima, second_minima = load(floats, SUPER_MINIMA, f32), load(floats, GROUP_FLOATS + SUPER_MINIMA, f32)
    total = fma(to_f32(sums), (0.0 - minima) * scale, total)
    return total, fma(to_f32(second_sums), (0.0 - second_minima) * scale, second_total)


def _blocks_tile(offset, minimum, fine):
    """Make the tile for scales of blocks: (Tile, first block of the tokens, sums of both groups) -> sums."""
    start_of = starts(offset, TILE_I32)

    @inlined
    def tile(p, first, totals):
        for b in range(p.blocks):
            totals = _add_block(p, b, first + b, start_of(p.codes, first + b, p.row_blocks), totals)
            if minimum:
                totals = _add_minimum(p, b, first + b, totals)
            in_order()
        if fine:
            totals = _subtract_fine_minima(p, first, totals)
        return totals

    return tile


@inlined
def _add_halves(p, b, block, start, parts):
    """Add both halves of a block, whose integer scales are float32 here: all sums are whole numbers below 2^24."""
    one, two = start
    part, second_part = parts
    bytes, floats, columns, column = p.panel.bytes, p.panel.floats, p.row_blocks * BLOCK, block * BLOCK
    at, to, second = b * BLOCK_BYTES, SCALES + 2 * b * GROUP, GROUP_FLOATS + SCALES + 2 * b * GROUP
    one, second_one = _dots_of_two(bytes, at, 4, one, p.codes.codes, column, columns)
    sums, second_sums = to_f32(one) * load(floats, to, f32), to_f32(second_one) * load(floats, second, f32)
    in_order()
    two, second_two = _dots_of_two(bytes, at + BLOCK_BYTES // 2, 4, two, p.codes.codes, column + 16, columns)
    sums = fma(to_f32(two), load(floats, to + GROUP, f32), sums)
    second_sums = fma(to_f32(second_two), load(floats, second + GROUP, f32), second_sums)
    x = spread(p.codes.scales, block, TILE_F32, p.row_blocks)
    return fma(sums, x, part), fma(second_sums, x, second_part)


@inlined
def _subtract_half_minima(p, b, block, lows):
    """Subtract the minima of a block's halves times the sums of their codes."""
    low, second_low = lows
    pairs, at = p.panel.pairs, 2 * b * GROUP
    sums = spread_pairs(p.codes.fine, HALF_SUMS * len(p.codes.scales) + 2 * block, TILE_I32, 2 * p.row_blocks)
    x = spread(p.codes.scales, block, TILE_F32, p.row_blocks)
    product = dot2(fill(0, TILE_I32), load_pairs(pairs, at, i32), sums)
    second_product = dot2(fill(0, TILE_I32), load_pairs(pairs, GROUP_PAIRS + at, i32), sums)
    return fma(0.0 - to_f32(product), x, low), fma(0.0 - to_f32(second_product), x, second_low)


def _halves_tile(offset, minima):
    """Make the tile for scales of halves, as `_blocks_tile`."""
    start_of = half_starts(offset, TILE_I32)

    @inlined
    def tile(p, first, totals):
        total, second_total = totals
        zero, floats = fill(0.0, TILE_F32), p.panel.floats
        parts, lows = (zero, zero), (zero, zero)
        for b in range(PANEL_BLOCKS):
            parts = _add_halves(p, b, first + b, start_of(p.codes, first + b, p.row_blocks), parts)
            if minima:
                lows = _subtract_half_minima(p, b, first + b, lows)
            in_order()
        total = fma(parts[0], load(floats, SUPER_SCALES, f32), total)
        second_total = fma(parts[1], load(floats, GROUP_FLOATS + SUPER_SCALES, f32), second_total)
        if minima:
            total = fma(lows[0], load(floats, SUPER_MINIMA, f32), total)
            second_total = fma(lows[1], load(floats, GROUP_FLOATS + SUPER_MINIMA, f32), second_total)
        return total, second_total

    return tile


def _of_all_tokens(name, tile):
    """Make the Kernel of a Tile from that of four tokens."""

    @kernel(name, TILE_STRUCT)
    def all_tokens(p):
        to, stride, line, second_line = p.to, p.to.stride, p.next, p.second_next
        each = (p.lines * TILE_TOKENS + p.tokens - 1) // p.tokens * CACHE_LINE  # bytes that a tile prefetches
        end = p.next + p.lines * CACHE_LINE
        for t in range(0, p.tokens, TILE_TOKENS):
            at, second_at = to.at + t * stride, p.second_at + t * stride
            for byte in range(0, min(each, end - line), CACHE_LINE):
                prefetch(p.u8, line + byte)
                prefetch(p.u8, second_line + byte)
            line, second_line = line + each, second_line + each
            totals = fill(0.0, TILE_F32), fill(0.0, TILE_F32)
            if not p.begins:
                totals = load(to.x, at, TILE_F32, stride), load(to.x, second_at, TILE_F32, stride)
            total, second_total = tile(p, p.first + t * p.row_blocks, totals)
            store(to.x, at, total, stride)
            store(to.x, second_at, second_total, stride)

    return all_tokens


@functools.cache
def tile_of_blocks(offset, minimum=False, fine=False):
    """The Kernel of a Tile for scales of blocks.

    offset: of the integers. minimum: whether a block has a minimum, float32. fine: whether a superblock has minima.
    """
    kind = "minimum" if minimum else "fine" if fine else "plain"
    return _of_all_tokens(f"tile_{kind}_{offset}", _blocks_tile(offset, minimum, fine))


@functools.cache
def tile_of_halves(offset, minima=False):
    """The Kernel of a Tile for scales of halves. minima: whether halves have minima."""
    return _of_all_tokens(f"tile_{'minima' if minima else 'halves'}_{offset}", _halves_tile(offset, minima))
