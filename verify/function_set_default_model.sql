-- Verify hartonomous:function_set_default_model on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.set_default_model(text, text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.set_default_model(text, text)', 'EXECUTE');
END
$verify$;

ROLLBACK;
