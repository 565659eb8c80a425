-- Verify hartonomous:function_generation_stats on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.generation_stats()';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
