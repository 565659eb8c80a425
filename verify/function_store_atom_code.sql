-- Verify hartonomous:function_store_atom_code on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT (k.type, k.code) = ('F16', 15361) FROM llm_store.atom_code('F16\000\001\074') AS k);
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.atom_code(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.atom_code(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
