-- Verify hartonomous:function_store_add_files on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.add_files(integer, jsonb)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.add_files(integer, jsonb)', 'EXECUTE');
END
$verify$;

ROLLBACK;
