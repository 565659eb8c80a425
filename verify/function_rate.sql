-- Verify hartonomous:function_rate on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.rate'::regproc::oid;
BEGIN
    ASSERT llm.rate(NULL, 'a') IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
