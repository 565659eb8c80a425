"""Files mapped side by side into one range of addresses."""

import mmap
import os
from pathlib import Path

import numpy as np
import pytest

from plpython.server import errors
from plpython.weights.address_space import (
    HUGE_PAGE,
    MADV_POPULATE_READ,
    MEMORY_PAGE,
    Mapping,
    in_huge_pages,
    in_whole_pages,
    side_by_side,
)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 40)
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def reserved():
    """Bytes of addresses that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * MEMORY_PAGE


def test_files_lie_where_they_were_placed(file):
    mapping = Mapping(5 * MEMORY_PAGE)
    mapping.place(0, file, 5000)
    mapping.place(3 * MEMORY_PAGE, file, 100)
    memory = np.asarray(mapping)
    expected = np.tile(np.arange(256, dtype=np.uint8), 40)
    np.testing.assert_array_equal(memory[:5000], expected[:5000])
    np.testing.assert_array_equal(memory[3 * MEMORY_PAGE : 3 * MEMORY_PAGE + 100], expected[:100])


def test_the_memory_cannot_be_written(file):
    mapping = Mapping(MEMORY_PAGE)
    mapping.place(0, file, 100)
    with pytest.raises(ValueError):
        np.asarray(mapping)[0] = 1


@pytest.mark.parametrize(("offset", "size"), [(1, 10), (-MEMORY_PAGE, 10), (MEMORY_PAGE, 5000), (2 * MEMORY_PAGE, 1)])
def test_a_place_outside_of_the_range_or_between_pages_is_refused(file, offset, size):
    with pytest.raises(ValueError):
        Mapping(2 * MEMORY_PAGE).place(offset, file, size)


def test_addresses_are_given_back_when_the_last_view_goes():
    before = reserved()
    mapping = Mapping(1 << 34)
    view = np.frombuffer(np.asarray(mapping), np.uint8).view(np.float32)
    del mapping
    assert reserved() - before >= 1 << 34
    del view
    assert reserved() - before < 1 << 34


def test_a_range_that_does_not_fit_is_out_of_memory():
    with pytest.raises(errors.ModelError) as refusal:
        Mapping(1 << 62)
    assert refusal.value.sqlstate == "53200"


def test_small_files_begin_at_pages_and_large_ones_at_huge_pages():
    offsets, size = side_by_side([1, MEMORY_PAGE, MEMORY_PAGE + 1, HUGE_PAGE, 5, 3 * HUGE_PAGE + 1])
    assert offsets == [0, MEMORY_PAGE, 2 * MEMORY_PAGE, HUGE_PAGE, 2 * HUGE_PAGE, 3 * HUGE_PAGE]
    assert size == 6 * HUGE_PAGE + MEMORY_PAGE
    assert side_by_side([]) == ([], MEMORY_PAGE)


def test_files_that_fill_a_huge_page_end_with_one():
    sizes = [1, 64, 65, HUGE_PAGE - 1, HUGE_PAGE, HUGE_PAGE + 1, 3 * HUGE_PAGE]
    assert [in_whole_pages(size) for size in sizes] == [64, 64, 128, *[n * HUGE_PAGE for n in (1, 1, 2, 3)]]


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="this system's mmap knows no huge pages")
def test_a_file_is_brought_in_by_huge_pages_in_their_order_between_looks_for_an_interrupt():
    class Memory:
        def __init__(self):
            self.advice = []

        def __len__(self):
            return 3 * HUGE_PAGE

        def madvise(self, *advice):
            self.advice.append(advice)

    memory, looks = Memory(), []
    in_huge_pages(memory, lambda: looks.append(len(memory.advice)))
    assert memory.advice[:2] == [(mmap.MADV_HUGEPAGE,), (mmap.MADV_RANDOM,)]
    assert memory.advice[2:] == [(MADV_POPULATE_READ, page * HUGE_PAGE, MEMORY_PAGE) for page in range(3)]
    assert looks == [3, 4, 5]


@pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="this system's mmap knows no huge pages")
def test_a_system_that_refuses_huge_pages_is_no_error():
    class Refusing(bytes):
        def madvise(self, *_):
            raise OSError

    in_huge_pages(Refusing(10), pytest.fail)


def test_a_range_begins_at_a_huge_page():
    assert all(Mapping(MEMORY_PAGE).address % HUGE_PAGE == 0 for _ in range(5))
