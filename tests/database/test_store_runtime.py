"""Booting the modules from the catalogue: what a crash or a race left behind never runs."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

FOLDER = "'base/pgsql_tmp_llm/llm_' + plpy.execute('SELECT llm_runtime.release() AS r')[0]['r'][:16]"


@pytest.fixture
def in_folder(superuser: psycopg.Connection) -> Iterator[Callable[[str], None]]:
    """in_folder(python) runs Python on the server, with `folder` as the release's; it is complete again after."""

    def run(python: str) -> None:
        superuser.execute(f"DO $do$\nimport os, shutil, time\nfolder = {FOLDER}\n{python}\n$do$ LANGUAGE plpython3u")

    run_version(superuser)
    yield run
    run("if os.path.isdir(folder): os.chmod(folder, 0o700)")
    superuser.execute("SELECT llm_runtime.boot()")


def run_version(connection: psycopg.Connection) -> str:
    return connection.execute("SELECT llm.version()").fetchone()[0]


def version_of_a_new_session(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as connection:
        return run_version(connection)


def file_on_server(superuser: psycopg.Connection, name: str) -> str:
    (release,) = superuser.execute("SELECT left(llm_runtime.release(), 16)").fetchone()
    path = f"base/pgsql_tmp_llm/llm_{release}/{name}"
    return bytes(superuser.execute("SELECT pg_read_binary_file(%s)", [path]).fetchone()[0]).decode()


def body(superuser: psycopg.Connection, module: str) -> str:
    query = "SELECT prosrc FROM pg_proc WHERE oid = %s::regprocedure"
    return superuser.execute(query, [f"llm_runtime.{module.replace('/', '__')}()"]).fetchone()[0]


def test_sessions_that_boot_at_once_into_no_folder_all_get_the_whole(superuser_dsn, in_folder):
    in_folder("shutil.rmtree(folder)")
    with ThreadPoolExecutor(6) as pool:
        versions = set(pool.map(version_of_a_new_session, [superuser_dsn] * 6))
    assert len(versions) == 1


def test_a_half_written_folder_is_completed(superuser_dsn, superuser, in_folder):
    in_folder(
        "for name in ('server/errors.py', '__init__.py', 'weights/tensors.py'): os.unlink(os.path.join(folder, name))"
    )
    in_folder("open(os.path.join(folder, 'model/encodings.py'), 'r+').truncate(100)")
    assert version_of_a_new_session(superuser_dsn)
    for module in ("server/errors", "weights/tensors", "model/encodings"):
        assert file_on_server(superuser, f"{module}.py") == body(superuser, module)


def test_a_changed_file_is_never_run(superuser_dsn, superuser, in_folder):
    in_folder(
        "path = os.path.join(folder, 'server/connection.py')\n"
        "text = open(path).read().replace('hartonomous release', 'somebody elses release')\n"
        "open(path, 'w').write(text)"
    )
    assert version_of_a_new_session(superuser_dsn).startswith("hartonomous release")
    assert file_on_server(superuser, "server/connection.py") == body(superuser, "server/connection")


def test_a_link_in_place_of_a_file_is_replaced_and_not_followed(superuser_dsn, superuser, in_folder):
    in_folder(
        "path = os.path.join(folder, 'server/errors.py')\n"
        "shutil.copy(path, path + '.copy'); os.unlink(path); os.symlink(path + '.copy', path)"
    )
    assert version_of_a_new_session(superuser_dsn)
    in_folder(
        "path = os.path.join(folder, 'server/errors.py')\nassert not os.path.islink(path); os.unlink(path + '.copy')"
    )


def test_a_compiled_file_that_was_cut_short_is_made_again(superuser_dsn, in_folder):
    in_folder(
        "for name in os.listdir(folder + '/server/__pycache__'):\n"
        "    open(os.path.join(folder, 'server', '__pycache__', name), 'r+').truncate(20)"
    )
    assert version_of_a_new_session(superuser_dsn)


def test_what_a_killed_writer_left_is_removed_after_an_hour(superuser_dsn, in_folder):
    in_folder(
        "path = os.path.join(folder, 'reference/operators.py'); os.unlink(path)\n"
        "half = path + '.4711'; open(half, 'w').write('half'); os.utime(half, (1, 1))"
    )
    assert version_of_a_new_session(superuser_dsn)
    in_folder("assert not os.path.exists(os.path.join(folder, 'reference/operators.py.4711'))")


def test_the_folder_of_a_release_that_nobody_opened_for_a_month_is_removed(superuser_dsn, in_folder):
    in_folder(
        "for name, age in (('llm_0000000000000000', 31), ('llm_1111111111111111', 29)):\n"
        "    path = os.path.join(folder, '..', name); os.makedirs(path, 0o700)\n"
        "    os.utime(path, (time.time() - age * 86400,) * 2)\n"
        "os.unlink(os.path.join(folder, 'reference/operators.py'))"
    )
    assert version_of_a_new_session(superuser_dsn)
    in_folder(
        "assert not os.path.exists(os.path.join(folder, '..', 'llm_0000000000000000'))\n"
        "os.rmdir(os.path.join(folder, '..', 'llm_1111111111111111'))"
    )


def test_a_folder_that_others_may_enter_is_refused(superuser_dsn, in_folder):
    in_folder("os.chmod(folder, 0o750)")
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="only the server can enter"):
        version_of_a_new_session(superuser_dsn)


