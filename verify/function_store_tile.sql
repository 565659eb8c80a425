-- Verify hartonomous:function_store_tile on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_tile(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.store_tile(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
