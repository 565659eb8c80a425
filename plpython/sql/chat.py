"""Chat: messages in, an answer out, by the model's own chat template."""

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
