-- Verify hartonomous:function_collect on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.collect(interval)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.collect(interval)', 'EXECUTE');
END
$verify$;

ROLLBACK;
