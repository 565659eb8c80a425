-- Verify hartonomous:function_store_upload_tokenizer on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.to_regprocedure('llm_store.upload_tokenizer(text, jsonb)') IS NOT NULL;
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.upload_tokenizer(text, jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.upload_tokenizer(text, jsonb)', 'EXECUTE');
END
$verify$;

ROLLBACK;
