-- Verify hartonomous:function_runtime_boot on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_runtime.boot() = llm_runtime.release();
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.boot()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.boot()', 'EXECUTE');
END
$verify$;

ROLLBACK;
