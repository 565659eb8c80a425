-- Deploy hartonomous:python_runtime_generate to pg
-- requires: schema_llm_runtime
-- Rendered from plpython/generate/ by tools/render.py.
-- noqa: disable=LT05

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE OR REPLACE FUNCTION llm_runtime.generate__answer_stream()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The text of an answer while it is being written: what will surely be in the text that answers.parse gives.

Reasoning and calls of tools are not text. What may turn out to be one of them is held back: the first letters of a
notation, and everything from a whole call on, which stays text only if it is wrong.
"""

import re

from . import answers

CALL = re.compile(r"<(?:seed:)?tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|(?:<\|start\|>|<\|channel\|>)[^<]*\bto=")
NOTATIONS = (
    *(begin for begin, _ in answers.REASONING_TAGS),
    *("<tool_call>", "<seed:tool_call>", answers.MISTRAL, answers.PYTHON_TAG),
    *("<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", "<|call|>"),
)


def certain_text(written, prompt="", has_tools=False):
    """The text that is certain when so much is written. The arguments are those of answers.parse."""
    call = CALL.search(written)
    certain = written[: len(written) - _held(written) if call is None else call.start()]
    text = answers.parse(certain, prompt).text
    return "" if has_tools and text.startswith("{") else text  # an object, which may become a call


def _held(written):
    """How many characters at the end may begin a notation."""
    return max(_beginning(written, notation) for notation in NOTATIONS)


def _beginning(written, notation):
    return next((n for n in range(len(notation) - 1, 0, -1) if written.endswith(notation[:n])), 0)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__answer_stream() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__answer_stream() IS
'The text of an answer while it is being written: what will surely be in the text that answers.parse gives.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__answers()
RETURNS void
LANGUAGE plpython3u
AS $python$"""What a model writes for an answer: its reasoning, its calls of tools, and the text that is left.

