"""Chat templates: what transformers and llama.cpp's vectors say, and the bounds of a template that loops or grows."""

import datetime
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from plpython.generate import chat_templates
from plpython.generate.chat_templates import ChatTemplate
from plpython.server.errors import ModelError
from tests.fixtures.chat.conversations import CONVERSATIONS

EXPECTED = json.loads((Path(__file__).parent.parent / "fixtures" / "chat" / "expected.json").read_text())
MESSAGES = [{"role": "user", "content": "Hello"}]
NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
DAY = datetime.datetime(2024, 7, 26, 12, 0)
BOMBS = {
    "a range": "{% for i in range(10**9) %}x{% endfor %}",
    "nested loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a loop over a filter": "{% for i in range(9999) %}{% for j in range(9999)|map('string') %}{% endfor %}"
    "{% endfor %}",
    "a recursive loop": "{% for x in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "a recursive macro": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "a branching macro": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(40) }}",
    "a product of a text": "{{ 'x' * 10**9 }}",
    "a product of a list": "{{ (['x'] * 10**9)|length }}",
    "a power": "{{ (10 ** 9999) ** 9999 }}",
    "a chain of products": "{% set n = namespace(x=3) %}{% for i in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "doubling by ~": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "doubling by +": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "doubling by a set": "{% set n = namespace(x='ab') %}{% for i in range(60) %}{% set n.x %}{{ n.x }}{{ n.x }}"
    "{% endset %}{% endfor %}",
    "a list in itself": "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
    "{{ n.x }}",
    "a list in itself as JSON": "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
    "{% endfor %}{{ n.x|tojson }}",
    "a list in itself, formatted": "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
    "{% endfor %}{{ '%s' % [n.x] }}",
    "what a dictionary gives": "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}"
    "{% endfor %}{{ dict(a=n.x).items() }}",
    "lists in themselves, compared": "{% set n = namespace(x=[], y=[]) %}{% for i in range(60) %}"
    "{% set n.x = [n.x, n.x] %}{% set n.y = [n.y, n.y] %}{% endfor %}{{ n.x == n.y }}",
    "center": "{{ 'x'|center(10**9) }}",
    "the method center": "{{ 'x'.center(10**9) }}",
    "a method through attr": "{{ ('x'|attr('ljust'))(10**9) }}",
    "a percent format": "{{ '%1000000000d' % 1 }}",
    "a percent format by an argument": "{{ '%*d' % (10**9, 1) }}",
    "a format": "{{ '{:1000000000}'.format(1) }}",
    "a format by an argument": "{{ '{:{}}'.format(1, 10**9) }}",
    "the filter format": "{{ '%1000000000d'|format(1) }}",
    "a join": "{{ range(99999)|join('x' * 90000) }}",
    "the method join": "{{ ('x' * 90000).join(['a'] * 90000) }}",
    "replace": "{{ ('a' * 90000)|replace('a', 'b' * 90000) }}",
    "the method replace": "{{ ('a' * 90000).replace('a', 'b' * 90000) }}",
    "indent": "{{ ('a\\n' * 90000)|indent('b' * 90000) }}",
    "an indent of JSON": "{{ [1]|tojson(indent=10**9) }}",
    "expandtabs": "{{ '\t'.expandtabs(10**9) }}",
    "wordwrap": "{{ ('a ' * 90000)|wordwrap(1, wrapstring='b' * 90000) }}",
    "batch": "{{ [1]|batch(10**9, 1)|list }}",
    "round": "{{ 1.5|round(10**9, 'ceil') }}",
    "a date": "{{ strftime_now('%999999999d') }}",
}


@pytest.fixture(autouse=True)
def today(monkeypatch):
    monkeypatch.setattr(chat_templates, "datetime", SimpleNamespace(datetime=SimpleNamespace(now=lambda: DAY)))


@pytest.fixture(scope="module")
def vectors(data):
    return json.loads((data / "chat-templates" / "llamacpp_chat_vectors.json").read_text())


