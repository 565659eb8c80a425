"""The second half of the demo: a small encoder, and a search by meaning over the sentences of this repository.

They stay in the private server as the table `sentence`, and the table `booking` gets its embeddings.

The encoder, sentence-transformers/all-MiniLM-L6-v2, is a Python package of 83 MB. The hashes of the package and of the
weights are pinned. Without a package index the demo goes on without it.
"""

import hashlib
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import psycopg
from psycopg import sql
from rich.console import Console
from rich.markup import escape

CHECKOUT = Path(__file__).resolve().parent.parent
NAME = "minilm"
WHEEL = "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
# They share no important word with the sentences that answer them.
QUESTIONS = ["How do I halt a slow request?", "How much RAM does a connection take?"]
TABLE = """
    CREATE TABLE sentence AS
    SELECT t.text, e.embedding
    FROM llm.embed_many(%(texts)s, %(model)s) AS e
    INNER JOIN unnest(%(texts)s::text[]) WITH ORDINALITY AS t (text, ordinal) ON t.ordinal = e.ordinal
"""
EMBED_BOOKINGS = "UPDATE booking SET embedding = llm.embed_bytes(body, %s) WHERE embedding IS NULL"
SEARCH = "SELECT content ->> 'text' AS text, similarity FROM llm.search({}, 'sentence', 2, {})"


class MissingError(Exception):
    """The encoder is not available; the message says why."""


def show(dsn: str, program: Path, console: Console) -> None:
    """Load the encoder if that was not done yet, and search. If it is not available, only say so."""
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            if not connection.execute("SELECT FROM llm.models WHERE name = %s", [NAME]).rowcount:
                load(dsn, program, console)
            search(connection, console)
    except MissingError as reason:
        console.print(f"\n[dim]The search by meaning is left out: {escape(str(reason))}.[/dim]")


def load(dsn: str, program: Path, console: Console) -> None:
    """Fetch the package, check the weights and load the folder."""
    with tempfile.TemporaryDirectory() as folder:
        model = fetch(Path(folder), console)
        console.print(f"[dim]$ hartonomous load {model.name} --name {NAME}[/dim]")
        if subprocess.run([program, "load", model, "--name", NAME, "--dsn", dsn], check=False).returncode:
            raise MissingError("the encoder did not load")


def fetch(folder: Path, console: Console) -> Path:
    """The encoder's folder in the package. Raises MissingError without it, or with other weights."""
    groups = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["dependency-groups"]
    (package,) = groups["demo"]
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package} --hash=sha256:{WHEEL}\n")
    console.print(f"\n[dim]$ pip install {escape(package)}[/dim]")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--retries", "1", "--timeout", "15"]
    options = ["--no-deps", "--no-compile", "--require-hashes", "--target", folder / "packages"]
    done = subprocess.run([*pip, "install", *options, "-r", requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise MissingError(f"{package} could not be installed ({(lines or ['no package index'])[-1][:100]})")
    found = next((folder / "packages").glob("*/model/model.safetensors"), None)
    if found is None or hashlib.sha256(found.read_bytes()).hexdigest() != WEIGHTS:
        raise MissingError(f"the weights of {package} are not those that are expected")
    return found.parent


def search(connection: psycopg.Connection, console: Console) -> None:
    """Embed the sentences into a table, unless it exists, and search it with queries that the user can repeat."""
    connection.execute(EMBED_BOOKINGS, [NAME])
    if not connection.execute("SELECT to_regclass('sentence')").fetchone()[0]:
        texts = sentences()
        started = time.perf_counter()
        connection.execute(TABLE, {"texts": texts, "model": NAME})
        took = time.perf_counter() - started
        console.print(f"\n[dim]{len(texts)} sentences of this repository are embedded in {took:.1f} s.[/dim]")
    for question in QUESTIONS:
        query = sql.SQL(SEARCH).format(question, NAME).as_string(connection)
        console.print(f"[bold cyan]{escape(query)};[/bold cyan]", soft_wrap=True)
        for text, similarity in connection.execute(query):
            console.print(f"  {similarity:.2f}  {escape(text)}", soft_wrap=True)


def sentences() -> list[str]:
    """The sentences of README and docs, without code and tables."""
    found = {}
    for path in [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("**/*.md"))]:
        if path.name != "sql-reference.md":
            text = re.sub(r"```.*?```", "\n\n", path.read_text(encoding="utf-8"), flags=re.DOTALL)
            found |= dict.fromkeys(_sentences_of(text))
    return list(found)


def _sentences_of(text: str) -> list[str]:
    paragraphs = re.split(r"\n\s*\n|\n(?=[-#|>])", text)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`#>]", r"\1", " ".join(paragraph.split())) for paragraph in paragraphs)
    parts = [part.strip(" -") for line in plain if not line.startswith("|") for part in re.split(r"(?<=[.!?]) ", line)]
    return [part for part in parts if len(part.split()) > 4]