Read are the notations of the families that are loaded: <think> and [THINK]; Hermes' and Qwen's <tool_call> with JSON
or with <function=...>, Seed's and Mistral's notations, Llama 3's object of JSON, and the channels of harmony. A call
that is not whole, or whose arguments are no JSON, stays text.
"""

import json
import re
from collections import namedtuple

# tool_calls: a list of {"id", "type": "function", "function": {"name", "arguments"}}. It and reasoning may be None.
Answer = namedtuple("Answer", "text reasoning tool_calls")

REASONING_TAGS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<seed:think>", "</seed:think>"))
TOOL_CALL = re.compile(r"<(seed:)?tool_call>(.*?)</(?:seed:)?tool_call>", re.DOTALL)
FUNCTION = re.compile(r"\s*<function=([^>\s]+)>(.*?)</function>\s*", re.DOTALL)
PARAMETER = re.compile(r"<parameter=([^>\s]+)>(.*?)</parameter>", re.DOTALL)
MISTRAL = "[TOOL_CALLS]"
MISTRAL_CALL = re.compile(r"([\w.-]+)(?:\[CALL_ID\]\w+)?(?:\[ARGS\])?\s*(?=\{)")
PYTHON_TAG = "<|python_tag|>"
CHANNELS = re.compile(
    r"(?:<\|start\|>([^<]*))?<\|channel\|>(.*?)<\|message\|>(.*?)(?=<\|(?:end|return|call|start|channel)\|>|\Z)",
    re.DOTALL,
)
RECIPIENT = re.compile(r"to=(?:functions\.)?([\w.-]+)")
_decoder = json.JSONDecoder()


class _NoCallError(ValueError):
    """A text is no call of a tool."""


def parse(text, prompt="", has_tools=False):
    """The Answer of a text with its control tokens. prompt: what it continues, which may have begun the reasoning.

    has_tools: an answer that is only an object with a name and parameters is a call.
    """
    if "<|channel|>" in text:
        return _of_channels(text)
    text, reasoning = _without_reasoning(text, prompt)
    text, calls = _without_calls(text, has_tools)
    return Answer(text.strip(), reasoning, _numbered(calls))


def _without_reasoning(text, prompt):
    """(the rest, the reasoning). One without an end was cut."""
    for begin, end in REASONING_TAGS:
        opened = prompt.rstrip().endswith(begin)
        if opened or text.lstrip().startswith(begin):
            reasoning, _, rest = text.strip().removeprefix(begin).partition(end)
            return rest, reasoning.strip() or None
    return text, None


def _without_calls(text, has_tools):
    """(the rest, the calls)."""
    for read in (_tagged, _mistral, _python_tag, *((_bare,) if has_tools else ())):
        try:
            rest, calls = read(text)
        except (ValueError, RecursionError):
            continue
        if calls:
            return rest, calls
    return text, []


def _tagged(text):
    calls = [_tagged_call(body) for _, body in TOOL_CALL.findall(text)]
    return TOOL_CALL.sub("", text), calls


def _tagged_call(body):
    function = FUNCTION.fullmatch(body)
    if function is None:
        return _call(_json(body))
    inside = function[2].strip()
    if inside.startswith("{"):
        return function[1], _json(inside)
    return function[1], {name: _value(value) for name, value in PARAMETER.findall(inside)}


def _value(text):
    """A parameter that is JSON, or else a string."""
    text = text.removeprefix("\n").removesuffix("\n")
    try:
        return _json(text)
    except (ValueError, RecursionError):
        return text


def _mistral(text):
    """[TOOL_CALLS] and then an array, or a name and arguments for each."""
    before, *parts = text.split(MISTRAL)
    calls = []
    for part in map(str.strip, parts):
        calls += map(_call, _json(part)) if part.startswith("[") else [_mistral_call(part)]
    return before, calls


def _mistral_call(part):
    name = MISTRAL_CALL.match(part)
    if name is None:
        raise _NoCallError(part)
    return name[1], _json(part[name.end() :])


def _python_tag(text):
    before, tag, rest = text.partition(PYTHON_TAG)
    return before, _objects(rest) if tag else []


def _bare(text):
    text = text.strip()
    return "", _objects(text) if text.startswith("{") else []


def _objects(text):
    """The calls of objects that a semicolon separates."""
    calls, text = [], text.strip()
    while text:
        value, end = _decoder.raw_decode(text)
        calls.append(_call(value))
        text = text[end:].lstrip().removeprefix(";").lstrip()
    return calls


def _call(value):
    """(name, arguments) of an object."""
    if not isinstance(value, dict):
        raise _NoCallError(value)
    value = value.get("function", value) if isinstance(value.get("function"), dict) else value
    name, arguments = value.get("name"), value.get("arguments", value.get("parameters"))
    if isinstance(arguments, str):
        arguments = _json(arguments)
    if not (isinstance(name, str) and name and isinstance(arguments, dict)):
        raise _NoCallError(value)
    json.dumps(arguments, allow_nan=False)
    return name, arguments


def _json(text):
    value = json.loads(text)
    json.dumps(value, allow_nan=False)  # a number beyond all bounds is no JSON
    return value


def _of_channels(text):
    """harmony: analysis is the reasoning, final the text, and what is sent to a function a call."""
    texts, reasoning, calls = [], [], []
    for start, channel, content in CHANNELS.findall(text):
        recipient = RECIPIENT.search(f"{start} {channel}")
        if recipient and _channel_call(recipient[1], content, calls):
            continue
        (reasoning if channel.strip().startswith("analysis") else texts).append(content)
    return Answer("\n".join(texts).strip(), "\n".join(reasoning).strip() or None, _numbered(calls))


def _channel_call(name, content, calls):
    try:
        calls.append(_call({"name": name, "arguments": _json(content)}))
    except (ValueError, RecursionError):
        return False
    return True


def _numbered(calls):
    """The calls as a message has them. Mistral's templates want ids of nine characters."""
    return [
        {"id": f"call{n:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for n, (name, arguments) in enumerate(calls)
    ] or None
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__answers() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__answers() IS
'What a model writes for an answer: its reasoning, its calls of tools, and the text that is left.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__candidates()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The tokens that a draw may choose from, by their logits: weights, and where samplers cut them off.

Whatever computes it, numpy here or compiled code in kernels/candidates, gives the same token. Weights are whole numbers
whose sums are exact in float64, in any order; and a weight takes additions, multiplications and a division of float32
alone, each rounded as IEEE 754 says. What is sorted is a bucket of about equal scores, not the vocabulary.

Sorted by score, of equal ones the lowest id first, each of top-k, top-p and min-p keeps a prefix; together they keep
the shortest. A sampler that keeps other tokens is computed from `ids` and `log_probabilities`, once for both engines,
and makes candidates of those alone with `only`.
"""

import math
from dataclasses import dataclass

import numpy as np

WEIGHT_BITS = 32  # the most likely token weighs 2^32, one 2^33 times less likely nothing; sums stay below 2^53
BUCKETS_A_UNIT = 64  # of scores; a power of two, so that a bucket's number is exact
BUCKETS = 1536  # down to a score of -24, where all weights are 0

# e^x = 2^n e^r, x = n ln 2 + r, with the polynomial of Cephes' expf for e^r
LOWEST = np.float32(-87.0)
LOG2_E = np.float32(1.4426950408889634)
LN2_HIGH, LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
POLYNOMIAL = tuple(
    np.float32(c) for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 0.16666665459, 0.5)
)


@dataclass(frozen=True)
class Cut:
    """A beginning of the order: larger scores than `score`, and equal ones up to the id `last`; the sum of weights."""

    score: float
    last: int
    mass: float

    def shorter(self, other):
        """The one of two that keeps less."""
        return min(self, other, key=lambda cut: (-cut.score, cut.last))


class Candidates:
    """All tokens: scores f32 (logits less the largest, by temperature), weights f32 (whole numbers), and by bucket of
    scores how many weigh anything (counts) and how much together (masses)."""

    def __init__(self, logits, largest, temperature):
        self.scores = (logits - np.float32(largest)) / np.float32(temperature)
        self.weights = weights(self.scores)
        self._heavy = np.flatnonzero(self.weights)
        self._buckets = bucket_of(self.scores[self._heavy])
        self.counts = np.bincount(self._buckets, minlength=BUCKETS)
        self.masses = np.bincount(self._buckets, self.weights[self._heavy], minlength=BUCKETS)

    def members(self, bucket):
        """Ids of a bucket, ascending."""
        return self._heavy[self._buckets == bucket]

    def draw(self, cut, number):
        """The first id at which the weights of what is kept, summed by ascending id, are more than `number`."""
        sums = np.cumsum(np.where(self._is_kept(cut), self.weights, 0), dtype=np.float64)
        return int(np.searchsorted(sums, number, side="right"))

    def ids(self, cut):
        """The ids that a Cut keeps and that weigh anything, ascending."""
        return np.flatnonzero(self._is_kept(cut) & (self.weights > 0))

    def log_probabilities(self, ids, cut):
        """The logarithms of the probabilities of ids that a Cut keeps: f64."""
        return self.scores[ids].astype(np.float64) - math.log(cut.mass / 2**WEIGHT_BITS)

    def only(self, ids):
        """The Candidates of these ids alone, with the scores and weights that they have here."""
        scores = np.full_like(self.scores, -np.inf)
        scores[ids] = self.scores[ids]
        return type(self)(scores, 0.0, 1.0)

    def _is_kept(self, cut):
        return (self.scores > cut.score) | ((self.scores == cut.score) & (np.arange(len(self.scores)) <= cut.last))

    def mass(self, score):
        """The sum of the weights of all tokens with at least this score."""
        return float(self.weights[self.scores >= score].sum(dtype=np.float64))

    def all(self):
        """The Cut that keeps everything."""
        return Cut(-math.inf, len(self.scores), self.mass(-math.inf))

    def top_k(self, k):
        """Keep the k first of the order."""
        return self._reaching(self.counts, np.ones_like, k)

    def top_p(self, p, mass):
        """Keep the fewest whose weights reach p of `mass`; at least one."""
        return self._reaching(self.masses, lambda weights: weights, p * mass)

    def min_p(self, p):
        """Keep those that weigh at least p of the first: p is above 0."""
        return self.at_least(math.log(p))

    def at_least(self, score):
        """Keep those with at least this score, rounded to float32."""
        limit = np.float32(score)
        return Cut(float(limit), len(self.scores), self.mass(limit))

    def _reaching(self, per_bucket, each, wanted):
        """Keep the fewest first of which a sum reaches what is wanted; all, if none does."""
        sums = np.cumsum(per_bucket, dtype=np.float64)
        if sums[-1] < wanted:
            return self.all()
        bucket = int(np.searchsorted(sums, wanted))
        ids = self.members(bucket)
        ids = ids[np.argsort(-self.scores[ids], kind="stable")]
        before = sums[bucket - 1] if bucket else 0.0
        last = int(np.searchsorted(before + np.cumsum(each(self.weights[ids]), dtype=np.float64), wanted))
        mass = self.masses[:bucket].sum() + self.weights[ids[: last + 1]].sum(dtype=np.float64)
        return Cut(float(self.scores[ids[last]]), int(ids[last]), float(mass))


def weights(scores):
    """The nearest whole numbers to 2^WEIGHT_BITS * e^score: f32, none above 0 -> f32."""
    y = np.maximum(scores, LOWEST)
    n = np.rint(y * LOG2_E)
    r = (y - n * LN2_HIGH) - n * LN2_LOW
    p = np.float32(0)
    for coefficient in POLYNOMIAL:
        p = p * r + coefficient
    power = ((p * (r * r)) + r) + np.float32(1)
    return np.rint(np.ldexp(power, n.astype(np.int32) + WEIGHT_BITS))


def bucket_of(scores):
    """The numbers of the buckets of scores: 0 for the largest."""
    return (np.asarray(scores) * np.float32(-BUCKETS_A_UNIT)).astype(np.int64)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__candidates() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__candidates() IS
'The tokens that a draw may choose from, by their logits: weights, and where samplers cut them off.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__chat_prompts()
RETURNS void
LANGUAGE plpython3u
AS $python$"""From messages to a prompt's token ids: control tokens come from the chat template, never from what a message says.

Each spelling of a control token inside a message is broken by a mark, a private character that the input has not. The
template writes the prompt. Control tokens that are whole are its own and become ids; a text with a mark is encoded as
text, without its marks. Templates decide by content too (<think>), so tokens that are not control tokens stay as they
are.
"""

import functools
import re
from collections import namedtuple

from ..server import errors, interrupts
from . import chat_templates

STRETCH = 1 << 16  # characters of a text between two checkpoints
PRIVATE = range(0xE000, 0xF900)  # Unicode's private characters
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + (message.content or '') + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML_END = "<|im_end|>"
ROLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
CHECKED = ("type", "template_arguments")  # keys of words that templates compare with theirs
# Roles that a template may write between the brackets of a control token, <|user|>; another role makes none.
ROLES = frozenset(
    (
        *("system", "user", "assistant", "tool", "developer", "function", "ipython", "observation", "environment"),
        *("tool_call", "tool_response", "tool_result", "assistant_tool_call", "model"),
    )
)
# Keys that templates look up, so these words stay as they are.
KEYS_OF_CHAT = frozenset(
    (
        *("role", "content", "tool_calls", "tool_call_id", "name", "id", "type", "text", "function", "arguments"),
        *("reasoning_content", "reasoning", "thinking", "description", "parameters", "properties", "required"),
        *("items", "enum", "default", "anyOf", "oneOf", "allOf", "additionalProperties", "return", "title", "format"),
    )
)
ANSWER = "the answer"  # of the conversation that tells how a template ends an assistant's turn

# A conversation as it is rendered: messages, tools, whether the answer is to follow, {name: value} of other variables.
Conversation = namedtuple("Conversation", "messages tools add_generation_prompt variables", defaults=(None, True, None))


class ControlTokens:
    """The control tokens of a tokenizer, found in texts. ids: {spelling: id}.

    joins: the template is unknown, so it may join a part of a token to one of its own.
    """

    def __init__(self, ids, joins=True):
        self._joins = joins
        self.ids = {spelling: token for spelling, token in ids.items() if spelling}
        by_length = sorted(self.ids, key=len, reverse=True)
        either = "|".join(map(re.escape, by_length)) or r"(?!)"
        self.whole = re.compile(either)
        self._written = re.compile(either + r"|<\|", re.IGNORECASE)
        self._all = "\n".join(by_length).lower()
        self._beginnings = {s[:n].lower() for s in self.ids for n in range(1, len(s)) if not s[0].isalnum()}
        self._endings = {s[n:].lower() for s in self.ids for n in range(1, len(s)) if not s[-1].isalnum()}
        self._longest = max(map(len, self.ids), default=0)

    def broken(self, text, mark):
        """A text with a mark inside each control token. Interruptible."""
        parts, end = [], 0
        for found in self._found(text):
            parts += [text[end : found.start() + 1], mark]
            end = found.start() + 1
        return "".join(parts) + text[end:]

    def _found(self, text):
        """The matches of `_written`, with a checkpoint after each stretch of the text."""
        begin = 0
        while begin < len(text):
            end = begin + STRETCH
            for found in self._written.finditer(text, begin, end + self._longest):
                if found.start() >= end:
                    break
                yield found
                begin = found.end()
            begin = max(begin, end)
            interrupts.checkpoint()

    def apart(self, text, mark):
        """As `broken`, and a mark where a part of a control token could join what the template writes beside it."""
        text = self.broken(text, mark)
        if not self._joins:
            return text
        inner, begin = text.strip(), len(text) - len(text.lstrip())
        end = begin + len(inner)
        first, last = inner[: self._longest].lower(), inner[-self._longest :].lower()
        sizes = range(1, min(self._longest, len(inner) + 1))
        if any(last[-size:] in self._beginnings for size in sizes):
            text = text[:end] + mark + text[end:]
        is_within = 0 < len(inner) < self._longest and first in self._all
        if is_within or any(first[:size] in self._endings for size in sizes):
            text = text[:begin] + mark + text[begin:]
        return text

    def parts(self, text, mark):
        """(text, whether its control tokens are such) of the parts of what a template wrote."""
        begin = end = 0
        for found in [*self.whole.finditer(text), None]:
            until = len(text) if found is None else found.start()
            if mark in text[end:until]:
                yield text[begin:end], True
                yield text[end:until].replace(mark, ""), False
                begin = until
            end = until if found is None else found.end()
        yield text[begin:end], True


def breaks(value, control, mark, name=None):
    """A value of JSON whose strings write no control tokens. name: its key, if it has one."""
    if isinstance(value, str):
        is_name = name in CHECKED or value in KEYS_OF_CHAT or (name == "role" and value in ROLES)
        return control.broken(value, mark) if is_name else control.apart(value, mark)
    if isinstance(value, dict):
        return {breaks(key, control, mark): breaks(each, control, mark, key) for key, each in value.items()}
    return [breaks(each, control, mark, name) for each in value] if isinstance(value, list) else value


def mark_for(*values):
    """A private character that is in no string of these values of JSON, neither as it is nor as JSON may write it."""
    texts = list(_strings(values))
    for number in PRIVATE:
        if not any(chr(number) in text or _escaped(chr(number)) in text for text in texts):
            return chr(number)
    raise errors.invalid_parameter("the messages have all private characters of Unicode")


def _strings(value):
    """The strings of a value, keys too."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple)):
            waiting += each


def _escaped(character):
    return f"\\u{ord(character):04x}"


class ChatPrompts:
    """Writes prompts for a tokenizer by its chat template, or ChatML where it has none."""

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.has_template = bool(tokenizer.chat_template)
        self._source = tokenizer.chat_template or CHATML
        self._source_for_tools = tokenizer.tool_chat_template or self._source
        self._control = ControlTokens(tokenizer.control_tokens())
        # ChatML without ChatML's tokens is text: there a mark becomes a space, so that no message can write it either
        self.is_plain = not self.has_template and CHATML_END not in self._control.ids
        if self.is_plain:
            self._control = ControlTokens({"<|im_start|>": None, CHATML_END: None, **self._control.ids}, joins=False)
        control = set(self._control.ids.values()) - {None}
        self._ids = {token for token in control if tokenizer.kind(token) == "control"}  # an unknown word is no control
        self.stop_strings = (CHATML_END,) if self.is_plain else ()

    def text(self, conversation):
        """The prompt as text."""
        text, mark = self._marked(conversation)
        return text.replace(mark, self._instead)

    def without_control(self, text):
        """A text without the control tokens in it."""
        return self._control.whole.sub("", text)

    def tokens(self, conversation, encode, check=None):
        """The prompt as token ids. encode(text, parse_special) makes those of a part. check(text) may refuse it."""
        text, mark = self._marked(conversation)
        if check is not None:
            check(text)
        if self.is_plain:
            return [*self._tokenizer.before, *encode(text.replace(mark, self._instead), False)]
        ids = [] if self.has_template else list(self._tokenizer.before)
        for part, parses in self._control.parts(text, mark):
            ids += self._parsed(part, encode) if parses else encode(part, False)
        return ids

    @property
    def _instead(self):
        """What a mark becomes."""
        return " " if self.is_plain else ""

    def _marked(self, conversation):
        given = [conversation.messages, conversation.tools, conversation.variables or {}]
        source = self._source_for_tools if conversation.tools else self._source
        mark = mark_for(source, given)
        messages, tools = breaks(given[:2], self._control, mark)
        variables = {name: breaks(value, self._control, mark, "template_arguments") for name, value in given[2].items()}
        text = chat_templates.compiled(source).render(
            messages, tools, conversation.add_generation_prompt, {**self._names(), **variables}
        )
        return text.replace(_escaped(mark), mark), mark

    def _names(self):
        """Spellings of the tokens that templates write by name."""
        tokenizer = self._tokenizer
        ids = {"bos_token": tokenizer.bos_id, "eos_token": next(iter(tokenizer.eos_ids), None)}
        return {name: tokenizer.token_bytes(token).decode() for name, token in ids.items() if token is not None}

    def _parsed(self, text, encode):
        """Ids of a text of the template. What a normalizer would make a control token of stays text."""
        ids = encode(text, True) if text else []
        written = [self._control.ids[found[0]] for found in self._control.whole.finditer(text)]
        is_as_written = [i for i in ids if i in self._ids] == [i for i in written if i in self._ids]
        return ids if is_as_written else self._one_by_one(text, encode)

    def _one_by_one(self, text, encode):
        ids, end = [], 0
        for found in self._control.whole.finditer(text):
            ids += [*encode(text[end : found.start()], False), self._control.ids[found[0]]]
            end = found.end()
        return ids + list(encode(text[end:], False))

    @functools.cached_property
    def end_of_turn(self):
        """The id of the control token that the template writes after an assistant's text; None without one.

        Channels (harmony) end with a token of their own, and the next one belongs to the same answer.
        """
        if "<|channel|>" in self._source:
            return None
        messages = [{"role": "user", "content": "a question"}, {"role": "assistant", "content": ANSWER}]
        try:
            text = self.text(Conversation(messages, None, False))
        except errors.ModelError:
            return None
        found = self._control.whole.match(text.rpartition(ANSWER)[2].lstrip()) if ANSWER in text else None
        return found and self._control.ids[found[0]]


def checked(messages, tools=None):
    """None, or a ModelError 22023 that says what of the messages is not as it should be; 0A000 for an image."""
    if not isinstance(messages, list) or not messages:
        raise errors.invalid_parameter(
            "argument messages does not fit", "allowed is an array of messages, at least one", MESSAGE_HINT
        )
    for number, message in enumerate(messages):
        _check_message(message, f"messages[{number}]")
    if tools is not None and not (isinstance(tools, list) and all(isinstance(tool, dict) for tool in tools)):
        raise errors.invalid_parameter("argument tools does not fit", "allowed is an array of objects")


MESSAGE_HINT = 'A message is an object such as {"role": "user", "content": "Hello"}.'


def _check_message(message, where):
    if not isinstance(message, dict):
        raise errors.invalid_parameter(f"{where} is not an object", hint=MESSAGE_HINT)
    role = message.get("role")
    if not (isinstance(role, str) and ROLE_NAME.fullmatch(role)):
        raise errors.invalid_parameter(
            f"{where} has no role that is a word", "roles are system, user, assistant and tool", MESSAGE_HINT
        )
    content = message.get("content")
    if not (content is None or isinstance(content, (str, list))):
        raise errors.invalid_parameter(f"the content of {where} is neither a string nor an array", hint=MESSAGE_HINT)
    for part in content if isinstance(content, list) else ():
        _check_part(part, where)


def _check_part(part, where):
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise errors.invalid_parameter(
            f"the content of {where} has a part without a type", hint='A part is {"type": "text", "text": "Hello"}.'
        )
    if part["type"] not in ("text", "thinking"):
        kind = part["type"][:40]
        raise errors.not_supported(
            f'the content of {where} has a part of the type "{kind}"', "models here read text, no images or sounds"
        )
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__chat_prompts() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__chat_prompts() IS
'From messages to a prompt''s token ids: control tokens come from the chat template, never from what a message '
'says.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__chat_templates()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Chat templates: a model's Jinja source turns messages into its prompt, in a sandbox with bounds.

A template is a program that somebody else wrote. It has what transformers gives it: the language, its filters, and a
few functions. Every loop, call, filter and operator spends of a budget that grows with the messages, before it makes a
text longer. So a template that loops for ever or grows ends with an error, and a cancellation acts.
"""

import datetime
import functools
import json
import re
import time

import jinja2
import jinja2.ext
import jinja2.sandbox
from jinja2 import nodes
from jinja2.compiler import CodeGenerator

from ..server import errors, interrupts

MOST_SOURCE = 1 << 18  # characters of a template; those in use have 20,000
MOST_NUMBER = 1000  # of a width, an indent, the digits of a rounding
MOST_BITS = 1 << 12  # of a product or a power
MOST_STEPS, STEPS_A_CHARACTER = (
    1 << 20,
    64,
)  # characters made and things done, at most, and for each character of the input
STEPS_A_CALL = 8  # what it takes beside a round of a loop
SECONDS = 10.0
OWN_NAMES = ("messages", "tools", "documents", "add_generation_prompt", "bos_token", "eos_token")
REASONING = ("reasoning_content", "thinking", "reasoning")  # the names of a message's reasoning, the first is given
WIDE = re.compile(r"\d{4,}|\*")  # in a format: a width above 999, or one that is an argument
PERCENT = re.compile(r"%[^a-zA-Z%]*")
BRACES = re.compile(r"\{[^{}]*:[^{}]*(\d{4,}|\{)")
# Filters and methods whose numbers are widths, and filters and methods that write out lists.
PADDING = {"center", "ljust", "rjust", "zfill", "expandtabs", "indent"}
SIZED = {*PADDING, "wordwrap", "batch", "slice", "round", "tojson", "truncate"}
WRITING = {"string", "join", "tojson", "format", "safe", "escape", "e", "forceescape"}


class Refused(jinja2.TemplateError):
    """What a template calls raise_exception for."""


class Exhausted(jinja2.TemplateError):
    """A template went beyond its bounds."""


class Budget:
    """What a rendering may still do: steps, and seconds of a clock."""

    def __init__(self, steps, checkpoint, clock=time.monotonic):
        self._left, self._checkpoint, self._clock = steps, checkpoint, clock
        self._end = clock() + SECONDS

    def spend(self, steps=1):
        """Raises Exhausted when nothing is left."""
        self._checkpoint()
        self._left -= steps
        if self._left < 0:
            raise Exhausted("it does or writes too much")
        if self._clock() > self._end:
            raise Exhausted(f"it takes longer than {SECONDS:g} seconds")

    def measure(self, value):
        """Spend what writing a value takes: a list may hold another one many times."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            self.spend(1 + _length(each))
            if isinstance(each, dict):
                waiting += [*each.keys(), *each.values()]
            elif _holds(each):
                waiting += each


def _holds(value):
    """Whether a value is a list of others: a list, a tuple, what a dictionary gives."""
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, jinja2.Undefined))


