"""The compiled operators against reference/operators; the same bits whatever is computed together."""

import hashlib
import math

import numpy as np
import pytest

from plpython.kernels import attention, elementwise, kv_pages
from plpython.kernels import matrix as matrix_kernels
from plpython.kernels.attention import AttentionPiece, Cached, Queries, Workspace
from plpython.kernels.dispatch import LAYOUT_BY_NAME
from plpython.kernels.elementwise import Affine, new_codes
from plpython.kernels.groups import HALF_OFFSET, OFFSETS, Activations, Rows, group_count
from plpython.kernels.kv_pages import PAGE, KVAddress, head_bytes
from plpython.model import encodings
from plpython.reference import operators
from plpython.simd.memory import load, store
from plpython.simd.processors import VARIANT
from plpython.simd.registers import compiled, f32
from plpython.weights.packed_model import pack_model
from tests.plpython.compiled import callable_from_python, run_for, same_bits, targets_here
from tests.plpython.valid_blocks import decoded, put_floats, random_blocks

RANDOM = np.random.default_rng(11)
EXACT = [encoding.name for encoding in encodings.ENCODINGS if encoding.layout]
OF_BLOCKS = [type for type in EXACT if LAYOUT_BY_NAME[encodings.BY_NAME[type].layout].of_blocks]
BATCHES = (1, 2, 3, 4, 7, 8, 9, 17, 33)
# Where the scale of a superblock's minima is: they are multiplied with fine codes, which are rounded to 16 bits.
OF_MINIMA = {"Q4_K": slice(2, 4), "Q5_K": slice(2, 4)}
# The bytes of the integer scales of blocks
SCALES_OF = {
    "Q2_K": [slice(0, 16)],
    "Q3_K": [slice(96, 108)],
    "Q4_K": [slice(4, 16)],
    "Q5_K": [slice(4, 16)],
    "Q6_K": [slice(192, 208)],
    "IQ4_XS": [slice(2, 8)],
    "IQ1_S": [slice(35, 50, 2)],
    "IQ2_XS": [slice(66, 74)],
    "IQ2_S": [slice(74, 82)],
    "IQ3_S": [slice(106, 110)],
}


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def padded(x):
    """Rows padded to whole registers, flat."""
    return np.pad(x, [(0, 0), (0, -x.shape[1] % 16)]).reshape(-1)


def test_exp_is_within_two_units_in_the_last_place():
    def run(x, out):
        for i in range(0, x.size, 16):
            store(out, i, elementwise.exp(load(x, i, f32)))

    x = np.linspace(-86.9, 87.9, 1 << 16, dtype=np.float32)
    out = np.zeros_like(x)
    callable_from_python(run)(x, out)
    exact = np.exp(x.astype(np.float64))
    assert np.max(np.abs(out - exact) / np.spacing(exact.astype(np.float32))) <= 2
    special = np.array([-np.inf, -1e9, -87.5, 0, 88, 89, 1e9, np.inf] * 2, np.float32)
    out = np.zeros_like(special)
    callable_from_python(run)(special, out)
    assert list(out[:4]) == [0, 0, 0, 1] and np.all(np.isfinite(out)) and len(set(out[4:8])) == 1


def test_exp2_is_within_two_units_in_the_last_place():
    def run(x, out):
        for i in range(0, x.size, 16):
            store(out, i, elementwise.exp2(load(x, i, f32)))

    x = np.linspace(-125.9, 126.9, 1 << 16, dtype=np.float32)
    out = np.zeros_like(x)
    callable_from_python(run)(x, out)
    exact = np.exp2(x.astype(np.float64))
    assert np.max(np.abs(out - exact) / np.spacing(exact.astype(np.float32))) <= 2
    special = np.array([-np.inf, -1e30, -127, -126.5, -126, 0, 1, 127] * 2, np.float32)
    out = np.zeros_like(special)
    callable_from_python(run)(special, out)
    assert list(out[:8]) == [0, 0, 0, 0, 2.0**-126, 1, 2, 2.0**127]


