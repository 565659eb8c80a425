-- Verify hartonomous:function_store_add_model on pg

BEGIN;

DO $verify$
DECLARE
    signature CONSTANT text := 'llm_store.add_model(text, jsonb, integer, text)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', signature, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', signature, 'EXECUTE');
END
$verify$;

ROLLBACK;
