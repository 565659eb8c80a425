-- Verify hartonomous:function_store_atom_code_point on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT public.st_x(llm_store.atom_code_point('\x51385f300080')) = 8388608.001953125;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.atom_code_point(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.atom_code_point(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
