-- Verify hartonomous:function_warm_up on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.warm_up(boolean)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.warm_up(boolean)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.warm_up(boolean)', 'EXECUTE');
END
$verify$;

ROLLBACK;
