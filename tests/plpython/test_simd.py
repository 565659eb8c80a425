"""Register blocks: each instruction against numpy, in every variant that this machine can run."""

import numpy as np
import pytest
from numba.core.errors import TypingError

from plpython.simd import processors, registers
from plpython.simd.memory import (
    array_at,
    atomic_add,
    atomic_load,
    load,
    load_bf16,
    load_bytes,
    load_first,
    load_i8,
    load_pairs,
    load_u8,
    load_u8_pairs,
    load_word,
    peek_i32,
    prefetch,
    spread,
    spread_bytes,
    spread_pairs,
    store,
    store_first,
    store_word,
)
from plpython.simd.registers import (
    as_f32,
    bits,
    f32,
    fill,
    fma,
    i32,
    lane,
    lanes,
    ldexp,
    magnitude,
    max_lanes,
    maximum,
    minimum,
    rint,
    sum_lanes,
    sum_lanes_i32,
    to_f32,
    to_i32,
    where_before,
    where_less,
)
from tests.plpython.compiled import callable_from_python, run_for, targets_here

THREE = f32[3]
TWO_I32 = i32[2]
RANDOM = np.random.default_rng(7)


def floats(size):
    return RANDOM.standard_normal(size).astype(np.float32)


def elementwise(function, *operands):
    """Apply a function of registers to arrays of 16."""
    if len(operands) == 1:

        def run(a, out):
            store(out, 0, function(load(a, 0, f32)))

    elif len(operands) == 2:

        def run(a, b, out):
            store(out, 0, function(load(a, 0, f32), load(b, 0, f32)))

    else:

        def run(a, b, c, out):
            store(out, 0, function(load(a, 0, f32), load(b, 0, f32), load(c, 0, f32)))

    out = np.zeros(16, np.float32)
    callable_from_python(run)(*operands, out)
    return out


def test_operators_are_numpys_lane_by_lane():
    a, b = floats(16), floats(16)

    def add(x, y):
        return x + y

    def subtract(x, y):
        return x - y

    def multiply(x, y):
        return x * y

    def divide(x, y):
        return x / y

    for function in (add, subtract, multiply, divide):
        part = registers.compiled(function)
        np.testing.assert_array_equal(elementwise(part, a, b), function(a, b))


def test_fma_rounds_once():
    a, b = floats(16), floats(16)
    c = -(a * b)
    exact = (a.astype(np.float64) * b + c).astype(np.float32)
    np.testing.assert_array_equal(elementwise(fma, a, b, c), exact)
    assert np.any(exact != a * b + c)


def test_elementwise_instructions_are_numpys():
    a, b = floats(16) * 10, floats(16) * 10
    np.testing.assert_array_equal(elementwise(maximum, a, b), np.maximum(a, b))
    np.testing.assert_array_equal(elementwise(minimum, a, b), np.minimum(a, b))
    np.testing.assert_array_equal(elementwise(magnitude, a), np.abs(a))
    halves = np.arange(-8, 8, dtype=np.float32) + np.float32(0.5)
    np.testing.assert_array_equal(elementwise(rint, halves), np.rint(halves))
    exponents = np.array([-126, -100, -3, -2, -1, 0, 1, 2, 3, 10, 20, 40, 80, 100, 126, 127], np.float32)
    mantissas = np.linspace(1, 1.999, 16, dtype=np.float32) * np.float32(-1)

    def powers(mantissas, exponents, out):
        store(out, 0, ldexp(load(mantissas, 0, f32), to_i32(load(exponents, 0, f32))))
        store(out, 16, ldexp(load(mantissas, 0, f32), bits(load(exponents, 0, f32) + np.float32(1.5 * 2**23))))

    out, expected = np.zeros(32, np.float32), np.ldexp(mantissas, exponents.astype(int))
    callable_from_python(powers)(mantissas, exponents, out)
    np.testing.assert_array_equal(out, np.tile(expected, 2))


def test_one_register_and_numbers_are_shared_by_all_rows_of_a_block():
    def run(a, b, out):
        store(out, 0, load(a, 0, THREE, 20) * load(b, 0, f32) + 1.0, 16)

    a, b, out = floats(60), floats(16), np.zeros(48, np.float32)
    callable_from_python(run)(a, b, out)
    np.testing.assert_array_equal(out.reshape(3, 16), a.reshape(3, 20)[:, :16] * b + np.float32(1))


