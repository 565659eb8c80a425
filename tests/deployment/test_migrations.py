"""Deploying, verifying and reverting: in a server of its own, because roles belong to the whole cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tools.cluster import DATABASE, Cluster, site_packages

# Everything that a deployment could leave behind, as one line of text each. sqitch keeps its own books in schema
# sqitch, and the names of the triggers that enforce foreign keys hold a number.
SNAPSHOT = """
WITH described AS (
    SELECT 'role ' || rolname || ' ' || rolsuper || ' ' || rolcanlogin AS line FROM pg_catalog.pg_roles
    UNION ALL
    SELECT 'member ' || roleid::regrole || ' ' || member::regrole FROM pg_catalog.pg_auth_members
    UNION ALL
    SELECT 'setting ' || setdatabase || ' ' || setrole || ' ' || setconfig::text FROM pg_catalog.pg_db_role_setting
    UNION ALL
    SELECT 'database ' || datname || ' ' || coalesce(datacl::text, '') FROM pg_catalog.pg_database
    UNION ALL
    SELECT 'extension ' || extname FROM pg_catalog.pg_extension
    UNION ALL
    SELECT 'privileges by default ' || defaclrole::regrole || ' ' || defaclacl::text FROM pg_catalog.pg_default_acl
    UNION ALL
    SELECT 'event trigger ' || evtname FROM pg_catalog.pg_event_trigger
    UNION ALL
    SELECT 'large object ' || oid FROM pg_catalog.pg_largeobject_metadata
    UNION ALL
    SELECT 'access to schema ' || nspname || ' ' || coalesce(nspacl::text, '') FROM pg_catalog.pg_namespace
    WHERE nspname <> 'sqitch' AND nspname !~ '^pg_(toast_)?temp_'
    UNION ALL
    SELECT DISTINCT 'object ' || o.type || ' ' || o.identity
    FROM pg_catalog.pg_depend AS d
    CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) AS o
    WHERE d.objid >= 16384 AND o.identity !~ 'sqitch|pg_toast|pg_temp|RI_ConstraintTrigger'

)
SELECT line FROM described ORDER BY line COLLATE "C"
"""


@contextmanager
def new_cluster(name: str) -> Iterator[Cluster]:
    """A server in which nothing was ever deployed."""
    cluster = Cluster(f"test-{os.getpid()}-{name}", forgetful=True)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def empty() -> Iterator[Cluster]:
    """A server of the test's own, with an empty database."""
    with new_cluster("empty") as cluster:
        cluster.create_database(DATABASE)
        yield cluster


@pytest.fixture(scope="module")
def deployed() -> Iterator[Cluster]:
    """A server with everything deployed in its database."""
    with new_cluster("deployed") as cluster:
        cluster.create_database(DATABASE)
        cluster.deploy(DATABASE)
        yield cluster


@pytest.fixture
def copy(deployed: Cluster) -> Iterator[str]:
    """A copy of that database, for one test."""
    deployed.query(f"CREATE DATABASE copy TEMPLATE {DATABASE}")
    yield "copy"
    deployed.query("DROP DATABASE copy WITH (FORCE)")


def snapshot(cluster: Cluster, database: str = DATABASE) -> set[str]:
    with psycopg.connect(cluster.superuser_dsn(database)) as connection:
        return {line for (line,) in connection.execute(SNAPSHOT)}


def sqitch(cluster: Cluster, command: str, *arguments: str, database: str = DATABASE) -> str:
    """What a sqitch command that must succeed prints."""
    done = cluster.sqitch(command, *arguments, database=database)
    assert done.returncode == 0, done.stdout
    return done.stdout


def refused(cluster: Cluster, *arguments: str, database: str = DATABASE) -> str:
    """What a deployment that must fail prints."""
    done = cluster.sqitch("deploy", *arguments, database=database)
    assert done.returncode != 0, done.stdout
    return done.stdout


