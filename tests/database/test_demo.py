"""The demo's tables and its search, with a small encoder in the place of the one that it fetches."""

import io
from collections.abc import Iterator

import psycopg
import pytest
from rich.console import Console

from tools import demo_search

from .models import loaded
from .test_documentation import BOOKING, ENCODER

SCHEMA = "demo_reader"


@pytest.fixture(scope="module")
def reader(superuser_dsn: str) -> Iterator[str]:
    """The URI of sessions that make their tables in a schema of their own."""
    with loaded(superuser_dsn, {demo_search.NAME: ENCODER}), psycopg.connect(superuser_dsn, autocommit=True) as session:
        session.execute(f"CREATE SCHEMA {SCHEMA}")
        separator = "&" if "?" in superuser_dsn else "?"
        yield f"{superuser_dsn}{separator}options=-csearch_path%3D{SCHEMA}"
        session.execute(f"DROP SCHEMA {SCHEMA} CASCADE")


@pytest.fixture
def told(reader: str) -> str:
    """What the demo's search prints."""
    output = io.StringIO()
    with psycopg.connect(reader, autocommit=True) as connection:
        connection.execute(BOOKING.read_text(encoding="utf-8"))
        demo_search.search(connection, Console(file=output, highlight=False))
    return output.getvalue()


def test_the_printed_queries_give_what_is_printed_in_a_session_of_ones_own(told: str, reader: str):
    queries = [line for line in told.splitlines() if line.startswith("SELECT ")]
    assert len(queries) == len(demo_search.QUESTIONS)
    with psycopg.connect(reader) as connection:
        for query in queries:
            rows = connection.execute(query).fetchall()
            assert len(rows) == 2
            assert query + "".join(f"\n  {similarity:.2f}  {text}" for text, similarity in rows) in told


def test_the_table_of_the_pages_is_made_once_and_embedded(told: str, reader: str):
    with psycopg.connect(reader, autocommit=True) as connection:
        connection.execute("DELETE FROM booking WHERE guest = 'Ada'")
        connection.execute(BOOKING.read_text(encoding="utf-8"))
        rows = connection.execute("SELECT guest, octet_length(embedding) FROM booking").fetchall()
    assert rows == [("Ben", 256), ("Cleo", 256)]
