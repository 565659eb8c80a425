"""Which encoding each tensor of a quantised model gets, by the answers of llama.cpp's own program."""

import json
from pathlib import Path

import pytest

from plpython.model import encodings, mixes
from tests.own_data.shapes_to_mix import CASES, by_role, shapes

TYPES = json.loads((Path(__file__).resolve().parents[1] / "fixtures/mixes/types.json").read_text(encoding="utf-8"))
ENCODER = {
    "token_embd.weight": (30, 384),
    "position_embd.weight": (512, 384),
    "token_types.weight": (2, 384),
    "token_embd_norm.weight": (384,),
    "blk.0.attn_v.weight": (384, 384),
    "blk.0.ffn_down.weight": (384, 1536),
    "blk.0.ffn_down.bias": (384,),
}


@pytest.mark.parametrize("name", TYPES["a layer"])
@pytest.mark.parametrize("case", CASES)
def test_each_matrix_gets_the_encoding_that_llama_cpp_gives_it(case, name):
    wanted = mixes.types(name, shapes(CASES[case]))
    assert by_role({tensor: type for tensor, type in wanted.items() if type}) == TYPES[case][name]


def test_every_mix_was_asked_for():
    assert TYPES["a layer"].keys() == {*mixes.MIXES, "Q6_K"}


@pytest.mark.parametrize("name", mixes.NAMES)
def test_vectors_keep_their_encoding(name):
    found = mixes.types(name, ENCODER)
    assert [t for t, shape in ENCODER.items() if len(shape) == 1 and found[t] is not None] == []
    assert list(found) == list(ENCODER)


def test_a_mix_leaves_positions_and_token_types_of_an_encoder_and_its_embedding_is_no_head_of_fewer_bits():
    assert mixes.types("Q4_K_M", ENCODER) == {
        "token_embd.weight": "Q8_0",  # rows of 384 have no super-blocks, and Q8_0 stands for Q6_K
        "position_embd.weight": None,
        "token_types.weight": None,
        "token_embd_norm.weight": None,
        "blk.0.attn_v.weight": "Q8_0",
        "blk.0.ffn_down.weight": "Q6_K",
        "blk.0.ffn_down.bias": None,
    }


@pytest.mark.parametrize(
    ("name", "columns", "type"),
    [
        ("Q4_K", 256, "Q4_K"),
        ("Q4_K", 288, "Q5_0"),
        ("Q5_K", 288, "Q5_1"),
        ("Q6_K", 288, "Q8_0"),
        ("IQ4_NL", 288, "IQ4_NL"),
        ("Q6_K", 172, "F16"),
        ("Q8_0", 172, "F16"),
        ("F32", 172, "F32"),
    ],
)
def test_rows_that_no_block_fills_get_a_wider_encoding(name, columns, type):
    assert mixes.types(name, {"w": (3, columns)}) == {"w": type}


def test_whatever_a_mix_gives_can_be_written():
    given = {
        type for name in mixes.MIXES for case in CASES.values() for type in mixes.types(name, shapes(case)).values()
    }
    assert given - {None} <= set(encodings.ENCODED)
