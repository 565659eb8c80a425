"""Fixtures for tests in the server: one private server per test session, everything deployed in it.

HARTONOMOUS_TEST_DSN, a superuser's URI of a database with everything deployed, is used instead when it is set: for
quick runs while developing, and for tests against a server of one's own.
"""

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.pq import TransactionStatus

from tools.cluster import Cluster, where

ROLE_NUMBERS = itertools.count()
ON_SERVER = """
import os
from pathlib import Path
found = []
packed = Path('base/pgsql_tmp_llm/packed').absolute()
def files(model):
    hashes = plpy.execute(f"SELECT encode(hash, 'hex') AS hash FROM llm.tensors WHERE model = '{model}'")
    return [path for row in hashes for path in packed.glob(f"*/{row['hash']}.f32")]
"""


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


class Sessions:
    """Sessions that one test uses after the other, as a pool of connections lends them: DISCARD ALL between.

    They keep the modules that they have loaded, which takes longer than most tests do. One that a test leaves closed,
    broken or in a transaction is not used again.
    """

    def __init__(self, dsn: str):
        self._dsn = dsn
        self._idle: list[psycopg.Connection] = []

    @contextmanager
    def lent(self) -> Iterator[psycopg.Connection]:
        connection = self._idle.pop() if self._idle else self._new()
        try:
            yield connection
        finally:
            if connection.closed or connection.info.transaction_status != TransactionStatus.IDLE:
                connection.close()
            else:
                connection.execute("DISCARD ALL")
                self._idle.append(connection)

    def _new(self) -> psycopg.Connection:
        # What psycopg prepares by itself would be gone after DISCARD ALL.
        return psycopg.connect(self._dsn, autocommit=True, prepare_threshold=None)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


@pytest.fixture(scope="session")
def sessions(superuser_dsn: str) -> Iterator[Sessions]:
    """What the fixtures `superuser`, `user` and `loader` have their sessions from."""
    pool = Sessions(superuser_dsn)
    yield pool
    pool.close()


@pytest.fixture
def act_as(superuser_dsn: str, sessions: Sessions) -> Iterator[Callable[[str], psycopg.Connection]]:
    """act_as(group) is a session that acts as a new role with a group role; the role goes when the test ends."""
    with ExitStack() as stack:
        superuser = stack.enter_context(psycopg.connect(superuser_dsn, autocommit=True))

        def act(group: str) -> psycopg.Connection:
            role = new_role(stack, superuser, group)
            connection = stack.enter_context(sessions.lent())
            connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(role))
            return connection

        yield act


def new_role(stack: ExitStack, superuser: psycopg.Connection, *groups: str) -> sql.Identifier:
    """A new role in the given group roles; it and what it owns go when the stack is left."""
    role = sql.Identifier(f"test_{os.getpid()}_{next(ROLE_NUMBERS)}")
    superuser.execute(sql.SQL("CREATE ROLE {}").format(role))
    stack.callback(superuser.execute, sql.SQL("DROP ROLE {}").format(role))
    stack.callback(superuser.execute, sql.SQL("DROP OWNED BY {}").format(role))
    for group in groups:
        superuser.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), role))
    return role


@pytest.fixture
def connect_as(superuser_dsn: str) -> Iterator[Callable[..., psycopg.Connection]]:
    """connect_as(group, …) opens a session of its own that acts as a new role with the given group roles.

    connect_as() is a role without any rights, connect_as("llm_user") one that may generate, connect_as("llm_loader")
    one that may load. The roles and connections go when the test ends.
    """
    with ExitStack() as stack:
        superuser = stack.enter_context(psycopg.connect(superuser_dsn, autocommit=True))

        def connect(*groups: str) -> psycopg.Connection:
            role = new_role(stack, superuser, *groups)
            connection = stack.enter_context(psycopg.connect(superuser_dsn, autocommit=True))
            connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(role))
            return connection

        yield connect


@pytest.fixture
def superuser(sessions: Sessions) -> Iterator[psycopg.Connection]:
    """An autocommit connection of a superuser."""
    with sessions.lent() as connection:
        yield connection


@pytest.fixture
def user(act_as: Callable[[str], psycopg.Connection]) -> psycopg.Connection:
    """An autocommit connection that acts as a member of llm_user."""
    return act_as("llm_user")


@pytest.fixture
def loader(act_as: Callable[[str], psycopg.Connection]) -> psycopg.Connection:
    """An autocommit connection that acts as a member of llm_loader."""
    return act_as("llm_loader")


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


@pytest.fixture
def on_server(superuser: psycopg.Connection) -> Callable[[str], list[str]]:
    """on_server(python) runs Python in the server and returns what that puts into `found`, a list of strings.

    `packed` is the folder of packed files, files(model) the paths of a model's matrices.
    """

    def run(python: str) -> list[str]:
        body = "\n".join(f"    {line}" for line in python.splitlines())
        superuser.execute(
            "CREATE OR REPLACE FUNCTION pg_temp.on_server() RETURNS text[] LANGUAGE plpython3u AS $do$\n"
            f"{ON_SERVER}if True:\n{body}\nreturn found\n$do$"
        )
        return superuser.execute("SELECT pg_temp.on_server()").fetchone()[0]

    return run
