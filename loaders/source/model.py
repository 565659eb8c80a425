"""A model as readers return it and the upload sends it: tensors, architecture, tokenizer and files.

Weights are not copied: a tensor's data is a view of the mapped file.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from plpython.model import finite
from plpython.model.decoder import ROPE_DIVISORS, Architecture
from plpython.model.encoder import EncoderArchitecture
from plpython.model.encodings import row_bytes
from plpython.server.errors import ModelError
from plpython.store.manifest import TILE_BYTES

from ..errors import SourceError


@dataclass(frozen=True)
class SourceTensor:
    """A tensor under its canonical GGUF name, its bytes exactly as in the file.

    type: F32, Q8_0, … as in plpython.model.encodings; shape: numpy order, [rows, columns].
    """

    name: str
    type: str
    shape: tuple[int, ...]
    data: memoryview

    def size(self) -> int:
        """Bytes of the tensor."""
        return len(self.data)

    def check(self) -> None:
        """Check every weight. Raises ModelError with tensor and row for infinity or NaN."""
        finite.check_rows(self.name, self.type, self.shape[-1], self.tiles())
        if self.name == ROPE_DIVISORS:
            finite.check_divisors(self.name, self.type, self.tiles())

    def tile_bytes(self) -> int:
        """Bytes of every tile but the last: whole rows up to 1 MiB, or 1 MiB of a longer row."""
        row = row_bytes(self.type, self.shape[-1])
        return max(1, TILE_BYTES // row) * row if row <= TILE_BYTES else TILE_BYTES

    def tile_count(self) -> int:
        """How many tiles `tiles` gives."""
        row = row_bytes(self.type, self.shape[-1])
        if row <= TILE_BYTES:
            return -(-self.size() // self.tile_bytes())
        return -(-row // TILE_BYTES) * (self.size() // row)

    def tiles(self) -> Iterator[memoryview]:
        """The tensor's content in order. A row longer than a tile starts in a tile of its own."""
        row = row_bytes(self.type, self.shape[-1])
        if row <= TILE_BYTES:
            yield from cut(self.data, self.tile_bytes())
            return
        for start in range(0, len(self.data), row):
            yield from cut(self.data[start : start + row], TILE_BYTES)


@dataclass(frozen=True)
class Segment:
    """A part of a loaded file: a tensor's bytes (by name), or literal bytes."""

    tensor: str | None = None
    literal: memoryview | None = None


@dataclass(frozen=True)
class SourceFile:
    """A loaded file: the concatenation of its segments, so that it can be exported byte for byte."""

    path: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class SourceModel:
    """A model ready for upload. Everything but its weights has been checked, as far as a client can."""

    container: str
    architecture: Architecture | EncoderArchitecture
    tokenizer_definition: str
    tokenizer_settings: dict
    tensors: tuple[SourceTensor, ...]
    files: tuple[SourceFile, ...]

    def check_weights(self) -> None:
        """Check every weight, at the speed of memory. Raises SourceError with tensor and row."""
        try:
            for tensor in self.tensors:
                tensor.check()
        except ModelError as problem:
            raise SourceError(str(problem), "Nothing was stored: the model cannot be loaded like this.") from None

    def bytes(self) -> int:
        """Bytes of all files, or of all tensors if there are no files: what the progress bar counts."""
        sizes = {tensor.name: tensor.size() for tensor in self.tensors}
        if not self.files:
            return sum(sizes.values())
        segments = [segment for file in self.files for segment in file.segments]
        return sum(len(s.literal) if s.tensor is None else sizes[s.tensor] for s in segments)

    def complete_tokenizer_settings(self) -> dict:
        """The tokenizer's settings as the server keeps them: with the number of rows of the embedding."""
        return self.tokenizer_settings | {"vocabulary_size": self.architecture.vocabulary_size}


def cut(data: memoryview, size: int) -> Iterator[memoryview]:
    """`data` in pieces of `size` bytes, the last one shorter."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def segments_of(data: memoryview, tensors: list[tuple[int, SourceTensor]]) -> tuple[Segment, ...]:
    """Segments of a file that holds `tensors` as (offset, tensor), in order of offset; between them is literal."""
    segments, position = [], 0
    for offset, tensor in tensors:
        if offset > position:
            segments.append(Segment(literal=data[position:offset]))
        segments.append(Segment(tensor=tensor.name))
        position = offset + len(tensor.data)
    if position < len(data):
        segments.append(Segment(literal=data[position:]))
    return tuple(segments)
