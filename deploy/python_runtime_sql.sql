-- Deploy hartonomous:python_runtime_sql to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/sql/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.sql__batches()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Generation for many rows at once: from an array of prompts, from a query, into a table.

Each row's text is a sequence of `generate/scheduler`; rows come back as they finish. Row n, counted from 0, is what
llm.generate gives for its prompt with the seed `seed` + n, so that equal prompts differ when tokens are drawn. A prompt
that is NULL or too long is the error of its row, and the other rows go on; a wrong argument ends the call.
"""

import time

from ..generate.scheduler import Scheduler
from ..server import arguments, ceilings, database, errors, settings, sql_errors, streams
from ..session import admission, prefixes
from .generation import Request

COLUMNS_GIVEN = 5  # key, response, finish_reason, tokens, error
FETCH = 32  # rows of a query at a time
SECONDS_BETWEEN_COMMITS = 1
SHAPE = "It is a SELECT, or VALUES, of two columns: SELECT id, body FROM post."

LIMITED = """SELECT id::text,
    CASE WHEN pg_catalog.octet_length(prompt::text) <= {most} THEN prompt::text END AS prompt,
    CASE WHEN pg_catalog.octet_length(prompt::text) > {most} THEN pg_catalog.octet_length(prompt::text) END AS too_many
FROM (
{query}
) AS given (id, prompt)"""
TABLE_COLUMNS = database.Query(
    "SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type "
    "FROM pg_catalog.pg_attribute AS a "
    "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped "
    "AND a.attname IN ('id', 'response', 'finish_reason', 'tokens', 'error')",
    "text",
)
TYPES = {"response": "text", "finish_reason": "text", "tokens": "integer", "error": "text"}


def generate_many(prompts, *given):
    """Rows (ordinal from 1, response, finish_reason, tokens, error) for an array of prompts, as they finish."""
    if prompts is None:
        return []
    for prompt in prompts:
        if prompt is not None and not isinstance(prompt, str):
            raise arguments.ill("prompts", prompts, "an array of one dimension")
    ceilings.require_texts(prompts, "prompts")
    return streams.Stream(written(Request(*given), enumerate(prompts, 1)), COLUMNS_GIVEN)


def generate_query(query, *given):
    """Rows (id, response, finish_reason, tokens, error) for the rows (id, prompt) of a query, as they finish."""
    if query is None:
        return []
    request = Request(*given)
    return streams.Stream(written(request, rows_of(query, request)), COLUMNS_GIVEN)


def generate_into(query, target, *given):
    """Insert what generate_query gives into a table, and commit about once a second, so that nothing done is lost."""
    if query is None or target is None:
        raise arguments.ill("query" if query is None else "target", None, "not null")
    insert = database.Query(*_insertion(target))
    with sql_errors.hint_for([errors.INVALID_TERMINATION], "It commits as it goes: call it outside of a transaction."):
        database.commit()  # nothing yet: where none is possible, that is said before anything is computed
    request = Request(*given)
    try:
        _insert(insert, written(request, rows_of(query, request, database.lasting_cursor)))
    finally:
        insert.forget()


def _insert(insert, rows):
    committed = time.monotonic()
    for row in rows:
        insert.one(*row)
        if time.monotonic() - committed > SECONDS_BETWEEN_COMMITS:
            database.commit()
            committed = time.monotonic()
    database.commit()


def written(request, prompts):
    """Rows (key, response, finish_reason, tokens, error) of (key, prompt) pairs; reads one when another can run.

    What can be wrong with the arguments is found here, before the first row.
    """
    stats, engine = prefixes.begin(), request.model.engine
    _ = request.model.tokenizer  # read now: later there may be a slot, within which nothing waits for the tables
    reusable = prefixes.Prefixes(request.model, engine)
    memory = settings.megabytes("batch_mb")
    rows = _continuations(request, prompts)
    call = admission.Call()
    scheduler = Scheduler(engine, rows, call.checkpoint, memory, stats, reusable.fork)
    return _written(request, call.each(scheduler.run()), scheduler, stats, reusable)


def _written(request, results, scheduler, stats, reusable):
    for (key, prompt), continuation, text, error in timed(results, stats):
        if error is not None:
            yield key, None, None, None, told(error)
        else:
            tokens = len(continuation.tokens)
            yield key, request.text(prompt, text), continuation.finish_reason, tokens, None
    if scheduler.last is not None:
        reusable.keep(scheduler.last.continuation.history, scheduler.last.cache)


def rows_of(query, request, cursor=database.cursor):
    """The (id, prompt) of a query's rows, both as text; nobody waits for this session's slot meanwhile.

    A prompt that cannot fit is a ModelError in its place: it never leaves the server.
    """
    ceilings.require_bytes("text_mb", ceilings.size(query), "the query")
    text = query.rstrip().rstrip(";")
    _check_columns(text)
    rows = cursor(LIMITED.format(query=text, most=request.most_bytes), FETCH)
    while True:
        with admission.paused():
            row = next(rows, None)
        if row is None:
            return
        yield row["id"], row["prompt"] if row["too_many"] is None else request.refusal(row["too_many"])


def _check_columns(query):
    with sql_errors.hint_for((errors.SYNTAX_ERROR, errors.SEVERAL_STATEMENTS), f"The query stands in FROM. {SHAPE}"):
        columns = database.columns_of(query)
    if len(columns) != 2:
        raise errors.invalid_parameter(
            f"the query gives {len(columns)} column{'s' * (len(columns) != 1)}, not an id and a prompt",
            ", ".join(columns) or None,
            SHAPE,
        )


def _continuations(request, prompts):
    """((key, prompt), Continuation or ModelError) of each."""
    for number, (key, prompt) in enumerate(prompts):
        try:
            if prompt is None:
                raise errors.invalid_parameter("the prompt is null")
            if isinstance(prompt, errors.ModelError):
                raise prompt
            yield (key, prompt), request.continuation(prompt, number)
        except errors.ModelError as error:
            yield (key, prompt), error


def timed(results, stats):
    """The results; the stats grow by the time that each took."""
    while True:
        began = time.perf_counter()
        result = next(results, None)
        stats.milliseconds += (time.perf_counter() - began) * 1000
        if result is None:
            return
        yield result


def told(error):
    """An error as a row shows it."""
    return error.message if error.detail is None else f"{error.message}: {error.detail}"


def _insertion(target):
    """The INSERT into a table and its parameters' types; ids have the type of the table's own."""
    types = {row["name"]: row["type"] for row in TABLE_COLUMNS.all(target)}
    missing = [name for name in ("id", *TYPES) if name not in types]
    if missing:
        raise errors.invalid_parameter(
            f"table {target} has no column {missing[0]}",
            hint="It needs id, of any type, and response text, finish_reason text, tokens integer, error text.",
        )
    columns = ", ".join(("id", *TYPES))
    sql = f"INSERT INTO {target} ({columns}) VALUES ($1, $2, $3, $4, $5)"
    return sql, types["id"], *TYPES.values()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__batches() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__batches() IS
'Generation for many rows at once: from an array of prompts, from a query, into a table.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__boundary()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Around a call of Python: SQL checks the size of an array before it, and raises the error of a later row after it."""

from ..server.ceilings import check_array
from ..server.streams import raise_late

