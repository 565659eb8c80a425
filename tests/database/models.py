"""Models for tests in the server: loaded once a test file under names of their own, and dropped with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from loaders.reader import read_model
from loaders.upload.upload import upload

FAMILIES = Path(__file__).parent.parent / "fixtures" / "families"
STORIES = {
    "stories": "stories260K/stories260K.gguf",
    "stories-hf": "stories260K-hf-derived",
    "stories-F16": "stories260K-quant-derived/stories260K-F16.gguf",
    "stories-Q8_0": "stories260K-quant-derived/stories260K-Q8_0.gguf",
    "stories-Q4_0": "stories260K-quant-derived/stories260K-Q4_0.gguf",
}


@contextmanager
def loaded(dsn: str, models: dict[str, Path]) -> Iterator[None]:
    """The models of {name: path} are in the database."""
    with psycopg.connect(dsn, autocommit=True) as loader:
        try:
            for name, path in models.items():
                upload(loader, read_model(path), name, replace=True)
            yield
        finally:
            for name in models:
                loader.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", [name])


def call(connection: psycopg.Connection, query: str, *arguments):
    """The single value of a query."""
    return connection.execute(query, arguments).fetchone()[0]
