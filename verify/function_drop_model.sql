-- Verify hartonomous:function_drop_model on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.drop_model(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.drop_model(text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
