#!/usr/bin/env python3
"""Renders plpython/ into the scripts of its changes: python_runtime_<wing> for each folder, and the release.

    tools/render.py           write what differs: scripts, plan lines and their notes, the map of docs/architecture.md
    tools/render.py --check   write nothing; fail when something is not what a rendering would give

A server needs Python packages but none of our files: each module is the body of a function that nobody calls.
plpython/kernels/matrix.py is llm_runtime.kernels__matrix(). The body is exactly the source, so line numbers in a
traceback are those of the file here. Comments come from the first docstring lines of modules, notes of the plan from
those of wings, requirements from sqitch.plan.
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
MAP = "docs/architecture.md"
MAP_BEGIN, MAP_END = "<!-- the map, written by make render -->", "<!-- end of the map -->"
TEMPLATES = {"deploy": "", "revert": "_revert", "verify": "_verify"}
# The wings of plpython/, lowest first: a module imports from its own wing and from those before it.
WINGS = (
    "server",
    "model",
    "reference",
    "generate",
    "simd",
    "kernels",
    "weights",
    "atoms",
    "store",
    "engine",
    "session",
    "sql",
)


class RenderError(Exception):
    """A module or plan that cannot be rendered; the message says which and why."""


@dataclass(frozen=True)
class Module:
    """A file of plpython/: its path there without the suffix, its source, the first line of its docstring."""

    path: str
    source: str
    comment: str

    @property
    def wing(self) -> str:
        return self.path.partition("/")[0]

    @property
    def function(self) -> str:
        """Its function of schema llm_runtime."""
        return self.path.replace("/", "__")

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()


@dataclass(frozen=True)
class Wing:
    """A folder of plpython/: its name, the first line of its docstring, its modules."""

    name: str
    note: str
    modules: tuple[Module, ...]

    @property
    def change(self) -> str:
        return f"python_runtime_{self.name}"


def read_docstring(path: Path) -> tuple[str, str]:
    """(source, the first line of the docstring). Refuses sources that cannot be function bodies."""
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
    return source, docstring.splitlines()[0]


def read_module(path: Path, folder: Path) -> Module:
    """Reads a module of plpython/, which is `folder`."""
    return Module(path.relative_to(folder).with_suffix("").as_posix(), *read_docstring(path))


def read_wings(folder: Path) -> list[Wing]:
    """All wings, lowest first, each with its modules in the order of their names."""
    strangers = {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"} - set(WINGS)
    if strangers:
        raise RenderError(f"{folder}: {', '.join(sorted(strangers))} is no wing; WINGS of tools/render.py names them")
    return [
        Wing(
            wing,
            read_docstring(folder / wing / "__init__.py")[1],
            tuple(read_module(p, folder) for p in sorted((folder / wing).rglob("*.py")) if p.stem != "__init__"),
        )
        for wing in WINGS
    ]


def modules_of(wings: list[Wing]) -> list[Module]:
    """All modules in the order of their functions' names, which is the order of the release's hash."""
    return sorted((module for wing in wings for module in wing.modules), key=lambda module: module.function)


def release(modules: list[Module]) -> str:
    """The hash over all modules: SHA-256 of the output that `sha256sum` would print for them."""
    return hashlib.sha256("".join(f"{m.sha256}  {m.function}\n" for m in modules).encode()).hexdigest()


def plan_requires(plan: list[str]) -> dict[str, list[str]]:
    """The requirements of each change of the plan."""
    lines = (re.match(r"(\w+)(?:\s+\[([^\]]*)\])?\s+\d{4}-", line) for line in plan)
    return {line[1]: (line[2] or "").split() for line in lines if line}


def plan_line(change: str, requires: list[str], note: str) -> str:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{change} [{' '.join(requires)}] {now} {PLANNER} # {note}"


def complete_plan(plan: list[str], wings: list[Wing]) -> list[str]:
    """The plan with a line for each wing, in order and with its note, and the release after them."""
    notes = {wing.change: wing.note for wing in wings}
    plan = [re.sub(r" # .*", f" # {notes[c]}", line) if (c := line.split(" ")[0]) in notes else line for line in plan]
    for wing in wings:
        if wing.change not in plan_requires(plan):
            line = plan_line(wing.change, ["schema_llm_runtime"], wing.note)
            plan.insert(last_line(plan, r"python_runtime_|function_runtime_site_packages\b") + 1, line)
    if RELEASE not in plan_requires(plan):
        line = plan_line(RELEASE, ["schema_llm_runtime"], RELEASE_NOTE)
        plan.insert(last_line(plan, "python_runtime_") + 1, line)
    if last_line(plan, "python_runtime_") > last_line(plan, RELEASE):
        raise RenderError(f"sqitch.plan: {RELEASE} must come behind all wings")
    return plan


def check_planned(plan: list[str], wings: list[Wing]) -> None:
    """Refuses a plan with a change of a wing that does not exist."""
    rendered = {wing.change for wing in wings}
    for change in plan_requires(plan):
        if change.startswith("python_runtime_") and change not in rendered:
            raise RenderError(f"sqitch.plan: {change} has no wing of plpython/; take its line and its scripts away")


def last_line(plan: list[str], pattern: str) -> int:
    """The index of the last line that begins with the pattern."""
    found = [i for i, line in enumerate(plan) if re.match(pattern, line)]
    if not found:
        raise RenderError(f"sqitch.plan: no line begins with {pattern}; the wings go behind the schema llm_runtime")
    return found[-1]


def render(wings: list[Wing], plan: list[str]) -> dict[str, str]:
    """All scripts, by their path in the checkout."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(CHECKOUT / "tools" / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters["sql_literal"] = sql_literal
    requires, modules = plan_requires(plan), modules_of(wings)
    scripts = {}
    for folder, suffix in TEMPLATES.items():
        template = environment.get_template(f"python_runtime{suffix}.sql.j2")
        for wing in wings:
            path = f"{folder}/{wing.change}.sql"
            scripts[path] = template.render(wing=wing, requires=requires[wing.change])
        scripts[f"{folder}/{RELEASE}.sql"] = environment.get_template(f"runtime_release{suffix}.sql.j2").render(
            change=RELEASE, modules=modules, release=release(modules), requires=requires[RELEASE]
        )
    return scripts


