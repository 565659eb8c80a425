"""The commands that ask a model: hartonomous generate, embed."""

import json
import sys
from typing import Annotated

import typer
from psycopg import sql
from psycopg.types.json import Jsonb

from .errors import LoaderError
from .terminal import Dsn, Json, connected, reported, tell, write

MORE_ARGUMENTS = ("top_k", "top_p", "min_p", "repeat_penalty", "seed")  # those that have no option of their own

ModelName = Annotated[str | None, typer.Option("--model", "-m", help="A model's name; else the default.")]
MaxTokens = Annotated[int | None, typer.Option(help="The most tokens to generate.")]
Temperature = Annotated[float | None, typer.Option(help="0, unless said, is always the most likely token.")]
Stop = Annotated[list[str] | None, typer.Option(help="A text that ends what is generated; may be repeated.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help=f"Another argument of llm.generate ({', '.join(MORE_ARGUMENTS)}) or a key of its options; may be repeated",
    ),
]


@reported
def generate(
    prompt: Annotated[str, typer.Argument(help="The text to continue; - reads it from the standard input.")],
    model: ModelName = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    stop: Stop = None,
    settings: Settings = None,
    as_json: Json = False,
    dsn: Dsn = "",
) -> None:
    """Generate text, as it comes. With --json: text, tokens, finish_reason and counts, when it is finished."""
    given = arguments(settings) | {"model": model, "max_tokens": max_tokens, "temperature": temperature, "stop": stop}
    prompt = sys.stdin.read() if prompt == "-" else prompt
    with connected(dsn) as connection:
        if as_json:
            query = call("SELECT to_jsonb(g) FROM llm.generate_details({}) AS g", given, prompt=prompt)
            tell(connection.execute(query).fetchone()[0])
            return
        for (piece,) in connection.cursor().stream(
            call("SELECT piece FROM llm.generate_stream({})", given, prompt=prompt)
        ):
            write(piece)
    print()


@reported
def embed(
    text: Annotated[str, typer.Argument(help="The text; - reads it from the standard input.")],
    model: ModelName = None,
    pooling: Annotated[str | None, typer.Option(help="How the tokens' vectors become one; see llm.embed.")] = None,
    as_json: Json = False,
    dsn: Dsn = "",
) -> None:
    """Print the embedding of a text: [0.1,0.2,...]. With --json: an object with its dimensions too."""
    text = sys.stdin.read() if text == "-" else text
    with connected(dsn) as connection:
        query = call("SELECT llm.embed({})", {"model": model, "pooling": pooling}, text=text)
        embedding = connection.execute(query).fetchone()[0]
    if as_json:
        tell({"dimensions": len(embedding), "embedding": embedding})
    else:
        print(json.dumps(embedding, separators=(",", ":")))


def arguments(settings: list[str] | None) -> dict:
    """{argument: value} of --set NAME=VALUE. What is no argument of llm.generate is a key of its options."""
    given, options = {}, {}
    for setting in settings or ():
        name, equals, value = setting.partition("=")
        if not (name and equals):
            raise LoaderError(f"--set {setting} has no value", "Write --set NAME=VALUE, for example --set top_k=40.")
        if name in MORE_ARGUMENTS:
            given[name] = value
        else:
            options[name] = value_of(value)
    return given | ({"options": Jsonb(options)} if options else {})


def value_of(text: str) -> object:
    """A value that is JSON, or else a text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def call(query: str, given: dict, **first: object) -> sql.Composed:
    """The query with the arguments of its call, by name; None is the default of one."""
    named = first | {name: value for name, value in given.items() if value is not None}
    written = [sql.SQL("{} => {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in named.items()]
    return sql.SQL(query).format(sql.SQL(", ").join(written))
