"""What a model writes for an answer: its reasoning, its calls of tools, and the text that is left.

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