__all__ = ["check_array", "raise_late"]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__boundary() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__boundary() IS
'Around a call of Python: SQL checks the size of an array before it, and raises the error of a later row after '
'it.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__chat()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Chat: messages in, an answer out, by the model's own chat template."""

import json
import weakref

from ..generate import answers, chat_prompts, chat_templates
from ..generate.chat_prompts import Conversation
from ..server import ceilings, errors
from ..server import messages as told
from ..session import models, prefixes
from . import generation

# The prompt is the template's, so options about its tokens and its text have no meaning.
CHAT_OPTIONS = {
    **{key: kind for key, kind in generation.OPTIONS.items() if key not in ("add_special", "parse_special", "echo")},
    "template_arguments": (dict, 'what else the chat template reads, such as {"enable_thinking": false}'),
}
# The order in which keys of a tool are usually written, which models learnt; jsonb has one of its own.
USUAL = ("type", "function", "name", "description", "parameters", "properties", "items", "enum", "required")
PROMPT_END = 32  # tokens at the end of a prompt, which may begin the reasoning
NO_TEMPLATE = "Its prompts follow ChatML, which it may not have learnt. A file with a chat template brings its own."

_prompts = weakref.WeakKeyDictionary()  # ChatPrompts by Tokenizer


class ChatRequest(generation.Request):
    """The arguments that all answers of a call share, as Request has those of texts."""

    known = CHAT_OPTIONS

    def __init__(self, model, *given):
        super().__init__(model, *given)
        self._prompts = noticed(self.model)
        self._stop = (*self._stop, *self._prompts.stop_strings)

    def conversation(self, messages, tools=None):
        """The Conversation of two jsonb values, given as text; checked."""
        variables = self._options.get("template_arguments")
        return conversation(messages, tools, variables=variables)

    def answer_to(self, conversation, number=0):
        """The Continuation that answers a conversation. number: as of `continuation`."""
        continuation = self.continuation(tokens_of(self.model, conversation), number)
        end = self._prompts.end_of_turn
        if end is not None and not self._options.get("ignore_eos"):
            continuation.ends |= {end}
        return continuation

    def answer(self, conversation, continuation, text):
        """The answers.Answer of a continuation whose text is `text`."""
        if continuation.finish_reason != "stop_string":
            text = self.model.tokenizer.decode(continuation.tokens, keep_control=True)
        end = continuation.history[: continuation.prompt_tokens][-PROMPT_END:]
        prompt = self.model.tokenizer.decode(end, keep_control=True)
        answer = answers.parse(text, prompt, bool(conversation.tools))
        return answer._replace(text=self._prompts.without_control(answer.text).replace("\0", "\ufffd"))


def prompts(model):
    """The ChatPrompts of a model."""
    tokenizer = model.tokenizer
    if tokenizer not in _prompts:
        _prompts[tokenizer] = chat_prompts.ChatPrompts(tokenizer)
    return _prompts[tokenizer]


def noticed(model):
    """The ChatPrompts of a model, with a NOTICE where it has no chat template."""
    found = prompts(model)
    if not found.has_template:
        told.notice(f'model "{model.name}" has no chat template', hint=NO_TEMPLATE)
    return found


def tokens_of(model, conversation):
    """Token ids of a Conversation. Interruptible."""
    context = model.architecture.context_length

    def encode(text, parses):
        return model.encode_at_most(text, context, parses)

    def check(text):
        model.require_bytes(len(text), context, parse_special=True)

    return prompts(model).tokens(conversation, encode, check)


def turn_tokens(model, text):
    """Token ids of one turn of a user, ready for the answer; the text alone where the model has no chat template."""
    if not prompts(model).has_template:
        return generation.prompt_tokens(model, text)
    return tokens_of(model, Conversation([{"role": "user", "content": text}]))


def conversation(messages, tools=None, add_generation_prompt=True, variables=None):
    """The Conversation of two jsonb values, given as text. Raises ModelError 22023 for what is not one."""
    messages, tools = document("messages", messages), _in_usual_order(document("tools", tools))
    chat_prompts.checked(messages, tools)
    for name in variables or ():
        if name in chat_templates.OWN_NAMES:
            raise errors.invalid_parameter(f'options.template_arguments has "{name}", which the call itself gives')
    return Conversation(messages, tools, add_generation_prompt, variables)


def document(name, value):
    """The value of a jsonb argument, given as text; None for None."""
    if value is None:
        return None
    ceilings.require_bytes("text_mb", ceilings.size(value), f"argument {name}")
    try:
        return json.loads(value)
    except (ValueError, RecursionError):  # a number of more digits than Python reads
        raise errors.invalid_parameter(
            f"argument {name} has a number that is too long, or is nested too deeply"
        ) from None


def _in_usual_order(value):
    if isinstance(value, list):
        return [_in_usual_order(each) for each in value]
    if not isinstance(value, dict):
        return value
    names = sorted(value, key=lambda name: USUAL.index(name) if name in USUAL else len(USUAL))
    return {name: _in_usual_order(value[name]) for name in names}


def prompt_text(messages, model=None, tools=None, add_generation_prompt=None):
    """The prompt of messages as text. None for the messages None."""
    if messages is None:
        return None
    given = conversation(messages, tools, add_generation_prompt is not False)
    return noticed(models.decoder(model)).text(given)


def details(messages, model, tools, *given):
    """Answer: (text, reasoning, tool_calls, finish_reason, usage). given: as Request has them, after the model.

    All are None for the messages None.
    """
    if messages is None:
        return (None,) * 5
    request = ChatRequest(model, *given)
    conversation = request.conversation(messages, tools)
    continuation = request.answer_to(conversation)
    text = generation.write(request, continuation, prefixes.begin())
    answer = request.answer(conversation, continuation, text)
    calls = None if answer.tool_calls is None else _jsonb(answer.tool_calls)
    return answer.text, answer.reasoning, calls, continuation.finish_reason, _jsonb(usage(continuation))


def usage(continuation):
    """The tokens of a continuation, under the names that clients of chat know."""
    prompt, completion = continuation.prompt_tokens, len(continuation.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _jsonb(value):
    """A value as jsonb takes it: without U+0000 and without halves of characters."""
    return json.dumps(_storable(value), ensure_ascii=False)


def _storable(value):
    if isinstance(value, str):
        return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__chat() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__chat() IS
'Chat: messages in, an answer out, by the model''s own chat template.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__chat_streaming()
RETURNS void
LANGUAGE plpython3u
AS $python$"""An answer as rows: each piece of its text as soon as it is certain. Reasoning and calls of tools are left out."""

from ..generate.answer_stream import certain_text
from ..model.tokenizer import StreamDecoder
from . import streaming
from .chat import PROMPT_END, ChatRequest


class StreamedRequest(ChatRequest):
    """A ChatRequest whose answer comes in pieces."""

    def spoken(self, conversation, continuation, pieces):
        """The pieces of the answer's text, of the pieces of the whole; joined they are what llm.chat returns."""
        end = continuation.history[: continuation.prompt_tokens][-PROMPT_END:]
        prompt = self.model.tokenizer.decode(end, keep_control=True)
        everything = told = ""
        for whole, raw in self._written(continuation, pieces):
            everything = whole
            text = self._storable(certain_text(raw, prompt, bool(conversation.tools)))
            if len(text) > len(told) and text.startswith(told):
                yield text[len(told) :]
                told = text
        text = self.answer(conversation, continuation, everything).text
        if len(text) > len(told) and text.startswith(told):
            yield text[len(told) :]

    def _written(self, continuation, pieces):
        """(all pieces so far, the same with control tokens): only the first is certain where a stop string may come."""
        decoder, whole, raw, read = StreamDecoder(self.model.tokenizer, True, keep_control=True), "", "", 0
        for piece in pieces:
            whole += piece
            raw += "".join(map(decoder.push, continuation.tokens[read:]))
            read = len(continuation.tokens)
            yield whole, whole if self._stop else raw

    def _storable(self, text):
        return self._prompts.without_control(text).replace("\0", "\ufffd")


def chat(messages, model, tools, *given):
    """Rows (seq from 1, piece, token_id, logprob, finish_reason) of the text that llm.chat gives."""
    if messages is None:
        return []
    request = StreamedRequest(model, *given)
    conversation = request.conversation(messages, tools)
    continuation = request.answer_to(conversation)
    return streaming.rows(
        request, continuation, through=lambda pieces: request.spoken(conversation, continuation, pieces)
    )
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__chat_streaming() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__chat_streaming() IS
'An answer as rows: each piece of its text as soon as it is certain. Reasoning and calls of tools are left out.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__choices()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Tasks whose answers are given: llm.matches, llm.rate and llm.classify, and the same for the rows of a query.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__choices() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__choices() IS
'Tasks whose answers are given: llm.matches, llm.rate and llm.classify, and the same for the rows of a query.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__chunking()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Splits long texts into overlapping chunks that end after a sentence, or else after a word, where possible."""

import re
from bisect import bisect_left

from ..server import arguments, ceilings, interrupts, streams
from ..session import models
from . import embeddings

CHUNK_COLUMNS = 4  # ordinal, chunk, first character, tokens
DEFAULT_TOKENS = 128
DEFAULT_OVERLAP = 16
MOST_CHUNK_TOKENS = 1 << 20
# A sentence ends with a full stop and closing quotes or brackets before white space, with a full stop of Chinese or
# Japanese, or with an empty line.
CLOSING = "\"'\u201d\u2019\u00bb)\\]"
WIDE_STOPS, WIDE_CLOSING = "\u3002\uff01\uff1f", "\u300d\u300f\uff09"
# Possessive quantifiers, and a match only at the first stop of several: a text of full stops alone is scanned once.
SENTENCE_END = re.compile(
    rf"(?<![.!?\u2026])[.!?\u2026]++[{CLOSING}]*+(?=\s)|[{WIDE_STOPS}]++[{WIDE_CLOSING}]*+|\n[ \t]*+\n"
)


