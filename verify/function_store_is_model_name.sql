-- Verify hartonomous:function_store_is_model_name on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.is_model_name(text)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.is_model_name(text)', 'EXECUTE');
    ASSERT llm_store.is_model_name('qwen2.5-0.5b:q8_0');
    ASSERT NOT llm_store.is_model_name('a b');
END
$verify$;

ROLLBACK;
