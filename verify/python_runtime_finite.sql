-- Verify hartonomous:python_runtime_finite on pg

BEGIN;

DO $verify$
DECLARE
    f record;
BEGIN
    SELECT p.prosrc, p.proacl, l.lanname, r.rolsuper INTO STRICT f
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    INNER JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner
    WHERE p.oid = 'llm_runtime.finite()'::regprocedure;
    ASSERT f.lanname = 'plpython3u', f.lanname;
    ASSERT f.rolsuper, 'only a superuser may own what the interpreter runs';
    ASSERT encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex') = '8c54dc43e7e1dcae604d337c51cb63ee87f31b787017458c28c7ad1ffa556cb0', 'the source differs';
    ASSERT NOT EXISTS (SELECT FROM aclexplode(f.proacl) WHERE grantee = 0), 'PUBLIC may execute it';
    ASSERT f.proacl IS NOT NULL, 'PUBLIC may execute it by default';
END
$verify$;

ROLLBACK;
