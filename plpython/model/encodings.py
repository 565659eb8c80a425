"""Encodings of tensors, GGUF's types: bytes as in the file <-> float32.

F32, F16 and BF16 are numpy views and shifts. Q8_0 and Q4_0 are implemented here, many blocks at a time; the gguf
package gives the same bits and takes 1.1 to 1.9 times as long. `quantizers` encodes Q4_K, Q5_K, Q6_K and IQ4_NL. The
gguf package, the format's own Python implementation, decodes these, and decodes and encodes the other block types; it
is imported at the first of them. Everything is little-endian.
"""

from dataclasses import dataclass

import numpy as np

from ..server import errors
from . import quantizers

# The bits of infinity as a whole number. Without the sign, larger numbers are NaN and only NaN. E8M0 are exponents of
# powers of two, without infinity: 255 is NaN, and from 253 on the largest code times the power is infinite.
INFINITY = {
    "F32": (np.uint32, 0x7F800000),
    "F16": (np.uint16, 0x7C00),
    "BF16": (np.uint16, 0x7F80),
    "E8M0": (np.uint8, 253),
    "UE4M3": (np.uint8, 256),
}
LARGEST_UE4M3 = 480.0  # the largest scale, times the largest code
LARGEST_FACTOR = 1 << 13  # a bound of the integers that multiply a block's floats: 128 * 32 in Q6_K


@dataclass(frozen=True)
class Codes:
    """Where the codes of an encoding are in a block, and their order by value. Only for codes that are atoms."""

    bits: int
    first: int  # the bytes of the block before the codes
    run: int = 16  # for four bits: first the low halves of so many bytes, then their high halves
    order: str = "unsigned"  # or "two's complement", or "sign and magnitude"


@dataclass(frozen=True)
class Floats:
    """The floats of a block: its number, or its scale and its minimum.

    Everything else in a block is a small integer, so a value is below 2^13 times the largest float and cannot overflow.
    A block has an infinite or NaN value if and only if one of its floats is, because infinity times 0 is NaN.
    """

    form: str = "F16"
    at: tuple = (0,)  # the byte at which each begins
    joined: bool = False  # whether they are one float: the upper four bits of four words, the lowest first


@dataclass(frozen=True)
class Encoding:
    """One tensor type of GGUF: everything about it except its arithmetic."""

    name: str
    number: int  # GGUF's
    block: int  # elements in a block; a row is a whole number of blocks
    size: int  # bytes of a block
    layout: str | None = None  # the packed layout that holds its weights exactly; None: packing rounds them to f16
    encodable: bool = False  # whether `encode` can write it; others can only be decoded
    codes: Codes | None = None  # None: its codes are not atoms
    floats: Floats = Floats()


