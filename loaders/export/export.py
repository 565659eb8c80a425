"""Exports a stored model: the loaded files, byte for byte, or new ones in a chosen format.

At most one tile is in memory, or one tensor when the rows of q and k are reordered. A model of one GGUF file becomes a
file. Any other model becomes a folder: a Hugging Face model, or the parts of a split GGUF.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psycopg

from plpython.model.encoder import EncoderArchitecture

from ..errors import LoaderError, ServerError
from .gguf import gguf_bytes, write_gguf
from .huggingface import FOLDER_FILES, huggingface_bytes, write_folder
from .stored_model import StoredModel, file_pieces, read_stored
from .targets import check_file, check_folder, written_beside

FORMATS = ("gguf", "huggingface")
Progress = Callable[[int], None]  # called with the number of further bytes written


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
    """Decide and check everything before anything is written. Raises LoaderError for what cannot be exported."""
    if format not in (None, *FORMATS):
        raise LoaderError(f'format "{format}" is not known', f"Known are {', '.join(FORMATS)}.")
    model = read_stored(connection, name)
    if format is not None and isinstance(model.architecture, EncoderArchitecture):
        raise LoaderError("an encoder is not written in another format", "Without --format its files come back.")
    if format is None and not model.files:
        raise ServerError(f'model "{name}" was not loaded from files', "Say --format gguf or --format huggingface.")
    is_folder = _is_folder(model, format)
    path = path if path.name not in ("", "..") else path.resolve()
    if is_folder:
        _check_folder(model, path, format, replace)
    else:
        if path.is_dir():
            path /= _safe(next(iter(model.files))) if format is None else f"{name.replace('/', '-')}.gguf"
        check_file(path, replace)
    sizes = {None: lambda: sum(model.files.values()), "gguf": lambda: gguf_bytes(model)}
    size = sizes.get(format, lambda: huggingface_bytes(model))()
    return Plan(model, path, format, is_folder, size)


def _is_folder(model: StoredModel, format: str | None) -> bool:
    if format is not None:
        return format == "huggingface"
    return model.container == "huggingface" or len(model.files) > 1


def _check_folder(model: StoredModel, path: Path, format: str | None, replace: bool) -> None:
    if path.suffix == ".gguf":
        files = len(FOLDER_FILES if format else model.files)
        hint = "Name a folder, or write one file with --format gguf."
        raise LoaderError(f"{path} is the name of a file, and {files} files are written", hint)
    check_folder(path, replace, FOLDER_FILES if format else model.files)


def export(connection: psycopg.Connection, plan: Plan, progress: Progress = lambda _: None) -> list[Exported]:
    """Write the model. Raises LoaderError for damaged bytes and for what the format cannot express."""
    with written_beside(plan.target, plan.is_folder) as work:
        if plan.format == "gguf":
            write_gguf(connection, plan.model, work, progress)
        elif plan.format == "huggingface":
            write_folder(connection, plan.model, work, progress)
        else:
            _write_loaded_files(connection, plan, work, progress)
        paths = sorted(path for path in work.rglob("*") if path.is_file()) if plan.is_folder else [work]
        return [_exported(path, plan.target / path.relative_to(work)) for path in paths]


def _write_loaded_files(connection: psycopg.Connection, plan: Plan, work: Path, progress: Progress) -> None:
    for path in plan.model.files:
        target = work / _safe(path) if plan.is_folder else work
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            for piece in file_pieces(connection, plan.model.name, path):
                file.write(piece)
                progress(len(piece))


def _safe(path: str) -> PurePosixPath:
    """A stored path as a path below a folder. It is not trusted: any loader may have written it."""
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or not path.isprintable():
        raise ServerError(f"the stored path {path[:80]!r} would leave the folder")
    return PurePosixPath(*parts)


def _exported(written: Path, final: Path) -> Exported:
    with written.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Exported(final, written.stat().st_size, digest)
