-- Verify hartonomous:function_atom_point on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT public.st_astext(llm_atoms.atom_point('\x80'))
        = 'POINT ZM (12582912.001953125 12582912.001953125 8388608.001953125 12582912.001953125)';
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.atom_point(bytea)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.atom_point(bytea)', 'EXECUTE');
END
$verify$;

ROLLBACK;