def _length(value):
    return len(value) if hasattr(value, "__len__") else 1


class Counted:
    """What a loop goes over; every round is a step."""

    def __init__(self, values, budget):
        self._values, self._budget = values, budget

    def __len__(self):
        return len(self._values)

    def __iter__(self):
        for value in self._values:
            self._budget.spend()
            yield value


class _Generator(CodeGenerator):
    """Jinja's own, but a ~ b is an operator that the sandbox is asked about."""

    def visit_Concat(self, node, frame):  # noqa: N802 - Jinja's name
        self.write("environment.join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Generation(jinja2.ext.Extension):
    """{% generation %} ... {% endgeneration %}, which marks an assistant's texts for training: nothing here."""

    tags = frozenset(["generation"])

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


class _Namespace(jinja2.utils.Namespace):
    """namespace(...) without names that begin with an underscore."""

    def __init__(*args, **kwargs):  # a template may give `self` a value
        self, args = args[0], args[1:]
        values = dict(*args, **kwargs)
        for name in values:
            _check_name(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __repr__(self):  # what it holds may be larger than it
        return "<Namespace>"

    def __setitem__(self, name, value):
        _check_name(name)
        jinja2.utils.Namespace.__setitem__(self, name, value)


def _check_name(name):
    if isinstance(name, str) and name.startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace cannot have the name {name!r}")


class _Environment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """transformers' environment for chat templates, where everything spends of `budget`."""

    intercepted_binops = frozenset(["+", "*", "**", "%"])
    code_generator_class = _Generator

    def __init__(self):
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # nothing is computed before there is a budget
            extensions=[_Generation, jinja2.ext.loopcontrols],
            finalize=self._measured,
        )
        self.budget = None
        for name in ("lipsum", "cycler", "joiner"):
            self.globals.pop(name)
        self.globals.update(raise_exception=_refuse, strftime_now=_strftime_now, dict=_dict, namespace=_Namespace)
        self.filters["tojson"] = _to_json
        for name in ("urlize", "xmlattr", "pprint", "filesizeformat"):
            self.filters.pop(name)
        self.filters = {name: self._bounded(name, function) for name, function in self.filters.items()}
        self.filters[" counted"] = self._counted
        self.filters[" compared"] = self._compared

    def _parse(self, source, name, filename):
        tree = super()._parse(source, name, filename)
        for loop in tree.find_all(nodes.For):
            loop.iter = _filter(loop.iter, " counted")
        for comparison in tree.find_all(nodes.Compare):
            for side in (comparison, *comparison.ops):
                side.expr = _filter(side.expr, " compared")
        return tree

    def concat(self, parts):
        """The text of what a block, a macro or a set wrote."""
        parts = list(parts)
        self.budget.spend(sum(map(len, parts)))
        return "".join(parts)

    def join_texts(self, parts):
        """a ~ b"""
        return self.concat([str(self._measured(part)) for part in parts])

    def call_binop(self, context, operator, left, right):
        """a + b, a * b, a ** b, a % b"""
        self.budget.spend(1 + _OPERATORS[operator](left, right))
        if operator == "%" and isinstance(left, str):
            self.budget.measure(right)
        return super().call_binop(context, operator, left, right)

    def call(self, context, called, /, *args, **kwargs):
        """Every call of a template: a function, a macro, a method of a text."""
        self.budget.spend(STEPS_A_CALL)
        if isinstance(called, jinja2.runtime.LoopContext):  # a recursive loop
            args = tuple(self._counted(values) for values in args)
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps str.format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, (str, bytes)):
            self._before(name, owner, *((args[0], owner) if name == "join" and args else args), *kwargs.values())
        return self._after(super().call(context, called, *args, **kwargs))

    def _bounded(self, name, function):
        passes = getattr(function, "jinja_pass_arg", None) is not None

        @functools.wraps(function)
        def bounded(*args, **kwargs):
            if name == "join":
                args = (*args[:passes], list(_each(args[passes], self.budget)), *args[passes + 1 :])
            self._before(name, *args[passes:], *kwargs.values())
            return self._after(function(*args, **kwargs))

        return bounded

    def _before(self, name, value=None, *given):
        """Spend what a filter or method is going to make."""
        if name in SIZED and any(isinstance(n, (int, float)) and abs(n) > MOST_NUMBER for n in given):
            raise Exhausted(f"{name} is given a number above {MOST_NUMBER}")
        if name in ("format", "format_map"):
            _check_format(value)
        if name in WRITING:
            for each in (value, *given):
                self.budget.measure(each)
        self.budget.spend(1 + _length(value) + _growth(name, value, given))

    def _after(self, result):
        self.budget.spend(_length(result))
        return result

    def _counted(self, values):
        return Counted(values, self.budget) if hasattr(values, "__len__") else _each(values, self.budget)

    def _measured(self, value):
        self.budget.measure(value)
        return value

    def _compared(self, value):
        if _holds(value):
            self.budget.measure(value)
        return value


def _each(values, budget):
    for value in values:
        budget.spend()
        yield value


def _filter(node, name):
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


def _growth(name, value, given):
    """How many characters a filter or method adds at most, beside its value."""
    if not given:
        return 0
    if name == "join":
        return _length(value) * max(_length(each) for each in given if not callable(each))
    if name == "replace" and len(given) > 1 and isinstance(value, str) and isinstance(given[0], str):
        return value.count(given[0]) * _length(given[1])
    if name in ("indent", "expandtabs", "tojson", "wordwrap") and isinstance(value, (str, list, dict)):
        lines = value.count("\n") + value.count("\t") + 1 if isinstance(value, str) else _length(value)
        repeated = len(value) if name == "wordwrap" else lines
        return repeated * max(each if isinstance(each, int) else _length(each) for each in given)
    return 0


def _check_format(text):
    if isinstance(text, str) and (BRACES.search(text) or any(map(WIDE.search, PERCENT.findall(text)))):
        raise Exhausted(f"a format has a width above {MOST_NUMBER - 1}")


def _sum(left, right):
    return _length(left) + _length(right)


def _product(left, right):
    for text, times in ((left, right), (right, left)):
        if isinstance(text, (str, bytes, list, tuple)) and isinstance(times, int):
            return _length(text) * max(times, 0)
    return _bits(left) + _bits(right)


def _power(left, right):
    return _bits(left) * max(abs(right), 1) if isinstance(right, int) else 0


def _bits(number):
    """The bits of a whole number, as steps: one beyond MOST_BITS is too long."""
    bits = number.bit_length() if isinstance(number, int) else 0
    return bits if bits <= MOST_BITS else 1 << 62


def _percent(left, right):
    _check_format(left)
    return _length(left)


_OPERATORS = {"+": _sum, "*": _product, "**": _power, "%": _percent}


def _refuse(message):
    raise Refused(message)


def _strftime_now(format):
    if not isinstance(format, str) or len(format) > MOST_NUMBER or WIDE.search(format):
        raise Exhausted("a format of a date is too long")
    return datetime.datetime.now().strftime(format)


