-- Verify hartonomous:function_ask on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.ask'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT llm.ask(NULL) IS NULL;
END
$verify$;

ROLLBACK;
