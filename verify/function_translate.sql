-- Verify hartonomous:function_translate on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.translate'::regproc::oid;
BEGIN
    ASSERT llm.translate(NULL, 'German') IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
