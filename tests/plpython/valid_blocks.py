"""For tests: tensors of random blocks, also of encodings that cannot be encoded, and gguf's values of them."""

import gguf
import numpy as np

from plpython.model import encodings

EXPONENTS = range(110, 130)  # of random powers of two in E8M0


def random_blocks(type, rows, columns, random, floats=None):
    """The bytes of a tensor: any codes and integer scales, and floats in 1 ... 2, or what `floats(count)` gives."""
    encoding = encodings.BY_NAME[type]
    blocks = random.integers(0, 256, (rows * columns // encoding.block, encoding.size), dtype=np.uint8)
    if encoding.floats.form == "UE4M3":  # any byte is a scale
        return blocks.reshape(-1)
    for offset in encoding.floats.at[:1] if encoding.floats.joined else encoding.floats.at:
        put_floats(encoding, blocks, offset, _floats(encoding.floats.form, floats, len(blocks), random))
    return blocks.reshape(-1)


def put_floats(encoding, blocks, offset, values):
    """Put a float, as bytes uint8 [blocks, bytes of one], into every block where its bytes begin at an offset."""
    if not encoding.floats.joined:
        blocks[:, offset : offset + values.shape[1]] = values
        return
    words, bits = blocks.view(np.uint16), np.ascontiguousarray(values).view(np.uint16)[:, 0]
    for number, at in enumerate(encoding.floats.at):
        words[:, at // 2] = words[:, at // 2] & 0x0FFF | bits >> 4 * number << 12


def _floats(form, floats, count, random):
    """`count` floats of a form as bytes, uint8 [count, bytes of one]."""
    if form == "E8M0":
        exponents = random.choice(EXPONENTS, count) if floats is None else 126 + np.frexp(floats(count))[1]
        return exponents.astype(np.uint8)[:, None]
    values = random.uniform(1, 2, count) if floats is None else floats(count)
    return encodings.encode(form, np.asarray(values, np.float32)).reshape(count, -1)


def decoded(type, raw, shape):
    """The values of a tensor as the gguf package decodes it, f32 of `shape`."""
    rows = np.frombuffer(raw, np.uint8).reshape(shape[0], -1)
    return gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[type]).reshape(shape)
