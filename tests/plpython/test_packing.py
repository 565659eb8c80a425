"""Packed tensors: every weight is where the layout says, with the value that the type's decoder gives."""

import functools
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from plpython.kernels import packing
from plpython.kernels.dispatch import LAYOUT_BY_NAME, LAYOUT_BY_NUMBER, LAYOUTS, OFFSETS
from plpython.kernels.groups import FIRST_BLOCK_LAYOUT
from plpython.kernels.packing import LAYOUT_OF
from plpython.model import encodings
from plpython.server.errors import ModelError
from plpython.weights.packed_model import PackedModel, pack_model

RANDOM = np.random.default_rng(3)


F32, F16, Q8, Q4, Q5 = (LAYOUT_BY_NAME[name].number for name in ("f32", "f16", "q8", "q4", "q5"))
EXACT = [encoding.name for encoding in encodings.ENCODINGS if encoding.layout]


def encoded(type, rows, columns):
    values = RANDOM.standard_normal((rows, columns)).astype(np.float32)
    if type in encodings.ENCODED:
        return encodings.encode(type, values)
    raw = RANDOM.integers(0, 256, rows * encodings.row_bytes(type, columns), dtype=np.uint8)
    blocks = raw.reshape(-1, encodings.BLOCKS[type][1])
    for at in {"IQ4_NL": (0,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_XS": (0,)}[type]:
        blocks[:, at : at + 2] = np.frombuffer(np.float16(0.01).tobytes(), np.uint8)  # a scale that is a number
    return raw


def unpacked(packed, type, rows, columns):
    """Decode a packed matrix with numpy, as the docstrings of the layouts and of `groups` describe it."""
    layout, groups = LAYOUT_OF.get(type, F16), -(-rows // 16)
    if layout in (Q8, Q4, Q5):
        blocks = columns // 32
        quads = {Q8: 8, Q4: 4, Q5: 5}[layout]
        pair = 64 + 2 * quads * 64
        scales, weights = [], []
        for group in packed.reshape(groups, -1):
            for begin in range(0, group.size, pair):  # the last may be half a pair
                scale, weight = np.split(group[begin : begin + pair], [64])
                weights.append(weight)
                scales.append(scale[: weight.size // quads // 2])
                assert not scale[scales[-1].size :].any()
        weights = np.concatenate(weights).reshape(groups, blocks, quads, 16, 4)
        scales = np.concatenate(scales).view(np.float16).reshape(groups, blocks, 1, 16).astype(np.float32)
        if layout == Q8:
            integers = weights.transpose(0, 1, 2, 4, 3).reshape(groups, blocks, 32, 16).astype(np.float32) - 128
        elif layout == Q5:
            nibbles = weights[:, :, 1:].transpose(0, 1, 2, 4, 3).reshape(groups, blocks, 4, 4, 16)
            fifths = weights[:, :, :1].transpose(0, 1, 2, 4, 3) >> np.arange(8)[:, None, None] & 1  # [bit][byte][row]
            low, high = nibbles & 15 | fifths[:, :, 4:] << 4, nibbles >> 4 | fifths[:, :, :4] << 4
            halves = [half.reshape(groups, blocks, 16, 16) for half in (low, high)]
            integers = np.concatenate(halves, axis=2).astype(np.float32) - 16
        else:
            nibbles = weights.transpose(0, 1, 2, 4, 3).reshape(groups, blocks, 16, 16)
            integers = np.concatenate([nibbles & 15, nibbles >> 4], axis=2).astype(np.float32) - 8
        values = integers * scales
    else:
        values = packed.view({F32: np.float32, F16: np.float16}.get(layout, np.uint16)).reshape(groups, columns, 16)
        if type == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.reshape(groups, columns, 16).transpose(0, 2, 1).reshape(groups * 16, columns)


@pytest.mark.parametrize("type", EXACT)
@pytest.mark.parametrize(("rows", "columns"), [(16, 32), (48, 96), (5, 64), (172, 64)])
def test_exact_types_keep_every_weight(type, rows, columns):
    raw = encoded(type, rows, columns)
    packed = packing.pack_tensor(raw, type, (rows, columns))
    assert packed.size == packing.packed_bytes(type, (rows, columns))
    values = unpacked(packed, type, rows, columns)
    np.testing.assert_array_equal(values[:rows], encodings.decode(type, raw, (rows, columns)))
    assert not values[rows:].any()


@pytest.mark.parametrize("encoding", encodings.ENCODINGS, ids=lambda encoding: encoding.name)
def test_a_type_with_a_layout_of_its_own_takes_the_bytes_that_it_has_in_the_file(encoding):
    if encoding.layout and encoding.name != "IQ4_NL":
        assert packing.packed_bytes(encoding.name, (32, 256)) == 32 * encodings.row_bytes(encoding.name, 256)
    else:
        assert packing.packed_bytes(encoding.name, (32, 256)) == 32 * 256 * (1.0625 if encoding.layout else 2)


def test_layouts_of_blocks_are_numbered_one_after_the_other():
    """And behind those of floats: compiled code tells the two kinds apart by the number."""
    of_blocks = sorted(layout.number for layout in LAYOUTS if layout.of_blocks)
    assert max(layout.number for layout in LAYOUTS if not layout.of_blocks) < FIRST_BLOCK_LAYOUT
    assert of_blocks == list(range(FIRST_BLOCK_LAYOUT, FIRST_BLOCK_LAYOUT + len(OFFSETS)))
    assert len(LAYOUT_BY_NUMBER) == len(LAYOUT_BY_NAME) == len(LAYOUTS)


@pytest.mark.parametrize("type", ["F32", "F16", "BF16"])
def test_plain_types_take_any_number_of_columns(type):
    raw = encoded(type, 7, 43)
    values = unpacked(packing.pack_tensor(raw, type, (7, 43)), type, 7, 43)
    np.testing.assert_array_equal(values[:7], encodings.decode(type, raw, (7, 43)))


@pytest.mark.parametrize("type", ["Q4_1", "Q5_1", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS"])
def test_other_types_are_rounded_to_half_precision(type):
    raw = encoded(type, 16, 256)
    values = unpacked(packing.pack_tensor(raw, type, (16, 256)), type, 16, 256).astype(np.float32)
    exact = encodings.decode(type, raw, (16, 256))
    assert np.all(np.abs(values - exact) <= np.maximum(np.abs(exact) * 2.0**-11, 2.0**-25))


def test_weights_beyond_half_precision_are_clipped():
    raw = encodings.encode("Q4_1", np.linspace(0, 90000, 32, dtype=np.float32)[None] / 2)
    blocks = raw.reshape(-1, 20)
    blocks[:, :2] = np.frombuffer(np.float16(60000).tobytes(), np.uint8)
    values = unpacked(packing.pack_tensor(raw, "Q4_1", (1, 32)), "Q4_1", 1, 32)
    assert np.isfinite(values).all() and values.max() == np.float16(65504)


@pytest.mark.parametrize("type", ["F16", "F32"])
def test_vectors_become_padded_f32(type):
    raw = encoded(type, 1, 43)
    packed = packing.pack_tensor(raw, type, (43,)).view(np.float32)
    np.testing.assert_array_equal(packed[:43], encodings.decode(type, raw, (43,)))
    assert packed.size == 48 and not packed[43:].any()


@pytest.mark.parametrize("type", [*EXACT, "Q6_K"])
def test_packing_by_tiles_of_any_rows_gives_the_same_bytes(type):
    raw = encoded(type, 50, 256)
    whole, row = packing.pack_tensor(raw, type, (50, 256)), encodings.row_bytes(type, 256)
    tiled, start = np.zeros_like(whole), 0
    for rows in (1, 16, 20, 13):
        tile = bytes(raw[start * row : (start + rows) * row])  # unaligned memory, as it may come
        packing.pack_rows(tile, type, (50, 256), start, tiled)
        start += rows
    np.testing.assert_array_equal(tiled, whole)


def test_bytes_that_are_no_rows_of_the_tensor_are_refused():
    with pytest.raises(ModelError, match="are not rows of a Q8_0 tensor"):
        packing.pack_tensor(bytes(35), "Q8_0", (1, 32))
    with pytest.raises(ModelError, match="are not rows of a F32 tensor"):
        packing.pack_rows(bytes(4 * 8), "F32", (4, 2), 1, np.zeros(128, np.uint8))
    with pytest.raises(ModelError, match="cannot be packed"):
        packing.pack_tensor(bytes(32), "F32", (2, 2, 2))


def tensors():
    matrix = encoded("Q8_0", 32, 64)
    return {
        "a": ("Q8_0", (32, 64), matrix),
        "same": ("Q8_0", (32, 64), matrix.copy()),
        "norm": ("F32", (43,), encoded("F32", 1, 43)),
    }


def test_a_packed_model_finds_its_tensors_and_shares_equal_ones():
    given = tensors()
    model = pack_model(given)
    layout, offset, rows, columns = model.directory["a"]
    assert (layout, rows, columns) == (Q8, 32, 64) and model.directory["same"] == model.directory["a"]
    packed = packing.pack_tensor(given["a"][2], "Q8_0", (32, 64))
    np.testing.assert_array_equal(model.weights.u8[offset : offset + packed.size], packed)
    np.testing.assert_array_equal(model.vector("norm"), given["norm"][2].view(np.float32))
    assert model.vector("absent") is None
    assert not model.weights.u8.flags.writeable


def test_a_layout_that_no_file_of_layouts_knows_is_refused_by_name():
    model = pack_model(tensors())
    model.directory["a"][0] = 99
    with pytest.raises(ModelError, match='"a" is packed in the unknown layout 99') as error:
        model.entry("a")
    assert error.value.sqlstate == "0A000"


def test_a_packed_model_in_memory_that_is_not_aligned_is_refused():
    model = pack_model(tensors())
    aligned = np.zeros(model.buffer.size + 128, np.uint8)
    aligned = aligned[-aligned.ctypes.data % 64 :]
    PackedModel(aligned[64:], model.directory)
    with pytest.raises(ModelError, match="aligned to 64 bytes") as error:
        PackedModel(aligned[4:], model.directory)
    assert error.value.sqlstate == "22023"


def test_packed_tensors_begin_at_multiples_of_a_cache_line_and_do_not_overlap():
    model = pack_model(tensors() | {"last": ("Q8_0", (5, 32), encoded("Q8_0", 5, 32))})
    sizes = {"a": ("Q8_0", (32, 64)), "norm": ("F32", (43,)), "last": ("Q8_0", (5, 32))}
    places = sorted((model.directory[name][1], packing.packed_bytes(*shape)) for name, shape in sizes.items())
    assert all(offset % 64 == 0 for offset, _ in places) and sum(places[-1]) <= model.buffer.size
    assert all(first + size <= second for (first, size), (second, _) in pairwise(places))


def test_a_process_loads_what_another_compiled_without_what_only_compiling_needs(tmp_path):
    program = (
        "import sys, numpy as np; from plpython.kernels import packing; "
        "packed = packing.pack_tensor(np.arange(32, dtype=np.float32).tobytes(), 'F32', (16, 2)); "
        "print(packed.view(np.float32).tolist(), 'numba.np.linalg' in sys.modules)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command, checkout = [sys.executable, "-c", program], Path(__file__).parents[2]
    run = functools.partial(subprocess.check_output, command, env=environment, cwd=checkout, text=True)
    expected = [*map(float, range(0, 32, 2)), *map(float, range(1, 32, 2))]
    assert [run().strip(), run().strip()] == [f"{expected} True", f"{expected} False"]
