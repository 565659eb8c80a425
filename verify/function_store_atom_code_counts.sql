-- Verify hartonomous:function_store_atom_code_counts on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm_store.atom_code_counts(NULL));
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.atom_code_counts(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.atom_code_counts(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
