"""Encoders whose scales are our own search: errors beside llama.cpp's own quantisers, and where blocks may lie."""

import json
from pathlib import Path

import gguf
import numpy as np
import pytest

from plpython.model import encodings
from plpython.server.errors import ModelError
from tests.own_data import weights_to_quantize

CHECKOUT = Path(__file__).resolve().parents[2]
ERRORS = json.loads((CHECKOUT / "tests/fixtures/quantizers/errors.json").read_text(encoding="utf-8"))
TYPES = ("Q4_K", "Q5_K", "Q6_K", "IQ4_NL")
ROUNDING = 1e-6  # of the errors themselves, which differ in their last digits from machine to machine


def error(type, weights):
    """The relative error of weights, as the gguf package decodes what we encode."""
    raw = encodings.encode(type, weights).reshape(len(weights), -1)
    return weights_to_quantize.relative_error(weights, gguf.quants.dequantize(raw, gguf.GGMLQuantizationType[type]))


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("kind", weights_to_quantize.KINDS)
def test_the_error_is_no_larger_than_llama_cpps(type, kind):
    assert error(type, weights_to_quantize.made(kind)) <= ERRORS[kind][type]["error"] * (1 + ROUNDING)


@pytest.mark.parametrize("type", TYPES)
def test_the_error_on_a_trained_model_is_no_larger_than_llama_cpps(type):
    assert error(type, weights_to_quantize.of_model(CHECKOUT / "tidy/tidy.gguf")) <= ERRORS["tidy"][type]["error"]


@pytest.mark.parametrize("type", TYPES)
def test_the_error_on_a_model_that_others_trained_is_no_larger_than_llama_cpps(data, type):
    weights = weights_to_quantize.of_model(data / "stories260K/stories260K.gguf")
    assert error(type, weights) <= ERRORS["stories260K"][type]["error"]


@pytest.mark.parametrize("type", TYPES)
def test_for_normal_weights_the_error_is_clearly_smaller(type):
    assert error(type, weights_to_quantize.made("normal")) < 0.99 * ERRORS["normal"][type]["error"]


@pytest.mark.parametrize("type", TYPES)
def test_blocks_have_the_same_bytes_alone_and_among_others(type):
    block, size = encodings.BLOCKS[type]
    weights = np.random.default_rng(5).standard_normal((600, block)).astype(np.float32)
    together = encodings.encode(type, weights).reshape(600, size)
    for count in (1, 7, 130):
        alone = [encodings.encode(type, weights[i : i + count]) for i in range(0, 600, count)]
        np.testing.assert_array_equal(np.concatenate(alone).reshape(600, size), together)


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("low", [-1, 0])
def test_the_largest_numbers_of_half_precision_are_held_and_larger_ones_become_infinite(type, low):
    weights = np.random.default_rng(6).uniform(low, 1, (2, 256)).astype(np.float32)
    weights[:, 0] = 1
    assert error(type, weights * np.float32(65504)) < 0.1
    for size in (1e9, 1e20, 3e38):
        raw = encodings.encode(type, weights * np.float32(size))
        with np.errstate(invalid="ignore"):
            stored = encodings.decode(type, raw, weights.shape)
        assert not np.isfinite(stored).any(axis=1).all()


@pytest.mark.parametrize("type", TYPES)
def test_nan_is_refused(type):
    with pytest.raises(ModelError, match="cannot hold NaN"):
        encodings.encode(type, np.full((1, 256), np.nan, np.float32))


def test_codes_and_six_bit_scales_are_where_the_format_has_them():
    """Eight blocks with the codes 0 to 15, twice; their scales are in proportion 8, 7, ... 1."""
    part = np.tile(np.arange(16), 2)[None, :]
    weights = ((8 - np.arange(8))[:, None] * (part - 8)).astype(np.float32).reshape(1, 256)
    raw = encodings.encode("Q4_K", weights)
    scales = raw[4:16]
    low = [int(scales[i] & 63) for i in range(4)] + [int(scales[8 + i] & 15 | scales[i] >> 6 << 4) for i in range(4)]
    assert np.allclose(np.array(low) / low[0], (8 - np.arange(8)) / 8, atol=0.02)
    assert (raw[16:48] & 15).tolist() == part[0].tolist()  # block 0 in the low halves
    assert (raw[16:48] >> 4).tolist() == part[0].tolist()  # block 1 in the high ones
