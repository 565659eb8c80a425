-- Verify hartonomous:function_nearby_atoms on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT count(*) FROM llm_atoms.nearby_atoms(llm_atoms.atom_point('a'), 1)) <= 1;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.nearby_atoms(public.geometry, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.nearby_atoms(public.geometry, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
