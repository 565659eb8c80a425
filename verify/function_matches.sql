-- Verify hartonomous:function_matches on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.matches'::regproc::oid;
BEGIN
    ASSERT llm.matches(NULL, 'a') IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
