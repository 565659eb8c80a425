#!/usr/bin/env python3
"""Loads the bundled model into the private server, if it is not there yet, and asks it a few things in SQL."""

import subprocess
import sys
import time
from pathlib import Path

import psycopg
from psycopg import sql
from rich.console import Console
from rich.markup import escape
from rich.table import Table

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from tools.cluster import Cluster, ClusterError, where  # noqa: E402 (a script's own folder comes first)

PROMPTS = {
    "tidy": [
        "date: Tuesday, 5th of March 2024",
        "money: 1.250,5 euros",
        "duration: two and a half hours",
        "phone: (415) 555-0123 in the US",
        "boolean: yep!",
    ],
}
OTHER_PROMPTS = ["Once upon a time"]
NEXT_STEPS = """
[bold]Next[/bold]
  make psql                                   a session; then, for example:
    SELECT * FROM llm.models;                 what is loaded
    SELECT * FROM llm.next_tokens('{prompt}', 5);
    \\df+ llm.*                                every function, with its description
  hartonomous load FILE.gguf --name NAME --dsn "$(make dsn)"      another model ({scripts} holds the command)
  make test                                   every check, from nothing
"""


def bundled_model() -> Path:
    """The newest of models/tidy*.gguf; the one GGUF file of models/ when that is not there."""
    folder = CHECKOUT / "models"
    found = sorted(folder.glob("tidy*.gguf"), key=lambda path: path.stat().st_mtime) or sorted(folder.glob("*.gguf"))
    if not found:
        raise ClusterError(f"no model in {folder}")
    return found[-1]


def load(model: Path, name: str, dsn: str, console: Console) -> None:
    """Runs `hartonomous load` unless a model of that name is there."""
    with psycopg.connect(dsn) as connection:
        if connection.execute("SELECT 1 FROM llm.models WHERE name = %s", [name]).fetchone():
            return
    console.print(f"[dim]$ hartonomous load models/{model.name} --name {name}[/dim]")
    loaded = subprocess.run(
        [Path(where("venv"), "bin", "hartonomous"), "load", model, "--name", name, "--dsn", dsn], check=False
    )
    if loaded.returncode:
        raise ClusterError("the model did not load")


def ask(connection: psycopg.Connection, prompt: str, name: str, is_default: bool) -> tuple[str, str, float]:
    """The query, its answer, and the milliseconds that it took as the client sees them."""
    query = sql.SQL("SELECT generate({})") if is_default else sql.SQL("SELECT llm.generate({}, {})")
    query = query.format(*[prompt, name][: 1 if is_default else 2]).as_string(connection)
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
    table = Table("query", "answer", title=f"[bold]{name}[/bold]", title_justify="left")
    table.add_column("milliseconds", justify="right")
    for query, answer, milliseconds in answers:
        table.add_row(escape(query), escape(answer), f"{milliseconds:.0f}")
    console.print()
    console.print(table)
    console.print("[dim]The first call of a session starts Python and opens the model.[/dim]")
    scripts = Path(where("venv"), "bin")
    scripts = scripts.relative_to(CHECKOUT) if scripts.is_relative_to(CHECKOUT) else scripts
    console.print(NEXT_STEPS.format(prompt=prompts[0], scripts=scripts), soft_wrap=True)


if __name__ == "__main__":
    try:
        main()
    except (ClusterError, psycopg.Error) as error:
        sys.exit(f"demo: {error}")
