"""The transformer's operators as SQL calls them: activations as bytes, weights by name.

An activation is bytea: little-endian float32, one row per token. The weight or the model gives the width of a row, so
the number of tokens is not passed. Sizes that do not fit are errors (22023) that name the argument. NULL as tokens or
activation gives NULL. llm.engine selects the operators: engine/composed over packed weights, with the bits of
llm.generate, or reference/composed.
"""

import functools
from array import array

import numpy as np

from ..generate import sampling
from ..model import finite
from ..model.finite import LARGEST_FLOAT32
from ..reference import operators as ops
from ..server import arguments, ceilings, errors
from ..session import engines, kv_handles, models
from . import samplers

# Tensors that some families lack: a missing bias adds nothing, a missing norm changes nothing. So one query serves
# every family. Any other missing tensor is an error.
OPTIONAL = frozenset(
    ("attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias", "attn_q_norm.weight", "attn_k_norm.weight")
)

FLOAT32 = np.dtype("<f4")
UNKNOWN = object()


def forward_tokens(tokens, cache, start, model=None):
    """The checked tokens of a call of llm.forward: ids of the vocabulary, and a KV cache if start is above 0.

    More tokens than the context holds are an error (53400) before anything is computed.
    """
    if tokens is None:
        return None
    start = arguments.integer("start", start, 0, 0, 2**31 - 1)
    if cache is None and start > 0:
        raise errors.invalid_parameter(
            f"start is {start} and there is no KV cache",
            "without a handle there are no keys and values of earlier positions",
            "Make a KV cache with llm.new_kv_cache, and give its handle to each call.",
        )
    model = models.current(model)
    model.require_decoder()
    architecture = model.architecture
    tokens = arguments.indices("tokens", tokens, architecture.vocabulary_size)
    architecture.require_room(start, len(tokens))
    return tokens


def embedding(tokens, model=None):
    """The row of each token of the embedding: int[n] -> [n, hidden]."""
    if tokens is None:
        return None
    model, _, operators = models.at_this_moment(model)
    tokens = arguments.indices("tokens", tokens, model.architecture.vocabulary_size)
    require_size(len(tokens) * model.architecture.hidden_size)
    return operators.embedding(tokens).tobytes()


