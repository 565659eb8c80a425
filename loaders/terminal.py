"""What every command of the command line needs: a connection, failures told in one line, and tables.

Every failure is one line `error: …`, perhaps one `hint: …`, and exit code 1. Results go to the standard output: a table
on a terminal, in a pipe lines with tabs, of which the first has the titles, or JSON.
"""

import functools
import json
import sys
from collections.abc import Callable
from typing import Annotated

import psycopg
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from plpython.server.errors import ModelError

from .errors import LoaderError

INTERRUPTED_STATUS = 130  # the exit status of Ctrl-C in a shell
INTERRUPTED = {"load": "A broken load shows nothing; the same command goes on with it."}
NEEDS = {"load": "llm_loader", "drop": "llm_loader", "default": "llm_loader"}  # the role, if not llm_user
NOT_ALLOWED = "42501"
NOT_DEPLOYED = ("3F000", "42P01", "42883")  # undefined schema, table, function

Dsn = Annotated[
    str,
    typer.Option(help="The database, as libpq takes it; else libpq's own environment.", envvar="HARTONOMOUS_DSN"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def reported(command: Callable) -> Callable:
    """The command with its failures told in one line."""

    @functools.wraps(command)
    def wrapped(*arguments, **options):
        try:
            return command(*arguments, **options)
        except (LoaderError, ModelError) as problem:
            fail(str(problem), problem.hint)
        except psycopg.Error as problem:
            fail(*server_message(problem, NEEDS.get(command.__name__, "llm_user")))
        except UnicodeEncodeError:
            fail("a text is not valid in the terminal's encoding", "Give it in UTF-8.")
        except OSError as problem:
            fail(f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem))
        except KeyboardInterrupt:
            fail("interrupted", INTERRUPTED.get(command.__name__), code=INTERRUPTED_STATUS)

    return wrapped


def connected(dsn: str) -> psycopg.Connection:
    """A connection on which each statement is a transaction."""
    return psycopg.connect(dsn, autocommit=True, client_encoding="utf8", fallback_application_name="hartonomous")


def server_message(problem: psycopg.Error, role: str) -> tuple[str, str | None]:
    """(message, hint) for an error of the server or the connection, in a command that needs the role."""
    diagnostics = problem.diag
    if diagnostics.sqlstate in NOT_DEPLOYED and "llm" in (diagnostics.message_primary or ""):
        return diagnostics.message_primary, "Is this the right database, and is hartonomous deployed in it?"
    if isinstance(problem, psycopg.DataError) and diagnostics.message_primary is None:
        return str(problem), None  # a text that PostgreSQL cannot hold
    if diagnostics.message_primary is None:
        return str(problem), "Say which database with --dsn or HARTONOMOUS_DSN."
    message = diagnostics.message_primary
    if diagnostics.message_detail:
        message += f" ({diagnostics.message_detail})"
    if diagnostics.sqlstate == NOT_ALLOWED and message.startswith("permission denied"):
        return message, f"This command needs the role {role}. A superuser grants it: GRANT {role} TO login;"
    return message, diagnostics.message_hint


def tell(value: object) -> None:
    """Print JSON."""
    print(json.dumps(value, ensure_ascii=False))


def write(text: str) -> None:
    """Print a piece of what a model wrote, at once; on a terminal without what would move its cursor."""
    print(text if not sys.stdout.isatty() else printable(text), end="", flush=True)


def printable(text: str) -> str:
    """Text with all but its lines and tabs escaped where it cannot be printed."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def fail(message: str, hint: str | None = None, code: int = 1) -> None:
    say("error", message, hint)
    raise typer.Exit(code)


def say(kind: str, message: str, hint: str | None) -> None:
    """One line `error: …` or `warning: …`, perhaps one `hint: …`."""
    print(f"{kind}: {one_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {one_line(hint)}", file=sys.stderr)


def one_line(text: str) -> str:
    """Text in one line, with unprintable characters escaped: it may contain names from a hostile file."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)


def show(titles: tuple, rows: list[tuple]) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    if not sys.stdout.isatty():
        for row in [titles, *rows]:
            print("\t".join(one_line(str(value)) for value in row))
        return
    table = Table(*titles, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*(one_line(str(value)) for value in row))
    Console().print(table)
