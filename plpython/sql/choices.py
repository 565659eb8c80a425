"""Tasks whose answers are given: llm.matches, llm.rate and llm.classify, and the same for the rows of a query.

No text is generated: the model's probabilities of the answers are compared. An encoder classifies by embeddings: its
probabilities are the softmax of the cosines of text and labels, times the scale with which such models are trained
(that of sentence-transformers). Equal texts are computed once in a statement.
"""

import functools
import hashlib
import itertools
import sys
from collections import OrderedDict

import numpy as np

from ..generate.continuations import Answers, Scorer
from ..generate.scheduler import MOST_SEQUENCES
from ..server import arguments, ceilings, connection, errors, settings, statement_clock, streams
from ..session import admission, models, prefixes
from ..session.model import too_long
from . import batches, embeddings, generation, prompts

YES_OR_NO = ("yes", "no")
RATINGS = tuple(str(rating) for rating in range(11))
MOST_LABELS = 1000
DEFAULT_CERTAINTY = 0.6
COSINE_SCALE = 20
MOST_REMEMBERED = 1 << 20  # probabilities that a statement remembers
MOST_WAYS = 64  # tasks with different arguments that it remembers
ON_ERROR = ("raise", "null")
TASK_OPTIONS = {
    "on_error": (str, "raise or null: whether the error of a text ends the statement, or its result is NULL"),
}


class Likelihoods:
    """How a decoder answers a task about texts: by the probabilities of the answers behind the prompt.

    task, given: of the prompt, and {place: text} of its places other than the text. answers: texts.
    """

    def __init__(self, model, task, given, answers):
        self.model, self._given = model, given
        self._template = prompts.current(task)
        self._answers = Answers(_answer_tokens(model, answers))
        self.identity = (model.hash, id(model.engine), self._template, *given.values(), *answers)

    @functools.cached_property
    def most_bytes(self):
        """A text of more bytes is refused."""
        return _most_bytes(self.model.most_bytes(self.model.architecture.context_length))

    def tokens(self, text):
        """Token ids of the prompt for a text."""
        model = self.model
        ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
        tokens = prompts.turn(model, prompts.filled(self._template, {**self._given, "text": text}))
        longest = self._answers.longest
        if generation.most_tokens(model.architecture, tokens, longest) < longest:
            raise too_long(f"it has {len(tokens)} tokens, the longest answer {longest}")
        generation.most_tokens_in_memory(model, tokens)
        return list(tokens)

    def memory(self, tokens):
        """Bytes of the KV cache of a prompt."""
        return len(tokens) * self.model.architecture.kv_bytes(getattr(self.model.engine, "kv_dtype", "float32"))

    def probabilities(self, given, call, stats):
        """[f64[answers] or a ModelError, ...] of several prompts, given as their tokens."""
        engine = self.model.engine
        reusable = prefixes.Prefixes(self.model, engine)
        scorer = Scorer(engine, self._answers, stats, call.checkpoint, reusable.fork, self.model.name)
        with call.running():
            results = scorer.logprobs(given)
        if scorer.last is not None:
            reusable.keep(*scorer.last)
        return [r if isinstance(r, errors.ModelError) else self._answers.probabilities(r) for r in results]


class Cosines:
    """How an encoder classifies texts: by the cosines of their embeddings and those of the labels."""

    def __init__(self, model, labels):
        self.model = model
        self._labels = [embeddings.tokens_of(model, label) for label in labels]
        self.identity = (model.hash, id(model.engine), *labels)
        self.most_bytes = _most_bytes(None)

    def tokens(self, text):
        """Token ids of a text."""
        ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
        return embeddings.tokens_of(self.model, text)

    def memory(self, tokens):
        """An encoder has no KV cache."""
        return 0

    @functools.cached_property
    def _label_vectors(self):
        return np.array(self._vectors(self._labels, admission.Call()))

    def probabilities(self, texts, call, stats):
        """[f64[labels], ...] of several texts: of each alone, so that its bits do not depend on the others."""
        return [_softmax(COSINE_SCALE * (self._label_vectors @ vector)) for vector in self._vectors(texts, call)]

    def _vectors(self, tokens, call):
        """[f64[width], ...] of length 1."""
        vectors = (vector.astype(np.float64) for vector in embeddings.own_vectors(tokens, self.model, call))
        return [vector / np.sqrt(vector @ vector) for vector in vectors]


def _softmax(x):
    weights = np.exp(x - x.max())
    return weights / weights.sum()


class Memo:
    """What was computed for equal texts, the latest used last; forgets the oldest beyond MOST_REMEMBERED numbers."""

    def __init__(self):
        self._known, self._numbers = OrderedDict(), 0

    def get(self, key):
        """The probabilities of a key, or None."""
        if key in self._known:
            self._known.move_to_end(key)
        return self._known.get(key)

    def keep(self, key, numbers):
        """Remember probabilities. The key is not there yet."""
        self._known[key] = numbers
        self._numbers += numbers.size
        while self._numbers > MOST_REMEMBERED and len(self._known) > 1:
            self._numbers -= self._known.popitem(last=False)[1].size