def linear(x, weight, model=None, bias=None, residual=None):
    """x @ weight.T + bias + residual: [n, columns] -> [n, rows]; the residual, [n, rows], is added last.

    A result that is not finite is an error (XX001). Layers and logits end with this operator, so none is missed.
    """
    if x is None:
        return None
    model, _, operators = models.at_this_moment(model)
    count, columns = shape(model, operators, weight, 2)
    length = None if bias is None else shape(model, operators, bias, 1)
    if length is not None and length != (count,):
        raise arguments.ill("bias", bias, f"a vector of {count} numbers, one for each row of {weight}")
    x = rows("x", x, columns)
    require_size(x.size // columns * count)
    if residual is not None:
        residual = equal("residual", residual, x.size // columns * count)
    result = operators.linear(x, weight, bias if length else None, residual)
    finite.check_result(result, weight, model.name)
    return result.tobytes()


def queries_keys_values(x, layer, positions, model=None):
    """A layer's queries, keys and values: x times three matrices, [n, hidden] -> ([n, heads * head_dim], keys, values).

    With biases and head norms if the family has them; queries and keys are rotated by their tokens' positions.
    """
    if x is None or layer is None or positions is None:
        return None
    model, _, operators = models.at_this_moment(model)
    model.require_decoder()
    a = model.architecture
    layer = arguments.integer("layer", layer, None, 0, a.layers - 1)
    positions = arguments.positions("positions", positions, a.context_length)
    x = equal("x", x, len(positions) * a.hidden_size)
    q, k, v = operators.queries_keys_values(x, layer, positions)
    return q.tobytes(), k.tobytes(), v.tobytes()


def rms_norm(x, weight, model=None, epsilon=None):
    """RMS norm of rows as wide as the weight; a weight as wide as a head normalises each head."""
    if x is None:
        return None
    model, _, operators = models.at_this_moment(model)
    width = shape(model, operators, weight, 1)
    if width is None:
        return x
    epsilon = arguments.number("epsilon", epsilon, model.architecture.norm_epsilon, 0, 1)
    return operators.rms_norm(rows("x", x, *width), weight, epsilon).tobytes()


def rope(x, positions, model=None):
    """Rotate the pairs of every head by its token's position: queries or keys of n tokens, int[n] -> the same shape."""
    if x is None or positions is None:
        return None
    model, _, operators = models.at_this_moment(model)
    model.require_decoder()
    x = rows("x", x, model.architecture.head_dim)
    positions = arguments.positions("positions", positions, model.architecture.context_length)
    heads = x.size // model.architecture.head_dim
    if heads % len(positions):
        raise arguments.described("x", f"{heads} heads", f"as many for each of the {len(positions)} positions")
    return operators.rope(x, positions).tobytes()


def attention(q, k, v, cache, layer, positions, model=None):
    """Store k and v in the KV cache, then let each query attend to all positions up to its own: [n, heads * head_dim].

    cache: a handle of llm.new_kv_cache, or NULL for the session's scratch cache. Positions are consecutive and start at
    most at the end of the cache, which is overwritten from there on: the same call twice gives the same result.
    """
    if q is None or k is None or v is None or positions is None:
        return None
    model, operators, kv_cache = kv_handles.current(cache, model)
    a = model.architecture
    layer = arguments.integer("layer", layer, None, 0, a.layers - 1)
    positions = arguments.positions("positions", positions, a.context_length)
    n = len(positions)
    q = heads("q", q, n, a.heads, a.head_dim)
    k, v = heads("k", k, n, a.kv_heads, a.head_dim), heads("v", v, n, a.kv_heads, a.head_dim)
    return operators.attention(q, k, v, kv_cache.reserved(layer, positions), layer, positions).tobytes()


def swiglu(gate, up):
    """silu(gate) * up, element by element."""
    if gate is None or up is None:
        return None
    return models.swiglu()(*pair("gate", gate, "up", up)).tobytes()


def swiglu_of_weights(x, gate, up, model=None):
    """silu(x @ gate.T) * (x @ up.T), the gated half of a feed-forward network: [n, columns] -> [n, rows]."""
    if x is None:
        return None
    model, _, operators = models.at_this_moment(model)
    size = shape(model, operators, gate, 2)
    if shape(model, operators, up, 2) != size:
        raise arguments.ill("up", up, f"a matrix of {size[0]} rows and {size[1]} columns, as {gate} is")
    x = rows("x", x, size[1])
    require_size(x.size // size[1] * size[0])
    return operators.swiglu(x, gate, up).tobytes()


def add(x, y):
    """x + y, element by element: a residual connection."""
    if x is None or y is None:
        return None
    x, y = pair("x", x, "y", y)
    return (x + y).tobytes()


def softmax(x, width=None):
    """exp(x) / sum(exp(x)) of each row of `width` numbers; NULL: all of x is one row."""
    if not x:
        return x
    width = arguments.integer("width", width, len(x) // 4, 1, len(x))
    return ops.softmax(rows("x", x, width).reshape(-1, width)).tobytes()


def last_row(x, width):
    """The last `width` numbers."""
    if x is None or width is None:
        return None
    width = arguments.integer("width", width, None, 1, 1 << 28)
    return rows("x", x, width)[-width:].tobytes()


def sample(logits, *given):
    """The id of the next token, chosen from logits [vocabulary].

    given: the values of samplers.ARGUMENTS, history, position, options.
    """
    if logits is None:
        return None
    *values, history, position, options = given
    history = [] if history is None else history
    position = arguments.integer("position", position, len(history), 0, 1 << 31)
    settings = samplers.settings(values, arguments.options(options, samplers.SAMPLER_OPTIONS))
    logits = float32("logits", logits)
    history = arguments.indices("history", history, len(logits))
    return sampling.next_token(logits, history, settings, position, engines.candidates())


def floats(x):
    """Converts an activation to numbers for inspection."""
    if x is None:
        return None
    ceilings.require_count(len(x) // FLOAT32.itemsize, "the result")
    return array("f", float32("x", x).tobytes())


def bytes_of(numbers):
    """Converts numbers to an activation: the inverse of `floats`."""
    if numbers is None:
        return None
    ceilings.require_elements(numbers, "numbers")
    flat = np.asarray(numbers, object).ravel()
    for number in flat:
        if number is None or LARGEST_FLOAT32 < abs(number) < np.inf:
            raise arguments.ill("numbers", number, "float32 numbers, none of them NULL")
    return flat.astype("<f4").tobytes()


def shape(model, operators, name, dimensions):
    """The shape of a tensor, None for one that this family lacks; looked up once."""
    shape = operators.shapes.get((name, dimensions), UNKNOWN)
    if shape is UNKNOWN:
        shape = operators.shapes[name, dimensions] = found_shape(model, operators, name, dimensions)
    return shape


def found_shape(model, operators, name, dimensions):
    """The same, looked up in the model's tensors."""
    if name is None:
        raise errors.invalid_parameter("no weight is named", hint="Weights are listed in llm.tensors.")
    try:
        shape = operators.shape(arguments.name("weight", name))
    except KeyError:
        if name in optional_tensors(model.architecture.layers):
            return None
        raise errors.undefined_object(
            f'model "{model.name}" has no tensor "{arguments.shown_name(name)}"',
            hint="Its tensors are listed in llm.tensors.",
        ) from None
    if len(shape) != dimensions:
        expected = {1: "a vector", 2: "a matrix"}[dimensions]
        raise arguments.described("weight", f"{name} of shape {list(shape)}", expected)
    return shape


@functools.cache
def optional_tensors(layers):
    """The names of all tensors that a family may lack."""
    return frozenset(f"blk.{layer}.{name}" for layer in range(layers) for name in OPTIONAL)


def require_size(numbers):
    """ModelError 53400 for a result of more float32 numbers than a superuser allows."""
    ceilings.require_bytes("activation_mb", 4 * numbers, "the result")


def float32(name, activation):
    """bytea -> f32, at least one number."""
    if not activation or len(activation) % 4:
        raise arguments.described(name, f"{len(activation)} bytes", "float32 numbers of 4 bytes each, at least one")
    ceilings.require_bytes("activation_mb", len(activation), name)
    return np.frombuffer(activation, FLOAT32)


def rows(name, activation, width):
    """bytea -> f32[n * width]."""
    flat = float32(name, activation)
    if flat.size % width:
        raise arguments.described(name, f"{flat.size} numbers", f"rows of {width} numbers")
    return flat


def heads(name, activation, n, count, head_dim):
    """bytea -> f32[n * count * head_dim]."""
    flat = float32(name, activation)
    if flat.size != n * count * head_dim:
        raise arguments.described(name, f"{flat.size} numbers", f"{n} tokens with {count} heads of {head_dim} numbers")
    return flat


def pair(first_name, first, second_name, second):
    """Two activations of the same size -> f32, f32."""
    first, second = float32(first_name, first), float32(second_name, second)
    if first.size != second.size:
        raise arguments.described(second_name, f"{second.size} numbers", f"as many as {first_name} has, {first.size}")
    return first, second


def equal(name, activation, size):
    """bytea -> f32[size]."""
    flat = float32(name, activation)
    if flat.size != size:
        raise arguments.described(name, f"{flat.size} numbers", f"{size} numbers")
    return flat
