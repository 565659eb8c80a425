-- Verify hartonomous:function_store_upload_token_atoms on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.to_regprocedure('llm_store.upload_token_atoms(integer, integer)') IS NOT NULL;
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.upload_token_atoms(integer, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.upload_token_atoms(integer, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
