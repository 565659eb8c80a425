-- Verify hartonomous:function_generate_regex on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.generate_regex'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
