-- Verify hartonomous:function_generate_details on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.generate_details'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT (SELECT d IS NULL FROM llm.generate_details(NULL) AS d);
END
$verify$;

ROLLBACK;