def chunk(text, model=None, tokens=None, overlap=None):
    """Rows (ordinal from 1, chunk, first character from 1, tokens) of a text; none for None or a blank text."""
    if text is None:
        return []
    ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
    model = models.embedder(model)
    most = min(MOST_CHUNK_TOKENS, embeddings.most_text_tokens(model))
    tokens = arguments.integer("tokens", tokens, min(DEFAULT_TOKENS, most), 1, most)
    overlap = arguments.integer("overlap", overlap, min(DEFAULT_OVERLAP, tokens // 2), 0, tokens - 1)
    return streams.Stream(_rows(text, model.spans(text), tokens, overlap), CHUNK_COLUMNS)


def _rows(text, spans, tokens, overlap):
    """The rows, one by one: with a large overlap the chunks together are many times as large as the text."""
    pieces = ((_between(text, spans, begin, end), end - begin) for begin, end in _cuts(text, spans, tokens, overlap))
    pieces = ((first, content, count) for (first, content), count in pieces if content)
    for n, (first, content, count) in enumerate(pieces, 1):
        yield n, content, first + 1, count


def _cuts(text, spans, size, overlap):
    """(first token, end) of each chunk. Ends are searched in the second half of a chunk, so none is small."""
    starts, _ = spans
    sentences = {bisect_left(starts, match.end()) for match in SENTENCE_END.finditer(text)}
    begin, total = 0, len(starts)
    while begin < total:
        interrupts.checkpoint()
        end = begin + size
        if end >= total:
            yield begin, total
            return
        end = _best_cut(text, spans, sentences, range(end, begin + (size + 1) // 2, -1)) or end
        yield begin, end
        begin = _best_cut(text, spans, sentences, range(max(end - overlap, begin + 1), end)) or end


def _best_cut(text, spans, sentences, cuts):
    """The first of the cuts that is between sentences, else the first between words; None without either."""
    return _first(cuts, sentences.__contains__) or _first(cuts, lambda at: _begins_word(text, spans, at))


def _first(cuts, fits):
    return next((cut for cut in cuts if fits(cut)), None)


def _begins_word(text, spans, at):
    starts, ends = spans
    start = starts[at]
    return start > ends[at - 1] or text[start : start + 1].isspace()


def _between(text, spans, begin, end):
    """(first character, content) of the tokens begin .. end and the text between them, without outer white space."""
    starts, _ = spans
    first = starts[begin] if begin else 0
    content = text[first : starts[end] if end < len(starts) else len(text)]
    return first + len(content) - len(content.lstrip()), content.strip()


def pieces(text, model, tokens):
    """[(piece, how many tokens it has), ...] of a text, without overlap and without blank ones, cut as chunks are."""
    spans = model.spans(text)
    cuts = _cuts(text, spans, tokens, 0)
    found = ((_between(text, spans, begin, end)[1], end - begin) for begin, end in cuts)
    return [(content, count) for content, count in found if content]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__chunking() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__chunking() IS
'Splits long texts into overlapping chunks that end after a sentence, or else after a word, where possible.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__diff()
RETURNS void
LANGUAGE plpython3u
AS $python$"""How two models differ, tensor by tensor: llm.diff. Equal tensors cost nothing, because their hashes are equal.

The same model can come from different files. Rows of q and k that the files have in different orders are compared in
the order of `b`. A rope_freqs.weight that says the same as the other model's configuration is no difference.
"""

import json
from dataclasses import dataclass

import numpy as np

from ..model import encoder, encodings, rope_rows
from ..model.decoder import ROPE_DIVISORS
from ..store import manifest, models, tensor_writer
from ..weights import tensors as weights


@dataclass(frozen=True)
class Described:
    """A stored model: its architecture and {name: Tensor}."""

    architecture: object
    tensors: dict

    def frequencies(self):
        """f32[head_dim / 2], the frequencies of rope; None for an encoder, which has no rope."""
        divisors = self.tensors.get(ROPE_DIVISORS)
        return self.architecture.rope_frequencies(None if divisors is None else weights.decoded(divisors))


def described(model):
    """The Described of a row of `store.models.found`."""
    architecture = encoder.of_config(json.loads(model["architecture"]))
    return Described(architecture, models.tensors(model))


def same_rotation(one, other):
    """Whether two models rotate q and k by the same angles, up to float32: a GGUF has them, or their divisors, so."""
    here, there = one.frequencies(), other.frequencies()
    if here is None or there is None:
        return here is there
    return here.shape == there.shape and np.allclose(here, there, rtol=1e-6, atol=0)


def diff(a, b):
    """Rows (tensor, change, tiles, tiles_changed, norm) from model `a` to model `b`, in the order of b, then of a.

    change: none, values, type, shape, added or removed. tiles: those of b's tensor, of a's when it was removed.
    norm: the square root of the sum of squared differences of the values; None where there is nothing to subtract.
    """
    return list(_differences(*(described(models.found(model)) for model in (a, b))))


def _differences(before, after):
    for name, tensor in after.tensors.items():
        if name in before.tensors:
            yield _compared(before, after, before.tensors[name], tensor)
        else:
            yield _of_one(before, after, tensor, "added")
    for name, tensor in before.tensors.items():
        if name not in after.tensors:
            yield _of_one(before, after, tensor, "removed")


def _of_one(before, after, tensor, change):
    """The row of a tensor that only one of the models has."""
    tiles = len(tensor_writer.tile_hashes(tensor))
    if tensor.name == ROPE_DIVISORS and same_rotation(before, after):
        return tensor.name, "none", tiles, 0, 0.0
    return tensor.name, change, tiles, None, None


def _compared(before, after, old, new):
    heads = rope_rows.moved_heads(new.name, before.architecture, after.architecture)
    if old.shape == new.shape and heads is not None:
        return _compared_in_one_order(after.architecture, heads, old, new)
    tiles = tensor_writer.tile_hashes(new)
    if old.hash == new.hash:
        return new.name, "none", len(tiles), 0, 0.0
    if old.shape != new.shape:
        return new.name, "shape", len(tiles), None, None
    if old.type != new.type:
        return new.name, "type", len(tiles), len(tiles), _norm(weights.decoded(new) - weights.decoded(old))
    changed = [
        n for n, pair in enumerate(zip(tensor_writer.tile_hashes(old), tiles, strict=True)) if pair[0] != pair[1]
    ]
    return new.name, "values", len(tiles), len(changed), _norm_of_tiles(old, new, changed)


def _compared_in_one_order(architecture, heads, old, new):
    """The row of a tensor whose rows `old` has in another order: compared in that of `architecture`, b's."""
    order = heads, architecture.head_dim, architecture.rope_interleaved
    raw_old, raw_new = rope_rows.rearranged(weights.raw(old), *order), weights.raw(new)
    norm = _norm(encodings.decode(new.type, raw_new, new.shape) - encodings.decode(old.type, raw_old, old.shape))
    sizes = manifest.tile_sizes(int(np.prod(new.shape[:-1])), encodings.row_bytes(new.type, new.shape[-1]))
    if old.type != new.type:
        return new.name, "type", len(sizes), len(sizes), norm
    begins = np.cumsum((0, *sizes[:-1]))
    changed = int(np.count_nonzero(np.logical_or.reduceat(raw_old != raw_new, begins)))
    return new.name, "values" if changed else "none", len(sizes), changed, norm


def _norm_of_tiles(old, new, changed):
    """The norm of the difference; reads only tiles that differ."""
    if new.rows_per_tile == 0:
        return _norm(weights.decoded(new) - weights.decoded(old))
    norms = [_norm(tensor_writer.tile_values(new, n) - tensor_writer.tile_values(old, n)) for n in changed]
    return _norm(np.array(norms))


def _norm(difference):
    return float(np.sqrt(np.sum(np.square(difference, dtype=np.float64))))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__diff() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__diff() IS
'How two models differ, tensor by tensor: llm.diff. Equal tensors cost nothing, because their hashes are equal.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__editing()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Models as data: forks, edits of weights, copies in another encoding.

Everything is rows in the caller's transaction. Tensors are immutable and stored by content. An edit stores the tiles
that differ and points the model's row at the new tensor. So a fork is a few hundred small rows, other sessions see the
old weights until COMMIT, and ROLLBACK undoes an edit. Edits of one model wait for each other; readers never wait.

An edit keeps a tensor's type and shape, so the model's files can still be exported, with the edited tensors in them. A
merged or quantised model never was a file.
"""

import math
import re

import numpy as np

from ..model import mixes
from ..model.finite import LARGEST_FLOAT32
from ..server import arguments, database, errors
from ..store import models, tensor_writer

COPY_TENSORS = database.Query(
    """INSERT INTO llm_store.model_tensor (model_id, ordinal, name, tensor_hash)
    SELECT $2, mt.ordinal, mt.name, mt.tensor_hash FROM llm_store.model_tensor AS mt WHERE mt.model_id = $1""",
    *("integer", "integer"),
)
COPY_FILES = database.Query(
    """INSERT INTO llm_store.file_segment (model_id, path, ordinal, tensor_name, tile_hash)
    SELECT $2, f.path, f.ordinal, f.tensor_name, f.tile_hash FROM llm_store.file_segment AS f WHERE f.model_id = $1""",
    *("integer", "integer"),
)


def fork(model, new):
    """The id of a copy of a model that shares every tensor and file."""
    source = models.found(model)
    copy = models.new_model(source, new)
    COPY_TENSORS.all(source["id"], copy)
    COPY_FILES.all(source["id"], copy)
    models.finish(copy, "fork", {}, [model], source["hash"])
    return copy


def set_tensor(model, tensor, numbers):
    """Replace a tensor's values (little-endian f32 in its shape). Returns the largest rounding error."""
    target, stored = _editable(model, tensor)
    values = models.floats("numbers", numbers, math.prod(stored.shape)).reshape(-1, stored.shape[-1])
    hash, error = tensor_writer.rewrite(stored, lambda old, first: values[first : first + len(old)])
    models.change_tensors(target, "set_tensor", {"tensor": tensor, "error": error}, {tensor: hash})
    return error


def set_row(model, tensor, row_number, numbers):
    """Replace one row of a tensor, from 0 (little-endian f32). Returns the largest rounding error."""
    target, stored = _editable(model, tensor)
    row_number = arguments.integer("row_number", row_number, None, 0, math.prod(stored.shape[:-1]) - 1)
    values = models.floats("numbers", numbers, stored.shape[-1])
    hash, error = tensor_writer.replace_row(stored, row_number, values)
    details = {"tensor": tensor, "row_number": row_number, "error": error}
    models.change_tensors(target, "set_row", details, {tensor: hash})
    return error


def scale_tensor(model, tensor, factor):
    """Multiply a tensor by a number. Returns the largest rounding error."""
    target, stored = _editable(model, tensor)
    factor = models.number("factor", factor, -LARGEST_FLOAT32, LARGEST_FLOAT32)
    with np.errstate(over="ignore"):  # encoding refuses the infinity of an overflow
        hash, error = tensor_writer.rewrite(stored, lambda old, _: old * np.float32(factor))
    details = {"tensor": tensor, "factor": factor, "error": error}
    models.change_tensors(target, "scale_tensor", details, {tensor: hash})
    return error


def prune(model, threshold, tensors):
    """Set weights below a magnitude to 0 in matrices whose names are LIKE `tensors`. Returns how many became 0."""
    threshold = models.number("threshold", threshold, 0.0, LARGEST_FLOAT32)
    if tensors is None:
        raise arguments.ill("tensors", tensors, "a pattern as LIKE has it")
    target = models.owned(model)
    pattern = _like(tensors)
    chosen = [t for t in models.tensors(target).values() if len(t.shape) > 1 and pattern.fullmatch(t.name)]
    if not chosen:
        raise errors.undefined_object(
            f'no matrix of model "{model}" has a name LIKE "{tensors}"', hint=models.SEE_TENSORS
        )
    for stored in chosen:
        models.check_encodable(target, stored)
    zeroed = 0

    def without_small(old, _):
        nonlocal zeroed
        small = (np.abs(old) < threshold) & (old != 0)
        zeroed += int(small.sum())
        return np.where(small, np.float32(0), old)

    hashes = {stored.name: tensor_writer.rewrite(stored, without_small)[0] for stored in chosen}
    details = {"threshold": threshold, "tensors": tensors, "zeroed": zeroed}
    models.change_tensors(target, "prune", details, hashes)
    return zeroed


def quantize(model, new, type):
    """A copy of a model whose matrices have the encodings of mixes.types. Returns the largest rounding error."""
    source = models.found(model)
    if type is None or type.upper() not in mixes.NAMES:
        raise arguments.ill("type", type, f"one of {', '.join(mixes.NAMES)}")
    type = type.upper()
    copy = models.new_model(source, new)
    stored = models.tensors(source)
    wanted = mixes.types(type, {name: tensor.shape for name, tensor in stored.items()})
    hashes, largest = {}, 0.0
    for name, tensor in stored.items():
        if wanted[name] in (None, tensor.type):
            hashes[name] = tensor.hash
            continue
        hashes[name], error = tensor_writer.convert(tensor, wanted[name])
        largest = max(largest, error)
    models.add_tensors(copy, hashes)
    models.finish(copy, "quantize", {"type": type, "error": largest}, [model], source["hash"])
    return largest


def _editable(model, tensor):
    """(row of the model, Tensor) of a tensor that the caller may change and that can be written."""
    target = models.owned(model)
    stored = models.tensor_of(target, tensor)
    models.check_encodable(target, stored)
    return target, stored


def _like(pattern):
    """A LIKE pattern as a regular expression: % is any text, _ one character, a backslash takes the next literally."""
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(part) or re.escape(part[-1]) for part in parts), re.DOTALL)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__editing() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__editing() IS
'Models as data: forks, edits of weights, copies in another encoding.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__embeddings()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Embeddings: one vector for a text, from an encoder or from a decoder's last layer.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__embeddings() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__embeddings() IS
'Embeddings: one vector for a text, from an encoder or from a decoder''s last layer.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__generation()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Generation: a prompt and logits in, text out, one token at a time.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__generation() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__generation() IS
'Generation: a prompt and logits in, text out, one token at a time.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__ingestion()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Called by publishing and uploading: checks manifests, reads vocabularies, stores atoms."""

from ..atoms.atoms import check_weights, code_counts, store_codes, store_edited_codes, store_part, store_tokenizer
from ..store.manifest import check_manifest, tensor_layout, vocabulary

__all__ = [
    "check_manifest",
    "check_weights",
    "code_counts",
    "store_codes",
    "store_edited_codes",
    "store_part",
    "store_tokenizer",
    "tensor_layout",
    "vocabulary",
]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__ingestion() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__ingestion() IS
'Called by publishing and uploading: checks manifests, reads vocabularies, stores atoms.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__merge()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Merges several stored models into a new one: llm.merge. `store/merge_methods` has the arithmetic.

The models must have the same architecture, tensors and vocabulary. It does not matter which file a model came from: a
folder and a GGUF have the rows of q and k in different orders, and rope's frequencies as numbers or as a tensor.
"""

import json

import numpy as np

from ..model import rope_rows
from ..model.decoder import ROPE_DIVISORS
from ..server import arguments, database, errors
from ..store import merge_methods, tensor_writer
from ..store import models as stored_models
from ..weights import tensors
from . import diff

METHODS = ("linear", "slerp", "task_arithmetic", "ties")
WITH_BASE = ("task_arithmetic", "ties")
LARGEST_WEIGHT = 1e6  # a larger weight is a mistake
MOST_MODELS = 64

FIRST_OTHER_TOKEN = database.Query(
    """SELECT coalesce(a.id, b.id) AS id
    FROM (SELECT t.id, t.bytes FROM llm_store.token AS t WHERE t.tokenizer_id = $1) AS a
    FULL JOIN (SELECT t.id, t.bytes FROM llm_store.token AS t WHERE t.tokenizer_id = $2) AS b ON b.id = a.id
    WHERE a.bytes IS DISTINCT FROM b.bytes
    ORDER BY 1 LIMIT 1""",
    *("integer", "integer"),
)


def merge(models, new, factors, method, base, density, scale):
    """A new model of several, tensor by tensor. Returns the largest rounding error of encoding it.

    One tensor of each model is in memory at a time, as f32. Tensors get the first model's types and its order of the
    rows of q and k; those that are equal in all models are shared. Rope rotates by the same angles in all models.
    """
    names = _names(models)
    factors, method = _recipe(len(names), factors, method, base)
    density = arguments.number("density", density, 0.2, 0.0, 1.0)
    scale = arguments.number("scale", scale, 1.0, -LARGEST_WEIGHT, LARGEST_WEIGHT)
    parents = names if base is None else [*names, base]
    found = {name: stored_models.found(name) for name in dict.fromkeys(parents)}
    sources = [found[name] for name in parents]
    kinds = [diff.described(source) for source in sources]
    _check_same_kind(sources, kinds)
    for tensor in kinds[0].tensors.values():
        stored_models.check_encodable(sources[0], tensor)
    copy = stored_models.new_model(sources[0], new)
    keeps_equal = method != "linear" or abs(sum(factors) - 1.0) < 1e-9
    hashes, largest = {}, 0.0
    for name, first in kinds[0].tensors.items():
        if name == ROPE_DIVISORS or (keeps_equal and _is_shared(name, kinds)):
            hashes[name] = first.hash
            continue
        try:
            with np.errstate(over="raise", invalid="raise"):
                values = _merged([_values(name, kind, kinds[0]) for kind in kinds], factors, method, density, scale)
        except FloatingPointError:
            raise errors.invalid_parameter(
                f'tensor "{name}" cannot be merged', "its weights, or their sum, overflow float32"
            ) from None
        hashes[name], error = tensor_writer.write(name, first.type, first.shape, values)
        largest = max(largest, error)
    stored_models.add_tensors(copy, hashes)
    details = {"method": method, "weights": factors, "error": largest}
    if base is not None:
        details |= {"base": base, "scale": scale} | ({"density": density} if method == "ties" else {})
    stored_models.finish(copy, "merge", details, parents, sources[0]["hash"])
    return largest


def _merged(arrays, factors, method, density, scale):
    """The merged values of one tensor; if the method has a base, it is the last of `arrays`.

    Raises FloatingPointError if a sum or a difference overflows float32; ties would treat it as no change.
    """
    match method:
        case "linear":
            return merge_methods.linear(arrays, factors)
        case "slerp":
            return merge_methods.slerp(*arrays, factors[1] / sum(factors))
        case "task_arithmetic":
            return merge_methods.task_arithmetic(arrays[-1], arrays[:-1], factors, scale)
        case "ties":
            return merge_methods.ties(arrays[-1], arrays[:-1], factors, density, scale)


def _names(models):
    names = list(arguments.strings("models", models))
    if not 1 <= len(names) <= MOST_MODELS:
        raise arguments.ill("models", models, f"an array of 1 to {MOST_MODELS} names")
    return names


def _recipe(count, factors, method, base):
    """(weights, method), checked against each other and the number of models."""
    if method not in METHODS:
        raise arguments.ill("method", method, f"one of {', '.join(METHODS)}")
    if (base is not None) != (method in WITH_BASE):
        expected = "the model that all of them were made from" if method in WITH_BASE else f"NULL for {method}"
        raise arguments.ill("base", base, expected)
    if method == "slerp" and count != 2:
        raise errors.invalid_parameter("slerp merges two models", f"there are {count}")
    if factors is None:
        factors = [1.0 if method in WITH_BASE else 1.0 / count] * count
    if len(factors) != count or None in factors:
        raise arguments.ill("weights", factors, f"{count} numbers, one for each model")
    factors = [arguments.number("weights", factor, None, -LARGEST_WEIGHT, LARGEST_WEIGHT) for factor in factors]
    if method == "slerp" and not (min(factors) >= 0 and sum(factors) > 0):
        raise arguments.ill("weights", factors, "two numbers from 0 on, one of them above 0, for slerp")
    return factors, method


def _is_shared(name, kinds):
    """Whether a tensor is the same in all models: equal bytes, in the same order of rows."""
    orders = {kind.architecture.rope_interleaved for kind in kinds if rope_rows.rotated_heads(name, kind.architecture)}
    return len(orders) <= 1 and len({kind.tensors[name].hash for kind in kinds}) == 1


def _values(name, kind, first):
    """A tensor's values -> f32 of its shape, the rows of q and k in the first model's order."""
    values = tensors.decoded(kind.tensors[name])
    heads = rope_rows.moved_heads(name, kind.architecture, first.architecture)
    if heads is None:
        return values
    return rope_rows.rearranged(values, heads, first.architecture.head_dim, first.architecture.rope_interleaved)


def _check_same_kind(sources, kinds):
    """Raise ModelError 22023 unless the models have the same architecture, tensors and vocabulary."""
    for source, kind in zip(sources[1:], kinds[1:], strict=True):
        difference = (
            _other_value(kinds[0].architecture.comparable(), kind.architecture.comparable())
            or _other_tensor(kinds[0], kind)
            or _other_rotation(kinds[0], kind)
            or _other_token(sources[0]["tokenizer_id"], source["tokenizer_id"])
        )
        if difference:
            raise errors.invalid_parameter(
                f'models "{sources[0]["name"]}" and "{source["name"]}" cannot be merged',
                difference,
                "Merge models that were trained from one another.",
            )


def _other_value(here, there):
    """Says which value of the architecture differs; None if none does."""
    for field in (*here, *(field for field in there if field not in here)):
        if here.get(field) != there.get(field):
            return f"{field} is {json.dumps(here.get(field))} in one, {json.dumps(there.get(field))} in the other"
    return None


def _other_tensor(here, there):
    """Says which tensor only one of the models has; None if none. Rope's frequencies are compared elsewhere."""
    names = (here.tensors.keys() ^ there.tensors.keys()) - {ROPE_DIVISORS}
    return f'tensor "{min(names)}" is in one of them only' if names else None


def _other_rotation(here, there):
    """Says why the models rotate by different angles; None if they do not."""
    if diff.same_rotation(here, there):
        return None
    if ROPE_DIVISORS in here.tensors or ROPE_DIVISORS in there.tensors:
        return f'tensor "{ROPE_DIVISORS}" makes one turn q and k by other angles than the other'
    config = here.architecture.to_config(), there.architecture.to_config()
    return _other_value(*({name: values[name] for name in ("rope_theta", "rope_scaling")} for values in config))


def _other_token(here, there):
    """Says which token id stands for different bytes in two tokenizers; None if none does."""
    found = None if here == there else FIRST_OTHER_TOKEN.one(here, there)
    return None if found is None else f"their tokenizers differ: token {found['id']} is not the same in both"
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__merge() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__merge() IS
'Merges several stored models into a new one: llm.merge. `store/merge_methods` has the arithmetic.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__operators()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The transformer's operators as SQL calls them: activations as bytes, weights by name.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__operators() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__operators() IS
'The transformer''s operators as SQL calls them: activations as bytes, weights by name.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__packed_cache()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Packed weights as SQL functions call them: llm.pack, llm.evict, llm.collect and others."""

from contextlib import suppress
from datetime import UTC, datetime

from ..server import errors
from ..session import engines, models


def pack(name=None):
    """Pack the tensors of a model that are not packed yet, so that no later call has to. -> bytes when packed."""
    return engines.modules().shared_weights.pack_model(*models.identity(name))


def pack_model(hash, name):
    """The same for a model by its hash, which only roles that see the model know; `name` is for messages.

    llm_store.pack_model runs with its owner's rights: it reads weights that its caller may not read, and returns none.
    """
    return engines.modules().shared_weights.pack(models.weights_of(hash).tensors(), name)


def evict(name=None):
    """Unlink a model's files; None: all files of all databases. Sessions that use them can continue. -> bytes."""
    shared = engines.modules().shared_weights
    if name is None:
        return shared.files().remove()
    tensors = models.weights_of(models.identity(name)[0]).tensors()
    return shared.files().remove({part.file.name for part in shared.parts(tensors)})


def forget(tensors):
    """Unlink files with tensors, given by hash, that the database no longer has. -> bytes; 0 without numba."""
    try:
        files = engines.modules().shared_weights.files()
    except errors.ModelError:
        return 0
    gone = set(tensors or ())
    return files.remove({entry.name for entry, tensor, *_ in _packed(files) if tensor in gone})


def packed_tensors():
    """Rows (tensor hash, layout, bytes, built, last used) of the files of all databases; none without numba."""
    try:
        files = engines.modules().shared_weights.files()
    except errors.ModelError:
        return
    for entry, *tensor in _packed(files):
        yield *tensor, _time(entry.built), _time(entry.last_used)


def warm_up(measure):
    """Compile the compiled engine, if that is not done yet. Returns which engine computes then.

    measure: measure the prefetch distances again even if they are known.
    """
    if measure and engines.is_ready():
        engines.measure_distances()
    engines.compile_all()
    return engines.description()


def _packed(files):
    """(Entry, SHA-256, layout, bytes) of each tensor in each file."""
    for entry in files.entries():
        with suppress(FileNotFoundError):  # evicted since
            for tensor in engines.modules().tensor_groups.tensors_in(entry.path):
                yield entry, *tensor


def _time(seconds):
    return datetime.fromtimestamp(seconds, UTC).isoformat()
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__packed_cache() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__packed_cache() IS
'Packed weights as SQL functions call them: llm.pack, llm.evict, llm.collect and others.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__prompts()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The prompts of tasks: templates with named places, which a DBA sees in llm.prompts and replaces with llm.set_prompt.

A template is text with places in braces, such as {text}; {{ and }} are braces. What stands in a place is data: its
braces and control tokens stay text.
"""

import functools
import string

from ..generate import chat_prompts
from ..server import arguments, database, errors
from . import chat, generation

TASKS = {  # the places that a task's template has
    "matches": ("text", "condition"),
    "rate": ("text", "criterion"),
    "classify": ("text", "labels"),
    "summarize": ("text",),
    "translate": ("text", "language"),
    "ask_agg": ("text", "question"),
}
MOST_CHARACTERS = 100_000  # of a template
AT_ONCE = {"enable_thinking": False}  # a variable of templates: the answer comes without reasoning before it
PLACES_HINT = "A place is a name in braces, such as {text}; two braces, {{ or }}, are one that is text."

CURRENT_PROMPT = database.Query(
    "SELECT p.template FROM llm.prompts AS p WHERE p.task = $1 ORDER BY p.version DESC LIMIT 1", "text"
)
FIRST_PROMPT = database.Query("SELECT p.template FROM llm.prompts AS p WHERE p.task = $1 AND p.version = 0", "text")
ADD_PROMPT = database.Query(
    "INSERT INTO llm_store.prompt AS p (task, version, template) "
    "SELECT $1, coalesce(max(o.version), 0) + 1, $2 FROM llm_store.prompt AS o WHERE o.task = $1 RETURNING p.version",
    *("text", "text"),
)


def set_prompt(task, template=None):
    """Make a template the prompt of a task; None goes back to the first one. Returns the version that it now is."""
    if task not in TASKS:
        raise errors.invalid_parameter(
            "the task is not known", f"task is {arguments.shown(task)}, allowed are {', '.join(TASKS)}"
        )
    if template is None:
        template = FIRST_PROMPT.one(task)["template"]
    check(task, template)
    return ADD_PROMPT.one(task, template)["version"]


def current(task):
    """The template of a task that counts now."""
    template = CURRENT_PROMPT.one(task)["template"]
    check(task, template)
    return template


def check(task, template):
    """ModelError 22023 unless a template has each place of its task and no other."""
    if len(template) > MOST_CHARACTERS:
        raise arguments.described(
            "template", f"{len(template)} characters", f"a text of {MOST_CHARACTERS} characters at most"
        )
    places, wanted = {place for _, place in parts(template)} - {None}, set(TASKS[task])
    for problem, names in (("lacks", wanted - places), ("has the unknown place", places - wanted)):
        if names:
            raise errors.invalid_parameter(
                f"the template of {task} {problem} {{{min(names)[: arguments.MOST_SHOWN]}}}",
                f"its places are {', '.join(f'{{{place}}}' for place in TASKS[task])}",
                PLACES_HINT,
            )


@functools.lru_cache(maxsize=64)
def parts(template):
    """((text, the place behind it or None), ...). ModelError 22023 for braces that are neither places nor doubled."""
    try:
        parsed = list(string.Formatter().parse(template))
    except ValueError as problem:
        raise errors.invalid_parameter(
            "the template has a brace that belongs to no place", str(problem), PLACES_HINT
        ) from None
    return tuple((text, _place(*rest)) for text, *rest in parsed)


def _place(name, form, conversion):
    """A place with what is written behind its name, which makes it an unknown one."""
    if name is None:
        return None
    return name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")


def filled(template, values):
    """A template with {place: text} in its places."""
    return "".join(text + ("" if place is None else values[place]) for text, place in parts(template))


def turn(model, text):
    """Token ids of a prompt: a turn of the user by the model's chat template, or the text alone where it has none."""
    if not chat.prompts(model).has_template:
        return generation.prompt_tokens(model, text.rstrip())
    messages = [{"role": "user", "content": text}]
    return chat.tokens_of(model, chat_prompts.Conversation(messages, variables=AT_ONCE))


def answer(model, text):
    """Token ids of an answer behind a prompt: where the model has no chat template, a space stands between them."""
    if chat.prompts(model).has_template:
        return list(model.encode(text, add_special=False))
    before, both = (list(model.encode(given, add_special=False)) for given in ("Answer:", f"Answer: {text}"))
    if both[: len(before)] == before:
        return both[len(before) :]
    return list(model.encode(f" {text}", add_special=False))
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__prompts() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__prompts() IS
'The prompts of tasks: templates with named places, which a DBA sees in llm.prompts and replaces with '
'llm.set_prompt.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__samplers()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Samplers as SQL gives them: some have arguments of their own, each of the others is an option by its name."""

from ..generate import sampling

# The arguments of llm.generate and llm.sample, in their order there.
ARGUMENTS = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")
BY_OPTION = tuple(sampler for sampler in sampling.SAMPLERS if sampler.name not in ARGUMENTS)
SAMPLER_OPTIONS = {
    s.name: (s.kind, f"{s.meaning}, {s.smallest} to {s.largest}, default {s.neutral}") for s in BY_OPTION
}
JSON_TYPES = {int: "integer", float: "number"}


def settings(values, options):
    """sampling.Settings of the values of ARGUMENTS and of checked options. ModelError 22023 for one out of range."""
    given = [sampler for sampler in BY_OPTION if sampler.name in options]
    for sampler in given:
        sampler.check(options[sampler.name], f"options.{sampler.name}")
    chosen = {sampler.name: options[sampler.name] for sampler in given}
    return sampling.settings(**dict(zip(ARGUMENTS, values, strict=True)), **chosen)


def rows():
    """The rows of llm.samplers(), in the order of the steps."""
    return [_row(sampler) for sampler in sampling.SAMPLERS]


def _row(s):
    given_as = "argument" if s.name in ARGUMENTS else "option"
    return s.name, given_as, JSON_TYPES[s.kind], s.smallest, s.largest, s.neutral, s.meaning
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__samplers() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__samplers() IS
'Samplers as SQL gives them: some have arguments of their own, each of the others is an option by its name.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__scoring()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Scores without generation: likely next tokens, logits at every position, and how likely a model finds a text."""

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__scoring() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__scoring() IS
'Scores without generation: likely next tokens, logits at every position, and how likely a model finds a text.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__search()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Exact search: the rows of a table whose embeddings are closest to a query's, at the speed of memory.

A session keeps a table's embeddings as one matrix, with each row version's tid (ctid) and writer (xmin, the transaction
that wrote it). A search reads in its own snapshot which versions are visible, fetches those that the matrix lacks and
drops those that are gone. So it finds what a scan would find, in every transaction and after ROLLBACK, without a
trigger or an index. If the matrix was valid in an earlier snapshot, two shortcuts avoid reading all versions:

- The snapshot is the same, and the transaction has written nothing: then nothing has changed, by definition.
- All transactions that had ended in the earlier snapshot have ended in this one: then it is enough to count the visible
  versions of each writer. A writer with rows in the matrix had ended at that time, so it has added no versions since;
  if their number is the same, so are they. Versions of other writers show up in the counts.

All statements of a call use its snapshot, because the SQL function is STABLE.
"""

import numpy as np

from ..kernels import cosine
from ..kernels.cosine import ArrayTable
from ..server import arguments, interrupts, settings
from ..server.database import Query
from ..session import search_matrices
from ..session.search_matrices import Matrix
from ..store.embedding_columns import find_column
from . import embeddings

LARGEST_K = 10_000
BYTES_TOGETHER = 12 << 20  # that are fetched at once: 8192 rows of 384 numbers
FEW = 4  # a matrix that lacks less than a quarter of the rows is updated, any other is read again
MANY_WRITERS = 8  # counting saves nothing if transactions wrote fewer rows each

MOMENT = Query(
    "SELECT CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_current_snapshot()::text END AS snapshot, "
    "pg_catalog.pg_current_xact_id_if_assigned()::text AS writing"
)


def search(query, source, k=None, model=None, column=None):
    """Rows (content as JSON, similarity, ctid) of a table for a text: see `nearest`."""
    if query is None or source is None:
        return []
    return nearest(embeddings.query_vector(query, model), source, k, column)


def search_vector(query, source, k=None, column=None):
    """The same for an embedding, a list of numbers or little-endian float32."""
    if query is None or source is None:
        return []
    vector = embeddings.vector("query", query)
    if not len(vector):
        raise arguments.described("query", "an empty vector", "at least one number")
    return nearest(vector, source, k, column)


def nearest(vector, source, k, column):
    """The k rows closest to a vector by cosine, the closest first: (content without the column, cosine, ctid)."""
    k = arguments.integer("k", k, 10, 1, LARGEST_K)
    column = find_column(source, "embedding" if column is None else column)
    direction = cosine.unit(vector)
    if np.isnan(direction).any():
        raise arguments.described("query", "a vector without direction", "finite numbers, one of them not 0")
    tids, scores = _best(column, direction, k)
    contents = column.contents(tids)
    rows = [(contents[tid], float(score), tid) for tid, score in zip(tids, scores, strict=True)]
    return [(content, min(max(score, -1.0), 1.0), tid_text(tid)) for content, score, tid in rows]


def _best(column, vector, k):
    memory = settings.megabytes("search_mb")
    moment = MOMENT.one()
    snapshot = None if column.hides_rows or moment["writing"] else moment["snapshot"]
    known = search_matrices.find(column.key)
    if not _is_right(known, column, snapshot, moment["snapshot"]):
        tids, writers = column.versions()
        if len(tids) * 4 * len(vector) > memory:
            search_matrices.drop(column.key)
            return _streamed(column, tids, vector, k)
        known = _current(column, known, tids, _ended(writers, moment["writing"]), len(vector))
        known.snapshot = snapshot
    elif snapshot:
        known.snapshot = snapshot
    search_matrices.keep(column.key, known, memory)
    return _nearest(column, known.tids, known.table, vector, k)


def _is_right(known, column, snapshot, moment):
    """Whether a matrix of an earlier snapshot is known to be valid now."""
    if known is None or known.snapshot is None or moment is None or column.hides_rows:
        return False
    if known.snapshot == snapshot:
        return True
    if not is_later(moment, known.snapshot) or len(known.counts[0]) * MANY_WRITERS > len(known.tids):
        return False
    return all(np.array_equal(*pair) for pair in zip(known.counts, column.writers(), strict=True))


def is_later(snapshot, earlier):
    """Whether all transactions that have ended in an earlier snapshot (the text of a pg_snapshot) have in this one."""
    (_, end, running), (_, earlier_end, earlier_running) = (text.split(":") for text in (snapshot, earlier))
    running = {number for number in running.split(",") if number and int(number) < int(earlier_end)}
    return int(end) >= int(earlier_end) and running <= set(earlier_running.split(","))


def _ended(writers, writing):
    """The writers, with 0 for the current transaction (the text of its xid8) and its subtransactions, whose ids follow.

    The current transaction can reuse the tids of its own rows: TRUNCATE of a table that it created keeps the file.
    """
    if writing is None:
        return writers
    own = np.uint32(int(writing) & 0xFFFFFFFF)
    return np.where((writers - own).view(np.int32) >= 0, np.uint32(0), writers)


def _current(column, known, tids, writers, width):
    """The matrix of these row versions: the known one, an updated copy, or a new one."""
    if known is None or (len(known.rows) and known.rows.shape[1] != width):
        return Matrix(tids, writers, _fetched(column, tids, width))
    if np.array_equal(known.tids, tids) and np.array_equal(known.writers, writers) and np.all(writers):
        return known
    at = np.searchsorted(known.tids, tids)
    at[at == len(known.tids)] = 0
    same = np.zeros(len(tids), bool)
    if len(known.tids):
        same = (known.tids[at] == tids) & (known.writers[at] == writers) & (writers != 0)
    if np.count_nonzero(~same) * FEW > len(tids):
        return Matrix(tids, writers, _fetched(column, tids, width))
    rows = np.empty((len(tids), width), np.float32)
    rows[same] = known.rows[at[same]]
    rows[~same] = column.some(tids[~same], width)
    return Matrix(tids, writers, rows)


def _fetched(column, tids, width):
    rows = np.empty((len(tids), width), np.float32)
    done = 0
    for _, piece in column.pieces(tids, _rows_together(width), width):
        rows[done : done + len(piece)] = piece
        done += len(piece)
    return rows


def _rows_together(width):
    """How many rows of so many numbers are fetched at once, in whole blocks of the table."""
    return max(1, BYTES_TOGETHER // (4 * width))


def _streamed(column, tids, vector, k):
    """The best of a table that is too large to keep, piece by piece."""
    best_tids, best_scores = np.zeros(0, np.int64), np.zeros(0)
    for piece_tids, rows in column.pieces(tids, _rows_together(len(vector)), len(vector)):
        found, scores = _nearest(column, piece_tids, ArrayTable(rows), vector, k)
        best_tids, best_scores = np.append(best_tids, found), np.append(best_scores, scores)
        order = np.lexsort((best_tids, -best_scores))[:k]
        best_tids, best_scores = best_tids[order], best_scores[order]
    return best_tids, best_scores


def _nearest(column, tids, table, vector, k):
    """(tids, cosines) of the k nearest rows of a table, of equal ones the lower tid first."""
    if not len(tids):
        return tids, np.zeros(0)
    if table.shape[1] != len(vector):
        raise column.wrong_width(table.shape[1], len(vector))
    found, cosines = cosine.nearest(table, vector, k, (), interrupts.checkpoint)
    return tids[found], cosines


def tid_text(tid):
    """A tid, block << 16 | line, as text."""
    return f"({int(tid) >> 16},{int(tid) & 0xFFFF})"
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__search() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__search() IS
'Exact search: the rows of a table whose embeddings are closest to a query''s, at the speed of memory.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__session()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A session's own state as SQL sees it: version, engine, figures of the last call, KV caches."""

from ..server.connection import version
from ..server.settings import rows as settings
from ..session.engines import description as engine
from ..session.kv_handles import free as free_kv_cache
from ..session.kv_handles import new as new_kv_cache
from ..session.models import architecture
from ..session.prefixes import reset, stats

__all__ = ["architecture", "engine", "free_kv_cache", "new_kv_cache", "reset", "settings", "stats", "version"]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__session() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__session() IS
'A session''s own state as SQL sees it: version, engine, figures of the last call, KV caches.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__similarity()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Tokens by meaning: llm.similar_tokens and llm.analogy, exact by cosine over a model's token embedding.

The compiled engine reads the packed weights. numpy reads the decoded table, also for types that packing rounds (Q4_1
and the K types), so that both give the same answer.
"""

from weakref import WeakKeyDictionary

import numpy as np

from ..kernels import cosine as cosine_search
from ..server import arguments, errors, interrupts
from ..session import engines, models
from ..store import tokens as stored_tokens
from .weight_rows import EMBEDDING, stored_tensor

_tables = (
    WeakKeyDictionary()
)  # {Model: {whether it is the packed one: table}}; goes when the session lets go of a model


def similar_tokens(token, k=None, model=None):
    """Rows (rank from 1, token_id, token, similarity) of the k tokens nearest to one, which is not among them."""
    if token is None:
        return []
    model = models.resolve(model)
    k = arguments.integer("k", k, 10, 1, model.architecture.vocabulary_size)
    token = stored_tokens.token_id(model, token)
    table = _table(model)
    return _search(model, table, _direction(model, table, token), k, [token])


def analogy(a, b, c, k=None, model=None):
    """Rows as above of the k tokens that are to c as b is to a: nearest to b - a + c, each of length 1 (1301.3781).

    a, b and c are not among them: the nearest of all is nearly always c itself.
    """
    if a is None or b is None or c is None:
        return []
    model = models.resolve(model)
    k = arguments.integer("k", k, 10, 1, model.architecture.vocabulary_size)
    tokens = [stored_tokens.token_id(model, token) for token in (a, b, c)]
    table = _table(model)
    directions = [_direction(model, table, token) for token in tokens]
    wanted = directions[1] - directions[0] + directions[2]
    if not np.abs(wanted).max() > 0:
        raise errors.invalid_parameter("the three tokens have no direction together", "b - a + c is zero")
    return _search(model, table, wanted, k, tokens)


def _search(model, table, x, k, excluded):
    ids, cosines = cosine_search.nearest(table, x, k, excluded, interrupts.checkpoint)
    texts = stored_tokens.texts(model, ids.tolist())
    return [
        (rank, token, texts.get(token), cosine)
        for rank, (token, cosine) in enumerate(zip(ids.tolist(), cosines.tolist(), strict=True), start=1)
    ]


def _direction(model, table, token):
    """A token's embedding, scaled to length 1 -> f64[columns]."""
    direction = cosine_search.unit(table.rows([token])[0])
    if np.isnan(direction).any():
        text = stored_tokens.texts(model, [token]).get(token)
        raise errors.invalid_parameter(
            f'token {token} of model "{model.name}" has no direction',
            f'The embedding of "{text}" is all zero or not finite.',
        )
    return direction


def _table(model):
    """The model's token embedding for cosine_search, with the lengths of its rows: made once a session."""
    tensor = stored_tensor(model, EMBEDDING)
    compiled, _ = engines.chosen()
    packed = compiled and engines.modules().packing.is_searchable(tensor.type)
    tables = _tables.setdefault(model, {})
    if packed not in tables:
        tables[packed] = _packed_table(tensor, model) if packed else _decoded_table(model)
    return tables[packed]


def _packed_table(tensor, model):
    modules = engines.modules()
    packed = modules.shared_weights.attach([tensor], model.name, model.hash)
    modules.shared_weights.touch([tensor])
    return modules.similarity.PackedTable(packed, tensor.name, interrupts.checkpoint)


def _decoded_table(model):
    return cosine_search.ArrayTable(model.weights[EMBEDDING], interrupts.checkpoint)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__similarity() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__similarity() IS
'Tokens by meaning: llm.similar_tokens and llm.analogy, exact by cosine over a model''s token embedding.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__streaming()
RETURNS void
LANGUAGE plpython3u
AS $python$"""A text as rows: each piece of it as soon as it is certain, computed when the row is fetched.

Pieces are never empty and never hold half a character; joined they are what llm.generate returns. A last row without a
piece says why the text ended. The engine computes one token at a time, so that no row waits for tokens of the next.
"""

import itertools

from ..server import streams
from ..session import admission, prefixes
from .batches import timed
from .generation import Request, stream
from .scoring import log_softmax

STREAM_COLUMNS = 5  # seq, piece, token_id, logprob, finish_reason


class Watched:
    """A Continuation that knows the logprob of its latest token: as llm.next_tokens has it, at temperature 1.

    None where a constraint forced the token: the model was not asked about it.
    """

    greedy = False  # otherwise the engine would choose several tokens in a call, and give the logits of one

    def __init__(self, continuation):
        self._continuation, self.logprob = continuation, None

    def __getattr__(self, name):
        return getattr(self._continuation, name)

    def accept(self, logits):
        """As Continuation.accept."""
        before = len(self.history)
        text = self._continuation.accept(logits)
        written = len(self.history) - before
        if written:
            self.logprob = float(log_softmax(logits)[self.history[-1]]) if written == 1 else None
        return text


def generate(prompt, *given):
    """Rows (seq from 1, piece, token_id, logprob, finish_reason) of the text that llm.generate gives."""
    if prompt is None:
        return []
    request = Request(*given)
    return rows(request, request.continuation(prompt), request.text(prompt, ""))


def rows(request, continuation, shown="", through=iter):
    """The rows of a Continuation of a Request. shown: text that comes before it, if not empty. through(pieces): the
    pieces that are shown of its text."""
    watched, engine = Watched(continuation), request.model.engine
    stats, reusable, call = prefixes.begin(), prefixes.Prefixes(request.model, engine), admission.Call()
    cache = reusable.fork(watched.history) or engine.new_cache()
    written = stream(engine, watched, call.checkpoint, cache, stats=stats)
    pieces = timed(call.each(through(written)), stats)
    numbered = _numbered(pieces, watched, shown, lambda: reusable.keep(watched.history, cache))
    return streams.Stream(streams.sent(numbered), STREAM_COLUMNS)


def _numbered(pieces, watched, shown, finish):
    """The rows. token_id and logprob are of the last token of the piece."""
    number = itertools.count(1)
    if shown:
        yield next(number), shown, None, None, None
    for piece in pieces:
        yield next(number), piece, watched.history[-1], watched.logprob, None
    finish()
    yield next(number), "", None, None, watched.finish_reason
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__streaming() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__streaming() IS
'A text as rows: each piece of it as soon as it is certain, computed when the row is fetched.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__summaries()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Tasks whose answers are written: llm.summarize, llm.translate, and aggregates over many texts.

Texts that do not fit into the model's context together are answered in groups, in one batch; then their answers are the
texts, until one group is left (map and reduce). A text that alone does not fit is cut as llm.chunk cuts.
"""

from ..generate.chat_prompts import Conversation
from ..server import ceilings, errors
from ..session import models
from . import batches, chat, chunking, generation, prompts

GREEDY = (0, *[None] * 7)  # what Request is given after model and max_tokens: no sampling, no stop strings, no options
BETWEEN = "\n\n"  # what stands between the texts of a group
SHARE_OF_CONTEXT = 8  # an answer has at most an eighth, unless a call says max_tokens
SPARE = 16  # tokens for what stands between texts, and for pieces that have more tokens alone
TRANSLATION = 2, 32  # of the text's tokens, times and plus: max_tokens of a translation unless a call says it


def summarize(text, model=None, max_tokens=None):
    """A summary of a text, however long; None for None."""
    return None if text is None else _reduced("summarize", [text], {}, model, max_tokens)


def translate(text, language, model=None, max_tokens=None):
    """A text in another language; None for None."""
    if text is None or language is None:
        return None
    ceilings.require_bytes("text_mb", ceilings.size(language), "argument language")
    if max_tokens is None:
        times, more = TRANSLATION
        ceilings.require_bytes("text_mb", ceilings.size(text), "the text")
        loaded = models.decoder(model)
        max_tokens = times * len(loaded.encode_at_most(text, loaded.architecture.context_length)) + more
        most = ceilings.allowed("max_tokens")
        max_tokens = max_tokens if most is None else min(max_tokens, most)
    writer = Writer(model, max_tokens, "translate", {"language": language})
    return writer.answers([text])[0]


def of_texts(task, texts, question=None):
    """The answer of an aggregate, summarize or ask_agg, with the default model; None for no texts, or all None."""
    texts = [text for text in texts or () if text is not None]
    if not texts or (task == "ask_agg" and question is None):
        return None
    ceilings.require_texts(texts, "the texts")
    return _reduced(task, texts, {} if question is None else {"question": question}, None, None)


def _reduced(task, texts, given, model, max_tokens):
    """The answer to all texts together."""
    writer = Writer(model, max_tokens, task, given)
    while True:
        groups = writer.groups(texts)
        answers = writer.answers(groups)
        if len(answers) == 1:
            return answers[0]
        if len(answers) >= len(texts) and sum(map(len, answers)) >= sum(map(len, texts)):
            raise errors.limit_exceeded(
                "the answers to parts of the texts are not shorter than the texts",
                hint="Give max_tokens a smaller value.",
            )
        texts = answers


class Writer:
    """Writes a task's answers to texts. given: {place: text} of the prompt's places other than the text."""

    def __init__(self, model, max_tokens, task, given):
        loaded = models.decoder(model)
        if max_tokens is None:
            max_tokens = min(generation.default_max_tokens(), loaded.architecture.context_length // SHARE_OF_CONTEXT)
        self._has_turns = chat.prompts(loaded).has_template
        self._request = (chat.ChatRequest if self._has_turns else generation.Request)(model, max_tokens, *GREEDY)
        self._template, self._given = prompts.current(task), given
        self._max_tokens = max_tokens
        self.model = self._request.model

    def answers(self, texts):
        """The answers, in the order of the texts. ModelError for the first that cannot be written."""
        rows = sorted(batches.written(self, enumerate(texts)))
        for _, _, _, _, error in rows:
            if error is not None:
                raise errors.limit_exceeded("the model cannot read a text", error)
        return [answer for _, answer, *_ in rows]

    def groups(self, texts):
        """The texts joined to as few as fit into the context with an answer; those that are too long are cut."""
        room, groups, free = self._room(), [], 0
        for text in texts:
            for piece, tokens in chunking.pieces(text, self.model, room) or [(text, 1)]:
                if tokens + SPARE // 4 > free:
                    groups.append([])
                    free = room + SPARE // 4
                groups[-1].append(piece)
                free -= tokens + SPARE // 4
        return [BETWEEN.join(group) for group in groups]

    def _room(self):
        """How many tokens of texts fit into a prompt."""
        head = len(prompts.turn(self.model, prompts.filled(self._template, {**self._given, "text": ""})))
        context = self.model.architecture.context_length
        room = context - head - self._max_tokens - SPARE
        if room < self._max_tokens or room < SPARE:
            raise errors.limit_exceeded(
                "the model's context has no room for texts and an answer",
                f"it holds {context} tokens, the prompt has {head}, max_tokens is {self._max_tokens}",
                "Give max_tokens a smaller value, or name a model with a longer context.",
            )
        return room

    def continuation(self, text, number=0):
        """The Continuation that answers a text, as a Request has it."""
        prompt = prompts.filled(self._template, {**self._given, "text": text})
        if not self._has_turns:
            return self._request.continuation(prompts.turn(self.model, prompt), number)
        return self._request.answer_to(_conversation(prompt), number)

    def text(self, prompt, answer):
        """What is returned of a continuation's text."""
        return answer.strip()


def _conversation(prompt):
    return Conversation([{"role": "user", "content": prompt}], variables=prompts.AT_ONCE)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__summaries() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__summaries() IS
'Tasks whose answers are written: llm.summarize, llm.translate, and aggregates over many texts.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__token_map()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The map of a model's tokens, as llm_atoms.project makes it."""

from ..atoms.token_map import store

__all__ = ["store"]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__token_map() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__token_map() IS
'The map of a model''s tokens, as llm_atoms.project makes it.';

CREATE OR REPLACE FUNCTION llm_runtime.sql__weight_rows()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Rows of stored tensors as numbers, for llm.weight_matrices, llm.token_embeddings and their functions.

A row is read as a slice of its tile, through the view llm_store.tensor_row and with the caller's rights. The hash
covers the whole tile, so a single row is not checked; llm.matrix, which reads all tiles, does check them.
"""

import functools

import numpy as np

from ..atoms import geometry, sql_literals
from ..model import encodings
from ..server import arguments, database, errors
from ..session import models
from ..store import tokens
from ..store.models import SEE_TENSORS
from ..weights import tensors

EMBEDDING = "token_embd.weight"
MOST_VALUE_BYTES = (1 << 30) - 1024  # of a value in PostgreSQL, less its header

# By the tensor's hash, not by the model's name: models that share a tensor share its rows.
STORED_ROW = database.Query(
    """SELECT r.type, r.content FROM llm_store.tensor_row AS r
    WHERE r.tensor_hash = $1 AND r.row_number = $2 LIMIT 1""",
    *("bytea", "integer"),
)


def decoded(type, content):
    """A stored row, bytes in a type's encoding -> little-endian float32 as bytes."""
    return encodings.decode(type, content, (_columns(type, content),)).tobytes()


def decoded_array(type, content):
    """A stored row as the text of a real[], exactly."""
    return sql_literals.reals(encodings.decode(type, content, (_columns(type, content),)))


def atom_keys(type, content, plane):
    """The Hilbert key of each number's weight atom in one plane (0: xy, 1: yz, 2: zm), as the text of a bigint[].

    None for a type whose codes are not atoms.
    """
    if type not in geometry.CODES:
        return None
    return _array(_keys_by_code(type)[plane][geometry.codes_in_order(type, content)])


def weight(matrix, row, column, model=None):
    """One number of a tensor; None for NULL. A vector is one row. Raises ModelError 42704 and 22023."""
    if matrix is None or row is None or column is None:
        return None
    model = models.current(model)
    tensor = stored_tensor(model, matrix)
    rows = 1 if len(tensor.shape) == 1 else tensor.shape[0]
    row = arguments.integer("row_idx", row, None, 0, rows - 1)
    column = arguments.integer("col_idx", column, None, 0, tensor.shape[-1] - 1)
    return float(row_numbers(tensor, row)[column])


def matrix(name, model=None):
    """All numbers of a tensor, row after row, as bytes of little-endian float32, from tiles whose hashes are checked.

    Raises ModelError 42704 for an unknown tensor, 53400 for one that a value of PostgreSQL cannot hold, XX001 for wrong
    bytes.
    """
    if name is None:
        return None
    model = models.current(model)
    shape = stored_tensor(model, name).shape
    size = 4 * int(np.prod(shape))
    if size > MOST_VALUE_BYTES:
        raise errors.limit_exceeded(
            f'tensor "{name}" does not fit in one value',
            f"its {' x '.join(map(str, shape))} numbers take {size} bytes, a value holds {MOST_VALUE_BYTES}",
            "llm.weight_matrices has it by rows and columns.",
        )
    return model.weights[name].tobytes()


def embedding(token, model=None):
    """The row of one token of the token embedding, as bytes of little-endian float32. token: an id, or a text."""
    if token is None:
        return None
    model = models.current(model)
    return row_numbers(stored_tensor(model, EMBEDDING), tokens.token_id(model, token)).tobytes()


def row_numbers(tensor, row):
    """A row of a tensor -> f32[columns]. Raises ModelError 42704 when no model has the tensor any more, XX001 for a row
    whose tile is missing."""
    found = STORED_ROW.one(tensor.hash, row)
    if found is None:
        raise errors.undefined_object(f'tensor "{tensor.name}" was changed by another session', hint="Try again.")
    if found["content"] is None:
        raise tensors.corrupt(tensor, f"the tile of row {row} is missing")
    return encodings.decode(found["type"], found["content"], (_columns(found["type"], found["content"]),))


def stored_tensor(model, name):
    """The Tensor of a model by its name. ModelError 42704 if the model has none of that name."""
    if arguments.name("tensor", name) not in model.weights:
        shown = arguments.shown_name(name)
        raise errors.undefined_object(f'model "{model.name}" has no tensor "{shown}"', hint=SEE_TENSORS)
    return model.weights.tensor(name)


def _array(texts):
    return f"{{{','.join(texts)}}}"


def _columns(type, content):
    encodings.row_bytes(type, 0)  # raises for a type that is not known
    elements, size = encodings.BLOCKS[type]
    return len(content) // size * elements


@functools.cache
def _keys_by_code(type):
    """Keys of all codes of an encoding, as text: str[3, codes]."""
    keys = geometry.keys(geometry.code_points(type, np.arange(1 << geometry.CODES[type].codes.bits)))
    return [np.array([str(key) for key in plane], object) for plane in keys]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.sql__weight_rows() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.sql__weight_rows() IS
'Rows of stored tensors as numbers, for llm.weight_matrices, llm.token_embeddings and their functions.';

COMMIT;
