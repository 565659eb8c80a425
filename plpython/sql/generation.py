"""Generation: a prompt and logits in, text out, one token at a time.

`Continuation` is the text that follows one prompt: it chooses each token from logits and says which text is certain. It
knows no engine: `stream` drives one of them, the scheduler a batch. Every prompt token goes through the model once.

A text ends with one of
    stop         the model chose an end-of-sequence token, which is not part of the tokens
    stop_string  a stop string was completed; the text ends before it, the tokens include it
    length       max_tokens, or the end of the model's context, was reached
"""

import dataclasses
import functools
import sys
import time
from array import array
from collections import namedtuple

import numpy as np

from ..generate import sampling, scheduler
from ..generate.candidates import Candidates
from ..generate.interfaces import DecodingEngine
from ..generate.prompt_lookup import PromptLookup
from ..generate.speculation import Pace, Speculation, by_lookup
from ..model import finite
from ..model.tokenizer import StreamDecoder
from ..server import arguments, ceilings, errors
from ..session import admission, drafts, engines, models, prefixes
from ..session.model import too_long
from ..session.prefixes import Stats
from . import samplers

DEFAULT_MAX_TOKENS = 128
MOST_GUESSED = 16
GUESSED_BY_DRAFT = 8  # most tokens at a time, unless the option guess says otherwise
OPTIONS = {
    "add_special": (bool, "put the tokens before the prompt that the model wants before a text, default true"),
    "parse_special": (bool, "read control tokens written in the prompt as such, default false"),
    "echo": (bool, "begin the text with the prompt, default false"),
    "ignore_eos": (bool, "go on after an end-of-sequence token, default false"),
    "stop_tokens": (list, "ids of further tokens that end the text"),
    "guess": (
        int,
        f"the most tokens to guess at a time, 0 to {MOST_GUESSED}, default 0, or {GUESSED_BY_DRAFT} with a draft",
    ),
    "draft": (str, "the name of a smaller model with the same tokenizer, which guesses too"),
    "schema": (dict, "the JSON Schema whose value the text is"),
    "regex": (str, "the regular expression that the text matches"),
    "choices": (list, "the texts of which the text is one"),
    "grammar": (str, "the grammar, Lark or GBNF, of which the text is a sentence"),
    **samplers.SAMPLER_OPTIONS,
}

CONSTRAINTS = ("schema", "regex", "choices", "grammar")
UNCONSTRAINED = ("echo", "ignore_eos", "stop_tokens")  # options that would add to a text, or end it elsewhere
MOST_OF_AN_END = 100  # characters of each end of an unfinished text

# What ends a text: strings, and ids of tokens.
Ends = namedtuple("Ends", "strings tokens")
NO_ENDS = Ends((), ())


class Continuation:
    """The continuation of one prompt: tokens, and text that never holds half a character.

    prompt: token ids. limit: how many tokens may follow. settings: sampling.Settings. ends: Ends.
    at_start: the continuation begins the text (nothing of the prompt is shown before it).
    weigh: what makes the candidates of a draw. model: its name, for errors.

    `greedy`: each token is the one with the largest logit, and only a token of `ends` or the limit ends the text.
    """

    def __init__(self, tokenizer, prompt, limit, settings, ends=NO_ENDS, at_start=False, weigh=Candidates, model=None):
        self.history = list(prompt)
        self._seen = array("q", prompt)  # the same, as numpy reads it at once
        self.prompt_tokens = len(prompt)
        self.finish_reason = None if limit > 0 else "length"
        self.ends = frozenset(ends.tokens)
        self.is_argmax = settings.is_argmax
        self.greedy = self.is_argmax and not ends.strings
        self._limit = limit
        self._settings, self._weigh, self._model = settings, weigh, model
        self._decoder = StreamDecoder(tokenizer, at_start)
        self._stop_strings = StopStrings(ends.strings)

    @property
    def longest(self):
        """How many tokens prompt and continuation may have together."""
        return self.prompt_tokens + self._limit

    @property
    def remaining(self):
        """How many tokens may still follow."""
        return self.longest - len(self.history)

    @property
    def tokens(self):
        """Ids of the continuation, without the end-of-sequence token."""
        return self.history[self.prompt_tokens :]

    def accept(self, logits):
        """Choose the next token from `logits` (f32[vocabulary]); return the text that became certain, perhaps none.

        Raises ModelError XX001 unless they are all finite.
        """
        finite.check_logits(logits, len(self._seen), self._model)
        return self.take(self.choose(logits))

    def choose(self, logits, guessed=()):
        """The token that would follow if the guessed ones followed first, by its logits."""
        seen = self._seen + array("q", guessed) if guessed else self._seen
        return sampling.next_token(logits, seen, self._settings, len(seen), self._weigh)

    def take(self, token):
        """Go on with this token; return the text that became certain, perhaps none."""
        if token in self.ends:
            return self._finish("stop")
        text = self._stop_strings.push(self._write(token))
        if self._stop_strings.completed:
            self.finish_reason = "stop_string"
        elif len(self.history) == self.longest:
            text += self._finish("length")
        return text

    def _write(self, token):
        """Append a token; the text that it completes."""
        self.history.append(token)
        self._seen.append(token)
        return self._decoder.push(token).replace("\0", "\ufffd")  # PostgreSQL's text has no NUL

    def _finish(self, reason):
        """End here: what was held back is text after all; bytes of an incomplete character stay out of it."""
        self.finish_reason = reason
        return self._stop_strings.held


