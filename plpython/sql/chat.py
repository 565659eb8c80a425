"""Chat: messages in, an answer out, by the model's own chat template."""

import weakref

from ..generate import chat_prompts
from . import generation

_prompts = weakref.WeakKeyDictionary()  # ChatPrompts by Tokenizer


def prompts(model):
    """The ChatPrompts of a model."""
    tokenizer = model.tokenizer
    if tokenizer not in _prompts:
        _prompts[tokenizer] = chat_prompts.ChatPrompts(tokenizer)
    return _prompts[tokenizer]


def tokens_of(model, conversation):
    """Token ids of a conversation, a chat_prompts.Conversation. Interruptible."""
    context = model.architecture.context_length
    return prompts(model).tokens(conversation, lambda text, parses: model.encode_at_most(text, context, parses))


def turn_tokens(model, text):
    """Token ids of one turn of a user, ready for the answer; the text alone where the model has no chat template."""
    if not prompts(model).has_template:
        return generation.prompt_tokens(model, text)
    return tokens_of(model, chat_prompts.Conversation([{"role": "user", "content": text}]))
