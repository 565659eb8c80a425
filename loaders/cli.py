"""The command line: hartonomous load, models, generate, chat and others.

A model that is loaded but could not be packed is a `warning: …` with a hint, and exit code 0, since it works. Progress
goes to the standard error, as a bar on a terminal and as plain lines elsewhere.
"""

from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from plpython.model.encoder import EncoderArchitecture

from . import asking, chat
from .errors import ServerError
from .export.export import export, plan_export
from .quantized import QUANTIZED_TYPES, quantized, summary
from .reader import read_model
from .source.fields import storable
from .terminal import INTERRUPTED_STATUS, NEEDS, Dsn, Json, connected, fail, reported, say, server_message, show, tell
from .upload.background_uploads import Ahead
from .upload.packing import BY_CHOICE, Packing, pack
from .upload.progress import progress_bars, readable_bytes
from .upload.upload import upload

EXAMPLES = {"tidy": "date: 3 March 2024"}  # example prompts for models that need a special one, by file name

app = typer.Typer(
    help="Load models into PostgreSQL, where SELECT llm.generate('Once upon a time') runs them.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(asking.generate)
app.command()(asking.embed)
app.command()(chat.chat)
Model = Annotated[str, typer.Argument(help="The model's name.")]


def tell_version(wanted: bool) -> None:
    """--version"""
    if wanted:
        print(f"hartonomous {metadata.version('hartonomous')}")
        raise typer.Exit()


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=tell_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Load models into PostgreSQL, where SELECT llm.generate('Once upon a time') runs them."""


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
    with connected(dsn) as connection, progress_bars() as bar:
        with Ahead(lambda: connected(dsn)) as ahead:
            result = upload(connection, model, name, replace, bar(f"loading {name}", model.bytes()), ahead)
        packing = None if no_pack else pack(connection, name, bar)
    if quantize is not None:
        show(("tensor", "from", "to", "bytes", "relative RMS error"), summary(model))
    kept = result.bytes - result.sent_bytes
    print(f"loaded {name}: {readable_bytes(result.bytes)}, {readable_bytes(kept)} of it stored already")
    if packing is not None:
        _tell_of_packing(name, packing)
    story = EXAMPLES.get(path.stem.partition("-")[0].lower(), "Once upon a time")
    call, text = ("embed", "A text") if isinstance(model.architecture, EncoderArchitecture) else ("generate", story)
    print(f"next: SELECT llm.{call}('{text}', model => '{name}');")


@app.command("list", hidden=True)  # as it was called first
@app.command("models")
@reported
def list_models(as_json: Json = False, dsn: Dsn = "") -> None:
    """List the models of the database."""
    with connected(dsn) as connection:
        query = "SELECT to_jsonb(m) FROM llm.models AS m ORDER BY m.name"
        models = [model for (model,) in connection.execute(query)]
    if as_json:
        tell(models)
    else:
        titles = ("name", "family", "parameters", "size", "context", "container", "default", "loaded")
        show(titles, [readable(model) for model in models])


def readable(model: dict) -> tuple:
    """A row of llm.models as people read it."""
    return (
        model["name"],
        model["family"],
        f"{model['parameters'] / 1e6:,.1f} M",
        readable_bytes(model["bytes"]),
        f"{model['context_length']:,}",
        model["container"],
        "yes" if model["is_default"] else "",
        model["created_at"][: len("2026-01-01")],
    )


@app.command()
@reported
def info(name: Model, as_json: Json = False, dsn: Dsn = "") -> None:
    """Show what is known of a model: its sizes, its architecture, the encodings of its tensors."""
    with connected(dsn) as connection:
        row = connection.execute("SELECT to_jsonb(m) FROM llm.models AS m WHERE m.name = %s", (name,)).fetchone()
        if row is None:
            raise ServerError(f'model "{name}" does not exist', "hartonomous models lists those that do.")
        known = row[0] | dict(connection.execute("SELECT 'architecture', llm.architecture(%s)", (name,)).fetchall())
        known["encodings"] = dict(
            connection.execute(
                "SELECT type, count(*) FROM llm.tensors WHERE model = %s GROUP BY type ORDER BY 2 DESC, 1", (name,)
            ).fetchall()
        )
    if as_json:
        tell(known)
    else:
        show(("what", "value"), list(flat(known)))


def flat(known: dict, prefix: str = ""):
    """(name, value) of all that is in objects, with dots between names."""
    for name, value in known.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@app.command("default")
@reported
def default(name: Annotated[str | None, typer.Argument(help="The model's name.")] = None, dsn: Dsn = "") -> None:
    """Make a model the default of its kind, decoder or encoder; without a name, show the defaults."""
    with connected(dsn) as connection:
        if name is not None:
            connection.execute("SELECT llm.set_default_model(%s)", (name,))
        query = "SELECT m.name, m.family FROM llm.models AS m WHERE m.is_default ORDER BY m.name"
        show(("name", "family"), connection.execute(query).fetchall())


@app.command()
@reported
def verify(name: Model, dsn: Dsn = "") -> None:
    """Compute every hash of a model again, from the stored bytes up."""
    with connected(dsn) as connection:
        problems = connection.execute("SELECT tensor, problem FROM llm.verify(%s)", (name,)).fetchall()
    if problems:
        show(("tensor", "problem"), problems)
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
    with connected(dsn) as connection, connection.transaction():
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

    with connected(dsn) as connection:
        plot(connection, kind, name, output, tensor)
    print(f"drew {output}")


@app.command()
@reported
def drop(name: Model, dsn: Dsn = "") -> None:
    """Drop a model. Tiles that no other model has are removed later, by llm.collect()."""
    with connected(dsn) as connection:
        connection.execute("SELECT llm.drop_model(%s)", (name,))
    print(f"dropped {name}")


def _tell_of_packing(name: str, packing: Packing) -> None:
    """Say what came of packing. It is no failure of the load: the model works."""
    later = f"SELECT llm.pack('{name}'); packs the rest, as the first use does."
    if isinstance(packing.error, KeyboardInterrupt):
        fail("interrupted", f"{name} is loaded. {later}", code=INTERRUPTED_STATUS)
    if packing.error is not None:
        message, hint = server_message(packing.error, NEEDS["load"])
        say("warning", f"{name} is loaded, but not packed: {message}", f"{hint or ''} {later}")
    elif packing.useless == BY_CHOICE:
        print(f"not packed: numpy computes here, without packed weights, because {BY_CHOICE}")
    elif packing.useless:
        say(
            "warning",
            f"{name} is loaded, but not packed: numpy computes here, because {packing.useless}",
            f"For the faster engine: SELECT llm.warm_up(); then SELECT llm.pack('{name}');",
        )
    else:
        print(f"packed {name}: {readable_bytes(packing.bytes)}, shared by all sessions")


if __name__ == "__main__":
    app()