class Constrained(Continuation):
    """A continuation that obeys a constraint: tokens that it does not allow are not chosen, forced ones follow at once.

    It ends where the text is complete: by an end token, or as soon as nothing more may follow. A text for which the
    limit is too low is an error (53400), never a part of it. matcher: a constraints.Matcher. given: as Continuation has
    it.
    """

    def __init__(self, matcher, *given, **others):
        super().__init__(*given, **others)
        self._matcher, self._text = matcher, ""
        self.greedy = self.is_argmax = False
        if self.finish_reason is not None:
            raise self._unfinished()

    def choose(self, logits, guessed=()):
        """As Continuation.choose; nothing is guessed."""
        return super().choose(self._matcher.masked(logits, self.ends), guessed)

    def take(self, token):
        """Go on with this token, and with those that are forced after it; return their text."""
        if token in self.ends:
            return self._finish("stop")
        if self.remaining == 0:
            raise self._unfinished()
        self._matcher.take(token)
        following, before = [token, *self._matcher.forced()], len(self.tokens)
        text = "".join(map(self._write, following[: self.remaining]))
        self._text += text
        self._end(is_cut=len(following) > len(self.tokens) - before)
        return text

    def _end(self, is_cut):
        """End where the text is complete; raise ModelError 53400 where it can no longer become so."""
        matcher = self._matcher
        if is_cut or (self.remaining == 0 and not matcher.is_complete):
            raise self._unfinished()
        if matcher.is_ended or (matcher.is_complete and not self.ends):
            self._finish("stop")

    def _unfinished(self):
        shown = repr(self._text[:MOST_OF_AN_END])
        if len(self._text) > MOST_OF_AN_END:
            shown += f" ... {self._text[MOST_OF_AN_END:][-MOST_OF_AN_END:]!r}"
        return errors.limit_exceeded(
            "the text is not complete",
            f"max_tokens or the context ended after {len(self.tokens)} tokens: {shown}",
            "Allow more max_tokens. A schema's maxLength and maxItems shorten a text.",
        )


class StopStrings:
    """Finds the stop string that is completed first, across pieces too, and holds back what may be the start of one."""

    def __init__(self, stop):
        self._stop = tuple(stop)
        self.held = ""
        self.completed = None

    def push(self, text):
        """The text that is now certain to come before any stop string, without what was returned earlier."""
        text = self.held + text
        found = [(text.index(stop) + len(stop), text.index(stop), stop) for stop in self._stop if stop in text]
        if found:
            _, start, self.completed = min(found)
            self.held = ""
            return text[:start]
        certain = len(text) - max((_overlap(text, stop) for stop in self._stop), default=0)
        self.held = text[certain:]
        return text[:certain]


