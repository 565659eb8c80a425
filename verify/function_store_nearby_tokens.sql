-- Verify hartonomous:function_store_nearby_tokens on pg

BEGIN;

DO $verify$
BEGIN
    ASSERT (SELECT count(*) FROM llm_store.nearby_tokens(llm_atoms.atom_point('a'), 1)) <= 1;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_store.nearby_tokens(public.geometry, integer)', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_store.nearby_tokens(public.geometry, integer)', 'EXECUTE');
END
$verify$;

ROLLBACK;
