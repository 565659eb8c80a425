-- Verify hartonomous:function_store_atom_code_content on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT llm_store.atom_code_content('F16', 15361) = 'F16\000\001\074'::bytea;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.atom_code_content(text, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.atom_code_content(text, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
