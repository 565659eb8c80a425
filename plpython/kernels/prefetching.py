"""How far past the current weights products prefetch, in bytes: by the number of tokens, chosen by measuring.

A product of one token reads memory as a plain sum does: asking far ahead costs it a quarter of its speed on some
processors. With more tokens there is more arithmetic between two lines, and only a request far ahead comes in time.
Processors differ, so `engine/calibration` measures and `session/engines` keeps the choice beside the compiled code.
"""

import numpy as np

# The products that have a distance of their own: of blocks with 1, 2, 4 tokens, and of floats with 1, 2, 4, 8 tokens.
ONE_TOKEN, TWO_TOKENS, FOUR_TOKENS, FLOATS_ONE, FLOATS_TWO, FLOATS_FOUR, FLOATS_EIGHT = range(7)
PRODUCTS = ("blocks 1", "blocks 2", "blocks 4", "floats 1", "floats 2", "floats 4", "floats 8")
BEFORE_MEASURING = (1024, 1024, 8192, 1024, 1024, 8192, 8192)

# In use; compiled code reads it at each product.
DISTANCES = np.array(BEFORE_MEASURING, np.int64)


def use(distances):
    """Prefetch at these distances from now on: {name: bytes}. Raises ValueError unless it names all of PRODUCTS."""
    if set(distances) != set(PRODUCTS):
        raise ValueError(f"prefetch distances are of {PRODUCTS}, not of {tuple(distances)}")
    DISTANCES[:] = [distances[name] for name in PRODUCTS]
