"""The order of the rows of q and k, which differs between GGUF and Hugging Face in the Llama family.

Rotary embedding rotates pairs of a head's rows: Hugging Face pairs row i with row i + head_dim/2 (halves), GGUF's
converter permutes the rows so that pairs are neighbours (interleaved). Whole rows move, so no encoding is touched.
"""

import re

ROTATED = re.compile(r"blk\.\d+\.attn_(q|k)\.(weight|bias)")


def rotated_heads(name, architecture):
    """The number of heads of a tensor's rows; None if rope does not rotate them."""
    found = ROTATED.fullmatch(name)
    if found is None:
        return None
    return architecture.heads if found[1] == "q" else architecture.kv_heads


def moved_heads(name, here, there):
    """The number of heads of a tensor's rows if two architectures have them in different orders, else None."""
    if here.rope_interleaved == there.rope_interleaved or here.head_dim != there.head_dim:
        return None
    return rotated_heads(name, here)


def rearranged(rows, heads, head_dim, interleave):
    """Reorder heads * head_dim rows: from halves to neighbours if `interleave`, else back.

    The rows are numbers or bytes, in any shape; the result has the same.
    """
    pairs = (2, head_dim // 2) if interleave else (head_dim // 2, 2)
    return rows.reshape(heads, *pairs, -1).swapaxes(1, 2).reshape(rows.shape)
