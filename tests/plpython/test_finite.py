"""Which weights are refused and how they are named, with the type's own limits as the right values."""

import numpy as np
import pytest

from plpython.model import encodings, finite
from plpython.server.errors import ModelError

MOST = {"F16": 65520.0, "Q8_0": 65520.0 * 127, "Q4_0": 65520.0 * 8}  # from here on half precision rounds to infinity


def test_the_row_of_a_block_is_named_from_the_first_row_on():
    rows = np.zeros((5, 64), np.float32)
    raw = np.frombuffer(encodings.encode("Q8_0", rows), np.uint8).reshape(10, 34).copy()
    raw[7, :2] = 0x00, 0x7C  # infinity is the scale of the second block of row 3
    finite.check_rows("w", "Q8_0", 64, [raw[:7].tobytes()])
    with pytest.raises(ModelError, match='tensor "w" holds NaN or infinity in row 3') as refused:
        finite.check_rows("w", "Q8_0", 64, [raw[:4].tobytes(), raw[4:].tobytes()])
    assert refused.value.sqlstate == "22023"
    with pytest.raises(ModelError, match="in row 103"):
        finite.check_rows("w", "Q8_0", 64, [raw.tobytes()], first_row=100)


@pytest.mark.parametrize(("kind", "limit"), MOST.items())
def test_a_type_holds_what_half_precision_does_not_round_to_infinity(kind, limit):
    values = np.zeros((3, 32), np.float32)
    values[2, 5] = -np.nextafter(np.float32(limit), np.float32(0))
    _, stored = finite.encoded("w", kind, values, range(3))
    assert np.isfinite(stored).all()
    values[2, 5] = -limit
    with pytest.raises(ModelError, match=f'tensor "w" is {kind}, which cannot hold the values of row 12') as refused:
        finite.encoded("w", kind, values, range(10, 13))
    assert refused.value.sqlstate == "22023" and f"{limit:g}" in refused.value.detail


def test_bfloat16_rounds_the_largest_numbers_of_float32_to_infinity():
    values = np.full((1, 2), np.finfo(np.float32).max)
    with pytest.raises(ModelError, match="is BF16, which cannot hold the values of row 0"):
        finite.encoded("w", "BF16", values, range(1))


@pytest.mark.parametrize("kind", encodings.ENCODED)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_no_type_is_given_infinity_or_nan(kind, value):
    values = np.zeros((2, 32), np.float32)
    values[1, 31] = value
    with pytest.raises(ModelError, match='tensor "w" holds NaN or infinity in row 1'):
        finite.encoded("w", kind, values, range(2))


@pytest.mark.parametrize("value", [0.0, -0.0, -1.0, 1e-45, np.inf, -np.inf, np.nan])
def test_rope_divides_by_finite_numbers_above_0_only(value):
    divisors = np.ones(32, np.float32)
    finite.check_divisors("rope_freqs.weight", "F32", [divisors.tobytes()])
    divisors[20] = value
    with pytest.raises(ModelError, match="that rope cannot divide by") as refused:
        finite.check_divisors("rope_freqs.weight", "F32", [divisors.tobytes()])
    assert "number 20, counted from 0, is" in refused.value.detail


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_are_all_finite_or_an_error_that_names_model_and_position(value):
    logits = np.zeros(100, np.float32)
    finite.check_logits(logits, 7, "m")
    logits[50] = value
    with pytest.raises(ModelError, match="the logits are not finite") as refused:
        finite.check_logits(logits, 7, "m")
    assert refused.value.sqlstate == "XX001"
    assert 'model "m"' in refused.value.detail and "position 7" in refused.value.detail
