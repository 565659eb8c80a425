-- Verify hartonomous:function_store_publish on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.publish(text, jsonb, text, boolean)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.publish(text, jsonb, text, boolean)', 'EXECUTE');
END
$verify$;

ROLLBACK;
