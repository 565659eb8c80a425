"""The architecture of a decoder: sizes and switches of a decoder-only transformer of the Llama line.

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