def test_the_vectors_of_llama_cpp_are_written_as_jinja_writes_them(vectors):
    cases = [case for case in vectors["cases"] if case["jinja2_ok_on_expected_jinja"]]
    for case in cases:
        messages = vectors["conversation"] + case["extra"]
        names = {"bos_token": case["bos"], "eos_token": case["eos"]}
        assert ChatTemplate(case["template"]).render(messages, variables=names) == (
            case["expected_jinja"] or case["expected"]
        ), case["name"]
    assert len(cases) == 29


@pytest.mark.parametrize("template", EXPECTED)
def test_a_template_writes_what_transformers_writes_or_refuses_alike(data, template):
    ours = ChatTemplate((data / "chat-templates" / "jinja" / f"{template}.jinja").read_text(encoding="utf-8"))
    outcomes = {
        name: [outcome(ours, messages, tools, prompt) for prompt in (False, True)]
        for name, (messages, tools) in CONVERSATIONS.items()
    }
    assert outcomes == EXPECTED[template]


def test_most_conversations_are_written_by_most_templates():
    texts = [each for outcomes in EXPECTED.values() for pair in outcomes.values() for each in pair if type(each) is str]
    assert len(EXPECTED) == 36 and len(texts) == 620


def outcome(ours, messages, tools, prompt):
    """As make.py has them."""
    try:
        text = ours.render(messages, tools, prompt, NAMES)
    except ModelError as refusal:
        assert refusal.sqlstate == "22023"
        return {"refused": refusal.detail} if "refuses" in refusal.message else None
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", BOMBS)
def test_a_template_that_loops_or_grows_is_ended(name):
    with pytest.raises(ModelError) as ended:
        ChatTemplate(BOMBS[name]).render(MESSAGES)
    assert (ended.value.sqlstate, ended.value.message) == ("53400", "the chat template was ended")


def test_what_a_template_may_do_grows_with_the_messages():
    source = "{% for message in messages %}{{ message.content|upper|lower|trim }}{% endfor %}"
    text = "a word " * 100_000
    assert ChatTemplate(source).render([{"role": "user", "content": text}] * 10) == text.strip() * 10


def test_an_interrupt_ends_a_template_that_loops():
    calls = iter(range(1000))

    def checkpoint():
        if next(calls) == 999:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ChatTemplate(BOMBS["nested loops"]).render(MESSAGES, checkpoint=checkpoint)


def test_a_clock_ends_a_template(monkeypatch):
    monkeypatch.setattr(chat_templates, "SECONDS", -1.0)
    with pytest.raises(ModelError, match="the chat template was ended") as ended:
        ChatTemplate("{% for m in messages %}{% endfor %}").render(MESSAGES)
    assert "seconds" in ended.value.detail


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ namespace(_x=1) }}",
        "{{ messages[0].items().__iter__() }}",
        "{% include 'x' %}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ raise_exception.__globals__.os }}",
        "{{ strftime_now.__code__.co_code }}",
    ],
)
def test_a_template_stays_in_its_sandbox(source):
    with pytest.raises(ModelError, match="the chat template cannot write these messages"):
        ChatTemplate(source).render(MESSAGES)


@pytest.mark.parametrize("source", ["{% for %}", "{{ ", "(" * 10 + "{{ " + "(" * 9999, "{% endfor %}", "x" * 300_000])
def test_a_source_that_cannot_be_read_is_an_error(source):
    with pytest.raises(ModelError, match="the model's chat template cannot be read") as problem:
        ChatTemplate(source)
    assert problem.value.sqlstate == "XX001"


def test_the_tag_for_training_changes_nothing():
    source = "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}!{% endfor %}"
    assert ChatTemplate(source).render(MESSAGES) == "Hello!"


def test_json_is_written_as_transformers_writes_it():
    source = "{{ messages[0].content|tojson }} {{ {'b': 1, 'a': [2]}|tojson(indent=1, sort_keys=true) }}"
    assert (
        ChatTemplate(source).render([{"role": "user", "content": "<é'"}]) == '"<é\'" {\n "a": [\n  2\n ],\n "b": 1\n}'
    )
