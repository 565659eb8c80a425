-- Verify hartonomous:function_forward on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT text := 'llm.forward(integer[], text, bigint, integer)';
BEGIN
    ASSERT (SELECT p.proowner = 'llm_owner'::regrole FROM pg_catalog.pg_proc AS p WHERE p.oid = f::regprocedure);
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
