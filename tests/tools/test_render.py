"""Rendering modules into migrations: the plan and plpython/ say the same, or nothing is rendered."""

import pytest

from tools.render import Module, RenderError, Wing, check_planned, complete_plan, plan_requires, read_module, read_wings

WING = Wing("reference", "Arithmetic.", (Module("reference/operators", '"""Sums."""\n', "Sums."),))
SITE = "function_runtime_site_packages 2026-01-01T00:00:00Z A <a@example.org> # Where packages are."
GONE = "python_runtime_gone [schema_llm_runtime] 2026-01-01T00:00:00Z A <a@example.org> # No longer there."


def test_a_new_wing_gets_a_line_in_the_plan_and_the_release_stays_behind_it():
    plan = complete_plan([SITE], [WING])
    changes = ["function_runtime_site_packages", "python_runtime_reference", "function_runtime_release"]
    assert list(plan_requires(plan)) == changes
    assert plan[1].endswith("# Arithmetic.")
    check_planned(plan, [WING])


def test_the_note_of_a_wing_follows_its_docstring():
    plan = complete_plan(complete_plan([SITE], [WING]), [Wing("reference", "Exact sums.", WING.modules)])
    assert plan[1].endswith("# Exact sums.")


def test_a_planned_wing_that_is_not_there_is_refused_by_name():
    with pytest.raises(RenderError, match="python_runtime_gone has no wing"):
        check_planned([SITE, GONE], [WING])


def test_a_folder_that_is_no_wing_is_refused_by_name(tmp_path):
    (tmp_path / "attic").mkdir()
    with pytest.raises(RenderError, match="attic is no wing"):
        read_wings(tmp_path)


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
        read_module(path, tmp_path)