def _dict(*args, **kwargs):
    return dict(*args, **kwargs)


def _to_json(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


class ChatTemplate:
    """A compiled template. Raises ModelError XX001 for a source that cannot be read."""

    def __init__(self, source, name="the chat template"):
        if len(source) > MOST_SOURCE:
            raise _unreadable(f"it has {len(source)} characters, allowed are {MOST_SOURCE}")
        self._environment = _Environment()
        try:
            self._template = self._environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, SyntaxError, ValueError, MemoryError) as problem:
            raise _unreadable(str(problem)) from None

    def render(self, messages, tools=None, add_generation_prompt=True, variables=None, checkpoint=None):
        """The text of messages, each an object of JSON. variables: {name: value} of what else the template reads.

        Raises ModelError 22023 where the template refuses the messages or cannot write them, 53400 where it goes beyond
        its bounds.
        """
        given = {
            "messages": [_with_reasoning(message) for message in messages],
            "tools": tools,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
            **(variables or {}),
        }
        self._environment.budget = Budget(
            MOST_STEPS + STEPS_A_CHARACTER * _characters(given), checkpoint or interrupts.checkpoint
        )
        return self._rendered(given)

    def _rendered(self, given):
        try:
            return self._template.render(given)
        except Refused as refusal:
            raise errors.invalid_parameter("the chat template refuses the messages", str(refusal)) from None
        except (Exhausted, RecursionError, MemoryError, OverflowError) as problem:
            reason = str(problem) or type(problem).__name__
            raise errors.limit_exceeded("the chat template was ended", reason, ENDED_HINT) from None
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError) as problem:
            raise errors.invalid_parameter("the chat template cannot write these messages", str(problem)) from None


ENDED_HINT = "The template came with the model. It repeats or lengthens its text more than the messages explain."


def _unreadable(reason):
    return errors.corrupt_data("the model's chat template cannot be read", reason)


def _with_reasoning(message):
    """A message without its nulls, and with its reasoning under the names that templates read."""
    message = {key: value for key, value in message.items() if value is not None}
    reasoning = next((message[name] for name in REASONING if name in message), None)
    return message if reasoning is None else {"thinking": reasoning, **message, "reasoning_content": reasoning}


def _characters(value):
    """How much there is to write, of a value of JSON."""
    waiting, total = [value], 0
    while waiting:
        each = waiting.pop()
        total += 1 + (len(each) if isinstance(each, str) else 0)
        if isinstance(each, dict):
            waiting += [*each.keys(), *each.values()]
        elif isinstance(each, (list, tuple)):
            waiting += each
    return total


@functools.lru_cache(maxsize=8)
def compiled(source):
    """The ChatTemplate of a source; the latest are kept."""
    return ChatTemplate(source)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__chat_templates() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__chat_templates() IS
'Chat templates: a model''s Jinja source turns messages into its prompt, in a sandbox with bounds.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__constraints()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Constraints: a text is a value of a JSON Schema, matches a regular expression, is one of some choices, or a sentence
of a grammar.

llguidance tells which tokens may follow. A `Vocabulary` is a model's tokenizer as it reads one, made once; a
`Constraint` is compiled once a call, and a `Matcher` follows one text. A token that is not allowed is masked: its logit
becomes minus infinity. A forced token is the only one that may follow. Control tokens and NUL are never allowed; an end
token is, where the text is complete.
"""

import json
import re
from collections import OrderedDict

import llguidance
import numpy as np
from llguidance.gbnf_to_lark import gbnf_to_lark, is_lark_syntax

from ..server import errors
from . import json_schemas

MOST_OF_A_GRAMMAR = 1 << 16  # bytes; for more, the stack of the thread that compiles may be too small
MOST_CONSTRAINTS = 8  # compiled constraints of a model
MOST_SAID = 300  # characters of what llguidance says
PARSER_LIMITS = llguidance.LLParserLimits(verbose_errors=False)
JSON_OPTIONS = {  # none of them can be changed by the schema
    "item_separator": ", ",
    "key_separator": ": ",
    "whitespace_flexible": False,
    "coerce_one_of": False,
    "lenient": False,
    "json_allow_general_unicode_escapes": False,
}
ASCII_DIGITS = "d"  # \\d of a pattern is 0 to 9 alone
EMPTY = "(?:)"  # the pattern that only the empty text matches
BEFORE_TEXT = "\x02"  # stands before a text, so that the tokenizer adds no space to it
NUL_ESCAPE = b"\\u0000"
COMPLEX = re.compile("too complex|too large|too many (expressions|states|symbols)|fuel|limit")
# What llguidance's message is about, where it does not quote the keyword: the first of these that it has.
SAID_OF = {
    "present in a registry": "$ref",
    "ointer '": "$ref",
    "Unknown format": "format",
    "patternProperty": "patternProperties",
    "regex": "pattern",
    "oneOf": "oneOf",
    **{keyword: keyword for keyword in json_schemas.VALUES},
}


class Vocabulary:
    """The tokens of a model's tokenizer as bytes, with one more that ends a text, and what is never allowed."""

    bos_token_id = None

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self.size = self.eos_token_id = tokenizer.vocabulary_size
        self.tokens = [self._text_of(token) for token in range(self.size)] + [b"<end>"]
        self.special_token_ids = [self.size]
        self.allowed = np.array([bool(text) and b"\0" not in text for text in self.tokens[:-1]])
        self._longest = max(map(len, self.tokens))
        self._ids = {text: token for token, text in reversed(list(enumerate(self.tokens[:-1]))) if text}
        self.makes_nul = _makes_nul(self.tokens[:-1])
        self.library = llguidance.LLTokenizer(llguidance.TokenizerWrapper(self), n_vocab=self.size + 1)
        self._kept = OrderedDict()

    def __call__(self, text):
        """Ids of a text that is forced: as the tokenizer has them, if it gives just these bytes back."""
        wanted = text if isinstance(text, bytes) else text.encode()
        try:
            ids = self._tokenizer.encode(BEFORE_TEXT + wanted.decode(), False)
        except (UnicodeDecodeError, errors.ModelError):
            return self._longest_first(wanted)
        while ids and len(b"".join(self.tokens[i] for i in ids)) > len(wanted):
            ids = ids[1:]
        return ids if b"".join(self.tokens[i] for i in ids) == wanted else self._longest_first(wanted)

    def constraint(self, kind, source):
        """The Constraint of a kind, one of KINDS; the latest ones are kept."""
        try:
            key = kind, json.dumps(source)
            constraint = self._kept.pop(key, None) or KINDS[kind](self, source)
        except RecursionError:
            raise errors.limit_exceeded("the schema is nested too deeply") from None
        self._kept[key] = constraint
        while len(self._kept) > MOST_CONSTRAINTS:
            self._kept.popitem(last=False)
        return constraint

    def _text_of(self, token):
        """The bytes that a token adds to a text: none for a control token, an unknown one or a padding row."""
        tokenizer = self._tokenizer
        return tokenizer.token_bytes(token) if tokenizer.is_shown(token) else b""

    def _longest_first(self, text):
        ids = []
        while text:
            size = next((n for n in range(min(self._longest, len(text)), 0, -1) if text[:n] in self._ids), None)
            if size is None:
                return ids
            ids.append(self._ids[text[:size]])
            text = text[size:]
        return ids


def _makes_nul(tokens):
    """For each number of bytes of the escape of NUL that stand there: the ids of tokens that would complete it."""
    suspects = [(token, text) for token, text in enumerate(tokens) if text[:1] == b"0" or b"u0000" in text]
    return [
        np.array([token for token, text in suspects if _escape_after(begun, text) is None], np.int64)
        for begun in range(len(NUL_ESCAPE))
    ]


def _escape_after(begun, text):
    """How many bytes of the escape of NUL end a text after these, `begun` before them; None when it is complete."""
    for byte in text:
        if byte == NUL_ESCAPE[begun]:
            begun += 1
        else:
            begun = int(byte == NUL_ESCAPE[0] and begun != 1)
        if begun == len(NUL_ESCAPE):
            return None
    return begun


class Constraint:
    """What texts must be. grammar: as llguidance has it; is_json: U+0000 is not allowed as an escape either.

    Raises ModelError 22023 for what is no grammar or allows no text, 53400 for a grammar that is too complex.
    """

    def __init__(self, vocabulary, grammar, is_json=False):
        self._vocabulary, self._is_json = vocabulary, is_json
        self._matcher = llguidance.LLMatcher(vocabulary.library, grammar, log_level=0, limits=PARSER_LIMITS)
        if self._matcher.is_error():
            raise _refusal(self._matcher.get_error(), is_json)
        if not self.begin().allows_any:
            raise errors.invalid_parameter(
                "the constraint allows no text", hint="Nothing of the model's tokens fits it."
            )

    def begin(self):
        """The Matcher of a text."""
        return Matcher(self._vocabulary, self._matcher.deep_copy(), self._is_json)