@pytest.mark.parametrize("width", [1, 16, 1024, 5000])
def test_argmax_is_the_first_of_the_largest(width):
    def run(x, out):
        out[0] = elementwise.argmax(x, x.size - 16)

    argmax, out = callable_from_python(run), np.zeros(1, np.int64)
    for _ in range(20):
        x = np.round(floats(width + 16) * 3)  # many are equal
        x[width:] = 100  # past the end: not looked at
        for given in (x, np.where(x > 0, np.float32(-0.0), x), np.full_like(x, -3e38)):
            argmax(given, out)
            assert out[0] == given[:width].argmax()
        for ill in (np.nan, np.inf, -np.inf):
            given = x.copy()
            given[RANDOM.integers(width)] = ill
            argmax(given, out)
            assert out[0] == elementwise.NO_TOKEN


@pytest.mark.parametrize("width", [8, 43, 64, 896])
def test_rms_norm_is_the_references_for_any_width(width):
    x, weight, out = floats(width), floats(width), np.full(width + 16, 7, np.float32)
    callable_from_python(elementwise.rms_norm)(x, 0, width, weight, 0, 1e-5, out, 0)
    np.testing.assert_allclose(out[:width], operators.rms_norm(x, weight, 1e-5), rtol=1e-6, atol=1e-7)
    assert np.all(out[width:] == 7)