class Statement:
    """What the session keeps for one statement: probabilities, and how the tasks of its calls are answered."""

    def __init__(self, moment):
        self.moment, self.memo, self._ways = moment, Memo(), {}

    def way(self, make, *given):
        """make(*given), once a statement for equal arguments."""
        key = (make, *given)
        if key not in self._ways:
            if len(self._ways) >= MOST_WAYS:
                self._ways.clear()
            self._ways[key] = make(*given)
        return self._ways[key]


_statement = Statement(None)


def _this_statement():
    """The Statement of calls that see the same data, with the same rights."""
    global _statement  # noqa: PLW0603 - one interpreter serves one session
    now = statement_clock.now()
    if _statement.moment != now:
        _statement = Statement(now)
    return _statement


def forget():
    """Forget the texts of the client."""
    global _statement  # noqa: PLW0603 - one interpreter serves one session
    _statement = Statement(None)


connection.when_forgotten(forget)


def _digest(text):
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=32).digest()


def matches(text, condition, model=None, certainty=None, options=None):
    """Whether a condition holds for a text; None where the model is less certain than `certainty`, and for None."""
    certainty, on_error = _certainty(certainty), _on_error(options, "raise")
    if text is None or condition is None:
        return None
    return _decided(_of_text(_matching(condition, model), text, on_error), certainty)


def rate(text, criterion, model=None, options=None):
    """How well a text meets a criterion, from 0 to 10: the mean of the ratings by their probabilities."""
    on_error = _on_error(options, "raise")
    if text is None or criterion is None:
        return None
    return _mean(_of_text(_rating(criterion, model), text, on_error))


def classify(text, labels, model=None, options=None):
    """Rows (label, probability) of all labels, the most probable first, of equal ones the first; none for None."""
    on_error = _on_error(options, "raise")
    if text is None or labels is None:
        return []
    found = _of_text(_classifying(labels, model), text, on_error)
    return [] if found is None else [(labels[n], float(found[n])) for n in np.argsort(-found, kind="stable")]


def matches_query(query, condition, model=None, certainty=None, options=None):
    """Rows (id, matches, probability of yes, error) for the rows (id, text) of a query, in their order."""
    certainty, on_error = _certainty(certainty), _on_error(options, "null")
    if query is None or condition is None:
        return []
    rows = _of_query(_matching(condition, model), query, on_error)
    return streams.Stream(((key, _decided(p, certainty), _of_yes(p), error) for key, p, error in rows), 4)


def rate_query(query, criterion, model=None, options=None):
    """Rows (id, rating, error) for the rows (id, text) of a query, in their order."""
    on_error = _on_error(options, "null")
    if query is None or criterion is None:
        return []
    rows = _of_query(_rating(criterion, model), query, on_error)
    return streams.Stream(((key, _mean(found), error) for key, found, error in rows), 3)


def classify_query(query, labels, model=None, options=None):
    """Rows (id, label, probability, error) for the rows (id, text) of a query, in their order."""
    on_error = _on_error(options, "null")
    if query is None or labels is None:
        return []
    rows = _of_query(_classifying(labels, model), query, on_error)
    return streams.Stream(((key, *(_best(found, labels) or (None, None)), error) for key, found, error in rows), 4)


def _matching(condition, model):
    return _this_statement().way(_way_of_matching, condition, model)


def _way_of_matching(condition, model):
    _check_given(condition, "condition")
    return Likelihoods(models.decoder(model), "matches", {"condition": condition}, YES_OR_NO)


def _rating(criterion, model):
    return _this_statement().way(_way_of_rating, criterion, model)


def _way_of_rating(criterion, model):
    _check_given(criterion, "criterion")
    return Likelihoods(models.decoder(model), "rate", {"criterion": criterion}, RATINGS)


def _classifying(labels, model):
    ceilings.require_texts(labels, "labels")
    checked = arguments.strings("labels", labels)
    if not 1 <= len(checked) <= MOST_LABELS:
        raise arguments.described("labels", f"an array of {len(checked)}", f"1 to {MOST_LABELS} labels")
    double = next((label for n, label in enumerate(checked) if label in checked[:n]), None)
    if double is not None:
        raise arguments.described("labels", f"an array with {arguments.shown(double)} twice", "labels that differ")
    return _this_statement().way(_way_of_classifying, checked, model)


def _way_of_classifying(labels, model):
    model = models.resolve(model)
    if model.is_encoder:
        return Cosines(model, labels)
    return Likelihoods(model, "classify", {"labels": "\n".join(f"- {label}" for label in labels)}, labels)


