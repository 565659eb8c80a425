-- Verify hartonomous:function_store_upload_tensors on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.upload_tensors('[]') IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.upload_tensors(jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.upload_tensors(jsonb)', 'EXECUTE');
END
$verify$;

ROLLBACK;
