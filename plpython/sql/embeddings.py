"""Embeddings: one vector for a text, from an encoder or from a decoder's last layer.

An encoder's configuration has its pooling; a decoder uses the mean of its tokens' vectors, or the last token's. A text
longer than the model reads is truncated, as in sentence-transformers: for an encoder to longest_text tokens, including
those around the text, for a decoder to its context length. An empty text is embedded as the tokens around it.
Texts of similar length are batched. An embedding does not depend on the other texts of its batch (bit for bit with the
compiled engine).
"""

from collections import OrderedDict

import numpy as np

from ..model import finite
from ..reference import operators
from ..server import arguments, ceilings, connection, errors, interrupts, messages, statement_clock, streams
from ..session import admission, models
from . import generation

EMBEDDING_COLUMNS = 2  # ordinal, embedding
# By whether the model is an encoder; the first is a decoder's default.
POOLINGS_ALLOWED = {True: ("mean", "cls"), False: ("mean", "last")}
TOKENS_TOGETHER = 2048  # in one call of an engine, which has at least one text
TEXTS_TOGETHER = 1024  # that are sorted by length; the tokens of all of them are in memory

VECTORS_KEPT = 4  # of single texts, while a statement runs

_known = (None, OrderedDict())  # a moment (statement_clock), and vectors by model, engine, pooling and text
_told = None  # the moment (statement_clock) when this session last said that a text was truncated


def embed(text, model=None, pooling=None):
    """The embedding of a text as a list of numbers; None for None."""
    return None if text is None else _vector_of(text, model, pooling).tolist()


def embed_bytes(text, model=None, pooling=None):
    """The same as little-endian float32."""
    return None if text is None else _vector_of(text, model, pooling).tobytes()


def embed_many(texts, model=None, pooling=None):
    """Rows (ordinal from 1, embedding as little-endian float32) of an array of texts, in its order.

    The embedding is NULL for NULL and for a text that cannot be encoded; a warning counts these and gives one reason.
    """
    if texts is None:
        return []
    for text in texts:
        if text is not None and not isinstance(text, str):
            raise arguments.ill("texts", texts, "an array of one dimension")
    ceilings.require_texts(texts, "texts")
    model, pooling = _chosen(model, pooling)
    most_text_tokens(model)  # an error of the model is not one of a text
    return streams.Stream(_numbered(texts, model, pooling), EMBEDDING_COLUMNS)


def _numbered(texts, model, pooling):
    """The rows of embed_many, as they are computed, then a warning for texts that cannot be encoded."""
    call, problems = admission.Call(), {}
    for start in range(0, len(texts), TEXTS_TOGETHER):
        tokens = dict(_readable(texts[start : start + TEXTS_TOGETHER], start + 1, model, problems))
        found = dict(zip(tokens, _vectors(list(tokens.values()), model, pooling, call), strict=True))
        for n in range(start + 1, min(start + TEXTS_TOGETHER, len(texts)) + 1):
            yield n, found[n].tobytes() if n in found else None
    _warn(problems, len(texts))


def _readable(texts, first, model, problems):
    """(ordinal, token ids) of each text that can be encoded; the ModelErrors of others go to `problems`."""
    for number, text in enumerate(texts, first):
        try:
            if text is not None:
                yield number, _checked_tokens(model, text)
        except errors.ModelError as problem:
            problems[number] = problem


def _warn(problems, total):
    """One warning for all texts without an embedding, {ordinal: problem}."""
    if problems:
        number, problem = next(iter(problems.items()))
        messages.warning(f"{len(problems)} of {total} texts have no embedding", f"text {number}: {problem}")


def similarity(a, b):
    """The cosine of the angle between two vectors, lists or bytes; None if one is None or has length 0."""
    if a is None or b is None:
        return None
    a, b = vector("a", a), vector("b", b)
    if len(a) != len(b):
        raise arguments.described("b", f"a vector of {len(b)} numbers", f"as many as a has, {len(a)}")
    for name, numbers in (("a", a), ("b", b)):
        if not np.isfinite(numbers).all():
            raise arguments.described(name, "a vector with a number that is not finite", "finite numbers")
    lengths = np.sqrt(a @ a) * np.sqrt(b @ b)
    return float(np.clip(a @ b / lengths, -1, 1)) if lengths > 0 else None


def similarity_of_texts(a, b, model=None):
    """The same for the embeddings of two texts; None if one is None."""
    if a is None or b is None:
        return None
    one, other = (_vector_of(text, model, None) for text in (a, b))
    return similarity(one.tobytes(), other.tobytes())


def query_vector(text, model):
    """f32[width], the embedding of a text to search for."""
    return _vector_of(text, model, None)


def tokens_of(model, text):
    """Token ids of a text as they are embedded: truncated to what the model reads, at least one."""
    return _read(model, text)[0]


