"""hartonomous load packs what it has loaded; where it cannot, the model is there and a warning says what to do."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from loaders import cli
from loaders.reader import read_model
from loaders.upload import packing
from loaders.upload.upload import upload

from .models import call
from .test_pack import LIMITS, big_model

NAME = "load-packs"
GENERATE = "SELECT llm.generate('a', %s, max_tokens => 5)"


@pytest.fixture(scope="module", autouse=True)
def _compiled(superuser_dsn: str) -> None:
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 40 MB in three layers, each a packed file of its own, that no other test has."""
    return big_model(tmp_path_factory.mktemp("load-packs"))


@pytest.fixture(autouse=True)
def _gone(superuser: psycopg.Connection) -> Iterator[None]:
    """Nothing is packed before a test, and the model goes after it."""
    superuser.execute("SELECT llm.evict()")
    yield
    superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", [NAME])


@pytest.fixture
def load(path: Path, loader_dsn: str) -> Callable[..., Result]:
    """load("--no-pack", options="-c …") runs the command as a loader, with settings of the session."""

    def run(*arguments: str, options: str = "") -> Result:
        given = psycopg.conninfo.conninfo_to_dict(loader_dsn)
        dsn = psycopg.conninfo.make_conninfo(loader_dsn, options=f"{given['options']} {options}")
        return CliRunner().invoke(cli.app, ["load", str(path), "--name", NAME, *arguments, "--dsn", dsn])

    return run


def packed(connection: psycopg.Connection) -> tuple[int, int]:
    """(packed tensors of the model, all of them)"""
    row = connection.execute("SELECT tensors, of_tensors FROM llm.cache WHERE model = %s", [NAME]).fetchone()
    return row or (0, call(connection, "SELECT count(DISTINCT hash) FROM llm.tensors WHERE model = %s", NAME))


def is_whole(count: tuple[int, int]) -> bool:
    return count[0] == count[1] > 10


def asked_anew(connect_as: Callable[..., psycopg.Connection]) -> None:
    """Ask the model in a session that has mapped nothing."""
    session = connect_as("llm_user")
    session.execute("SET llm.engine = 'compiled'")
    call(session, GENERATE, NAME)


def test_a_load_leaves_a_packed_model(load, superuser):
    result = load()
    assert result.exit_code == 0, result.output
    assert [line.partition(" ")[0] for line in result.stdout.splitlines()] == ["loaded", "packed", "next:"]
    assert is_whole(packed(superuser))


def test_the_first_question_after_a_load_packs_nothing(load, superuser, connect_as):
    load()
    built = call(superuser, "SELECT max(built) FROM llm.packed_tensors()")
    asked_anew(connect_as)
    assert call(superuser, "SELECT max(built) FROM llm.packed_tensors()") == built


def test_no_pack_leaves_it_to_the_first_use(load, superuser, connect_as):
    result = load("--no-pack")
    assert [line.partition(" ")[0] for line in result.stdout.splitlines()] == ["loaded", "next:"]
    assert packed(superuser)[0] == 0
    asked_anew(connect_as)
    assert is_whole(packed(superuser))


def test_a_load_of_what_is_loaded_and_packed_sends_and_builds_nothing(load, superuser):
    load()
    built = call(superuser, "SELECT max(built) FROM llm.packed_tensors()")
    result = load("--replace")
    loaded, packed_line, _ = result.stdout.splitlines()
    size = loaded.removeprefix(f"loaded {NAME}: ").partition(",")[0]
    assert loaded == f"loaded {NAME}: {size}, {size} of it stored already"
    assert packed_line.startswith(f"packed {NAME}: ")
    assert call(superuser, "SELECT max(built) FROM llm.packed_tensors()") == built


