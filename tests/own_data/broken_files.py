"""Small GGUF and safetensors files, good and broken, and whether a reader should accept them."""

import json
import struct
from pathlib import Path

from safetensors import SafetensorError, deserialize

HUGE = (1 << 64) - 1


def string(text: str, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text.encode()


def pairs(sizes: int | None = None, last: str = "key_7") -> list[bytes]:
    """A pair of metadata of each of eight types."""
    values = {
        "key_0": struct.pack("<IB", 0, 200),
        "key_1": struct.pack("<Ii", 5, -7),
        "key_2": struct.pack("<If", 6, 0.5),
        "key_3": struct.pack("<I?", 7, True),
        "key_4": struct.pack("<I", 8) + string("text"),
        "key_5": struct.pack("<Id", 12, -1e300),
        "key_6": struct.pack("<IIQ3h", 9, 3, 3, 1, -2, 3),
        last: struct.pack("<IIQ", 9, 8, 2) + string("a") + string(""),
    }
    return [string(key, sizes) + value for key, value in values.items()]


def tensor(name: str, extents: tuple[int, ...], offset: int, size: int | None = None) -> bytes:
    """The description of a tensor of float32."""
    return string(name, size) + struct.pack(f"<I{len(extents)}QIQ", len(extents), *extents, 0, offset)


def tensors(alignment: int = 32, **of_the_last) -> list[bytes]:
    """Three tensors of 8, 30 and 5 x 4 numbers, the last changed."""
    places = [0, alignment, alignment + -(-120 // alignment) * alignment]
    last = {"name": "c", "extents": (5, 4), "offset": places[2], **of_the_last}
    return [tensor("a", (8,), places[0]), tensor("b", (30,), places[1]), tensor(**last)]


def gguf(metadata=(), described=(), *, data: int = 0, version: int = 3, alignment: int = 32, **counts) -> bytes:
    count = counts.get("count", len(metadata))
    header = counts.get("magic", b"GGUF") + struct.pack("<IQQ", version, len(described), count)
    header += b"".join(metadata) + b"".join(described)
    return header + bytes(-len(header) % alignment) + bytes(data)


ALIGNED = [*pairs(), string("general.alignment") + struct.pack("<II", 4, 64)]
# As llama.cpp's own tests of its reader make and judge them (tests/test-gguf.cpp).
GGUF_FILES = {
    "HEADER_BAD_MAGIC": (gguf(magic=b"FUGG"), "REJECT"),
    "HEADER_BAD_VERSION_1": (gguf(version=1), "REJECT"),
    "HEADER_BAD_N_KV": (gguf(count=HUGE), "REJECT"),
    "HEADER_EMPTY": (gguf(), "ACCEPT"),
    "KV_BAD_KEY_SIZE": (gguf(pairs(sizes=HUGE)), "REJECT"),
    "KV_DUPLICATE_KEY": (gguf(pairs(last="key_0") + pairs()[:1]), "REJECT"),
    "KV_RANDOM_KV": (gguf(pairs()), "ACCEPT"),
    "TENSORS_BAD_NAME_SIZE": (gguf(pairs(), tensors(name="n" * 65), data=256), "REJECT"),
    "TENSORS_BAD_SHAPE": (gguf(pairs(), tensors(extents=(5, (1 << 64) - 4)), data=256), "REJECT"),
    "TENSORS_BAD_OFFSET": (gguf(pairs(), tensors(offset=7), data=256), "REJECT"),
    "TENSORS_NE_TOO_BIG": (gguf(pairs(), tensors(extents=(1 << 32, 1 << 32)), data=256), "REJECT"),
    "TENSORS_CUSTOM_ALIGN": (gguf(ALIGNED, tensors(64), data=320, alignment=64), "ACCEPT"),
    "DATA_NOT_ENOUGH_DATA": (gguf(pairs(), tensors(), data=239), "REJECT"),
    "DATA_SUCCESS": (gguf(pairs(), tensors(), data=256), "ACCEPT"),
    "DATA_NONE": (gguf(pairs(), tensors()), "ACCEPT"),
}


def write_gguf(folder: Path) -> None:
    for name, (content, _) in GGUF_FILES.items():
        (folder / f"{name}.gguf").write_bytes(content)
    lines = [f"{name}.gguf\t{len(content)}\t{verdict}" for name, (content, verdict) in GGUF_FILES.items()]
    (folder / "EXPECTED.tsv").write_text("\n".join(lines) + "\n")


def safetensors(shape: list[int], end: int, data: int, size: int | None = None, dtype: str = "I32") -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}
    header = json.dumps({"test": entry}, separators=(",", ":")).encode()
    return struct.pack("<Q", len(header) if size is None else size) + header + bytes(data)


SAFETENSORS_FILES = {
    "good": safetensors([2, 2], 16, 16),
    "no_numbers": safetensors([2, 0], 0, 0),
    "header_too_large": safetensors([2, 2], 16, 16, size=0xFFFFFF0000003C),
    "empty_file": b"",
    "header_not_json": struct.pack("<Q", 1) + b"{",
    "offsets_unlike_the_shape": safetensors([2, 2], 4, 4),
    "bytes_behind_the_data": safetensors([2, 2], 16, 40),
    "shape_overflows": safetensors([2, (1 << 64) - 2], 16, 16),
}


def verdict(content: bytes) -> str:
    """What the safetensors package says."""
    try:
        deserialize(content)
    except SafetensorError as error:
        return f"REJECT\tREJECT {error}"
    return "ACCEPT\tACCEPT"


def write_safetensors(folder: Path) -> None:
    lines = []
    for name, content in SAFETENSORS_FILES.items():
        (folder / f"{name}.safetensors").write_bytes(content)
        lines.append(f"{name}.safetensors\t{len(content)}\t{verdict(content)}")
    (folder / "EXPECTED.tsv").write_text("\n".join(lines) + "\n")