@pytest.fixture
def upgrade(superuser: psycopg.Connection) -> Iterator[Callable[..., None]]:
    """upgrade(old, new, release=True) replaces text in module `connection`, and the release to match; undone after."""
    originals = [
        superuser.execute("SELECT pg_get_functiondef(%s::regprocedure)", [f"llm_runtime.{name}()"]).fetchone()[0]
        for name in ("server__connection", "release")
    ]

    def replace(old: str, new: str, release: bool = True) -> None:
        with superuser.transaction():
            superuser.execute(originals[0].replace(old, new))
            if release:
                query = """
                SELECT p.proname, p.prosrc FROM pg_proc AS p
                WHERE p.pronamespace = 'llm_runtime'::regnamespace AND p.prorettype = 'void'::regtype
                    AND p.pronargs = 0
                ORDER BY p.proname COLLATE "C"
                """
                lines = [f"{hashlib.sha256(b.encode()).hexdigest()}  {name}\n" for name, b in superuser.execute(query)]
                digest = hashlib.sha256("".join(lines).encode()).hexdigest()
                superuser.execute(
                    sql.SQL(
                        "CREATE OR REPLACE FUNCTION llm_runtime.release() RETURNS text "
                        "LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN {}::text"
                    ).format(sql.Literal(digest))
                )

    yield replace
    with superuser.transaction():
        for original in originals:
            superuser.execute(original)


def test_an_open_session_runs_the_new_release_at_its_next_call(user, upgrade):
    assert run_version(user).startswith("hartonomous release")
    upgrade("hartonomous release", "hartonomous upgraded")
    assert run_version(user).startswith("hartonomous upgraded")


def test_an_open_session_goes_back_with_the_release(user, upgrade, superuser):
    before = run_version(user)
    (release,) = superuser.execute("SELECT pg_get_functiondef('llm_runtime.release()'::regprocedure)").fetchone()
    (database,) = superuser.execute(
        "SELECT pg_get_functiondef('llm_runtime.server__connection()'::regprocedure)"
    ).fetchone()
    upgrade("hartonomous release", "hartonomous upgraded")
    assert run_version(user) != before
    with superuser.transaction():
        superuser.execute(database)
        superuser.execute(release)
    assert run_version(user) == before


def test_modules_that_are_not_those_of_the_release_do_not_run(superuser_dsn, upgrade):
    upgrade("hartonomous release", "hartonomous half upgraded", release=False)
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not those of its release"):
        version_of_a_new_session(superuser_dsn)


def test_an_error_of_a_model_has_its_sqlstate_detail_and_hint(user):
    with pytest.raises(psycopg.errors.UndefinedObject, match=r'llm: .*"no such model"') as raised:
        user.execute("SELECT llm.generate('a', model => 'no such model')")
    assert raised.value.diag.message_hint


def test_an_unexpected_error_carries_the_traceback_as_detail(user, upgrade):
    upgrade("import numpy as np", "import numpy as np; {}['salt']")
    with pytest.raises(psycopg.errors.InternalError_, match="llm: unexpected KeyError: 'salt'") as raised:
        run_version(user)
    assert "connection.py" in raised.value.diag.message_detail
    assert user.execute("SELECT 1").fetchone() == (1,)


def test_an_interrupt_passes_through_python_as_the_server_raised_it(user, upgrade):
    upgrade("import numpy as np", "import numpy as np; [checkpoint() for _ in iter(int, 1)]")
    user.execute("SET statement_timeout = '200ms'")
    with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
        run_version(user)
    user.execute("SET statement_timeout = 0")
    assert user.execute("SELECT 1").fetchone() == (1,)


def test_another_role_of_the_same_session_needs_its_own_rights(superuser_dsn, connect_as):
    """GD is shared by all roles of a session: what one booted must not open the door for another."""
    with psycopg.connect(superuser_dsn, autocommit=True) as connection:
        run_version(connection)
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE ROLE passer_by")
            connection.execute("SET LOCAL ROLE passer_by")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                run_version(connection)


def test_the_servers_signals_stay_on_its_own_thread(superuser: psycopg.Connection):
    """A thread that a library starts while it is imported inherits a mask that blocks every signal it may."""
    run_version(superuser)
    superuser.execute("SELECT llm.generate(NULL)")
    superuser.execute(
        """DO $do$
import os
for thread in os.listdir('/proc/self/task'):
    if int(thread) == os.getpid(): continue
    fields = dict(line.split(':', 1) for line in open(f'/proc/self/task/{thread}/status') if ':' in line)
    blocked = int(fields['SigBlk'], 16)
    for signal in (1, 2, 10, 15):
        assert blocked >> (signal - 1) & 1, f'thread {thread} takes signal {signal}'
$do$ LANGUAGE plpython3u"""
    )