SIGNED_FLOAT = Codes(16, 0, order="sign and magnitude")
ENCODINGS = (
    Encoding("F32", 0, 1, 4, "f32", encodable=True, floats=Floats("F32")),
    Encoding("F16", 1, 1, 2, "f16", encodable=True, codes=SIGNED_FLOAT),
    Encoding("BF16", 30, 1, 2, "bf16", encodable=True, codes=SIGNED_FLOAT, floats=Floats("BF16")),
    Encoding("Q8_0", 8, 32, 34, "q8", encodable=True, codes=Codes(8, 2, order="two's complement")),
    Encoding("Q4_0", 2, 32, 18, "q4", encodable=True, codes=Codes(4, 2)),
    Encoding("Q4_1", 3, 32, 20, "q4_1", encodable=True, codes=Codes(4, 4), floats=Floats(at=(0, 2))),
    Encoding("Q5_0", 6, 32, 22, "q5", encodable=True),
    Encoding("Q5_1", 7, 32, 24, "q5_1", encodable=True, floats=Floats(at=(0, 2))),
    Encoding("Q2_K", 10, 256, 84, "q2k", floats=Floats(at=(80, 82))),
    Encoding("Q3_K", 11, 256, 110, "q3k", floats=Floats(at=(108,))),
    Encoding("Q4_K", 12, 256, 144, "q4k", encodable=True, codes=Codes(4, 16, run=32), floats=Floats(at=(0, 2))),
    Encoding("Q5_K", 13, 256, 176, "q5k", encodable=True, floats=Floats(at=(0, 2))),
    Encoding("Q6_K", 14, 256, 210, "q6k", encodable=True, floats=Floats(at=(208,))),
    Encoding("IQ4_NL", 20, 32, 18, "iq4", encodable=True, codes=Codes(4, 2)),
    Encoding("MXFP4", 39, 32, 17, "mxfp4", codes=Codes(4, 1, order="sign and magnitude"), floats=Floats("E8M0")),
    Encoding("IQ4_XS", 23, 256, 136, "iq4xs", codes=Codes(4, 8)),
    Encoding("IQ1_S", 19, 256, 50, "iq1"),
    Encoding("IQ1_M", 29, 256, 56, "iq1", floats=Floats(at=(48, 50, 52, 54), joined=True)),
    Encoding("IQ2_XXS", 16, 256, 66, "iq2"),
    Encoding("IQ2_XS", 17, 256, 74, "iq2"),
    Encoding("IQ2_S", 22, 256, 82, "iq2"),
    Encoding("IQ3_XXS", 18, 256, 98, "iq3xxs"),
    Encoding("IQ3_S", 21, 256, 110, "iq3s"),
    Encoding("TQ1_0", 34, 256, 54, "q2k", floats=Floats(at=(52,))),
    Encoding("TQ2_0", 35, 256, 66, "q2k", floats=Floats(at=(64,))),
    Encoding("NVFP4", 40, 64, 36, "f16", floats=Floats("UE4M3", at=(0, 1, 2, 3))),
)
# Twice the values of the sixteen codes of MXFP4
MXFP4_VALUES = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
BY_NAME = {encoding.name: encoding for encoding in ENCODINGS}
BLOCKS = {encoding.name: (encoding.block, encoding.size) for encoding in ENCODINGS}
FLOATS = {encoding.name: (encoding.floats.form, encoding.floats.at) for encoding in ENCODINGS}
JOINED = {encoding.name for encoding in ENCODINGS if encoding.floats.joined}
ENCODED = tuple(encoding.name for encoding in ENCODINGS if encoding.encodable)

BLOCK = 32  # elements of a block of Q8_0 and Q4_0
BLOCKS_AT_ONCE = 512  # 64 KiB of numbers: intermediate arrays stay in the cache and are reused
SUPER_BLOCKS_AT_ONCE = 128  # 128 KiB: each has many small operations beside the large ones
BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))  # added before truncation: rounds halves away from zero
DECODE_STEP = 1 << 15  # elements decoded between checkpoints; they stay in the cache


def row_bytes(type, columns):
    """Bytes of a row of `columns` elements. ModelError 0A000 for an unknown type, 22023 if no blocks fill the row."""
    if type not in BLOCKS:
        raise errors.not_supported(f'tensor type "{type}" is not supported', f"known are {', '.join(BLOCKS)}")
    elements, size = BLOCKS[type]
    if columns % elements:
        raise errors.invalid_parameter(
            f"a row of {columns} elements cannot be {type}", f"{type} rows are multiples of {elements}"
        )
    return columns // elements * size


