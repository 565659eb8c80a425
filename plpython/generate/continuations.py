"""Probabilities of given answers: how likely a model is to continue a prompt with each of them.

The probability of an answer is the product over its tokens, each after the prompt and the tokens before it; it is not
normalised by length. What an answer begins with is computed once for all answers that begin so.

With a BatchEngine prompts share passes and their common beginning, and answers are computed in forks of their prompt's
KV cache: the same bits as one by one, which is how other engines compute. Knows engines by their interface alone.
"""

from bisect import bisect_left
from itertools import pairwise

import numpy as np

from ..model import finite
from ..server import errors
from .interfaces import BatchEngine
from .prefix_cache import SHORTEST, common_prefix

ANSWER_TOKENS = 64  # of answers in a call of an engine: each has a row of logits, 600 kB with 151,936 tokens


class Answers:
    """Answers as token ids, [[id, ...], ...], none of them empty and no two equal.

    runs: the tokens that are computed behind a prompt: answers without their last token, each beginning once.
    """

    def __init__(self, tokens):
        self.tokens = [tuple(answer) for answer in tokens]
        beginnings = sorted({answer[:-1] for answer in self.tokens} - {()})
        self.runs = [run for run, other in pairwise([*beginnings, ()]) if other[: len(run)] != run]
        self.longest = max(map(len, self.tokens))
        numbers = {answer: number for number, answer in enumerate(self.tokens)}
        self._longer = [(number, _shorter(answer, numbers)) for number, answer in enumerate(self.tokens)]

    def begun(self, logprobs):
        """The log-probability of each answer's first token, f64[answers], by those of the vocabulary."""
        return np.array([logprobs[answer[0]] for answer in self.tokens])

    def users(self):
        """{run: numbers of the answers whose tokens it computes}."""
        users = {run: [] for run in self.runs}
        for number, answer in enumerate(self.tokens):
            if len(answer) > 1:
                users[self.runs[bisect_left(self.runs, answer[:-1])]].append(number)
        return users

    def probabilities(self, logprobs):
        """f64[answers] that add up to 1, by their log-probabilities.

        Where an answer begins with another, such as 10 with 1, the shorter one has what is left beside the longer.
        """
        weights = np.exp(logprobs - logprobs.max())
        own = weights.copy()
        for longer, shorter in self._longer:
            if shorter is not None:
                own[shorter] -= weights[longer]
        own = np.maximum(own, 0)
        return own / own.sum()


def _shorter(answer, numbers):
    """The number of the longest other answer that an answer begins with; None without one."""
    shorter = (numbers.get(answer[:length]) for length in range(len(answer) - 1, 0, -1))
    return next((number for number in shorter if number is not None), None)


class Scorer:
    """Computes the log-probabilities of answers after prompts.

    answers: Answers. known(tokens) gives a cache that holds a beginning of the tokens, or None. stats: counts tokens of
    prompts, prefilled and reused. model: its name, for errors. `last`: (tokens, cache) of the last prompt.
    """

    def __init__(self, engine, answers, stats, checkpoint=None, known=lambda tokens: None, model=None):
        self._engine, self._answers, self._stats = engine, answers, stats
        self._checkpoint, self._known, self._model = checkpoint, known, model
        self._users = answers.users()
        self.last = None

    def logprobs(self, prompts):
        """[f64[answers], or the ModelError of logits that are not finite, ...] of each prompt, a list of token ids."""
        if isinstance(self._engine, BatchEngine):
            return self._together(prompts)
        return [self._alone(prompt) for prompt in prompts]

    def _together(self, prompts):
        caches = self._caches(prompts)
        self._count(prompts, caches)
        rows = [(prompt[cache.length :], cache) for prompt, cache in zip(prompts, caches, strict=True)]
        logits = self._engine.forward_batch(rows, checkpoint=self._checkpoint)
        results = [self._begun(row, cache) for row, cache in zip(logits, caches, strict=True)]
        self.last = prompts[-1], caches[-1]
        wanted = [(n, run) for n, result in enumerate(results) if _is_fine(result) for run in self._users]
        for few in _few(wanted):
            self._add_runs(few, caches, results)
        return results

    def _add_runs(self, few, caches, results):
        """Add to the results what a few runs, [(number of the prompt, run), ...], say."""
        forks = [(list(run), caches[n].fork(caches[n].length)) for n, run in few]
        logits = iter(self._engine.forward_batch(forks, last_only=False, checkpoint=self._checkpoint))
        for n, run in few:
            scores = [next(logits) for _ in run]
            results[n] = self._added(results[n], run, scores, caches[n].length)

    def _alone(self, prompt):
        cache = self._engine.new_cache()
        self._count([prompt], [cache])
        result = self._begun(self._engine.forward(prompt, cache, checkpoint=self._checkpoint)[-1], cache)
        for run in self._users if _is_fine(result) else ():
            scores = self._engine.forward(list(run), cache, last_only=False, checkpoint=self._checkpoint)
            cache.truncate(len(prompt))
            result = self._added(result, run, scores, len(prompt))
        return result

    def _caches(self, prompts):
        """A cache for each prompt, with their common beginning and at least a token less than the prompt."""
        shared = min(min(common_prefix(prompts[0], prompt), len(prompt) - 1) for prompt in prompts)
        cache = self._known(prompts[0]) or self._engine.new_cache()
        if len(prompts) == 1:
            return [cache]
        if cache.length > shared:
            cache = cache.fork(shared)
        if shared - cache.length >= SHORTEST:
            self._stats.prefilled += shared - cache.length
            self._engine.forward(prompts[0][cache.length : shared], cache, checkpoint=self._checkpoint)
        return [cache.fork(cache.length) for _ in prompts]

    def _count(self, prompts, caches):
        for prompt, cache in zip(prompts, caches, strict=True):
            self._stats.reused += cache.length
            self._stats.prefilled += len(prompt) - cache.length

    def _begun(self, logits, cache):
        """The answers' first tokens by the logits after a prompt: f64[answers], or a ModelError."""
        try:
            return self._answers.begun(self._logprobs(logits, cache.length))
        except errors.ModelError as error:
            return error

    def _added(self, result, run, scores, length):
        """A result with the later tokens of the answers that a run computes."""
        try:
            logprobs = [self._logprobs(row, length + n) for n, row in enumerate(scores, 1)] if _is_fine(result) else ()
        except errors.ModelError as error:
            return error
        for number in self._users[run] if logprobs else ():
            later = self._answers.tokens[number][1:]
            result[number] += sum(logprobs[at][token] for at, token in enumerate(later))
        return result

    def _logprobs(self, logits, position):
        """log(softmax(x)) of one row, in float64. ModelError XX001 unless the logits are finite."""
        finite.check_logits(logits, position, self._model)
        x = logits.astype(np.float64)
        x -= x.max()
        return x - np.log(np.exp(x).sum())


def _is_fine(result):
    return not isinstance(result, errors.ModelError)


def _few(wanted):
    """Lists of (number, run) with about ANSWER_TOKENS tokens."""
    now, total = [], 0
    for one in wanted:
        if now and total + len(one[1]) > ANSWER_TOKENS:
            yield now
            now, total = [], 0
        now.append(one)
        total += len(one[1])
    if now:
        yield now
