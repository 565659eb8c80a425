-- Verify hartonomous:function_upload_tensors on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm.upload_tensors('[]') IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm.upload_tensors(jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm.upload_tensors(jsonb)', 'EXECUTE');
END
$verify$;

ROLLBACK;
