"""A model's packed weights in memory that all sessions share: packed once a machine, mapped by each session.

A tensor is a file named by the hash of its content. So an edited tensor is packed alone, models share equal tensors,
and after ROLLBACK the old files are found again. The smaller tensors of a layer share a file (`weights/tensor_groups`).
Files are built from tiles, whose hashes are checked.
"""

import functools
import hashlib
import os
import time
from collections import namedtuple

import numpy as np

from ..kernels import blocks, dispatch, floats, grids, groups, packers, packing, superblocks
from ..server import background, database, errors, interrupts, messages, module_files
from . import packed_files, tensor_groups
from . import tensors as weights
from .address_space import Mapping, side_by_side
from .packed_model import PackedModel, directory_entry

TRIES = 5  # to open files that may be evicted between packing and opening
BLOCK_ROWS = 64  # rows from a multiple of it on, packed alone, are what they are in the packed tensor
SECONDS_BEFORE_NOTICE = 1
SECONDS_BETWEEN_REPORTS = 0.1  # seconds between messages that say how far packing is
SECONDS_BETWEEN_CHECKS = 0.01  # seconds between checks of files that another session builds

SERVER_START = database.Query(
    "SELECT (1000000 * extract(epoch FROM pg_catalog.pg_postmaster_start_time()))::bigint::text AS start"
)
LIMITS = database.Query("SELECT l.bytes, l.free_bytes FROM llm_runtime.pack_limits() AS l")
PACK = database.Query("SELECT llm_store.pack_model($1, $2) AS bytes", "bytea", "text")

# A packed_files.PackedFile, its weights.Tensors and their offsets: 0, or after the table of a group.
Part = namedtuple("Part", "file members")


@functools.cache
def files():
    """The files of this server: beside the folder of the modules, below the data directory."""
    root = module_files.home().parent / "packed"
    kernels = groups, floats, blocks, superblocks, packers, grids, *dispatch.LAYOUT_MODULES
    modules = (packing, *kernels, tensor_groups, packed_files)
    edition = hashlib.sha256(b"".join(module_files.file_of(module).read_bytes() for module in modules)).hexdigest()[:16]
    return packed_files.PackedFiles(root, edition, SERVER_START.one()["start"], interrupts.checkpoint)


def parts(tensors):
    """The Parts of some tensors of a model, each file once. Raises ModelError 0A000 for one that cannot be packed.

    All tensors of a layer must be given, or none, because they may share a file.
    """
    return [Part(*part) for part in tensor_groups.files_of(tensors)]


def attach(tensors, name, hash):
    """The PackedModel of tensors of the model `name` of that hash. llm_store.pack_model packs those that are missing.

    It runs with the caller's rights, and needs no right to read weights. Mapped files stay usable after an eviction.
    """
    missing = wanted = parts(tensors)
    offsets, size = side_by_side(packed_files.file_size(part.file) for part in wanted)
    offsets = dict(zip((part.file for part in wanted), offsets, strict=True))
    mapping = Mapping(size)
    for _ in range(TRIES):
        missing = [part for part in missing if not _placed(mapping, part, offsets[part.file])]
        if not missing:
            directory = {
                tensor.name: directory_entry(tensor.type, tensor.shape, offsets[part.file] + at)
                for part in wanted
                for tensor, at in part.members
            }
            return PackedModel(np.asarray(mapping), directory)
        pack_model(hash, name)
    raise errors.limit_exceeded(
        f'the packed weights of model "{name}" are evicted as fast as they are packed',
        f"{len(missing)} of {len(wanted)} files are missing",
        "llm_runtime.pack_limits() must leave room for all models that are used at once.",
    )


def pack_model(hash, name):
    """Pack missing tensors of the model of that hash, with the owner's rights. -> bytes of its packed weights."""
    return PACK.one(hash, name)["bytes"]


def touch(tensors):
    """Record that a model's files are in use, so that others are evicted first."""
    files().touch(part.file.name for part in parts(tensors))


def pack(tensors, name):
    """Build the missing files of the model `name`, together with other sessions. -> bytes of all its files."""
    wanted = parts(tensors)
    _prepare(tensors)
    keep = {part.file.name for part in wanted}
    limits = LIMITS.one()
    limits = packed_files.Limits(limits["bytes"], limits["free_bytes"])
    missing = [part for part in wanted if not _is_there(part)]
    files().check_room(sum(packed_files.file_size(part.file) for part in missing), limits, keep)
    progress, built = Progress(name, missing), []
    try:
        while missing:
            busy = []
            for part in missing:
                if files().build(part.file, functools.partial(_fill, part, progress), limits, keep):
                    progress.finish(part)
                    built.append(part)
                else:
                    busy.append(part)
            if len(busy) == len(missing):
                interrupts.checkpoint()
                time.sleep(SECONDS_BETWEEN_CHECKS)
            missing = busy
    except errors.ModelError as error:
        if error.sqlstate == errors.DISK_FULL:
            files().remove({part.file.name for part in built})
        raise
    return sum(part.file.size for part in wanted)


def _prepare(tensors):
    """Compile the kernels of encodings that llm.warm_up() leaves out, so that no question has to wait for that."""
    types = {tensor.type for tensor in tensors if len(tensor.shape) > 1}
    for type in sorted(types):
        if not packing.is_prepared(type):
            background.Background(packing.prepare, type).result()


