"""Matrix products of packed weights with activations, at the speed of memory for one token and of arithmetic for many.

Every output is the same additions in the same order whatever tokens and groups are computed together, so its bits do
not depend on them. The weights of a matrix are read from its beginning to its end, and asked of memory before they are
needed: the processor by itself stops at the end of each 4 KB, and with arithmetic to do it sees only a little way
ahead.
"""

from ..simd.registers import compiled
from .dispatch import chosen
from .groups import FIRST_OF_BLOCKS, LAYOUT

_group_bytes, _product, _product_of_one = chosen("group_bytes"), chosen("product"), chosen("product_of_one")
_row, _squares = chosen("row"), chosen("squares")


@compiled
def is_quantized(matrix):
    """Whether a matrix is of blocks: whether it sees activations as codes."""
    return matrix[LAYOUT] >= FIRST_OF_BLOCKS


@compiled
def group_bytes(layout, columns):
    """Bytes of one group of 16 rows."""
    return _group_bytes(layout, columns)


@compiled
def linear(weights, matrix, begin, end, given, tokens, to):
    """to[t] = matrix @ given[t] for t < tokens, in the matrix's rows of the groups begin .. end.

    matrix: a row of the table of weights. given: Activations. to: Rows.
    """
    _product(matrix[LAYOUT], (weights, matrix, begin, end, given, tokens, to))


@compiled
def linear_of_one(weights, matrix, group, given, to):
    """The same for a single group and a single token."""
    _product_of_one(matrix[LAYOUT], (weights, matrix, group, given, to))


@compiled
def embedding(weights, matrix, row, out, out_at):
    """out[out_at ...] = one row of the matrix, decoded."""
    _row(matrix[LAYOUT], (weights, matrix, row, out, out_at))


@compiled
def squares(weights, matrix, group):
    """The sums of the squares of the rows of a group, one to a lane."""
    return _squares(matrix[LAYOUT], (weights, matrix, group))
