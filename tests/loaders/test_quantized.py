"""A model quantised while it is read: the bytes of the reference encoder, and errors as they are."""

import dataclasses

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from loaders.errors import SourceError
from loaders.quantized import QUANTIZED_TYPES, QuantizedTensor, RoundingError, quantized, summary
from loaders.reader import read_model
from loaders.source.model import SourceTensor
from plpython.model import encodings, mixes
from plpython.server.errors import ModelError


@pytest.fixture
def stories(own_data):
    return read_model(own_data / "stories260K/stories260K.gguf")


@pytest.mark.parametrize("type", ["Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"])
def test_matrices_have_the_reference_encoders_bytes_and_vectors_stay(stories, type):
    before = {tensor.name: tensor for tensor in stories.tensors}
    after = quantized(stories, type.lower())
    for tensor in after.tensors:
        source = before[tensor.name]
        if len(source.shape) == 1:
            assert tensor is source
            continue
        values = np.frombuffer(source.data, np.float32).reshape(source.shape)
        wanted = GGMLQuantizationType[type if source.shape[-1] % 32 == 0 else "F16"]
        assert tensor.type == wanted.name
        assert b"".join(tensor.tiles()) == quants.quantize(values, wanted).tobytes()
        stored = quants.dequantize(quants.quantize(values, wanted).view(np.uint8), wanted).reshape(values.shape)
        expected = np.linalg.norm((stored - values).astype(float)) / np.linalg.norm(values.astype(float))
        assert tensor.error.relative == pytest.approx(expected, rel=1e-4)
    assert after.files == ()
    assert after.bytes() == sum(tensor.size() for tensor in after.tensors) < stories.bytes() / 3
    assert len(summary(after)) == sum(len(tensor.shape) > 1 for tensor in stories.tensors)


@pytest.mark.parametrize("type", QUANTIZED_TYPES)
def test_each_matrix_has_the_encoding_and_the_bytes_that_llm_quantize_gives_it(stories, type):
    wanted = mixes.types(type, {tensor.name: tensor.shape for tensor in stories.tensors})
    before = {tensor.name: tensor for tensor in stories.tensors}
    for tensor in quantized(stories, type.lower()).tensors:
        source = before[tensor.name]
        assert tensor.type == (wanted[tensor.name] or source.type)
        values = np.frombuffer(source.data, np.float32).reshape(source.shape)
        assert b"".join(tensor.tiles()) == encodings.encode(tensor.type, values).tobytes()


def test_a_mix_has_more_than_one_encoding_and_is_told_by_tensor(stories):
    told = {tensor: type for tensor, _, type, _, _ in summary(quantized(stories, "q4_k_m"))}
    assert told["output.weight"] == told["blk.4.attn_v.weight"] == "Q8_0"  # for Q6_K: rows of 64
    assert told["blk.2.attn_q.weight"] == "Q5_0" and told["blk.0.ffn_down.weight"] == "F16"


@pytest.mark.parametrize(("rows", "columns"), [(3, 2048), (700, 2048), (2, 1 << 20)])
def test_tiles_are_cut_as_those_of_any_tensor_of_the_type(rows, columns):
    values = np.random.default_rng(1).standard_normal((rows, columns)).astype(np.float32)
    source = SourceTensor("w", "F32", (rows, columns), memoryview(values).cast("B"))
    made = QuantizedTensor("w", "Q8_0", source.shape, memoryview(b""), source)
    encoded = SourceTensor("w", "Q8_0", source.shape, memoryview(encodings.encode("Q8_0", values)))
    assert [bytes(tile) for tile in made.tiles()] == [bytes(tile) for tile in encoded.tiles()]
    assert made.size() == encoded.size()


def test_a_relative_error_is_the_root_of_the_changes_over_that_of_the_weights():
    error = RoundingError()
    error.add(np.array([[3.0, 4.0]], np.float32), np.array([[3.0, 3.5]], np.float32))
    assert error.relative == pytest.approx(0.1)
    assert RoundingError().relative == 0


def test_what_cannot_be_quantized_is_refused_by_name(stories):
    with pytest.raises(SourceError, match="cannot quantize to 'q3_k'"):
        quantized(stories, "q3_k")
    values = np.full((1, 32), np.nan, np.float32)
    broken = dataclasses.replace(stories.tensors[0], name="w", shape=(1, 32), data=memoryview(values).cast("B"))
    (made,) = quantized(dataclasses.replace(stories, tensors=(broken,)), "q8_0").tensors
    with pytest.raises(ModelError, match='tensor "w" holds NaN or infinity in row 0'):
        made.check()


@pytest.mark.parametrize(
    ("type", "source", "value"),
    [("Q8_0", "F32", 65520 * 127.0), ("Q4_0", "BF16", 65536 * 8.0), ("F16", "F32", 65520.0), ("Q8_0", "F16", np.inf)],
)
def test_a_number_that_the_type_cannot_hold_is_refused_by_tensor_and_row(type, source, value):
    values = np.zeros((70, 32), np.float32)
    values[69, 3] = np.float32(-value)
    with np.errstate(over="ignore"):
        raw = memoryview(encodings.encode(source, values))
    made = QuantizedTensor("w", type, values.shape, memoryview(b""), SourceTensor("w", source, values.shape, raw))
    with pytest.raises(ModelError, match=r'tensor "w" .* row 69') as refused:
        made.check()
    assert refused.value.sqlstate == "22023"


def test_large_numbers_that_the_type_can_hold_are_not_refused():
    values = np.zeros((2, 32), np.float32)
    values[1] = 8e6
    source = SourceTensor("w", "F32", values.shape, memoryview(values).cast("B"))
    QuantizedTensor("w", "Q8_0", values.shape, memoryview(b""), source).check()
    with pytest.raises(ModelError, match="is Q4_0, which cannot hold"):
        QuantizedTensor("w", "Q4_0", values.shape, memoryview(b""), source).check()


def test_weights_that_are_not_finite_are_refused_by_tensor_and_row(stories):
    for number, tensor in enumerate(stories.tensors):
        raw = bytearray(tensor.data)
        raw[-4:] = np.float32(np.nan).tobytes()
        broken = dataclasses.replace(tensor, data=memoryview(raw))
        tensors = (*stories.tensors[:number], broken, *stories.tensors[number + 1 :])
        row = int(np.prod(tensor.shape[:-1])) - 1
        with pytest.raises(SourceError, match=f'tensor "{tensor.name}" holds NaN or infinity in row {row} '):
            dataclasses.replace(stories, tensors=tensors).check_weights()
    stories.check_weights()


def test_rope_freqs_of_zeros_are_refused(stories):
    zeros = SourceTensor("rope_freqs.weight", "F32", (4,), memoryview(bytes(16)))
    with pytest.raises(SourceError, match=r'tensor "rope_freqs\.weight" .* that rope cannot divide by .*number 0'):
        dataclasses.replace(stories, tensors=(zeros,)).check_weights()