def test_two_loaders_at_once_end_with_one_packed_model(path, loader_dsn, superuser):
    """The second name has the same content, so both want the same files."""
    names = [NAME, f"{NAME}-2"]
    try:
        with ThreadPoolExecutor(2) as pool:
            done = list(pool.map(lambda name: loaded_by_a_process(path, loader_dsn, name), names))
        assert [process.returncode for process in done] == [0, 0], done
        files = "SELECT count(*), count(DISTINCT (tensor_hash, layout)) FROM llm.packed_tensors()"
        assert len(set(superuser.execute(files).fetchone())) == 1
        assert is_whole(packed(superuser))
    finally:
        superuser.execute("SELECT llm.drop_model(name) FROM llm.models WHERE name = %s", [names[1]])


def loaded_by_a_process(path: Path, dsn: str, name: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "loaders.cli", "load", str(path), "--name", name, "--dsn", dsn]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])


# Progress


def test_a_bar_follows_packing_from_nothing_to_all_of_the_stored_bytes(path, loader_dsn, superuser):
    bars = []

    def bar(title: str, total: int) -> Callable[[int], None]:
        bars.append((title, total, []))
        return bars[-1][2].append

    with psycopg.connect(loader_dsn, autocommit=True) as connection:
        upload(connection, read_model(path), NAME)
        outcome = packing.pack(connection, NAME, bar)
    stored = "SELECT sum(bytes) FROM (SELECT DISTINCT hash, bytes FROM llm.tensors WHERE model = %s) AS t"
    ((title, total, steps),) = bars
    assert title == f"packing {NAME}"
    assert sum(steps) == total == call(superuser, stored, NAME)
    assert all(step >= 0 for step in steps)
    assert len(steps) > 2
    assert outcome.bytes > 0


def test_what_is_packed_needs_no_bar(load, loader_dsn):
    load()
    with psycopg.connect(loader_dsn, autocommit=True) as connection:
        assert packing.pack(connection, NAME, lambda *_: pytest.fail("a bar")).bytes > 0


# What goes wrong leaves a model that works


def assert_loaded_with_a_warning(result: Result, superuser: psycopg.Connection, *words: str) -> None:
    assert result.exit_code == 0, result.output
    warning, hint = result.stderr.splitlines()
    assert warning.startswith(f"warning: {NAME} is loaded, but not packed: ")
    assert hint.startswith("hint: ")
    assert f"SELECT llm.pack('{NAME}');" in hint
    for word in words:
        assert word in result.stderr
    superuser.execute("SET llm.engine = 'numpy'")
    assert call(superuser, GENERATE, NAME) is not None


@pytest.fixture
def limited(superuser: psycopg.Connection) -> Iterator[Callable[[str], None]]:
    """limited("bytes, free_bytes") sets the limits of packing until the test ends."""
    before = call(superuser, "SELECT pg_get_functiondef('llm_runtime.pack_limits()'::regprocedure)")
    yield lambda limits: superuser.execute(f"{LIMITS} AS 'SELECT {limits.replace(',', '::bigint,')}::bigint'")
    superuser.execute(before)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("1000000000000, 1000000000000000", ("the disk is too full", "Free space on the disk")),
        ("1000000, 0", ("larger than their limit", "A superuser can replace that function")),
    ],
)
def test_a_full_disk_or_a_limit(load, superuser, limited, limits, words):
    limited(limits)
    assert_loaded_with_a_warning(load(), superuser, *words)
    assert packed(superuser)[0] == 0


def test_no_right_to_pack(load, superuser):
    superuser.execute("REVOKE EXECUTE ON FUNCTION llm.pack(text) FROM llm_user")
    try:
        assert_loaded_with_a_warning(load(), superuser, "permission denied for function pack")
    finally:
        superuser.execute("GRANT EXECUTE ON FUNCTION llm.pack(text) TO llm_user")


