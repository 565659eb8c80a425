"""A model quantised while it is read: the bytes of the reference encoder, and errors as they are."""

import dataclasses

import numpy as np
import pytest
from gguf import GGMLQuantizationType, quants

from loaders.errors import SourceError
from loaders.model import SourceTensor
from loaders.quantized import QuantizedTensor, RoundingError, quantized, summary
from loaders.reader import read_model
from plpython import quant
from plpython.errors import ModelError


@pytest.fixture
def stories(data):
    return read_model(data / "stories260K/stories260K.gguf")


@pytest.mark.parametrize("type", ["Q8_0", "Q4_0"])
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


@pytest.mark.parametrize(("rows", "columns"), [(3, 2048), (700, 2048), (2, 1 << 20)])
def test_tiles_are_cut_as_those_of_any_tensor_of_the_type(rows, columns):
    values = np.random.default_rng(1).standard_normal((rows, columns)).astype(np.float32)
    source = SourceTensor("w", "F32", (rows, columns), memoryview(values).cast("B"))
    made = QuantizedTensor("w", "Q8_0", source.shape, memoryview(b""), source)
    encoded = SourceTensor("w", "Q8_0", source.shape, memoryview(quant.encode("Q8_0", values)))
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
    with pytest.raises(ModelError, match='tensor "w" holds infinity or NaN in row 0'):
        made.check()
