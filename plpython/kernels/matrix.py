"""Matrix products of packed weights with activations, at the speed of memory for one token and of arithmetic for many.

Every output is the same additions in the same order whatever tokens and groups are computed together, so its bits do
not depend on them. The weights of a matrix are read from its beginning to its end, and asked of memory before they are
needed: the processor by itself stops at the end of each 4 KB, and with arithmetic to do it sees only a little way
ahead.
"""

from ..simd.kernels import calling
from ..simd.registers import compiled
from .dispatch import PRODUCT_OF, ROW_OF, SQUARES_OF
from .groups import FIRST_OF_BLOCKS, KERNELS, LAYOUT, PRODUCT, ROW, SQUARES, Product, Row, Squares

_multiply, _decode, _square, PER_LAYOUT = calling(PRODUCT), calling(ROW), calling(SQUARES), len(KERNELS)


@compiled
def is_quantized(matrix):
    """Whether a matrix is of blocks: whether it sees activations as codes."""
    return matrix[LAYOUT] >= FIRST_OF_BLOCKS


@compiled
def linear(weights, matrix, begin, end, given, tokens, to):
    """to[t] = matrix @ given[t] for t < tokens, in the matrix's rows of the groups begin .. end.

    matrix: a row of the table of weights. given: Activations. to: Rows.
    """
    kernel = weights.kernels[matrix[LAYOUT] * PER_LAYOUT + PRODUCT_OF]
    _multiply(kernel, Product(weights, matrix, begin, end, given, tokens, to))


@compiled
def embedding(weights, matrix, row, out, out_at):
    """out[out_at ...] = one row of the matrix, decoded."""
    _decode(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + ROW_OF], Row(weights, matrix, row, out, out_at))


@compiled
def squares(weights, matrix, begin, end, out):
    """out[row] = the sum of the squares of a row, in the rows of the groups begin .. end."""
    _square(weights.kernels[matrix[LAYOUT] * PER_LAYOUT + SQUARES_OF], Squares(weights, matrix, begin, end, out))
