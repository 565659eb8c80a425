"""Dumps: of everything, of the schema and then the data, of the data alone into a database that is deployed already.

PostgreSQL itself is the measure: the rows of every table are equal afterwards, and texts and searches are the same.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.database.models import FAMILIES, STORIES, call, loaded
from tools.cluster import where

MODELS = {"F16": "stories-F16", "Q8_0": "stories-Q8_0"}
COUNTS = """
SELECT c.oid::regclass::text, (pg_catalog.xpath('/row/n/text()', pg_catalog.query_to_xml(
    pg_catalog.format('SELECT count(*) AS n FROM %s', c.oid::regclass), false, true, '')))[1]::text::bigint
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = 'llm_store'::regnamespace AND c.relkind = 'r' ORDER BY 1
"""
MODELS_LISTED = "SELECT name, hash, owner, is_default FROM llm.models ORDER BY name"
TEXTS = """
SELECT name, llm.generate('a', name, 4) FROM llm.models
WHERE name LIKE 'restore%' AND family <> 'bert' ORDER BY 1
"""
EMBEDDING = "SELECT llm.embed_bytes('a', 'restore-encoder')"


@pytest.fixture(scope="module")
def source(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[str]:
    """A database with models in two encodings, one tied, one edited, forked, merged, one dropped, and an encoder."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        connection.execute("SET llm.engine = 'numpy'")
        connection.execute("CALL llm.collect('0 seconds')")  # what other tests left would be dumped each time
        paths = {f"restore-{name}": own_data / STORIES[path] for name, path in MODELS.items()}
        paths |= {"restore-tied": FAMILIES / "qwen2", "restore-encoder": FAMILIES.parent / "encoders" / "mean"}
        with loaded(loader_dsn, paths):
            connection.execute("SELECT llm.fork('restore-F16', 'restore-fork')")
            connection.execute("SELECT llm.scale_tensor('restore-fork', 'output_norm.weight', 0.5)")
            connection.execute("SELECT llm.merge(ARRAY['restore-F16', 'restore-fork'], 'restore-merged')")
            connection.execute("SELECT llm.fork('restore-Q8_0', 'restore-gone')")
            connection.execute("SELECT llm.drop_model('restore-gone')")
            try:
                yield superuser_dsn
            finally:
                for name in ("restore-fork", "restore-merged"):
                    connection.execute("SELECT llm.drop_model(%s)", [name])


@contextmanager
def new_database(dsn: str, name: str, template: str = "template0") -> Iterator[str]:
    """The DSN of another database of the same server, which is dropped in the end."""
    name = f"{name}_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {template}")
        try:
            yield psycopg.conninfo.make_conninfo(dsn, dbname=name)
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def schema(source: str) -> Iterator[str]:
    """The name of a database with the source's schema and no rows."""
    with new_database(source, "schema") as target:
        psql(target, run("pg_dump", "-s", source))
        yield psycopg.conninfo.conninfo_to_dict(target)["dbname"]


@pytest.fixture(scope="module")
def answers(source: str) -> list:
    """What the source's models answer."""
    return answers_of(source)


def run(program: str, *arguments: object, **options) -> bytes:
    """What a program of PostgreSQL's prints; it must succeed and say nothing."""
    done = subprocess.run(
        [f"{where('bin')}/{program}", *map(str, arguments)], capture_output=True, check=False, **options
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")
    return done.stdout


def psql(target: str, script: bytes, *options: str) -> None:
    run("psql", "-Xq", "-v", "ON_ERROR_STOP=1", *options, "-d", target, input=script)


def plain(source: str, target: str, folder: Path) -> None:
    psql(target, run("pg_dump", "-a", source))


def folder_dumped_in_parallel(source: str, target: str, folder: Path) -> None:
    run("pg_dump", "-a", "-Fd", "-j", "2", "-f", folder / "dump", source)
    run("pg_restore", "-a", "-d", target, folder / "dump")


def archive_in_one_transaction(source: str, target: str, folder: Path) -> None:
    run("pg_dump", "-a", "-Fc", "-f", folder / "dump", source)
    run("pg_restore", "-a", "-1", "-d", target, folder / "dump")


def into_a_deployed_one(source: str, target: str, folder: Path) -> None:
    """What a deployment fills is there already: the numbers. The books of sqitch and other schemas are left out."""
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("INSERT INTO llm_store.number (n) SELECT generate_series(0, 262143)")
    psql(target, run("pg_dump", "-a", "-n", "llm_store", source), "-1")


WAYS = [
    plain,
    folder_dumped_in_parallel,
    archive_in_one_transaction,
    into_a_deployed_one,
]


def answers_of(dsn: str) -> list:
    """Rows of every table, models as they are listed, a text of each decoder and an embedding."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET llm.engine = 'numpy'")
        return [connection.execute(query).fetchall() for query in (COUNTS, MODELS_LISTED, TEXTS, EMBEDDING)]


@pytest.mark.parametrize("way", WAYS)
def test_data_alone_restores_into_a_database_that_has_the_schema(source, schema, answers, tmp_path, way):
    with new_database(source, "restored", schema) as target:
        way(source, target, tmp_path)
        assert answers_of(target) == answers
        assert_whole(target)


def test_a_whole_dump_restores(source, answers, tmp_path):
    run("pg_dump", "-Fc", "-f", tmp_path / "dump", source)
    with new_database(source, "restored") as target:
        run("pg_restore", "-d", target, tmp_path / "dump")
        assert answers_of(target) == answers
        assert_whole(target)


def assert_whole(target: str) -> None:
    """Every hash and count is right, and new models and operations get ids of their own."""
    with psycopg.connect(target, autocommit=True) as connection:
        assert connection.execute("SELECT * FROM llm_atoms.recount()").fetchall() == []
        query = "SELECT m.name, v.* FROM llm.models AS m CROSS JOIN llm.verify(m.name) AS v"
        assert connection.execute(query).fetchall() == []
        largest = call(connection, "SELECT max(id) FROM llm_store.model")
        assert call(connection, "SELECT llm.fork('restore-F16', 'after')") > largest
        assert len(connection.execute("SELECT * FROM llm.history('after')").fetchall()) == 1
