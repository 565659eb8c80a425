"""The examples of README.md, docs/ and tidy/README.md: each SQL block runs in psql as a reader would run it.

A page is one session. What a page shows is what psql says: a plain block behind a SQL block is its output, in which …
stands for anything; a comment behind SELECT generate(…) is its answer; a comment that begins with ERROR is the error.
Nothing else may fail.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from typer.testing import CliRunner

from loaders.cli import app
from tools import demo_search

from .models import loaded

CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(path.relative_to(CHECKOUT))
    for path in [CHECKOUT / "README.md", CHECKOUT / "tidy" / "README.md", *(CHECKOUT / "docs").glob("*.md")]
    if path.name != "sql-reference.md"  # signatures, which tools/sql_reference.py --check compares
)
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
MARK = "=== end of a block"
ADDRESS = re.compile(r'"(postgresql[+\w]*)://…"')
ENCODER = CHECKOUT / "tests" / "fixtures" / "encoders" / "mean"

BOOKING = CHECKOUT / "tools" / "booking.sql"  # the table of the pages, which `make demo` leaves
READER = "pages_reader"  # the schema that stands before public, for what the pages make
OPTIONS = f"-c client_min_messages=warning -c search_path={READER},public"
# What stands for a reader's own names; tidy knows no kings.
PLACEHOLDERS = {
    "docs/analysts.md": {"'qwen'": "'stories'"},
    "docs/chat.md": {"'qwen'": "'tidy'"},
    "docs/tour.md": {"'qwen'": "'tidy'"},
    "docs/models-as-data.md": {"MODEL": "tidy"},
    "docs/meaning.md": {
        "' king', 10, 'minilm'": "'year', 10, 'tidy'",
        "' man', ' king', ' woman', 5, 'minilm'": "'year', 'years', 'day', 5, 'tidy'",
    },
}


class Block(NamedTuple):
    """A block of a page: its language, its text, and the output that is shown for it, or None."""

    language: str
    text: str
    output: str | None


def blocks(page: str) -> list[Block]:
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    found = list(BLOCK.finditer(text))
    shown = {}
    for match, following in zip(found, [*found[1:], None], strict=False):
        adjacent = following is not None and not following[2] and following.start() == match.end() + 1
        shown[match.start()] = following[3] if adjacent else None
    return [Block(match[2], unindented(match[3], len(match[1])), shown[match.start()]) for match in found]


def unindented(text: str, width: int) -> str:
    return "".join(line[width:] if line.strip() else line for line in text.splitlines(keepends=True))


def lines_of(text: str) -> list[str]:
    """Lines as they can be compared: without indentation and the blanks that psql adds."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def is_quotation(block: Block) -> bool:
    """Whether the block is a part of a deploy script, shown to be read."""
    wanted = "\n".join(lines_of(block.text))
    return any(wanted in "\n".join(lines_of(path.read_text())) for path in (CHECKOUT / "deploy").glob("*.sql"))


def sql_blocks(page: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == "sql" and not is_quotation(block)]


@pytest.fixture(scope="module")
def reader_dsn(superuser_dsn: str, own_data: Path):
    """A database as a reader has it: tidy is the default model, there are `stories`, an encoder and `booking`."""
    models = {
        "tidy": CHECKOUT / "tidy" / "tidy.gguf",
        "stories": own_data / "stories260K" / "stories260K.gguf",
        "minilm": ENCODER,
    }
    with psycopg.connect(superuser_dsn, autocommit=True) as connection, loaded(superuser_dsn, models):
        before = connection.execute("SELECT name FROM llm.models WHERE is_default").fetchall()
        connection.execute("SELECT llm.set_default_model('tidy'), llm.set_default_model('minilm')")
        connection.execute(f"CREATE SCHEMA {READER}; SET search_path = {READER}, public")
        connection.execute(BOOKING.read_text(encoding="utf-8"))
        connection.execute(demo_search.EMBED_BOOKINGS, [demo_search.NAME])
        yield superuser_dsn
        connection.execute(f"DROP SCHEMA {READER} CASCADE")
        for name in before:
            connection.execute("SELECT llm.set_default_model(%s)", name)


def commands(page: str) -> list[str]:
    """The lines of the page's shell blocks."""
    return [
        replaced(page, line) for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()
    ]


def replaced(page: str, text: str) -> str:
    for name, replacement in PLACEHOLDERS.get(page, {}).items():
        text = text.replace(name, replacement)
    return text