def test_swiglu_is_the_references_also_where_exp_would_overflow():
    gate = np.concatenate([floats(60) * 5, [-1000, -100, 100, 1000]]).astype(np.float32)
    up = floats(64)
    expected = operators.swiglu(gate, up)
    callable_from_python(elementwise.swiglu)(gate, up, 0, 64)
    np.testing.assert_allclose(up, expected, rtol=2e-6, atol=1e-30)


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("head_dim", [8, 10, 64])
def test_rope_is_the_references(interleaved, head_dim):
    x = floats(1, 1, head_dim)
    frequencies = (10000.0 ** (-np.arange(head_dim // 2) / head_dim)).astype(np.float32)
    expected = operators.rope(x, [77], frequencies, interleaved)
    angles = np.float32(77) * frequencies
    flat = x.reshape(-1)
    callable_from_python(elementwise.rope)(flat, 0, head_dim, np.cos(angles), np.sin(angles), 0, interleaved)
    np.testing.assert_array_equal(flat, expected.reshape(-1))


def quantized(x):
    """The Codes of the rows of x."""
    tokens, width = x.shape
    codes = new_codes(x.size)
    run = callable_from_python(elementwise.quantize)
    for t in range(tokens):
        run(x.reshape(-1), t * width, width, codes, t * (width // 32))
    return codes


def sums_of_codes(codes):
    """The sums of the codes of each half of a block: int [blocks, 2]."""
    return codes.codes.reshape(-1, 2, 16).astype(int).sum(axis=2)


def test_activations_become_int8_within_half_a_step():
    x = floats(3, 96)
    x[1, :32] = 0
    codes = quantized(x)
    blocks = x.reshape(-1, 32)
    np.testing.assert_allclose(codes.scales, np.abs(blocks).max(1) / 127, rtol=1e-6)
    seen = codes.codes.reshape(-1, 32) * codes.scales[:, None]
    assert np.all(np.abs(seen - blocks) <= codes.scales[:, None] * 0.5001)


def test_codes_have_the_starts_and_the_sums_of_blocks_and_of_their_halves():
    codes = quantized(floats(3, 96) * np.float32([[1], [100], [0]]))
    halves, blocks = sums_of_codes(codes), 9
    starts = codes.starts.reshape(-1, blocks)
    np.testing.assert_array_equal(starts[: len(OFFSETS)], [-offset * halves.sum(axis=1) for offset in OFFSETS])
    np.testing.assert_array_equal(starts[len(OFFSETS) :].reshape(blocks, 2), -HALF_OFFSET * halves)
    np.testing.assert_array_equal(codes.fine[blocks:].reshape(blocks, 2), halves)
    np.testing.assert_array_equal(codes.sums[:blocks], codes.scales * halves.sum(axis=1).astype(np.float32))


def test_codes_of_the_ends_of_their_range_have_the_largest_sums():
    x = np.repeat(np.float32([[127], [-127]]), 256, axis=1)
    codes = quantized(x)
    np.testing.assert_array_equal(codes.codes.reshape(2, 256), x)
    np.testing.assert_array_equal(codes.starts.reshape(-1, 16)[2, [0, 8]], [-128 * 32 * 127, 128 * 32 * 127])
    np.testing.assert_array_equal(codes.fine[16:].reshape(2, 16), np.repeat([[16 * 127], [-16 * 127]], 16, axis=1))


def test_fine_codes_hold_the_sums_of_eight_blocks_within_half_a_step_of_their_largest():
    x = floats(2, 768)
    x[0, :256], x[1, 256:272] = 0, 1e4
    codes, blocks = quantized(x), 2 * 24
    sums, scales = codes.sums[:blocks].reshape(-1, 8), codes.sums[blocks:].reshape(-1, 8)
    np.testing.assert_allclose(scales[:, 0], np.abs(sums).max(axis=1) / 32767, rtol=1e-6)
    assert not scales[:, 1:].any()
    fine = codes.fine[:blocks].reshape(-1, 8)
    assert np.all(np.abs(fine * scales[:, :1] - sums) <= scales[:, :1] * 0.51)
    assert np.abs(fine[1:]).max(axis=1).min() == 32767 and not fine[0].any()


@pytest.mark.parametrize("width", [32, 96, 224, 480])
def test_blocks_beyond_the_last_eight_of_a_row_have_no_fine_codes(width):
    codes, blocks = quantized(floats(2, width)), width // 32
    fine = codes.fine[: 2 * blocks].reshape(2, blocks)
    assert not fine[:, blocks // 8 * 8 :].any() and fine[:, : blocks // 8 * 8].any() == (blocks >= 8)


@pytest.mark.parametrize("ill", [np.nan, np.inf])
def test_a_number_that_is_none_makes_the_scales_none(ill):
    x = floats(1, 256)
    x[0, 40] = ill
    codes = quantized(x)
    assert not np.isfinite(codes.scales[1]) and np.isfinite(np.delete(codes.scales, 1)).all()
    assert not np.isfinite(codes.sums[[1, 8]]).any() and np.isfinite(codes.sums[[0, 2, 7]]).all()


def test_two_sets_of_codes_hold_activations_250_times_as_closely_as_one():
    x = floats(1, 96)
    codes = new_codes(384)
    callable_from_python(elementwise.quantize_twice)(x.reshape(-1), 0, 96, codes, 3, 9)
    seen = (codes.codes.reshape(12, 32) * codes.scales[:, None]).reshape(4, 96)
    np.testing.assert_array_equal(codes.codes[96:192], quantized(x).codes)
    steps = codes.scales[3:6].repeat(32)
    assert np.all(np.abs(seen[1] + seen[3] - x[0]) <= steps / 250)
    sums = codes.codes[288:].reshape(3, 32).astype(int).sum(1)
    starts = codes.starts.reshape(-1, 12)[: len(OFFSETS), 9:]
    np.testing.assert_array_equal(starts, [-offset * sums for offset in OFFSETS])


def test_both_sets_of_codes_have_fine_codes():
    x, codes = floats(1, 256), new_codes(512)
    callable_from_python(elementwise.quantize_twice)(x.reshape(-1), 0, 256, codes, 0, 8)
    for first in (0, 8):
        seen = codes.fine[first : first + 8] * codes.sums[16 + first]
        np.testing.assert_allclose(seen, codes.sums[first : first + 8], atol=np.abs(seen).max() / 65000)


@compiled
def _linear(weights, matrix, span, x, x_stride, codes, tokens, out, stride):
    given, to = Activations(Rows(x, 0, x_stride), codes, 0), Rows(out, 0, stride)
    matrix_kernels.linear(weights, matrix, span[0], span[1], given, tokens, to)


LINEAR = callable_from_python(_linear)


def packed(type, shape, raw):
    return pack_model({"w": (type, shape, raw)})


def product(model, x, span=None):
    """(the matrix "w" @ each row of x) by the compiled kernels, f32[tokens, rows]; span: some groups, others stay 0."""
    matrix, tokens = model.entry("w"), len(x)
    rows, columns = map(int, matrix[2:])
    groups, flat = group_count(rows), padded(x)
    codes, out = quantized(x) if columns % 32 == 0 else new_codes(0), np.zeros(tokens * groups * 16, np.float32)
    LINEAR(model.weights, matrix, span or (0, groups), flat, flat.size // tokens, codes, tokens, out, groups * 16)
    return out.reshape(tokens, -1)[:, :rows]


def widths(type):
    """Counts of columns: one block, blocks that fill no line of scales, many."""
    block = max(encodings.BLOCKS[type][0], 32)
    return (block, 3 * block, 1536)


def seen(type, x):
    """x as the kernels of the type read it, f64: decoded from its codes, or as it is."""
    if type not in OF_BLOCKS:
        return x.astype(np.float64)
    codes = quantized(x)
    return (codes.codes.reshape(-1, 32) * codes.scales[:, None].astype(np.float64)).reshape(x.shape)


@pytest.mark.parametrize("type", EXACT)
def test_products_are_those_of_the_decoded_weights(type):
    for columns in widths(type):
        raw, x = random_blocks(type, 37, columns, RANDOM), floats(9, columns)
        exact = seen(type, x) @ decoded(type, raw, (37, columns)).T.astype(np.float64)
        got = product(packed(type, (37, columns), raw), x)
        off = 2e-5 if type in OF_MINIMA else 1e-5
        np.testing.assert_allclose(got, exact, rtol=0, atol=off * exact.std())


def test_floats_take_any_number_of_columns():
    raw, x = encodings.encode("F16", floats(20, 43)), floats(2, 43)
    exact = x @ encodings.decode("F16", raw, (20, 43)).T
    np.testing.assert_allclose(product(packed("F16", (20, 43), raw), x), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("type", EXACT)
def test_a_tokens_product_has_the_same_bits_in_every_batch(type):
    columns = widths(type)[1]
    model, x = packed(type, (100, columns), random_blocks(type, 100, columns, RANDOM)), floats(33, columns)
    alone = np.concatenate([product(model, x[t : t + 1]) for t in range(33)])
    for tokens in BATCHES:
        same_bits(product(model, x[:tokens]), alone[:tokens])
        same_bits(product(model, x[-tokens:]), alone[-tokens:])


@pytest.mark.parametrize("type", EXACT)
@pytest.mark.parametrize("tokens", [1, 2, 4, 9])
def test_a_group_has_the_same_bits_alone_and_among_others(type, tokens):
    columns = widths(type)[1]
    model, x = packed(type, (80, columns), random_blocks(type, 80, columns, RANDOM)), floats(tokens, columns)
    together = product(model, x)
    for begin, end in ((0, 1), (1, 2), (4, 5), (1, 4)):
        some, here = product(model, x, (begin, end)), slice(16 * begin, 16 * end)
        same_bits(some[:, here], together[:, here])
        assert not np.delete(some, np.r_[here], axis=1).any()


@pytest.mark.parametrize("type", EXACT)
def test_an_embedding_row_is_the_decoded_row(type):
    columns = widths(type)[0]
    raw = random_blocks(type, 40, columns, RANDOM)
    model, values = packed(type, (40, columns), raw), decoded(type, raw, (40, columns))
    run = callable_from_python(matrix_kernels.embedding)
    for row in (0, 15, 16, 39):
        out = np.zeros(columns + 3, np.float32)
        run(model.weights, model.entry("w"), row, out, 2)
        np.testing.assert_array_equal(out, np.concatenate([[0, 0], values[row], [0]]))


def whole_numbers(type, rows, columns, random):
    """Blocks whose weights are whole numbers, or whole halves: all scales are 1, or integers."""
    raw = random_blocks(type, rows, columns, random, np.ones)
    if encodings.BY_NAME[type].floats.form == "E8M0":
        raw.reshape(-1, encodings.BLOCKS[type][1])[:, 0] = 127
    return raw


def largest_activations(random, tokens, columns):
    """Activations that are their own codes, most of them at the ends of the range."""
    x = random.choice([-127, -1, 0, 1, 127], (tokens, columns)).astype(np.float32)
    x[:, ::32] = 127
    return x


@pytest.mark.parametrize("type", OF_BLOCKS)
@pytest.mark.parametrize("tokens", [1, 4, 9])
def test_a_product_of_integers_is_exact_at_the_ends_of_their_range(type, tokens):
    """Weights of every size in both signs: the sums are whole numbers, but where minima meet fine codes."""
    random, columns = np.random.default_rng(tokens), widths(type)[0]
    raw, x = whole_numbers(type, 20, columns, random), largest_activations(random, tokens, columns)
    if type in OF_MINIMA:
        raw.reshape(-1, encodings.BLOCKS[type][1])[:, OF_MINIMA[type]] = 0
    weight = decoded(type, raw, (20, columns)).astype(np.float64)
    assert len(np.unique(weight)) >= 3 and weight.max() > 0
    np.testing.assert_array_equal(product(packed(type, (20, columns), raw), x), x @ weight.T)


@pytest.mark.parametrize("type", OF_BLOCKS)
@pytest.mark.parametrize("code", [0, 255])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_sums_that_can_be_are_exact(type, code, sign):
    """Every weight at one end of its range, every integer scale the largest, all activations of one sign."""
    columns = max(encodings.BLOCKS[type][0], 32)
    for scales in (0x00, 0x7F, 0x80, 0xFF):
        raw = np.full((20 * columns // encodings.BLOCKS[type][0], encodings.BLOCKS[type][1]), code, np.uint8)
        for place in SCALES_OF.get(type, ()):
            raw[:, place] = scales
        encoding = encodings.BY_NAME[type]
        one = np.array([[127]] if type == "MXFP4" else [[0, 0x3C]], np.uint8)
        for at in encoding.floats.at[:1] if encoding.floats.joined else encoding.floats.at:
            put_floats(encoding, raw, at, np.repeat(one, len(raw), axis=0))
        x = np.full((9, columns), 127 * sign, np.float32)
        exact = x.astype(np.float64) @ decoded(type, raw.reshape(-1), (20, columns)).T.astype(np.float64)
        np.testing.assert_allclose(product(packed(type, (20, columns), raw.reshape(-1)), x), exact, rtol=2e-7)


@pytest.mark.parametrize("type", ["Q2_K", "Q3_K", "Q6_K"])
def test_both_halves_of_a_block_with_their_scales_have_a_sum_that_float32_holds(type):
    """Below 2^24, as superblocks.py says: the largest integers, scales and codes that there are."""
    integers = {"Q2_K": (0, 3), "Q3_K": (-4, 3), "Q6_K": (-32, 31)}[type]
    scales = {"Q2_K": (0, 15), "Q3_K": (-32, 31), "Q6_K": (-128, 127)}[type]
    largest = max(map(abs, integers)) * max(map(abs, scales)) * 127 * 32
    assert largest < 2**24
    columns = 256
    raw = random_blocks(type, 3000, columns, RANDOM, np.ones)
    weight = decoded(type, raw, (3000, columns))
    minima = {"Q2_K": 15}.get(type, 0)
    assert np.abs(weight).max() <= max(map(abs, integers)) * max(map(abs, scales)) + minima
    x = np.full((1, columns), 127, np.float32)
    np.testing.assert_array_equal(product(packed(type, (3000, columns), raw), x)[0], weight.astype(np.float64) @ x[0])


# One of each kind of scales and minima, and of each way to read integers; tests of instructions do the rest.
OF_EACH_KIND = ("F16", "Q8_0", "Q4_1", "MXFP4", "Q4_K", "Q6_K", "Q2_K")


def digest_of_products():
    """A hash over the bits of products in layouts of each kind, with all blocks of tokens."""
    digest, random = hashlib.sha256(), np.random.default_rng(1)
    for type in OF_EACH_KIND:
        columns = widths(type)[1]
        model = packed(type, (37, columns), random_blocks(type, 37, columns, random))
        for tokens in (7, 9):
            x = random.standard_normal((tokens, columns)).astype(np.float32)
            digest.update(np.ascontiguousarray(product(model, x)).tobytes())
    return digest.hexdigest()


DIGEST = """
from plpython.simd.processors import VARIANT
from tests.plpython.test_kernels import digest_of_products
print(VARIANT, digest_of_products())
"""


@pytest.mark.parametrize("target", sorted({*targets_here()} & {"portable", "avx2"} - {VARIANT}))
def test_products_have_the_same_bits_in_every_variant(target, tmp_path):
    assert run_for(target, DIGEST, tmp_path).split() == [target, digest_of_products()]


STORE = {
    np.float32: callable_from_python(kv_pages.store_floats),
    np.int16: callable_from_python(kv_pages.store_codes),
}


class Pages:
    """Keys and values of one kv head in pages."""

    def __init__(self, k, v, dtype):
        positions, head_dim = k.shape
        self.dtype, count = dtype, -(-positions // PAGE)
        key_bytes, value_bytes = head_bytes(head_dim, np.dtype(dtype))
        # Positions that were never stored are NaN (as int16: -1), and must not matter.
        self.memory = np.full((count, key_bytes + value_bytes), 255, np.uint8)
        self.table = np.array([(page.ctypes.data, page[key_bytes:].ctypes.data, 0) for page in self.memory])
        width = kv_pages.padded(head_dim)
        x = np.concatenate([padded(k), padded(v), np.zeros(16, np.float32)])
        scratch = (np.zeros(width, np.int16),) if dtype == np.int16 else ()
        for p in range(positions):
            key, value = p * width, (positions + p) * width
            STORE[dtype](KVAddress(self.table, p // PAGE, 0, head_dim, p), x, key, value, *scratch)


def attend(q, pages, positions, window):
    """q [tokens, group, head_dim] -> the same shape."""
    tokens, group, head_dim = q.shape
    width = kv_pages.padded(head_dim)
    workspace = Workspace(
        q=np.zeros(8 * width, np.float32),
        query_codes=np.zeros(8 * width, np.int16),
        query_scales=np.zeros(8, np.float32),
        firsts=np.zeros(8, np.int32),
        limits=np.zeros(8, np.int32),
        scores=np.zeros(8 * PAGE, np.float32),
        weight_codes=np.zeros(8 * PAGE, np.int16),
        out=np.zeros(8 * width, np.float32),
        row=np.zeros(width, np.int16),
    )
    x = np.concatenate([q.reshape(-1), np.zeros(16, np.float32)])
    one = group * head_dim
    at = np.asarray(positions)
    queries = Queries(x, 0, one, tokens, group, head_dim, at, 0, window)
    over = attention.OVER[np.dtype(pages.dtype)].dispatcher
    over(AttentionPiece(queries, Cached(pages.table, 0, 0), workspace))
    return x[:-16].reshape(q.shape)


# Codes are off by half a step of 8,191 (keys, values) or 4,095 (queries, weights) to the largest of a vector.
@pytest.mark.parametrize(("dtype", "largest"), [(np.float32, 4e-6), (np.int16, 2e-3)])
@pytest.mark.parametrize("head_dim", [8, 10, 64, 80, 256])
@pytest.mark.parametrize("group", [1, 3, 7, 8])
@pytest.mark.parametrize("window", [None, 1, 20, 100])
def test_attention_is_the_references(dtype, largest, head_dim, group, window):
    positions, m = [0, 1, 16, 63, 64, 99, 149], 150
    q, k, v = floats(len(positions), group, head_dim), floats(m, head_dim), floats(m, head_dim)
    expected = operators.attention(q, k[:, None], v[:, None], np.array(positions), window)
    got = attend(q, Pages(k, v, dtype), positions, window or 1 << 40)
    np.testing.assert_allclose(got, expected, rtol=0, atol=largest)


def test_attention_over_codes_is_about_as_close_as_over_half_precision():
    q, k, v = floats(64, 7, 64), floats(1000, 64), floats(1000, 64)
    positions = np.arange(936, 1000)
    expected = operators.attention(q, k[:, None], v[:, None], positions)
    k16, v16 = (x.astype(np.float16).astype(np.float32)[:, None] for x in (k, v))
    of_halves = np.abs(operators.attention(q.astype(np.float16).astype(np.float32), k16, v16, positions) - expected)
    of_codes = np.abs(attend(q, Pages(k, v, np.int16), positions, 1 << 40) - expected)
    assert of_codes.mean() < 1.25 * of_halves.mean()


def test_attention_over_codes_holds_the_largest_sums_that_can_be():
    """Every code the largest: 64 products in 32 bits, with any sign, and the same weight for every position."""
    for sign in (1, -1):
        q, k, v = np.full((1, 4, 128), 0.01, "f4"), np.full((128, 128), sign, "f4"), np.full((128, 128), 3, "f4")
        got = attend(q, Pages(k, v, np.int16), [127], 1 << 40)
        np.testing.assert_allclose(got, 3, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize("group", [1, 2, 3, 7])
def test_a_query_has_the_same_bits_whatever_others_are_computed_with_it(group, dtype):
    positions = np.arange(60, 93)
    q, k, v = floats(33, group, 64), floats(93, 64), floats(93, 64)
    pages = Pages(k, v, dtype)
    for window in (1 << 40, 40):
        alone = np.concatenate([attend(q[t : t + 1], pages, positions[t : t + 1], window) for t in range(33)])
        for tokens in (2, 3, 5, 8, 9, 17, 33):
            together = attend(q[:tokens], pages, positions[:tokens], window)
            np.testing.assert_array_equal(together.view(np.uint32), alone[:tokens].view(np.uint32))


def test_gelu_is_the_exact_one():
    x = np.linspace(-6, 6, 4096, dtype=np.float32)
    y = x.copy()
    callable_from_python(elementwise.gelu)(y, 0, len(y))
    expected = np.array([v * 0.5 * (1 + math.erf(v * math.sqrt(0.5))) for v in x.astype(np.float64)])
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("width", [1, 15, 16, 17, 36, 384])
def test_layer_norm_is_the_references_at_any_width(width):
    random = np.random.default_rng(width)
    x, scale, bias = (random.standard_normal(width + 3).astype(np.float32) * 3 + 1 for _ in range(3))
    weights = np.concatenate([np.pad(scale[:width], (0, 400 - width)), bias[:width], np.zeros(16, np.float32)])
    out = np.full(width + 16, 7, np.float32)
    callable_from_python(elementwise.layer_norm)(x, 3, width, Affine(weights.astype(np.float32), 0, 400), 1e-5, out, 0)
    expected = operators.layer_norm(x[3 : 3 + width], scale[:width], bias[:width], 1e-5)
    np.testing.assert_allclose(out[:width], expected, rtol=0, atol=2e-5)
    assert (out[width:] == 7).all()
