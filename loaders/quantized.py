"""Quantises a model while it is loaded, so that no file of the smaller model is needed.

Which tensor gets which encoding is told in plpython/model/mixes.py, as for llm.quantize. Tensors are decoded and
encoded tile by tile while they are sent. The result was never a file; `hartonomous export --format` writes one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from plpython.model import encodings, finite, mixes

from .errors import SourceError
from .source.model import SourceModel, SourceTensor, cut

# What a model can be quantised to: all encodings with blocks that can be written, and all mixes.
QUANTIZED_TYPES = tuple(name for name in mixes.NAMES if name in mixes.MIXES or encodings.BLOCKS[name][0] > 1)


@dataclass
class RoundingError:
    """Sums over the weights so far: of their squares, and of the squares of the rounding errors."""

    squares: float = 0.0
    changes: float = 0.0

    def add(self, values: np.ndarray, stored: np.ndarray) -> None:
        """Add f32 values and the values that are stored for them."""
        flat = values.reshape(-1)
        change = flat - stored.reshape(-1)
        self.squares += float(np.dot(flat, flat))
        self.changes += float(np.dot(change, change))

    @property
    def relative(self) -> float:
        """Root mean square of the errors over that of the weights: 0 is exact, 1 is as bad as storing zeros."""
        return math.sqrt(self.changes / self.squares) if self.squares else 0.0


@dataclass(frozen=True)
class QuantizedTensor(SourceTensor):
    """A tensor that is encoded from a source tile by tile; `error` is complete after the last tile."""

    source: SourceTensor | None = None
    error: RoundingError = field(default_factory=RoundingError)

    def size(self) -> int:
        return math.prod(self.shape[:-1]) * encodings.row_bytes(self.type, self.shape[-1])

    def check(self) -> None:
        """Also raises ModelError if the type cannot hold a row. Only pieces with large numbers are decoded for that."""
        first = 0
        for raw in self._pieces():
            blocks = np.frombuffer(raw, np.uint8).reshape(-1, encodings.BLOCKS[self.source.type][1])
            rows = range(first, first + len(raw) // encodings.row_bytes(self.source.type, self.shape[-1]))
            if not encodings.largest_bound(self.source.type, blocks) <= finite.ALWAYS_HELD:
                finite.encoded(self.name, self.type, self._decoded(raw), rows)
            first = rows.stop

    def tiles(self) -> Iterator[memoryview]:
        for raw in self._pieces():
            yield from replace(self.source, type=self.type, data=self._encoded(self._decoded(raw))).tiles()

    def _pieces(self) -> Iterator[memoryview]:
        """The source's bytes, those of a tile at a time."""
        columns = self.shape[-1]
        rows = max(1, self.tile_bytes() // encodings.row_bytes(self.type, columns))
        return cut(self.source.data, rows * encodings.row_bytes(self.source.type, columns))

    def _decoded(self, raw: memoryview) -> np.ndarray:
        rows = len(raw) // encodings.row_bytes(self.source.type, self.shape[-1])
        return encodings.decode(self.source.type, raw, (rows, self.shape[-1]))

    def _encoded(self, values: np.ndarray) -> memoryview:
        encoded = encodings.encode(self.type, values)
        self.error.add(values, encodings.decode(self.type, encoded, values.shape))
        return memoryview(encoded)


def quantized(model: SourceModel, type: str) -> SourceModel:
    """The model with its matrices in a type of QUANTIZED_TYPES. Raises SourceError for another type."""
    if type.upper() not in QUANTIZED_TYPES:
        raise SourceError(f"cannot quantize to {type!r}", f"Choose {' or '.join(t.lower() for t in QUANTIZED_TYPES)}.")
    wanted = mixes.types(type.upper(), {tensor.name: tensor.shape for tensor in model.tensors})
    return replace(model, tensors=tuple(_quantized(tensor, wanted[tensor.name]) for tensor in model.tensors), files=())


def _quantized(tensor: SourceTensor, wanted: str | None) -> SourceTensor:
    if wanted in (None, tensor.type):
        return tensor
    return QuantizedTensor(tensor.name, wanted, tensor.shape, memoryview(b""), tensor)


def summary(model: SourceModel) -> list[tuple[str, str, str, str, str]]:
    """(tensor, from, to, bytes, relative error) of each tensor that was encoded, after it was sent."""
    return [
        (tensor.name, tensor.source.type, tensor.type, f"{tensor.size():,}", f"{tensor.error.relative:.2%}")
        for tensor in model.tensors
        if isinstance(tensor, QuantizedTensor)
    ]