def imported_wings(wing: Wing) -> list[str]:
    """The other wings that a wing's modules import, in the order of WINGS."""
    names = {
        (node.module or name.name).partition(".")[0]
        for module in wing.modules
        for node in ast.walk(ast.parse(module.source))
        if isinstance(node, ast.ImportFrom) and node.level == module.path.count("/") + 1
        for name in node.names
    }
    return [name for name in WINGS if name in names]


def architecture_map(wings: list[Wing]) -> str:
    """The map of docs/architecture.md: the wings, highest first, what each imports, and a line for each module."""
    lines = []
    for wing in reversed(wings):
        below = ", ".join(imported_wings(wing))
        lines += ["", f"**`{wing.name}/`** {wing.note}" + (f" Imports from {below}." if below else ""), ""]
        lines += [f"- `{module.path.partition('/')[2]}`: {module.comment}" for module in wing.modules]
    return "\n".join(lines[1:])


def with_map(page: str, wings: list[Wing]) -> str:
    """The page with a new map between the two markers."""
    before, begin, rest = page.partition(MAP_BEGIN)
    _, end, after = rest.partition(MAP_END)
    if not (begin and end):
        raise RenderError(f"{MAP}: there is no {MAP_BEGIN} with a {MAP_END} behind it")
    return f"{before}{begin}\n{architecture_map(wings)}\n{end}{after}"


def sql_literal(text: str) -> str:
    """A string literal; a long one continues on the next line."""
    words = textwrap.wrap(text.replace("'", "''"), 110, drop_whitespace=False)
    return "\n".join(f"'{part}'" for part in words)


def strangers(scripts: dict[str, str]) -> list[str]:
    """Scripts of wings that plpython/ no longer has."""
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
    wings = read_wings(CHECKOUT / "plpython")
    plan = (CHECKOUT / "sqitch.plan").read_text(encoding="utf-8").splitlines()
    check_planned(plan, wings)
    completed = complete_plan(plan, wings)
    scripts = render(wings, completed)
    page = (CHECKOUT / MAP).read_text(encoding="utf-8")
    files = {"sqitch.plan": "\n".join(completed) + "\n", MAP: with_map(page, wings), **scripts}
    problems = [f"{path}: no wing of plpython/ renders to it" for path in strangers(scripts)]
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
