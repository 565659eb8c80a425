-- Verify hartonomous:function_store_atomise_tensors on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.atomise_tensors('{}', '{}') = 0;
    ASSERT pg_catalog.has_function_privilege('llm_loader', 'llm_store.atomise_tensors(bytea[], text[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_user', 'llm_store.atomise_tensors(bytea[], text[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
