"""Models of few and small tensors, for the choice of each tensor's encoding: {tensor: shape} by case."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby


@dataclass(frozen=True)
class Case:
    """Sizes of a Llama; rows of 256 have K-quants, rows of 64 their fallbacks, rows of 48 none."""

    layers: int
    hidden: int = 64
    ffn: int = 64
    kv_heads: int = 1
    tied: bool = False


HEADS, VOCABULARY = 2, 32
CASES = {
    "a layer": Case(1),
    "five layers": Case(5, ffn=48),
    "twelve layers, tied": Case(12, tied=True),
    "24 layers": Case(24),
    "32 layers, of K-quants": Case(32, 256, 256),
    "35 layers": Case(35, ffn=256),
    "80 layers, grouped": Case(80),
    "80 layers": Case(80, kv_heads=2),
}


def shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """{tensor: shape} in numpy's order."""
    kv = case.hidden // HEADS * case.kv_heads
    found = {"token_embd.weight": (VOCABULARY, case.hidden), "output_norm.weight": (case.hidden,)}
    if not case.tied:
        found["output.weight"] = (VOCABULARY, case.hidden)
    for layer in range(case.layers):
        of_layer = {
            "attn_norm": (case.hidden,),
            "attn_q": (case.hidden, case.hidden),
            "attn_k": (kv, case.hidden),
            "attn_v": (kv, case.hidden),
            "attn_output": (case.hidden, case.hidden),
            "ffn_norm": (case.hidden,),
            "ffn_gate": (case.ffn, case.hidden),
            "ffn_up": (case.ffn, case.hidden),
            "ffn_down": (case.hidden, case.ffn),
        }
        found |= {f"blk.{layer}.{name}.weight": shape for name, shape in of_layer.items()}
    return found


def by_role(types: dict[str, str]) -> dict[str, str]:
    """{role: the encodings of its matrices, layer by layer}: "2 Q6_K, 3 Q4_K" are those of five layers."""
    roles = defaultdict(dict)
    for tensor, type in types.items():
        *_, layer, role, _ = ("", "0", *tensor.removeprefix("blk.").split("."))
        roles[role][int(layer)] = type
    in_order = {role: [of_layers[n] for n in sorted(of_layers)] for role, of_layers in sorted(roles.items())}
    return {
        role: ", ".join(f"{len(list(run))} {type}" for type, run in groupby(found)) for role, found in in_order.items()
    }