def _overlap(text, stop):
    """The length of the longest end of `text` that begins `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)


def stream(engine, continuation, checkpoint, cache=None, guesses=None, stats=None):
    """Run `continuation` to its end on `engine`; yields the pieces of its text, which are never empty.

    checkpoint() is called before each pass, or each few of one call, and when they are interrupted; what it raises ends
    the generation. cache: holds a beginning of the prompt, at least a token less; in the end it holds all but the last
    token. guesses: a Speculation; the model computes what follows each guess, and those that it would not have chosen
    are forgotten: the text is what it is without guesses, on an engine whose bits do not depend on the batch. stats: a
    Stats that counts.
    """
    if continuation.finish_reason is not None:
        return
    stats = Stats() if stats is None else stats
    guesses = Speculation() if guesses is None else guesses
    cache, begins = (engine.new_cache(), 0) if cache is None else (cache, cache.length)
    fresh = continuation.history[begins:]
    stats.reused, stats.prefilled = begins, len(fresh)
    runs = continuation.greedy and isinstance(engine, DecodingEngine)
    guessed = []
    while True:
        began = guesses.clock()
        is_run = runs and len(fresh) == 1 and not guessed and guesses.rest != 0
        if is_run:
            chosen, logits = _run(engine, continuation, fresh[0], cache, guesses.rest, checkpoint)
        else:
            chosen = []
            logits = engine.forward(fresh + guessed, cache, last_only=not guessed, checkpoint=checkpoint)
        seconds = guesses.clock() - began
        pieces = list(_written(continuation, chosen, guessed, logits))
        _count(stats, continuation, guessed, pieces)
        if guessed or continuation.finish_reason is not None:
            _forget(cache, continuation)
        yield from filter(None, pieces)
        if continuation.finish_reason is not None:
            return
        if len(fresh) == 1:  # else it was the prompt
            guesses.learn(len(guessed), len(pieces), seconds, is_plain=is_run or not runs)
        fresh = continuation.history[cache.length :]
        guessed = guesses.guess(continuation.history, continuation.remaining - 1)


def _run(engine, continuation, token, cache, most, checkpoint):
    """Several passes in one call of the engine, each for the argmax of the one before: (tokens, [the last logits])."""
    ends = np.fromiter(continuation.ends, np.int64)
    most = min(continuation.remaining, most or continuation.remaining)
    chosen, logits = engine.decode(token, cache, most, ends, checkpoint)
    return chosen.tolist(), [logits]


def _written(continuation, chosen, guessed, logits):
    """Go on with the chosen tokens, then by the logits before and after each guess, up to a wrong one; the texts of all
    tokens."""
    for argmax in chosen:
        yield continuation.take(argmax)
    for scores, guessed_token in zip(logits, [*guessed, None], strict=True):
        yield continuation.accept(scores)
        if continuation.finish_reason is not None or continuation.history[-1] != guessed_token:
            return


def _count(stats, continuation, guessed, pieces):
    """Count a pass that wrote these pieces: all but the last are guesses that were right, if there were any."""
    stats.generated = len(continuation.tokens)
    if guessed:
        stats.guessed += len(guessed)
        stats.accepted += len(pieces) - 1


def _forget(cache, continuation):
    """Leave in the cache what is surely of the text."""
    cache.truncate(min(cache.length, len(continuation.history) - 1))


def prompt_tokens(model, prompt, add_special=True, parse_special=False):
    """Ids of a prompt: behind those that the model wants before a text, never with what ends one.

    An empty prompt is what stands before a text, or the beginning-of-sequence token alone; where the tokenizer has
    none it is an error (22023).
    """
    ceilings.require_bytes("text_mb", ceilings.size(prompt), "the prompt")
    tokens = model.encode_at_most(prompt, model.architecture.context_length, parse_special)
    tokenizer = model.tokenizer
    if add_special:
        tokens = [*tokenizer.before, *tokens]
    if not tokens and tokenizer.bos_id is not None:
        tokens = [tokenizer.bos_id]
    if not tokens:
        raise errors.invalid_parameter(
            "the prompt is empty and the tokenizer has no beginning-of-sequence token",
            hint="Give the prompt at least one character.",
        )
    return tokens


def most_tokens(architecture, tokens, max_tokens):
    """How many tokens may follow the prompt: max_tokens, or as many as the context still holds if that is less.

    A prompt longer than the context is an error (53400) that says by how much.
    """
    excess = len(tokens) - architecture.context_length
    if excess > 0:
        raise errors.limit_exceeded(
            f"the prompt is {excess} tokens longer than the model's context",
            f"it has {len(tokens)} tokens, the context holds {architecture.context_length}",
            "Shorten the prompt.",
        )
    return min(max_tokens, -excess)


def most_tokens_in_memory(model, tokens):
    """How many tokens may follow the prompt so that keys and values of the text fit in the superuser's limit batch_mb.

    A prompt whose own do not fit is an error (53400).
    """
    most = ceilings.allowed("batch_mb")
    if most is None:
        return model.architecture.context_length
    each = model.architecture.kv_bytes(getattr(model.engine, "kv_dtype", "float32"))
    ceilings.require_bytes("batch_mb", len(tokens) * each, "the memory of the prompt's keys and values")
    return most * ceilings.MEGABYTE // each - len(tokens)


def start(model, prompt, max_tokens, settings, stop, chosen, weigh=Candidates, constraint=None):
    """A Continuation of a text on a loaded model. prompt: a text, or its token ids. `chosen`: the checked options."""
    tokenizer = model.tokenizer
    tokens = prompt
    if isinstance(prompt, str):
        tokens = prompt_tokens(model, prompt, chosen.get("add_special", True), chosen.get("parse_special", False))
    eos_ids = () if chosen.get("ignore_eos") else tokenizer.eos_ids
    stop_tokens = arguments.indices("options.stop_tokens", chosen.get("stop_tokens", []), tokenizer.vocabulary_size)
    kind = Continuation if constraint is None else functools.partial(Constrained, constraint.begin())
    return kind(
        tokenizer,
        tokens,
        min(most_tokens(model.architecture, tokens, max_tokens), most_tokens_in_memory(model, tokens)),
        settings,
        Ends(stop, (*eos_ids, *stop_tokens)),
        at_start=constraint is None and not any(tokenizer.is_shown(token) for token in tokens),
        weigh=weigh,
        model=model.name,
    )


def default_max_tokens():
    """max_tokens where a call does not say it: 128, or what a superuser allows where that is less."""
    most = ceilings.allowed("max_tokens")
    return DEFAULT_MAX_TOKENS if most is None else min(DEFAULT_MAX_TOKENS, most)


class Request:
    """The arguments that all texts of a call share, checked; what is None has its default. Then the model is looked up.

    given: the values of samplers.ARGUMENTS, stop, options. Raises ModelError 22023 that names the argument, 42704 for
    the model.
    """

    known = OPTIONS

    def __init__(self, model, max_tokens, *given):
        *values, stop, options = given
        self._options = arguments.options(options, self.known)
        self._settings = samplers.settings(values, self._options)
        self._max_tokens = arguments.integer("max_tokens", max_tokens, default_max_tokens(), 0, 2**31 - 1)
        ceilings.require("max_tokens", self._max_tokens, "max_tokens")
        ceilings.require_texts(stop or (), "stop")
        self._stop = arguments.strings("stop", stop)
        draft = self._options.get("draft")
        default = 0 if draft is None else GUESSED_BY_DRAFT
        self.guess = arguments.integer("options.guess", self._options.get("guess"), default, 0, MOST_GUESSED)
        self.model = models.decoder(model)
        self.draft = None if draft is None else drafts.model_of(draft, self.model)
        self._weigh = engines.candidates()
        self.constraint = self._constraint()

    def _constraint(self):
        """What the texts must be, if anything: an object with begin(), which gives a text's constraints.Matcher."""
        kinds = [kind for kind in CONSTRAINTS if kind in self._options]
        if not kinds:
            return None
        others = [*kinds[1:], *(name for name in UNCONSTRAINED if self._options.get(name))]
        if others or self._stop:
            other = f"options.{others[0]}" if others else "stop"
            raise errors.invalid_parameter(f"options.{kinds[0]} and {other} cannot be given together")
        self.guess, self.draft = 0, None  # guesses are not made of what a constraint allows
        return self.model.constraint(kinds[0], self._options[kinds[0]])

    def continuation(self, prompt, number=0):
        """The Continuation of a prompt, a text or a list of token ids, which is used as it is.

        number: of the text in its call, from 0; its seed is that much larger.
        """
        seed = (self._settings.seed + number + 2**63) % 2**64 - 2**63
        settings = dataclasses.replace(self._settings, seed=seed)
        return start(
            self.model, prompt, self._max_tokens, settings, self._stop, self._options, self._weigh, self.constraint
        )

    @functools.cached_property
    def most_bytes(self):
        """A prompt of more bytes is refused."""
        model, most = self.model, ceilings.allowed("text_mb")
        fit = model.most_bytes(model.architecture.context_length, self._options.get("parse_special", False))
        return min(sys.maxsize if most is None else most * ceilings.MEGABYTE, sys.maxsize if fit is None else fit)

    def refusal(self, size):
        """The error of a prompt of so many bytes, more than `most_bytes`."""
        return too_long(f"the prompt has {size} bytes, allowed {self.most_bytes}")

    def text(self, prompt, continuation):
        """What is returned of a continuation's text."""
        return prompt + continuation if self._options.get("echo") else continuation


