-- Deploy hartonomous:python_runtime_model to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/model/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.model__decoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The architecture of a decoder: sizes and switches of a decoder-only transformer of the Llama line.

One frozen dataclass covers all families, which differ only in sizes and switches. It is stored with the model as
jsonb, is validated when it is read, and lists the tensors that the model must have, by GGUF name.
"""

import math
import re
import reprlib
from dataclasses import MISSING, asdict, dataclass, fields

import numpy as np

from ..server import errors

FAMILY_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

# The largest accepted value of each size. Real models are far below; a hostile file is refused at once.
LARGEST_SIZES = {
    "vocabulary_size": 1 << 24,
    "hidden_size": 1 << 20,
    "layers": 1 << 10,
    "heads": 1 << 12,
    "kv_heads": 1 << 12,
    "head_dim": 1 << 13,
    "ffn_size": 1 << 22,
    "context_length": 1 << 24,
}
LARGEST_NUMBER = 1e30
ROPE_DIVISORS = "rope_freqs.weight"  # a tensor of GGUF files: divisors of the frequencies of rope
SMALLEST_DIVISOR = float(np.finfo(np.float32).tiny)  # smaller numbers have no reciprocal in float32
# With smaller values the angles of rope would be so large that float32 has no digits left for them.
SMALLEST_THETA = 0.1
SMALLEST_FACTOR = 1e-3
SWITCHES = ("rope_interleaved", "attention_bias", "attention_output_bias", "qk_norm", "tied_embeddings")

SAME_ARITHMETIC = {"mistral": "llama"}  # a GGUF has no name for the first and uses the second

# The parameters of each rope scaling, beside its "type". GGUF's rope_freqs.weight holds what "llama3" computes.
ROPE_SCALINGS = {
    "linear": ("factor",),
    "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_context_length"),
}


@dataclass(frozen=True)
class Architecture:
    """Sizes and switches of a model; `from_config` checks them, `Architecture(...)` alone does not.

    family: what line of models it is of. Nothing is computed by this name: an architecture of a new family is taken if
    its values are known here, and refused by the name of the first one that is not.
    rope_interleaved: rotate pairs (2i, 2i+1) as GGUF's llama files do, else halves (i, i + head_dim/2) as Hugging Face.
    rope_scaling: None, {"type": "linear", "factor"} or {"type": "llama3", "factor", "low_freq_factor",
    "high_freq_factor", "original_context_length"}.
    windows: None, or for each layer None or the number of latest positions (its own included) a token attends to.
    attention_bias: q, k and v have biases (Qwen2). qk_norm: q and k are RMS-normalised per head before rope (Qwen3).
    tied_embeddings: the output head is token_embd.weight, and there is no output.weight.
    """

    family: str
    vocabulary_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn_size: int
    context_length: int
    norm_epsilon: float
    rope_theta: float
    rope_interleaved: bool
    rope_scaling: dict | None = None
    windows: tuple | None = None
    attention_bias: bool = False
    attention_output_bias: bool = False
    qk_norm: bool = False
    tied_embeddings: bool = False

    @classmethod
    def from_config(cls, config):
        """The architecture that `to_config` wrote. Raises ModelError that names an unknown, missing or ill value."""
        return cls(**_checked(config))

    def to_config(self):
        """A dict of JSON values with every field, the inverse of `from_config`."""
        config = asdict(self)
        if self.windows is not None:
            config["windows"] = list(self.windows)
        return config

    def comparable(self):
        """The values that must be equal to merge two models, in a form that does not depend on the file format.

        Numbers are rounded to float32, as in a GGUF, and a window as long as the context counts as none. Rope is left
        out: rows can be reordered, and the angles are compared with `rope_frequencies`.
        """
        config = self.to_config()
        for name in ("rope_interleaved", "rope_theta", "rope_scaling"):
            del config[name]
        windows = [w if w is not None and w < self.context_length else None for w in self.windows or ()]
        return config | {
            "family": SAME_ARITHMETIC.get(self.family, self.family),
            "norm_epsilon": float(np.float32(self.norm_epsilon)),
            "windows": windows if any(windows) else None,
        }

    def window(self, layer):
        """The sliding window of `layer`, None where attention is full."""
        return None if self.windows is None else self.windows[layer]

    def tensors(self):
        """{name: shape} of the tensors the model must have, shapes as numpy has them ([rows, columns])."""
        shapes = {"token_embd.weight": (self.vocabulary_size, self.hidden_size)}
        for layer in range(self.layers):
            shapes.update({f"blk.{layer}.{name}": shape for name, shape in self._layer_tensors().items()})
        shapes["output_norm.weight"] = (self.hidden_size,)
        if not self.tied_embeddings:
            shapes["output.weight"] = (self.vocabulary_size, self.hidden_size)
        return shapes

    def optional_tensors(self):
        """{name: shape} of optional tensors: GGUF's rope_freqs.weight, unless the configuration scales as Llama 3."""
        if self.rope_scaling is not None and self.rope_scaling["type"] == "llama3":
            return {}
        return {ROPE_DIVISORS: (self.head_dim // 2,)}

    def check_tensors(self, shapes):
        """Raise ModelError 22023 for the first of `shapes` ({name: shape}) that is missing, unknown or wrong."""
        description = f"{self.family}, {self.layers} layers"
        check_shapes(shapes, self.tensors(), self.optional_tensors(), description, self._switches())

    def kv_bytes(self, dtype):
        """Bytes of one token's keys and values, stored as numbers of `dtype`."""
        return 2 * self.layers * self.kv_heads * self.head_dim * np.dtype(dtype).itemsize

    def require_room(self, held, more):
        """ModelError 53400 unless `more` tokens fit in the context after `held` tokens."""
        excess = held + more - self.context_length
        if excess > 0:
            raise errors.limit_exceeded(
                f"{held + more} tokens do not fit in the context of {self.context_length}",
                f"{held} are there and {more} more were given, {excess} too many",
                "Shorten the prompt or generate fewer tokens.",
            )

    def rope_frequencies(self, rope_freqs_tensor=None):
        """Radians per position of each rotated pair -> f32[head_dim / 2]; theta^(-2i/head_dim) (RoFormer, 2104.09864).

        Linear scaling divides all frequencies by the factor (2306.15595). Llama 3 divides those of long wavelengths,
        keeps those of short ones, and interpolates between (Llama 3.1's reference code). `rope_freqs_tensor`, GGUF's
        rope_freqs.weight, has divisors to the same effect. Raises ModelError XX001 unless they are finite and above 0.
        """
        pairs = np.arange(self.head_dim // 2, dtype=np.float64)
        frequencies = self.rope_theta ** (-2.0 * pairs / self.head_dim)
        if self.rope_scaling is not None:
            scale = {"linear": _linear_scaling, "llama3": _llama3_scaling}[self.rope_scaling["type"]]
            frequencies = scale(frequencies, self.rope_scaling)
        if rope_freqs_tensor is not None:
            if (index := first_ill_divisor(rope_freqs_tensor)) is not None:
                raise errors.corrupt_data(
                    f'tensor "{ROPE_DIVISORS}" cannot be divided by', f"number {index} is {rope_freqs_tensor[index]:g}"
                )
            frequencies = frequencies / np.asarray(rope_freqs_tensor, np.float64)
        return frequencies.astype(np.float32)

    def _layer_tensors(self):
        q_size, kv_size = self.heads * self.head_dim, self.kv_heads * self.head_dim
        shapes = {
            "attn_norm.weight": (self.hidden_size,),
            "attn_q.weight": (q_size, self.hidden_size),
            "attn_k.weight": (kv_size, self.hidden_size),
            "attn_v.weight": (kv_size, self.hidden_size),
            "attn_output.weight": (self.hidden_size, q_size),
            "ffn_norm.weight": (self.hidden_size,),
            "ffn_gate.weight": (self.ffn_size, self.hidden_size),
            "ffn_up.weight": (self.ffn_size, self.hidden_size),
            "ffn_down.weight": (self.hidden_size, self.ffn_size),
        }
        if self.attention_bias:
            shapes.update({"attn_q.bias": (q_size,), "attn_k.bias": (kv_size,), "attn_v.bias": (kv_size,)})
        if self.attention_output_bias:
            shapes["attn_output.bias"] = (self.hidden_size,)
        if self.qk_norm:
            shapes.update({"attn_q_norm.weight": (self.head_dim,), "attn_k_norm.weight": (self.head_dim,)})
        return shapes

    def _switches(self):
        on = [name for name in SWITCHES if getattr(self, name)]
        return "with " + ", ".join(on) if on else "with no switch on"


def first_ill_divisor(divisors):
    """The index of the first divisor of rope_freqs.weight that is not finite or too small; None if all are valid."""
    flat = np.asarray(divisors, np.float32).reshape(-1)
    ill = ~(np.isfinite(flat) & (flat >= SMALLEST_DIVISOR))
    return int(ill.argmax()) if ill.any() else None


def check_shapes(shapes, required, optional, description, switches="with no switch on"):
    """Raise ModelError 22023 for the first of `shapes` that is missing, neither required nor optional, or wrong."""
    for name, expected in required.items():
        if name not in shapes:
            raise errors.invalid_parameter(
                f'tensor "{name}" is missing',
                f"the architecture ({description}) needs it with shape {list(expected)}",
            )
    for name, shape in shapes.items():
        expected = required.get(name, optional.get(name))
        if expected is None:
            raise errors.invalid_parameter(
                f'tensor "{name}" is not part of the architecture', f"{description}, {switches}"
            )
        if tuple(shape) != expected:
            raise errors.invalid_parameter(
                f'tensor "{name}" has the wrong shape', f"it is {list(shape)}, expected {list(expected)}"
            )


def _linear_scaling(frequencies, scaling):
    return frequencies / scaling["factor"]


def _llama3_scaling(frequencies, scaling):
    factor, low, high = scaling["factor"], scaling["low_freq_factor"], scaling["high_freq_factor"]
    turns = scaling["original_context_length"] * frequencies / (2 * math.pi)  # turns within the original context
    share = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return share * frequencies + (1.0 - share) * frequencies / factor


def _checked(config):
    if not isinstance(config, dict):
        raise errors.invalid_parameter("architecture must be an object", f"it is {type(config).__name__}")
    known = {field.name: field for field in fields(Architecture)}
    for name in config:
        if name not in known:
            raise errors.invalid_parameter(f'unknown architecture value "{name}"', f"known are {', '.join(known)}")
    given = {name: field.default for name, field in known.items()} | config
    missing = [name for name in known if given[name] is MISSING]
    if missing:
        raise errors.invalid_parameter(f'architecture value "{missing[0]}" is missing')
    check_family(given["family"])
    for name, largest in LARGEST_SIZES.items():
        integer_in_range(name, given[name], 1, largest)
    for name in SWITCHES:
        if not isinstance(given[name], bool):
            raise _ill(name, given[name], "true or false")
    given["norm_epsilon"] = positive_number("norm_epsilon", given["norm_epsilon"])
    given["rope_theta"] = positive_number("rope_theta", given["rope_theta"], SMALLEST_THETA)
    if given["head_dim"] % 2:
        raise _ill("head_dim", given["head_dim"], "even, because rope rotates pairs")
    if given["heads"] % given["kv_heads"]:
        raise _ill("kv_heads", given["kv_heads"], f"a divisor of heads, {given['heads']}")
    given["rope_scaling"] = _rope_scaling(given["rope_scaling"])
    given["windows"] = _windows(given["windows"], given["layers"])
    return given


def _rope_scaling(scaling):
    if scaling is None:
        return None
    if not isinstance(scaling, dict):
        raise _ill("rope_scaling", scaling, "null or an object")
    kind = scaling.get("type")
    if not isinstance(kind, str) or kind not in ROPE_SCALINGS:
        raise errors.not_supported(f'rope scaling "{kind}" is not supported', f"known are {', '.join(ROPE_SCALINGS)}")
    for name in scaling:
        if name != "type" and name not in ROPE_SCALINGS[kind]:
            raise errors.invalid_parameter(f'unknown value "{name}" in {kind} rope scaling')
    checked = {"type": kind}
    for name in ROPE_SCALINGS[kind]:
        smallest = SMALLEST_FACTOR if name == "factor" else 0
        checked[name] = positive_number(f"rope_scaling.{name}", scaling.get(name), smallest)
    if kind == "llama3" and not checked["low_freq_factor"] < checked["high_freq_factor"]:
        raise _ill("rope_scaling.high_freq_factor", checked["high_freq_factor"], "larger than low_freq_factor")
    return checked


def _windows(windows, layers):
    if windows is None:
        return None
    if not isinstance(windows, (list, tuple)) or len(windows) != layers:
        raise _ill("windows", windows, f"null or a list of {layers} windows, one for each layer")
    for window in windows:
        if window is not None:
            integer_in_range("windows", window, 1, LARGEST_SIZES["context_length"])
    return tuple(windows) if any(window is not None for window in windows) else None


def check_family(family):
    """ModelError 22023 unless it is a name."""
    if not (isinstance(family, str) and FAMILY_NAME.fullmatch(family)):
        raise _ill("family", family, "a name of lower-case letters, digits and _")


def one_of(name, value, allowed):
    """ModelError 0A000 unless the value is one of the allowed names."""
    if value not in allowed:
        raise errors.not_supported(f'{name} "{value}" is not supported', f"known are {', '.join(allowed)}")


def integer_in_range(name, value, smallest, largest):
    """ModelError 22023 unless the value is an integer from smallest to largest."""
    if isinstance(value, bool) or not isinstance(value, int) or not smallest <= value <= largest:
        raise _ill(name, value, f"an integer from {smallest} to {largest}")


def positive_number(name, value, smallest=0):
    """The value as a float. ModelError 22023 unless it is a finite number above 0 and at least `smallest`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and 0 < value < LARGEST_NUMBER and value >= smallest):  # false for NaN too
        raise _ill(name, value, f"a finite number from {smallest:g} on" if smallest else "a finite number above 0")
    return float(value)


def _ill(name, value, expected):
    detail = f"it is {reprlib.repr(value)}, expected {expected}"
    return errors.invalid_parameter(f'architecture value "{name}" is out of range', detail)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__decoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__decoder() IS
'The architecture of a decoder: sizes and switches of a decoder-only transformer of the Llama line.';

CREATE OR REPLACE FUNCTION llm_runtime.model__encoder()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The architecture of an encoder: a transformer of the BERT line (1810.04805), which turns a text into one vector.

In an encoder every token attends to every other, nothing is cached, and there is no output head. So it has a class of
its own beside `decoder.Architecture`, with the same methods: `from_config`, `to_config`, `tensors`, `check_tensors`.
`of_config` reads either. Tensors have their GGUF names.
"""

from dataclasses import MISSING, asdict, dataclass, fields

import numpy as np

from ..server import errors
from .decoder import LARGEST_SIZES, Architecture, check_family, check_shapes, integer_in_range, one_of, positive_number

POOLINGS = ("mean", "cls")  # the mean of all tokens' vectors, or the first token's
SIZE_NAMES = ("vocabulary_size", "hidden_size", "layers", "heads", "ffn_size", "context_length")
CONTROL_TOKENS = 2  # around a text: [CLS] and [SEP]


@dataclass(frozen=True)
class EncoderArchitecture:
    """Sizes of an encoder; `from_config` checks them, `EncoderArchitecture(...)` alone does not.

    context_length: rows of the position embedding. longest_text: tokens of a text that are read, including the two
    around it; longer texts are truncated, as in sentence-transformers. token_types: rows of the token-type embedding,
    of which only the first is used. pooling: one of POOLINGS. normalize: embeddings have length 1.
    """

    family: str
    vocabulary_size: int
    hidden_size: int
    layers: int
    heads: int
    ffn_size: int
    context_length: int
    longest_text: int
    token_types: int
    norm_epsilon: float
    pooling: str
    normalize: bool

    @classmethod
    def from_config(cls, config):
        """The architecture that `to_config` wrote. Raises ModelError that names an unknown, missing or ill value."""
        return cls(**_checked(config))

    def to_config(self):
        """A dict of JSON values with every field, the inverse of `from_config`."""
        return asdict(self)

    def comparable(self):
        """As Architecture.comparable: numbers are rounded to float32, as in a GGUF."""
        return self.to_config() | {"norm_epsilon": float(np.float32(self.norm_epsilon))}

    @property
    def rope_interleaved(self):
        """False: there is no rope, so no rows are paired."""
        return False

    def rope_frequencies(self, _=None):
        """None: there is no rope."""
        return None

    @property
    def head_dim(self):
        """The width of a head."""
        return self.hidden_size // self.heads

    def tensors(self):
        """{name: shape} of the tensors the model must have, shapes as numpy has them ([rows, columns])."""
        shapes = {
            "token_embd.weight": (self.vocabulary_size, self.hidden_size),
            "position_embd.weight": (self.context_length, self.hidden_size),
            "token_types.weight": (self.token_types, self.hidden_size),
            "token_embd_norm.weight": (self.hidden_size,),
            "token_embd_norm.bias": (self.hidden_size,),
        }
        for layer in range(self.layers):
            shapes.update({f"blk.{layer}.{name}": shape for name, shape in self._layer_tensors().items()})
        return shapes

    def check_tensors(self, shapes):
        """Raise ModelError 22023 for the first of `shapes` ({name: shape}) that is missing, unknown or wrong."""
        check_shapes(shapes, self.tensors(), {}, f"{self.family}, {self.layers} layers")

    def _layer_tensors(self):
        shapes = {}
        for name, rows, columns in (
            ("attn_q", self.hidden_size, self.hidden_size),
            ("attn_k", self.hidden_size, self.hidden_size),
            ("attn_v", self.hidden_size, self.hidden_size),
            ("attn_output", self.hidden_size, self.hidden_size),
            ("ffn_up", self.ffn_size, self.hidden_size),
            ("ffn_down", self.hidden_size, self.ffn_size),
        ):
            shapes |= {f"{name}.weight": (rows, columns), f"{name}.bias": (rows,)}
        for name in ("attn_output_norm", "layer_output_norm"):
            shapes |= {f"{name}.weight": (self.hidden_size,), f"{name}.bias": (self.hidden_size,)}
        return shapes


# What an encoder alone has.
ENCODERS_OWN = {field.name for field in fields(EncoderArchitecture)} - {field.name for field in fields(Architecture)}


def of_config(config):
    """The Architecture or EncoderArchitecture that a stored configuration describes, by the values that it has."""
    if isinstance(config, dict) and any(name in config for name in ENCODERS_OWN):
        return EncoderArchitecture.from_config(config)
    return Architecture.from_config(config)


def _checked(config):
    known = {field.name: field for field in fields(EncoderArchitecture)}
    for name in config:
        if name not in known:
            raise errors.invalid_parameter(f'unknown architecture value "{name}"', f"known are {', '.join(known)}")
    for name, field in known.items():
        if name not in config and field.default is MISSING:
            raise errors.invalid_parameter(f'architecture value "{name}" is missing')
    given = dict(config)
    check_family(given["family"])
    one_of("pooling", given["pooling"], POOLINGS)
    for name in SIZE_NAMES:
        integer_in_range(name, given[name], 1, LARGEST_SIZES[name])
    integer_in_range("token_types", given["token_types"], 1, LARGEST_SIZES["heads"])
    integer_in_range("longest_text", given["longest_text"], CONTROL_TOKENS + 1, given["context_length"])
    if given["hidden_size"] % given["heads"]:
        raise errors.invalid_parameter(
            'architecture value "heads" is out of range',
            f"it is {given['heads']}, expected a divisor of hidden_size, {given['hidden_size']}",
        )
    if not isinstance(given["normalize"], bool):
        raise errors.invalid_parameter('architecture value "normalize" is out of range', "expected true or false")
    given["norm_epsilon"] = positive_number("norm_epsilon", given["norm_epsilon"])
    return given
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__encoder() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__encoder() IS
'The architecture of an encoder: a transformer of the BERT line (1810.04805), which turns a text into one '
'vector.';

CREATE OR REPLACE FUNCTION llm_runtime.model__encodings()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Encodings of tensors, GGUF's types: bytes as in the file <-> float32.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__encodings() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__encodings() IS
'Encodings of tensors, GGUF''s types: bytes as in the file <-> float32.';

CREATE OR REPLACE FUNCTION llm_runtime.model__finite()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Refuses infinity and NaN in weights, logits and embeddings, with an error that says where.

Weights are checked when they come in: from a file, from a client or by an edit, at the speed of memory (see
encodings.Floats). Computed numbers are checked too, because they can overflow float32, and because a superuser can
write to the tables.
"""

import math

import numpy as np

from ..server import errors
from . import encodings
from .decoder import SMALLEST_DIVISOR, first_ill_divisor

LARGEST_FLOAT32 = float(np.finfo(np.float32).max)
ALWAYS_HELD = 65504.0  # the largest number of half precision: every type of encodings.ENCODED can hold it
SEE_VERIFY = "SELECT * FROM llm.verify(model) tells whether its weights are those that were loaded."


def checked_blocks(name, type, columns, pieces, first_row=0):
    """encodings.whole_blocks of a tensor's rows, from number first_row on, each checked before it is yielded.

    Raises ModelError 22023 that names the tensor and the first row with infinity or NaN.
    """
    blocks_of_row, before = columns // encodings.BLOCKS[type][0], 0
    for blocks in encodings.whole_blocks(type, pieces):
        if not math.isfinite(encodings.largest_bound(type, blocks)):
            raise not_finite(name, first_row + (before + encodings.first_not_finite(type, blocks)) // blocks_of_row)
        before += len(blocks)
        yield blocks


def check_rows(name, type, columns, pieces, first_row=0):
    """Check all blocks: raises the errors of checked_blocks."""
    for _ in checked_blocks(name, type, columns, pieces, first_row):
        pass


def check_divisors(name, type, pieces):
    """Raise ModelError 22023 unless all divisors of rope in a tensor are finite and above 0."""
    before = 0
    for blocks in encodings.whole_blocks(type, pieces):
        values = encodings.decode(type, blocks, (len(blocks), encodings.BLOCKS[type][0]))
        index = first_ill_divisor(values)
        if index is not None:
            raise errors.invalid_parameter(
                f'tensor "{name}" holds a number that rope cannot divide by',
                f"number {before + index}, counted from 0, is {values.reshape(-1)[index]:g}; "
                f"expected finite and at least {SMALLEST_DIVISOR:g}",
            )
        before += values.size


def encoded(name, type, values, rows):
    """(uint8[bytes], the decoded values) of f32[n, columns] in a type. rows: the row number of each of the n.

    Raises ModelError 22023 with tensor and row if the type cannot hold a value: NaN, infinity, or a number that is too
    large, such as one above 65504 in F16.
    """
    ill = _first_ill(values)
    if ill is not None:
        raise not_finite(name, rows[ill])
    with np.errstate(over="ignore", invalid="ignore"):  # the check below names what the type cannot hold
        raw = encodings.encode(type, values)
        stored = encodings.decode(type, raw, values.shape)
    ill = _first_ill(stored)
    if ill is not None:
        raise errors.invalid_parameter(
            f'tensor "{name}" is {type}, which cannot hold the values of row {rows[ill]}',
            f"the largest is {float(np.abs(values[ill]).max()):g}",
            "Copy the model into a wider type first: SELECT llm.quantize(model, new, 'F32').",
        )
    return raw, stored


def check_logits(logits, position, model=None):
    """Raise ModelError XX001 unless f32[vocabulary] are all finite; position: of the token that they are for."""
    _check_computed("the logits are not finite", logits, f"for position {position}", model)


def check_embedding(vector, model=None):
    """Raise ModelError XX001 unless all numbers of an embedding are finite."""
    _check_computed("the embedding is not finite", vector, "for the text", model)


def check_result(x, weight, model=None):
    """Raise ModelError XX001 unless the result of an operator with a weight is all finite."""
    _check_computed(f'the result of "{weight}" is not finite', x, "from what it was given", model)


def not_finite(name, row):
    """The ModelError of a tensor with infinity or NaN in a row, counted from 0."""
    return errors.invalid_parameter(
        f'tensor "{name}" holds NaN or infinity in row {row}',
        "a weight must be a finite number; rows are counted from 0",
    )


def _check_computed(message, x, what, model):
    low, high = float(x.min()), float(x.max())  # NaN where one number is
    if not (math.isfinite(low) and math.isfinite(high)):
        computes = "the model" if model is None else f'model "{model}"'
        raise errors.corrupt_data(message, f"{computes} computes numbers from {low} to {high} {what}", SEE_VERIFY)


def _first_ill(values):
    """The first row of f32[n, columns] with infinity or NaN; None if there is none."""
    ill = ~np.isfinite(values)
    return int(ill.any(axis=1).argmax()) if ill.any() else None
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__finite() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__finite() IS
'Refuses infinity and NaN in weights, logits and embeddings, with an error that says where.';

CREATE OR REPLACE FUNCTION llm_runtime.model__long_texts()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Long texts: the most bytes that a token can stand for, and where a text may be cut without changing its token ids.

Tokenizing takes about 170 bytes of memory for each byte of text. So a prompt that cannot fit is refused by its number
of bytes, and other long texts are tokenized in pieces. Both must be proven for each tokenizer; if that fails,
`bytes_a_token` or `cut` is None.
"""

import json
import re

SPACE_MARK = "\u2581"
# Letters of some scripts, without combining marks; they are the same in every version of Unicode.
LETTER = "[A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u0391-\u03a1\u03a3-\u03c9\u0410-\u044f\u05d0-\u05ea\u4e00-\u9fa5]"
WIDE_STOP = "[\u3001\u3002\uff01\uff0c\uff1a\uff1b\uff1f]"  # Chinese and Japanese punctuation
WHITE_SPACE = re.compile(r"[ \t\r\n]")
VISIBLE = LETTER.replace("A-Za-z", "!-~")  # and the digits and signs of ASCII
BETWEEN_LETTERS = re.compile(f" (?<={LETTER} )(?={LETTER})")
BETWEEN_WORDS = re.compile(f" (?<={VISIBLE} )(?={VISIBLE})")
BETWEEN_LINES_AND_CLAUSES_TOO = re.compile(
    rf"{BETWEEN_WORDS.pattern}|\n(?<=[0-9A-Za-z]\n)(?={VISIBLE})"
    rf"|{WIDE_STOP}(?<=[\u4e00-\u9fa5]{WIDE_STOP})(?=[\u4e00-\u9fa5])"
)
LARGEST_PIECE = 20_000  # characters
ENDLESS_WORD = re.compile(f"[0-9A-Za-z]{{{LARGEST_PIECE},}}+(?![^ \\t\\r\\n])")  # with white space or the end behind it
TWO_WORDS = re.compile(f"[^{SPACE_MARK}]{SPACE_MARK}")  # in one piece of a vocabulary
# Words to try before and after a cut, to test whether a pre-tokenizer splits there.
BEFORE = (
    *("word", "a", "it's", "x1y", "(w", ".w", "A\u00c0", "\u65e5\u4e00", "\u0441\u043b", "\n\nw", "1 w", "  w", "'w"),
    *("1", "1234", "1.5", "w.", "w'", "...", "w)", '"', "$", "# ", "a,1", "-", "w_"),
)
AFTER = (
    *("word", "a", "It", "a.", "a's", "\u00c0b", "\u0441\u043b\u043e", "\u65e5\u4e00", "a1", "a  b", "a\n", "a\u3002"),
    *("1", "1234", "12 a", ".", "...", "'s", "(w", '"a', "$1", "#", "- a", "_w", ".\n"),
)

# By how much a normalizer can shrink a text, in bytes. NFC: a Kelvin sign of 3 bytes becomes K, and composing shrinks
# letters by up to 3, so 9 together. Lower case: a Kelvin sign becomes k.
SHRINKS = {"NFC": 9, "Lowercase": 3, "Prepend": 1}
LOSES_NOTHING = ("ByteLevel", "Split", "Digits", "Metaspace")  # pre-tokenizers, unless their behavior is to remove
LOOKS_NO_FURTHER = ("NFC", "NFD", "NFKC", "NFKD", "Lowercase")  # normalizers that do not look across a space


class LongTexts:
    """Proven properties of a tokenizer of the library `tokenizers`.

    size: ids are below it. added: its added tokens that are searched in a text.
    bytes_a_token: the most bytes of UTF-8 text that one token can stand for, or None.
    cut: a pattern, or None. Where it matches, the ids of a text are those of the part before, then those of the rest.
    drops_space: the space at a cut belongs to neither part, because the tokenizer adds it.
    """

    def __init__(self, library, size, added):
        self._library, self._added = library, added
        self._normalizers = _steps(library.normalizer, "normalizers")
        self._pre_tokenizers = _steps(library.pre_tokenizer, "pretokenizers")
        vocabulary = set(filter(None, map(library.id_to_token, range(size))))  # a fifth of the time of get_vocab
        self.bytes_a_token = self._bytes_a_token(vocabulary)
        self.drops_space = "Prepend" in _types(self._normalizers)
        self.cut = self._cut(vocabulary)
        self._longest_word = library.model.max_input_chars_per_word if self.cut is WHITE_SPACE else None

    def pieces(self, text, size, longest):
        """(begin, end) of the pieces of a text: their ids, joined, are those of the text.

        The first one has about `size` characters, each next one twice as many, up to LARGEST_PIECE. If there is no cut
        in the next `longest` characters, the rest is one piece, which may be longer. A word that is unknown to
        WordPiece because of its length is truncated just beyond that length.
        """
        begin = 0
        while self.cut is not None and len(text) - begin > size:
            word = self._endless_word(text, begin, begin + size)
            found = word or self.cut.search(text, begin + size, begin + longest)
            if found is None:
                break
            yield begin, word.start() + self._longest_word + 1 if word else found.start()
            begin, size = word.end() if word else found.start() + self.drops_space, min(2 * size, LARGEST_PIECE)
        yield begin, len(text)

    def _endless_word(self, text, begin, position):
        """The match of a word around a position that is unknown because of its length, or None."""
        if self._longest_word is None or self._longest_word >= LARGEST_PIECE:
            return None
        spaces = WHITE_SPACE.finditer(text, begin, position)
        return ENDLESS_WORD.match(text, max((space.end() for space in spaces), default=begin))

    def _bytes_a_token(self, vocabulary):
        factor = 1
        for step in self._normalizers:
            factor *= 1 if _marks_spaces(step) else SHRINKS.get(step["type"], 0)
        is_certain = factor and not self._strips() and self._keeps_all() and self._knows_all_bytes(vocabulary)
        if not is_certain:
            return None
        size = len if "ByteLevel" in _types(self._pre_tokenizers) else _size  # a character of GPT-2's table is a byte
        return factor * max([*map(size, vocabulary), *(_size(token.content) for token in self._added)])

    def _strips(self):
        """Whether an added token takes the white space around it, however much."""
        return any(token.lstrip or token.rstrip for token in self._added)

    def _keeps_all(self):
        return all(step["type"] in LOSES_NOTHING and step.get("behavior") != "Removed" for step in self._pre_tokenizers)

    def _knows_all_bytes(self, vocabulary):
        """Whether no text is unknown: of unknown characters any number could become one token, or none."""
        if "ByteLevel" in _types(self._pre_tokenizers):
            return all(character in vocabulary for character in self._byte_alphabet())
        return getattr(self._library.model, "byte_fallback", False) and all(
            f"<0x{byte:02X}>" in vocabulary for byte in range(256)
        )

    def _byte_alphabet(self):
        from tokenizers.pre_tokenizers import ByteLevel

        return ByteLevel.alphabet()

    def _cut(self, vocabulary):
        for applies, pattern in (
            (self._is_bert, WHITE_SPACE),
            (self._is_byte_level, BETWEEN_LINES_AND_CLAUSES_TOO),
            (self._is_byte_level, BETWEEN_WORDS),
            (self._is_byte_level, BETWEEN_LETTERS),
            (lambda pattern: self._is_sentencepiece(vocabulary), BETWEEN_WORDS),
        ):
            if applies(pattern) and not self._strips() and not self._added_meets(pattern):
                return pattern
        return None

    def _added_meets(self, pattern):
        """Whether a cut could go through an added token."""
        return any(pattern.search(f"a{token.content}a") for token in self._added)

    def _is_bert(self, pattern):
        """Whether words are encoded one by one and white space is dropped."""
        return _types(self._pre_tokenizers) == ["BertPreTokenizer"] and _types(self._normalizers) in (
            [],
            ["BertNormalizer"],
        )

    def _is_byte_level(self, pattern):
        """Whether, in all trials, its pre-tokenizer makes the same words of both sides of a cut as of the whole."""
        if "ByteLevel" not in _types(self._pre_tokenizers) or set(_types(self._normalizers)) - set(LOOKS_NO_FURTHER):
            return False
        trials = [(before, separator + after) for before in BEFORE for separator in " \n\u3002" for after in AFTER]
        trials = [(before, after) for before, after in trials if pattern.match(before + after, len(before))]
        return all(self._words(before + after) == self._words(before) + self._words(after) for before, after in trials)

    def _words(self, text):
        return [word for word, _ in self._library.pre_tokenizer.pre_tokenize_str(text)]

    def _is_sentencepiece(self, vocabulary):
        """Whether a text is one word of BPE in which no piece, and so no merge, spans two words."""
        model = self._library.model
        return (
            type(model).__name__ == "BPE"
            and not model.ignore_merges
            and all(_marks_spaces(step) or step["type"] == "Prepend" for step in self._normalizers)
            and all(_is_metaspace(step) for step in self._pre_tokenizers)
            and len(self._normalizers) + len(self._pre_tokenizers) > 0
            and not any(TWO_WORDS.search(piece) for piece in vocabulary)
        )


def _steps(component, parts):
    """A normalizer or pre-tokenizer as a list of simple ones."""
    if component is None:
        return []
    description = json.loads(component.__getstate__())
    return description[parts] if description["type"] == "Sequence" else [description]


def _types(steps):
    return [step["type"] for step in steps]


def _marks_spaces(step):
    return step["type"] == "Replace" and step["pattern"] == {"String": " "} and step["content"] == SPACE_MARK


def _is_metaspace(step):
    """Whether it splits at the mark of a space, or at spaces, of which the normalizer left none."""
    return step["type"] == "Metaspace" or (step["type"] == "Split" and step["pattern"] == {"String": " "})


def _size(piece):
    return len(piece.encode())
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__long_texts() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__long_texts() IS
'Long texts: the most bytes that a token can stand for, and where a text may be cut without changing its token '
'ids.';

CREATE OR REPLACE FUNCTION llm_runtime.model__mixes()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Which encoding each tensor of a quantised model gets: the same for all matrices, or one by role, as in a mix.

Vectors (norms, biases) keep their encoding. A mix gives more bits to the matrices that need them: the output head, and
in some layers attn_v and ffn_down. Mixes and fallbacks are llama.cpp's (tests/fixtures/mixes has its answers).
"""

import re
from dataclasses import dataclass

from . import encodings

HEAD_TYPE = "Q6_K"  # of the output head in every mix; a model without one has the embedding as its head
KEPT = ("position_embd.weight", "token_types.weight")  # matrices that a mix leaves as they are
FALLBACKS = {"Q4_K": "Q5_0", "Q5_K": "Q5_1", "Q6_K": "Q8_0"}  # where no blocks fill a row; F16 where none of these do
BY_LAYER = re.compile(r"blk\.(\d+)\.(attn_v|ffn_down)\.weight")


@dataclass(frozen=True)
class Mix:
    """The encoding of most matrices, and that of attn_v and ffn_down where `chosen` says so."""

    type: str
    better: str
    chosen: dict  # {role: function of a layer's number and of the number of layers}


def _first_eighth(layer, layers):
    return layer < layers // 8


def _many(layer, layers):
    """The first eighth of the layers, the last, and every third between."""
    return _first_eighth(layer, layers) or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


MEDIUM = {"attn_v": _many, "ffn_down": _many}
MIXES = {
    "Q4_K_S": Mix("Q4_K", "Q5_K", {"attn_v": lambda layer, _: layer < 4, "ffn_down": _first_eighth}),
    "Q4_K_M": Mix("Q4_K", "Q6_K", MEDIUM),
    "Q5_K_S": Mix("Q5_K", "Q5_K", {}),
    "Q5_K_M": Mix("Q5_K", "Q6_K", MEDIUM),
}
NAMES = (*encodings.ENCODED, *MIXES)


def types(name, shapes):
    """{tensor: encoding} for one of NAMES, None for a tensor that keeps its own; shapes: {tensor: shape} of a model."""
    wanted = _mixed(MIXES[name], shapes) if name in MIXES else dict.fromkeys(shapes, name)
    kept = {tensor for tensor, shape in shapes.items() if len(shape) == 1 or wanted[tensor] is None}
    return {t: None if t in kept else _fitting(wanted[t], shape[-1]) for t, shape in shapes.items()}


def _mixed(mix, shapes):
    wanted = dict.fromkeys(shapes, mix.type)
    roles = [found for found in map(BY_LAYER.fullmatch, shapes) if found]
    layers = 1 + max((int(found[1]) for found in roles), default=-1)
    for tensor, layer, role in ((found[0], int(found[1]), found[2]) for found in roles):
        if role in mix.chosen and mix.chosen[role](layer, layers):
            wanted[tensor] = mix.better
        elif role == "attn_v" and mix.type == "Q4_K" and _is_70b(layers, shapes):
            wanted[tensor] = "Q5_K"
    head = "output.weight" if "output.weight" in shapes else "token_embd.weight"
    return wanted | {head: HEAD_TYPE} | dict.fromkeys(KEPT)


def _is_70b(layers, shapes):
    """Whether several heads share keys and values, in as many layers as models of 70 billion weights have."""
    return layers == 80 and shapes["blk.0.attn_v.weight"][0] < shapes["blk.0.attn_q.weight"][0]


def _fitting(type, columns):
    """The encoding, or the first of its fallbacks whose blocks fill a row."""
    while columns % encodings.BLOCKS[type][0]:
        type = FALLBACKS.get(type, "F16")
    return type
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__mixes() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__mixes() IS
'Which encoding each tensor of a quantised model gets: the same for all matrices, or one by role, as in a mix.';

CREATE OR REPLACE FUNCTION llm_runtime.model__quantizers()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Encoders of Q4_K, Q5_K, Q6_K and IQ4_NL: weights -> the bytes of blocks, as ggml-quants.h has them.

How scales are found is told in `scale_search`. The errors are no larger than those of llama.cpp's own quantiser, which
tests/fixtures/quantizers/ keeps.
"""

import numpy as np

from .scale_search import ROUNDS, Blocks, Format, columns_of, dot, half, quotient

Q4_K = Format(32, (0, 15), (0, 63), 63)
Q5_K = Format(32, (0, 31), (0, 63), 63)
Q6_K = Format(16, (-32, 31), (-127, 127))
IQ4_VALUES = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.float32)
# The codes of numbers from -128 to 127.5, half by half: the borders between values are whole halves.
IQ4_CODES = np.abs(np.arange(-255.5, 256)[:, None] / 2 - IQ4_VALUES).argmin(axis=1).astype(np.uint8)
IQ4_NEAREST = IQ4_VALUES[IQ4_CODES]
# The values that the search gives to the largest weight of a block.
IQ4_PEAKS = np.outer(IQ4_VALUES[[0, -1]], (1, 0.95, 1.05, 0.9, 0.85)).astype(np.float32).ravel()


def encode_q4_k(weights, raw):
    """f32[super-blocks, 256] -> uint8[super-blocks, 144]."""
    codes = _encode_lines(weights, Q4_K, raw)
    raw[:, 16:] = _nibbles(codes, 32)


def encode_q5_k(weights, raw):
    """f32[super-blocks, 256] -> uint8[super-blocks, 176]."""
    codes = _encode_lines(weights, Q5_K, raw)
    raw[:, 16:48] = np.packbits((codes >> 4).reshape(-1, 8, 32), axis=1, bitorder="little")[:, 0]
    raw[:, 48:] = _nibbles(codes & 15, 32)


def encode_q6_k(weights, raw):
    """f32[super-blocks, 256] -> uint8[super-blocks, 210]."""
    blocks = Blocks(weights, Q6_K)
    best = blocks.best()
    codes = _rows(blocks.codes + 32, 256)
    raw[:, :128] = _nibbles(codes & 15, 64)
    high = (codes >> 4).reshape(-1, 2, 4, 32) << np.array([0, 2, 4, 6], np.uint8)[:, None]
    raw[:, 128:192] = np.bitwise_or.reduce(high, axis=2).reshape(-1, 64)
    raw[:, 192:208] = best.scale.astype(np.int8).view(np.uint8).reshape(-1, 16)
    raw[:, 208:] = _floats(best.unit[::16])


def encode_iq4_nl(weights, raw):
    """f32[blocks, 32] -> uint8[blocks, 18]."""
    columns = columns_of(weights, 32)
    scale = _best_iq4_scale(columns)
    raw[:, :2] = _floats(scale)
    raw[:, 2:] = _nibbles(_rows(IQ4_CODES[_half_steps(columns, scale)], 32), 16)


def _encode_lines(weights, format, raw):
    """Write the floats, scales and minima of Q4_K and Q5_K. Returns the codes, uint8[super-blocks, 256].

    The offset of a block cannot be above 0. So a super-block of positive numbers is encoded with the opposite sign, and
    its floats are negative.
    """
    low, high = weights.min(axis=1), weights.max(axis=1)
    sign = np.where((low > 0) & (high > low), np.float32(-1), np.float32(1))
    blocks = Blocks(weights * sign[:, None], format)
    best = blocks.best()
    raw[:, 0:2], raw[:, 2:4] = _floats(sign * best.unit[::8]), _floats(sign * best.low_unit[::8])
    raw[:, 4:16] = _six_bits(best.scale, best.minimum)
    return _rows(blocks.codes, 256)


def _six_bits(scale, minimum):
    """Scales and minima from 0 to 63, f32[blocks] -> uint8[super-blocks, 12].

    The first four scales and minima have a byte each. Of the other four, a byte has the low bits of a scale and a
    minimum, and the upper two bits of the former have their high bits.
    """
    scale, minimum = (x.astype(np.uint8).reshape(-1, 2, 4) for x in (scale, minimum))
    low = scale[:, 1] & 15 | (minimum[:, 1] & 15) << 4
    high = [x[:, 0] | x[:, 1] >> 4 << 6 for x in (scale, minimum)]
    return np.concatenate([*high, low], axis=1)


def _best_iq4_scale(columns):
    """f32[blocks]: the scale, in half precision, with the smallest error among some that least squares fit."""
    low, high = columns.min(axis=0), columns.max(axis=0)
    peak = np.where(high > -low, high, low)
    too_large = np.isinf(half(peak / IQ4_VALUES[0]))
    best = np.where(too_large, np.float32(np.inf), 0), np.zeros_like(peak)
    for value in IQ4_PEAKS:
        best = _better_iq4_scale(columns, peak / value, best)
    for _ in range(ROUNDS):
        best = _better_iq4_scale(columns, best[0], best)
    return best[0]


def _better_iq4_scale(columns, scale, best):
    """(scale, gain): the scale of least squares for the nearest codes of a scale, or the best until now."""
    values = IQ4_NEAREST.take(_half_steps(columns, scale))
    products, squares = dot(values, columns), dot(values, values)
    scale = half(quotient(products, squares))
    gain = scale * (2 * products - scale * squares)
    return tuple(np.where(gain > best[1], there, here) for there, here in zip((scale, gain), best, strict=True))


def _half_steps(columns, scale):
    """Where the weights of blocks lie in IQ4_CODES."""
    steps = columns * quotient(np.float32(2), scale)
    np.clip(steps, -256, 255, out=steps)
    np.floor(steps, out=steps)
    steps += 256
    return steps.astype(np.intp)


def _nibbles(codes, run):
    """Codes below 16 -> bytes: `run` codes are low halves, the next `run` the high halves of the same bytes."""
    pairs = codes.reshape(len(codes), -1, 2, run)
    return (pairs[:, :, 0] | pairs[:, :, 1] << 4).reshape(len(codes), -1)


def _rows(columns, size):
    """Columns of blocks -> uint8[..., size], in the order of the weights."""
    return np.ascontiguousarray(columns.T, np.uint8).reshape(-1, size)


def _floats(x):
    """f32[blocks] -> the bytes of half precision, uint8[blocks, 2]."""
    return x.astype(np.float16).view(np.uint8).reshape(-1, 2)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__quantizers() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__quantizers() IS
'Encoders of Q4_K, Q5_K, Q6_K and IQ4_NL: weights -> the bytes of blocks, as ggml-quants.h has them.';

CREATE OR REPLACE FUNCTION llm_runtime.model__rope_rows()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The order of the rows of q and k, which differs between GGUF and Hugging Face in the Llama family.

Rotary embedding rotates pairs of a head's rows: Hugging Face pairs row i with row i + head_dim/2 (halves), GGUF's
converter permutes the rows so that pairs are neighbours (interleaved). Whole rows move, so no encoding is touched.
"""

import re

ROTATED = re.compile(r"blk\.\d+\.attn_(q|k)\.(weight|bias)")


def rotated_heads(name, architecture):
    """The number of heads of a tensor's rows; None if rope does not rotate them."""
    found = ROTATED.fullmatch(name)
    if found is None:
        return None
    return architecture.heads if found[1] == "q" else architecture.kv_heads


def moved_heads(name, here, there):
    """The number of heads of a tensor's rows if two architectures have them in different orders, else None."""
    if here.rope_interleaved == there.rope_interleaved or here.head_dim != there.head_dim:
        return None
    return rotated_heads(name, here)


def rearranged(rows, heads, head_dim, interleave):
    """Reorder heads * head_dim rows: from halves to neighbours if `interleave`, else back.

    The rows are numbers or bytes, in any shape; the result has the same.
    """
    pairs = (2, head_dim // 2) if interleave else (head_dim // 2, 2)
    return rows.reshape(heads, *pairs, -1).swapaxes(1, 2).reshape(rows.shape)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__rope_rows() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__rope_rows() IS
'The order of the rows of q and k, which differs between GGUF and Hugging Face in the Llama family.';

CREATE OR REPLACE FUNCTION llm_runtime.model__scale_search()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Scales and codes of quantised blocks with little squared error, for formats whose own scales are rounded too.

The search tries some scales for each block and fits the best by least squares. Then it rounds scales and minima as the
format stores them, fits the floats of a super-block to that, and moves rounded numbers by a step where that helps. All
weights count alike: the error is the sum of squares of the differences.

The weights of a block are a column of f32[weights of a block, blocks], so that a sum over a block adds whole rows. A
float that is too large for half precision becomes infinite, which the caller refuses.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

RANGE_STEPS = (0, -1, 1, -2)  # how many steps a block's range has, beside what its codes can count
PEAK_STEPS = (0, -0.5, 0.5, -1, 1, -1.5, 1.5)  # the same where codes have a sign and there are no offsets
SHIFTS = (0, -0.3, 0.3)  # by how many steps all weights of a block are moved
ROUNDS = 2  # of least squares: the nearest codes for the best line, then the best line for these codes
MARGIN = np.float32(1 + 2**-22)  # a line is better if its gain is by more than float32 loses
FEWER = (0, 3)  # the largest scale of a super-block becomes the format's largest, or this much less
MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))  # of a block's scale and minimum
SUPER_BLOCK = 256  # weights


@dataclass(frozen=True)
class Format:
    """What a block can hold: weight = unit * scale * code - low_unit * minimum, each a whole number but the units."""

    block: int  # weights of a block
    codes: tuple  # the smallest and the largest
    scales: tuple
    largest_minimum: int = 0  # 0: it has no minima


class Line(NamedTuple):
    """A line for each block, f32[blocks]: weight ~ scale * code + offset + `lowest`. See Blocks.gain."""

    scale: np.ndarray
    offset: np.ndarray
    gain: np.ndarray


class Stored(NamedTuple):
    """The numbers of Format for each block, f32[blocks]; units are the same for all blocks of a super-block."""

    unit: np.ndarray
    low_unit: np.ndarray
    scale: np.ndarray
    minimum: np.ndarray
    error: np.ndarray  # the sum of squares
    sums: np.ndarray  # f32[3, blocks]: see Blocks.sums


class Blocks:
    """Weights of super-blocks, f32[super-blocks, 256], for which a format's numbers are to be found."""

    def __init__(self, weights, format):
        self.format = format
        columns = columns_of(weights, format.block)
        self.lowest = np.minimum(columns.min(axis=0), 0) if format.largest_minimum else np.zeros_like(columns[0])
        self.above = columns - self.lowest  # sums of these lose fewer digits
        self.total = self.above.sum(axis=0)
        self.codes = np.empty_like(columns)  # the last that were computed

    def best(self):
        """The best Stored that the search finds; `codes` are its codes."""
        line, best = self._best_line(), None
        for fewer in FEWER:
            there = self._refitted(self._rounded(line, self.format.scales[1] - fewer))
            best = there if best is None else self._better_super_blocks(there, best)
        for move in MOVES if self.format.largest_minimum else MOVES[:2]:
            there = self._moved(best, *move)
            best = _chosen(there.error < best.error, there, best)
        best = self._refitted(best)
        self.sums(*self._line(best))
        return best

    def sums(self, scale, offset):
        """Sums over the nearest codes: of them, of their squares, and of their products with `above`."""
        codes = np.multiply(self.above, inverse(scale), out=self.codes)
        codes -= quotient(offset, scale)
        np.rint(codes, out=codes)
        np.clip(codes, *self.format.codes, out=codes)
        return np.stack([codes.sum(axis=0), dot(codes, codes), dot(codes, self.above)])

    def _best_line(self):
        best = self._first_line()
        for scale, offset in self._tried():
            best = self._better_line(best, scale, offset)
        for _ in range(ROUNDS):
            best = self._better_line(best, best.scale, best.offset)
        return best

    def _first_line(self):
        """A line that is infinite if the weights are too large, for else nothing might be better than it."""
        none = np.zeros_like(self.lowest)
        return Line(np.abs(self.above).max(axis=0) / np.float32(self.format.codes[1]), none, none)

    def _tried(self):
        """(scale, offset) of each of the lines to begin with."""
        return self._tried_lines() if self.format.largest_minimum else self._tried_multiples()

    def _tried_lines(self):
        span = self.above.max(axis=0)
        for steps in RANGE_STEPS:
            scale = span / np.float32(self.format.codes[1] + steps)
            yield from ((scale, np.float32(shift) * scale) for shift in SHIFTS)

    def _tried_multiples(self):
        """The weight of the largest magnitude gets the smallest code, or nearly."""
        low, high = self.above.min(axis=0), self.above.max(axis=0)
        peak = np.where(high > -low, high, low)
        for steps in PEAK_STEPS:
            yield peak / np.float32(self.format.codes[0] + steps), np.zeros_like(peak)

    def _better_line(self, best, scale, offset):
        line = self._fitted(self.sums(scale, offset))
        return _chosen(line.gain > best.gain * MARGIN, line, best)

    def _fitted(self, sums):
        """The Line of least squares for given codes, with a minimum that the format has."""
        codes, squares, products = sums
        size = np.float32(self.format.block)
        scale = quotient(size * products - codes * self.total, size * squares - codes * codes)
        offset = (self.total - scale * codes) / size
        pinned = offset > -self.lowest if self.format.largest_minimum else np.True_
        offset = np.where(pinned, -self.lowest, offset)
        scale = np.where(pinned, quotient(products - offset * codes, squares), scale)
        return Line(scale, offset, self._gain(scale, offset, sums))

    def _gain(self, scale, offset, sums):
        """By how much the sum of squared errors is smaller than that of `above`."""
        codes, squares, products = sums
        worth = scale * products + offset * self.total
        return 2 * worth - scale * (scale * squares + 2 * offset * codes) - self.format.block * offset * offset

    def _rounded(self, line, largest_scale):
        """The numbers of lines, so that the largest scale of a super-block becomes largest_scale."""
        minimum = -(line.offset + self.lowest)
        unit = self._unit(np.abs(line.scale), largest_scale)
        low_unit = self._unit(minimum, max(1, self.format.largest_minimum))
        return self._stored(unit, low_unit, quotient(line.scale, unit), quotient(minimum, low_unit))

    def _moved(self, stored, scale_step, minimum_step):
        return self._stored(stored.unit, stored.low_unit, stored.scale + scale_step, stored.minimum + minimum_step)

    def _refitted(self, stored):
        """With units of least squares, where that is better for a super-block."""
        scale, minimum = stored.scale, stored.minimum
        codes, squares, products = stored.sums.astype(float)
        slope, offset = (x.astype(float) for x in self._line(stored))
        aa, ab = self._super_sums(scale * scale * squares), self._super_sums(scale * minimum * codes)
        bb = self._super_sums(self.format.block * minimum * minimum)
        a = self._super_sums(scale * (products - slope * squares - offset * codes))
        b = self._super_sums(minimum * (slope * codes + self.format.block * offset - self.total))
        unit, low_unit = _solved(aa, ab, bb, a, b)
        there = self._stored(half(stored.unit + unit), half(np.maximum(stored.low_unit + low_unit, 0)), scale, minimum)
        return self._better_super_blocks(there, stored)

    def _stored(self, unit, low_unit, scale, minimum):
        """These numbers, rounded to what the format has, and their error."""
        scale = np.clip(np.rint(scale), *self.format.scales)
        minimum = np.clip(np.rint(minimum), 0, self.format.largest_minimum)
        found = Stored(unit, low_unit, scale, minimum, None, None)
        slope, offset = self._line(found)
        sums = self.sums(slope, offset)
        errors = np.multiply(self.codes, slope, out=self.codes)
        errors += offset
        errors -= self.above
        return found._replace(error=dot(errors, errors), sums=sums)

    def _line(self, stored):
        return stored.unit * stored.scale, -(stored.low_unit * stored.minimum + self.lowest)

    def _unit(self, values, largest):
        """f32[blocks]: the float of half precision, rounded up, of which the largest of a super-block is `largest`."""
        exact = self._super_blocks(values).max(axis=1) / np.float32(largest)
        unit = exact.astype(np.float16)
        unit = np.where(unit < exact, np.nextafter(unit, np.float16(np.inf)), unit).astype(np.float32)
        return self._repeated(unit)

    def _better_super_blocks(self, there, here):
        return _chosen(self._super_sums(there.error) < self._super_sums(here.error), there, here)

    def _super_sums(self, x):
        return self._repeated(self._super_blocks(x).sum(axis=1))

    def _super_blocks(self, x):
        return x.reshape(-1, SUPER_BLOCK // self.format.block)

    def _repeated(self, x):
        return np.repeat(x, SUPER_BLOCK // self.format.block)


def _solved(aa, ab, bb, a, b):
    """The pair (x, y) of least squares: aa x - ab y = a, and bb y - ab x = b; one of them is 0 if it is not certain."""
    determinant = aa * bb - ab * ab
    certain = determinant > 1e-9 * aa * bb
    x = np.where(certain, quotient(bb * a + ab * b, determinant), quotient(a, aa))
    y = np.where(certain, quotient(aa * b + ab * a, determinant), np.where(aa > 0, 0, quotient(b, bb)))
    return x, y


def _chosen(better, there, here):
    """For each block the numbers of one of two."""
    return type(here)(*(np.where(better, x, y) for x, y in zip(there, here, strict=True)))


def columns_of(weights, size):
    """f32[..., 256] -> f32[size, blocks]."""
    return np.ascontiguousarray(weights.reshape(-1, size).T)


def half(x):
    """Rounded to half precision: f32."""
    return x.astype(np.float16).astype(np.float32)


def dot(x, y):
    """The sum of products in each column."""
    return np.einsum("ij,ij->j", x, y)


def inverse(x):
    """1 / x, and 0 where x is 0."""
    return quotient(np.float32(1), x)


def quotient(x, y):
    """x / y, and 0 where y is 0."""
    return np.where(y == 0, np.float32(0), x / y)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__scale_search() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__scale_search() IS
'Scales and codes of quantised blocks with little squared error, for formats whose own scales are rounded too.';

CREATE OR REPLACE FUNCTION llm_runtime.model__tokenizer()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Text to token ids and back, over Hugging Face `tokenizers`.

A tokenizer is a tokenizer.json document (the definition, which is stored) and a few settings of the model it serves:
    bos_id, eos_ids       the beginning-of-sequence token and those that end a text; None and [] if there are none
    before, after         ids that `encode` adds before and after a text
    same_as               [[id, other id], ...]: both have the same text, and only the second is ever encoded
    vocabulary_size       rows of the model's embedding, which may be padded beyond the tokenizer
    chat_template         jinja source or None; generate/chat_prompts.py uses it
    tool_chat_template    the same for conversations with tools, where a model has one of its own for them
Models stored earlier have add_bos and add_eos instead of before and after: bos_id before, the first of eos_ids after.
The library encodes. Decoding is done here, because it must be exact in bytes: a token is often half a character, and
the library's decoders only return text. The definition's decoder tells which of three spellings of pieces is used:
    byte level      every byte is one character of GPT-2's table (Radford et al. 2019, encoder.py)
    SentencePiece   a space is U+2581, <0xAB> is the byte AB, and a text begins with one space that is not its own
    WordPiece       ## begins a piece that goes on with a word, every other begins one; spaces, and often case and
                    accents, are not kept, so a decoded text has one space between any two words
"""

import codecs
import ctypes
import json
import os
import re

# The library starts worker threads for batches. In a server process they would receive PostgreSQL's signals.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import tokenizers

from ..server import errors
from .long_texts import SPACE_MARK, LongTexts

WORD_GOES_ON = "##"
BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
SETTINGS = ("bos_id", "eos_ids", "before", "after", "same_as", "vocabulary_size", "chat_template", "tool_chat_template")
OLDER_SETTINGS = ("add_bos", "add_eos")
PANIC = "PanicException"  # raised by the library when its own code fails; a BaseException that cannot be imported


class Tokenizer:
    """A model's tokenizer. Raises ModelError XX001 for a definition that cannot be read, 0A000 for an unknown kind."""

    def __init__(self, definition, settings=None):
        self._library = _read(definition)
        self._added = self._library.get_added_tokens_decoder()
        self._unknown = getattr(self._library.model, "unk_token", None)
        self._piece_bytes, self._leading_space = _spelling(self._library)
        self._long = {}  # LongTexts by whether control tokens are looked for
        self._read_settings(settings or {})
        self._cache = {}

    def _read_settings(self, settings):
        unknown = sorted(set(settings) - {*SETTINGS, *OLDER_SETTINGS})
        if unknown:
            raise errors.invalid_parameter(
                f'unknown tokenizer setting "{unknown[0]}"', f"known are {', '.join(SETTINGS)}"
            )
        self.vocabulary_size = settings.get("vocabulary_size") or self._size()
        if not _is_id(self.vocabulary_size) or self.vocabulary_size < self._library.get_vocab_size():
            raise errors.invalid_parameter(
                "the tokenizer does not fit the model's vocabulary",
                f"the tokenizer has {self._library.get_vocab_size()} tokens, the model {self.vocabulary_size} rows",
            )
        self.bos_id = settings.get("bos_id")
        self.eos_ids = _ids(settings, "eos_ids")
        self.before, self.after = _around(settings)
        self.chat_template = settings.get("chat_template")
        self.tool_chat_template = settings.get("tool_chat_template")
        self.same_as = _pairs(settings)
        for token_id in (*self._named_ids(), *self.same_as, *self.same_as.values()):
            self._check(token_id)

    def _named_ids(self):
        return (*(() if self.bos_id is None else (self.bos_id,)), *self.eos_ids, *self.before, *self.after)

    def encode(self, text, add_special=True, parse_special=False):
        """Token ids of `text`, with the model's ids before and after it if `add_special`.

        Control tokens written in the text are text unless `parse_special`, so a user's text cannot end a turn.
        Raises ModelError 22023 for a text for which the tokenizer has no tokens.
        """
        self._library.encode_special_tokens = not parse_special  # the library's name for "encode them as text"
        ids = self._encodings(self._library.encode_batch_fast, text)[0].ids  # no offsets: much faster
        if ids and max(ids) >= self.vocabulary_size:
            raise errors.corrupt_data(
                f"the tokenizer gives token {max(ids)}", f"the model's vocabulary has {self.vocabulary_size} rows"
            )
        return self.with_special(ids) if add_special else ids

    def with_special(self, ids):
        """Add the model's ids before and after a text to its ids, a list or an array."""
        for index, token_id in enumerate(self.before):
            ids.insert(index, token_id)
        ids.extend(self.after)
        return ids

    @staticmethod
    def _encodings(encode, text):
        """The library's encodings of a text. Everything that it raises, panics too, becomes a ModelError."""
        try:
            return encode([text], add_special_tokens=False)  # releases Python's lock
        except TypeError:  # the text has no UTF-8 form
            raise errors.invalid_parameter("the text is not valid Unicode") from None
        except BaseException as problem:
            if not _is_the_librarys(problem):
                raise
            raise errors.invalid_parameter("the tokenizer cannot encode the text", _reason(problem)) from None

    def pieces(self, text, size, longest, parse_special=False):
        """(begin, end) of pieces of a text; their ids, joined, are the ids of the text. See LongTexts.pieces."""
        return self._long_texts(parse_special).pieces(text, size, longest)

    def bytes_a_token(self, parse_special=False):
        """The most bytes of a text that a token can stand for, None if unknown."""
        return self._long_texts(parse_special).bytes_a_token

    def drops_space(self):
        """Whether pieces of a text are separated by a space, which belongs to the first token of the second piece."""
        return self._long_texts(False).drops_space

    def spans(self, text):
        """The characters of each token of `text`, as (first, end); control tokens in it are text."""
        self._library.encode_special_tokens = True
        return self._encodings(self._library.encode_batch, text)[0].offsets

    def decode(self, ids, keep_control=False):
        """The text of `ids`, from its beginning; control tokens are left out unless `keep_control`.

        Bytes that are not UTF-8 (half a character) become U+FFFD. Ids of padding rows have no text; an id outside of
        the vocabulary raises ModelError 22023.
        """
        decoder = StreamDecoder(self, at_start=True, keep_control=keep_control)
        return "".join([decoder.push(token_id) for token_id in ids]) + decoder.finish()

    def token_bytes(self, token_id):
        """The bytes of a token. Those of a control token are its name; a padding row has none."""
        content = self._cache.get(token_id)
        if content is None:
            self._check(token_id)
            content = self._cache[token_id] = self._bytes_of(token_id)
        return content

    def first_difference(self, other):
        """(id, its spelling here, its spelling there) of the first token that another tokenizer has not or has
        otherwise; None without one. A spelling is None where the definition lacks the id, as for padding rows."""
        differing = self.spellings().items() ^ other.spellings().items()
        if not differing:
            return None
        first = min(token_id for _, token_id in differing)
        return first, self._library.id_to_token(first), other._library.id_to_token(first)

    def kind(self, token_id):
        """One of normal, control, byte, added, unused, unknown."""
        self._check(token_id)
        token_id = self.same_as.get(token_id, token_id)
        piece = self._library.id_to_token(token_id)
        if piece is None:
            return "unused"
        if piece == self._unknown:
            return "unknown"
        added = self._added.get(token_id)
        if added is not None:
            return "control" if added.special else "added"
        is_byte = self._piece_bytes is _sentencepiece_bytes and BYTE_PIECE.fullmatch(piece)
        return "byte" if is_byte else "normal"

    def is_shown(self, token_id):
        """Whether a token is part of the text, as opposed to a control token about it."""
        return self.kind(token_id) not in ("control", "unknown")

    def spellings(self):
        """{spelling: id} of every token that the definition has."""
        return self._library.get_vocab()

    def control_tokens(self):
        """{spelling: id} of the control tokens, the unknown token too."""
        return {token.content: token_id for token_id, token in self._added.items() if token.special}

    def vocabulary(self):
        """Every row of the vocabulary in order: (id, bytes, text, kind).

        `text` is readable and valid in PostgreSQL: U+FFFD replaces what is not UTF-8, and NUL.
        """
        for token_id in range(self.vocabulary_size):
            content = self.token_bytes(token_id)
            text = content.decode("utf-8", "replace").replace("\0", "\ufffd")
            yield token_id, content, text, self.kind(token_id)

    def _bytes_of(self, token_id):
        token_id = self.same_as.get(token_id, token_id)
        piece = self._library.id_to_token(token_id)
        if piece is None:
            return b""
        if token_id in self._added or piece == self._unknown:
            return piece.encode()
        return self._piece_bytes(piece)

    def _check(self, token_id):
        if not _is_id(token_id) or token_id >= self.vocabulary_size:
            raise errors.invalid_parameter(
                f"there is no token {token_id!r}", f"ids of this model are 0 to {self.vocabulary_size - 1}"
            )

    def _long_texts(self, parse_special):
        """The LongTexts of the tokenizer, made once: it takes a tenth of a second for 150,000 tokens."""
        if parse_special not in self._long:
            added = [token for token in self._added.values() if parse_special or not token.special]
            self._long[parse_special] = LongTexts(self._library, self.vocabulary_size, added)
        return self._long[parse_special]

    def _size(self):
        return max(self.spellings().values(), default=-1) + 1


class StreamDecoder:
    """Decodes tokens one by one, without splitting characters.

    at_start: the tokens begin a text, so SentencePiece's leading space is dropped; in a continuation it stays.
    The pieces of text, joined, are the same as decoding all bytes at once.
    """

    def __init__(self, tokenizer, at_start=False, keep_control=False):
        self._tokenizer = tokenizer
        self._strip = at_start and tokenizer._leading_space
        self._keep_control = keep_control
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id):
        """The text that is complete with this token, perhaps empty."""
        content = self._tokenizer.token_bytes(token_id)
        if not self._keep_control and not self._tokenizer.is_shown(token_id):
            return ""
        if self._strip and content:
            content = content.removeprefix(b" ")
            self._strip = False
        return self._utf8.decode(content)

    def finish(self):
        """The rest at the end: U+FFFD if the last character is incomplete."""
        return self._utf8.decode(b"", final=True)


def _read(definition):
    try:
        library = tokenizers.Tokenizer.from_str(definition)
    except BaseException as problem:
        if not _is_the_librarys(problem):
            raise
        raise errors.corrupt_data("the tokenizer's definition cannot be read", _reason(problem)) from None
    library.no_truncation()
    library.no_padding()
    _give_back_memory()
    return library


def _is_the_librarys(problem):
    """Whether the library may have raised it: an Exception or its panic, but not an interrupt."""
    return isinstance(problem, Exception) or type(problem).__name__ == PANIC


def _reason(problem):
    return str(problem).partition("\n")[0]


def _around(settings):
    """(ids before a text, ids after it), also for a model that was stored earlier."""
    before, after = _ids(settings, "before"), _ids(settings, "after")
    if settings.get("add_bos") and settings.get("bos_id") is not None and "before" not in settings:
        before = (settings["bos_id"],)
    if settings.get("add_eos") and settings.get("eos_ids") and "after" not in settings:
        after = (settings["eos_ids"][0],)
    return before, after


def _ids(settings, name):
    ids = settings.get(name) or []
    if not isinstance(ids, (list, tuple)):
        raise errors.invalid_parameter(f'the tokenizer setting "{name}" is not a list of token ids')
    return tuple(ids)


def _pairs(settings):
    """{id: the id whose text it has}."""
    pairs = _ids(settings, "same_as")
    if not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in pairs):
        raise errors.invalid_parameter('the tokenizer setting "same_as" is not a list of pairs of token ids')
    return dict(map(tuple, pairs))


def _give_back_memory():
    """Return memory of parsing to the system, 70 MB for Qwen's tokenizer; the C library would keep it."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def _spelling(library):
    """(how pieces spell bytes, whether the tokenizer adds a leading space to a text)."""
    steps = _steps(json.loads(library.decoder.__getstate__())) if library.decoder else []
    kinds = {step["type"] for step in steps}
    if "ByteLevel" in kinds:
        return _byte_level_bytes, False
    marks_spaces = any(step["type"] == "Replace" and step["pattern"] == {"String": SPACE_MARK} for step in steps)
    if "Metaspace" in kinds or marks_spaces:
        return _sentencepiece_bytes, any(_strips_leading_space(step) for step in steps)
    if kinds == {"WordPiece"}:
        return _wordpiece_bytes, True
    name = type(library.model).__name__
    raise errors.not_supported(
        f"tokenizer model {name} with decoder {'+'.join(sorted(kinds)) or 'none'} is not supported",
        hint="Byte-level BPE, SentencePiece BPE and WordPiece are.",
    )


def _steps(decoder):
    return decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]


def _strips_leading_space(step):
    if step["type"] == "Metaspace":
        return step.get("prepend_scheme", "always") != "never"
    return step["type"] == "Strip" and step["content"] == " " and step["start"] > 0


def _byte_table():
    """GPT-2's table {character: byte}: printable Latin-1 stands for itself, the other bytes follow from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = _byte_table()


def _byte_level_bytes(piece):
    try:
        return bytes([BYTE_OF[character] for character in piece])
    except KeyError:  # not in the table, so it is literal
        return piece.encode()


def _sentencepiece_bytes(piece):
    byte = BYTE_PIECE.fullmatch(piece)
    return bytes([int(byte[1], 16)]) if byte else piece.replace(SPACE_MARK, " ").encode()


def _wordpiece_bytes(piece):
    return piece.removeprefix(WORD_GOES_ON).encode() if piece.startswith(WORD_GOES_ON) else b" " + piece.encode()


def _is_id(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
$python$;

REVOKE ALL ON FUNCTION llm_runtime.model__tokenizer() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.model__tokenizer() IS
'Text to token ids and back, over Hugging Face `tokenizers`.';

COMMIT;
