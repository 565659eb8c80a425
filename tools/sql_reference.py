#!/usr/bin/env python3
"""Writes docs/sql-reference.md from the comments of the deployed database.

tools/sql_reference.py           write it
tools/sql_reference.py --check   fail when it is not what the database's comments give
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tools.cluster import Cluster, ClusterError  # noqa: E402 (a script's own folder comes first)

LONGEST_LINE = 100
ARGUMENT = re.compile(r"(\w+(?:(?:, | and )\w+)*): ")
REFERENCE = CHECKOUT / "docs" / "sql-reference.md"
PLAN = CHECKOUT / "sqitch.plan"
SECTION = "# --- "  # begins a section of the plan, and with it a topic of the reference
COMMENTED = re.compile(
    r"^COMMENT ON (FUNCTION|PROCEDURE|AGGREGATE|VIEW)\s+(?:(llm|llm_atoms)\.)?(\w+) ?(\([^)]*\))?\s+IS\b",
    re.MULTILINE,
)
INTRODUCTION = """\
# SQL reference

What the schemas `llm` and `llm_atoms` offer, from the comments in the database (`\\df+ llm.*` and `\\d+ llm.*` show the
same), in the sections of `sqitch.plan`. Written by `make reference`; `make test` compares.
"""
RELATIONS = """
SELECT c.oid, c.relnamespace::regnamespace || '.' || c.relname, pg_catalog.obj_description(c.oid, 'pg_class')
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace IN ('llm'::regnamespace, 'llm_atoms'::regnamespace) AND NOT c.relispartition
    AND c.relkind IN ('v', 'r', 'p', 'm')
"""
COLUMNS = """
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), pg_catalog.col_description(a.attrelid, a.attnum)
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
TYPES = """
SELECT t.oid, t.typname, pg_catalog.obj_description(t.oid, 'pg_type'), t.typrelid
FROM pg_catalog.pg_type AS t
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = t.typrelid
WHERE t.typnamespace = 'llm'::regnamespace AND (t.typtype IN ('d', 'e') OR c.relkind = 'c')
ORDER BY t.typname COLLATE "C"
"""
# The wrapper generate(prompt) is in a schema that the deployment chooses; sqitch.conf's default is public.
FUNCTIONS = """
SELECT p.oid, n.nspname || '.' || p.proname, pg_catalog.pg_get_function_arguments(p.oid),
    pg_catalog.pg_get_function_result(p.oid), pg_catalog.obj_description(p.oid, 'pg_proc'),
    pg_catalog.has_function_privilege('llm_user', p.oid, 'EXECUTE')
FROM pg_catalog.pg_proc AS p
INNER JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE (n.nspname IN ('llm', 'llm_atoms') OR (n.nspname = 'public' AND p.proname = 'generate'))
    AND p.prorettype <> 'trigger'::regtype
"""


def split_arguments(arguments: str) -> list[str]:
    """Split an argument list at its commas, except those inside parentheses, brackets or quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, character in enumerate(arguments):
        if character == "'":
            quoted = not quoted
        elif not quoted and character in "([{":
            depth += 1
        elif not quoted and character in ")]}":
            depth -= 1
        elif not quoted and character == "," and depth == 0:
            parts.append(arguments[start:i].strip())
            start = i + 1
    return [*parts, arguments[start:].strip()] if arguments else []


def broken(head: str, parts: list[str]) -> str:
    """head(part, part) on one line if that fits, else with one part per line."""
    line = f"{head}({', '.join(parts)})"
    return line if len(line) <= LONGEST_LINE else f"{head}(\n    " + ",\n    ".join(parts) + "\n)"


def signature(name: str, arguments: str, result: str | None) -> str:
    """A function or procedure (which has no result) as its caller writes it."""
    parts = [re.sub(r"(DEFAULT (?:NULL|'[^']*'))::[\w ]+(\[\])?", r"\1", part) for part in split_arguments(arguments)]
    if result is None:
        return f"CALL {broken(name, parts)}"
    call = broken(name, parts)
    if len(call.splitlines()[-1] + f" RETURNS {result}") <= LONGEST_LINE or not result.startswith("TABLE("):
        return f"{call} RETURNS {result}"
    return call + broken(" RETURNS TABLE", split_arguments(result.removeprefix("TABLE(").removesuffix(")")))


def prose(comment: str | None) -> str:
    """A function's comment, whose lines of the form `argument: …` become a list."""
    lines, listed = [], False
    for line in (comment or "").splitlines():
        argument = ARGUMENT.match(line)
        if lines and listed != bool(argument):
            lines.append("")
        listed = bool(argument)
        lines.append(f"- `{argument[1]}`: {line[argument.end() :]}" if argument else line)
    return "\n".join(lines)


def cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ")


def table(columns: list[tuple[str, str, str | None]]) -> str:
    rows = "".join(f"| `{name}` | {kind} | {cell(comment)} |\n" for name, kind, comment in columns)
    return f"| column | type | meaning |\n|---|---|---|\n{rows}"


def topics() -> Iterator[tuple[str, list[str]]]:
    """(title, changes) of each section of the plan."""
    title, changes = "", []
    for line in PLAN.read_text(encoding="utf-8").splitlines():
        if line.startswith(SECTION):
            yield title, changes
            title, changes = line.removeprefix(SECTION), []
        elif line and line[0] not in "%#":
            changes.append(line.split()[0])
    yield title, changes


def objects(connection: psycopg.Connection, change: str) -> Iterator[int]:
    """The oids of what a change's script comments: objects of the users' schemas, or the wrapper public.generate."""
    script = (CHECKOUT / "deploy" / f"{change}.sql").read_text(encoding="utf-8")
    for kind, schema, name, arguments in COMMENTED.findall(script):
        look_up = "regclass" if kind == "VIEW" else "regprocedure" if arguments else "regproc"
        yield connection.execute(f"SELECT '{schema or 'public'}.{name}{arguments}'::{look_up}::oid").fetchone()[0]


def sections(connection: psycopg.Connection) -> Iterator[str]:
    """The page: its introduction, then a section for each topic that has anything, then types.

    Raises LookupError for a function or view that no deploy script comments.
    """
    yield INTRODUCTION
    described = dict(functions(connection)) | dict(views(connection))
    for title, changes in topics():
        texts = [described.pop(oid) for change in changes for oid in objects(connection, change)]
        if texts:
            yield f"## {title}\n"
            yield from texts
    if described:
        raise LookupError(f"no deploy script has a comment for {min(described.values()).splitlines()[0]}")
    yield from types(connection)


def functions(connection: psycopg.Connection) -> Iterator[tuple[int, str]]:
    """(oid, section) of each function and procedure."""
    for oid, name, arguments, result, comment, is_for_users in connection.execute(FUNCTIONS).fetchall():
        needs = "" if is_for_users else "\n\nNeeds the role `llm_loader`."
        yield oid, f"### {name}\n\n```sql\n{signature(name, arguments, result)}\n```\n\n{prose(comment)}{needs}\n"


def views(connection: psycopg.Connection) -> Iterator[tuple[int, str]]:
    """(oid, section) of each view."""
    for oid, name, comment in connection.execute(RELATIONS).fetchall():
        yield oid, f"### {name}\n\n{comment or ''}\n\n{table(connection.execute(COLUMNS, [oid]).fetchall())}"


def types(connection: psycopg.Connection) -> Iterator[str]:
    """The section of types, where there are any."""
    found = connection.execute(TYPES).fetchall()
    if found:
        yield "## Types\n"
    for _, name, comment, relation in found:
        columns = connection.execute(COLUMNS, [relation]).fetchall()
        yield f"### llm.{name}\n\n{comment or ''}\n" + (f"\n{table(columns)}" if columns else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    parser.add_argument("--dsn", help="a superuser's URI (default: the private server's)")
    arguments = parser.parse_args()
    with psycopg.connect(arguments.dsn or Cluster().superuser_dsn()) as connection:
        # With this path, defaults of functions are shown with their schemas.
        connection.execute("SET search_path = pg_catalog")
        text = "\n".join(sections(connection))
    if not arguments.check:
        REFERENCE.parent.mkdir(exist_ok=True)
        REFERENCE.write_text(text, encoding="utf-8")
    elif not REFERENCE.is_file() or REFERENCE.read_text(encoding="utf-8") != text:
        print("docs/sql-reference.md is not what the database's comments give; run make reference", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ClusterError as error:
        sys.exit(str(error))
