"""Compiles everything, for models of all families and of the common encodings, by packing and running tiny ones.

There is one compiled forward pass for all decoders, one for all encoders, the kernels of each layout, and a few other
functions. numba compiles a function for the argument types of its first call, so each is called as the server does.
"""

import math

import numpy as np

from ..kernels import attention, candidates, packing
from ..kernels.similarity import PackedTable
from ..model.decoder import Architecture
from ..model.encoder import EncoderArchitecture
from ..weights.packed_model import pack_model
from .composed import CompiledOperators, swiglu
from .decoder import CompiledEngine
from .encoder import CompiledEncoder

# The encodings of most files. Kernels of others are compiled when a model that needs them is packed.
COMMON = ("F32", "F16", "Q8_0", "Q4_0", "Q4_K", "Q6_K")


def run():
    """Compile everything but kernels of rare encodings, or load what has been compiled before."""
    for type in COMMON:
        packing.prepare(type)
    for kernel in attention.OVER.values():
        kernel.address()
    engine = CompiledEngine(*tiny_model())
    engine.forward(np.array([0]), engine.new_cache())
    architecture, packed = tiny_encoder()
    CompiledEncoder(architecture, packed, np.zeros((64, 32), np.float32)).states([np.array([0, 1])])
    table = PackedTable(pack_model({"table": ("Q8_0", (1, 32), bytes(34))}), "table")
    table.products(table.rows([0])[0])
    compile_operators(CompiledOperators(engine, lambda: None))
    candidates.Candidates(np.zeros(16, np.float32), 0.0, 1.0).compile()


def compile_operators(operators):
    """Call each operator with activations like those from SQL, which are read-only."""
    x = np.frombuffer(bytes(4 * operators.engine.sizes.hidden), "<f4")
    operators.embedding([0])
    operators.linear(x, "blk.0.attn_output.weight")
    operators.swiglu(x, "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight")
    operators.rms_norm(x, "output_norm.weight", 1e-5)
    position, cache = np.array([0]), operators.new_cache()
    cache.reserve(1)
    operators.queries_keys_values(x, 0, position)
    operators.attention(operators.rope(x, position), x[:16], x[:16], cache, 0, position)
    swiglu(x, x)


def tiny_model():
    """(Architecture, PackedModel) of a decoder; all weights are zero."""
    architecture = Architecture(
        family="llama",
        vocabulary_size=16,
        hidden_size=32,
        layers=1,
        heads=2,
        kv_heads=1,
        head_dim=16,
        ffn_size=32,
        context_length=64,
        norm_epsilon=1e-5,
        rope_theta=1e4,
        rope_interleaved=True,
        tied_embeddings=True,
    )
    return architecture, _zeros(architecture)


def tiny_encoder():
    """(EncoderArchitecture, PackedModel) of an encoder; all weights are zero."""
    architecture = EncoderArchitecture(
        family="bert",
        vocabulary_size=16,
        hidden_size=32,
        layers=1,
        heads=2,
        ffn_size=32,
        context_length=64,
        longest_text=64,
        token_types=2,
        norm_epsilon=1e-12,
        pooling="mean",
        normalize=True,
    )
    return architecture, _zeros(architecture)


def _zeros(architecture):
    tensors = {name: ("F32", shape, bytes(4 * math.prod(shape))) for name, shape in architecture.tensors().items()}
    return pack_model(tensors)
