"""Packed tensors: every weight is where the layout says, with the value that the type's decoder gives."""

import functools
import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from plpython.kernels import packing, similarity
from plpython.kernels.dispatch import LAYOUT_BY_NAME, LAYOUT_BY_NUMBER, LAYOUTS
from plpython.kernels.groups import FIRST_BLOCK_LAYOUT, GROUP, group_count
from plpython.model import encodings
from plpython.server.errors import ModelError
from plpython.weights.packed_model import PackedModel, pack_model
from tests.plpython.compiled import same_bits
from tests.plpython.valid_blocks import decoded, random_blocks

RANDOM = np.random.default_rng(3)
Q8 = LAYOUT_BY_NAME["q8"].number
EXACT = [encoding.name for encoding in encodings.ENCODINGS if encoding.layout]
MOST_BYTES = 1.06  # of a packed matrix, over those in the file
# Bits of a packed weight in the layouts of types whose codes are numbers of rows of a grid, or digits of base three
BITS = dict.fromkeys(("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S"), 3.625)
BITS |= {"IQ3_XXS": 4.375, "IQ3_S": 4.375, "TQ1_0": 2.625, "TQ2_0": 2.625, "NVFP4": 16}


def any_halves(count):
    """Half-precision numbers of all sizes and both signs, subnormal ones too."""
    patterns = RANDOM.integers(0, 0x7C00, count) | RANDOM.integers(0, 2, count) << 15
    return patterns.astype(np.uint16).view(np.float16)


def rows_of(model, name="w"):
    """All rows of a packed matrix, decoded by the compiled kernel."""
    _, _, rows, columns = model.entry(name)
    out = np.full(rows * columns, np.nan, np.float32)
    similarity.rows(model.weights, model.entry(name), np.arange(rows), out)
    return out.reshape(rows, columns)


def squares_of(model, name="w"):
    """The sums of the squares of the rows, those that fill the last group too."""
    matrix = model.entry(name)
    groups = group_count(int(matrix[2]))
    out = np.full(groups * GROUP, np.nan, np.float32)
    similarity.squared_lengths(model.weights, matrix, 0, groups, out)
    return out


def shapes():
    """(type, rows, columns): counts of blocks that fill no line of scales, and rows that fill no group."""
    for encoding in encodings.ENCODINGS:
        for rows, blocks in ((16, 1), (5, 2), (48, 3), (37, 5), (172, 2)):
            yield encoding.name, rows, blocks * max(encoding.block, 32)


@pytest.mark.parametrize(("type", "rows", "columns"), list(shapes()))
def test_every_weight_is_kept_to_the_bit(type, rows, columns):
    raw = random_blocks(type, rows, columns, RANDOM, any_halves)
    model = pack_model({"w": (type, (rows, columns), raw)})
    expected = decoded(type, raw, (rows, columns))
    same_bits(rows_of(model) + np.float32(0), expected + np.float32(0))  # 0.0 and -0.0 are the same weight


def test_every_power_of_two_of_mxfp4_is_kept_from_the_subnormal_ones_on():
    blocks = RANDOM.integers(0, 256, (253, 17), dtype=np.uint8)
    blocks[:, 0] = np.arange(253)
    model = pack_model({"w": ("MXFP4", (253, 32), blocks)})
    same_bits(rows_of(model) + np.float32(0), decoded("MXFP4", blocks, (253, 32)) + np.float32(0))


@pytest.mark.parametrize("type", EXACT)
def test_squares_are_those_of_the_rows_and_none_are_behind_the_last(type):
    columns = 3 * max(encodings.BY_NAME[type].block, 32)
    raw = random_blocks(type, 21, columns, RANDOM)
    model = pack_model({"w": (type, (21, columns), raw)})
    squares, exact = squares_of(model), decoded(type, raw, (21, columns)).astype(np.float64)
    np.testing.assert_allclose(squares[:21], (exact**2).sum(axis=1), rtol=1e-5)
    assert not squares[21:].any()


@pytest.mark.parametrize("type", encodings.BLOCKS)
def test_a_packed_matrix_takes_the_bytes_that_it_has_in_the_file(type):
    """A line of scales is a whole one, so a few blocks take more; some types have no layout of their own."""
    shape, in_file = (1024, 4096), 1024 * encodings.row_bytes(type, 4096)
    packed = packing.packed_bytes(type, shape)
    assert packed == packing.pack_tensor(np.zeros(in_file, np.uint8), type, shape).size
    if type in BITS:
        assert packed == BITS[type] / 8 * 1024 * 4096
    else:
        assert in_file <= packed <= MOST_BYTES * in_file


def test_the_page_about_kernels_has_every_encoding_with_its_bits():
    page = (Path(__file__).parents[2] / "docs" / "kernels.md").read_text(encoding="utf-8")
    said = re.findall(r"^\| (\w+) \| ([\d.]+) \| ([\d.]+) \| `(\w+)` \|", page, re.MULTILINE)
    assert said == [
        (e.name, f"{8 * e.size / e.block:.4g}", f"{packing.packed_bytes(e.name, (16, 4096)) / 8192:.4g}", e.layout)
        for e in encodings.ENCODINGS
    ]


def test_layouts_of_blocks_are_numbered_one_after_the_other():
    """And behind those of floats: compiled code tells the two kinds apart by the number."""
    of_blocks = sorted(layout.number for layout in LAYOUTS if layout.of_blocks)
    assert max(layout.number for layout in LAYOUTS if not layout.of_blocks) < FIRST_BLOCK_LAYOUT
    assert of_blocks == list(range(FIRST_BLOCK_LAYOUT, FIRST_BLOCK_LAYOUT + len(of_blocks)))
    assert len(LAYOUT_BY_NUMBER) == len(LAYOUT_BY_NAME) == len(LAYOUTS)


def test_every_layout_packs_an_encoding_and_every_encoding_has_a_layout():
    assert {encoding.layout for encoding in encodings.ENCODINGS} == LAYOUT_BY_NAME.keys()


@pytest.mark.parametrize("type", ["F32", "F16", "BF16"])
def test_plain_types_take_any_number_of_columns(type):
    raw = random_blocks(type, 7, 43, RANDOM)
    np.testing.assert_array_equal(rows_of(pack_model({"w": (type, (7, 43), raw)})), decoded(type, raw, (7, 43)))


@pytest.mark.parametrize("type", ["F16", "F32", "Q4_1"])
def test_vectors_become_padded_f32(type):
    columns = 96 if type == "Q4_1" else 91
    raw = random_blocks(type, 1, columns, RANDOM)
    packed = packing.pack_tensor(raw, type, (columns,)).view(np.float32)
    np.testing.assert_array_equal(packed[:columns], decoded(type, raw, (1, columns))[0])
    assert packed.size == 96 and not packed[columns:].any()


@pytest.mark.parametrize("type", encodings.BLOCKS)
def test_packing_by_tiles_of_any_rows_gives_the_same_bytes(type):
    raw = random_blocks(type, 50, 256, RANDOM)
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
    matrix = random_blocks("Q8_0", 32, 64, RANDOM)
    return {
        "a": ("Q8_0", (32, 64), matrix),
        "same": ("Q8_0", (32, 64), matrix.copy()),
        "norm": ("F32", (43,), random_blocks("F32", 1, 43, RANDOM)),
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
    model = pack_model(tensors() | {"last": ("Q8_0", (5, 32), random_blocks("Q8_0", 5, 32, RANDOM))})
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
