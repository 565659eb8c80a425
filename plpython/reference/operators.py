"""The arithmetic of the transformer: pure functions from float32 arrays to float32 arrays.

n is the number of tokens computed now, m the number of positions that they may attend to (m >= n: the KV cache and
themselves). Every array is [n, width], one row per token, C-contiguous and aligned; heads are a reshape of it.
The SQL operators and `decoder` use the same functions. A result depends only on the values and shapes of the arguments,
so two programs that make the same calls get the same bits. A `checkpoint` is called every few milliseconds of work; an
exception of it ends the computation.
"""

import math

import numpy as np

from ..server import errors

LINEAR_STEP = 1 << 25  # multiply-adds between checkpoints: 128 MB of weights for one token, under 10 ms
SCORES_STEP = 1 << 21  # attention scores between checkpoints


def embedding(tokens, table):
    """The row of each token: int[n], [vocabulary, hidden] -> [n, hidden]. ModelError 22023 outside the vocabulary."""
    tokens = np.asarray(tokens, np.int64)
    for token in tokens[(tokens < 0) | (tokens >= table.shape[0])]:
        raise errors.invalid_parameter(
            f"token {token} is outside the vocabulary", f"token ids are 0 to {table.shape[0] - 1}"
        )
    return table[tokens]


def linear(x, weight, bias=None, *, checkpoint=None):
    """x @ weight.T + bias: [n, columns], [rows, columns], [rows] -> [n, rows], some rows of the weight at a time."""
    rows, columns = weight.shape
    step = max(1, LINEAR_STEP // (columns * max(1, len(x))))
    y = np.empty((len(x), rows), np.float32)
    for start in range(0, rows, step):
        y[:, start : start + step] = x @ weight[start : start + step].T
        if checkpoint is not None:
            checkpoint()
    return y if bias is None else y + bias


def rms_norm(x, weight, epsilon):
    """x / sqrt(mean(x^2) + epsilon) * weight over the last axis: [..., width] -> [..., width] (1910.07467)."""
    mean_square = np.mean(x * x, axis=-1, keepdims=True)
    return x / np.sqrt(mean_square + np.float32(epsilon)) * weight


def layer_norm(x, weight, bias, epsilon):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias over the last axis: [..., width] (1607.06450)."""
    centered = x - np.mean(x, axis=-1, keepdims=True)
    variance = np.mean(centered * centered, axis=-1, keepdims=True)
    return centered / np.sqrt(variance + np.float32(epsilon)) * weight + bias


def rope(x, positions, frequencies, interleaved):
    """Rotate each pair of a head by position * frequency: [n, heads, head_dim], int[n], [head_dim / 2] (2104.09864).

    interleaved: the pairs are (2i, 2i + 1), as in GGUF's llama files; otherwise (i, i + head_dim / 2), as in Hugging
    Face's. The same model in the other convention has the rows of its q and k weights permuted.
    """
    angles = np.asarray(positions, np.float32)[:, None, None] * frequencies  # [n, 1, head_dim / 2]
    cos, sin = np.cos(angles), np.sin(angles)
    half = x.shape[-1] // 2
    first, second = (np.s_[..., 0::2], np.s_[..., 1::2]) if interleaved else (np.s_[..., :half], np.s_[..., half:])
    y = np.empty_like(x)
    y[first] = x[first] * cos - x[second] * sin
    y[second] = x[second] * cos + x[first] * sin
    return y


def softmax(x):
    """exp(x) / sum(exp(x)) over the last axis; a score of -inf gets weight 0."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def attention(q, k, v, positions, window=None, *, checkpoint=None):
    """Causal attention: q [n, heads, head_dim], k and v [m, kv_heads, head_dim] -> [n, heads, head_dim] (1706.03762).

    Row j of k and v is position j; positions (int[n]) are the queries' own. Query head h reads kv head
    h // (heads / kv_heads) (GQA, 2305.13245). A query sees the keys j <= position, with a window also only
    j > position - window (Mistral, 2310.06825, as transformers masks).
    """
    n, heads, head_dim = q.shape
    m, kv_heads, _ = k.shape
    group = heads // kv_heads
    keys, values = k.transpose(1, 2, 0), v.transpose(1, 0, 2)  # [kv_heads, head_dim, m], [kv_heads, m, head_dim]
    y = np.empty_like(q)
    step = max(1, SCORES_STEP // (heads * m))
    for start in range(0, n, step):
        now = slice(start, min(n, start + step))
        queries = q[now].reshape(-1, kv_heads, group, head_dim).transpose(1, 0, 2, 3).reshape(kv_heads, -1, head_dim)
        scores = (queries @ keys) * np.float32(head_dim**-0.5)  # [kv_heads, queries * group, m]
        unseen = np.repeat(~visible(positions[now], m, window), group, axis=0)
        mixed = softmax(np.where(unseen, np.float32(-np.inf), scores)) @ values
        y[now] = mixed.reshape(kv_heads, -1, group, head_dim).transpose(1, 0, 2, 3).reshape(-1, heads, head_dim)
        if checkpoint is not None:
            checkpoint()
    return y


def full_attention(q, k, v, *, checkpoint=None):
    """Attention of an encoder, every token to every: q, k, v [n, heads, head_dim] -> [n, heads, head_dim]."""
    queries, keys, values = q.transpose(1, 0, 2), k.transpose(1, 2, 0), v.transpose(1, 0, 2)
    mixed = softmax((queries @ keys) * np.float32(q.shape[-1] ** -0.5)) @ values  # [heads, n, head_dim]
    if checkpoint is not None:
        checkpoint()
    return np.ascontiguousarray(mixed.transpose(1, 0, 2))


def visible(positions, m, window=None):
    """Which of the keys 0 .. m - 1 each query sees: int[n] -> bool[n, m]."""
    query, key = np.asarray(positions)[:, None], np.arange(m)[None, :]
    return key <= query if window is None else (key <= query) & (key > query - window)


def swiglu(gate, up):
    """silu(gate) * up with silu(g) = g / (1 + exp(-g)): [n, ffn], [n, ffn] -> [n, ffn] (2002.05202)."""
    with np.errstate(over="ignore"):  # exp(-g) is inf for g < -88, and g / inf is the right 0
        return gate / (1 + np.exp(-gate)) * up


def gelu(x):
    """x * (1 + erf(x / sqrt(2))) / 2, number by number: [...] -> [...] (1606.08415, the exact form, as BERT has it)."""
    return (x * 0.5 * (1 + _erf(x * math.sqrt(0.5)).astype(np.float64))).astype(np.float32)


_erf = np.frompyfunc(math.erf, 1, 1)  # numpy has none


def pooled(x, pooling):
    """One vector for a text: [n, width] -> [width]. pooling: "mean" of all rows, "cls" the first, "last" the last."""
    if pooling == "mean":
        return np.mean(x, axis=0, dtype=np.float64).astype(np.float32)
    return x[{"cls": 0, "last": -1}[pooling]].copy()


def normalized(x):
    """x / max(|x|, 1e-12): [width] -> [width]."""
    length = np.sqrt(np.sum(np.square(x, dtype=np.float64)))
    return (x / max(length, 1e-12)).astype(np.float32)
