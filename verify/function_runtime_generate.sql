-- Verify hartonomous:function_runtime_generate on pg

BEGIN;

DO $verify$
DECLARE
    f CONSTANT regprocedure := 'llm_runtime.generate'::regproc::oid;
BEGIN
    ASSERT pg_catalog.has_function_privilege('llm_user', f, 'EXECUTE');
    ASSERT NOT pg_catalog.has_function_privilege('public', f, 'EXECUTE');
    ASSERT (
        SELECT g IS NULL
        FROM llm_runtime.generate(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL) AS g
    );
END
$verify$;

ROLLBACK;
