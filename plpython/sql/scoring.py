"""Scores without generation: the most likely next tokens, and the logits at every position."""

import numpy as np

from ..model import finite
from ..reference.decoder import PREFILL_CHUNK
from ..server import arguments, streams
from ..session import admission, models
from . import generation


def next_tokens(prompt, k=None, model=None):
    """The k most likely tokens after a prompt: rows (rank from 1, token_id, token, logit, logprob).

    logprob is the natural logarithm of the probability at temperature 1. Equal logits rank by id. Raises ModelError
    XX001 unless all logits are finite.
    """
    if prompt is None:
        return []
    model = models.decoder(model)
    k = arguments.integer("k", k, 10, 1, model.architecture.vocabulary_size)
    tokens = generation.prompt_tokens(model, prompt)
    generation.most_tokens(model.architecture, tokens, 0)
    generation.most_tokens_in_memory(model, tokens)
    engine, call = model.engine, admission.Call()
    with call.running():
        logits = engine.forward(tokens, engine.new_cache(), checkpoint=call.checkpoint)[-1]
    finite.check_logits(logits, len(tokens), model.name)
    logprobs = log_softmax(logits)
    return [
        (rank, token, token_text(model.tokenizer, token), float(logits[token]), float(logprobs[token]))
        for rank, token in enumerate(largest(logits, k), start=1)
    ]


def logits(tokens, model=None):
    """The logits after each of the tokens: rows (position from 0, f32[vocabulary] as bytes), as they are computed.

    Raises ModelError XX001 unless they are all finite.
    """
    if tokens is None:
        return []
    model = models.decoder(model)
    tokens = arguments.indices("tokens", tokens, model.architecture.vocabulary_size)
    generation.most_tokens(model.architecture, tokens, 0)
    generation.most_tokens_in_memory(model, tokens)
    return streams.Stream(_logits(model, tokens), 2)


def _logits(model, tokens):
    engine, call = model.engine, admission.Call()
    cache = engine.new_cache()
    for start in range(0, len(tokens), PREFILL_CHUNK):
        chunk = tokens[start : start + PREFILL_CHUNK]
        with call.running():
            scores = engine.forward(chunk, cache, last_only=False, checkpoint=call.checkpoint)
        for position, row in enumerate(scores, start):
            finite.check_logits(row, position + 1, model.name)
            yield position, row.tobytes()


def log_softmax(logits):
    """log(softmax(x)) of one row, in float64: f32[vocabulary] -> f64[vocabulary]."""
    x = logits.astype(np.float64)
    x -= x.max()
    return x - np.log(np.exp(x).sum())


def largest(logits, k):
    """Ids of the k largest logits, largest first, of equal ones the lower id first; sorts only these k."""
    smallest = np.partition(logits, len(logits) - k)[len(logits) - k] if k < len(logits) else -np.inf
    ids = np.flatnonzero(logits >= smallest)  # more than k if several are equal to the smallest
    return ids[np.argsort(-logits[ids], kind="stable")][:k].tolist()


def token_text(tokenizer, token):
    """A token's bytes as text; U+FFFD replaces what is not UTF-8, and NUL."""
    return tokenizer.token_bytes(token).decode("utf-8", "replace").replace("\0", "\ufffd")
