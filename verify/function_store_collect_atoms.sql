-- Verify hartonomous:function_store_collect_atoms on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.collect_atoms(0) = 0;
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.collect_atoms(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.collect_atoms(integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
