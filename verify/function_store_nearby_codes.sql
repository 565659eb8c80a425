-- Verify hartonomous:function_store_nearby_codes on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT count(*) FROM llm_store.nearby_codes(llm_atoms.atom_point('a'), 1, 0)) <= 1;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.nearby_codes(public.geometry, integer, double precision)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.nearby_codes(public.geometry, integer, double precision)', 'EXECUTE');
END
$verify$;

ROLLBACK;
