-- Verify hartonomous:function_nearby_atoms on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT count(*) FROM llm.nearby_atoms(llm.atom_point('a'), 1)) <= 1;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm.nearby_atoms(public.geometry, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm.nearby_atoms(public.geometry, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