def _read(model, text):
    """(token ids of a text as they are embedded, whether it was truncated)."""
    tokenizer, most = model.tokenizer, most_text_tokens(model)
    found = model.first_tokens(text, most + 1)
    tokens = [*tokenizer.before, *found[:most], *tokenizer.after]
    return tokens or [_stand_in(model)], len(found) > most


def most_text_tokens(model):
    """How many tokens of a text fit between the tokens around it. ModelError 0A000 for none."""
    around = len(model.tokenizer.before) + len(model.tokenizer.after)
    if around >= model.longest_text:
        raise errors.not_supported(
            f'model "{model.name}" has no tokens left for a text',
            f"it reads {model.longest_text} tokens, and adds {around} around each text",
        )
    return model.longest_text - around


def _stand_in(model):
    """The token that stands for an empty text, for a decoder that adds none around a text."""
    tokenizer = model.tokenizer
    for token in (tokenizer.bos_id, *tokenizer.eos_ids):
        if token is not None:
            return token
    raise errors.invalid_parameter(
        "the text is empty, and the tokenizer has no beginning- or end-of-sequence token", hint="Add a character."
    )


def _chosen(name, pooling):
    """(Model, pooling) of a call's arguments."""
    model = models.embedder(name)
    allowed = POOLINGS_ALLOWED[model.is_encoder]
    if pooling is not None and pooling not in allowed:
        raise arguments.ill("pooling", pooling, f"NULL or one of {', '.join(allowed)} for this model")
    own = model.architecture.pooling if model.is_encoder else allowed[0]
    return model, pooling or own


def _vector_of(text, model, pooling):
    """f32[width] of one text."""
    ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
    model, pooling = _chosen(model, pooling)
    key, known = (model.hash, id(model.engine), pooling, text), _of_this_moment()
    if key not in known:
        known[key] = _vectors([_checked_tokens(model, text)], model, pooling, admission.Call())[0]
    known.move_to_end(key)
    while len(known) > VECTORS_KEPT:
        known.popitem(last=False)
    return known[key]


def _of_this_moment():
    """The latest vectors of the statement that runs, so that the text of a constant is computed once."""
    global _known  # noqa: PLW0603 - one interpreter serves one session
    now = statement_clock.now()
    if _known[0] != now:
        _known = (now, OrderedDict())
    return _known[1]


def forget():
    """Forget the texts of the client."""
    global _known  # noqa: PLW0603 - one interpreter serves one session
    _known = (None, OrderedDict())


connection.when_forgotten(forget)


def _checked_tokens(model, text):
    """Token ids of a text. ModelError 53400 if its KV cache would need more memory than is allowed."""
    interrupts.checkpoint()
    tokens, truncated = _read(model, text)
    if truncated:
        _tell_truncated(model)
    if not model.is_encoder:
        generation.most_tokens_in_memory(model, tokens)
    return tokens


def _tell_truncated(model):
    """Tell the client, once a statement, that a text is longer than the model reads."""
    global _told  # noqa: PLW0603 - one interpreter serves one session
    now = statement_clock.now()
    if _told != now:
        _told = now
        detail = f'model "{model.name}" reads {model.longest_text} tokens, and the rest has no part in the embedding'
        messages.notice("a text was truncated", detail, "llm.chunk splits a long text.")


def _vectors(tokens, model, pooling, call):
    """f32[width] of each text, given as its token ids, in their order. ModelError XX001 unless all are finite."""
    engine, finish = model.engine, operators.normalized if model.normalizes else np.asarray
    vectors = [None] * len(tokens)
    for numbers in _together([len(row) for row in tokens]):
        with call.running():
            states = engine.states([tokens[n] for n in numbers], call.checkpoint)
        for n, rows in zip(numbers, states, strict=True):
            vectors[n] = finish(operators.pooled(rows, pooling))
            finite.check_embedding(vectors[n], model.name)
    return vectors


def own_vectors(tokens, model, call):
    """[f32[width], ...] of texts given as their token ids, by an encoder's own pooling."""
    return _vectors(tokens, model, model.architecture.pooling, call)


def _together(lengths):
    """Batches of text numbers, texts of similar length together."""
    now, total = [], 0
    for number in sorted(range(len(lengths)), key=lengths.__getitem__):
        if now and total + lengths[number] > TOKENS_TOGETHER:
            yield now
            now, total = [], 0
        now.append(number)
        total += lengths[number]
    if now:
        yield now


def vector(name, given):
    """An argument, a list of numbers or little-endian float32, as f64."""
    ceilings.require_bytes("activation_mb", len(given) if isinstance(given, bytes) else 4 * len(given), name)
    if isinstance(given, bytes):
        if len(given) % 4:
            raise arguments.described(name, f"{len(given)} bytes", "float32 numbers of 4 bytes each")
        return np.frombuffer(given, "<f4").astype(np.float64)
    ceilings.require_elements(given, name)
    if any(not isinstance(number, (int, float)) for number in given):
        raise arguments.ill(name, given, "numbers in one dimension, none of them NULL")
    return np.asarray(given, np.float64)
