-- Verify hartonomous:function_store_atom_codes on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.store_atom_codes('{}', '{}') = 0;
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.store_atom_codes(bytea[], text[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_atom_codes(bytea[], text[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
