-- Verify hartonomous:python_runtime_loaded_model on pg

BEGIN;

DO $verify$
DECLARE
    f record;
BEGIN
    SELECT p.prosrc, p.proacl, l.lanname, r.rolsuper INTO STRICT f
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    INNER JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner
    WHERE p.oid = 'llm_runtime.loaded_model()'::regprocedure;
    ASSERT f.lanname = 'plpython3u', f.lanname;
    ASSERT f.rolsuper, 'only a superuser may own what the interpreter runs';
    ASSERT encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex') = '061bd078adcd005badcc647d6e419d36bd5b6ced346f2b93a0b64b34bff28020', 'the source differs';
    ASSERT NOT EXISTS (SELECT FROM aclexplode(f.proacl) WHERE grantee = 0), 'PUBLIC may execute it';
    ASSERT f.proacl IS NOT NULL, 'PUBLIC may execute it by default';
END
$verify$;

ROLLBACK;
