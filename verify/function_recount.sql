-- Verify hartonomous:function_recount on pg

BEGIN;

DO $verify$
BEGIN
    -- Not called: it reads every tile.
    ASSERT 'llm_atoms.recount()'::regprocedure IS NOT NULL;
    ASSERT pg_catalog.has_function_privilege('llm_user', 'llm_atoms.recount()', 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', 'llm_atoms.recount()', 'EXECUTE');
END
$verify$;

ROLLBACK;
