"""The architecture of an encoder: a transformer of the BERT line (1810.04805), which turns a text into one vector.

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
