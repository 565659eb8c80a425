"""The text of an answer, letter by letter: what was shown is never taken back."""

import pytest

from plpython.generate import answers
from plpython.generate.answer_stream import certain_text

CALL = '<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>'
HARMONY = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>"
# (what is written, the end of the prompt, whether there are tools, what is shown before the end, the text)
ANSWERS = {
    "plain": ("Hello there! ", "", False, "Hello there!", "Hello there!"),
    "reasoning": (
        "<think>so</think>\n\nThe answer <b> is 4.",
        "",
        False,
        "The answer <b> is 4.",
        "The answer <b> is 4.",
    ),
    "reasoning that the prompt began": ("so</think>Yes", "<think>\n", False, "Yes", "Yes"),
    "reasoning that is cut": ("<think>so", "", False, "", ""),
    "a call": (f"Look: {CALL} done", "", True, "Look:", "Look:  done"),
    "a call that is none": ("Look: <tool_call>{bad", "", True, "Look:", "Look: <tool_call>{bad"),
    "an object that is a call": ('{"name": "f", "parameters": {}}', "", True, "", ""),
    "an object that is none": ("{no call", "", True, "", "{no call"),
    "an object without tools": ("{no call", "", False, "{no call", "{no call"),
    "the beginning of a notation": ("a <thin", "", False, "a", "a <thin"),
    "channels": (f"{HARMONY}final<|message|>Hello you<|return|>", "", False, "Hello you", "Hello you"),
    "a call in channels": (f'{HARMONY}commentary to=functions.f<|message|>{{"a": 1}}<|call|>', "", True, "", ""),
}


@pytest.mark.parametrize(("written", "prompt", "has_tools", "shown", "text"), ANSWERS.values(), ids=ANSWERS)
def test_the_text_only_grows_and_ends_as_the_whole_is_read(written, prompt, has_tools, shown, text):
    steps = [certain_text(written[:n], prompt, has_tools) for n in range(len(written) + 1)]
    longest = ""
    for step in steps:
        assert step.startswith(longest) or longest.startswith(step)
        longest = max(longest, step, key=len)
    assert longest == shown
    assert answers.parse(written, prompt, has_tools).text == text
    assert text.startswith(shown)