def details(prompt, *given):
    """Generate: (text, tokens, finish_reason, prompt_tokens, completion_tokens, milliseconds).

    given: as Request has them. All are None for the prompt None.
    """
    if prompt is None:
        return (None,) * 6
    began = time.perf_counter()
    request = Request(*given)
    continuation = request.continuation(prompt)
    stats = prefixes.begin()
    text = request.text(prompt, write(request, continuation, stats))
    stats.milliseconds = milliseconds = (time.perf_counter() - began) * 1000
    tokens = continuation.tokens
    return text, tokens, continuation.finish_reason, continuation.prompt_tokens, len(tokens), milliseconds


def write(request, continuation, stats):
    """The text of a continuation, with what the session keeps of earlier ones."""
    engine = request.model.engine
    reusable = prefixes.Prefixes(request.model, engine)
    guesses = request.guess and scheduler.batches(engine)
    draft = drafts.Draft(request.draft, request.model) if guesses and request.draft else None
    call = admission.Call()
    with call.running():
        cache = reusable.fork(continuation.history) or engine.new_cache()
        speculation = _speculation(request.guess if guesses else 0, draft, continuation, call.checkpoint)
        text = "".join(stream(engine, continuation, call.checkpoint, cache, speculation, stats))
    if draft is not None:
        draft.keep(continuation.history)
    reusable.keep(continuation.history, cache)
    return text


