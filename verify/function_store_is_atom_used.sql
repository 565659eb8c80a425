-- Verify hartonomous:function_store_is_atom_used on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT NOT llm_store.is_atom_used('continuous', 'a type of no tensor\000\001');
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.is_atom_used(text, bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.is_atom_used(text, bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
