"""The prompts of tasks: templates, their places, and what is inserted as data."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plpython.server import errors
from plpython.sql import prompts

VIEW = Path(__file__).resolve().parents[2] / "deploy" / "view_prompts.sql"


def first_prompts():
    """{task: template} of the view's version 0, as PostgreSQL reads its literals."""
    rows = re.findall(r"\('(\w+)', E((?:'[^']*'\s*)+)\)", VIEW.read_text(encoding="utf-8"))
    return {task: "".join(re.findall(r"'([^']*)'", text)).replace("\\n", "\n") for task, text in rows}


def test_each_task_has_a_first_prompt_with_its_places():
    found = first_prompts()
    assert set(found) == set(prompts.TASKS)
    for task, template in found.items():
        prompts.check(task, template)


def test_rows_of_a_statement_share_what_stands_before_their_text():
    """So that the labels, and all that is asked, are computed once."""
    for task, template in first_prompts().items():
        places = [place for _, place in prompts.parts(template) if place is not None]
        assert places[-1] == "text" and sorted(places) == sorted(prompts.TASKS[task])


@given(st.text())
def test_what_is_inserted_stays_as_it_is(text):
    values = {"text": text, "condition": "{text} {x} {{ }"}
    assert prompts.filled("a {condition} b {{text}} {text}", values) == f"a {{text}} {{x}} {{{{ }} b {{text}} {text}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{text}", "the template of matches lacks {condition}"),
        ("{condition}", "the template of matches lacks {text}"),
        ("{text} {condition} {labels}", "the template of matches has the unknown place {labels}"),
        ("{text} {condition} {}", "the template of matches has the unknown place {}"),
        ("{text} {condition} {text.x}", "the template of matches has the unknown place {text.x}"),
        ("{text} {condition} {text!r}", "the template of matches has the unknown place {text!r}"),
        ("{text} {condition} {text:>9}", "the template of matches has the unknown place {text:>9}"),
        ("{text} {condition} {", "the template has a brace that belongs to no place"),
        ("{text} {condition} }", "the template has a brace that belongs to no place"),
    ],
)
def test_a_template_that_does_not_fit_is_refused_by_name(template, message):
    with pytest.raises(errors.ModelError) as error:
        prompts.check("matches", template)
    assert (error.value.sqlstate, error.value.message) == ("22023", message)


def test_a_template_that_is_too_long_is_refused():
    with pytest.raises(errors.ModelError) as error:
        prompts.check("summarize", "{text}" + "a" * prompts.MOST_CHARACTERS)
    assert error.value.sqlstate == "22023"
