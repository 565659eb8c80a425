"""Which encoding each tensor of a file has: by llama.cpp's rules for its mixes, Q4_K_M and others.

The rules are those of llama-quant.cpp, for models without experts whose groups of queries are four heads or more, and
for IQ4_XS with an importance matrix, as its files are made. MXFP4 is as in gpt-oss: the token embedding and the head in
Q8_0. A name that is no mix is an encoding that all matrices have, as is "all-IQ4_XS" where a mix has the same name.
"""

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from shapes import Shape

# A mix: the encoding of most matrices, and that of some, by role.
MOST = {"Q4_K_S": "Q4_K", "Q4_K_M": "Q4_K", "Q5_K_M": "Q5_K", "Q6_K": "Q6_K", "IQ4_XS": "IQ4_XS", "MXFP4": "MXFP4"}
# What a tensor has instead, whose rows are no whole number of blocks of 256.
NARROW = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "IQ4_XS": "IQ4_NL"}


def encodings(shape: Shape, mix: str) -> dict[str, str]:
    """{tensor: encoding}. Norms and biases are F32."""
    tensors = shape.tensors().items()
    return {name: _fitting(_encoding(shape, mix, name), size[-1]) if len(size) > 1 else "F32" for name, size in tensors}


def file_bytes(shape: Shape, mix: str) -> int:
    """The bytes of all tensors; vocabulary and names come on top."""
    sizes = shape.tensors()
    return sum(tensor_bytes(encoding, sizes[name]) for name, encoding in encodings(shape, mix).items())


def tensor_bytes(encoding: str, shape: tuple[int, ...]) -> int:
    """The bytes of a tensor in an encoding."""
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[encoding]]
    elements = shape[0] * shape[1] if len(shape) > 1 else shape[0]
    return elements // block * size


def _encoding(shape: Shape, mix: str, name: str) -> str:
    if mix not in MOST:
        return mix.removeprefix("all-")
    most = MOST[mix]
    if name == ("token_embd.weight" if shape.tied else "output.weight"):
        return _head(most, shape.hidden)
    if mix == "MXFP4":
        return "Q8_0" if name == "token_embd.weight" else most
    _, layer, role, *_ = [*name.split("."), "", ""]
    return _exception(mix, role, int(layer), shape.layers) or most if layer.isdigit() else most


def _head(most: str, columns: int) -> str:
    if most == "MXFP4" or columns % GGML_QUANT_SIZES[GGMLQuantizationType[most]][0]:
        return "Q8_0"
    return "Q6_K"


def _exception(mix: str, role: str, layer: int, layers: int) -> str | None:
    """What some layers have in a mix, for the roles whose errors matter most."""
    match mix, role:
        case (("Q4_K_M" | "Q5_K_M"), ("attn_v" | "ffn_down")):
            return "Q6_K" if _has_more_bits(layer, layers) else None
        case "Q4_K_S", "attn_v":
            return "Q5_K" if layer < 4 else None
        case "Q4_K_S", "ffn_down":
            return "Q5_K" if layer < layers // 8 else None
        case "IQ4_XS", "attn_v":
            return "Q5_K"
    return None


def _has_more_bits(layer: int, layers: int) -> bool:
    """The first and the last eighth of the layers, and every third between: half of them."""
    first, last = layers // 8, 7 * layers // 8
    return layer < first or layer >= last or (layer - first) % 3 == 2


def _fitting(encoding: str, columns: int) -> str:
    narrow = columns % GGML_QUANT_SIZES[GGMLQuantizationType[encoding]][0]
    return NARROW[encoding] if narrow else encoding
