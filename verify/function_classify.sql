-- Verify hartonomous:function_classify on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm.classify'::regproc::oid;
BEGIN
    ASSERT (SELECT c.label IS NULL FROM llm.classify(NULL, ARRAY['a']) AS c);
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
END
$verify$;

ROLLBACK;
