"""The pure parts of a search: the binary forms of vectors, and which scores are the best."""

import struct

import numpy as np
import pytest

from plpython.server.errors import ModelError
from plpython.session import search_matrices
from plpython.sql import search
from plpython.store.embedding_columns import VECTOR_DECODERS

ROWS = np.array([[1.5, -2, 0.25], [3, 4, -5]], np.float32)
# As the servers' send functions write them: PostgreSQL's array_send of real[], pgvector's vector_send.
SENT = {
    "bytea": b"".join(struct.pack("<3f", *row) for row in ROWS),
    "_float4": b"".join(
        struct.pack(">iiiii", 1, 0, 700, 3, 1) + b"".join(struct.pack(">if", 4, number) for number in row)
        for row in ROWS
    ),
    "vector": b"".join(struct.pack(">hh3f", 3, 0, *row) for row in ROWS),
}


@pytest.mark.parametrize("type", SENT)
def test_vectors_are_read_from_the_binary_form_of_their_type(type):
    decode, before, each = VECTOR_DECODERS[type]
    assert len(SENT[type]) == len(ROWS) * (before + each * 3)
    np.testing.assert_array_equal(decode(np.frombuffer(SENT[type], np.uint8), 2, 3), ROWS)


def test_an_array_of_two_dimensions_is_no_vector():
    sent = struct.pack(">iiiiiii", 2, 0, 700, 2, 1, 1, 1) + struct.pack(">ifif", 4, 1.0, 4, 2.0)
    with pytest.raises(ModelError, match="more than one dimension"):
        VECTOR_DECODERS["_float4"][0](np.frombuffer(sent, np.uint8), 1, 3)


def test_an_array_with_null_elements_is_no_vector_though_it_has_the_size_of_one():
    """{1,NULL,NULL} takes the bytes of two numbers."""
    sent = struct.pack(">iiiii", 1, 1, 700, 3, 1) + struct.pack(">if", 4, 1.0) + struct.pack(">ii", -1, -1)
    assert len(sent) == 20 + 8 * 2
    with pytest.raises(ModelError, match="NULL elements"):
        VECTOR_DECODERS["_float4"][0](np.frombuffer(sent, np.uint8), 1, 2)


def test_the_longest_unused_matrix_leaves_first(monkeypatch):
    monkeypatch.setattr(search_matrices, "_matrices", type(search_matrices._matrices)())

    def matrix():
        return search_matrices.Matrix(np.arange(10), np.zeros(10, np.uint32), np.ones((10, 4), np.float32))

    for key in "abc":
        search_matrices.keep(key, matrix(), 1 << 20)
    assert search_matrices.find("a") is not None  # the most recently used now
    search_matrices.keep("d", matrix(), 3 * 160)
    assert [key for key in "abcd" if search_matrices.find(key) is not None] == ["a", "c", "d"]


def test_a_place_is_written_as_a_tid():
    assert search.tid_text(np.int64(70_000 << 16 | 12)) == "(70000,12)"


@pytest.mark.parametrize(
    ("snapshot", "earlier", "expected"),
    [
        ("10:10:", "10:10:", True),
        ("10:12:10,11", "10:10:", True),
        ("10:12:10", "10:11:10", True),
        ("10:12:10,11", "10:12:10", False),
        ("12:12:", "10:12:10", True),
        ("10:10:", "10:12:10", False),
        ("9:14:9,13", "9:12:9,11", True),
        ("9:14:9,10", "9:12:9,11", False),
    ],
)
def test_a_snapshot_is_later_if_all_that_had_ended_has_ended(snapshot, earlier, expected):
    """The definition: a transaction has ended for xmin:xmax:running, if it is below xmax and not running."""

    def ended(text):
        _, end, running = text.split(":")
        return set(range(int(end))) - {int(number) for number in running.split(",") if number}

    assert (ended(earlier) <= ended(snapshot)) == expected
    assert search.is_later(snapshot, earlier) == expected
