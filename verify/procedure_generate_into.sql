-- Verify hartonomous:procedure_generate_into on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.generate_into'::regproc::oid;
    computed CONSTANT regprocedure := 'llm_runtime.generate_into'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT pg_catalog.has_function_privilege('llm_user', computed, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', computed, 'EXECUTE');
END
$verify$;

ROLLBACK;
