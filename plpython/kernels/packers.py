"""Kernels that pack a type into a layout that other types have too, or with a table.

A layout's own kernel packs one type. A module of `layouts` that packs others has PACKERS, {type: Packer}. Each is
compiled at the first tensor of its type.
"""

from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..model.encodings import BLOCKS
from ..simd.frames import Array, Structure
from ..simd.kernels import Kernel, caller, kernel
from ..simd.registers import entry
from .groups import GROUP
from .superblocks import SUPERBLOCK, superblock_bytes

# As groups.Pack, with the table of the Packer.
PackByTable = namedtuple("PackByTable", "raw columns first_row out table")
PACK_BY_TABLE = Structure(PackByTable, raw=Array(np.uint8), out=Array(np.uint8), table=Array(np.uint8))
NO_TABLE = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class Packer:
    """How a type is packed."""

    kernel: Kernel  # of PackByTable
    table: Callable = lambda: NO_TABLE  # () -> what the kernel reads beside the bytes of the file, uint8

    def pack(self, raw, columns, first_row, out):
        """Pack rows as they are in a file; see groups.Pack."""
        call(self.kernel.address(), raw, columns, first_row, out, self.table())


_pack = caller(PACK_BY_TABLE)


@entry
def call(address, raw, columns, first_row, out, table):
    """Call the kernel at the address."""
    _pack(address, PackByTable(raw, columns, first_row, out, table))


def packer(type, described, pack, table=lambda: NO_TABLE):
    """Make the Packer of a type into the layout of a Superblocks.

    pack: (raw, at, out, to, r, table) -> None: packs the superblock at raw[at], of row r of a group, to out[to ...].
    """
    size, file_bytes = superblock_bytes(described), BLOCKS[type][1]

    @kernel(f"pack_{type}", PACK_BY_TABLE)
    def rows(p):
        count = p.columns // SUPERBLOCK
        for row in range(p.raw.size // (count * file_bytes)):
            group, r = divmod(p.first_row + row, GROUP)
            for s in range(count):
                pack(p.raw, (row * count + s) * file_bytes, p.out, (group * count + s) * size, r, p.table)

    return Packer(rows, table)
