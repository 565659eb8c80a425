-- Verify hartonomous:function_store_atom_keys on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.atom_keys(text, bytea, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.atom_keys(text, bytea, integer)', 'EXECUTE');
    ASSERT llm_store.atom_keys('F32', '\x0000803f', 0) IS NULL;
END
$verify$;

ROLLBACK;
