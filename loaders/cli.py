"""The command line: hartonomous load, list, verify, export, plot, drop.

Every failure is one line `error: …`, perhaps one `hint: …`, and exit code 1. A model that is loaded but could not be
packed is a `warning: …` with a hint, and exit code 0, since it works. Progress goes to the standard error, as a
bar on a terminal and as plain lines elsewhere; results go to the standard output, as tab-separated lines in a pipe.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from plpython.model.encoder import EncoderArchitecture
from plpython.server.errors import ModelError

from .errors import LoaderError, ServerError
from .export.export import export, plan_export
from .quantized import QUANTIZED_TYPES, quantized, summary
from .reader import read_model
from .source.fields import storable
from .upload.background_uploads import Ahead
from .upload.packing import BY_CHOICE, Packing, pack
from .upload.progress import progress_bars, readable_bytes
from .upload.upload import upload

INTERRUPTED_STATUS = 130  # the exit status of Ctrl-C in a shell
EXAMPLES = {"tidy": "date: 3 March 2024"}  # example prompts for models that need a special one, by file name
NEEDS = {"load": "llm_loader", "drop": "llm_loader"}  # the role that a command needs, if not llm_user
NOT_ALLOWED = "42501"
NOT_DEPLOYED = ("3F000", "42P01", "42883")  # undefined schema, table, function

app = typer.Typer(
    help="Load models into PostgreSQL, where SELECT llm.generate('Once upon a time') runs them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Dsn = Annotated[
    str,
    typer.Option(help="The database, as libpq takes it; else libpq's own environment.", envvar="HARTONOMOUS_DSN"),
]
Model = Annotated[str, typer.Argument(help="The model's name.")]


def reported(command: Callable) -> Callable:
    """The command with its failures told in one line."""

    @functools.wraps(command)
    def wrapped(*arguments, **options):
        try:
            return command(*arguments, **options)
        except (LoaderError, ModelError) as problem:
            _fail(str(problem), problem.hint)
        except psycopg.Error as problem:
            _fail(*_server_message(problem, NEEDS.get(command.__name__, "llm_user")))
        except OSError as problem:
            _fail(f"{problem.filename}: {problem.strerror}" if problem.filename else str(problem))
        except KeyboardInterrupt:
            _fail(
                "interrupted", "A broken load shows nothing; the same command goes on with it.", code=INTERRUPTED_STATUS
            )

    return wrapped


@app.command()
@reported
def load(
    path: Annotated[Path, typer.Argument(help="A .gguf file, or a Hugging Face folder.")],
    name: Annotated[str, typer.Option(help="What to call the model.")],
    dsn: Dsn = "",
    replace: Annotated[bool, typer.Option("--replace", help="Publish over a model of that name.")] = False,
    quantize: Annotated[
        str | None,
        typer.Option(help=f"{', '.join(QUANTIZED_TYPES).lower()}: store the matrices so, and tell what it changed."),
    ] = None,
    no_pack: Annotated[
        bool, typer.Option("--no-pack", help="Leave packing to llm.pack or to the model's first use.")
    ] = False,
) -> None:
    """Load a model, then pack its weights for the engine.

    The model appears when it is complete; a broken load can simply be run again. It is packed after that, so if packing
    fails the model is there: its first use, or llm.pack, packs the rest.
    """
    storable(name, "the name")
    model = read_model(path)
    if quantize is not None:
        model = quantized(model, quantize)
    with _connected(dsn) as connection, progress_bars() as bar:
        with Ahead(lambda: _connected(dsn)) as ahead:
            result = upload(connection, model, name, replace, bar(f"loading {name}", model.bytes()), ahead)
        packing = None if no_pack else pack(connection, name, bar)
    if quantize is not None:
        _show(("tensor", "from", "to", "bytes", "relative RMS error"), summary(model))
    kept = result.bytes - result.sent_bytes
    print(f"loaded {name}: {readable_bytes(result.bytes)}, {readable_bytes(kept)} of it stored already")
    if packing is not None:
        _tell_of_packing(name, packing)
    story = EXAMPLES.get(path.stem.partition("-")[0].lower(), "Once upon a time")
    call, text = ("embed", "A text") if isinstance(model.architecture, EncoderArchitecture) else ("generate", story)
    print(f"next: SELECT llm.{call}('{text}', model => '{name}');")


@app.command("list")
@reported
def list_models(dsn: Dsn = "") -> None:
    """List the models of the database."""
    query = """
        SELECT name, family, parameters, bytes, context_length, container, is_default, created_at
        FROM llm.models ORDER BY name
    """
    with _connected(dsn) as connection:
        models = connection.execute(query).fetchall()
    titles = ("name", "family", "parameters", "size", "context", "container", "default", "loaded")
    rows = [
        (
            name,
            family,
            f"{parameters / 1e6:,.1f} M",
            readable_bytes(size),
            f"{context:,}",
            container,
            "yes" if is_default else "",
            f"{created:%Y-%m-%d}",
        )
        for name, family, parameters, size, context, container, is_default, created in models
    ]
    _show(titles, rows)


@app.command()
@reported
def verify(name: Model, dsn: Dsn = "") -> None:
    """Compute every hash of a model again, from the stored bytes up."""
    with _connected(dsn) as connection:
        problems = connection.execute("SELECT tensor, problem FROM llm.verify(%s)", (name,)).fetchall()
    if problems:
        _show(("tensor", "problem"), problems)
        raise ServerError(f'model "{name}" is damaged', "Drop it and load it again.")
    print(f"verified {name}: every tile, tensor and hash is as it was loaded")


@app.command("export")
@reported
def export_model(
    name: Model,
    path: Annotated[Path, typer.Argument(help="The file or folder to write.")],
    format: Annotated[
        str | None, typer.Option(help="gguf or huggingface: write the model as such, not the files it came from.")
    ] = None,
    dsn: Dsn = "",
    replace: Annotated[bool, typer.Option("--replace", help="Write over what is there.")] = False,
) -> None:
    """Write a model to files: those it was loaded from, byte for byte, or a format of your choice.

    Prints the SHA-256 of each file as sha256sum does.
    """
    with _connected(dsn) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        plan = plan_export(connection, name, path, format, replace)
        with progress_bars() as bar:
            files = export(connection, plan, bar(f"exporting {name}", plan.bytes))
    for file in files:
        print(f"{file.sha256}  {file.path}")


@app.command("plot")
@reported
def plot_model(
    kind: Annotated[str, typer.Argument(help="tokens, hilbert, tensor or atoms.")],
    name: Model,
    output: Annotated[Path, typer.Option("--output", "-o", help="The picture; its ending tells the format.")],
    tensor: Annotated[str | None, typer.Option(help="Which tensor, for the plot of one.")] = None,
    dsn: Dsn = "",
) -> None:
    """Draw a model: the map of its tokens, the Hilbert curve through it, a tensor, or its atoms."""
    from .draw.plots import plot  # matplotlib is not needed for anything else

    with _connected(dsn) as connection:
        plot(connection, kind, name, output, tensor)
    print(f"drew {output}")


@app.command()
@reported
def drop(name: Model, dsn: Dsn = "") -> None:
    """Drop a model. Tiles that no other model has are removed later, by llm.collect()."""
    with _connected(dsn) as connection:
        connection.execute("SELECT llm.drop_model(%s)", (name,))
    print(f"dropped {name}")


def _tell_of_packing(name: str, packing: Packing) -> None:
    """Say what came of packing. It is no failure of the load: the model works."""
    later = f"SELECT llm.pack('{name}'); packs the rest, as the first use does."
    if isinstance(packing.error, KeyboardInterrupt):
        _fail("interrupted", f"{name} is loaded. {later}", code=INTERRUPTED_STATUS)
    if packing.error is not None:
        message, hint = _server_message(packing.error, NEEDS["load"])
        _say("warning", f"{name} is loaded, but not packed: {message}", f"{hint or ''} {later}")
    elif packing.useless == BY_CHOICE:
        print(f"not packed: numpy computes here, without packed weights, because {BY_CHOICE}")
    elif packing.useless:
        _say(
            "warning",
            f"{name} is loaded, but not packed: numpy computes here, because {packing.useless}",
            f"For the faster engine: SELECT llm.warm_up(); then SELECT llm.pack('{name}');",
        )
    else:
        print(f"packed {name}: {readable_bytes(packing.bytes)}, shared by all sessions")


def _connected(dsn: str) -> psycopg.Connection:
    return psycopg.connect(dsn, autocommit=True, client_encoding="utf8", fallback_application_name="hartonomous")


def _server_message(problem: psycopg.Error, role: str) -> tuple[str, str | None]:
    """(message, hint) for an error of the server or the connection, in a command that needs the role."""
    diagnostics = problem.diag
    if diagnostics.sqlstate in NOT_DEPLOYED and "llm" in (diagnostics.message_primary or ""):
        return diagnostics.message_primary, "Is this the right database, and is hartonomous deployed in it?"
    if diagnostics.message_primary is None:
        return str(problem), "Say which database with --dsn or HARTONOMOUS_DSN."
    message = diagnostics.message_primary
    if diagnostics.message_detail:
        message += f" ({diagnostics.message_detail})"
    if diagnostics.sqlstate == NOT_ALLOWED and message.startswith("permission denied"):
        return message, f"This command needs the role {role}. A superuser grants it: GRANT {role} TO login;"
    return message, diagnostics.message_hint


def _fail(message: str, hint: str | None = None, code: int = 1) -> None:
    _say("error", message, hint)
    raise typer.Exit(code)


def _say(kind: str, message: str, hint: str | None) -> None:
    """One line `error: …` or `warning: …`, perhaps one `hint: …`."""
    print(f"{kind}: {_one_line(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {_one_line(hint)}", file=sys.stderr)


def _one_line(text: str) -> str:
    """Text in one line, with unprintable characters escaped: it may contain names from a hostile file."""
    joined = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in joined)


def _show(titles: tuple, rows: list[tuple]) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    if not sys.stdout.isatty():
        for row in rows:
            print("\t".join(_one_line(str(value)) for value in row))
        return
    table = Table(*titles, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for row in rows:
        table.add_row(*(_one_line(str(value)) for value in row))
    Console().print(table)


if __name__ == "__main__":
    app()
