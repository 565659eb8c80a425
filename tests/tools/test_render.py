"""Rendering modules into migrations: the plan and plpython/ say the same, or nothing is rendered."""

import pytest

from tools.render import Module, RenderError, check_planned, complete_plan, plan_requires, read_module

MODULE = Module("ops", '"""Arithmetic."""\n', "Arithmetic.")
SCHEMA = "schema_llm_runtime 2026-01-01T00:00:00Z A <a@example.org> # The runtime."
GONE = "python_runtime_gone [schema_llm_runtime] 2026-01-01T00:00:00Z A <a@example.org> # No longer there."


def test_a_new_module_gets_a_line_in_the_plan_and_the_release_stays_behind_it():
    plan = complete_plan([SCHEMA], [MODULE])
    assert list(plan_requires(plan)) == ["schema_llm_runtime", "python_runtime_ops", "function_runtime_release"]
    assert plan[1].endswith("# Arithmetic.")
    check_planned(plan, [MODULE])


def test_a_planned_module_that_is_not_there_is_refused_by_name():
    with pytest.raises(RenderError, match="python_runtime_gone has no module"):
        check_planned([SCHEMA, GONE], [MODULE])


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 1\n", "docstring"),
        ('"""Sums."""\nfrom __future__ import annotations\n', "__future__"),
        ('"""Sums."""\nfrom math import *\n', "cannot import \\*"),
        ('"""Sums."""\nTAG = "$python$"\n', "would end the function's body"),
    ],
)
def test_a_module_that_would_not_survive_as_a_function_body_is_refused(tmp_path, source, problem):
    path = tmp_path / "sums.py"
    path.write_text(source)
    with pytest.raises(RenderError, match=problem):
        read_module(path)
