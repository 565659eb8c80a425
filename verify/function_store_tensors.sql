-- Verify hartonomous:function_store_tensors on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_tensors(jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.store_tensors(jsonb)', 'EXECUTE');
END
$verify$;

ROLLBACK;
