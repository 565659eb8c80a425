-- Verify hartonomous:function_runtime_release on pg

BEGIN;

-- The constant must be the hash of the modules that are really there.
DO $verify$
DECLARE
    deployed text;
BEGIN
    SELECT encode(sha256(convert_to(string_agg(
        encode(sha256(convert_to(p.prosrc, 'UTF8')), 'hex') || '  ' || p.proname || E'\n',
        '' ORDER BY p.proname COLLATE "C"), 'UTF8')), 'hex') INTO deployed
    FROM pg_catalog.pg_proc AS p
    INNER JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
    WHERE p.pronamespace = 'llm_runtime'::regnamespace
        AND l.lanname = 'plpython3u' AND p.prorettype = 'void'::regtype AND p.pronargs = 0;
    ASSERT llm_runtime.release() = 'a5129523f91ac582afb4d89280cfb239fc994691f1c5a3ffa7d5eae45d77f5a4', 'another release is deployed';
    ASSERT has_function_privilege('llm_user', 'llm_runtime.release()', 'EXECUTE'), 'llm_user may not call it';
    ASSERT deployed = llm_runtime.release(), 'the modules differ from this release';
END
$verify$;

ROLLBACK;
