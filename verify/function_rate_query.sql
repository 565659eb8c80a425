-- Verify hartonomous:function_rate_query on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.rate_query'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
