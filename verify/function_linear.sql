-- Verify hartonomous:function_linear on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.linear(bytea, text, text, text, bytea)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
