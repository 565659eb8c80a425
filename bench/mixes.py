"""Which encoding each tensor of a file has: by llama.cpp's rules for its mixes, Q4_K_M and others.

The mixes that the project can write are those of plpython/model/mixes. IQ4_XS is as llama-quant.cpp has it, for models
without experts whose groups of queries are four heads or more, with an importance matrix, as its files are made; Q6_K
has fallbacks as a mix. MXFP4 is as in gpt-oss: the token embedding and the head in Q8_0. A name that is no mix is an
encoding that all matrices have, as is "all-IQ4_XS" where a mix has the same name.
"""

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
from shapes import Shape

from plpython.model.mixes import MIXES, types

MOST = (*MIXES, "Q6_K", "IQ4_XS", "MXFP4")  # what files that people have are called
# What a tensor has instead, whose rows are no whole number of blocks of 256.
NARROW = {"Q2_K": "Q4_0", "Q3_K": "Q4_0", "Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0", "IQ4_XS": "IQ4_NL"}


def encodings(shape: Shape, mix: str) -> dict[str, str]:
    """{tensor: encoding}. Norms and biases are F32."""
    if mix in MIXES:
        return {name: encoding or "F32" for name, encoding in types(mix, shape.tensors()).items()}
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
    if name == ("token_embd.weight" if shape.tied else "output.weight"):
        return _head(mix, shape.hidden)
    if mix == "MXFP4" and name == "token_embd.weight":
        return "Q8_0"
    return "Q5_K" if mix == "IQ4_XS" and name.endswith("attn_v.weight") else mix


def _head(most: str, columns: int) -> str:
    if most == "MXFP4" or columns % GGML_QUANT_SIZES[GGMLQuantizationType[most]][0]:
        return "Q8_0"
    return "Q6_K"


def _fitting(encoding: str, columns: int) -> str:
    narrow = columns % GGML_QUANT_SIZES[GGMLQuantizationType[encoding]][0]
    return NARROW[encoding] if narrow else encoding
