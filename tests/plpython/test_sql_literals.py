"""What SQL reads in bulk, against Python's own texts and the bytes that PostGIS and PostgreSQL document."""

import struct

import numpy as np
import pytest

from plpython.atoms import geometry, sql_literals


@pytest.mark.parametrize("numbers", [[], [0], [7, 0, 12345], [9999, 10000], [(1 << 62) - 1, 1, 1 << 61]])
def test_an_array_has_its_numbers(numbers):
    text = sql_literals.array(np.array(numbers, np.int64))
    assert text[0] + text[-1] == "{}"
    assert [int(word) for word in text[1:-1].split(",") if word] == numbers
    assert sql_literals.integers(text).tolist() == numbers


def test_reals_are_their_numbers_in_hexadecimal_as_c_reads_it():
    random = np.random.default_rng(3).integers(0, 1 << 32, 2000, dtype=np.uint32).view("<f4")
    few = [0, -0.0, 1, -3, 0.1, 2.0**-149, -(2.0**-126), 2.0**-126 - 2.0**-149, np.finfo(np.float32).max]
    for listed in (few, random[np.isfinite(random)], [], [1, np.inf, -np.inf, np.nan, 0.1, 2.0**-149]):
        numbers = np.array(listed, np.float32)
        text = sql_literals.reals(numbers)
        assert text[0] + text[-1] == "{}"
        words = text[1:-1].split(",") if len(numbers) else []
        read = np.array([float.fromhex(word) if "0x" in word else float(word) for word in words], np.float32)
        assert read.tobytes() == numbers.tobytes()


def test_a_bit_string_begins_with_its_first_bit():
    """As hexadecimal digits after an x, PostgreSQL's documentation of bit-string constants says."""
    flags = np.zeros(16, bool)
    flags[[0, 6, 15]] = True
    assert f"{int(sql_literals.bits(flags)[1:], 16):016b}" == "1000001000000001"
    assert sql_literals.bits(flags) == "x8201"


def test_points_are_ewkb():
    steps = np.array([[0, 256, 512, 768], [1, 2, 3, 4]])
    content = sql_literals.points(steps)
    assert len(content) == 2 * 41
    order, kind, srid, *xyzm = struct.unpack("<BII4d", content[:41])
    assert (order, kind & 0xFF, kind >> 28, srid) == (1, 1, 0xE, 3857)  # little-endian, a point, z and m and SRID
    assert xyzm == [2**23 + 1 / 512 + axis for axis in range(4)]


def test_multipoints_are_ewkb_and_the_last_one_may_be_shorter():
    steps = np.arange(20).reshape(5, 4)
    content = sql_literals.multipoints(steps, 2)
    sizes = []
    places = []
    while content:
        order, kind, srid, size = struct.unpack("<BIII", content[:13])
        assert (order, kind & 0xFF, kind >> 28, srid) == (1, 4, 0xE, 3857)
        sizes.append(size)
        for i in range(size):
            order, kind, *xyzm = struct.unpack("<BI4d", content[13 + 37 * i : 50 + 37 * i])
            assert (order, kind & 0xFF, kind >> 28) == (1, 1, 0xC)
            places.append(xyzm)
        content = content[13 + 37 * size :]
    assert sizes == [2, 2, 1]
    assert places == geometry.coordinates(steps).tolist()


def test_byte_strings_are_taken_in_any_order():
    content, lengths = sql_literals.taken(b"abbccc", np.array([1, 2, 3]), np.array([2, 0, 2]))
    assert (content, lengths.tolist()) == (b"cccaccc", [3, 1, 3])
    assert sql_literals.taken(b"ab", np.array([1, 1]), np.array([], np.int64))[0] == b""


def test_rows_are_copys_binary_format():
    content = sql_literals.copied([np.array([1, -2]), np.array([b"ab", b"c\0"]).view("V2")], [b"", b"xyz"])
    header = b"PGCOPY\n\377\r\n\0" + struct.pack("!ii", 0, 0)
    first = struct.pack("!hiqi2si", 3, 8, 1, 2, b"ab", 0)
    second = struct.pack("!hiqi2si3s", 3, 8, -2, 2, b"c\0", 3, b"xyz")
    assert content == header + first + second + struct.pack("!h", -1)