def _speculation(most, draft, continuation, checkpoint):
    """At most `most` guesses at a time: by prompt lookup where it finds something, else by the draft, if any."""
    if not most:
        return Speculation()
    lookup = PromptLookup(most)
    if draft is None:
        return by_lookup(lookup, most)
    pace, plain = draft.pace(most, continuation.greedy)
    return Speculation([(lookup, Pace(most)), (draft.guesser(continuation, checkpoint), pace)], plain)


def tokenize(text, model=None, add_special=None, parse_special=None):
    """Text to token ids."""
    if text is None:
        return None
    ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
    return models.resolve(model).encode(text, add_special is not False, parse_special is True)


def count_tokens(text, model=None, add_special=None):
    """How many tokens a text has."""
    return None if text is None else len(tokenize(text, model, add_special))


def detokenize(tokens, model=None):
    """Token ids to text: control tokens are left out; half a character, and NUL, is U+FFFD."""
    if tokens is None:
        return None
    tokenizer = models.resolve(model).tokenizer
    tokens = arguments.indices("tokens", tokens, tokenizer.vocabulary_size)
    ceilings.require_bytes("text_mb", sum(len(tokenizer.token_bytes(token)) for token in tokens), "the text")
    return tokenizer.decode(tokens).replace("\0", "\ufffd")


def check_prompt(size, model=None):
    """True; ModelError 53400 when a prompt of so many bytes is certainly longer than a model's context.

    What llm.generate asks of a large prompt before it hands it over: Python would make two copies of it first.
    """
    ceilings.require_bytes("text_mb", size, "the prompt")
    model = models.decoder(model)
    model.require_bytes(size, model.architecture.context_length, parse_special=True)
    return True