def test_an_engine_that_is_not_compiled_here(load, superuser):
    engine = "CREATE OR REPLACE FUNCTION llm.engine() RETURNS text LANGUAGE sql AS $$SELECT {}$$"
    before = call(superuser, "SELECT pg_get_functiondef('llm.engine()'::regprocedure)")
    says = "'numpy 2, float32: the reference engine, because llm.warm_up() has not compiled it'::text"
    superuser.execute(engine.format(says))
    try:
        assert_loaded_with_a_warning(load(), superuser, "llm.warm_up() has not compiled it", "SELECT llm.warm_up();")
    finally:
        superuser.execute(before)
    assert packed(superuser)[0] == 0


def test_where_numpy_is_chosen_nothing_is_packed_and_that_is_no_warning(load, superuser):
    result = load(options="-c llm.engine=numpy")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "not packed: numpy computes here, without packed weights, because llm.engine is numpy" in result.stdout
    assert packed(superuser)[0] == 0


# Packing that is ended goes on where it was


@pytest.fixture
def waiting_load(load, path, loader_dsn, superuser, on_server) -> Iterator[subprocess.Popen]:
    """A load in another process that has packed all files but one, which another session seems to be packing."""
    load()
    file, *_ = on_server(f"found = [str(path) for path in files('{NAME}')]")
    superuser.execute("SELECT llm.evict()")
    on_server(
        f"GD['held'] = os.open({file + '.partial'!r}, os.O_CREAT | os.O_RDONLY, 0o400)\n"
        "__import__('fcntl').flock(GD['held'], 2)"
    )
    command = [sys.executable, "-m", "loaders.cli", "load", str(path), "--name", NAME, "--replace", "--dsn", loader_dsn]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    )
    try:
        until(lambda: packed(superuser)[0] == packed(superuser)[1] - 1)
        yield process
    finally:
        process.kill()
        on_server("os.close(GD.pop('held')) if 'held' in GD else None")


def until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    pytest.fail("it did not come to that within a minute")


def packing_backend(connection: psycopg.Connection) -> int | None:
    """The process of the server that packs."""
    query = "SELECT max(pid) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT llm.pack(%%'"
    return call(connection, query)


def assert_it_goes_on(load: Callable[..., Result], superuser: psycopg.Connection, on_server: Callable) -> None:
    """The next load packs what is missing, and leaves what was finished."""
    until(lambda: packing_backend(superuser) is None)
    on_server("os.close(GD.pop('held'))")
    finished = set(superuser.execute("SELECT tensor_hash, built FROM llm.packed_tensors()").fetchall())
    assert finished
    assert load("--replace").exit_code == 0
    assert is_whole(packed(superuser))
    assert finished < set(superuser.execute("SELECT tensor_hash, built FROM llm.packed_tensors()").fetchall())
    assert on_server("found = [str(path) for path in packed.glob('*/*.partial')]") == []


def test_a_load_that_is_killed_while_it_packs(waiting_load, load, superuser, on_server):
    waiting_load.kill()
    waiting_load.wait()
    assert_it_goes_on(load, superuser, on_server)


def test_a_load_that_is_interrupted_while_it_packs_says_that_the_model_is_there(
    waiting_load, load, superuser, on_server
):
    waiting_load.send_signal(signal.SIGINT)
    _, told = waiting_load.communicate(timeout=30)
    assert waiting_load.returncode == cli.INTERRUPTED_STATUS
    assert told.splitlines() == [
        "error: interrupted",
        f"hint: {NAME} is loaded. SELECT llm.pack('{NAME}'); packs the rest, as the first use does.",
    ]
    assert_it_goes_on(load, superuser, on_server)


def test_a_session_that_the_server_ends_while_it_packs(waiting_load, load, superuser, on_server):
    superuser.execute("SELECT pg_terminate_backend(%s)", [packing_backend(superuser)])
    _, told = waiting_load.communicate(timeout=30)
    assert waiting_load.returncode == 0
    assert f"warning: {NAME} is loaded, but not packed: terminating connection" in told
    assert_it_goes_on(load, superuser, on_server)
