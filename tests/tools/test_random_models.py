"""bench/synthetic_model.py writes files as people have them, of random blocks that are valid."""

import sys
from pathlib import Path

import gguf
import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
MODULES = ("blocks", "mixes", "shapes", "places", "synthetic_model")
LLAMA_3_1_8B = {  # bytes of the files of Llama-3.1-8B-Instruct that are downloaded most
    "Q4_K_S": 4_692_673_952,
    "Q4_K_M": 4_920_739_232,
    "Q5_K_M": 5_732_992_416,
    "Q6_K": 6_596_011_424,
    "IQ4_XS": 4_447_667_616,
    "Q8_0": 8_540_775_840,
}


@pytest.fixture
def bench(monkeypatch):
    """bench(name) imports a module of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCH))
    yield __import__
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def few(bench, monkeypatch):
    """Sources with few blocks, so that they are made at once."""
    blocks = bench("blocks")
    monkeypatch.setattr(blocks, "BLOCKS", 8209)
    return blocks


@pytest.fixture
def tiny(bench):
    """A shape with all kinds of tensors: an untied head, biases, eight layers."""
    return bench("shapes").Shape("tiny", "qwen2", 256, 8, 4, 2, 512, 2048, False, True, 1e6, 1e-6)


def test_tensors_have_the_sizes_of_the_files_that_people_download(bench):
    shape = bench("shapes").SHAPES["8B"]
    rest = {size - bench("mixes").file_bytes(shape, mix) for mix, size in LLAMA_3_1_8B.items()}
    assert len(rest) == 1 and 7e6 < rest.pop() < 8e6  # the vocabulary and the names, the same in each


def test_rows_that_are_no_whole_blocks_have_the_encodings_that_llama_cpp_falls_back_to(bench):
    encodings = bench("mixes").encodings(bench("shapes").SHAPES["0.5B"], "Q4_K_M")
    names = "token_embd", "blk.0.attn_q", "blk.0.attn_v", "blk.0.ffn_down", "blk.3.ffn_down", "blk.0.attn_norm"
    assert [encodings[f"{name}.weight"] for name in names] == ["Q8_0", "Q5_0", "Q8_0", "Q6_K", "Q4_K", "F32"]


def test_half_of_the_layers_have_more_bits_in_q4_k_m(bench):
    encodings = bench("mixes").encodings(bench("shapes").SHAPES["1.5B"], "Q4_K_M")
    more = [layer for layer in range(28) if encodings[f"blk.{layer}.ffn_down.weight"] == "Q6_K"]
    assert more == [0, 1, 2, 5, 8, 11, 14, 17, 20, 23, 24, 25, 26, 27]
    assert more == [layer for layer in range(28) if encodings[f"blk.{layer}.attn_v.weight"] == "Q6_K"]


ENCODINGS = (
    *("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "IQ4_NL", "IQ4_XS", "MXFP4", "F16", "BF16"),
    *("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"),
)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("columns", [1536, 14336])
def test_values_are_finite_with_mean_0_and_the_deviation_of_a_models_weights(few, encoding, columns):
    raw = few.Source(encoding, columns, 0).tensor(64, columns)
    values = gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[encoding])
    assert values.shape == (64, columns) and np.isfinite(values).all()
    scaled = values * columns**0.5
    assert abs(scaled.mean()) < 0.05 and 0.8 < scaled.std() < 1.25


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_blocks_have_no_scale_of_0_and_rows_are_all_different(few, encoding):
    raw = few.Source(encoding, 1536, 0).tensor(2000, 1536)
    number = gguf.GGMLQuantizationType[encoding]
    block = max(32, gguf.GGML_QUANT_SIZES[number][0])
    values = gguf.quants.dequantize(raw, number).reshape(-1, block)
    assert (values != 0).any(axis=1).all() and len({row.tobytes() for row in raw}) == 2000


def test_blocks_that_a_quantiser_never_writes_do_not_occur(few):
    raw = few.Source("Q8_0", 1536, 0).tensor(64, 1536).reshape(-1, 34)
    assert raw[:, 2:].view(np.int8).min() == -127
    assert (raw[:, :2].copy().view(np.float16) > 0).all()


@pytest.mark.parametrize("mix", ["Q4_K_M", "IQ4_XS", "MXFP4", "all-Q3_K", "F16"])
def test_a_file_has_the_tensors_of_its_shape_in_the_encodings_of_its_mix(bench, few, tiny, tmp_path, mix):
    bench("synthetic_model").write(tmp_path / "model.gguf", tiny, mix)
    tensors = gguf.GGUFReader(tmp_path / "model.gguf").tensors
    sizes = {tensor.name: tuple(map(int, reversed(tensor.shape))) for tensor in tensors}
    assert sizes == tiny.tensors()
    assert {tensor.name: tensor.tensor_type.name for tensor in tensors} == bench("mixes").encodings(tiny, mix)
    assert all(np.isfinite(gguf.quants.dequantize(tensor.data, tensor.tensor_type)).all() for tensor in tensors)


def test_the_same_arguments_give_the_same_file_and_other_mixes_other_bytes(bench, few, tiny, tmp_path):
    write = bench("synthetic_model").write
    for name, mix in (("one", "Q4_K_M"), ("two", "Q4_K_M"), ("other", "Q4_K_S")):
        write(tmp_path / name, tiny, mix)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    query = "blk.0.attn_q.weight"
    one, other = (
        next(t.data for t in gguf.GGUFReader(tmp_path / name).tensors if t.name == query) for name in ("one", "other")
    )
    assert one.shape == other.shape and not (one == other).all(axis=1).any()


def test_a_smaller_vocabulary_has_the_first_tokens_only_the_merges_that_make_them_and_an_end(bench):
    texts, kinds, merges = bench("synthetic_model").vocabulary(2048)
    assert len(texts) == len(kinds) == len(set(texts)) == 2048
    assert texts[-1] == "<|endoftext|>" and kinds[-1] == gguf.TokenType.CONTROL
    assert len(merges) == 2047 - 256 and all(merge.replace(" ", "") in texts for merge in merges)
