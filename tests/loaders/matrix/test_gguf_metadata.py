"""Metadata of GGUF files that is odd, missing or contradictory: llama.cpp's answer, or a refusal that names the key.

The answers are llama.cpp's own, see tests/fixtures/gguf/make.py.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from loaders.errors import SourceError
from loaders.gguf.file import read_gguf
from plpython.model import encodings
from plpython.model.encoder import EncoderArchitecture
from plpython.reference import operators
from plpython.reference.decoder import NumpyEngine
from plpython.reference.encoder import NumpyEncoder
from plpython.server.errors import ModelError
from tests.loaders.matrix.tiny_gguf import write

MATRIX = json.loads(Path(__file__).with_name("gguf_metadata.json").read_text(encoding="utf-8"))
CELLS = MATRIX["cells"]


def name(cell: list) -> str:
    architecture, changes, tensors, *_ = cell
    told = [f"{key}={'absent' if value is None else value[1]}" for key, value in changes.items()]
    return " ".join([architecture, *told, *tensors])[:150]


@pytest.mark.parametrize("cell", CELLS, ids=map(name, CELLS))
def test_a_file_gives_llama_cpps_answer_or_is_refused_by_name(tmp_path, cell):
    architecture, changes, tensors, outcome, expected = cell
    path = write(tmp_path / "cell.gguf", architecture, changes, tensors)
    try:
        model = read_gguf(path)
    except (SourceError, ModelError) as problem:
        assert outcome == "either", problem
        assert names_one_of(str(problem), [*changes, *tensors])
        return
    if outcome == "lenient":
        assert expected is None
        expected = next(
            values for base, changed, moved, _, values in CELLS if (base, changed, moved) == (architecture, {}, {})
        )
    assert expected is not None, "llama.cpp refuses it"
    assert np.abs(answer(model) - expected).max() <= 2e-4


def names_one_of(problem: str, given: list[str]) -> bool:
    """Whether a message names what was changed: by GGUF's word, the architecture's, or the tensor it contradicts."""
    words = [word for key in given for word in (key, *SYNONYMS.get(key, ()), *SYNONYMS.get(key.partition(".")[2], ()))]
    return any(word in problem for word in words)


WRONG_SHAPE = ("has the wrong shape", "is missing", "is not part of the architecture")
SYNONYMS = {
    "attention.head_count": ("heads", *WRONG_SHAPE),
    "attention.head_count_kv": ("kv_heads", *WRONG_SHAPE),
    "attention.key_length": ("head_dim", "the head size", *WRONG_SHAPE),
    "attention.layer_norm_epsilon": ("norm_epsilon",),
    "attention.layer_norm_rms_epsilon": ("norm_epsilon",),
    "block_count": ("layers", *WRONG_SHAPE),
    "context_length": (
        '"context_length"',
        '"position_embd.weight" has the wrong shape',
    ),
    "embedding_length": ("hidden_size", "head_dim", *WRONG_SHAPE),
    "feed_forward_length": ("ffn_size", *WRONG_SHAPE),
    "rope.freq_base": ("rope_theta",),
    "rope.scaling.factor": ("rope_scaling.factor",),
    "split.count": ("the first of 2 parts",),
    "split.no": ("is part 2 of",),
    "token_types.weight": ('"token_types"',),
}


def answer(model) -> np.ndarray:
    """The first logits after the last token; of an encoder its embedding of length 1."""
    weights = {tensor.name: encodings.decode(tensor.type, tensor.data, tensor.shape) for tensor in model.tensors}
    if isinstance(model.architecture, EncoderArchitecture):
        states = NumpyEncoder(model.architecture, weights).states([MATRIX["encoded"]])[0]
        return operators.normalized(operators.pooled(states, model.architecture.pooling))
    engine = NumpyEngine(model.architecture, weights)
    return engine.forward(MATRIX["tokens"], engine.new_cache())[-1][:16]
