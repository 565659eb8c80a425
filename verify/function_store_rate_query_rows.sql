-- Verify hartonomous:function_store_rate_query_rows on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm_store.rate_query_rows'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