class Progress:
    """Tells the client how far packing is, in bytes of the tensors as they are stored.

    A notice says once that packing takes a while. Clients that receive DEBUG2 also get "packed N of TOTAL bytes", at
    the beginning, at the end, and ten times a second between. `hartonomous load` reads them.
    """

    def __init__(self, name, missing):
        self._name = name
        self._total = sum(map(_stored_bytes, missing))
        self._finished = self._unfinished = 0  # bytes of finished files, and of the one that is being built
        self._begin = time.monotonic()
        self._noticed, self._reported = False, -SECONDS_BETWEEN_REPORTS
        if missing:
            self._report(self._begin)

    def tick(self, size):
        """Called after each tile, with its bytes."""
        interrupts.checkpoint()
        self._unfinished += size
        now = time.monotonic()
        if not self._noticed and now - self._begin > SECONDS_BEFORE_NOTICE:
            self._noticed = True
            self._notice()
        if now - self._reported > SECONDS_BETWEEN_REPORTS:
            self._report(now)

    def finish(self, part):
        """Called when a file is complete, whichever session has built it."""
        self._finished, self._unfinished = self._finished + _stored_bytes(part), 0
        if self._finished == self._total:
            self._report(time.monotonic())

    def _report(self, now):
        self._reported = now
        messages.debug(f"packed {self._finished + self._unfinished} of {self._total} bytes")

    def _notice(self):
        messages.notice(
            f'packing model "{self._name}", {self._total / 1e6:.0f} MB',
            hint="This happens once; all sessions share what is packed. SELECT llm.pack(model) does it ahead.",
        )


def _stored_bytes(part):
    """The bytes of a file's tensors as they are stored in the database; tensors with equal content count once."""
    return sum({at: tensor.bytes for tensor, at in part.members}.values())


def _fill(part, progress, write):
    """Write the content of a file: its table, and its tensors, packed, at their places."""
    table = tensor_groups.table_of(part.members)
    write(table)
    end = len(table)
    for at, tensor in {at: tensor for tensor, at in part.members}.items():  # equal tensors have one place
        write(bytes(at - end))
        _write_tensor(tensor, progress, write)
        end = at + packing.packed_bytes(tensor.type, tensor.shape)
    write(bytes(part.file.size - end))


def _write_tensor(tensor, progress, write):
    """Write a packed tensor, tile by tile, so that it is never in the session's memory as a whole."""
    if tensor.rows_per_tile == 0 or len(tensor.shape) == 1:
        raw = weights.raw(tensor)
        raw.flags.writeable = False  # as tiles are, because numba compiles for read-only and writable arrays separately
        write(packing.pack_tensor(raw, tensor.type, tensor.shape))
        progress.tick(tensor.bytes)
        return
    rows, row, block = tensor.shape[0], 0, _Block(tensor)
    for tile in weights.tiles(tensor):
        row += min(tensor.rows_per_tile, rows - row)
        write(block.packed(tile, row))
        progress.tick(len(tile))
    if row != rows:
        raise errors.corrupt_data(f'tensor "{tensor.name}" is corrupt', f"its tiles hold {row} rows, expected {rows}")


class _Block:
    """Packs the rows of a tile into one small buffer, after rows of the tile before that did not fill BLOCK_ROWS."""

    def __init__(self, tensor):
        self._type, (self._rows, self._columns) = tensor.type, tensor.shape
        self._buffer = np.empty(self._bytes(tensor.rows_per_tile + BLOCK_ROWS), np.uint8)
        self._first = self._next = 0  # the first row in the buffer, and the first row of the next tile
        self._rest = self._buffer[:0]  # what is packed and not returned

    def packed(self, tile, end):
        """The packed bytes of all rows up to row `end`, or, before the last row, up to a multiple of BLOCK_ROWS."""
        rows = end - self._first
        block = self._buffer[: self._bytes(rows)]
        kept = len(self._rest)
        block[:kept] = self._rest
        block[kept:] = 0
        packing.pack_rows(tile, self._type, (rows, self._columns), self._next - self._first, block)
        whole = end if end == self._rows else end - end % BLOCK_ROWS
        size = self._bytes(whole - self._first)
        self._first, self._next, self._rest = whole, end, block[size:]
        return block[:size]

    def _bytes(self, rows):
        return packing.packed_bytes(self._type, (rows, self._columns))


def _placed(mapping, part, offset):
    """Map a file at its offset. False if there is no valid file."""
    descriptor = _opened(part)
    if descriptor is None:
        return False
    try:
        mapping.place(offset, descriptor, packed_files.file_size(part.file))
    finally:
        os.close(descriptor)
    return True


def _is_there(part):
    descriptor = _opened(part)
    if descriptor is not None:
        os.close(descriptor)
    return descriptor is not None


def _opened(part):
    """A descriptor of the file, or None. A damaged file is removed, so that it is built again."""
    try:
        return files().open(part.file)
    except packed_files.DamagedError as damage:
        messages.warning(
            f"the packed file of {_what_is_in(part)} is damaged and is built again",
            str(damage),
            "If this comes again, the disk of the data directory may be failing.",
        )
        files().discard(part.file)
        return None


def _what_is_in(part):
    (first, _), *others = part.members
    more = f" and {len(others)} more of its layer" if others else ""
    return f'tensor "{first.name}"{more}'
