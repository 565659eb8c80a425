"""Tensors from tiles, with a fake plpy and the decoded values that llama.cpp's own Python package wrote."""

import hashlib

import numpy as np
import pytest

from plpython.model.encodings import BLOCKS
from plpython.server import errors
from plpython.weights import tensors


class Store:
    """The two tables that weights reads, in memory."""

    def __init__(self, plpy):
        self.tensors, self.tiles = {}, {}
        plpy.answers["llm_store.model_tensor"] = lambda model_id: [
            {"name": name} | row for name, row in self.tensors.items()
        ]
        plpy.answers["llm_store.tensor_tile"] = lambda tensor_hash: self.tiles[tensor_hash]

    def add(self, name, type, shape, content, tile_bytes, rows_per_tile):
        pieces = [content[i : i + tile_bytes] for i in range(0, len(content), tile_bytes)]
        tensor_hash = hashlib.sha256(repr((type, shape)).encode() + content).digest()
        self.tensors[name] = {
            "tensor_hash": tensor_hash,
            "type": type,
            "shape": list(shape),
            "rows_per_tile": rows_per_tile,
            "bytes": len(content),
        }
        self.tiles[tensor_hash] = [{"tile_hash": hashlib.sha256(p).digest(), "content": p} for p in pieces]
        return self.tiles[tensor_hash]


@pytest.fixture
def store(plpy, monkeypatch):
    monkeypatch.setattr(tensors, "cache", tensors.ArrayCache(1 << 20))
    return Store(plpy)


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_a_matrix_is_put_together_from_tiles_of_whole_rows(store):
    matrix = numbers(10, 6)
    store.add("m", "F32", (10, 6), matrix.tobytes(), 4 * 6 * 4, rows_per_tile=4)
    loaded = tensors.Weights(1)["m"]
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, matrix)


def test_a_row_may_span_tiles(store):
    matrix = numbers(2, 100)
    store.add("m", "F32", (2, 100), matrix.tobytes(), 128, rows_per_tile=0)
    np.testing.assert_array_equal(tensors.Weights(1)["m"], matrix)


def test_a_vector_is_one_row(store):
    vector = numbers(7)
    store.add("v", "F32", (7,), vector.tobytes(), 1 << 20, rows_per_tile=1)
    np.testing.assert_array_equal(tensors.Weights(1)["v"], vector)


@pytest.mark.parametrize("type", ["Q8_0", "Q4_0", "Q6_K", "F16"])
def test_tiles_decode_as_the_golden_files_say(store, each_data, type):
    content = (each_data / "quant-golden" / f"{type}.raw").read_bytes()
    values = np.fromfile(each_data / "quant-golden" / f"{type}.f32", "<f4")
    elements, size = BLOCKS[type]
    columns, row_size = 2 * elements, 2 * size
    rows = len(content) // row_size
    assert rows * row_size == len(content) and rows * columns == values.size
    store.add("m", type, (rows, columns), content, 3 * row_size, rows_per_tile=3)
    np.testing.assert_array_equal(tensors.Weights(1)["m"], values.reshape(rows, columns))


def test_raw_bytes_are_the_files_bytes(store):
    content = numbers(9, 5).tobytes()
    store.add("m", "F32", (9, 5), content, 2 * 5 * 4, rows_per_tile=2)
    assert tensors.raw(tensors.Weights(1).tensor("m")).tobytes() == content


def test_a_changed_byte_is_an_error_that_names_the_tensor_and_the_tile(store):
    tiles = store.add("blk.0.attn_q.weight", "F32", (4, 4), numbers(4, 4).tobytes(), 32, rows_per_tile=2)
    changed = bytearray(tiles[1]["content"])
    changed[5] ^= 1
    tiles[1]["content"] = bytes(changed)
    with pytest.raises(errors.ModelError) as raised:
        tensors.Weights(1)["blk.0.attn_q.weight"]
    assert raised.value.sqlstate == "XX001"
    assert raised.value.message == 'tensor "blk.0.attn_q.weight" is corrupt'
    assert "tile 1 hashes to" in raised.value.detail


@pytest.mark.parametrize("rows_per_tile", [0, 2])
def test_a_missing_tile_is_an_error(store, rows_per_tile):
    tiles = store.add("m", "F32", (4, 4), numbers(4, 4).tobytes(), 32, rows_per_tile)
    tiles[1]["content"] = None
    with pytest.raises(errors.ModelError, match="tile 1 is missing"):
        tensors.Weights(1)["m"]


@pytest.mark.parametrize("rows_per_tile", [0, 2])
def test_too_few_tiles_are_an_error(store, rows_per_tile):
    tiles = store.add("m", "F32", (4, 4), numbers(4, 4).tobytes(), 32, rows_per_tile)
    tiles.pop()
    with pytest.raises(errors.ModelError, match="its tiles hold"):
        tensors.Weights(1)["m"]


@pytest.mark.parametrize("rows_per_tile", [0, 2])
def test_too_many_tiles_are_an_error(store, rows_per_tile):
    tiles = store.add("m", "F32", (4, 4), numbers(4, 4).tobytes(), 32, rows_per_tile)
    tiles.append(tiles[0])
    with pytest.raises(errors.ModelError) as raised:
        tensors.Weights(1)["m"]
    assert raised.value.sqlstate == "XX001"


def test_an_array_cannot_be_written(store):
    store.add("v", "F32", (3,), numbers(3).tobytes(), 1 << 20, rows_per_tile=1)
    with pytest.raises(ValueError, match="read-only"):
        tensors.Weights(1)["v"][0] = 1


def test_a_tensor_is_read_once_and_shared_between_models(store, plpy):
    store.add("v", "F32", (3,), numbers(3).tobytes(), 1 << 20, rows_per_tile=1)
    first = tensors.Weights(1)["v"]
    plpy.answers["llm_store.tensor_tile"] = lambda tensor_hash: pytest.fail("read again")
    assert tensors.Weights(2)["v"] is first


def test_an_unknown_name_is_a_key_error_and_get_gives_none(store):
    assert tensors.Weights(1).get("rope_freqs.weight") is None
    with pytest.raises(KeyError):
        tensors.Weights(1)["rope_freqs.weight"]


def test_the_cache_drops_the_longest_unused_and_never_exceeds_its_limit():
    cache = tensors.ArrayCache(2000)
    a, b, c = (np.zeros(200, np.float32) for _ in range(3))
    cache.put("a", a)
    cache.put("b", b)
    assert cache.get("a") is a  # now b is the oldest
    cache.put("c", c)
    assert cache.get("b") is None
    assert cache.get("a") is a and cache.get("c") is c
    assert cache.bytes == 1600


def test_the_cache_keeps_part_of_a_model_that_is_larger_than_it():
    cache = tensors.ArrayCache(2000)
    names = ["a", "b", "c"]
    for _ in range(3):
        found = [name for name in names if cache.get(name) is not None]
        for name in names:
            if cache.get(name) is None:
                cache.put(name, np.zeros(200, np.float32), needed=set(names))
    assert found == ["a", "b"]