def decode(type, raw, shape, *, checkpoint=None):
    """The values of a tensor: uint8[bytes] (or any buffer) -> f32 of `shape`, numpy order; exact for every type.

    Raises ModelError XX001 for a wrong number of bytes, and the errors of row_bytes.
    """
    raw = np.frombuffer(raw, np.uint8)
    columns = shape[-1] if shape else 1
    rows = _rows(shape)
    row_size = row_bytes(type, columns)
    if raw.size != rows * row_size:
        raise errors.corrupt_data(
            f"a {type} tensor has the wrong number of bytes",
            f"shape {list(shape)} takes {rows * row_size} bytes, there are {raw.size}",
        )
    if type == "F32":
        return np.require(raw.view(np.float32).reshape(shape), requirements="A")
    decode_rows = ROW_DECODERS.get(type) or _block_decoder(type)
    raw = raw.reshape(rows, row_size)
    values = np.empty((rows, columns), np.float32)
    step = max(1, DECODE_STEP // max(1, columns))
    for start in range(0, rows, step):
        values[start : start + step] = decode_rows(raw[start : start + step])
        if checkpoint is not None:
            checkpoint()
    return values.reshape(shape)


def whole_blocks(type, pieces):
    """The bytes of a tensor, in pieces of any length -> uint8[blocks, bytes of a block], some blocks at a time.

    Raises ModelError XX001 if they end within a block.
    """
    size, rest = BLOCKS[type][1], b""
    for piece in pieces:
        raw = np.frombuffer(rest + piece if rest else piece, np.uint8)
        whole = raw.size - raw.size % size
        yield raw[:whole].reshape(-1, size)
        rest = raw[whole:].tobytes()
    if rest:
        raise errors.corrupt_data(f"a {type} tensor ends within a block", f"{len(rest)} of {size} bytes are there")


def largest_bound(type, blocks):
    """An upper bound of the magnitudes in uint8[blocks, bytes of a block]; infinity or NaN if one of the values is.

    Runs at the speed of memory, because nothing is decoded.
    """
    form, _ = FLOATS[type]
    largest = max(map(_largest_bits, _floats(type, blocks)))
    if form == "UE4M3":
        return 12 * LARGEST_UE4M3
    if form == "E8M0":
        return LARGEST_FACTOR * 2.0 ** (largest - 127) if largest < INFINITY[form][1] else np.inf
    factor = 1 if BLOCKS[type][0] == 1 else LARGEST_FACTOR
    return factor * float(decode(form, np.array([largest], INFINITY[form][0]).view(np.uint8), (1,))[0])


def first_not_finite(type, blocks):
    """The index of the first block with infinity or NaN, of uint8[blocks, bytes of a block]; one must exist."""
    word, infinity = INFINITY[FLOATS[type][0]]
    ill = [(field & _magnitude(word)) >= infinity for field in _floats(type, blocks)]
    return int(np.logical_or.reduce(ill).argmax())


def encode(type, values):
    """f32[..., columns] in a type of ENCODED -> uint8[bytes].

    The bytes are those of llama.cpp's reference code, except in the types of `quantizers`, which have smaller errors.
    Raises ModelError 0A000 for a type that can only be decoded, 22023 for NaN or infinity in a block type, and the
    errors of row_bytes.
    """
    values = np.ascontiguousarray(values, np.float32)
    row_bytes(type, values.shape[-1])
    if type not in ENCODED:
        raise errors.not_supported(f"encoding to {type} is not supported", f"known are {', '.join(ENCODED)}")
    if type == "F32":
        return values.view(np.uint8).reshape(-1)
    if type == "F16":
        with np.errstate(over="ignore"):  # beyond 65504 becomes infinity, as in IEEE 754
            return values.astype(np.float16).view(np.uint8).reshape(-1)
    if type == "BF16":
        return _encode_bf16(values).view(np.uint8).reshape(-1)
    if not np.isfinite(values).all():
        raise errors.invalid_parameter(f"{type} cannot hold NaN or infinity")
    if type in BLOCK_ENCODERS:
        return _encode_blocks(values.reshape(-1, BLOCKS[type][0]), type)
    quants, number = _gguf(type)
    return quants.quantize(values, number).reshape(-1)


def _floats(type, blocks):
    """The floats of blocks as whole numbers: an array for each float of a block. See Floats."""
    form, offsets = FLOATS[type]
    words = blocks.view(INFINITY[form][0])
    floats = [np.ascontiguousarray(words[:, offset // words.itemsize]) for offset in offsets]
    return [sum(word >> 12 << 4 * n for n, word in enumerate(floats))] if type in JOINED else floats


def _largest_bits(words):
    """The largest magnitude of some floats, given and returned as bits; 0 for none."""
    if words.dtype == np.uint8:
        return int(words.max(initial=0))
    magnitude = _magnitude(words.dtype)
    positive = words.view(f"i{words.itemsize}").max(initial=0)
    return max(int(positive), int(words.max(initial=0)) & magnitude)


def _magnitude(word):
    """The mask of all bits of a float but its sign; those of E8M0 have none."""
    return 255 if word is np.uint8 else (1 << 8 * np.dtype(word).itemsize - 1) - 1


def _rows(shape):
    rows = 1
    for size in shape[:-1]:
        rows *= size
    return rows


def _decode_f16(raw):
    return raw.view(np.float16).astype(np.float32)


def _decode_bf16(raw):
    return (raw.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def _encode_bf16(values):
    bits = values.view(np.uint32)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16  # to nearest, ties to even
    quiet = (bits >> 16) | 0x40  # rounding could turn a NaN into infinity
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


def _encode_blocks(blocks, type):
    """f32[blocks, weights of a block] -> uint8[bytes] in a type of BLOCK_ENCODERS."""
    raw = np.empty((len(blocks), BLOCKS[type][1]), np.uint8)
    step = BLOCKS_AT_ONCE if BLOCKS[type][0] == BLOCK else SUPER_BLOCKS_AT_ONCE
    with np.errstate(all="ignore"):  # a scale may overflow half precision, as in the reference
        for start in range(0, len(blocks), step):
            BLOCK_ENCODERS[type](blocks[start : start + step], raw[start : start + step])
    return raw.reshape(-1)


def _encode_q8_0(blocks, raw):
    """ggml-quants.c, quantize_row_q8_0_ref: the largest magnitude becomes 127, halves round away from zero."""
    scaled = _scaled(blocks, np.abs(blocks).max(axis=1) / np.float32(127), raw)
    scaled += np.copysign(BELOW_HALF, scaled)
    raw[:, 2:] = scaled.astype(np.int8).view(np.uint8)


def _encode_q4_0(blocks, raw):
    """ggml-quants.c, quantize_row_q4_0_ref: the first value of the largest magnitude becomes -8."""
    high, low = blocks.max(axis=1), blocks.min(axis=1)
    peak = np.where(high > -low, high, low)
    tied = np.flatnonzero(high == -low)
    peak[tied] = blocks[tied, np.abs(blocks[tied]).argmax(axis=1)]
    scaled = _scaled(blocks, peak / np.float32(-8), raw)
    scaled += np.float32(8.5)
    codes = np.minimum(scaled.astype(np.uint8), 15)
    raw[:, 2:] = codes[:, :16] | codes[:, 16:] << 4


def _scaled(blocks, scales, raw):
    """Store the scales in the first two bytes of each block. Returns blocks / scales, 0 where a scale is 0."""
    raw[:, :2] = scales.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return blocks * np.where(scales == 0, np.float32(0), 1 / scales)[:, None]


def _decode_q8_0(raw):
    blocks = raw.reshape(-1, 34)
    return (blocks[:, 2:].view(np.int8) * _scales(blocks)).reshape(len(raw), -1)


def _decode_q4_0(raw):
    blocks = raw.reshape(-1, 18)
    codes = np.empty((len(blocks), BLOCK), np.int8)
    np.bitwise_and(blocks[:, 2:], 15, out=codes[:, :16].view(np.uint8))
    np.right_shift(blocks[:, 2:], 4, out=codes[:, 16:].view(np.uint8))
    codes -= 8
    return (codes * _scales(blocks)).reshape(len(raw), -1)


def _scales(blocks):
    """f32[blocks, 1]: the scales, half-precision numbers at the beginning of each block."""
    return np.ascontiguousarray(blocks[:, :2]).view(np.float16).astype(np.float32)


ROW_DECODERS = {"F16": _decode_f16, "BF16": _decode_bf16, "Q8_0": _decode_q8_0, "Q4_0": _decode_q4_0}
BLOCK_ENCODERS = {
    "Q8_0": _encode_q8_0,
    "Q4_0": _encode_q4_0,
    "Q4_K": quantizers.encode_q4_k,
    "Q5_K": quantizers.encode_q5_k,
    "Q6_K": quantizers.encode_q6_k,
    "IQ4_NL": quantizers.encode_iq4_nl,
}


def _block_decoder(type):
    quants, number = _gguf(type)
    return lambda raw: quants.dequantize(raw, number)


def grid(type):
    """The grid of an IQ encoding: uint8[rows, columns], for each column the number of its magnitude."""
    quants, _ = _gguf(type)
    traits = getattr(quants, type)
    traits.init_grid()
    return np.searchsorted(traits.grid_map, traits.grid.reshape(traits.grid_shape)).astype(np.uint8)


def _gguf(type):
    from gguf import GGMLQuantizationType, quants  # imported late, because it takes longer than loading a small model

    return quants, GGMLQuantizationType[type]
