"""Deploying, verifying and reverting: in a server of its own, because roles belong to the whole cluster."""

import os
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from tools.cluster import Cluster, site_packages

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


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """A server in which nothing was ever deployed."""
    cluster = Cluster(f"test-{os.getpid()}-migrations", forgetful=True)
    try:
        cluster.create()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


@pytest.fixture
def database(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """An empty UTF-8 database."""
    name = f"migrations_{abs(hash(request.node.name))}"
    cluster.create_database(name)
    yield name
    cluster.query(f"DROP DATABASE {name} WITH (FORCE)")


def snapshot(cluster: Cluster, database: str) -> set[str]:
    with psycopg.connect(cluster.superuser_dsn(database)) as connection:
        return {line for (line,) in connection.execute(SNAPSHOT)}


def revert(cluster: Cluster, database: str) -> str:
    done = cluster.sqitch("revert", "-y", database=database)
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_deploy_then_revert_leaves_nothing_and_deploy_works_again(cluster: Cluster, database: str):
    before = snapshot(cluster, database)
    cluster.deploy(database)
    assert snapshot(cluster, database) - before, "the snapshot sees nothing of a whole deployment"
    verified = cluster.sqitch("verify", database=database)
    assert verified.returncode == 0, verified.stdout
    revert(cluster, database)
    assert snapshot(cluster, database) == before
    cluster.deploy(database)
    revert(cluster, database)
    assert snapshot(cluster, database) == before


def test_revert_keeps_the_extensions_and_roles_that_it_found(cluster: Cluster, database: str):
    with psycopg.connect(cluster.superuser_dsn(database), autocommit=True) as superuser:
        superuser.execute("CREATE EXTENSION postgis")
        superuser.execute("CREATE ROLE llm_user")
        try:
            before = snapshot(cluster, database)
            cluster.deploy(database)
            told = revert(cluster, database)
            assert snapshot(cluster, database) == before
            assert "extension postgis stays" in told
            assert "role llm_user stays" in told
        finally:
            superuser.execute("DROP ROLE llm_user")


def test_revert_keeps_the_roles_that_another_database_uses(cluster: Cluster, database: str):
    other = f"{database}_other"
    cluster.create_database(other)
    try:
        cluster.deploy(database)
        cluster.deploy(other)
        revert(cluster, database)
        verified = cluster.sqitch("verify", database=other)
        assert verified.returncode == 0, verified.stdout
        revert(cluster, other)
        assert not cluster.query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'llm%'")
    finally:
        cluster.query(f"DROP DATABASE {other} WITH (FORCE)")


def test_every_change_can_be_reverted_alone_and_deployed_again(cluster: Cluster, database: str):
    """What `sqitch rebase` of the last changes does to a developer's database."""
    cluster.deploy(database)
    before = snapshot(cluster, database)
    done = cluster.sqitch(
        "rebase", "-y", "--set", f"python_site={site_packages()}", "--onto-change", "@HEAD^5", database=database
    )
    assert done.returncode == 0, done.stdout
    assert snapshot(cluster, database) == before
    revert(cluster, database)


def test_deploy_refuses_a_database_that_is_not_utf_8(cluster: Cluster):
    cluster.query("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    try:
        done = cluster.sqitch("deploy", database="latin")
        assert done.returncode != 0
        assert "UTF8" in done.stdout
        assert not cluster.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'llm%'", "latin")
    finally:
        cluster.query("DROP DATABASE latin WITH (FORCE)")


def test_deploy_says_which_package_is_missing_and_how_to_get_it(cluster: Cluster, database: str, tmp_path):
    done = cluster.sqitch("deploy", "--set", f"python_site={tmp_path}", database=database)
    assert done.returncode != 0
    assert "numpy" in done.stdout
    assert "HINT" in done.stdout
    assert "python_site" in done.stdout


def test_deploy_refuses_a_generate_schema_in_which_the_name_is_taken(cluster: Cluster, database: str):
    with psycopg.connect(cluster.superuser_dsn(database), autocommit=True) as superuser:
        superuser.execute("CREATE FUNCTION public.generate(text) RETURNS text LANGUAGE sql AS 'SELECT $1'")
        done = cluster.sqitch("deploy", "--set", f"python_site={site_packages()}", database=database)
        assert done.returncode != 0
        assert "generate" in done.stdout
        assert "generate_schema" in done.stdout
        (answer,) = superuser.execute("SELECT public.generate('mine')").fetchone()
        assert answer == "mine"


def test_the_plain_generate_goes_into_the_schema_that_the_deployer_chose(cluster: Cluster, database: str):
    with psycopg.connect(cluster.superuser_dsn(database), autocommit=True) as superuser:
        superuser.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier("Text tools")))
        settings = ["--set", f"python_site={site_packages()}", "--set", "generate_schema=Text tools"]
        done = cluster.sqitch("deploy", "--verify", *settings, database=database)
        assert done.returncode == 0, done.stdout
        found = superuser.execute("SELECT pronamespace::regnamespace::text FROM pg_proc WHERE proname = 'generate'")
        assert {schema for (schema,) in found} == {"llm", '"Text tools"'}
        done = cluster.sqitch("revert", "-y", "--set", "generate_schema=Text tools", database=database)
        assert done.returncode == 0, done.stdout