class Matcher:
    """Which tokens may follow a text that obeys a constraint."""

    def __init__(self, vocabulary, matcher, is_json):
        self._vocabulary, self._matcher = vocabulary, matcher
        self._escape = 0 if is_json else None

    @property
    def is_complete(self):
        """Whether the text may end here."""
        return self._matcher.is_accepting()

    @property
    def is_ended(self):
        """Whether the text is complete and nothing may follow."""
        return self.is_complete and self._matcher.is_stopped()

    @property
    def allows_any(self):
        """Whether a token may follow, or the text may end."""
        return self.is_complete or bool(self._mask().any())

    def masked(self, logits, ends):
        """The logits, with minus infinity for tokens that are not allowed. ends: the tokens that end a text."""
        mask = self._mask()
        ends = list(ends)
        mask[ends] = self.is_complete
        if not mask.any():
            raise errors.not_supported(
                "no token of the model can continue the text within its constraint",
                hint="The constraint asks for characters that the model's tokens do not spell, or for U+0000.",
            )
        return np.where(mask, logits, np.float32(-np.inf))

    def take(self, token):
        """Go on with a token."""
        self._consume([token])

    def forced(self):
        """The tokens that must follow, with which it goes on."""
        tokens = [] if self._matcher.is_stopped() else self._matcher.compute_ff_tokens()
        if not all(token < self._vocabulary.size and self._vocabulary.allowed[token] for token in tokens):
            raise errors.not_supported("the constraint asks for a control token or for U+0000")
        self._consume(tokens)
        return tokens

    def _mask(self):
        """bool[vocabulary]: which tokens may follow."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        self._check()
        mask = np.unpackbits(bits, count=self._vocabulary.size, bitorder="little").view(np.bool_)
        mask &= self._vocabulary.allowed
        if self._escape is not None:
            mask[self._vocabulary.makes_nul[self._escape]] = False
        return mask

    def _consume(self, tokens):
        self._matcher.consume_tokens(tokens)
        self._check()
        if self._escape is not None:
            self._escape = _escape_after(self._escape, b"".join(self._vocabulary.tokens[token] for token in tokens))
            if self._escape is None:
                raise errors.not_supported("the constraint asks for U+0000, which PostgreSQL cannot store")

    def _check(self):
        if self._matcher.is_error():
            said = _one_line(self._matcher.get_error())
            if "NoExtension" in said:
                raise errors.invalid_parameter("the constraint allows no text", said)
            raise errors.limit_exceeded(
                "the constraint became too complex",
                said,
                "Shorten its repetitions and alternatives.",
            )


def of_schema(vocabulary, schema):
    """The Constraint of a JSON Schema: an object, true or false."""
    if isinstance(schema, bool):
        schema = {} if schema else {"enum": []}
    text = _dumped(json_schemas.checked(schema))
    _require_size(text, "the schema")
    try:
        grammar = llguidance.LLMatcher.grammar_from_json_schema(text, overrides=JSON_OPTIONS)
    except ValueError as problem:
        raise errors.invalid_parameter("the schema is not a JSON Schema", _one_line(str(problem))) from None
    return Constraint(vocabulary, grammar, is_json=True)


def of_regex(vocabulary, pattern):
    """The Constraint of a regular expression, which the whole text matches."""
    _require_size(pattern, "the pattern")
    lark = f"start: /{llguidance.regex_to_lark(pattern or EMPTY, ASCII_DIGITS)}/"
    return Constraint(vocabulary, llguidance.LLMatcher.grammar_from_lark(lark))


def of_choices(vocabulary, choices):
    """The Constraint of some texts, of which the text is one."""
    if not choices or not all(isinstance(choice, str) and choice for choice in choices):
        raise errors.invalid_parameter("choices must be texts that are neither NULL nor empty, at least one")
    pattern = "|".join(map(re.escape, choices))
    _require_size(pattern, "the array of choices")
    return Constraint(vocabulary, llguidance.LLMatcher.grammar_from_regex(pattern))


def of_grammar(vocabulary, grammar):
    """The Constraint of a grammar: Lark where it has a rule `start:` or a line `%llguidance`, else GBNF."""
    _require_size(grammar, "the grammar")
    if "%json" in grammar:
        raise errors.not_supported(
            "a grammar cannot have a JSON Schema in it", hint="llm.generate_json takes a schema."
        )
    try:
        lark = grammar if is_lark_syntax(grammar) else gbnf_to_lark(grammar)
    except (Exception, RecursionError) as problem:
        raise errors.invalid_parameter(
            "the grammar is neither Lark nor GBNF",
            _one_line(str(problem)),
            "Lark has a rule start: ..., GBNF a rule root ::= ...",
        ) from None
    return Constraint(vocabulary, llguidance.LLMatcher.grammar_from_lark(lark))


KINDS = {"schema": of_schema, "regex": of_regex, "choices": of_choices, "grammar": of_grammar}


def _dumped(schema):
    try:
        return json.dumps(schema, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise errors.invalid_parameter("the schema has a number that is too large") from None


def _require_size(text, what):
    size = len(text.encode())
    if size > MOST_OF_A_GRAMMAR:
        raise errors.limit_exceeded(f"{what} is too large", f"it has {size} bytes, allowed are {MOST_OF_A_GRAMMAR}")


def _refusal(problem, is_json):
    """The error for a grammar that llguidance does not take, by what it says."""
    said = _one_line(problem)
    if COMPLEX.search(said):
        return errors.limit_exceeded("the constraint is too complex", said)
    if not is_json:
        return errors.invalid_parameter("the constraint cannot be read", said)
    if "Unsatisfiable" in said:
        return errors.invalid_parameter("the schema allows no value", said)
    return json_schemas.refused(_keyword(said), "cannot be honoured as it is used here", said)


def _keyword(said):
    quoted = re.search(r'keys: \["([^"]+)', said)
    return quoted[1] if quoted else next((word for part, word in SAID_OF.items() if part in said), "$ref")


def _one_line(text):
    """What llguidance says, in one line."""
    return " ".join(text.partition("<backtrace>")[0].split())[:MOST_SAID]
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__constraints() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__constraints() IS
'Constraints: a text is a value of a JSON Schema, matches a regular expression, is one of some choices, or a '
'sentence';

CREATE OR REPLACE FUNCTION llm_runtime.generate__continuations()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Probabilities of given answers: how likely a model is to continue a prompt with each of them.

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
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__continuations() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__continuations() IS
'Probabilities of given answers: how likely a model is to continue a prompt with each of them.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__draft_model()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Guesses at the next tokens by a draft model: one with the same tokens that computes faster than the one that writes.

The draft chooses a token for each position as the model will: with the same samplers, and with the random number of
that position. So its guess is right wherever both give about the same probabilities, also when tokens are sampled.
Speculative decoding (2211.17192, 2302.01318), but verified exactly: the text does not change.

The draft need not have read what the model has read, as that only makes guesses worse. It reads no more than is worth
it for what may still follow; of a longer history it reads the end.
"""

from collections import namedtuple

import numpy as np

from ..server import errors
from .interfaces import DecodingEngine
from .prefix_cache import common_prefix

READ = 2  # most tokens that a draft of the model's size reads for each that may follow; a smaller one reads more
LEAST_READ = 64  # tokens; with a shorter end of the history guesses would be poor. As much is read after a rest

# What a draft may use. positions: of its KV cache. vocabulary: tokens from 0 that both models have. smaller: how many
# times as many parameters the model has.
Limits = namedtuple("Limits", "positions vocabulary smaller")


