"""The text of an answer while it is being written: what will surely be in the text that answers.parse gives.

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
