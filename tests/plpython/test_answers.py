"""Answers as models of several families write them, and what is not one of their notations."""

import pytest

from plpython.generate.answers import parse


def call(name, arguments, number=0):
    return {"id": f"call{number:05d}", "type": "function", "function": {"name": name, "arguments": arguments}}


F = [call("f", {"x": 1})]
BOTH = [*F, call("g", {}, 1)]
CALLS = {
    '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>': F,
    '<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>\n'
    '<tool_call>{"name": "g", "arguments": {}}</tool_call>': BOTH,
    "<tool_call>\n<function=f>\n<parameter=x>\n1\n</parameter>\n</function>\n</tool_call>": F,
    "<seed:tool_call>\n<function=f>\n<parameter=x>1</parameter>\n</function>\n</seed:tool_call>": F,
    '[TOOL_CALLS] [{"name": "f", "arguments": {"x": 1}}]': F,
    '[TOOL_CALLS][{"name": "f", "arguments": {"x": 1}, "id": "123456789"}, {"name": "g", "arguments": {}}]': BOTH,
    '[TOOL_CALLS]f[ARGS]{"x": 1}[TOOL_CALLS]g[CALL_ID]abc[ARGS]{}': BOTH,
    '[TOOL_CALLS]f{"x": 1}': F,
    '<|python_tag|>{"name": "f", "parameters": {"x": 1}}; {"name": "g", "parameters": {}}': BOTH,
    '{"type": "function", "name": "f", "parameters": {"x": 1}}': F,
    '{"name": "f", "arguments": "{\\"x\\": 1}"}': F,
    '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"x": 1}': F,
    '<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{"x": 1}<|call|>': F,
}
NO_CALLS = [
    "Hello",
    '<tool_call>{"name": "f"',
    '<tool_call>{"name": "f", "arguments": {"x": 1e999}}</tool_call>',
    '<tool_call>{"name": "f", "arguments": {"x": NaN}}</tool_call>',
    '<tool_call>{"name": 7, "arguments": {}}</tool_call>',
    "<tool_call>[1]</tool_call>",
    "[TOOL_CALLS] f(1)",
    "<|python_tag|>print(1)",
    '{"name": "f", "parameters": {"x": 1}} is what I would call',
    '{"answer": 42}',
    "<tool_call>" + "[" * 100_000 + "</tool_call>",
]


@pytest.mark.parametrize("text", CALLS)
def test_calls_of_tools_are_found(text):
    assert parse(text, has_tools=True) == ("", None, CALLS[text])


@pytest.mark.parametrize("text", NO_CALLS)
def test_what_is_no_whole_call_stays_text(text):
    assert parse(text, has_tools=True) == (text, None, None)


def test_an_object_of_json_is_an_answer_where_no_tools_are_given():
    text = '{"name": "f", "parameters": {"x": 1}}'
    assert parse(text) == (text, None, None)


@pytest.mark.parametrize(
    ("text", "prompt", "expected"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", "", ("Yes.", "Hm.", None)),
        ("Hm.\n</think>\n\nYes.", "<|im_start|>assistant\n<think>\n", ("Yes.", "Hm.", None)),
        ("<think>\n\n</think>\n\nYes.", "", ("Yes.", None, None)),
        ("<think>\nHm, I was cut", "", ("", "Hm, I was cut", None)),
        ("[THINK]Hm.[/THINK]Yes.", "", ("Yes.", "Hm.", None)),
        ("<seed:think>Hm.</seed:think>Yes.", "", ("Yes.", "Hm.", None)),
        ("The tag <think> is not mine.", "", ("The tag <think> is not mine.", None, None)),
        (
            "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>Yes.",
            "",
            ("Yes.", "Hm.", None),
        ),
        ("<|channel|>analysis<|message|>Hm, I was cut", "", ("", "Hm, I was cut", None)),
    ],
)
def test_reasoning_is_not_part_of_the_text(text, prompt, expected):
    assert parse(text, prompt) == expected


def test_reasoning_text_and_calls_come_together():
    text = '<think>Hm.</think>I look.<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>'
    assert parse(text) == ("I look.", "Hm.", F)
