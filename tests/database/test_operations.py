"""What docs/operations.md promises a DBA: packages that move, folders that go, pools, policies, standbys."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.database.models import call, loaded
from tests.database.test_documentation import sql_blocks
from tools.cluster import Cluster, where

GENERATE = "SELECT llm.generate('And from that day on, Lily and Tom were the', %s, 8)"
MODEL, OTHER, ENCODER = "operated", "operated-other", "operated-encoder"


@pytest.fixture(scope="module", autouse=True)
def models(superuser_dsn: str, loader_dsn: str, own_data: Path) -> Iterator[None]:
    """Two decoders and an encoder, and the engine compiled."""
    with psycopg.connect(superuser_dsn, autocommit=True) as superuser:
        call(superuser, "SELECT llm.warm_up()")
    paths = {
        MODEL: own_data / "stories260K-quant-derived" / "stories260K-Q8_0.gguf",
        OTHER: own_data / "stories260K" / "stories260K.gguf",
        ENCODER: Path(__file__).parent.parent / "fixtures" / "encoders" / "mean",
    }
    with loaded(loader_dsn, paths):
        yield


@pytest.fixture
def new_session(superuser_dsn: str) -> Iterator[Callable[[], psycopg.Connection]]:
    """new_session() is a session of a superuser that has computed nothing yet."""
    sessions = []

    def new() -> psycopg.Connection:
        sessions.append(psycopg.connect(superuser_dsn, autocommit=True))
        return sessions[-1]

    yield new
    for session in sessions:
        session.close()


# Where the packages are


@pytest.fixture
def site_packages(superuser) -> Iterator[str]:
    """The folder of packages, as it is before the test and after it."""
    site = call(superuser, "SELECT llm_runtime.site_packages()")
    yield site
    superuser.execute(replaced_by(site))


def replaced_by(site: str) -> str:
    """What the page shows to change the folder, with another one."""
    (block,) = (b.text for b in sql_blocks("docs/operations.md") if "llm_runtime.site_packages()" in b.text)
    return re.sub(r"RETURN '[^']*'", f"RETURN '{site}'", block)


def test_another_folder_of_packages_costs_no_model(superuser, new_session, site_packages):
    before = superuser.execute("SELECT name, hash FROM llm.models ORDER BY 1").fetchall()
    superuser.execute(replaced_by(f"{site_packages}/."))
    assert call(superuser, "SELECT llm_runtime.site_packages()") == f"{site_packages}/."
    assert superuser.execute("SELECT name, hash FROM llm.models ORDER BY 1").fetchall() == before
    assert call(new_session(), GENERATE, MODEL).startswith(" best of friends")


def test_the_page_warns_of_what_would_drop_all_models():
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    section = page.partition("## Change `python_site`")[2].partition("\n## ")[0]
    assert section.index("CREATE OR REPLACE") < section.index("**Do not use `sqitch rebase` or `sqitch revert`")


@pytest.mark.usefixtures("site_packages")
def test_a_server_without_the_packages_names_the_function_to_replace(superuser, new_session):
    superuser.execute(replaced_by("/nonexistent"))
    with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="cannot import numpy") as missing:
        new_session().execute("SELECT llm.version()")
    assert "llm_runtime.site_packages()" in missing.value.diag.message_hint
    assert "/nonexistent" in missing.value.diag.message_detail


# Folders that somebody deletes


@pytest.fixture
def without_folder(superuser) -> Callable:
    """without_folder(part): inside, a part of base/pgsql_tmp_llm is gone; afterwards what it was is back."""
    superuser.execute(
        "CREATE OR REPLACE FUNCTION pg_temp.rename(old text, new text) RETURNS void LANGUAGE plpython3u AS $$\n"
        "import os, shutil\n"
        "shutil.rmtree(new, ignore_errors=True)\n"
        "os.rename(old, new)\n$$"
    )

    @contextmanager
    def gone(part: str) -> Iterator[None]:
        folder = f"base/pgsql_tmp_llm{part}"
        call(superuser, "SELECT pg_temp.rename(%s, 'base/pgsql_tmp_llm_aside')", folder)
        try:
            yield
        finally:
            call(superuser, "SELECT pg_temp.rename('base/pgsql_tmp_llm_aside', %s)", folder)

    return gone


CALLS = [
    f"SELECT llm.generate('Once upon a time', '{MODEL}', 8)",
    f"SELECT llm.generate('Once upon a time', '{OTHER}', 8, temperature => 1, seed => 1)",
    f"SELECT array_agg(response ORDER BY ordinal) FROM llm.generate_many(ARRAY['a', 'b'], '{MODEL}', 4)",
    f"SELECT llm.embed_bytes('a', '{ENCODER}')",
    f"SELECT array_agg(token_id) FROM llm.similar_tokens('a', 2, '{OTHER}')",
    f"SELECT count(*) FROM llm.logits('{{1,2}}', '{OTHER}')",
    f"SELECT llm.pack('{OTHER}')",
    "SELECT llm.version()",
    f"SELECT count(*) > 0 FROM llm.chunk('one two three', '{MODEL}')",
    "SELECT count(*) > 0 FROM llm.cache",
]


@pytest.mark.parametrize("part", ["", "/packed", "/slots"])
@pytest.mark.parametrize("used", [[], CALLS[:1], CALLS], ids=["fresh", "used", "well used"])
def test_an_open_session_goes_on_when_its_folder_was_deleted(new_session, without_folder, part, used):
    session = new_session()
    session.execute("SET llm.engine = 'numpy'; SELECT llm.version()")
    expected = [call(session, query) for query in CALLS]
    session = new_session()
    session.execute("SELECT llm.version()")
    if not part or not used:
        session.execute("SET llm.engine = 'numpy'")  # with the modules the compiled code goes
    for query in used:
        call(session, query)
    with without_folder(part):
        session.execute("SET llm.engine = 'numpy'")
        assert [call(session, query) for query in CALLS] == expected
        session.execute("RESET llm.engine")
        for query in CALLS:
            call(session, query)


def test_compiled_code_that_was_deleted_is_not_used_until_it_is_there_again(new_session, without_folder):
    """What a session has not loaded yet would be compiled within a question."""
    session = new_session()
    session.execute("SET llm.engine = 'compiled'")
    expected = [call(session, query) for query in CALLS]
    with without_folder(""):
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not compiled on this server"):
            call(session, CALLS[0])
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="deleted while this session used it"):
            session.execute("SELECT llm.warm_up()")
    assert [call(session, query) for query in CALLS] == expected


# The engine that is asked for


def test_an_engine_that_is_not_compiled_is_refused_and_nothing_computes_in_its_place(new_session, without_folder):
    with without_folder(""):
        session = new_session()
        session.execute("SET llm.engine = 'compiled'")
        for query in CALLS[:6]:
            with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not compiled") as refusal:
                session.execute(query)
            assert "llm.warm_up()" in refusal.value.diag.message_hint
        session.execute("SET llm.engine = 'auto'")
        assert "numpy" in call(session, "SELECT llm.engine()")


@pytest.fixture
def standby(superuser_dsn: str) -> Iterator[str]:
    """The DSN of a standby of the server, made with pg_basebackup."""
    parts = psycopg.conninfo.conninfo_to_dict(superuser_dsn)
    cluster = Cluster(f"test-{os.getpid()}-standby", forgetful=True)
    try:
        cluster.folder.mkdir(mode=0o755)
        cluster.sockets.mkdir(mode=0o755, exist_ok=True)
        for folder in (cluster.folder, cluster.sockets):
            shutil.chown(folder, where("user"))
        source = psycopg.conninfo.make_conninfo(host=parts["host"], port=parts["port"], user="postgres")
        cluster._server("pg_basebackup", "-R", "-X", "stream", "-c", "fast", "-D", cluster.data, "-d", source)
        cluster.start()
        yield cluster.superuser_dsn(parts["dbname"])
    finally:
        cluster.remove()


def test_a_standby_refuses_to_compute_with_numpy_until_it_is_warm(superuser, new_session, request):
    database = sql.Identifier(superuser.info.dbname)
    superuser.execute(sql.SQL("ALTER DATABASE {} SET llm.engine = 'compiled'").format(database))
    try:
        dsn = request.getfixturevalue("standby")
    finally:
        superuser.execute(sql.SQL("ALTER DATABASE {} RESET llm.engine").format(database))
    with psycopg.connect(dsn, autocommit=True) as session:
        assert call(session, "SELECT pg_catalog.pg_is_in_recovery()")
        session.execute("SET llm.engine = 'compiled'")  # the standby follows the RESET above
        with pytest.raises(psycopg.errors.ObjectNotInPrerequisiteState, match="not compiled") as refusal:
            session.execute(GENERATE, [MODEL])
        assert "llm.warm_up()" in refusal.value.diag.message_hint
        session.execute("SET llm.engine = 'numpy'")
        assert call(session, GENERATE, MODEL).startswith(" best of friends")


# Pools of connections


def stats(connection) -> tuple:
    return connection.execute("SELECT prefilled, reused, generated FROM llm.generation_stats()").fetchone()


@pytest.fixture
def two_roles(connect_as) -> tuple[psycopg.Connection, str]:
    """A session of a role that may act as another one, and that one's name."""
    one, other = connect_as("llm_user"), connect_as("llm_user")
    name = call(other, "SELECT current_user")
    with psycopg.connect(one.info.dsn, autocommit=True) as superuser:
        superuser.execute(
            sql.SQL("GRANT {} TO {}").format(sql.Identifier(name), sql.Identifier(call(one, "SELECT current_user")))
        )
    return one, name


