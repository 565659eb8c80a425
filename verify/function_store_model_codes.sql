-- Verify hartonomous:function_store_model_codes on pg

BEGIN;

DO $verify$
BEGIN
    PERFORM llm_store.store_model_codes(ARRAY[-1]);
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_model_codes(integer[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.store_model_codes(integer[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
