-- Verify hartonomous:function_store_atom_part on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.store_atom_part(NULL, 0) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.store_atom_part(integer, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_atom_part(integer, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
