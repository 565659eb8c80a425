#!/usr/bin/env python3
"""Renders plpython/<module>.py into the scripts and the pgTAP test of the change python_runtime_<module>.

    tools/render.py           write what differs, and plan lines for new modules
    tools/render.py --check   write nothing; fail when a script or a plan line is not what a rendering would give

A server needs Python packages and never our files, so each module is the body of a function that nobody calls. The
body is the source alone, from its first byte to its last: a traceback's line numbers are those of the file here.
The header and the comment come from the module's first docstring line, the requirements from sqitch.plan.
"""

import argparse
import ast
import hashlib
import re
import sys
import textwrap
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2

CHECKOUT = Path(__file__).resolve().parent.parent
PLANNER = "Hartonomous <hartonomous@example.org>"
DOLLAR_TAG = "$python$"
RELEASE = "function_runtime_release"
RELEASE_NOTE = "Tells which release of the Python modules is deployed."
TEMPLATES = {"deploy": "", "revert": "_revert", "verify": "_verify", "tests/pgtap": "_pgtap"}


class RenderError(Exception):
    """A module or plan that cannot be rendered; the message says which and why."""


@dataclass(frozen=True)
class Module:
    """One file of plpython/: its name, its source and what its docstring says in one line."""

    name: str
    source: str
    comment: str

    @property
    def change(self) -> str:
        return f"python_runtime_{self.name}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()


def read_module(path: Path) -> Module:
    """Reads a module and refuses what would not survive as a function body."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source, str(path))
    docstring = ast.get_docstring(tree)
    if not docstring:
        raise RenderError(f"{path}: a module starts with a docstring; its first line becomes the function's comment")
    if not source.isascii():
        raise RenderError(f"{path}: a deploy script is ASCII, which every database can read; write \\u escapes")
    if DOLLAR_TAG in source:
        raise RenderError(f"{path}: the source holds {DOLLAR_TAG}, which would end the function's body")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            raise RenderError(f"{path}:{node.lineno}: a function body cannot import from __future__")
        if isinstance(node, ast.ImportFrom) and any(name.name == "*" for name in node.names):
            raise RenderError(f"{path}:{node.lineno}: a function body cannot import *: name what it needs")
    return Module(path.stem, source, docstring.splitlines()[0])


def read_modules(folder: Path) -> list[Module]:
    """All modules in the order of their names, which is the order that the release's hash takes them in."""
    return [read_module(path) for path in sorted(folder.glob("*.py")) if path.stem != "__init__"]


def release(modules: list[Module]) -> str:
    """The hash over all modules: SHA-256 of the text that `sha256sum` would print for them."""
    return hashlib.sha256("".join(f"{m.sha256}  {m.name}\n" for m in modules).encode()).hexdigest()


def plan_requires(plan: list[str]) -> dict[str, list[str]]:
    """The requirements of each change of the plan."""
    lines = (re.match(r"(\w+)(?:\s+\[([^\]]*)\])?\s+\d{4}-", line) for line in plan)
    return {line[1]: (line[2] or "").split() for line in lines if line}


def plan_line(change: str, requires: list[str], note: str) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{change} [{' '.join(requires)}] {now} {PLANNER} # {note}"


def complete_plan(plan: list[str], modules: list[Module]) -> list[str]:
    """The plan with a line for each module, the new ones behind the last module, and the release behind them all."""
    plan = list(plan)
    for module in modules:
        if module.change not in plan_requires(plan):
            line = plan_line(module.change, ["schema_llm_runtime"], module.comment)
            plan.insert(last_line(plan, r"python_runtime_|schema_llm_runtime\b") + 1, line)
    if RELEASE not in plan_requires(plan):
        line = plan_line(RELEASE, ["schema_llm_runtime"], RELEASE_NOTE)
        plan.insert(last_line(plan, "python_runtime_") + 1, line)
    if last_line(plan, "python_runtime_") > last_line(plan, RELEASE):
        raise RenderError(f"sqitch.plan: {RELEASE} must come behind all modules")
    return plan


def check_planned(plan: list[str], modules: list[Module]) -> None:
    """Refuses a plan with a change of a module that is not there: it would deploy what nobody maintains."""
    rendered = {module.change for module in modules}
    for change in plan_requires(plan):
        if change.startswith("python_runtime_") and change not in rendered:
            raise RenderError(f"sqitch.plan: {change} has no module of plpython/; take its line and its scripts away")


def last_line(plan: list[str], pattern: str) -> int:
    """The index of the last line that begins with the pattern."""
    found = [i for i, line in enumerate(plan) if re.match(pattern, line)]
    if not found:
        raise RenderError(f"sqitch.plan: no line begins with {pattern}; the modules go behind the schema llm_runtime")
    return found[-1]


def render(modules: list[Module], plan: list[str]) -> dict[str, str]:
    """All scripts, by their path in the checkout."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(CHECKOUT / "tools" / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    requires = plan_requires(plan)
    scripts = {}
    for folder, suffix in TEMPLATES.items():
        template = environment.get_template(f"python_runtime{suffix}.sql.j2")
        for module in modules:
            scripts[f"{folder}/{module.change}.sql"] = template.render(
                change=module.change,
                module=module.name,
                source=module.source,
                sha256=module.sha256,
                comment=sql_literal(module.comment),
                requires=requires[module.change],
            )
        scripts[f"{folder}/{RELEASE}.sql"] = environment.get_template(f"runtime_release{suffix}.sql.j2").render(
            change=RELEASE,
            digests=[(module.name, module.sha256) for module in modules],
            release=release(modules),
            requires=requires[RELEASE],
        )
    return scripts


def sql_literal(text: str) -> str:
    """A string literal; a long one goes on on the next line, as SQL allows."""
    words = textwrap.wrap(text.replace("'", "''"), 110, drop_whitespace=False)
    return "\n".join(f"'{part}'" for part in words)


def strangers(scripts: dict[str, str]) -> list[str]:
    """Scripts of modules that are no longer in plpython/."""
    found = (path for folder in TEMPLATES for path in (CHECKOUT / folder).glob("python_runtime_*.sql"))
    return sorted(set(map(str, (path.relative_to(CHECKOUT) for path in found))) - set(scripts))


def differing(files: dict[str, str]) -> list[str]:
    def current(path: Path) -> str | None:
        return path.read_text(encoding="utf-8") if path.is_file() else None

    return sorted(path for path, text in files.items() if current(CHECKOUT / path) != text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    modules = read_modules(CHECKOUT / "plpython")
    plan = (CHECKOUT / "sqitch.plan").read_text(encoding="utf-8").splitlines()
    check_planned(plan, modules)
    completed = complete_plan(plan, modules)
    scripts = render(modules, completed)
    files = scripts if completed == plan else {"sqitch.plan": "\n".join(completed) + "\n", **scripts}
    problems = [f"{path}: no module of plpython/ renders to it" for path in strangers(scripts)]
    for path in differing(files):
        if check:
            problems.append(f"{path}: not what plpython/ renders to; run make render")
        else:
            (CHECKOUT / path).write_text(files[path], encoding="utf-8")
            print(f"rendered {path}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except RenderError as error:
        sys.exit(str(error))
