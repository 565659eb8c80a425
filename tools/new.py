#!/usr/bin/env python3
"""Writes the four scripts of a new SQL function, and its line in sqitch.plan.

    make new function NAME

The function is llm.NAME(text), which returns its argument. It can be deployed and tested at once; then change it.
CONTRIBUTING.md says what else a function needs.
"""

import argparse
import re
import sys
from pathlib import Path

import jinja2

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tools.render import plan_line, plan_requires  # noqa: E402 (a script's own folder comes first)

FOLDERS = ("deploy", "revert", "verify", "tests/pgtap")
REQUIRES = ["schema_llm", "role_llm_owner"]
NOTE = "Gives a text back."
NAME = re.compile(r"[a-z][a-z0-9_]{0,50}")


class NewError(Exception):
    """The function cannot be made; the message says why."""


def scripts(name: str) -> dict[str, str]:
    """The scripts of the function llm.<name>, by their path in the checkout."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(CHECKOUT / "tools" / "templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    values = {"name": name, "requires": REQUIRES}
    return {
        f"{folder}/function_{name}.sql": environment.get_template(f"new_function_{Path(folder).name}.sql.j2").render(
            values
        )
        for folder in FOLDERS
    }


def write_function(name: str, checkout: Path) -> list[str]:
    """Writes the scripts and the plan line. Returns the paths. Raises NewError."""
    if not NAME.fullmatch(name):
        raise NewError(f'"{name}" is no name for a function: lower-case letters, digits and _ make one')
    plan = checkout / "sqitch.plan"
    lines = plan.read_text(encoding="utf-8").splitlines()
    change, files = f"function_{name}", scripts(name)
    if change in plan_requires(lines) or any((checkout / path).exists() for path in files):
        raise NewError(f"{change} is there already")
    for path, text in files.items():
        (checkout / path).write_text(text, encoding="utf-8")
    plan.write_text("\n".join([*lines, plan_line(change, REQUIRES, NOTE)]) + "\n", encoding="utf-8")
    return [*files, "sqitch.plan"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["function"])
    parser.add_argument("name")
    for path in write_function(parser.parse_args().name, CHECKOUT):
        print(f"wrote {path}")
    print("next: move its line in sqitch.plan to the section of its topic, and change the scripts")
    print("then: make reference, make test")


if __name__ == "__main__":
    try:
        main()
    except NewError as error:
        sys.exit(str(error))
