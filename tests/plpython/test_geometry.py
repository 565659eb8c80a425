"""Where atoms lie, by hand for single ones and against counting one by one for tensors."""

import struct

import numpy as np
import pytest

from plpython.atoms import geometry
from plpython.model import encodings
from plpython.server.errors import ModelError


def byte_points(*contents):
    return geometry.byte_points(b"".join(contents), [len(content) for content in contents]).tolist()


def test_a_byte_lies_on_the_diagonal():
    assert byte_points(b"\x00", b"\x80", b"\xff") == [
        [0, 0, 0, 0],
        [0x80 << 23, 0x80 << 23, 0, 0x80 << 23],
        [0xFF << 23, 0xFF << 23, 0, 0xFF << 23],
    ]


def test_x_is_the_beginning_y_the_end_read_backwards_and_m_the_middle():
    (point,) = byte_points(b"abcdefgh")
    assert point[0] == int.from_bytes(b"abcd", "big") >> 1
    assert point[1] == int.from_bytes(b"hgfe", "big") >> 1
    assert point[3] == int.from_bytes(b"efgh", "big") >> 1


def test_bytes_that_are_not_there_are_zero():
    assert byte_points(b"ab", b"cde") == [
        [0x61620000 >> 1, 0x62610000 >> 1, 1 << 26, 0x62000000 >> 1],
        [0x63646500 >> 1, 0x65646300 >> 1, (1 << 26) + (1 << 25), 0x64650000 >> 1],
    ]


def test_a_doubled_length_is_one_step_of_the_logarithm_further():
    assert geometry.log_steps([1, 2, 3, 4, 6, 1 << 20]).tolist() == [
        0, 1 << 26, 3 << 25, 2 << 26, 5 << 25, 20 << 26,
    ]  # fmt: skip
    assert geometry.log_steps([(1 << 31) - 1])[0] < 1 << 31


def test_words_that_begin_alike_are_neighbours_along_x():
    words = [b"interest", b"interesting", b"internal", b"into", b"zebra"]
    x = [point[0] for point in byte_points(*words)]
    assert x == sorted(x)
    assert x[0] == x[1]


def test_lengths_that_do_not_fit_the_content_are_refused():
    with pytest.raises(ModelError, match="lengths"):
        geometry.byte_points(b"abc", [1, 1])
    with pytest.raises(ModelError, match="lengths"):
        geometry.byte_points(b"abc", [0, 3])


@pytest.mark.parametrize("encoding", ["F16", "BF16"])
def test_x_orders_half_precision_codes_by_value(encoding):
    codes = np.arange(1 << 16)
    values = encodings.decode(encoding, codes.astype("<u2").view(np.uint8), (1 << 16,))
    x = geometry.code_points(encoding, codes)[:, 0]
    finite = np.isfinite(values)
    order = np.argsort(x[finite])
    assert len(set(x.tolist())) == 1 << 16
    assert (np.diff(values[finite][order]) >= 0).all()


@pytest.mark.parametrize(("encoding", "levels"), [("Q8_0", 256), ("Q4_0", 16), ("Q4_1", 16), ("IQ4_NL", 16)])
def test_x_orders_block_codes_by_value(encoding, levels):
    """A block for each code, all of them that code, with scale 1."""
    one = struct.pack("<e", 1)
    header = one * (geometry.CODES[encoding].codes.first // 2)
    codes = [code if levels == 256 else code * 17 for code in range(levels)]
    size = geometry.CODES[encoding].size - len(header)
    raw = np.frombuffer(b"".join(header + bytes([code] * size) for code in codes), np.uint8)
    values = encodings.decode(encoding, raw, (levels, 32))[:, 0]
    x = geometry.code_points(encoding, np.arange(levels))[:, 0]
    assert (np.diff(values[np.argsort(x)]) > 0).all()


@pytest.mark.parametrize("encoding", geometry.CODES)
def test_every_weight_is_counted_once_wherever_a_piece_ends(encoding):
    random = np.random.default_rng(5)
    size, before = geometry.CODES[encoding].size, geometry.CODES[encoding].codes.first
    raw = random.integers(0, 256, size * 96, dtype=np.uint8).tobytes()
    expected = {}
    for start in range(0, len(raw), size):
        for code in codes_of_block(encoding, raw[start + before : start + size]):
            expected[code] = expected.get(code, 0) + 1
    pieces = [raw[:7], raw[7:7], raw[7:1000], raw[1000:]]
    counts = geometry.count_codes(encoding, encodings.whole_blocks(encoding, pieces))
    assert {int(code): int(counts[code]) for code in np.flatnonzero(counts)} == expected
    assert counts.sum() == 96 * encodings.BLOCKS[encoding][0]


def codes_of_block(encoding, content):
    bits = geometry.CODES[encoding].codes.bits
    if bits == 16:
        return [low | high << 8 for low, high in zip(content[::2], content[1::2], strict=True)]
    return list(content) if bits == 8 else [half for byte in content for half in (byte & 15, byte >> 4)]


def test_the_content_of_a_code_names_its_encoding():
    assert geometry.code_contents("Q8_0", [253]) == [b"Q8_0\x00\xfd"]
    assert geometry.code_contents("F16", [0x3C01]) == [b"F16\x00\x01\x3c"]


def test_coordinates_are_the_middles_of_steps_and_never_exact_in_single_precision():
    steps = np.array([0, 1, (1 << 31) - 1])
    coordinates = geometry.coordinates(steps)
    assert coordinates.tolist() == [8388608.001953125, 8388608.005859375, 16777215.998046875]
    assert (np.abs(coordinates - coordinates.astype(np.float32)) >= 1 / 512).all()