def test_spread_puts_one_element_a_row_in_all_lanes():
    def run(a, out):
        store(out, 0, spread(a, 1, THREE, 5), 16)

    a, out = floats(15), np.zeros(48, np.float32)
    callable_from_python(run)(a, out)
    np.testing.assert_array_equal(out.reshape(3, 16), np.repeat(a[1::5][:, None], 16, axis=1))


def test_sums_over_lanes_are_one_tree():
    a = floats(16) * np.float32(2.0) ** RANDOM.integers(-20, 20, 16).astype(np.float32)
    tree = a
    while len(tree) > 1:
        tree = tree[: len(tree) // 2] + tree[len(tree) // 2 :]
    assert set(elementwise(sum_lanes, a)) == {tree[0]}
    assert set(elementwise(max_lanes, a)) == {a.max()}


def test_integers_and_masks():
    def run(a, words, out, sums, picked):
        integers = to_i32(rint(load(a, 0, f32)))
        store(out, 0, to_f32((integers & 15) + (integers >> 28) | integers << 3 & 96))
        total = sum_lanes_i32(integers)
        sums[0] = lane(total, 3)
        store(picked, 0, where_before(lanes(), 5, load(a, 0, f32), -1.0))
        store(picked, 16, where_less(load(a, 0, f32), 0.0, 2.0, load(a, 0, f32)))
        store(words, 0, integers)

    a = floats(16) * 100
    words, out, sums = np.zeros(16, np.int8), np.zeros(16, np.float32), np.zeros(1, np.int32)
    picked = np.zeros(32, np.float32)
    callable_from_python(run)(a, words, out, sums, picked)
    integers = np.rint(a).astype(np.int32)
    np.testing.assert_array_equal(out, (integers & 15) + (integers.view(np.uint32) >> 28) | integers << 3 & 96)
    np.testing.assert_array_equal(words, integers.astype(np.int8))
    assert sums[0] == integers.sum()
    np.testing.assert_array_equal(picked[:16], np.where(np.arange(16) < 5, a, -1))
    np.testing.assert_array_equal(picked[16:], np.where(a < 0, 2, a))


def test_the_bits_of_a_float_and_back():
    def run(a, out):
        store(out, 0, as_f32(bits(load(a, 0, f32))))
        store(out, 16, as_f32(bits(load(a, 0, f32)) & 0x7FFFFFFF))

    a, out = floats(16), np.zeros(32, np.float32)
    a[:4] = np.inf, -np.inf, 1e-42, -0.0
    callable_from_python(run)(a, out)
    np.testing.assert_array_equal(out, np.concatenate([a, np.abs(a)]))


def test_words_lie_anywhere_among_bytes_and_are_unsigned():
    def run(a, out):
        for i in range(13):
            store_word(out, 4 * i, load_word(a, i) >> 4)

    a, out = RANDOM.integers(128, 256, 16, dtype=np.uint8), np.zeros(52, np.uint8)
    callable_from_python(run)(a, out)
    words = [int.from_bytes(a[i : i + 4].tobytes(), "little") >> 4 for i in range(13)]
    np.testing.assert_array_equal(out.view(np.uint32), words)


def test_partial_registers_neither_read_nor_write_beyond_their_end():
    def run(a, out, count):
        store_first(count, out, 0, load_first(count, a, 0) + 1.0)

    for count in (0, 1, 5, 16, 40):
        a, out = floats(16), np.zeros(16, np.float32)
        callable_from_python(run)(a, out, count)
        np.testing.assert_array_equal(out, np.where(np.arange(16) < count, a + np.float32(1), 0))


def test_memory_at_an_address_reads_as_an_array():
    def run(address, like, out):
        store(out, 0, load(array_at(address, 32, like), 16, f32))

    a, out = floats(32), np.zeros(16, np.float32)
    callable_from_python(run)(a.ctypes.data, a, out)
    np.testing.assert_array_equal(out, a[16:])


def test_fetching_ahead_changes_nothing_wherever_it_points():
    def run(a, index):
        prefetch(a, index)
        return a[0]

    a = floats(16)
    for index in (0, 15, 16, -1, 1 << 44, -(1 << 60)):
        assert callable_from_python(run)(a, index) == a[0]


def test_atomics_and_a_peek_at_an_address():
    def run(state, address):
        before = atomic_add(state, 1, 5)
        return before, atomic_load(state, 1), peek_i32(address)

    state, flag = np.array([0, 3], np.int64), np.array([42], np.int32)
    assert callable_from_python(run)(state, flag.ctypes.data) == (3, 8, 42)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("load", np.float64),
        ("load", np.uint8),
        ("load_bf16", np.float32),
        ("load_bytes", np.int8),
        ("spread", np.uint16),
        ("spread_bytes", np.uint8),
        ("load_pairs", np.uint16),
        ("spread_pairs", np.int8),
        ("load_first", np.uint16),
        ("load_u8", np.int8),
        ("load_i8", np.int8),
        ("load_u8_pairs", np.int16),
        ("load_word", np.uint32),
        ("store_word", np.int32),
    ],
)
def test_an_array_of_another_dtype_is_a_typing_error(name, dtype):
    calls = {
        "load": lambda a: load(a, 0, f32),
        "load_bf16": lambda a: load_bf16(a, 0, f32),
        "load_bytes": lambda a: load_bytes(a, 0, i32),
        "spread": lambda a: spread(a, 0, f32),
        "spread_bytes": lambda a: spread_bytes(a, 0, i32),
        "load_pairs": lambda a: load_pairs(a, 0, i32),
        "spread_pairs": lambda a: spread_pairs(a, 0, i32),
        "load_first": lambda a: load_first(16, a, 0),
        "load_u8": lambda a: load_u8(a, 0, i32),
        "load_i8": lambda a: load_i8(a, 0, i32),
        "load_u8_pairs": lambda a: load_u8_pairs(a, 0, i32),
        "load_word": lambda a: load_word(a, 0),
        "store_word": lambda a: store_word(a, 0, 1),
    }

    def run(a):
        calls[name](a)

    part = registers.compiled(calls[name])

    def read(a):
        part(a)

    with pytest.raises(TypingError, match=f"{name}: wants an array of"):
        callable_from_python(read)(np.zeros(64, dtype))


