"""Which encoding each tensor of a quantised model gets: the same for all matrices, or one by role, as in a mix.

Vectors (norms, biases) keep their encoding. A mix gives more bits to the matrices that need them: the output head, and
in some layers attn_v and ffn_down. Mixes and fallbacks are llama.cpp's (tests/fixtures/mixes has its answers).
"""

import re
from dataclasses import dataclass

from . import encodings

HEAD_TYPE = "Q6_K"  # of the output head in every mix; a model without one has the embedding as its head
KEPT = ("position_embd.weight", "token_types.weight")  # matrices that a mix leaves as they are
FALLBACKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # where no blocks fill a row; F16 where none of these do
BY_LAYER = re.compile(r"blk\.(\d+)\.(attn_v|ffn_down)\.weight")


@dataclass(frozen=True)
class Mix:
    """The encoding of most matrices, and that of attn_v and ffn_down where `chosen` says so."""

    type: str
    better: str
    chosen: dict  # {role: function of a layer's number and of the number of layers}


def _first_eighth(layer, layers):
    return layer < layers // 8


def _many(layer, layers):
    """The first eighth of the layers, the last, and every third between."""
    return _first_eighth(layer, layers) or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


MEDIUM = {"attn_v": _many, "ffn_down": _many}
MIXES = {
    "Q4_K_S": Mix("Q4_K", "Q5_K", {"attn_v": lambda layer, _: layer < 4, "ffn_down": _first_eighth}),
    "Q4_K_M": Mix("Q4_K", "Q6_K", MEDIUM),
    "Q5_K_S": Mix("Q5_K", "Q5_K", {}),
    "Q5_K_M": Mix("Q5_K", "Q6_K", MEDIUM),
}
NAMES = (*encodings.ENCODED, *MIXES)


def types(name, shapes):
    """{tensor: encoding} for one of NAMES, None for a tensor that keeps its own; shapes: {tensor: shape} of a model."""
    wanted = _mixed(MIXES[name], shapes) if name in MIXES else dict.fromkeys(shapes, name)
    kept = {tensor for tensor, shape in shapes.items() if len(shape) == 1 or wanted[tensor] is None}
    return {t: None if t in kept else _fitting(wanted[t], shape[-1]) for t, shape in shapes.items()}


def _mixed(mix, shapes):
    wanted = dict.fromkeys(shapes, mix.type)
    roles = [found for found in map(BY_LAYER.fullmatch, shapes) if found]
    layers = 1 + max((int(found[1]) for found in roles), default=-1)
    for tensor, layer, role in ((found[0], int(found[1]), found[2]) for found in roles):
        if role in mix.chosen and mix.chosen[role](layer, layers):
            wanted[tensor] = mix.better
        elif role == "attn_v" and mix.type == "Q4_K" and _is_70b(layers, shapes):
            wanted[tensor] = "Q5_K"
    head = "output.weight" if "output.weight" in shapes else "token_embd.weight"
    return wanted | {head: HEAD_TYPE} | dict.fromkeys(KEPT)


def _is_70b(layers, shapes):
    """Whether several heads share keys and values, in as many layers as models of 70 billion weights have."""
    return layers == 80 and shapes["blk.0.attn_v.weight"][0] < shapes["blk.0.attn_q.weight"][0]


def _fitting(type, columns):
    """The encoding, or the first of its fallbacks whose blocks fill a row."""
    while columns % encodings.BLOCKS[type][0]:
        type = FALLBACKS.get(type, "F16")
    return type
