-- Verify hartonomous:function_store_tokenizer on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_tokenizer(text, jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.store_tokenizer(text, jsonb)', 'EXECUTE');
END
$verify$;

ROLLBACK;