def script(page: str, database: str) -> str:
    """The page's SQL for psql, with a mark behind each block. What a DBA sets is taken back, block by block."""
    begin, end = ("BEGIN;", "ROLLBACK;") if page == "docs/operations.md" else ("", "")
    parts = []
    for block in sql_blocks(page):
        text = block.text if ";" in block.text else f"{block.text};"
        parts += [begin, replaced(page, text).replace("DATABASE app", f"DATABASE {database}"), end, f"\\echo {MARK}"]
    return "\n".join(parts)


def said(page: str, dsn: str) -> list[str]:
    """What psql says to each SQL block of a page."""
    with psycopg.connect(dsn) as connection:
        database = connection.info.dbname
    done = subprocess.run(
        ["psql", "--no-psqlrc", "--quiet", "--no-password", dsn],
        input=script(page, database),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PGCLIENTENCODING": "UTF8", "PGTZ": "UTC", "PGOPTIONS": OPTIONS},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    parts = done.stdout.split(f"{MARK}\n")
    assert len(parts) == len(sql_blocks(page)) + 1, done.stdout
    return parts[:-1]


@pytest.mark.parametrize("page", [page for page in PAGES if sql_blocks(page)])
def test_the_sql_of_a_page_runs_and_says_what_the_page_shows(page: str, reader_dsn: str):
    for block, output in zip(sql_blocks(page), said(page, reader_dsn), strict=True):
        context = f"{block.text}\n--- says ---\n{output}"
        told = [line.strip() for line in output.splitlines() if "ERROR:" in line]
        shown = [line.removeprefix("--").strip() for line in block.text.splitlines() if line.startswith("-- ERROR:")]
        assert [line.partition("ERROR:")[2] for line in told] == [s.partition("ERROR:")[2] for s in shown], context
        for answer in re.findall(r"^SELECT generate\(.*\);\s+-- (.+)$", block.text, re.MULTILINE):
            assert answer in lines_of(output), context
        if block.output is not None:
            pattern = "\n".join(re.escape(line).replace("…", ".*") for line in lines_of(block.output))
            table = "\n".join(line for line in lines_of(output) if not re.fullmatch(r"\(\d+ rows?\)", line))
            assert re.fullmatch(pattern, table), context


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)])
def test_the_commands_of_a_page_run(page: str, reader_dsn: str, own_data: Path, tmp_path: Path, monkeypatch):
    """The `hartonomous` commands; of `make`, that the targets are there. Deployment has tests of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HARTONOMOUS_DSN", reader_dsn)
    for name in ("qwen2.5-0.5b-q8_0.gguf", "qwen2.5-0.5b-f16.gguf"):
        Path(name).symlink_to(own_data / "stories260K" / "stories260K.gguf")
    Path("all-MiniLM-L6-v2").symlink_to(ENCODER)
    targets = set(re.findall(r"^(\w+):", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))
    with psycopg.connect(reader_dsn, autocommit=True) as connection:
        if any("--name minilm" in line for line in commands(page)):  # the page's own command brings it back
            connection.execute("SELECT llm.drop_model('minilm')")
        try:
            for line in commands(page):
                program, *arguments = shlex.split(line.replace('--dsn "postgresql://…"', ""), comments=True) or [""]
                if program == "make":
                    assert arguments[0] in targets, line
                elif program == "hartonomous":
                    result = CliRunner().invoke(app, arguments)
                    assert result.exit_code == 0, f"{line}\n{result.output}"
        finally:
            connection.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name LIKE 'qwen%'")


def programs(page: str) -> list[str]:
    """The Python blocks of a page that connect by themselves."""
    return [block.text for block in blocks(page) if block.language == "python" and ADDRESS.search(block.text)]


@pytest.mark.parametrize(
    ("page", "number"), [(page, number) for page in PAGES for number in range(len(programs(page)))], ids=str
)
def test_the_programs_of_a_page_run(page: str, number: int, reader_dsn: str):
    """As a reader would run them, where their driver is installed."""
    text = programs(page)[number]
    for package in re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE):
        pytest.importorskip(package)
    scheme, address = ADDRESS.search(text)[1], reader_dsn.partition("://")[2]
    done = subprocess.run(
        [sys.executable, "-c", ADDRESS.sub(f'"{scheme}://{address}"', text)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, f"{text}\n{done.stderr}"
    assert done.stdout in ("2024-03-03", "2024-03"), text


def test_every_page_is_read():
    assert {"README.md", "docs/operations.md", "docs/embeddings.md", "tidy/README.md"} <= set(PAGES)
    pages = ("README", "architecture", "figures", "glossary", "kernels", "testing")
    without_sql = {f"docs/{page}.md" for page in pages}
    assert {page for page in PAGES if not sql_blocks(page)} == without_sql
