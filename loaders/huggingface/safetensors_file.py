"""A safetensors file (huggingface.co/docs/safetensors): the library checks it, its header tells where tensors lie."""

import struct
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..errors import SourceError
from ..source.fields import parse_json
from ..source.files import mapped

SAFETENSORS_TYPES = {"F32": "F32", "F16": "F16", "BF16": "BF16"}


@dataclass(frozen=True)
class StoredTensor:
    """A tensor under the file's own name; `type` is safetensors' (F32, BF16, I64, …), `offset` is in the file."""

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    data: memoryview


def read_safetensors(path: Path) -> tuple[memoryview, list[StoredTensor]]:
    """(the whole file, its tensors by offset). Raises SourceError with the library's reason for a broken file."""
    data = mapped(path)
    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as problem:
        raise SourceError(f"{path.name}: {str(problem).partition(chr(10))[0]}") from None
    (header_bytes,) = struct.unpack_from("<Q", data)
    start = 8 + header_bytes
    header = parse_json(bytes(data[8:start]).decode(), path.name)
    header.pop("__metadata__", None)
    tensors = [_tensor(name, entry, data, start) for name, entry in header.items()]
    return data, sorted(tensors, key=lambda tensor: tensor.offset)


def _tensor(name: str, entry: dict, data: memoryview, start: int) -> StoredTensor:
    first, last = entry["data_offsets"]
    return StoredTensor(name, entry["dtype"], tuple(entry["shape"]), start + first, data[start + first : start + last])