class DraftModel:
    """A guesser with an engine of the draft. chooser: a Chooser, of the text.

    cache: of the engine; holds a beginning of the history, at least a token less. limits: Limits.
    checkpoint: as in Engine.forward.
    """

    def __init__(self, engine, chooser, cache, limits, checkpoint=None):
        self._engine, self._chooser, self._checkpoint = engine, chooser, checkpoint
        self._cache, self._limits = cache, limits
        self._begin = 0  # the first token of the history that is in the cache
        self._guessed, self._at = [], 0  # the last guesses, and how long the history was before them
        self._runs = chooser.is_argmax and isinstance(engine, DecodingEngine)

    def prepare(self, history, remaining):
        """Read what was written meanwhile. Returns whether the draft can guess, and is worth the reading."""
        self._forget_wrong(history)
        missing = len(history) - self._held
        worth = int((min(READ * remaining, LEAST_READ) if self._at else READ * remaining) * self._limits.smaller)
        if missing > worth or self._cache.length + missing > self._limits.positions:
            missing = self._begin_anew(history, min(worth, self._limits.positions // 2))
        if not missing or max(history[-missing:]) >= self._limits.vocabulary:
            return False
        if missing > 2:  # after right guesses two are missing, after wrong ones one
            self._engine.forward(history[-missing:-1], self._cache, checkpoint=self._checkpoint)
        return True

    def guess(self, history, most):
        """The tokens that the draft would write, at most `most`, none of those that end a text."""
        fresh = history[self._held :]
        most = min(most, self._limits.positions - self._cache.length - len(fresh) + 1)
        guessed = self._guessed = []
        self._at = len(history)
        logits = self._engine.forward(fresh, self._cache, checkpoint=self._checkpoint)[-1]
        while (token := self._chosen(logits, guessed)) is not None:
            guessed.append(token)
            if len(guessed) >= most:
                break
            run, logits = self._computed(token, most - len(guessed), logits.size)
            guessed += run
        return guessed

    def reusable(self, history):
        """The KV cache, which now holds a beginning of the history, or None if it holds another part of it."""
        self._forget_wrong(history)
        return self._cache if self._begin == 0 else None

    @property
    def _held(self):
        """How many tokens of the history the cache makes it unnecessary to compute."""
        return self._begin + self._cache.length

    def _forget_wrong(self, history):
        """Leave of the last guesses in the cache those that the model has written."""
        computed = self._guessed[: max(0, self._held - self._at)]
        right = common_prefix(computed, history[self._at : self._at + len(computed)])
        self._cache.truncate(self._cache.length - (len(computed) - right))
        self._guessed = []

    def _begin_anew(self, history, count):
        """Forget all, to read the last `count` tokens. Returns how many are missing then; 0: too few to guess from."""
        count = min(count, len(history))
        if count < min(LEAST_READ, len(history)):
            return 0
        self._cache, self._begin = self._engine.new_cache(), len(history) - count
        return count

    def _computed(self, token, most, vocabulary):
        """(tokens chosen after `token` without looking at their logits, fewer than `most`; logits after the last)."""
        if not self._runs:
            return [], self._engine.forward([token], self._cache, checkpoint=self._checkpoint)[-1]
        ends = np.array([*self._chooser.ends, *range(self._limits.vocabulary, vocabulary)], np.int64)
        run, logits = self._engine.decode(token, self._cache, most, ends, self._checkpoint)
        return run.tolist(), logits

    def _chosen(self, logits, guessed):
        """The token to guess next, or None: the text would end, or the draft's logits are not finite."""
        try:
            token = self._chooser.choose(logits[: self._limits.vocabulary], guessed)
        except errors.ModelError:  # the model that writes may do well all the same
            return None
        return None if token in self._chooser.ends else token
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__draft_model() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__draft_model() IS
'Guesses at the next tokens by a draft model: one with the same tokens that computes faster than the one that '
'writes.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__interfaces()
RETURNS void
LANGUAGE plpython3u
AS $python$"""The interfaces of engines and KV caches, and the sizes that both sides of them know."""

from typing import Protocol, runtime_checkable

PAGE = 64  # positions of a page of a KV cache
PASS_TOKENS = 256  # most tokens of a pass: more gain nothing, and their activations take tens of MB


class Cache(Protocol):
    """Keys and values of the positions 0 .. length - 1 of one sequence."""

    length: int

    def truncate(self, length):
        """Forget the positions from `length` on."""


class SharedCache(Cache, Protocol):
    """A cache of pages that caches with a common beginning share."""

    page_bytes: int  # of one page
    bytes: int  # of all its pages, shared ones included
    addresses: object  # int64 [at least the number of pages]: where each begins, the same in caches that share it

    def fork(self, length=None):
        """A cache with the first `length` positions, which shares their pages."""


class Engine(Protocol):
    """Computes the logits of one sequence at a time."""

    def new_cache(self) -> Cache:
        """An empty one for its model."""

    def forward(self, tokens, cache, last_only=True, checkpoint=None):
        """Logits after `tokens`, which follow the cache's: int[n] -> f32 [1, vocabulary], or [n, ...] if not last_only.

        The cache grows at the very end: after an exception, of `checkpoint` too, it holds what it held.
        """


@runtime_checkable
class BatchEngine(Engine, Protocol):
    """One that gives the same bits in whatever batch, so that texts may share passes, prefixes and guesses.

    Its caches are SharedCaches.
    """

    def forward_batch(self, rows, last_only=True, checkpoint=None):
        """`forward` of several sequences in shared passes: [(tokens, cache), ...], each with a cache of its own."""


@runtime_checkable
class DecodingEngine(Engine, Protocol):
    """One that decodes greedily by itself: several passes in a call, each for the argmax of the one before."""

    def decode(self, token, cache, most, ends=(), checkpoint=None):
        """(tokens chosen after `token`, fewer than `most` and none of `ends`; the logits after the last of them)."""


class Chooser(Protocol):
    """Chooses the tokens of a text that has been written up to some position."""

    ends: frozenset  # tokens that end the text
    is_argmax: bool  # whether each token is the one with the largest logit

    def choose(self, logits, guessed=()):
        """The token that would follow if the guessed ones followed first, by its logits: f32[vocabulary] -> int."""


class Guesser(Protocol):
    """Guesses tokens of a text, which the model then verifies. A history is the whole text so far; it only grows."""

    def prepare(self, history, remaining):
        """Whether it can guess now. What this takes is not counted as the cost of a guess.

        remaining: how many tokens may still follow.
        """

    def guess(self, history, most):
        """The tokens that it expects next, at most `most`. Called right after a `prepare` that returned True."""
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__interfaces() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__interfaces() IS
'The interfaces of engines and KV caches, and the sizes that both sides of them know.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__json_schemas()
RETURNS void
LANGUAGE plpython3u
AS $python$"""JSON Schema (draft 2020-12): which schemas a constraint can honour. The others are refused by the keyword's name.

A keyword is one of VALUES (it is honoured), REMARKS (it constrains nothing) or refused (0A000): those of the draft that
no grammar expresses, and unknown ones, which are most often misspelled. A value of the wrong kind is an error (22023).
"""

from ..server import arguments, errors

JSON_SCHEMA_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
REMARKS = (
    *("$comment", "$schema", "$vocabulary", "contentEncoding", "contentMediaType", "contentSchema", "default"),
    *("deprecated", "description", "example", "examples", "readOnly", "title", "writeOnly"),
)
DRAFT = "https://json-schema.org/draft/2020-12/schema"
MOST_DEPTH = 100
DATES = ("date", "date-time")
TEXT_FORMATS = (*DATES, "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
WITH_A_YEAR = {"pattern": "^(000[1-9]|00[1-9]|0[1-9]|[1-9])"}  # there is no year 0000
SUPPORTED_HINT = (
    "A value can be checked after it was generated; docs/structured.md lists the keywords that are honoured."
)


def is_schema(value):
    """Whether a value can be a schema: an object, true or false."""
    return isinstance(value, (dict, bool))


def is_number(value):
    """Whether a value is a number of JSON."""
    return arguments.is_integer(value) or isinstance(value, float)


def is_count(value):
    """Whether a value is a whole number that is not negative."""
    return is_number(value) and value >= 0 and value == value // 1


def is_text(value):
    """Whether a value is a string."""
    return isinstance(value, str)


def is_type(value):
    """Whether a value is the name of a type, or a list of them."""
    return (
        value in JSON_SCHEMA_TYPES
        if is_text(value)
        else isinstance(value, list) and all(one in JSON_SCHEMA_TYPES for one in value)
    )


def is_texts(value):
    """Whether a value is a list of different strings."""
    return isinstance(value, list) and all(map(is_text, value)) and len(set(value)) == len(value)


def is_schemas(value):
    """Whether a value is a list of schemas, at least one."""
    return isinstance(value, list) and len(value) > 0 and all(map(is_schema, value))


def is_named_schemas(value):
    """Whether a value is an object of schemas."""
    return isinstance(value, dict) and all(map(is_schema, value.values()))


def _is_positive(value):
    return is_number(value) and value > 0


def _is_anything(value):
    return True


def _is_list(value):
    return isinstance(value, list)


VALUES = {  # of each keyword that is honoured: (what it may be, in words)
    "$ref": (is_text, "a string"),
    "$id": (is_text, "a string"),
    "$anchor": (is_text, "a string"),
    "$defs": (is_named_schemas, "an object of schemas"),
    "definitions": (is_named_schemas, "an object of schemas"),
    "type": (is_type, "one or several of " + ", ".join(JSON_SCHEMA_TYPES)),
    "enum": (_is_list, "an array"),
    "const": (_is_anything, "any value"),
    "allOf": (is_schemas, "an array of schemas"),
    "anyOf": (is_schemas, "an array of schemas"),
    "oneOf": (is_schemas, "an array of schemas"),
    "minimum": (is_number, "a number"),
    "maximum": (is_number, "a number"),
    "exclusiveMinimum": (is_number, "a number"),
    "exclusiveMaximum": (is_number, "a number"),
    "multipleOf": (_is_positive, "a number above 0"),
    "minLength": (is_count, "a whole number"),
    "maxLength": (is_count, "a whole number"),
    "pattern": (is_text, "a regular expression"),
    "format": (is_text, "a string"),
    "items": (is_schema, "a schema"),
    "prefixItems": (is_schemas, "an array of schemas"),
    "minItems": (is_count, "a whole number"),
    "maxItems": (is_count, "a whole number"),
    "properties": (is_named_schemas, "an object of schemas"),
    "patternProperties": (is_named_schemas, "an object of schemas"),
    "additionalProperties": (is_schema, "a schema"),
    "required": (is_texts, "an array of different strings"),
    "minProperties": (is_count, "a whole number"),
    "maxProperties": (is_count, "a whole number"),
}
NAMED_BELOW = ("$defs", "definitions", "properties", "patternProperties")
SOME_BELOW = ("allOf", "anyOf", "oneOf", "prefixItems")
ELSEWHERE = ("https://json-schema.org/", "http://json-schema.org/") + tuple(
    f"#/{keyword}/" for keyword in ("const", "enum", *REMARKS)
)
ONE_BELOW = ("items", "additionalProperties")


def checked(schema, depth=0):
    """The schema with required properties first, in the order of `required`: jsonb does not keep that of an object.

    Raises ModelError 0A000 for what cannot be honoured, 22023 for what is no schema.
    """
    if depth > MOST_DEPTH:
        raise errors.limit_exceeded(
            "the schema is nested too deeply", f"allowed are {MOST_DEPTH} schemas in each other"
        )
    if not isinstance(schema, dict):
        return schema
    for keyword, value in schema.items():
        _check(keyword, value)
    _check_together(schema)
    below = {keyword: _below(keyword, value, schema, depth + 1) for keyword, value in schema.items()}
    return {**below, "allOf": [*below.get("allOf", []), WITH_A_YEAR]} if schema.get("format") in DATES else below


def refused(keyword, why, detail=None):
    """The error for a keyword that cannot be honoured (0A000)."""
    return errors.not_supported(f'the schema\'s keyword "{keyword}" {why}', detail, SUPPORTED_HINT)


def _check(keyword, value):
    if keyword in REMARKS:
        return
    if keyword not in VALUES:
        raise refused(keyword, "cannot be honoured")
    fits, allowed = VALUES[keyword]
    if not fits(value):
        raise arguments.ill(f'"{keyword}" of the schema', value, allowed)
    if _has(value, _is_with_nul):
        raise refused(keyword, "has the character U+0000, which PostgreSQL cannot store")
    if _has(value, _is_inexact):
        raise refused(keyword, "has a whole number of more than 53 bits, which would be rounded")


def _check_together(schema):
    least, required = schema.get("minProperties", 0), schema.get("required", [])
    if least > len(required):  # an object may have a property twice, of which the last counts
        raise refused("minProperties", "cannot be honoured above the number of required properties")
    if schema.get("format", DATES[0]) not in TEXT_FORMATS:
        raise refused("format", "cannot be honoured with this value", f"known are {', '.join(TEXT_FORMATS)}")
    if schema.get("$schema", DRAFT) != DRAFT:
        raise refused("$schema", f"is not {DRAFT}")
    if schema.get("$ref", "").startswith(ELSEWHERE):
        raise refused("$ref", "names what is not a schema of this document", schema["$ref"])


def _has(value, is_such):
    """Whether something in a value, the names in objects included, is such."""
    if isinstance(value, dict):
        return any(is_such(name) or _has(inner, is_such) for name, inner in value.items())
    return any(_has(inner, is_such) for inner in value) if isinstance(value, list) else is_such(value)


def _is_with_nul(value):
    return is_text(value) and "\0" in value


def _is_inexact(value):
    """Whether llguidance, which computes in float64, would round a number."""
    return arguments.is_integer(value) and (abs(value) >= 2**1000 or float(value) != value)


def _below(keyword, value, schema, depth):
    """A keyword's value, with the schemas in it checked."""
    if keyword in ONE_BELOW:
        return checked(value, depth)
    if keyword in SOME_BELOW:
        return [checked(one, depth) for one in value]
    if keyword in NAMED_BELOW:
        names = schema.get("required", []) if keyword == "properties" else []
        order = [*(name for name in names if name in value), *(name for name in value if name not in set(names))]
        return {name: checked(value[name], depth) for name in order}
    return int(value) if VALUES.get(keyword, (None,))[0] is is_count else value
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__json_schemas() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__json_schemas() IS
'JSON Schema (draft 2020-12): which schemas a constraint can honour. The others are refused by the keyword''s '
'name.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__prefix_cache()
RETURNS void
LANGUAGE plpython3u
AS $python$"""KV caches that a session keeps after a text is finished, for the next prompt that begins the same way.

Kept by what the text was computed with (a model's hash) and for whom (a role): nobody's prompt is ever answered from
what another role computed. Least recently used ones go when all together outgrow their memory; pages that several
share count once. Only for engines whose bits do not depend on what was computed together: a reused prefix changes no
answer.
"""

from collections import namedtuple

SHORTEST = 8  # tokens; a shorter common beginning is not worth the copy of a page

Entry = namedtuple("Entry", "key tokens cache")


class PrefixCache:
    """The kept caches, the most recently used last."""

    def __init__(self):
        self._entries = []

    @property
    def bytes(self):
        """Memory of all that is kept."""
        return unique_bytes([entry.cache for entry in self._entries])

    def fork(self, key, tokens):
        """A cache with as much of the tokens as any that is kept for the key begins with; None when that is too little.

        At least the last token is left to compute: its logits are not kept.
        """
        shares = [
            (min(common_prefix(entry.tokens, tokens), entry.cache.length, len(tokens) - 1), index)
            for index, entry in enumerate(self._entries)
            if entry.key == key
        ]
        shared, index = max(shares, default=(0, None))
        if shared < SHORTEST:
            return None
        entry = self._entries.pop(index)
        self._entries.append(entry)
        return entry.cache.fork(shared)

    def keep(self, key, tokens, cache, memory):
        """Keep a cache that holds a beginning of the tokens, and what else fits into `memory` bytes with it.

        What the new one begins with, or is the beginning of, is kept once.
        """
        tokens = list(tokens[: cache.length])
        if len(tokens) < SHORTEST:
            return
        shares = [(entry, common_prefix(entry.tokens, tokens)) for entry in self._entries if entry.key == key]
        if any(shared == len(tokens) for _, shared in shares):
            return
        covered = {id(entry) for entry, shared in shares if shared == len(entry.tokens)}
        self._entries = [entry for entry in self._entries if id(entry) not in covered]
        self._entries.append(Entry(key, tokens, cache))
        self.shrink(memory)

    def shrink(self, memory):
        """Free those used least recently until all together take no more than `memory` bytes."""
        while self._entries and self.bytes > memory:
            self._entries.pop(0)

    def clear(self):
        """Free them all."""
        self._entries.clear()


def common_prefix(one, other):
    """How many tokens two lists have in common from their beginning on: by halves, since comparing lists is fast."""
    same, different = 0, min(len(one), len(other))
    if one[:different] == other[:different]:
        return different
    while different - same > 1:
        middle = (same + different) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            different = middle
    return same


def unique_bytes(caches):
    """Bytes of the pages of caches, of which several may share some."""
    sizes = {}
    for cache in caches:
        held = cache.addresses[: cache.bytes // cache.page_bytes]
        sizes.update(dict.fromkeys(held.tolist(), cache.page_bytes))
    return sum(sizes.values())
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__prefix_cache() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__prefix_cache() IS
'KV caches that a session keeps after a text is finished, for the next prompt that begins the same way.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__prompt_lookup()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Guesses at the next tokens, by looking up what followed the last few where they stood before in the text.

Texts that repeat themselves or their prompt (code, tables, quotations) are guessed well, others hardly. The model then
verifies several tokens in one pass over its weights, which costs little more than one.
Prompt lookup decoding (Saxena 2023); verified exactly, so the text does not change.
"""

SIZES = (3, 2)  # of the runs of tokens that are looked up, the longest first


class PromptLookup:
    """Guesses at most `most` tokens. Remembers where each run of tokens stood last, so a guess takes no search."""

    def __init__(self, most):
        self._most = most
        self._after = {}  # run -> the index of the token that followed it last
        self._seen = 0  # how many tokens of the history are in there

    def prepare(self, history, remaining):
        """Whether the last run of the history stood there before. A history only ever grows."""
        return self._place(history) is not None

    def guess(self, history, most):
        """The tokens that followed the last run of the history; `most` limits them too."""
        after = self._place(history)
        return [] if after is None else history[after : after + max(0, min(self._most, most))]

    def _place(self, history):
        """The index of the token that followed the last run when it stood there before, or None."""
        for end in range(max(self._seen, 1), len(history)):
            for size in SIZES:
                if end >= size:
                    self._after[tuple(history[end - size : end])] = end
        self._seen = len(history)
        places = (self._after.get(tuple(history[-size:])) for size in SIZES if len(history) >= size)
        return next((place for place in places if place is not None), None)
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__prompt_lookup() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__prompt_lookup() IS
'Guesses at the next tokens, by looking up what followed the last few where they stood before in the text.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__sampling()
RETURNS void
LANGUAGE plpython3u
AS $python$"""From logits to the next token.

The samplers, rows of SAMPLERS, stand in the order of Hugging Face transformers: penalties change the logits, the
temperature divides them, the others drop tokens. Then one of the tokens that are left is drawn. (llama.cpp has the same
steps and puts the temperature last.) Where they leave ties open, the lowest token id wins. The random number is a
function of (seed, position) alone, so the same seed gives the same token whatever else was computed before, in whatever
batch, by whatever engine (`candidates` says how).
"""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, make_dataclass
from functools import cached_property

import numpy as np

from ..server import arguments, errors
from .candidates import Candidates

RANDOM_BITS = 53
SMALLEST_TEMPERATURE = 1e-6  # above 0; below it float32 logits would overflow


def repeat_penalty(logits, history, penalty):
    """Divide positive and multiply negative logits of the tokens in history (1909.05858); a token counts once."""
    if len(history) == 0:
        return logits
    seen = np.asarray(history, np.int64)
    smallest, largest = seen.min(), seen.max()
    if smallest < 0 or largest >= len(logits):
        outside = smallest if smallest < 0 else largest
        raise errors.invalid_parameter(
            f"token {outside} is outside the vocabulary", f"token ids are 0 to {len(logits) - 1}"
        )
    scores = logits[seen]
    logits = logits.copy()
    logits[seen] = np.where(
        scores > 0, scores / np.float32(penalty), scores * np.float32(penalty)
    )  # a repeated id is written twice with the same value
    return logits


def top_k(candidates, cut, k):
    """Keep the k most likely."""
    return candidates, cut.shorter(candidates.top_k(k))


def top_p(candidates, cut, p):
    """Keep the fewest most likely that reach the probability p, at least one (1904.09751)."""
    return candidates, cut.shorter(candidates.top_p(p, cut.mass))


def min_p(candidates, cut, p):
    """Keep those with at least p times the largest probability (2407.01082)."""
    return candidates, cut.shorter(candidates.min_p(p))


def typical_p(candidates, cut, p):
    """Sort by |information - entropy|; keep the first whose probabilities reach p, and ties of the last (2202.00666).

    The information of a token is minus the logarithm of its probability.
    """
    ids = candidates.ids(cut)
    weights = candidates.weights[ids].astype(np.float64)
    information = -candidates.log_probabilities(ids, cut)
    distances = np.abs(information - (weights * information).sum() / cut.mass)
    order = np.argsort(distances)
    reached = np.searchsorted(np.cumsum(weights[order]), p * cut.mass)
    only = candidates.only(ids[distances <= distances[order[reached]]])
    return only, only.all()


@dataclass(frozen=True)
class Sampler:
    """A row of SAMPLERS: a setting and what it does. Its range includes both ends; the neutral value changes nothing,
    all others are passed to its function.

    kind: int or float.
    penalise: a step before the temperature, (logits, history, value) -> logits.
    narrow: a step behind it, (candidates, cut, value) -> (candidates, the Cut of them that is kept).
    """

    name: str
    kind: type
    smallest: float
    largest: float
    neutral: float
    meaning: str
    penalise: Callable | None = None
    narrow: Callable | None = None

    def check(self, value, label=None):
        """Raise ModelError 22023 for a value of another kind or out of range; label: its name in the error."""
        kinds = int if self.kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not self.smallest <= value <= self.largest:
            raise arguments.out_of_range(label or self.name, value, f"{self.smallest} to {self.largest}")  # NaN too


# In the order of their steps. A temperature of 0 is greedy: then nothing is dropped or drawn.
SAMPLERS = (
    Sampler(
        "repeat_penalty", float, 0.01, 100.0, 1.0, "above 1, repeat tokens less; below 1, more", penalise=repeat_penalty
    ),
    Sampler(
        "temperature", float, 0.0, 100.0, 0.0, "0 picks the most likely token; above 0, the higher the more random"
    ),
    Sampler("top_k", int, 0, 2**31 - 1, 0, "keep the k most likely tokens; 0: all", narrow=top_k),
    Sampler("top_p", float, 0.0, 1.0, 1.0, "keep the fewest tokens that reach this probability", narrow=top_p),
    Sampler("min_p", float, 0.0, 1.0, 0.0, "keep tokens with this share of the largest probability", narrow=min_p),
    Sampler(
        "typical_p",
        float,
        0.0,
        1.0,
        1.0,
        "keep the fewest most typical tokens (2202.00666) that reach this probability",
        narrow=typical_p,
    ),
)
SEED = Sampler("seed", int, -(2**63), 2**63 - 1, 0, "the same seed draws the same tokens")


class CheckedSettings:
    """How to choose: a value of each sampler, and the seed. The defaults are greedy.

    Raises ModelError 22023 that names the value out of its range.
    """

    def __post_init__(self):
        for row in (*SAMPLERS, SEED):
            row.check(getattr(self, row.name))
        if 0 < self.temperature < SMALLEST_TEMPERATURE:
            raise arguments.out_of_range("temperature", self.temperature, f"0 or {SMALLEST_TEMPERATURE:.6f} to 100")

    @cached_property
    def penalties(self):
        """The steps before the temperature that change something: (function, value)."""
        return self._steps("penalise")

    @cached_property
    def narrowings(self):
        """The steps behind it that drop something: (function, value)."""
        return self._steps("narrow")

    @property
    def is_argmax(self):
        """Whether the next token is the one with the largest logit of the model."""
        return self.temperature == 0 and not self.penalties

    def _steps(self, step):
        values = [(getattr(row, step), getattr(self, row.name), row.neutral) for row in SAMPLERS]
        return [(function, value) for function, value, neutral in values if function and value != neutral]


Settings = make_dataclass(
    "Settings",
    [(row.name, row.kind, row.neutral) for row in (*SAMPLERS, SEED)],
    bases=(CheckedSettings,),
    frozen=True,
    kw_only=True,
)


def settings(**given):
    """Settings of what is not None; without a seed one is drawn, so that every call differs."""
    given = {name: value for name, value in given.items() if value is not None}
    return Settings(**{"seed": secrets.randbits(63), **given})


def next_token(logits, history, settings, position, weigh=Candidates):
    """The token after `history`: f32[vocabulary], int[...], Settings, the position to fill -> int.

    history is what penalties look at, normally the prompt and what was generated. weigh makes the candidates; all that
    can give the same token. Raises ModelError XX001 when the logits hold NaN or +infinity; -infinity excludes a token.
    """
    for penalise, value in settings.penalties:
        logits = penalise(logits, history, value)
    largest = logits.max()
    if not math.isfinite(largest):
        raise errors.corrupt_data(
            "the logits are not finite",
            f"the largest is {largest}",
            "When a model computed them, llm.verify tells whether its weights are those that were loaded.",
        )
    if settings.temperature == 0:
        return int(logits.argmax())
    candidates, cut = narrowed(weigh(logits, largest, settings.temperature), settings)
    return candidates.draw(cut, random_bits(settings.seed, position) * int(cut.mass) >> RANDOM_BITS)


def narrowed(candidates, settings):
    """(candidates, Cut) of what all samplers keep, each of what the ones before it kept."""
    cut = candidates.all()
    for narrow, value in settings.narrowings:
        candidates, cut = narrow(candidates, cut, value)
    return candidates, cut


def random_bits(seed, position):
    """A whole number below 2^53: Philox4x64-10 (Salmon et al. 2011), key = seed, counter = position + 1."""
    bits = np.random.Philox(key=seed % 2**64, counter=position).random_raw()  # numpy steps the counter first
    return int(bits) >> 11
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__sampling() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__sampling() IS
'From logits to the next token.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__scheduler()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Continuous batching: sequences that share each pass over the weights, and join and leave it as they begin and finish.

A pass takes one token of every sequence that decodes, and fills up with prompts of those in prefill. A sequence whose
prompt begins like another's waits until that one has computed the common prefix, and forks its KV cache. When the
caches outgrow their memory, the sequence that was admitted last is preempted: it frees its cache and computes it again
later, with the same bits. So every text is what it would be alone. Knows engines by their interface, and no server.

With an engine that is no BatchEngine (numpy's bits depend on what is computed together) sequences run one by one.
"""

from collections import deque

from ..server import errors
from .interfaces import PAGE, PASS_TOKENS, BatchEngine
from .prefix_cache import SHORTEST, common_prefix, unique_bytes

MOST_SEQUENCES = 32  # in a pass: with more, one over block-quantised weights gains little


def batches(engine):
    """Whether an engine gives the same bits in whatever batch, so that texts may share passes, prefixes and guesses."""
    return isinstance(engine, BatchEngine)


class Sequence:
    """One text that takes part in passes: its key, its Continuation, the pieces of its text, and its KV cache.

    leader: the sequence whose cache this one forks at `shared` positions, as soon as it has computed them.
    """

    def __init__(self, key, continuation):
        self.key, self.continuation = key, continuation
        self.pieces = []
        self.cache = self.leader = None
        self.shared = 0

    @property
    def fresh(self):
        """The tokens that are not in the cache yet."""
        return self.continuation.history[self.cache.length :]


class Scheduler:
    """Writes the texts of `arriving`, an iterator of (key, Continuation, or a ModelError), read when one more can run.

    memory: bytes that the KV caches of the running sequences may take; one sequence always runs. known(tokens) gives a
    cache that holds a beginning of the tokens, or None. stats: counts prefilled, reused and generated tokens.
    """

    def __init__(self, engine, arriving, checkpoint, memory, stats, known=lambda tokens: None):
        self._engine, self._arriving, self._checkpoint = engine, iter(arriving), checkpoint
        self._memory, self._stats, self._known = memory, stats, known
        self._together = batches(engine)
        self._width = MOST_SEQUENCES if self._together else 1
        self._running = []  # leaders before those that follow them
        self._waiting = deque()  # preempted, or not admitted for lack of memory
        self.last = None  # the sequence that finished last: the next prompts may begin with what its cache holds

    def run(self):
        """Yields (key, Continuation or None, text, ModelError or None) of each sequence as it finishes."""
        while True:
            yield from self._admit()
            if not self._running:
                return
            self._preempt()
            yield from self._step()

    def _admit(self):
        """Let sequences run while width and memory allow. Yields those that are finished before they begin."""
        while len(self._running) < self._width:
            sequence = self._waiting.popleft() if self._waiting else None
            if sequence is None:
                following = next(self._arriving, None)
                if following is None:
                    return
                key, continuation = following
                if isinstance(continuation, errors.ModelError):
                    yield key, None, None, continuation
                    continue
                sequence = Sequence(key, continuation)
                if continuation.finish_reason is not None:
                    yield key, continuation, "", None
                    continue
            if self._running and self._together and not self._fits(sequence):
                self._waiting.appendleft(sequence)
                return
            self._begin(sequence)
            self._running.append(sequence)

    def _fits(self, sequence):
        """Whether there is memory for a sequence's tokens, and for each sequence to grow by a page."""
        pages = len(sequence.continuation.history) // PAGE + 1 + len(self._running)
        return self._used() + pages * self._running[0].cache.page_bytes <= self._memory

    def _begin(self, sequence):
        """Give a sequence its cache: a fork of one with a prefix of its prompt, or an empty one."""
        tokens = sequence.continuation.history
        sequence.leader, sequence.shared = None, 0
        if self._together:
            leaders = [*self._running, *([self.last] if self.last else [])]
            shares = [(common_prefix(leader.continuation.history, tokens), leader) for leader in leaders]
            shared, leader = max(shares, key=lambda share: share[0], default=(0, None))
            shared = min(shared, len(tokens) - 1)
            known = self._known(tokens)
            if known is not None and known.length >= shared:
                sequence.cache = known
                self._stats.reused += known.length
                return
            if shared >= SHORTEST:
                sequence.leader, sequence.shared = leader, shared
        sequence.cache = self._engine.new_cache()
        self._follow(sequence)

    def _follow(self, sequence):
        """Fork the leader's cache when it holds the common prefix; until then the sequence takes no part in passes."""
        if sequence.leader is not None and sequence.leader.cache.length >= sequence.shared:
            sequence.cache = sequence.leader.cache.fork(sequence.shared)
            self._stats.reused += sequence.shared
            sequence.leader = None

    def _preempt(self):
        """Free the caches of the sequences that were admitted last while all together are too large."""
        while self._together and len(self._running) > 1 and self._used() > self._memory:
            sequence = self._running.pop()
            sequence.cache = sequence.leader = None
            self._waiting.appendleft(sequence)

    def _used(self):
        """Bytes of the caches; pages that several share count once, which is only looked at when it matters."""
        caches = [sequence.cache for sequence in self._running]
        most = sum(cache.bytes for cache in caches)
        return most if most <= self._memory // 2 else unique_bytes(caches)

    def _step(self):
        """One pass. Yields the sequences that it finishes."""
        shares = self._shares()
        logits = self._forward(shares)
        for (sequence, tokens), scores in zip(shares, logits, strict=True):
            if len(sequence.continuation.history) == sequence.continuation.prompt_tokens or len(tokens) > 1:
                self._stats.prefilled += len(tokens)
            if sequence.cache.length < len(sequence.continuation.history):
                continue  # its prompt goes on in the next pass
            error = self._accept(sequence, scores)
            if error is not None or sequence.continuation.finish_reason is not None:
                yield self._finished(sequence, error)
        for sequence in self._running:
            self._follow(sequence)

    def _shares(self):
        """The (sequence, tokens) of the next pass: one token of each that decodes, then prompts up to the budget."""
        ready = [(sequence, sequence.fresh) for sequence in self._running if sequence.leader is None]
        if not self._together:
            return ready
        budget = PASS_TOKENS - sum(len(fresh) == 1 for _, fresh in ready)
        shares = []
        for sequence, fresh in ready:
            if len(fresh) == 1:
                shares.append((sequence, fresh))
            elif budget > 0:
                shares.append((sequence, fresh[:budget]))
                budget -= min(budget, len(fresh))
        return shares

    def _forward(self, shares):
        pairs = [(tokens, sequence.cache) for sequence, tokens in shares]
        if self._together:
            return self._engine.forward_batch(pairs, checkpoint=self._checkpoint)
        return [self._engine.forward(tokens, cache, checkpoint=self._checkpoint)[-1] for tokens, cache in pairs]

    def _accept(self, sequence, logits):
        """Choose the sequence's next token. Returns the error where its logits are wrong: the others go on."""
        before = len(sequence.continuation.history)
        try:
            sequence.pieces.append(sequence.continuation.accept(logits))
        except errors.ModelError as error:
            return error
        self._stats.generated += len(sequence.continuation.history) - before
        return None

    def _finished(self, sequence, error):
        for other in self._running:
            self._follow(other)
        self._running.remove(sequence)
        if error is not None:
            return sequence.key, None, None, error
        self.last = sequence
        return sequence.key, sequence.continuation, "".join(sequence.pieces), None
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__scheduler() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__scheduler() IS
'Continuous batching: sequences that share each pass over the weights, and join and leave it as they begin and '
'finish.';

CREATE OR REPLACE FUNCTION llm_runtime.generate__speculation()
RETURNS void
LANGUAGE plpython3u
AS $python$"""Which guesser guesses before a pass, and how many tokens: as measured, for the text does not depend on it.

The model verifies n guesses in a pass over 1 + n tokens. With the probability a that a guess is right, and none counts
after a wrong one, that writes 1 + a + a^2 + ... + a^n tokens on average, in the time of a pass over one token, and for
each guess the time to make it and the time by which it lengthens the pass. `Pace` measures all of these, chooses the n
that writes the most tokens a second, and rests where no n beats what can be had without its guesser.
"""

import time

PLAIN = 2  # tokens that are written without guesses first, to know what they take
FADE = 0.95  # what a measurement counts after each later one
LIKELY = 0.8  # that a guess is right, before anything is known
RESTS = 16, 512  # tokens that a guesser rests at first, and at most; each rest in vain doubles it
FADE_AT_REST = 0.25  # what everything measured before a rest counts after it
PATIENCE = 2  # tokens without guesses whose time one that tries may lose by waiting for something to guess from
FIRST = 2  # most tokens of the first guess, and of the first after a rest; then up to twice as many as the last time
LEAST_SECONDS = 1e-9  # where the clock stands still


class Mean:
    """The mean of what was measured lately."""

    def __init__(self, value=0.0, count=0.0):
        self._sum, self._count = value * count, count

    @property
    def value(self):
        """0 before anything is known."""
        return self._sum / self._count if self._count else 0.0

    def add(self, total, count):
        """Count so many measurements with this sum."""
        self.fade(FADE**count)
        self._sum, self._count = self._sum + total, self._count + count

    def charge(self, total):
        """Let what was measured have taken so much more."""
        self._sum += total

    def fade(self, factor):
        """Let all that was measured count less."""
        self._sum, self._count = self._sum * factor, self._count * factor


class Always:
    """The pace of a guesser that guesses at most `most` tokens wherever it can."""

    rest, tries = 0, False

    def __init__(self, most):
        self._most = most

    def speed(self, plain):
        """As Pace.speed."""
        return 0.0

    def count(self, plain, rival):
        """As Pace.count."""
        return self._most

    def learn(self, guessed, accepted, seconds, more):
        """As Pace.learn."""

    def pass_by(self, tokens, lost, plain):
        """As Pace.pass_by."""


class Pace:
    """How many tokens a guesser guesses, at most `most`.

    rest: for how many tokens it will not guess. tries: whether it guesses only to learn what that brings.
    """

    def __init__(self, most):
        self._most, self._last = most, 0
        self._right = Mean(LIKELY, 1 / LIKELY)
        self._seconds, self._more = Mean(), Mean()  # of a guess, and by which a guess lengthens the pass
        self.rest, self.tries = PLAIN, True
        self._next_rest, self._waited = RESTS[0], 0.0

    def count(self, plain, rival):
        """How many tokens to guess. plain: seconds of a token without guesses. rival: tokens a second that can be had
        without this guesser."""
        if self.rest:
            return 0
        speed, n = self._best(plain)
        if self.tries:
            return n
        if speed < rival:
            self._begin_rest()
            return 0
        self._next_rest = RESTS[0]
        return n

    def speed(self, plain):
        """Tokens a second that the model writes with its guesses, 0 while it rests or tries."""
        return 0.0 if self.rest or self.tries else self._best(plain)[0]

    def learn(self, guessed, accepted, seconds, more):
        """So many tokens were guessed in so many seconds, and some accepted; they lengthened the pass by `more`.

        None guessed is as bad as one that is wrong.
        """
        self._right.add(accepted, accepted + (accepted < guessed or not guessed))
        self._seconds.add(seconds, max(guessed, 1))
        if guessed:
            self._more.add(max(more, 0.0), guessed)
        self._last, self.tries = guessed, False

    def pass_by(self, tokens, lost, plain):
        """So many tokens were written, with guesses or without. lost: the seconds by which that took longer because
        somebody might have guessed and did not. plain: as in `count`."""
        if self.rest:
            self.rest = max(0, self.rest - tokens)
            if not self.rest and not self.tries:
                self._try_again()
        elif lost:
            self._seconds.charge(lost)
            self._waited += lost
            if self.tries and self._waited >= PATIENCE * plain:
                self._begin_rest()

    def _best(self, plain):
        """(tokens a second, n) of the number of guesses that writes most."""
        most = min(self._most, max(FIRST, 2 * self._last))
        return max((self._speed(n, plain), n) for n in range(1, most + 1))

    def _speed(self, n, plain):
        """Tokens a second with n guesses."""
        written = sum(self._right.value**i for i in range(n + 1))
        return written / max(plain + n * (self._seconds.value + self._more.value), LEAST_SECONDS)

    def _begin_rest(self):
        self.rest, self.tries = self._next_rest, False
        self._next_rest = min(2 * self.rest, RESTS[1])

    def _try_again(self):
        self.tries, self._last, self._waited = True, 0, 0.0
        for mean in (self._right, self._seconds, self._more):
            mean.fade(FADE_AT_REST)


class Speculation:
    """Guesses for one text. guessers: (Guesser, its pace), in the order in which they are asked; those that try come
    first. One with a Pace rests unless it beats those behind it, and writing without guesses. plain: the Mean of the
    seconds of a token without guesses. Paces and this may be those of an earlier text. clock: seconds."""

    def __init__(self, guessers=(), plain=None, clock=time.perf_counter):
        self._guessers, self.clock = guessers, clock
        self._plain = Mean() if plain is None else plain
        self._used = None  # (pace, seconds) of the guesser that was asked before this pass

    @property
    def rest(self):
        """For how many tokens nobody will guess; None: for ever."""
        return min((pace.rest for _, pace in self._guessers), default=None)

    def guess(self, history, remaining):
        """The tokens to verify in the next pass, perhaps none. remaining: how many may follow after one more."""
        self._used = None
        places = range(len(self._guessers))
        for place in sorted(places, key=lambda place: not self._guessers[place][1].tries):
            guesser, pace = self._guessers[place]
            most = min(pace.count(self._plain.value, self._rival(place)), remaining)
            if most > 0 and guesser.prepare(history, remaining):
                began = self.clock()
                guessed = guesser.guess(history, most)
                self._used = pace, self.clock() - began
                return guessed
        return []

    def learn(self, guessed, written, seconds, is_plain=True):
        """Of so many guesses all but the last of the tokens `written` came; without guesses the model wrote those by
        itself. seconds: how long it computed. is_plain: whether it would also have done so if nobody guessed."""
        plain = self._plain.value
        if self._used is not None:
            pace, spent = self._used
            pace.learn(guessed, written - 1, spent, seconds - plain)
        if not guessed and is_plain:
            self._plain.add(seconds, written)
        lost = 0.0 if guessed or is_plain else max(0.0, seconds - plain * written)
        for _, pace in self._guessers:
            pace.pass_by(written, lost, plain)

    def _rival(self, place):
        """Tokens a second that can be had without the guesser at a place and those before it."""
        plain = self._plain.value
        behind = [pace.speed(plain) for _, pace in self._guessers[place + 1 :]]
        return max([*behind, 1 / max(plain, LEAST_SECONDS)])


def by_lookup(lookup, most):
    """The Speculation of prompt lookup alone."""
    return Speculation([(lookup, Always(most))])
$python$;

REVOKE ALL ON FUNCTION llm_runtime.generate__speculation() FROM PUBLIC;
COMMENT ON FUNCTION llm_runtime.generate__speculation() IS
'Which guesser guesses before a pass, and how many tokens: as measured, for the text does not depend on it.';

COMMIT;
