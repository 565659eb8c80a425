"""The codecs of GGUF's tensor types, against golden data and against decoders written from the format's description."""

import functools
import struct
from itertools import pairwise

import gguf
import numpy as np
import pytest

from plpython.model import encodings
from plpython.server.errors import ModelError
from tests.plpython.valid_blocks import put_floats, random_blocks

GOLDEN = ("Q8_0", "Q4_0", "Q4_K", "Q6_K", "F16", "BF16")
IQ4_VALUES = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)


@pytest.mark.parametrize("kind", GOLDEN)
def test_golden_blocks_decode_to_the_same_bits(each_data, kind):
    raw = np.fromfile(each_data / "quant-golden" / f"{kind}.raw", np.uint8)
    expected = np.fromfile(each_data / "quant-golden" / f"{kind}.f32", np.uint32)
    elements, size = encodings.BLOCKS[kind]
    decoded = encodings.decode(kind, raw, (len(raw) // size, elements))
    np.testing.assert_array_equal(decoded.reshape(-1).view(np.uint32), expected)


@pytest.mark.parametrize("encoding", encodings.ENCODINGS, ids=lambda encoding: encoding.name)
def test_numbers_and_blocks_of_encodings_are_ggufs(encoding):
    number = gguf.GGMLQuantizationType[encoding.name]
    assert encoding.number == number
    assert (encoding.block, encoding.size) == gguf.GGML_QUANT_SIZES[number]


# From the block structs of ggml-common.h as their comments describe them: one block of bytes -> Python floats.


def half(raw):
    return struct.unpack("<e", bytes(raw))[0]


def nibbles(raw):
    return [byte & 15 for byte in raw] + [byte >> 4 for byte in raw]


def bits(raw):
    word = int.from_bytes(bytes(raw), "little")
    return [word >> i & 1 for i in range(8 * len(raw))]


def q4_1(b):
    return [half(b[:2]) * q + half(b[2:4]) for q in nibbles(b[4:])]


def q5_0(b):
    return [half(b[:2]) * (low + 16 * high - 16) for low, high in zip(nibbles(b[6:]), bits(b[2:6]), strict=True)]


def q5_1(b):
    quants = [low + 16 * high for low, high in zip(nibbles(b[8:]), bits(b[4:8]), strict=True)]
    return [half(b[:2]) * q + half(b[2:4]) for q in quants]


def q2_k(b):
    scales, quants, d, dmin = b[:16], b[16:80], half(b[80:82]), half(b[82:84])
    values = []
    for i in range(256):  # two halves of 128; four shifts of 32 values; a scale for 16
        quarter, byte = i // 32, quants[i // 128 * 32 + i % 32]
        scale = scales[i // 16]
        values.append(d * (scale & 15) * (byte >> 2 * (quarter % 4) & 3) - dmin * (scale >> 4))
    return values


def q3_k(b):
    high, quants, packed, d = b[:32], b[32:96], b[96:108], half(b[108:110])
    low4 = [packed[i] & 15 for i in range(8)] + [packed[i] >> 4 for i in range(8)]
    scales = [low4[i] + 16 * (packed[8 + i % 4] >> 2 * (i // 4) & 3) - 32 for i in range(16)]
    values = []
    for i in range(256):
        quarter = i // 32
        low = quants[i // 128 * 32 + i % 32] >> 2 * (quarter % 4) & 3
        values.append(d * scales[i // 16] * (low + 4 * (high[i % 32] >> quarter & 1) - 4))
    return values


def q5_k(b):
    d, dmin, packed, high, quants = half(b[:2]), half(b[2:4]), b[4:16], b[16:48], b[48:176]
    scales = [packed[i] & 63 for i in range(4)]
    scales += [packed[8 + i] & 15 | packed[i] >> 6 << 4 for i in range(4)]
    minima = [packed[4 + i] & 63 for i in range(4)]
    minima += [packed[8 + i] >> 4 | packed[4 + i] >> 6 << 4 for i in range(4)]
    values = []
    for i in range(256):
        part = i // 32
        byte = quants[i // 64 * 32 + i % 32]
        q = (byte >> 4 if part % 2 else byte & 15) + 16 * (high[i % 32] >> part & 1)
        values.append(d * scales[part] * q - dmin * minima[part])
    return values


def iq4_nl(b):
    return [half(b[:2]) * IQ4_VALUES[q] for q in nibbles(b[2:])]


def iq4_xs(b):
    d, high, low, quants = half(b[:2]), int.from_bytes(bytes(b[2:4]), "little"), b[4:8], b[8:136]
    values = []
    for part in range(8):
        scale = (low[part // 2] >> 4 * (part % 2) & 15) + 16 * (high >> 2 * part & 3) - 32
        values += [d * scale * IQ4_VALUES[q] for q in nibbles(quants[16 * part : 16 * part + 16])]
    return values


E2M1 = (0, 0.5, 1, 1.5, 2, 3, 4, 6)  # the floats of four bits in the OCP's Microscaling Formats; bit 3 is the sign


def mxfp4(b):
    return [2.0 ** (b[0] - 127) * E2M1[q & 7] * (-1) ** (q >> 3) for q in nibbles(b[1:])]


def signed(magnitudes, signs):
    """Magnitudes with the signs that the bits of a byte are."""
    return [-m if signs >> i & 1 else m for i, m in enumerate(magnitudes)]


def even(seven_bits):
    """Eight signs of seven: the number of minus signs is even."""
    return seven_bits | seven_bits.bit_count() % 2 << 7


@functools.cache
def grid(kind):
    """The rows of a grid, a table of ggml-common.h, as the gguf package has it."""
    traits = getattr(gguf.quants, kind)
    traits.init_grid()
    return traits.grid.reshape(traits.grid_shape).astype(int).tolist()


def word(raw):
    return int.from_bytes(bytes(raw), "little")


def iq2_xxs(b):
    values = []
    for part in range(8):
        rows, signs = b[2 + 8 * part : 6 + 8 * part], word(b[6 + 8 * part : 10 + 8 * part])
        scale = half(b[:2]) * (0.5 + (signs >> 28)) * 0.25
        for i, row in enumerate(rows):
            values += [scale * v for v in signed(grid("IQ2_XXS")[row], even(signs >> 7 * i & 127))]
    return values


def iq2_xs(b):
    values = []
    for i in range(32):
        both, scale = word(b[2 + 2 * i : 4 + 2 * i]), b[66 + i // 4] >> i // 2 % 2 * 4 & 15
        row = signed(grid("IQ2_XS")[both & 511], even(both >> 9))
        values += [half(b[:2]) * (0.5 + scale) * 0.25 * v for v in row]
    return values


def iq2_s(b):
    values = []
    for i in range(32):
        row = b[2 + i] | (b[66 + i // 4] >> 2 * (i % 4) & 3) << 8
        scale = b[74 + i // 4] >> i // 2 % 2 * 4 & 15
        values += [half(b[:2]) * (0.5 + scale) * 0.25 * v for v in signed(grid("IQ2_S")[row], b[34 + i])]
    return values


def iq3_xxs(b):
    values = []
    for i in range(32):
        signs = word(b[66 + i // 4 * 4 : 70 + i // 4 * 4])
        row = grid("IQ3_XXS")[b[2 + 2 * i]] + grid("IQ3_XXS")[b[3 + 2 * i]]
        row = signed(row, even(signs >> i % 4 * 7 & 127))
        values += [half(b[:2]) * (0.5 + (signs >> 28)) * 0.5 * v for v in row]
    return values


def iq3_s(b):
    values = []
    for i in range(32):
        rows = [b[2 + n] | (b[66 + n // 8] >> n % 8 & 1) << 8 for n in (2 * i, 2 * i + 1)]
        scale = 1 + 2 * (b[106 + i // 8] >> i // 4 % 2 * 4 & 15)
        row = signed(grid("IQ3_S")[rows[0]] + grid("IQ3_S")[rows[1]], b[74 + i])
        values += [half(b[:2]) * scale * v for v in row]
    return values


def iq1_s(b):
    values = []
    for i in range(32):
        upper = word(b[34 + i // 4 * 2 : 36 + i // 4 * 2])
        row = grid("IQ1_S")[b[2 + i] | (upper >> i % 4 * 3 & 7) << 8]
        scale, delta = 2 * (upper >> 12 & 7) + 1, -0.125 if upper >> 15 else 0.125
        values += [half(b[:2]) * scale * (v + delta) for v in row]
    return values


def iq1_m(b):
    words = [word(b[48 + 2 * n : 50 + 2 * n]) for n in range(4)]
    d = half(sum((w >> 12) << 4 * n for n, w in enumerate(words)).to_bytes(2, "little"))
    values = []
    for i in range(32):
        upper, part = b[32 + i // 2] >> i % 2 * 4 & 15, i // 2
        row, scale = grid("IQ1_M")[b[i] | (upper & 7) << 8], 2 * (words[part // 4] >> part % 4 * 3 & 7) + 1
        values += [d * scale * (v + (-0.125 if upper & 8 else 0.125)) for v in row]
    return values


def digit(byte, n):
    """Digit n of base three of a fraction of 256, rounded up."""
    return (byte * 3**n % 256) * 3 // 256


def tq1_0(b):
    places = [(i, n) for n in range(5) for i in range(32)] + [(32 + i, n) for n in range(5) for i in range(16)]
    places += [(48 + i, n) for n in range(4) for i in range(4)]
    return [half(b[52:54]) * (digit(b[i], n) - 1) for i, n in places]


def tq2_0(b):
    return [half(b[64:66]) * ((b[i // 128 * 32 + i % 32] >> i // 32 % 4 * 2 & 3) - 1) for i in range(256)]


def e4m3(byte):
    """A float of eight bits without a sign; gguf takes NaN for 0."""
    exponent, fraction = byte >> 3 & 15, (byte & 7) / 8
    return 0.0 if byte == 127 else (1 + fraction) * 2.0 ** (exponent - 7) if exponent else fraction * 2.0**-6


def nvfp4(b):
    values = []
    for part in range(4):
        codes = nibbles(b[4 + 8 * part : 12 + 8 * part])
        values += [e4m3(b[part]) * E2M1[q & 7] * (-1) ** (q >> 3) for q in codes]
    return values


# type: (decoder, byte offsets of its half-precision numbers)
DESCRIBED = {
    "Q4_1": (q4_1, (0, 2)),
    "Q5_0": (q5_0, (0,)),
    "Q5_1": (q5_1, (0, 2)),
    "Q2_K": (q2_k, (80, 82)),
    "Q3_K": (q3_k, (108,)),
    "Q5_K": (q5_k, (0, 2)),
    "IQ4_NL": (iq4_nl, (0,)),
    "IQ4_XS": (iq4_xs, (0,)),
    "MXFP4": (mxfp4, ()),
    "IQ1_S": (iq1_s, (0,)),
    "IQ1_M": (iq1_m, ()),
    "IQ2_XXS": (iq2_xxs, (0,)),
    "IQ2_XS": (iq2_xs, (0,)),
    "IQ2_S": (iq2_s, (0,)),
    "IQ3_XXS": (iq3_xxs, (0,)),
    "IQ3_S": (iq3_s, (0,)),
    "TQ1_0": (tq1_0, (52,)),
    "TQ2_0": (tq2_0, (64,)),
    "NVFP4": (nvfp4, ()),
}


@pytest.mark.parametrize("kind", DESCRIBED)
def test_random_blocks_decode_as_the_formats_description_says(kind):
    decoder, halves = DESCRIBED[kind]
    elements, size = encodings.BLOCKS[kind]
    rng = np.random.default_rng(size)
    blocks = rng.integers(0, 256, (24, size), dtype=np.uint8)
    if kind == "IQ1_M":
        blocks[:, 55] &= 0xBF  # no exponent of all ones
    if kind == "MXFP4":
        blocks[:, 0] = np.arange(0, 24) * 11 - 1 + (np.arange(24) == 0)  # 0, 10, ... 252
    for offset in halves:
        blocks[:, offset : offset + 2] = rng.standard_normal(24).astype(np.float16)[:, None].view(np.uint8)
    expected = np.array([decoder([int(byte) for byte in block]) for block in blocks])
    decoded = encodings.decode(kind, blocks.reshape(-1), (6, 4 * elements)).reshape(24, elements)
    largest = np.abs(expected).max(axis=1, keepdims=True)
    assert np.all(np.abs(decoded - expected) <= 1e-6 * np.minimum(largest, 3e38))


def test_golden_and_described_types_are_all_types_with_blocks():
    assert {*GOLDEN, *DESCRIBED, "F32"} == set(encodings.BLOCKS)


def test_block_sizes_are_ggufs():
    for kind, sizes in encodings.BLOCKS.items():
        assert sizes == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]], kind


SCALE = 2**-11  # how far a half-precision scale (or minimum) may be off, relatively; values are in -1 ... 1

# Half a step of each type's grid and what its scale adds. Q4_0 and Q5_0 have no code for the largest's opposite.
STEPS = {
    "F32": 0,
    "F16": 2**-12,
    "BF16": 2**-9,
    "Q8_0": 0.5 / 127 + SCALE,
    "Q4_0": 1 / 8 + SCALE,
    "Q4_1": 0.5 * 2 / 15 + 2 * SCALE,
    "Q5_0": 1 / 16 + SCALE,
    "Q5_1": 0.5 * 2 / 31 + 2 * SCALE,
}


@pytest.mark.parametrize(("kind", "error"), STEPS.items())
def test_what_was_encoded_decodes_to_within_the_types_step(kind, error):
    values = np.random.default_rng(3).uniform(-1, 1, (5, 96)).astype(np.float32)
    raw = encodings.encode(kind, values)
    assert raw.dtype == np.uint8 and len(raw) == 5 * encodings.row_bytes(kind, 96)
    worst = np.abs(encodings.decode(kind, raw, values.shape) - values).max()
    assert worst <= error
    assert worst > 0 or kind == "F32"


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0"])
def test_blocks_encoded_many_at_a_time_are_the_references_bits(kind):
    random = np.random.default_rng(7)
    size = 32 * (encodings.BLOCKS_AT_ONCE + 5)
    noise = random.standard_normal(size).astype(np.float32)
    cases = (
        noise * 0.02,
        noise * np.float32(1e4),
        random.integers(-9, 10, size).astype(np.float32),  # equal magnitudes of both signs, halves
        np.where(random.random(size) < 0.9, np.float32(-0.0), noise),  # blocks of zeros of both signs
        (random.integers(-254, 255, size) / 2).astype(np.float32),
    )
    for values in cases:
        reference = gguf.quants.quantize(values.reshape(-1, 32), gguf.GGMLQuantizationType[kind])
        encoded = encodings.encode(kind, values.reshape(-1, 32))
        np.testing.assert_array_equal(encoded, reference.reshape(-1))
        decoded = encodings.decode(kind, encoded, (size // 32, 32))
        expected = gguf.quants.dequantize(reference, gguf.GGMLQuantizationType[kind])
        np.testing.assert_array_equal(decoded.view(np.uint32), expected.view(np.uint32))


def test_a_q8_0_block_is_the_hand_computed_one():
    values = np.zeros(32, np.float32)
    values[:4] = (127, -63.4, 0.5, -0.5)  # the scale is 1; halves round away from zero
    raw = encodings.encode("Q8_0", values)
    assert raw[:2].tobytes() == struct.pack("<e", 1.0)
    assert raw[2:6].view(np.int8).tolist() == [127, -63, 1, -1]


@pytest.mark.parametrize("kind", ["F16", "BF16"])
def test_every_16_bit_pattern_that_is_a_number_survives_decoding_and_encoding(kind):
    patterns = np.arange(65536, dtype=np.uint16)
    decoded = encodings.decode(kind, patterns, (65536,))
    numbers = ~np.isnan(decoded)
    again = encodings.encode(kind, decoded).view(np.uint16)
    np.testing.assert_array_equal(again[numbers], patterns[numbers])
    assert np.isnan(encodings.decode(kind, again, (65536,))[~numbers]).all()


def test_bf16_rounds_to_nearest_and_ties_to_even():
    bits_in = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF, 0x7F7FFFFF], np.uint32)
    bits_out = encodings.encode("BF16", bits_in.view(np.float32)).view(np.uint16)
    assert [hex(x) for x in bits_out] == ["0x3f80", "0x3f82", "0x3f81", "0x3f80", "0x7f80"]


def test_a_nan_whose_payload_is_in_the_low_bits_stays_a_nan_in_bf16():
    nan = np.array([0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(encodings.decode("BF16", encodings.encode("BF16", nan), (2,))).all()


def test_decoding_in_steps_gives_the_same_and_calls_the_checkpoint(monkeypatch):
    values = np.random.default_rng(5).standard_normal((40, 64)).astype(np.float32)
    raw = encodings.encode("Q8_0", values)
    whole = encodings.decode("Q8_0", raw, values.shape)
    monkeypatch.setattr(encodings, "DECODE_STEP", 300)
    calls = []
    np.testing.assert_array_equal(
        encodings.decode("Q8_0", raw, values.shape, checkpoint=lambda: calls.append(1)), whole
    )
    assert len(calls) == 10  # four rows at a time


def test_bytes_may_start_anywhere():
    raw = b"x" + np.arange(6, dtype=np.float32).tobytes()
    decoded = encodings.decode("F32", memoryview(raw)[1:], (2, 3))
    np.testing.assert_array_equal(decoded, [[0, 1, 2], [3, 4, 5]])
    assert decoded.flags.aligned  # BLAS results would differ


@pytest.mark.parametrize(
    ("call", "sqlstate", "words"),
    [
        (lambda: encodings.row_bytes("Q9_Z", 32), "0A000", '"Q9_Z"'),
        (lambda: encodings.row_bytes("Q4_K", 32), "22023", "multiples of 256"),
        (lambda: encodings.decode("Q8_0", bytes(33), (1, 32)), "XX001", "takes 34 bytes, there are 33"),
        (lambda: encodings.decode("F32", bytes(8), (1,)), "XX001", "takes 4 bytes, there are 8"),
        (lambda: encodings.encode("Q3_K", np.zeros(256)), "0A000", "Q3_K"),
        (lambda: encodings.encode("Q8_0", np.full(32, np.nan)), "22023", "NaN"),
        (lambda: encodings.encode("Q4_0", np.full(32, np.inf)), "22023", "infinity"),
    ],
)
def test_what_cannot_be_is_refused_by_name(call, sqlstate, words):
    with pytest.raises(ModelError) as caught:
        call()
    assert caught.value.sqlstate == sqlstate
    assert words in str(caught.value)


# What is infinite or NaN, by the values that the gguf package gives for the same blocks.

FIELDS = [
    (kind, at)
    for kind, (form, offsets) in encodings.FLOATS.items()
    if form in ("F32", "F16", "BF16")
    for at in (offsets[:1] if kind in encodings.JOINED else offsets)
]
EDGES = (0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0x7FC00000, 0x7FFFFFFF)


def blocks_with_every_float(kind, offset):
    """Blocks of random codes and small floats, one with each float at an offset: each of 16 bits, some of 32."""
    random, size = np.random.default_rng(3), encodings.BLOCKS[kind][1]
    word = encodings.INFINITY[encodings.FLOATS[kind][0]][0]
    edges = np.array(EDGES, np.uint32)
    every = np.arange(1 << 16, dtype=np.uint16)[:: 1 if encodings.BLOCKS[kind][0] <= 32 else 7]
    patterns = every if word is np.uint16 else np.concatenate([edges, edges | np.uint32(1 << 31)])
    blocks = random.integers(0, 256, (len(patterns), size), dtype=np.uint8)
    ones = np.full((len(blocks), 1), 0x3C00, word)
    for at in encodings.FLOATS[kind][1]:
        put_floats(encodings.BY_NAME[kind], blocks, at, ones.view(np.uint8))
    put_floats(encodings.BY_NAME[kind], blocks, offset, patterns[:, None].view(np.uint8))
    return blocks


@pytest.mark.parametrize(("kind", "offset"), FIELDS)
def test_every_float_that_makes_a_value_infinite_or_nan_is_found_and_no_other(kind, offset):
    blocks = blocks_with_every_float(kind, offset)
    with np.errstate(all="ignore"):
        values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[kind])
    ill = ~np.isfinite(values).all(axis=1)
    assert np.isfinite(values[~ill]).all() and not np.isfinite(values[ill]).any() and ill.any()
    largest = np.abs(values[~ill]).max()
    assert largest <= encodings.largest_bound(kind, blocks[~ill]) < np.inf
    for block in np.flatnonzero(ill):
        assert not np.isfinite(encodings.largest_bound(kind, blocks[block : block + 1]))
    assert encodings.first_not_finite(kind, blocks) == ill.argmax()
    turned = np.ascontiguousarray(blocks[::-1])
    assert encodings.first_not_finite(kind, turned) == ill[::-1].argmax()


def mxfp4_blocks(exponents):
    """A block of each exponent, with each of the sixteen codes twice."""
    codes = np.arange(16, dtype=np.uint8)
    return np.array([[exponent, *(codes | codes[::-1] << 4)] for exponent in exponents], np.uint8)


def test_every_power_of_two_of_mxfp4_decodes_exactly_from_the_subnormal_ones_on():
    blocks = mxfp4_blocks(range(253))
    values = encodings.decode("MXFP4", blocks, (253, 32))
    np.testing.assert_array_equal(values, np.array([mxfp4([int(byte) for byte in block]) for block in blocks]))
    assert values[0, 1] == 2.0**-128 and values[1, 1] == 2.0**-127 and values[252].max() == 1.5 * 2.0**127


def test_a_power_that_is_none_or_at_which_the_largest_code_is_infinite_is_found():
    """255 is NaN in OCP's specification; at 253 and 254 a code of 4 or 6 is beyond float32."""
    blocks = mxfp4_blocks(range(256))
    with np.errstate(over="ignore"):
        values = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType.MXFP4)
    assert np.flatnonzero(~np.isfinite(values).all(axis=1)).tolist() == [253, 254, 255]
    for exponent, block in enumerate(blocks):
        bound = encodings.largest_bound("MXFP4", block[None])
        largest = float(np.abs(values[exponent]).max())
        assert largest <= bound < np.inf if exponent < 253 else not np.isfinite(bound)
    assert encodings.first_not_finite("MXFP4", blocks) == 253
    assert encodings.first_not_finite("MXFP4", np.ascontiguousarray(blocks[::-1])) == 0


def test_every_block_of_nvfp4_is_finite_and_half_precision_holds_its_values():
    blocks = random_blocks("NVFP4", 512, 64, np.random.default_rng(1)).reshape(512, 36)
    blocks[:, 0] = np.arange(512) % 256
    values = encodings.decode("NVFP4", blocks, (512, 64))
    np.testing.assert_array_equal(values.astype(np.float16), values)
    assert 2688 <= np.abs(values).max() <= encodings.largest_bound("NVFP4", blocks) < np.inf


def test_of_every_encoding_it_is_known_where_its_floats_lie():
    assert encodings.FLOATS.keys() == encodings.BLOCKS.keys()


@pytest.mark.parametrize("kind", encodings.BLOCKS)
def test_whole_blocks_are_those_of_the_tensor_wherever_a_piece_ends(kind):
    raw = np.random.default_rng(4).integers(0, 256, encodings.BLOCKS[kind][1] * 9, dtype=np.uint8)
    ends = [0, 1, 1, 7, len(raw) // 2, len(raw)]
    pieces = [raw[a:b].tobytes() for a, b in pairwise(ends)]
    np.testing.assert_array_equal(np.concatenate(list(encodings.whole_blocks(kind, pieces))).reshape(-1), raw)


def test_a_tensor_that_ends_within_a_block_is_refused():
    with pytest.raises(ModelError, match="ends within a block"):
        list(encodings.whole_blocks("Q8_0", [b"\0" * 35]))
