-- Verify hartonomous:function_store_atom_edited_codes on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.store_atom_edited_codes(NULL, NULL) IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.store_atom_edited_codes(bytea, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.store_atom_edited_codes(bytea, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
