-- Verify hartonomous:function_store_check_manifest on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.check_manifest(jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.check_manifest(jsonb)', 'EXECUTE');
    ASSERT llm_store.check_manifest(NULL) IS NULL;
END
$verify$;

ROLLBACK;
