-- Verify hartonomous:function_classify_details on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.classify_details'::regproc::oid;
BEGIN
    ASSERT NOT EXISTS (SELECT FROM llm.classify_details(NULL, ARRAY['a']));
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
