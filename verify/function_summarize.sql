-- Verify hartonomous:function_summarize on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.summarize'::regproc::oid;
BEGIN
    ASSERT llm.summarize(NULL) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
