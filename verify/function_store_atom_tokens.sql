-- Verify hartonomous:function_store_atom_tokens on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.store_atom_tokens(NULL) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.store_atom_tokens(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_atom_tokens(integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
