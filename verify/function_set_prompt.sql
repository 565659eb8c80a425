-- Verify hartonomous:function_set_prompt on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.set_prompt'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
