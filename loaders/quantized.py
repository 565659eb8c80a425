"""A model in another encoding, made while it is loaded: no file of the smaller model is needed.

The rule is that of llm.quantize and of llama.cpp: matrices change, vectors (norms, biases) stay as they are, and a
matrix whose rows no blocks fill becomes F16. Tensors are decoded and encoded tile by tile as they are sent. The result
was never a file: `hartonomous export --format` writes it as one.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from plpython.model import encodings, finite

from .errors import SourceError
from .source.model import SourceModel, SourceTensor, cut

# Those of blocks that packing keeps in their own bits.
QUANTIZED_TYPES = tuple(e.name for e in encodings.ENCODINGS if e.encodable and e.block > 1 and e.layout)


@dataclass
class RoundingError:
    """Sums over the weights seen so far: of their squares, and of the squares of what encoding changed."""

    squares: float = 0.0
    changes: float = 0.0

    def add(self, values: np.ndarray, stored: np.ndarray) -> None:
        """Take in f32 values and what is stored for them."""
        flat = values.reshape(-1)
        change = flat - stored.reshape(-1)
        self.squares += float(np.dot(flat, flat))
        self.changes += float(np.dot(change, change))

    @property
    def relative(self) -> float:
        """The root of the mean squared change over that of the weights: 0 is exact, 1 as bad as storing zeros."""
        return math.sqrt(self.changes / self.squares) if self.squares else 0.0


@dataclass(frozen=True)
class QuantizedTensor(SourceTensor):
    """A tensor whose bytes are made of another's as they are asked for; `error` is complete when all tiles were."""

    source: SourceTensor | None = None
    error: RoundingError = field(default_factory=RoundingError)

    def size(self) -> int:
        return math.prod(self.shape[:-1]) * encodings.row_bytes(self.type, self.shape[-1])

    def check(self) -> None:
        """Raises ModelError too where the type cannot hold a row. Only rows with large numbers are decoded for that."""
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
    """The model with its matrices in a type of TYPES. Raises SourceError for another type."""
    if type.upper() not in QUANTIZED_TYPES:
        raise SourceError(f"cannot quantize to {type!r}", f"Choose {' or '.join(t.lower() for t in QUANTIZED_TYPES)}.")
    return replace(model, tensors=tuple(_quantized(tensor, type.upper()) for tensor in model.tensors), files=())


def _quantized(tensor: SourceTensor, type: str) -> SourceTensor:
    wanted = type if tensor.shape[-1] % encodings.BLOCKS[type][0] == 0 else "F16"
    if len(tensor.shape) == 1 or tensor.type == wanted:
        return tensor
    return QuantizedTensor(tensor.name, wanted, tensor.shape, memoryview(b""), tensor)


def summary(model: SourceModel) -> list[tuple[str, str, str, str, str]]:
    """(tensor, from, to, bytes, relative error) of each tensor that was made anew, once it was sent."""
    return [
        (tensor.name, tensor.source.type, tensor.type, f"{tensor.size():,}", f"{tensor.error.relative:.2%}")
        for tensor in model.tensors
        if isinstance(tensor, QuantizedTensor)
    ]
