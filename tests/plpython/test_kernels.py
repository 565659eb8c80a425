"""The compiled operators against reference/operators; the same bits whatever is computed together."""

import math

import numpy as np
import pytest

from plpython.kernels import attention, elementwise, kv_pages
from plpython.kernels import matrix as matrix_kernels
from plpython.kernels.attention import AttentionPiece, Cached, Queries, Workspace
from plpython.kernels.dispatch import OFFSETS
from plpython.kernels.elementwise import Affine, new_codes
from plpython.kernels.groups import Activations, Rows, group_count
from plpython.kernels.kv_pages import PAGE, KVAddress, head_bytes
from plpython.model import encodings
from plpython.reference import operators
from plpython.simd.memory import load, store
from plpython.simd.registers import compiled, f32
from plpython.weights.packed_model import pack_model
from tests.plpython.compiled import callable_from_python

RANDOM = np.random.default_rng(11)
EXACT = [encoding.name for encoding in encodings.ENCODINGS if encoding.encodable and encoding.layout]
OF_BLOCKS = [type for type in EXACT if encodings.BLOCKS[type][0] > 1]


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


def test_activations_become_int8_within_half_a_step():
    x = floats(3, 96)
    x[1, :32] = 0
    codes = quantized(x)
    blocks = x.reshape(-1, 32)
    np.testing.assert_allclose(codes.scales, np.abs(blocks).max(1) / 127, rtol=1e-6)
    decoded = codes.codes.reshape(-1, 32) * codes.scales[:, None]
    assert np.all(np.abs(decoded - blocks) <= codes.scales[:, None] * 0.5001)
    sums = codes.codes.reshape(-1, 32).astype(int).sum(1)
    np.testing.assert_array_equal(codes.starts.reshape(len(OFFSETS), -1), [-offset * sums for offset in OFFSETS])


def test_two_sets_of_codes_hold_activations_250_times_as_closely_as_one():
    x = floats(1, 96)
    codes = new_codes(384)
    callable_from_python(elementwise.quantize_twice)(x.reshape(-1), 0, 96, codes, 3, 9)
    decoded = (codes.codes.reshape(12, 32) * codes.scales[:, None]).reshape(4, 96)
    np.testing.assert_array_equal(codes.codes[96:192], quantized(x).codes)
    steps = codes.scales[3:6].repeat(32)
    assert np.all(np.abs(decoded[1] + decoded[3] - x[0]) <= steps / 250)
    sums = codes.codes[288:].reshape(3, 32).astype(int).sum(1)
    np.testing.assert_array_equal(codes.starts.reshape(-1, 12)[:, 9:], [-offset * sums for offset in OFFSETS])


@compiled
def _linear(weights, matrix, groups, x, x_stride, codes, tokens, out, stride):
    given, to = Activations(Rows(x, 0, x_stride), codes, 0), Rows(out, 0, stride)
    matrix_kernels.linear(weights, matrix, 0, groups, given, tokens, to)


LINEAR = callable_from_python(_linear)


def product(type, rows, columns, x, raw):
    """(matrix @ each row of x) by the compiled kernels."""
    model = pack_model({"w": (type, (rows, columns), raw)})
    groups, tokens = group_count(rows), len(x)
    codes = quantized(x) if columns % 32 == 0 else new_codes(0)
    out = np.zeros(tokens * groups * 16, np.float32)
    flat = padded(x)
    LINEAR(
        model.weights,
        model.entry("w"),
        groups,
        flat,
        flat.size // tokens,
        codes,
        tokens,
        out,
        groups * 16,
    )
    return out.reshape(tokens, -1)[:, :rows]


@pytest.mark.parametrize("type", EXACT)
@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (172, 64), (37, 192)])
def test_products_are_those_of_the_decoded_weights(type, rows, columns):
    raw, x = encodings.encode(type, floats(rows, columns)), floats(3, columns)
    weight = encodings.decode(type, raw, (rows, columns))
    if type in OF_BLOCKS:  # the kernels read the codes, not x
        codes = quantized(x)
        x_seen = (codes.codes.reshape(-1, 32) * codes.scales[:, None]).reshape(x.shape)
    else:
        x_seen = x
    exact = x_seen.astype(np.float64) @ weight.T.astype(np.float64)
    np.testing.assert_allclose(product(type, rows, columns, x, raw), exact, rtol=0, atol=1e-4)


def test_floats_take_any_number_of_columns():
    raw, x = encodings.encode("F16", floats(20, 43)), floats(2, 43)
    exact = x @ encodings.decode("F16", raw, (20, 43)).T
    np.testing.assert_allclose(product("F16", 20, 43, x, raw), exact, rtol=0, atol=1e-5)


@pytest.mark.parametrize("type", EXACT)
def test_a_tokens_product_has_the_same_bits_in_every_batch(type):
    raw, x = encodings.encode(type, floats(100, 96)), floats(33, 96)
    alone = np.concatenate([product(type, 100, 96, x[t : t + 1], raw) for t in range(33)])
    for tokens in (2, 3, 5, 8, 9, 17, 33):
        np.testing.assert_array_equal(
            product(type, 100, 96, x[:tokens], raw).view(np.uint32), alone[:tokens].view("u4")
        )


@pytest.mark.parametrize("type", EXACT)
def test_an_embedding_row_is_the_decoded_row(type):
    raw = encodings.encode(type, floats(40, 64))
    model = pack_model({"w": (type, (40, 64), raw)})
    run = callable_from_python(matrix_kernels.embedding)
    for row in (0, 15, 16, 39):
        out = np.zeros(64, np.float32)
        run(model.weights, model.entry("w"), row, out, 0)
        np.testing.assert_array_equal(out, encodings.decode(type, raw, (40, 64))[row])


@pytest.mark.parametrize("type", OF_BLOCKS)
@pytest.mark.parametrize("tokens", [1, 4, 9])
def test_a_product_of_integers_is_exact_at_the_ends_of_their_range(type, tokens):
    """Weights of every size in both signs, and activations that are their own codes: the sums are whole numbers."""
    columns, rows = 4 * 32, 20
    random = np.random.default_rng(tokens)
    raw = np.repeat(np.arange(256, dtype=np.uint8), encodings.row_bytes(type, columns) * rows // 256 + 1)
    raw = random.permutation(raw)[: encodings.row_bytes(type, columns) * rows].reshape(-1, encodings.BLOCKS[type][1])
    raw[:, :2] = np.frombuffer(np.float16(1).tobytes(), np.uint8)
    x = random.choice([-127, -1, 0, 1, 127], (tokens, columns)).astype(np.float32)
    x[:, ::32] = 127
    weight = encodings.decode(type, raw.reshape(-1), (rows, columns))
    assert len(np.unique(weight)) >= 16 and weight.min() < 0 < weight.max()
    np.testing.assert_array_equal(product(type, rows, columns, x, raw.reshape(-1)), x @ weight.T)


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
