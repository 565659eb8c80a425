"""A stored model as files: the loaded ones back, byte for byte, or new ones in the format that is asked for.

Nothing is ever whole in memory but one tile, or for the rearranged rows of q and k one tensor. Files are written beside
their place and renamed when they are complete, so that a broken export leaves what was there before.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psycopg

from plpython.encoder_architecture import EncoderArchitecture

from .errors import LoaderError, ServerError
from .export_gguf import gguf_bytes, write_gguf
from .export_huggingface import huggingface_bytes, write_folder
from .stored_model import StoredModel, file_pieces, read_stored

FORMATS = ("gguf", "huggingface")
Progress = Callable[[int], None]  # told how many more bytes are written


@dataclass(frozen=True)
class Exported:
    """A file that was written."""

    path: Path
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Plan:
    """What an export will write and where; `format` None: the files that were loaded."""

    model: StoredModel
    target: Path
    format: str | None
    is_folder: bool
    bytes: int


def plan_export(connection: psycopg.Connection, name: str, path: Path, format: str | None, replace: bool) -> Plan:
    """Decide everything before anything is written. Raises LoaderError for what cannot be."""
    if format not in (None, *FORMATS):
        raise LoaderError(f'format "{format}" is not known', f"Known are {', '.join(FORMATS)}.")
    model = read_stored(connection, name)
    if format is not None and isinstance(model.architecture, EncoderArchitecture):
        raise LoaderError("an encoder is not written in another format", "Without --format its files come back.")
    if format is None and not model.files:
        raise ServerError(f'model "{name}" was not loaded from files', "Say --format gguf or --format huggingface.")
    is_folder = model.container == "huggingface" if format is None else format == "huggingface"
    if not is_folder and path.is_dir():
        path /= next(iter(model.files)) if format is None else f"{name.replace('/', '-')}.gguf"
    _check_target(path, is_folder, replace)
    sizes = {None: lambda: sum(model.files.values()), "gguf": lambda: gguf_bytes(model)}
    size = sizes.get(format, lambda: huggingface_bytes(model))()
    return Plan(model, path, format, is_folder, size)


def export(connection: psycopg.Connection, plan: Plan, progress: Progress = lambda _: None) -> list[Exported]:
    """Write the model. Raises LoaderError for damaged bytes and for what the format cannot hold."""
    with _written_beside(plan.target, plan.is_folder) as place:
        if plan.format == "gguf":
            write_gguf(connection, plan.model, place, progress)
        elif plan.format == "huggingface":
            write_folder(connection, plan.model, place, progress)
        else:
            _write_loaded_files(connection, plan, place, progress)
        paths = sorted(path for path in place.rglob("*") if path.is_file()) if plan.is_folder else [place]
        return [_exported(path, plan.target / path.relative_to(place)) for path in paths]


def _write_loaded_files(connection: psycopg.Connection, plan: Plan, place: Path, progress: Progress) -> None:
    for path in plan.model.files:
        target = place / _safe(path) if plan.is_folder else place
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for piece in file_pieces(connection, plan.model.name, path):
                file.write(piece)
                progress(len(piece))


def _safe(path: str) -> PurePosixPath:
    """A path of the database as a path below a folder: whoever may load models may also have written it by hand."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or not path.isprintable():
        raise ServerError(f"the stored path {path[:80]!r} would leave the folder")
    return PurePosixPath(*parts)


def _check_target(path: Path, is_folder: bool, replace: bool) -> None:
    if not path.parent.is_dir():
        raise LoaderError(f"{path.parent} is not a folder")
    if is_folder and path.is_dir() and not any(path.iterdir()):
        return
    if path.exists() and not replace:
        raise LoaderError(f"{path} exists", "Choose another path, or write over it with --replace.")
    if path.exists() and path.is_dir() != is_folder:
        kind = "folder" if is_folder else "file"
        raise LoaderError(f"{path} is not a {kind}, and the model becomes one", "Choose another path.")


@contextmanager
def _written_beside(target: Path, is_folder: bool) -> Iterator[Path]:
    """A place to write to that takes the target's when all went well, and goes when it did not."""
    place = target.with_name(f".{target.name}.{os.getpid()}.partial")
    if is_folder:
        place.mkdir()
    try:
        yield place
        if is_folder and target.is_dir():
            old = place.with_suffix(".old")
            target.rename(old)
            place.rename(target)
            shutil.rmtree(old)
        else:
            place.replace(target)
    finally:
        if is_folder:
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def _exported(written: Path, final: Path) -> Exported:
    with written.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Exported(final, written.stat().st_size, digest)
