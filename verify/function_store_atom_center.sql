-- Verify hartonomous:function_store_atom_center on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.atom_center('{}') IS NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.atom_center(bytea[])', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.atom_center(bytea[])', 'EXECUTE');
END
$verify$;

ROLLBACK;
