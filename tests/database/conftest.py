"""Fixtures for tests in the server: one private server per test session, everything deployed in it.

HARTONOMOUS_TEST_DSN, a superuser's URI of a database with everything deployed, is used instead when it is set: for
quick runs while developing, and for tests against a server of one's own.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tools.cluster import Cluster, where

ROLE_NUMBERS = itertools.count()


def is_alive(pid: str) -> bool:
    return pid.isdigit() and Path("/proc", pid).exists()


@pytest.fixture(scope="session")
def superuser_dsn() -> Iterator[str]:
    """A libpq URI of a superuser in a database with everything deployed."""
    if os.environ.get("HARTONOMOUS_TEST_DSN"):
        yield os.environ["HARTONOMOUS_TEST_DSN"]
        return
    for folder in Path(where("state")).glob("test-*"):
        if not is_alive(folder.name.removeprefix("test-")):
            Cluster(folder.name).remove()
    cluster = Cluster(f"test-{os.getpid()}", forgetful=True)
    try:
        cluster.up()
        yield cluster.superuser_dsn()
    finally:
        cluster.remove()


@pytest.fixture
def connect_as(superuser_dsn: str) -> Iterator[Callable[..., psycopg.Connection]]:
    """connect_as(role, …) opens an autocommit connection that acts as a new role with the given group roles.

    connect_as() is a role without any rights, connect_as("llm_user") one that may generate, connect_as("llm_loader")
    one that may load. The roles and connections go when the test ends.
    """
    with ExitStack() as stack:
        superuser = stack.enter_context(psycopg.connect(superuser_dsn, autocommit=True))

        def connect(*groups: str) -> psycopg.Connection:
            role = sql.Identifier(f"test_{os.getpid()}_{next(ROLE_NUMBERS)}")
            superuser.execute(sql.SQL("CREATE ROLE {}").format(role))
            stack.callback(superuser.execute, sql.SQL("DROP ROLE {}").format(role))
            stack.callback(superuser.execute, sql.SQL("DROP OWNED BY {}").format(role))
            for group in groups:
                superuser.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
            connection = stack.enter_context(psycopg.connect(superuser_dsn, autocommit=True))
            connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(role))
            return connection

        yield connect


@pytest.fixture
def superuser(superuser_dsn: str) -> Iterator[psycopg.Connection]:
    """An autocommit connection of a superuser."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def user(connect_as: Callable[..., psycopg.Connection]) -> psycopg.Connection:
    """An autocommit connection that acts as a member of llm_user."""
    return connect_as("llm_user")


@pytest.fixture
def loader(connect_as: Callable[..., psycopg.Connection]) -> psycopg.Connection:
    """An autocommit connection that acts as a member of llm_loader."""
    return connect_as("llm_loader")


@pytest.fixture(scope="session")
def loader_dsn(superuser_dsn: str) -> Iterator[str]:
    """A libpq URI that acts as a member of llm_loader, for programs that connect by themselves."""
    role = f"test_loader_{os.getpid()}"
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        superuser.execute(f"CREATE ROLE {role} IN ROLE llm_loader")
        separator = "&" if "?" in superuser_dsn else "?"
        try:
            yield f"{superuser_dsn}{separator}options=-c%20role%3D{role}"
        finally:
            superuser.execute(f"REASSIGN OWNED BY {role} TO CURRENT_USER")
            superuser.execute(f"DROP OWNED BY {role}")
            superuser.execute(f"DROP ROLE {role}")
