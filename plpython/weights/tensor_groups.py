"""Which tensors of a model lie together in one packed file, and the table in front of them that says so.

Memory is read a third faster in huge pages, of which a file has as many as fit into it. What is left over at the end of
each file, and files smaller than a huge page, cost a model of small tensors a sixth of its speed. So the tensors of a
layer that are smaller than LARGE share a file, one after the other, if together they fill a huge page. A group is as
small as that allows, since an edit of any of its tensors packs all of them anew.

    <SHA-256 of the tensor>.<layout>     the packed tensor
    <SHA-256 of the table>.layer         a table: u64 count, zeros to 64 bytes; for each tensor its SHA-256, u64 layout,
                                         u64 bytes, zeros to 64 bytes; then the packed tensors at multiples of 64
"""

import hashlib
import re
import struct

from ..kernels.dispatch import LAYOUT_NAMES
from ..kernels.groups import CACHE_LINE
from ..kernels.packing import layout_of, packed_bytes
from .address_space import HUGE_PAGE
from .packed_files import PackedFile

GROUP_KIND = "layer"  # the end of a group's name
LARGE = 8 * HUGE_PAGE  # what fills up its last huge page is then an eighth at most
LAYER = re.compile(r"blk\.\d+\.")
HEAD, ROW = struct.Struct("<Q56x"), struct.Struct("<32sQQ16x")


def files_of(tensors):
    """(PackedFile, [(tensor, offset), ...]) of each file that the tensors make, in the order of their first tensors.

    Tensors with equal content have one place. ModelError 0A000 for a tensor that cannot be packed.
    """
    groups = {}
    for tensor in tensors:
        layer = _layer_of_small(tensor)
        groups.setdefault((layer, None if layer else tensor.name), []).append(tensor)
    files = {}
    for (layer, _), members in groups.items():
        different = {tensor.hash: tensor for tensor in members}.values()
        together = layer is not None and sum(map(_size, different)) >= HUGE_PAGE
        for some in [members] if together else [[tensor] for tensor in members]:
            file, places = _side_by_side(some) if together else (_file_of(some[0]), [(some[0], 0)])
            files.setdefault(file, []).extend(places)
    return list(files.items())


def table_of(members):
    """The table in front of a group; nothing for a file of one tensor."""
    return _table(members) if members[0][1] > 0 else b""


def tensors_in(path):
    """[(SHA-256, layout, bytes), ...] of what is in a packed file, by its name, and of a group by its table.

    None of a group whose table is damaged, which is found out when it is opened. Raises FileNotFoundError.
    """
    hash, _, kind = path.name.partition(".")
    if kind != GROUP_KIND:
        return [(bytes.fromhex(hash), kind, path.stat().st_size)]
    try:
        with path.open("rb") as file:
            (count,) = HEAD.unpack(file.read(HEAD.size))
            table = file.read(min(count, path.stat().st_size // ROW.size) * ROW.size)
        return [(hash, LAYOUT_NAMES[layout], size) for hash, layout, size in ROW.iter_unpack(table)]
    except (struct.error, KeyError):
        return []


def _layer_of_small(tensor):
    """The layer of a tensor that may lie with others; None for one that is large or in no layer."""
    layer = LAYER.match(tensor.name)
    return layer.group() if layer and _size(tensor) < LARGE else None


def _file_of(tensor):
    return PackedFile(f"{tensor.hash.hex()}.{LAYOUT_NAMES[layout_of(tensor.type, tensor.shape)]}", _size(tensor))


def _side_by_side(tensors):
    """(PackedFile, [(tensor, offset), ...]) of a group: equal tensors once, in the order of their hashes."""
    first = {tensor.hash: tensor for tensor in tensors}
    offset, offsets = HEAD.size + len(first) * ROW.size, {}
    for hash in sorted(first):
        offsets[hash] = offset
        offset += -(-_size(first[hash]) // CACHE_LINE) * CACHE_LINE
    places = sorted(((tensor, offsets[tensor.hash]) for tensor in tensors), key=lambda place: place[1])
    return PackedFile(f"{hashlib.sha256(_table(places)).hexdigest()}.{GROUP_KIND}", offset), places


def _table(places):
    rows = {at: ROW.pack(t.hash, layout_of(t.type, t.shape), _size(t)) for t, at in places}
    return HEAD.pack(len(rows)) + b"".join(rows[at] for at in sorted(rows))


def _size(tensor):
    return packed_bytes(tensor.type, tensor.shape)
