"""The order of q's and k's rows, which GGUF and Hugging Face have differently in the Llama family.

Rotary embedding rotates pairs of a head's rows: Hugging Face pairs row i with row i + head_dim/2 (halves), GGUF's
converter permutes the rows so that pairs are neighbours (interleaved). Whole rows move, so no encoding is touched.
"""

import re

import numpy as np

from plpython.architecture import Architecture

ROTATED = re.compile(r"blk\.\d+\.attn_(q|k)\.(weight|bias)")


def rotated_heads(name: str, architecture: Architecture) -> int | None:
    """How many heads the rows of a tensor belong to; None if they are not rotated."""
    found = ROTATED.fullmatch(name)
    if found is None:
        return None
    return architecture.heads if found[1] == "q" else architecture.kv_heads


def rearranged(raw: bytes, heads: int, head_dim: int, interleave: bool) -> bytes:
    """The bytes of a tensor of heads * head_dim rows: from halves to neighbours if `interleave`, else back."""
    pairs = (2, head_dim // 2) if interleave else (head_dim // 2, 2)
    rows = np.frombuffer(raw, np.uint8).reshape(heads, *pairs, -1)
    return rows.swapaxes(1, 2).tobytes()
