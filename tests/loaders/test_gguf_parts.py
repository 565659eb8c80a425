"""GGUF models in several files, as the gguf package's writer splits them, which follows llama.cpp's gguf-split."""

import re
from pathlib import Path

import gguf
import numpy as np
import pytest

from loaders.errors import SourceError
from loaders.gguf.file import read_gguf
from loaders.reader import read_model
from loaders.upload.upload import _Hashes
from tests.loaders.conftest import add

NAMES = [f"model-{n:05}-of-00003.gguf" for n in (1, 2, 3)]


@pytest.fixture
def split(tmp_path, tiny):
    """split(...) writes the tiny model, 12 tensors, in parts and returns the path of the first."""

    def write(small_first_shard: bool = False, most: int = 4) -> Path:
        metadata, tensors = tiny
        options = {"split_max_tensors": most, "small_first_shard": small_first_shard}
        writer = gguf.GGUFWriter(None, metadata.pop("general.architecture"), **options)
        for key, value in metadata.items():
            add(writer, key, value)
        for name, values in tensors.items():
            writer.add_tensor(name, values)
        writer.write_header_to_file(tmp_path / "model.gguf")
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return min(tmp_path.glob("model-*.gguf"))

    return write


def rewrite(path: Path, keys: dict, tensors: dict | None = None) -> None:
    """A part with other metadata, all that it has ({name: (type, value)}), and with its own tensors or others."""
    if tensors is None:
        tensors = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}
    writer = gguf.GGUFWriter(path, "none")
    writer.kv_data[0].clear()
    for key, (kind, value) in keys.items():
        writer.add_key_value(key, value, gguf.GGUFValueType[kind])
    for name, values in tensors.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def marks(number: int, count: int = 3, tensors: int = 12) -> dict:
    return {
        "split.no": ("UINT16", number),
        "split.count": ("UINT16", count),
        "split.tensors.count": ("INT32", tensors),
    }


@pytest.mark.parametrize("small_first_shard", [False, True])
def test_the_first_part_loads_the_whole_model(split, tiny, write_gguf, small_first_shard):
    whole = read_gguf(write_gguf(*tiny, name="whole.gguf"))
    first = split(small_first_shard)
    model = read_model(first)
    assert (model.architecture, model.tokenizer_definition) == (whole.architecture, whole.tokenizer_definition)
    assert [(t.name, bytes(t.data)) for t in model.tensors] == [(t.name, bytes(t.data)) for t in whole.tensors]
    assert [file.path for file in model.files] == sorted(path.name for path in first.parent.glob("model-*"))


def test_every_part_is_given_back_byte_for_byte(split):
    first = split()
    model = read_gguf(first)
    tensors = {tensor.name: tensor.data for tensor in model.tensors}
    assert [file.path for file in model.files] == NAMES
    for file in model.files:
        content = b"".join(tensors[s.tensor] if s.literal is None else s.literal for s in file.segments)
        assert content == (first.parent / file.path).read_bytes()
    assert model.bytes() == sum((first.parent / name).stat().st_size for name in NAMES)


def test_no_part_is_copied_into_memory(split):
    model = read_gguf(split())
    assert {type(tensor.data.obj).__name__ for tensor in model.tensors} == {"mmap"}
    assert len({id(tensor.data.obj) for tensor in model.tensors}) == 3


@pytest.mark.parametrize("name", NAMES[1:])
def test_another_part_is_refused_and_the_first_is_named(split, name):
    with pytest.raises(SourceError, match=rf"{name} is part \d of 3") as refused:
        read_gguf(split().with_name(name))
    assert NAMES[0] in refused.value.hint


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_part_that_is_missing_is_named(split, name):
    first = split()
    first.with_name(name).unlink()
    with pytest.raises(SourceError, match=f"{name} is missing"):
        read_gguf(first)


def test_a_part_that_is_a_folder_is_missing(split):
    first = split()
    first.with_name(NAMES[1]).unlink()
    first.with_name(NAMES[1]).mkdir()
    with pytest.raises(SourceError, match=f"{NAMES[1]} is missing"):
        read_gguf(first)


def test_a_first_part_under_another_name_is_told_its_own(split):
    first = split()
    with pytest.raises(
        SourceError, match=r"other.gguf is the first of 3 parts, but not named NAME-00001-of-00003.gguf"
    ):
        read_gguf(first.rename(first.with_name("other.gguf")))


MIXED = {
    '"split.no" is 2, expected 1': marks(2),
    '"split.count" is 4, expected 3': marks(1, count=4),
    '"split.tensors.count" is 99, in .* it is ': marks(1, tensors=99),
    'has no "split.no"': {"split.count": ("UINT16", 3)},
    'has no "split.count"': {"split.no": ("UINT16", 1)},
    "\"split.no\" is '1', expected an integer": marks(1) | {"split.no": ("STRING", "1")},
    "\"general.architecture\" is 'qwen2', in .* 'llama'": marks(1) | {"general.architecture": ("STRING", "qwen2")},
    '"llama.block_count" is 7, in .* it is ': marks(1) | {"llama.block_count": ("UINT32", 7)},
    '"llama.logit_scale" is 2.0, in .* it is ': marks(1) | {"llama.logit_scale": ("FLOAT32", 2.0)},
}


@pytest.mark.parametrize("expected", MIXED)
def test_a_part_of_another_model_is_refused_by_its_name(split, expected):
    first = split()
    rewrite(first.with_name(NAMES[1]), MIXED[expected])
    with pytest.raises(SourceError, match=f"{NAMES[1]}: metadata {expected}"):
        read_gguf(first)


def test_a_part_that_repeats_what_the_first_says_is_one_of_its_parts(split):
    first = split()
    same = {"general.architecture": ("STRING", "llama"), "llama.block_count": ("UINT32", 1)}
    rewrite(first.with_name(NAMES[1]), marks(1) | same)
    assert len(read_gguf(first).tensors) == 12


@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        ({"output_norm.weight": np.ones(8, np.float32)}, rf'"output_norm.weight" is in {NAMES[0]} and in {NAMES[1]}'),
        ({"a": np.ones(8, np.float32)}, f'{NAMES[0]}: metadata "split.tensors.count" is 12, the parts have 9 tensors'),
        ({}, f'{NAMES[0]}: metadata "split.tensors.count" is 12, the parts have 8 tensors'),
    ],
)
def test_the_tensors_of_all_parts_are_counted_and_compared(split, tensors, expected):
    first = split()
    rewrite(first.with_name(NAMES[1]), marks(1), tensors)
    with pytest.raises(SourceError, match=expected):
        read_gguf(first)


@pytest.mark.parametrize("keep", [0, 10, -1, -2000])
def test_a_part_that_is_cut_short_is_named(split, keep):
    first = split()
    part = first.with_name(NAMES[2])
    part.write_bytes(part.read_bytes()[:keep])
    with pytest.raises(SourceError, match=re.escape(NAMES[2])):
        read_gguf(first)


def test_a_part_leaves_memory_when_the_next_one_is_read(split):
    model = read_gguf(split())
    resident = []
    for _ in _Hashes(model).batches():
        resident += [sum(size for name, size in resident_files() if name == part) for part in NAMES]
    assert resident == [0, 0, 0]


def resident_files() -> list[tuple[str, int]]:
    """(name, KiB in memory) of every file that this process has mapped."""
    text = Path("/proc/self/smaps").read_text()
    return [(Path(name).name, int(size)) for name, size in re.findall(r"(/\S+)\nSize.*\n(?:.*\n)*?Rss: +(\d+)", text)]
