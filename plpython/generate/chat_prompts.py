"""From messages to a prompt's token ids: control tokens come from the chat template, never from what a message says.

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
