-- Verify hartonomous:function_store_project on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.project(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.project(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.project(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
