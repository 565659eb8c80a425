"""Products of packed matrices with activations: at the speed of memory for one token, of arithmetic for many.

Every output is the same additions in the same order, however many tokens and groups are computed together, so its bits
do not depend on them. Weights are read in the order of memory and prefetched: the hardware prefetcher stops at the end
of each 4 KB, and with so much arithmetic between loads the processor looks only a little way ahead.
"""

from ..simd.kernels import caller
from ..simd.registers import compiled
from .groups import (
    FIRST_BLOCK_LAYOUT,
    LAYOUT,
    PER_LAYOUT,
    PRODUCT_OF,
    PRODUCT_STRUCT,
    ROW_OF,
    ROW_STRUCT,
    SQUARES_OF,
    SQUARES_STRUCT,
    Product,
    Row,
    Squares,
)

_multiply, _decode, _square = caller(PRODUCT_STRUCT), caller(ROW_STRUCT), caller(SQUARES_STRUCT)


@compiled
def is_quantized(matrix):
    """Whether a matrix has a layout of blocks, and so reads activations as codes."""
    return matrix[LAYOUT] >= FIRST_BLOCK_LAYOUT


@compiled
def linear(weights, matrix, begin, end, given, tokens, to):
    """to[t] = matrix @ given[t] for t < tokens, for the matrix rows in the groups begin .. end - 1.

    matrix: a row of the weight table, int64[4]. given: Activations. to: Rows.
    """
    kernel = weights.kernels[matrix[LAYOUT] * PER_LAYOUT + PRODUCT_OF]
    _multiply(kernel, Product(weights, matrix, begin, end, given, tokens, to))


@compiled
def embedding(weights, matrix, row, out, out_at):
    """out[out_at ...] = one decoded row of the matrix."""
    _decode(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + ROW_OF], Row(weights, matrix, row, out, out_at))


@compiled
def squares(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of the row, for the rows in the groups begin .. end - 1."""
    _square(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + SQUARES_OF], Squares(weights, matrix, begin, end, out))
