"""Numbers, points and rows in formats that SQL reads in bulk: the text of an array, EWKB, COPY's binary format.

PL/Python converts a list item by item. PostgreSQL reads an array from text several times as fast, and SQL cuts points
and byte strings out of one bytea.
"""

import numpy as np

from . import geometry

SRID = 3857
POINT_ZM, MULTIPOINT_ZM = 0xC0000001, 0xC0000004  # EWKB's type numbers, with z and m
HAS_SRID = 0x20000000
POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("xyzm", "<f8", 4)])
POINT_OF_MANY = np.dtype([("order", "u1"), ("type", "<u4"), ("xyzm", "<f8", 4)])
MANY = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<u4"), ("points", "<u4")])

COPY_BEGIN = b"PGCOPY\n\xff\r\n\0" + bytes(8)  # no flags, no extension
COPY_END = b"\xff\xff"

DIGITS = 4  # that are written at once
SIGNS = np.frombuffer(b"+-", np.uint8)
HEXADECIMAL = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), "<u2")
EXPONENTS = np.frombuffer(b"".join(b"%+04d" % (max(exponent, 1) - 150) for exponent in range(256)), "<u4")
GROUPS = np.frombuffer(b"".join(b"%04d" % number for number in range(10**DIGITS)), "<u4")


def array(numbers):
    """Integers from 0 to 10^20 - 1 that fit int64 as the text of an SQL array, with leading zeros."""
    rest = np.asarray(numbers, np.int64).ravel()
    groups = -(-len(str(rest.max(initial=0))) // DIGITS)
    text = np.empty((rest.size, DIGITS * groups + 1), np.uint8)
    text[:, -1] = ord(",")
    for group in range(groups - 1, -1, -1):
        rest, low = np.divmod(rest, 10**DIGITS) if group else (rest, rest)
        text[:, DIGITS * group : DIGITS * (group + 1)] = GROUPS[low].view(np.uint8).reshape(-1, DIGITS)
    return "{" + text.tobytes()[:-1].decode() + "}"


def integers(text):
    """The integers of an SQL array's text."""
    return np.array(text[1:-1].split(",") if len(text) > 2 else [], np.int64)


def reals(numbers):
    """float32 numbers as the text of a real[], exactly: +0xc00000p-022 is 3, as C writes hexadecimal floats.

    A float32 is such a whole number of 24 bits times a power of two, so nothing is rounded, here or when it is read.
    """
    raw = np.ascontiguousarray(numbers, "<f4").ravel().view(np.uint32)
    exponents = raw >> 23 & 255
    if (exponents == 255).any():  # infinite, or no number
        return f"{{{','.join(f'{number:.9g}' for number in raw.view('<f4').tolist())}}}"
    wholes = (raw & 0x7FFFFF | (exponents > 0).astype(np.uint32) << 23).astype(">u4").view(np.uint8).reshape(-1, 4)
    text = np.empty((raw.size, 15), np.uint8)
    text[:, 0] = SIGNS[raw >> 31]
    text[:, 1:3] = ord("0"), ord("x")
    text[:, 3:9] = HEXADECIMAL[wholes[:, 1:]].view(np.uint8)
    text[:, 9] = ord("p")
    text[:, 10:14] = EXPONENTS[exponents].view(np.uint8).reshape(-1, 4)
    text[:, 14] = ord(",")
    return "{" + text.tobytes()[:-1].decode() + "}"


def bits(flags):
    """Booleans, a multiple of 8 of them, as the text of a bit string."""
    return "x" + np.packbits(flags).tobytes().hex()


def points(steps):
    """Points [n, 4] in steps as n EWKB values of 41 bytes each."""
    rows = np.empty(len(steps), POINT)
    rows["order"], rows["type"], rows["srid"] = 1, POINT_ZM | HAS_SRID, SRID
    rows["xyzm"] = geometry.coordinates(steps)
    return rows.tobytes()


def multipoints(steps, size):
    """Points [n, 4] in steps as EWKB values of `size` points, the last perhaps of fewer: 13 + 37 bytes a point each."""
    rows = np.empty(-(-len(steps) // size), [("head", MANY), ("points", POINT_OF_MANY, size)])
    rows["head"] = 1, MULTIPOINT_ZM | HAS_SRID, SRID, size
    missing = len(rows) * size - len(steps)
    rows["head"]["points"][-1:] = size - missing
    rows["points"]["order"], rows["points"]["type"] = 1, POINT_ZM
    padded = np.concatenate([geometry.coordinates(steps), np.zeros((missing, 4))])
    rows["points"]["xyzm"] = padded.reshape(-1, size, 4)
    return rows.tobytes()[: rows.nbytes - missing * POINT_OF_MANY.itemsize]


def taken(content, lengths, order):
    """Byte strings, given joined with their lengths, in another order: joined, and their lengths."""
    starts, sizes = (np.cumsum(lengths) - lengths)[order], lengths[order]
    from_first = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.frombuffer(content, np.uint8)[np.repeat(starts, sizes) + from_first].tobytes(), sizes


def copied(columns, last):
    """Rows in COPY's binary format: columns of fixed size, arrays [n], and after them one of n byte strings."""
    types = [column.dtype.newbyteorder(">") for column in columns]
    fields = [field for i, type in enumerate(types) for field in ((f"size {i}", ">i4"), (f"column {i}", type))]
    rows = np.empty(len(last), [("columns", ">i2"), *fields, ("size", ">i4")])
    rows["columns"] = len(columns) + 1
    for i, column in enumerate(columns):
        rows[f"size {i}"], rows[f"column {i}"] = column.itemsize, column
    rows["size"] = [len(string) for string in last]
    pieces = [COPY_BEGIN, *[None] * (2 * len(last)), COPY_END]
    pieces[1:-1:2], pieces[2:-1:2] = rows.view(f"V{rows.itemsize}").tolist(), last
    return b"".join(pieces)