def test_figures_and_kept_prompts_are_a_roles_own(two_roles):
    session, other = two_roles
    call(session, GENERATE, MODEL)
    own = stats(session)
    session.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(other)))
    assert stats(session) == (None, None, None)
    call(session, GENERATE, MODEL)
    assert stats(session)[1] == 0
    session.execute("RESET ROLE")
    assert stats(session) == own


@pytest.mark.parametrize("discard", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_nothing_that_was_kept_for_a_client_survives_discard_all(new_session, discard):
    session = new_session()
    call(session, GENERATE, MODEL)
    call(session, GENERATE, MODEL)
    assert stats(session)[1] > 0
    handle = call(session, "SELECT llm.new_kv_cache(%s)", MODEL)
    session.execute(discard)
    assert stats(session) == (None, None, None)
    assert call(session, "SELECT llm.free_kv_cache(%s)", handle) is False
    call(session, GENERATE, MODEL)
    assert stats(session)[1] == 0


def test_a_rollback_is_no_discard(new_session):
    session = new_session()
    with session.transaction(force_rollback=True):
        call(session, GENERATE, MODEL)
    call(session, GENERATE, MODEL)
    assert stats(session)[1] > 0


# Who may see a model

OF_A_MODEL = ["model_tensor", "file_segment", "model_code", "operation"]


@pytest.fixture
def restricted(superuser, connect_as) -> Iterator[psycopg.Connection]:
    """A session of a role that sees one model alone, by a policy of the DBA's."""
    superuser.execute("SELECT llm.fork(%s, 'operated-fork')", [MODEL])
    session = connect_as("llm_user")
    superuser.execute(
        sql.SQL("CREATE POLICY one ON llm_store.model AS RESTRICTIVE FOR SELECT TO {} USING (name = {})").format(
            sql.Identifier(call(session, "SELECT current_user")), sql.Literal(MODEL)
        )
    )
    yield session
    superuser.execute("DROP POLICY one ON llm_store.model")
    superuser.execute("SELECT llm.drop_model('operated-fork')")


@pytest.mark.parametrize("query", ["llm.pack(%s)", "llm.generate('a', %s)", "llm.tokenize('a', %s)", "llm.engine()"])
def test_a_model_that_a_role_may_not_see_does_not_exist(restricted, query):
    hidden = "%s" in query
    if hidden:
        with pytest.raises(psycopg.errors.UndefinedObject, match=f'model "{OTHER}" does not exist'):
            restricted.execute(f"SELECT {query}", [OTHER])
    assert call(restricted, f"SELECT {query}", *[MODEL] * hidden) is not None


def test_rows_of_a_model_follow_its_visibility(restricted, superuser):
    own = call(superuser, "SELECT id FROM llm_store.model WHERE name = %s", MODEL)
    for table in OF_A_MODEL:
        seen = {model for (model,) in restricted.execute(f"SELECT DISTINCT model_id FROM llm_store.{table}")}
        assert seen <= {own}, table
        assert call(superuser, f"SELECT count(DISTINCT model_id) FROM llm_store.{table}") > len(seen), table
    assert restricted.execute("SELECT DISTINCT model FROM llm.tensors").fetchall() == [(MODEL,)]


def test_who_sees_the_hash_alone_of_no_model_packs_nothing(user):
    with pytest.raises(psycopg.errors.UndefinedObject, match="no model has this content"):
        user.execute("SELECT llm_store.pack_model('unknown', 'operated')")