def test_deploy_then_revert_leaves_nothing_and_deploy_works_again(empty: Cluster):
    before = snapshot(empty)
    empty.deploy(DATABASE)
    everything = snapshot(empty)
    assert len(everything - before) > 100, "the snapshot does not see what was deployed"
    sqitch(empty, "verify")
    sqitch(empty, "revert", "-y")
    assert snapshot(empty) == before
    empty.deploy(DATABASE)
    assert snapshot(empty) == everything


def test_revert_keeps_the_extensions_and_roles_that_it_found(empty: Cluster):
    empty.query("CREATE EXTENSION postgis; CREATE ROLE llm_user", DATABASE)
    before = snapshot(empty)
    sqitch(empty, "deploy", "--to-change", "schema_llm_runtime")
    told = sqitch(empty, "revert", "-y")
    assert snapshot(empty) == before
    assert "extension postgis stays" in told
    assert "role llm_user stays" in told
    assert not empty.query("SELECT extname FROM pg_extension WHERE extname = 'plpython3u'", DATABASE)


def test_revert_keeps_the_roles_that_another_database_uses(deployed: Cluster, copy: str):
    told = sqitch(deployed, "revert", "-y", database=copy)
    assert "role llm_owner stays" in told
    assert not deployed.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'llm%'", copy)
    sqitch(deployed, "verify")


def test_the_last_changes_can_be_reverted_and_deployed_again(deployed: Cluster, copy: str):
    """What a developer does all day."""
    before = snapshot(deployed, copy)
    rebase = ["--set", f"python_site={site_packages()}", "--onto-change", "@HEAD^20"]
    sqitch(deployed, "rebase", "-y", *rebase, database=copy)
    assert snapshot(deployed, copy) == before


@pytest.mark.parametrize("encoding", ["LATIN1", "WIN1252", "SQL_ASCII", "EUC_JP", "EUC_KR", "EUC_CN", "KOI8R"])
def test_deploy_refuses_a_database_that_is_not_utf_8_in_its_own_words(deployed: Cluster, encoding: str):
    name = encoding.lower()
    deployed.query(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    told = refused(deployed, database=name)
    assert f'database "{name}" has the encoding {encoding}, hartonomous needs UTF8' in told
    assert not deployed.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'llm%'", name)


def test_deploy_says_which_package_is_missing_and_how_to_get_it(deployed: Cluster):
    deployed.create_database("without_packages")
    site = deployed.folder / "site-packages"
    site.mkdir()
    told = refused(deployed, "--set", f"python_site={site}", database="without_packages")
    assert "cannot import numpy" in told
    assert "HINT" in told
    assert "--set python_site=" in told


def test_the_plain_generate_goes_where_the_deployer_says_and_never_over_another(deployed: Cluster, copy: str):
    sqitch(deployed, "revert", "-y", "--to-change", "function_generate_wrapper^", database=copy)
    deployed.query("CREATE FUNCTION generate(text) RETURNS text LANGUAGE sql RETURN 'mine'", copy)
    deployed.query('CREATE SCHEMA "Text tools"', copy)
    site = ["--set", f"python_site={site_packages()}"]
    told = refused(deployed, *site, database=copy)
    assert "there is already a function public.generate(text)" in told
    assert "generate_schema" in told
    assert deployed.query("SELECT public.generate('')", copy) == "mine"
    elsewhere = [*site, "--set", "generate_schema=Text tools"]
    sqitch(deployed, "deploy", "--verify", "--to-change", "function_generate_wrapper", *elsewhere, database=copy)
    found = "SELECT pronamespace::regnamespace FROM pg_proc WHERE proname = 'generate' ORDER BY 1"
    assert set(deployed.query(found, copy).splitlines()) == {"llm", "llm_runtime", "public", '"Text tools"'}
    elsewhere = elsewhere[2:]
    sqitch(deployed, "revert", "-y", "--to-change", "function_generate_wrapper^", *elsewhere, database=copy)
    assert set(deployed.query(found, copy).splitlines()) == {"llm", "llm_runtime", "public"}