def _check_given(text, what):
    ceilings.require_bytes("text_mb", ceilings.size(text), f"argument {what}")


def _answer_tokens(model, answers):
    """Token ids of each answer. ModelError 22023 where two have the same, or one has none."""
    found = {}
    for answer in answers:
        tokens = tuple(prompts.answer(model, answer))
        if not tokens or tokens in found:
            same = f"the same as {arguments.shown(found[tokens])}" if tokens else "none"
            raise errors.invalid_parameter(
                f"the tokens of label {arguments.shown(answer)} tell it from no other", f"they are {same}"
            )
        found[tokens] = answer
    return list(found)


def _most_bytes(fit):
    """A text of more bytes is refused. fit: the most that fit into the model's context; None if unknown."""
    most = ceilings.allowed("text_mb")
    return min(sys.maxsize if most is None else most * ceilings.MEGABYTE, sys.maxsize if fit is None else fit)


def _of_text(way, text, on_error):
    """f64[answers] of a text, once a statement; None where its error is to be NULL."""
    memo, key = _this_statement().memo, (way.identity, _digest(text))
    found = memo.get(key)
    if found is None:
        found = _computed(way, [text], prefixes.begin(), admission.Call())[0]
        if not isinstance(found, errors.ModelError):
            memo.keep(key, found)
        elif on_error == "raise":
            raise found
        else:
            found = None
    return found


def _of_query(way, query, on_error):
    """(id, f64[answers] or None, error or None) of the rows of a query; what is wrong with the call is raised first."""
    rows = batches.rows_of(query, _Limits(way))
    stats, call = prefixes.begin(), admission.Call()
    return _shown(_grouped(way, rows, stats, call), on_error)


class _Limits:
    """What batches.rows_of asks of a request."""

    def __init__(self, way):
        self.most_bytes = way.most_bytes

    def refusal(self, size):
        """The error of a text of so many bytes, more than `most_bytes`."""
        return too_long(f"the text has {size} bytes, allowed {self.most_bytes}")


def _shown(rows, on_error):
    for key, found in rows:
        if not isinstance(found, errors.ModelError):
            yield key, found, None
        elif on_error == "raise":
            raise found
        else:
            yield key, None, batches.told(found)


def _grouped(way, rows, stats, call):
    """(id, f64[answers], ModelError or None for the text None) of (id, text) rows, in their order."""
    memo = Memo()
    while group := _next_group(rows):
        texts = {_digest(text): text for _, text in group if isinstance(text, str)}
        found = {key: memo.get(key) for key in texts}
        fresh = [key for key in texts if found[key] is None]
        computed = _computed(way, [texts[key] for key in fresh], stats, call)
        for key, result in zip(fresh, computed, strict=True):
            found[key] = result
            if not isinstance(result, errors.ModelError):
                memo.keep(key, result)
        for key, text in group:
            yield key, found[_digest(text)] if isinstance(text, str) else text


def _next_group(rows):
    return list(itertools.islice(rows, MOST_SEQUENCES))


def _computed(way, texts, stats, call):
    """[f64[answers], or the ModelError of a text that cannot be answered, ...] of texts."""
    results = [_tokens(way, text) for text in texts]
    fine = [n for n, tokens in enumerate(results) if not isinstance(tokens, errors.ModelError)]
    memory = settings.megabytes("batch_mb")
    for few in _within(memory, fine, [way.memory(results[n]) for n in fine]):
        for n, found in zip(few, way.probabilities([results[n] for n in few], call, stats), strict=True):
            results[n] = found
    return results


def _tokens(way, text):
    try:
        return way.tokens(text)
    except errors.ModelError as error:
        return error


def _within(most, numbers, sizes):
    """Lists of numbers whose sizes together are at most `most`, or one number."""
    now, total = [], 0
    for number, size in zip(numbers, sizes, strict=True):
        if now and total + size > most:
            yield now
            now, total = [], 0
        now.append(number)
        total += size
    if now:
        yield now


def _decided(found, certainty):
    """True or False if yes or no is at least so probable, else None."""
    if found is None or found[0] == found[1] or max(found) < certainty:
        return None
    return bool(found[0] > found[1])


def _of_yes(found):
    return None if found is None else float(found[0])


def _mean(found):
    return None if found is None else float(found @ np.arange(len(RATINGS)))


def _best(found, labels):
    return None if found is None else (labels[int(found.argmax())], float(found.max()))


def _certainty(value):
    return arguments.number("certainty", value, DEFAULT_CERTAINTY, 0.5, 1)


def _on_error(options, default):
    chosen = arguments.options(options, TASK_OPTIONS).get("on_error", default)
    if chosen not in ON_ERROR:
        raise arguments.ill("options.on_error", chosen, " or ".join(ON_ERROR))
    return chosen
