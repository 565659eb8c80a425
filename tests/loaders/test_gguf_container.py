"""The container against the gguf package's reader, the broken files of ggml's own tests, and files made to hurt."""

import random
import struct
import tracemalloc

import gguf
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.errors import SourceError
from loaders.gguf.container import read_container
from plpython.model import encodings, finite
from tests.plpython.valid_blocks import random_blocks

STRING, ARRAY, UINT8, UINT32, UINT64 = 8, 9, 0, 4, 10
HUGE = (1 << 64) - 1


def string(text: str | bytes) -> bytes:
    content = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(content)) + content


def pair(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


def tensor(name: str, extents: tuple, offset: int = 0, kind: int = 0) -> bytes:
    return string(name) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, kind, offset)


def file(pairs: list[bytes] = (), tensors: list[bytes] = (), data: int = 0, version: int = 3) -> memoryview:
    header = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(pairs)) + b"".join(pairs) + b"".join(tensors)
    header += bytes(-len(header) % 32)
    return memoryview(header + bytes(data))


def plain(value):
    """A value as GGUFReader's contents() gives it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, list):
        return [item.decode() for item in value]
    return value.tolist() if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize(
    "path",
    [
        "stories260K/stories260K.gguf",
        "stories260K-quant-derived/stories260K-Q8_0.gguf",
        "stories260K-quant-derived/stories260K-Q4_0.gguf",
        "stories260K-quant-derived/stories260K-F16.gguf",
        "tokenizers/gpt-2/ggml-vocab-gpt-2.gguf",
    ],
)
def test_a_real_file_reads_as_the_gguf_package_reads_it(each_data, path):
    container = read_container(memoryview((each_data / path).read_bytes()))
    reader = gguf.GGUFReader(each_data / path)
    expected = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    assert {key: plain(value) for key, value in container.metadata.items()} == expected
    assert [(t.name, t.type, list(t.shape), t.offset, t.bytes) for t in container.tensors] == [
        (t.name, t.tensor_type.name, t.shape.tolist()[::-1], t.data_offset, t.n_bytes) for t in reader.tensors
    ]
    for ours, theirs in zip(container.tensors, reader.tensors, strict=True):
        assert bytes(container.content(ours)) == theirs.data.tobytes()


def test_a_file_with_a_tensor_of_every_encoding_reads_as_it_was_written(tmp_path):
    writer, written = gguf.GGUFWriter(tmp_path / "every.gguf", "llama"), {}
    for encoding in encodings.ENCODINGS:
        raw = random_blocks(encoding.name, 3, 256, np.random.default_rng(encoding.number))
        written[encoding.name] = raw.tobytes()
        kind = gguf.GGMLQuantizationType(encoding.number)
        writer.add_tensor(encoding.name, raw.reshape(3, -1), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    container = read_container(memoryview((tmp_path / "every.gguf").read_bytes()))
    assert {t.name: bytes(container.content(t)) for t in container.tensors} == written
    for tensor in container.tensors:
        assert (tensor.type, tensor.shape) == (tensor.name, (3, 256))
        finite.check_rows(tensor.name, tensor.type, 256, [written[tensor.name]])


def test_broken_files_are_accepted_or_rejected_as_ggml_does(each_data):
    folder = each_data / "gguf-malformed"
    lines = [line.split("\t") for line in (folder / "EXPECTED.tsv").read_text().splitlines()]
    verdicts = {}
    for name, _, _ in lines:
        try:
            read_container(memoryview((folder / name).read_bytes()))
            verdicts[name] = "ACCEPT"
        except SourceError as problem:
            assert "\n" not in str(problem)
            verdicts[name] = "REJECT"
    assert verdicts == {name: verdict for name, _, verdict in lines}


def test_version_2_is_read_like_version_3():
    assert read_container(file(version=2)).version == 2


ATTACKS = {
    "not a GGUF file": memoryview(b"\x7fELF" + bytes(100)),
    "the version needs 4 bytes": memoryview(b"GGUF\3\0"),
    "version 1 is not supported": file(version=1),
    "big-endian": file(version=0x03000000),
    "the number of tensors": memoryview(b"GGUF\3\0\0\0\1"),
    "18446744073709551615 tensors": memoryview(b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0) + bytes(64)),
    "18446744073709551615 metadata keys": memoryview(b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE) + bytes(64)),
    '"k" appears twice': file([pair("k", UINT8, b"\0"), pair("k", UINT8, b"\1")]),
    '"k" has an unknown type, 99': file([pair("k", 99, b"\0" * 16)]),
    "a metadata key needs": file([struct.pack("<Q", 1 << 40) + bytes(32)]),
    'metadata key "k" needs 1099511627776 bytes': file([pair("k", STRING, struct.pack("<Q", 1 << 40))]),
    '18446744073709551615 elements in "k"': file([pair("k", ARRAY, struct.pack("<IQ", UINT64, HUGE))]),
    '2305843009213693952 elements in "k"': file([pair("k", ARRAY, struct.pack("<IQ", UINT64, 1 << 61))]),
    '1152921504606846976 strings in "k"': file([pair("k", ARRAY, struct.pack("<IQ", STRING, 1 << 60))]),
    "at string 1 of 2": file([pair("k", ARRAY, struct.pack("<IQ", STRING, 2) + string("a") + struct.pack("<Q", HUGE))]),
    "array of arrays": file([pair("k", ARRAY, struct.pack("<IQ", ARRAY, 1))]),
    "is 65536 bytes long, at most 65535": file([pair("k" * 65536, UINT8, b"\0")]),
    "general.alignment is 0": file([pair("general.alignment", UINT32, struct.pack("<I", 0))]),
    "general.alignment is 48": file([pair("general.alignment", UINT32, struct.pack("<I", 48))]),
    "general.alignment has type UINT64": file([pair("general.alignment", UINT64, struct.pack("<Q", 32))]),
    "general.alignment has type UINT8": file([pair("general.alignment", UINT8, b"\x20")]),
    "its tensor data would begin at 2147483648": file(
        [pair("general.alignment", UINT32, struct.pack("<I", 1 << 31))], [tensor("t", (8,))], 32
    ),
    'tensor "t" appears twice': file(tensors=[tensor("t", (8,)), tensor("t", (8,), 32)], data=64),
    "is 64 bytes long, at most 63": file(tensors=[tensor("t" * 64, (8,))], data=32),
    "has 5 dimensions": file(tensors=[tensor("t", (1,) * 5)], data=32),
    "has 4294967295 dimensions": file(tensors=[string("t") + struct.pack("<I", 0xFFFFFFFF) + bytes(64)]),
    "more elements than there can be": file(tensors=[tensor("t", (1 << 32, 1 << 32))], data=32),
    "dimensions [9223372036854775808, 2]": file(tensors=[tensor("t", (1 << 63, 2))], data=32),
    "ends with its padding at byte": file(tensors=[tensor("t", (1 << 40,))], data=32),
    "offset 64, expected 0": file(tensors=[tensor("t", (8,), 64)], data=96),
    "offset 16, expected 32": file(tensors=[tensor("t", (8,)), tensor("u", (8,), 16)], data=96),
    "offset 18446744073709551615, expected 0": file(tensors=[tensor("t", (8,), HUGE)], data=96),
    "not a multiple of Q8_0's block of 32": file(tensors=[tensor("t", (33,), kind=8)], data=96),
}


@pytest.mark.parametrize("expected", ATTACKS)
def test_an_attack_is_refused_by_name_in_little_memory(expected):
    tracemalloc.start()
    try:
        with pytest.raises(SourceError) as problem:
            read_container(ATTACKS[expected])
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert expected in str(problem.value)


def test_a_type_that_the_gguf_package_does_not_know_is_left_to_be_refused_with_its_tensor():
    container = read_container(file(tensors=[tensor("new", (8,), kind=200), tensor("t", (8,), 64)], data=96))
    assert [t.type for t in container.tensors] == ["number 200", "F32"]


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=400))
def test_random_bytes_after_the_header_never_do_worse_than_a_source_error(content):
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    try:
        read_container(memoryview(head + content))
    except SourceError as problem:
        assert str(problem)


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(0, 420))
def test_a_damaged_file_never_does_worse_than_a_source_error(seed, length):
    pairs = [
        pair("general.architecture", STRING, string("llama")),
        pair("a", ARRAY, struct.pack("<IQ", STRING, 2) + string("x") + string("yz")),
        pair("b", ARRAY, struct.pack("<IQ", UINT32, 3) + bytes(12)),
        pair("general.alignment", UINT32, struct.pack("<I", 32)),
    ]
    good = bytearray(file(pairs, [tensor("t", (4, 2)), tensor("u", (8,), 32)], data=64))
    damage = random.Random(seed)
    for _ in range(damage.randrange(4)):
        good[damage.randrange(len(good))] = damage.choice((0, 1, 127, 128, 255, damage.randrange(256)))
    try:
        container = read_container(memoryview(good)[: len(good) - length])
    except SourceError as problem:
        assert str(problem)
    else:
        assert all(t.offset + t.bytes <= len(container.data) for t in container.tensors if container.has_data)
