"""What holds for every object of a deployment, whatever was added last."""

import psycopg
import pytest

OURS = "(SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ('llm', 'llm_atoms', 'llm_store', 'llm_runtime'))"
UNCOMMENTED = f"""
SELECT 'schema ' || nspname FROM pg_catalog.pg_namespace
WHERE oid IN {OURS} AND pg_catalog.obj_description(oid, 'pg_namespace') IS NULL
UNION ALL
SELECT 'relation ' || oid::regclass FROM pg_catalog.pg_class
WHERE relnamespace IN {OURS} AND relkind IN ('r', 'p', 'v', 'm', 'c', 'f') AND NOT relispartition
    AND pg_catalog.obj_description(oid, 'pg_class') IS NULL
UNION ALL
SELECT 'column ' || a.attrelid::regclass || '.' || a.attname
FROM pg_catalog.pg_attribute AS a
INNER JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace IN {OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'c', 'f') AND NOT c.relispartition
    AND a.attnum > 0 AND NOT a.attisdropped AND pg_catalog.col_description(a.attrelid, a.attnum) IS NULL
UNION ALL
SELECT 'type ' || t.oid::regtype
FROM pg_catalog.pg_type AS t
WHERE t.typnamespace IN {OURS} AND t.typtype IN ('d', 'e') AND pg_catalog.obj_description(t.oid, 'pg_type') IS NULL
UNION ALL
SELECT 'function ' || oid::regprocedure FROM pg_catalog.pg_proc
WHERE pronamespace IN {OURS} AND pg_catalog.obj_description(oid, 'pg_proc') IS NULL
"""


def column(connection: psycopg.Connection, query: str) -> list:
    return [value for (value,) in connection.execute(query)]


def test_everything_has_a_comment(superuser: psycopg.Connection):
    assert column(superuser, UNCOMMENTED) == []


def test_public_may_do_nothing(superuser: psycopg.Connection):
    query = f"""
    SELECT 'function ' || p.oid::regprocedure
    FROM pg_catalog.pg_proc AS p
    CROSS JOIN LATERAL pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) AS a
    WHERE p.pronamespace IN {OURS} AND a.grantee = 0
    UNION ALL
    SELECT 'relation ' || c.oid::regclass
    FROM pg_catalog.pg_class AS c
    CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) AS a
    WHERE c.relnamespace IN {OURS} AND a.grantee = 0
    UNION ALL
    SELECT 'schema ' || n.nspname
    FROM pg_catalog.pg_namespace AS n
    CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) AS a
    WHERE n.oid IN {OURS} AND a.grantee = 0
    """
    assert column(superuser, query) == []


def test_nothing_that_can_reach_spi_is_parallel_safe(superuser: psycopg.Connection):
    """Labelled safe, such a function crashed the whole cluster."""
    query = f"""
    SELECT p.oid::regprocedure::text
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE p.pronamespace IN {OURS} AND l.lanname = 'plpython3u' AND p.proparallel <> 'u'
    """
    assert column(superuser, query) == []


def test_python_belongs_to_a_superuser_and_everything_else_of_the_surface_to_llm_owner(superuser: psycopg.Connection):
    """But for the one function that reads a file, of the role that may do just that."""
    query = f"""
    SELECT p.oid::regprocedure::text
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    INNER JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner
    WHERE p.pronamespace IN {OURS}
        AND CASE
            WHEN l.lanname = 'plpython3u' OR p.pronamespace = 'llm_runtime'::regnamespace THEN NOT r.rolsuper
            WHEN p.proname = 'copy_atoms' THEN r.rolname <> 'llm_atom_copier'
            ELSE r.rolname <> 'llm_owner'
        END
    UNION ALL
    SELECT c.oid::regclass::text
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace IN {OURS} AND c.relowner <> 'llm_owner'::regrole
    """
    assert column(superuser, query) == []


def test_the_bodies_of_functions_do_not_depend_on_the_callers_search_path(superuser: psycopg.Connection):
    """A body that is text is resolved when it runs; BEGIN ATOMIC and RETURN are resolved when it is made."""
    query = f"""
    SELECT p.oid::regprocedure::text
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE p.pronamespace IN {OURS} AND l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL AND p.prokind <> 'p'
        AND NOT coalesce(p.proconfig && ARRAY['search_path=pg_catalog, pg_temp', 'search_path=""'], false)
    """
    assert column(superuser, query) == []


OVERLOADED = f"""
SELECT p.pronamespace::regnamespace || '.' || p.proname, n.given
FROM pg_catalog.pg_proc AS p
CROSS JOIN LATERAL generate_series((p.pronargs - p.pronargdefaults)::integer, p.pronargs::integer) AS n (given)
WHERE p.pronamespace IN {OURS} AND n.given > 0
GROUP BY 1, 2
HAVING count(DISTINCT p.oid) > 1
"""


def test_a_call_with_literals_alone_means_one_of_the_functions_of_a_name(superuser: psycopg.Connection):
    """PostgreSQL itself resolves it: EXPLAIN says what does not exist and what is not unique, and runs nothing."""
    calls = superuser.execute(OVERLOADED).fetchall()
    assert {name for name, _ in calls} >= {"llm.similarity", "llm.search", "llm.embedding", "llm.analogy"}
    for name, given in calls:
        for argument in ("NULL", "'1'"):
            try:
                superuser.execute(f"EXPLAIN SELECT {name}({', '.join([argument] * given)})")
            except psycopg.errors.AmbiguousFunction as problem:
                pytest.fail(f"{name} of {given} arguments: {problem}")
            except (psycopg.errors.InvalidTextRepresentation, psycopg.errors.UndefinedTable):
                pass  # resolved, to a type that '1' is not a value of


def test_no_function_is_strict_that_has_null_as_a_default(superuser: psycopg.Connection):
    """It would return NULL whenever its caller relies on the default."""
    query = f"""
    SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc AS p
    WHERE p.pronamespace IN {OURS} AND p.proisstrict AND pg_catalog.pg_get_function_arguments(p.oid) ~ 'DEFAULT NULL'
    """
    assert column(superuser, query) == []


def test_no_constraint_index_or_default_boots_python(superuser: psycopg.Connection):
    """pg_restore lost a whole table to a CHECK that called one."""
    query = f"""
    SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_catalog.pg_depend AS d
    INNER JOIN pg_catalog.pg_proc AS p ON p.oid = d.refobjid AND d.refclassid = 'pg_catalog.pg_proc'::regclass
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE p.pronamespace IN {OURS} AND l.lanname = 'plpython3u'
        AND d.classid IN ('pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_attrdef'::regclass,
            'pg_catalog.pg_class'::regclass, 'pg_catalog.pg_trigger'::regclass)
    """
    assert column(superuser, query) == []


@pytest.mark.parametrize("role", ["llm_owner", "llm_atom_copier", "llm_user", "llm_loader"])
def test_a_role_of_the_deployment_cannot_log_in(superuser: psycopg.Connection, role: str):
    query = "SELECT rolcanlogin, rolsuper, rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = %s"
    assert superuser.execute(query, [role]).fetchone() == (False, False, False)


def test_a_role_without_rights_sees_and_runs_nothing(connect_as):
    stranger = connect_as()
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute("SELECT * FROM llm.models")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stranger.execute("SELECT llm.version()")


def test_a_user_may_not_write(user: psycopg.Connection):
    for statement in ("DELETE FROM llm_store.model", "INSERT INTO llm_store.upload (content) VALUES ('x')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute(statement)
