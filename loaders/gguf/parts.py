"""A GGUF model that is split over several files, as llama.cpp's gguf-split and its converter write them.

The first part, NAME-00001-of-0000N.gguf, has the metadata; the others have tensors and say which part they are. The
rules are those of llama.cpp: a model is loaded from its first part, the names of the others follow from its name, and
all tensors together are split.tensors.count. What llama.cpp leaves unread is compared too: a part that says anything
other than the first part does belongs to another model.
"""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import SourceError
from ..source.fields import Fields, shown
from ..source.files import mapped
from .container import Container, read_container

SPLIT_NUMBER, SPLIT_COUNT, SPLIT_TENSORS = "split.no", "split.count", "split.tensors.count"
MOST_PARTS = (1 << 16) - 1  # split.count is a UINT16
OF_ONE_PART = (SPLIT_NUMBER, "general.alignment")  # what parts may say differently


@dataclass(frozen=True)
class Part:
    """One file of a model."""

    path: Path
    container: Container

    @property
    def metadata(self) -> Fields:
        return Fields(f"{self.path.name}: metadata", self.container.metadata)


def read_parts(path: Path) -> list[Part]:
    """The file at `path`, and the other parts if it is the first of several. Raises SourceError that names the file."""
    first = _read(path)
    count = _count(first)
    parts = [first, *(_other_part(first, other) for other in _paths(first, count)[1:])]
    for number, part in enumerate(parts[1:], 1):
        _check_part(part, first, number, count)
    _check_tensors(parts)
    return parts


def _read(path: Path) -> Part:
    try:
        return Part(path, read_container(mapped(path)))
    except SourceError as problem:
        raise SourceError(f"{path}: {problem}", problem.hint) from None


def _count(first: Part) -> int:
    """How many parts there are; gguf-split writes 0 when it joins them."""
    count = first.metadata.integer(SPLIT_COUNT, 1)
    if not 0 <= count <= MOST_PARTS:
        raise SourceError(f'{first.metadata.source} "{SPLIT_COUNT}" is {count}, at most {MOST_PARTS}')
    return max(count, 1)


def _paths(first: Part, count: int) -> list[Path]:
    """The paths of all parts, by the name of the first; a single file may have any name."""
    number, path = first.metadata.integer(SPLIT_NUMBER, 0), first.path
    if count == 1 and number == 0:
        return [path]
    begin = re.fullmatch(r"(.+)-\d{5}-of-\d{5}\.gguf", path.name)
    names = [f"{begin[1] if begin else 'NAME'}-{n:05}-of-{count:05}.gguf" for n in range(1, count + 1)]
    if number != 0:
        raise SourceError(f"{path.name} is part {number + 1} of {count}", f"Load the first part, {names[0]}.")
    if path.name != names[0]:
        raise SourceError(
            f"{path.name} is the first of {count} parts, but not named {names[0]}",
            "The names of the other parts follow from it: give all of them the names they were made with.",
        )
    return [path.with_name(name) for name in names]


def _other_part(first: Part, path: Path) -> Part:
    if not path.is_file():
        raise SourceError(f"{path} is missing", f"All parts that {first.path.name} begins must be in its folder.")
    return _read(path)


def _check_part(part: Part, first: Part, number: int, count: int) -> None:
    """Raise SourceError unless a part is the one of its name, and of the first part's model."""
    for key, expected in ((SPLIT_NUMBER, number), (SPLIT_COUNT, count)):
        value = part.metadata.integer(key)
        if value != expected:
            raise SourceError(f'{part.metadata.source} "{key}" is {value}, expected {expected}')
    for key, value in part.container.metadata.items():
        if key not in OF_ONE_PART and not _same(value, first.container.metadata.get(key)):
            raise SourceError(
                f'{part.metadata.source} "{key}" is {shown(value)}, in {first.path.name} it is {_said(first, key)}',
                "The parts are of different models.",
            )


def _same(value, other) -> bool:
    if isinstance(value, np.ndarray) or isinstance(other, np.ndarray):
        return type(value) is type(other) and np.array_equal(value, other)
    return type(value) is type(other) and value == other


def _check_tensors(parts: list[Part]) -> None:
    """Raise SourceError unless all tensors have data, none is in two parts, and their number is right."""
    for part in parts:
        if part.container.tensors and not part.container.has_data:
            raise SourceError(f"{part.path.name} has no tensor data")
    names = Counter(tensor.name for part in parts for tensor in part.container.tensors)
    for name, times in names.items():
        if times > 1:
            found = [part.path.name for part in parts if name in {tensor.name for tensor in part.container.tensors}]
            raise SourceError(f'tensor "{name}" is in {" and in ".join(found)}')
    expected = parts[0].metadata.integer(SPLIT_TENSORS, names.total())
    if expected != names.total():
        what = f'{parts[0].metadata.source} "{SPLIT_TENSORS}" is {expected}'
        raise SourceError(f"{what}, the parts have {names.total()} tensors", "A part is of another model.")


def _said(part: Part, key: str) -> str:
    return shown(part.container.metadata[key]) if key in part.container.metadata else "absent"
