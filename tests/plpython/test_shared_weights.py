"""A model's tensors in shared files: the bytes of packing in memory, packed once, repaired when they are damaged."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest

from loaders.huggingface.folder import read_folder
from plpython.kernels.groups import VECTOR
from plpython.kernels.packing import packed_bytes
from plpython.model import encodings
from plpython.server import errors
from plpython.weights import shared as shared_weights
from plpython.weights import tensor_groups
from plpython.weights import tensors as weights
from plpython.weights.packed_files import PackedFiles
from plpython.weights.packed_model import pack_model

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"
ROWS_PER_TILE = 7  # no multiple of the 16 rows that lie together


class Store:
    """Tensors in tiles, as the server has them."""

    def __init__(self, plpy):
        self.tiles = {}
        plpy.answers["FROM llm_store.tensor_tile"] = lambda hash: self.tiles[hash]

    def add(self, name, type, shape, raw):
        columns = shape[-1]
        rows_per_tile = ROWS_PER_TILE if len(shape) == 2 else 1
        step = rows_per_tile * encodings.row_bytes(type, columns)
        content = [raw[start : start + step] for start in range(0, len(raw), step)]
        hash = hashlib.sha256(f"{type} {shape}".encode() + raw).digest()
        self.tiles[hash] = [{"tile_hash": hashlib.sha256(tile).digest(), "content": tile} for tile in content]
        return weights.Tensor(name, hash, type, tuple(shape), rows_per_tile, len(raw))


@pytest.fixture
def store(plpy):
    return Store(plpy)


@pytest.fixture
def limits():
    return {"bytes": 1 << 40, "free_bytes": 0}


@pytest.fixture
def packed(plpy, store, limits, tmp_path, monkeypatch):
    """The folder of packed files; llm_store.pack_model packs `packed.tensors` and counts its calls."""
    files = PackedFiles(tmp_path / "packed", "edition", "start", shared_weights.interrupts.checkpoint)
    monkeypatch.setattr(shared_weights, "files", lambda: files)
    plpy.answers["llm_runtime.pack_limits"] = lambda: [limits]

    class Packed:
        folder = tmp_path / "packed" / "edition"
        tensors = ()
        calls = 0

        def attach(self):
            return shared_weights.attach(self.tensors, "model", b"hash")

        def names(self):
            return {path.name for path in self.folder.iterdir() if not path.name.startswith("verified.")}

    packed = Packed()

    def pack(hash, name):
        packed.calls += 1
        return [{"bytes": shared_weights.pack(packed.tensors, name)}]

    plpy.answers["llm_store.pack_model"] = pack
    return packed


def random_tensors(store, *types):
    random = np.random.default_rng(1)
    made = []
    for number, type in enumerate(types):
        raw = encodings.encode(type, random.standard_normal((40, 64), np.float32)).tobytes()
        made.append(store.add(f"matrix.{number}", type, (40, 64), raw))
    made.append(store.add("norm", "F32", (50,), random.standard_normal(50, np.float32).tobytes()))
    return made


def in_memory(store, tensors):
    """What packing all of it at once in this process gives."""
    raw = {t.name: b"".join(tile["content"] for tile in store.tiles[t.hash]) for t in tensors}
    return pack_model({t.name: (t.type, t.shape, raw[t.name]) for t in tensors})


def layer_of(store, layer):
    """The tensors of a layer, together more than a huge page, two of them equal."""
    random, size = np.random.default_rng(layer), (300, 1024)
    half = encodings.encode("F16", random.standard_normal(size, np.float32)).tobytes()
    return [
        store.add(f"blk.{layer}.norm", "F32", (1024,), random.standard_normal(1024, np.float32).tobytes()),
        store.add(f"blk.{layer}.a", "F32", size, random.standard_normal(size, np.float32).tobytes()),
        store.add(f"blk.{layer}.b", "F16", size, half),
        store.add(f"blk.{layer}.c", "F16", size, half),
        store.add(
            f"blk.{layer}.d", "Q8_0", size, encodings.encode("Q8_0", random.standard_normal(size, np.float32)).tobytes()
        ),
    ]


def tensor_bytes(packed_model, tensor):
    size = packed_bytes(tensor.type, tensor.shape)
    offset = packed_model.directory[tensor.name][1]
    return packed_model.buffer[offset : offset + size].tobytes()


def assert_same(shared, expected, tensors):
    for tensor in tensors:
        layout, _, rows, columns = expected.directory[tensor.name]
        assert shared.directory[tensor.name][0] == layout
        assert shared.directory[tensor.name][2:] == [rows, columns]
        assert tensor_bytes(shared, tensor) == tensor_bytes(expected, tensor), tensor.name


@pytest.mark.parametrize("type", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0"])
def test_a_mapped_tensor_has_the_bytes_of_one_packed_in_memory(store, packed, type):
    packed.tensors = random_tensors(store, type)
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # random bytes are also numbers that no half can hold
@pytest.mark.parametrize("rows_per_tile", [7, 64, 100, 250])
@pytest.mark.parametrize("type", [encoding.name for encoding in encodings.ENCODINGS])
def test_however_rows_lie_in_tiles_the_packed_bytes_are_the_same(store, packed, monkeypatch, type, rows_per_tile):
    monkeypatch.setitem(globals(), "ROWS_PER_TILE", rows_per_tile)
    raw = np.random.default_rng(2).bytes(250 * encodings.row_bytes(type, 256))
    packed.tensors = [store.add("matrix", type, (250, 256), raw)]
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)


def test_all_tensors_of_a_family_are_mapped(store, packed):
    source = read_folder(FAMILIES / "qwen2")
    packed.tensors = [
        store.add(t.name, t.type, t.shape, np.asarray(t.data).reshape(-1).view(np.uint8).tobytes())
        for t in source.tensors
    ]
    shared = packed.attach()
    assert set(shared.directory) == {t.name for t in source.tensors}
    assert_same(shared, in_memory(store, packed.tensors), packed.tensors)
    vector = next(t for t in source.tensors if shared.directory[t.name][0] == VECTOR)
    np.testing.assert_array_equal(shared.vector(vector.name), encodings.decode(vector.type, vector.data, vector.shape))


def test_what_is_packed_is_not_packed_again(store, packed):
    packed.tensors = random_tensors(store, "Q8_0", "F32")
    packed.attach()
    store.tiles.clear()
    packed.attach()
    assert packed.calls == 1


def test_equal_tensors_of_several_names_are_one_file_in_one_place(store, packed):
    (matrix, _) = random_tensors(store, "F32")
    packed.tensors = [matrix, dataclasses.replace(matrix, name="copy")]
    shared = packed.attach()
    assert shared.directory["copy"] == shared.directory[matrix.name]
    assert len(packed.names()) == 1


def test_only_a_tensor_that_changed_is_packed(store, packed):
    before = random_tensors(store, "F32", "F16")
    packed.tensors = before
    old = packed.attach()
    names = packed.names()
    edited = store.add("matrix.1", "F16", (40, 64), encodings.encode("F16", np.ones((40, 64), np.float32)).tobytes())
    packed.tensors = [before[0], edited, before[2]]
    del store.tiles[before[0].hash]
    new = packed.attach()
    assert len(packed.names() - names) == 1
    assert tensor_bytes(new, before[0]) == tensor_bytes(old, before[0])
    packed.tensors = before  # as after ROLLBACK
    assert tensor_bytes(packed.attach(), before[1]) == tensor_bytes(old, before[1])
    assert packed.calls == 2


def test_the_tensors_of_a_layer_lie_together(store, packed):
    packed.tensors = [*random_tensors(store, "F32"), *layer_of(store, 0), *layer_of(store, 1)]
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)
    assert sorted(name.partition(".")[2] for name in packed.names()) == ["f32", "layer", "layer", "vector"]
    found = [row for entry in shared_weights.files().entries() for row in tensor_groups.tensors_in(entry.path)]
    assert {hash for hash, _, _ in found} == {tensor.hash for tensor in packed.tensors}
    assert len(found) == len({tensor.hash for tensor in packed.tensors})


def test_an_edit_packs_its_layer_alone_and_what_was_before_is_found_again(store, packed):
    before = packed.tensors = [*layer_of(store, 0), *layer_of(store, 1)]
    old, names = packed.attach(), packed.names()
    ones = store.add("blk.1.norm", "F32", (1024,), np.ones(1024, np.float32).tobytes())
    packed.tensors = [*before[:5], ones, *before[6:]]
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)
    assert len(packed.names() - names) == 1
    packed.tensors = before
    assert_same(packed.attach(), old, before)
    assert packed.calls == 2


def test_a_large_tensor_of_a_layer_has_a_file_of_its_own(store, packed, monkeypatch):
    packed.tensors = layer_of(store, 0)
    monkeypatch.setattr(tensor_groups, "LARGE", 1 << 20)
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)
    assert "f32" in {name.partition(".")[2] for name in packed.names()}


def test_the_order_of_a_models_tensors_does_not_matter(store, packed):
    packed.tensors = layer_of(store, 0)
    packed.attach()
    packed.tensors = packed.tensors[::-1]
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)
    assert packed.calls == 1


def test_a_damaged_table_of_a_group_names_no_tensor_and_the_group_is_packed_again(store, packed, plpy):
    packed.tensors = layer_of(store, 0)
    packed.attach()
    (path,) = packed.folder.glob("*.layer")
    path.chmod(0o600)
    content = path.read_bytes()
    for damaged in (b"", content[:70], b"\xff" * 200, content[:100]):
        path.write_bytes(damaged)
        assert tensor_groups.tensors_in(path) == []
    path.chmod(0o400)
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)
    assert "and 4 more of its layer is damaged" in plpy.warnings[0]


def test_a_truncated_file_is_packed_again_with_a_warning_that_names_the_tensor(store, packed, plpy):
    packed.tensors = random_tensors(store, "Q8_0")
    packed.attach()
    (path,) = packed.folder.glob("*.q8")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:100])
    path.chmod(0o400)
    assert_same(packed.attach(), in_memory(store, packed.tensors), packed.tensors)
    assert 'tensor "matrix.0" is damaged' in plpy.warnings[0]


def test_what_a_session_mapped_stays_when_the_file_goes(store, packed):
    packed.tensors = random_tensors(store, "F32")
    shared = packed.attach()
    shared_weights.files().remove()
    assert packed.names() == set()
    assert_same(shared, in_memory(store, packed.tensors), packed.tensors)


def test_a_wrong_tile_ends_packing_and_leaves_no_file_of_its_tensor(store, packed):
    packed.tensors = random_tensors(store, "F32", "F16")
    store.tiles[packed.tensors[1].hash][2]["content"] = bytes(7 * 128)
    with pytest.raises(errors.ModelError) as refusal:
        packed.attach()
    assert (refusal.value.sqlstate, refusal.value.message) == ("XX001", 'tensor "matrix.1" is corrupt')
    assert not [name for name in packed.names() if name.endswith((".f16", ".partial"))]


def test_a_model_that_finds_no_room_takes_back_what_it_packed(store, packed, limits, monkeypatch):
    packed.tensors = random_tensors(store, "F32", "F16", "Q8_0")
    monkeypatch.setattr(PackedFiles, "check_room", lambda *given: None)
    monkeypatch.setattr(PackedFiles, "_free", lambda files: 0 if len(packed.names()) > 2 else 1 << 40)
    with pytest.raises(errors.ModelError) as refusal:
        packed.attach()
    assert refusal.value.sqlstate == "53100"
    assert packed.names() == set()


def test_files_that_are_evicted_as_soon_as_they_are_packed_are_an_error_in_the_end(store, packed, plpy):
    packed.tensors = random_tensors(store, "F32")
    plpy.answers["llm_store.pack_model"] = lambda hash, name: [{"bytes": 0}]
    with pytest.raises(errors.ModelError) as refusal:
        packed.attach()
    assert refusal.value.sqlstate == "53400"


def test_a_long_packing_tells_so_once(store, packed, plpy, monkeypatch):
    monkeypatch.setattr(shared_weights, "SECONDS_BEFORE_NOTICE", -1)
    packed.tensors = random_tensors(store, "F32", "F16")
    packed.attach()
    (notice,) = plpy.notices
    assert 'packing model "model"' in notice


def test_packing_reports_the_stored_bytes_of_what_is_missing(store, packed, plpy, monkeypatch):
    monkeypatch.setattr(shared_weights, "SECONDS_BETWEEN_REPORTS", -1)
    packed.tensors = random_tensors(store, "F32", "F16")
    total = sum(tensor.bytes for tensor in packed.tensors)
    packed.attach()
    reports = [message.removeprefix("llm: packed ").split() for message in plpy.debugs]
    done = [int(number) for number, *_ in reports]
    assert {" ".join(rest) for _, *rest in reports} == {f"of {total} bytes"}
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, total)
    assert len(set(done)) > len(packed.tensors)


def test_what_another_session_packs_counts_when_it_is_finished(store, packed, plpy, monkeypatch):
    packed.tensors = random_tensors(store, "F32", "F16")
    of_another = packed.tensors[0]
    build = PackedFiles.build

    def built_by_another(files, file, fill, *rest):
        if file.name.startswith(of_another.hash.hex()) and not (packed.folder / file.name).exists():
            build(files, file, lambda write: write(bytes(file.size)), *rest)
        return build(files, file, fill, *rest)

    monkeypatch.setattr(PackedFiles, "build", built_by_another)
    shared_weights.pack(packed.tensors, "model")
    total = sum(tensor.bytes for tensor in packed.tensors)
    assert plpy.debugs[-1] == f"llm: packed {total} of {total} bytes"


def test_where_nothing_is_missing_nothing_is_reported(store, packed, plpy):
    packed.tensors = random_tensors(store, "F32")
    packed.attach()
    plpy.debugs.clear()
    shared_weights.pack(packed.tensors, "model")
    assert plpy.debugs == []