def test_strided_and_read_only_arrays_and_integers_in_float_instructions_are_typing_errors():
    def write(a):
        store(a, 0, fill(1.0, f32))

    def mixed(a):
        store(a, 0, fma(lanes(), 1.0, 1.0))

    with pytest.raises(TypingError, match="contiguous 1-d array"):
        callable_from_python(write)(np.zeros(64, np.float32)[::2])
    constant = np.zeros(16, np.float32)
    constant.flags.writeable = False
    with pytest.raises(TypingError, match="read-only"):
        callable_from_python(write)(constant)
    with pytest.raises(TypingError, match="operand 1 must be f32"):
        callable_from_python(mixed)(np.zeros(16, np.float32))


def test_the_form_is_that_of_this_machines_features():
    assert processors.VARIANT in targets_here()


FORMS = """
import numpy as np, hashlib, sys

from tests.plpython.compiled import callable_from_python
from plpython.simd import processors
from plpython.simd.registers import as_f32, bits, dot2, dot4, f32, halved, i32, look_up, maximum_i32
from plpython.simd.memory import (
    load, load_bf16, load_bytes, load_i8, load_pairs, load_u8, load_u8_pairs, load_word,
    spread_bytes, spread_pairs, store, store_word,
)

def dots(u, s, start, out):
    for i in range(0, 4096, 64):
        store(out, i // 4, dot4(load(start, i // 4, i32), load_bytes(u, i, i32), spread_bytes(s, i // 16, i32)))

def pair_dots(first, second, start, out):
    for i in range(0, 1024, 16):
        store(out, i, dot2(load(start, i, i32), load_pairs(first, 2 * i, i32), spread_pairs(second, i // 8, i32)))

def halves(a, widened, bf16):
    for i in range(0, 65536, 16):
        x = load(a, i, f32)
        store(widened, i, x)
        store(bf16, i, load_bf16(a, i, f32))

def small_integers(u, out):
    store(out, 0, load_u8(u, 5, i32))
    store(out, 16, load_i8(u, 5, i32))
    store(out, 32, load_u8_pairs(u, 5, i32))

def of_integers(a, b, out):
    x, y = load(a, 0, i32), load(b, 0, i32)
    store(out, 0, x * y)
    store(out, 16, maximum_i32(x, y))
    store(out, 32, halved(x, 3))
    store(out, 48, bits(as_f32(x)))

def of_table(table, index, words, out):
    for i in range(0, 256, 64):
        store(out, i, look_up(load_bytes(table, 0, i32), load_bytes(index, i, i32)))
    for i in range(4):
        store_word(words, 4 * i, load_word(table, i))

random = np.random.default_rng(1)
u, s = random.integers(0, 256, 4096, dtype=np.uint8), random.integers(-128, 128, 4096, dtype=np.int8)
u[:64], s[:4] = 255, -128
start, out = random.integers(-1000, 1000, 1024, dtype=np.int32), np.zeros(1024, np.int32)
callable_from_python(dots)(u, s, start, out)
expected = start.copy()
for i in range(64):
    products = u[i * 64:(i + 1) * 64].reshape(16, 4).astype(np.int32) * s[i * 4:i * 4 + 4]
    expected[i * 16:(i + 1) * 16] += products.sum(1)
assert (out == expected).all(), "dot4"

first, second = (random.integers(-32768, 32768, 2048, dtype=np.int16) for _ in range(2))
first[:32], second[:2] = 32767, -32768
callable_from_python(pair_dots)(first, second, start, out)
products = first.reshape(64, 16, 2).astype(np.int64) * second[:128].reshape(64, 1, 2)
expected = (start.reshape(64, 16) + products.sum(2)).astype(np.int32).reshape(-1)
assert (out == expected).all(), "dot2"

bytes_in, out = random.integers(0, 256, 64, dtype=np.uint8), np.zeros(48, np.int32)
callable_from_python(small_integers)(bytes_in, out)
here = bytes_in[5:37].astype(np.int32)
np.testing.assert_array_equal(out[:16], here[:16])
np.testing.assert_array_equal(out[16:32], here[:16].astype(np.int8))
np.testing.assert_array_equal(out[32:], here[::2] | here[1::2] << 16)

a, b = random.integers(-2**31, 2**31, (2, 16), dtype=np.int64).astype(np.int32)
a[:3], b[:3] = (-2**31, 2**31 - 1, 0), (2**31 - 1, -1, -2**31)
out = np.zeros(64, np.int32)
callable_from_python(of_integers)(a, b, out)
np.testing.assert_array_equal(out[:16], (a.astype(np.int64) * b).astype(np.int32))
np.testing.assert_array_equal(out[16:32], np.maximum(a, b))
np.testing.assert_array_equal(out[32:48], a // 8)
np.testing.assert_array_equal(out[48:], a)

table, index = random.integers(0, 256, 16, dtype=np.uint8), random.integers(0, 16, 256, dtype=np.uint8)
index[:16], words, out = np.arange(16), np.zeros(16, np.uint8), np.zeros(256, np.uint8)
callable_from_python(of_table)(np.tile(table, 4), index, words, out)
np.testing.assert_array_equal(out, table[index])
np.testing.assert_array_equal(words, np.concatenate([table[i:i + 4] for i in range(4)]))

patterns = np.arange(65536, dtype=np.uint16)
widened, bf16 = np.zeros(65536, np.float32), np.zeros(65536, np.float32)
callable_from_python(halves)(patterns, widened, bf16)
np.testing.assert_array_equal(widened, patterns.view(np.float16).astype(np.float32))
real = ~np.isnan(widened)
exact = patterns[real].view(np.float16).astype(np.float32)
np.testing.assert_array_equal(widened[real].view(np.uint32), exact.view(np.uint32))
there = ~np.isnan(bf16)
np.testing.assert_array_equal(bf16.view(np.uint32)[there], (patterns.astype(np.uint32) << 16)[there])

print(processors.VARIANT)
"""


@pytest.mark.parametrize("target", targets_here())
def test_every_form_gives_exact_integers_and_half_precision(target, tmp_path):
    assert run_for(target, FORMS, tmp_path).strip() == target
