-- Verify hartonomous:function_rms_norm on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.rms_norm(bytea, text, text, double precision)';
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
