-- Verify hartonomous:python_runtime_encoder_forward on pg

BEGIN;

DO $verify$
DECLARE
    f record;
BEGIN
    SELECT p.prosrc, p.proacl, l.lanname, r.rolsuper INTO STRICT f
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    INNER JOIN pg_catalog.pg_roles AS r ON r.oid = p.proowner
    WHERE p.oid = 'llm_runtime.encoder_forward()'::regprocedure;
    ASSERT f.lanname = 'plpython3u', f.lanname;
    ASSERT f.rolsuper, 'only a superuser may own what the interpreter runs';
    ASSERT encode(sha256(convert_to(f.prosrc, 'UTF8')), 'hex') = 'fdcb08255c90e269676372349d536778b17652d75b48f0f33c2abbca4d4f6ed6', 'the source differs';
    ASSERT NOT EXISTS (SELECT FROM aclexplode(f.proacl) WHERE grantee = 0), 'PUBLIC may execute it';
    ASSERT f.proacl IS NOT NULL, 'PUBLIC may execute it by default';
END
$verify$;

ROLLBACK;
