"""A model's weights in memory that all sessions share: packed once a machine, mapped by each.

Each tensor is a file of its own, named by the hash of what is in it, so an edited tensor is packed alone, models share
what they have in common, and ROLLBACK finds the old files again. Files are built from tiles, whose hashes are checked.
"""

import functools
import hashlib
import os
import time
from collections import namedtuple
from pathlib import Path

import numpy as np

from . import database, errors, packed_files, packing, weights
from .mapping import Mapping, side_by_side
from .packed_model import PackedModel

LAYOUTS = ("absent", "vector", "f32", "f16", "bf16", "q8", "q4")  # by packing's numbers: the ends of files' names
TRIES = 5  # how often files may be evicted between packing and opening
SECONDS_BEFORE_NOTICE = 1
WAIT = 0.01  # seconds between looks at what another session builds

SERVER_START = database.Query(
    "SELECT (1000000 * extract(epoch FROM pg_catalog.pg_postmaster_start_time()))::bigint::text AS start"
)
LIMITS = database.Query("SELECT l.bytes, l.free_bytes FROM llm_runtime.pack_limits() AS l")
PACK = database.Query("SELECT llm.pack($1) AS bytes", "text")

Part = namedtuple("Part", "tensor file")  # a weights.Tensor, its packed_files.PackedFile


@functools.cache
def files():
    """The files of this server: beside the folder of the modules, below the data directory."""
    root = packed_files.private_folder(Path(__file__).parents[1] / "packed")
    edition = hashlib.sha256(Path(packing.__file__).read_bytes()).hexdigest()[:16]
    return packed_files.PackedFiles(root, edition, SERVER_START.one()["start"], database.checkpoint)


def parts(tensors):
    """The Part of each tensor. Raises ModelError 0A000 for one that cannot be packed."""
    return [
        Part(
            tensor,
            packed_files.PackedFile(
                f"{tensor.hash.hex()}.{LAYOUTS[packing.layout_of(tensor.type, tensor.shape)]}",
                packing.packed_bytes(tensor.type, tensor.shape),
            ),
        )
        for tensor in tensors
    ]


def attach(tensors, name):
    """The PackedModel of all tensors of the model `name`: what is not packed yet is packed by llm.pack.

    It runs with the caller's rights and needs none to the weights. What is mapped stays, whatever happens to the files.
    """
    wanted = parts(tensors)
    missing = {part.file: part for part in wanted}  # tensors with equal content have one file and one place
    offsets, size = side_by_side(file.size for file in missing)
    offsets = dict(zip(missing, offsets, strict=True))
    mapping = Mapping(size)
    for _ in range(TRIES):
        missing = {file: part for file, part in missing.items() if not _placed(mapping, part, offsets[file])}
        if not missing:
            directory = {part.tensor.name: _entry(part, offsets[part.file]) for part in wanted}
            return PackedModel(np.asarray(mapping), directory)
        PACK.one(name)
    raise errors.limit_exceeded(
        f'the packed weights of model "{name}" are evicted as fast as they are packed',
        f"{len(missing)} of {len(wanted)} tensors are missing",
        "llm_runtime.pack_limits() must leave room for all models that are used at once.",
    )


def touch(tensors):
    """Remember that a model's files are in use, so that others are evicted first."""
    files().touch(part.file.name for part in parts(tensors))


def pack(tensors, name):
    """Build what is missing of the model `name`, with whoever else is building it. -> bytes of all its files."""
    wanted = {part.file: part for part in parts(tensors)}
    keep = {file.name for file in wanted}
    limits = LIMITS.one()
    limits = packed_files.Limits(limits["bytes"], limits["free_bytes"])
    missing = [part for part in wanted.values() if not _is_there(part)]
    files().check_room(sum(part.file.size for part in missing), limits, keep)
    progress, built = Progress(name, missing), []
    try:
        while missing:
            busy = []
            for part in missing:
                fill = functools.partial(_fill, part.tensor, progress)
                (built if files().build(part.file, fill, limits, keep) else busy).append(part)
            if len(busy) == len(missing):
                database.checkpoint()
                time.sleep(WAIT)
            missing = busy
    except errors.ModelError as error:
        if error.sqlstate == errors.DISK_FULL:
            files().remove({part.file.name for part in built})
        raise
    return sum(file.size for file in wanted)


class Progress:
    """Tells the client, once, that packing takes a while."""

    def __init__(self, name, missing):
        self._name = name
        self._bytes = sum(part.file.size for part in missing)
        self._begin = time.monotonic()
        self._told = False

    def tick(self):
        """Called after each tile."""
        database.checkpoint()
        if not self._told and time.monotonic() - self._begin > SECONDS_BEFORE_NOTICE:
            self._told = True
            database.notice(
                f'packing model "{self._name}", {self._bytes / 1e6:.0f} MB',
                hint="This happens once; all sessions share what is packed. SELECT llm.pack(model) does it ahead.",
            )


def _fill(tensor, progress, memory):
    """Pack a tensor into zeroed memory, tile by tile."""
    out = np.frombuffer(memory, np.uint8)
    if tensor.rows_per_tile == 0 or len(tensor.shape) == 1:
        raw = weights.raw(tensor)
        raw.flags.writeable = False  # as tiles are: compiled code is made for each kind
        packing.pack_rows(raw, tensor.type, tensor.shape, 0, out)
        progress.tick()
        return
    row = 0
    for tile in weights.tiles(tensor):
        packing.pack_rows(tile, tensor.type, tensor.shape, row, out)
        row += min(tensor.rows_per_tile, tensor.shape[0] - row)
        progress.tick()
    if row != tensor.shape[0]:
        raise errors.corrupt_data(
            f'tensor "{tensor.name}" is corrupt', f"its tiles hold {row} rows, expected {tensor.shape[0]}"
        )


def _entry(part, offset):
    """packed_model's directory entry of a tensor."""
    shape = part.tensor.shape
    layout = packing.layout_of(part.tensor.type, shape)
    return [layout, offset, shape[0] if len(shape) > 1 else 1, shape[-1]]


def _placed(mapping, part, offset):
    """Map a tensor's file into its place; False when there is none that is right."""
    descriptor = _opened(part)
    if descriptor is None:
        return False
    try:
        mapping.place(offset, descriptor, part.file.size)
    finally:
        os.close(descriptor)
    return True


def _is_there(part):
    descriptor = _opened(part)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _opened(part):
    """A descriptor of the tensor's file, or None; a damaged one is removed, so that it is built again."""
    try:
        return files().open(part.file)
    except packed_files.DamagedError as damage:
        database.warning(
            f'the packed file of tensor "{part.tensor.name}" is damaged and is built again',
            str(damage),
            "If this comes again, the disk of the data directory may be failing.",
        )
        files().discard(part.file)
        return None
