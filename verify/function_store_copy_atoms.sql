-- Verify hartonomous:function_store_copy_atoms on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_owner', 'llm_store.copy_atoms(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('llm_loader', 'llm_store.copy_atoms(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.copy_atoms(integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_table_privilege('llm_atom_copier', 'llm_store.atom', 'SELECT, UPDATE, DELETE, TRIGGER');
END
$verify$;

ROLLBACK;
