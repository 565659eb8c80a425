-- Verify hartonomous:function_runtime_settings on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT s."default" = '512' FROM llm_runtime.settings() AS s WHERE s.name = 'llm.batch_mb');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_runtime.settings()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_runtime.settings()', 'EXECUTE');
END
$verify$;

ROLLBACK;
