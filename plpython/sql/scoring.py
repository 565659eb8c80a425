"""Scores without generation: likely next tokens, logits at every position, and how likely a model finds a text."""

import math

import numpy as np

from ..model import finite
from ..reference.decoder import PREFILL_CHUNK
from ..server import arguments, ceilings, interrupts, streams
from ..session import admission, models
from . import generation

LARGEST_EXPONENT = 709.0  # exp of more is no double precision


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


def logprobs(text, model=None):
    """Rows (position from 0, token_id, token, logprob, rank) of the tokens of a text, each given those before it.

    The first token's logprob and rank are None where the model puts no token before a text. Raises ModelError XX001
    unless all logits are finite.
    """
    if text is None:
        return []
    model = models.decoder(model)
    before, tokens = _read(model, text)
    shown = [(position, token, token_text(model.tokenizer, token)) for position, token in enumerate(tokens)]
    known = list(_scores(model, [*before, *tokens], max(len(before), 1)))
    scores = [(None, None)] * (len(tokens) - len(known)) + known
    return [(*row, *score) for row, score in zip(shown, scores, strict=True)]


def perplexity(text, model=None):
    """exp of the mean of the negative log-probabilities that `logprobs` has; None if it has none."""
    if text is None:
        return None
    model = models.decoder(model)
    before, tokens = _read(model, text)
    found = [logprob for logprob, _ in _scores(model, [*before, *tokens], max(len(before), 1))]
    return math.exp(min(-math.fsum(found) / len(found), LARGEST_EXPONENT)) if found else None


def _read(model, text):
    """The token ids that the model puts before a text, and those of the text, which fit in its context and memory."""
    ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
    before = list(model.tokenizer.before)
    tokens = model.encode_at_most(text, model.architecture.context_length)
    generation.most_tokens(model.architecture, [*before, *tokens], 0)
    generation.most_tokens_in_memory(model, [*before, *tokens])
    return before, tokens


def _scores(model, tokens, first):
    """(logprob, rank) of each token from the index `first` on, given all before it. Holds the logits of one chunk."""
    engine, call = model.engine, admission.Call()
    cache = engine.new_cache()
    for start in range(0, len(tokens) - 1 if first < len(tokens) else 0, PREFILL_CHUNK):
        chunk = tokens[start : min(start + PREFILL_CHUNK, len(tokens) - 1)]
        with call.running():
            rows = engine.forward(chunk, cache, last_only=False, checkpoint=call.checkpoint)
        for position, row in enumerate(rows, start + 1):
            finite.check_logits(row, position, model.name)
            if position >= first:
                interrupts.checkpoint()
                yield float(log_softmax(row)[tokens[position]]), rank(row, tokens[position])


def rank(logits, token):
    """The place of a token from 1 on, by its logit; of equal ones the lower id is first."""
    return 1 + int((logits > logits[token]).sum()) + int((logits[:token] == logits[token]).sum())


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
